package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/internal/show"
	"lwtrain/internal/terminal"
	"lwtrain/serve"
	"lwtrain/session"
	"lwtrain/talk"
)

// modelFlags name the model that a command keeps at hand.
type modelFlags struct {
	base, template, precision string
	context                   int
}

// addModelFlags gives cmd the argument MODEL or -c, and the flags of what is opened.
func addModelFlags(cmd *cobra.Command, f *modelFlags) {
	addConfigFlags(cmd)
	cmd.Args, cmd.ValidArgsFunction = nil, nil
	fl := cmd.Flags()
	fl.StringVar(&f.base, "base", "", "the model that an adapter is for [the one that its files name]")
	fl.StringVar(&f.template, "template", "",
		"chat template: auto (the model's own), a shipped name, or a .jinja file [auto, or the config's]")
	fl.StringVar(&f.precision, "precision", "auto",
		"of weights and cache: float32, bf16 (about twice as fast), or auto: bf16 where the file holds nothing else")
	fl.IntVar(&f.context, "context", 0, "tokens of a text, prompt and answer together [what the model has positions for]")
}

// open opens the model that the argument or -c names, and reads its weights. raw: it may be one without a chat template.
func (f modelFlags) open(cmd *cobra.Command, args []string, raw bool) (g *session.Generator, name string, err error) {
	template := f.template
	switch given := cmd.Flags().Changed("config"); {
	case !slices.Contains(session.Precisions, f.precision):
		err = fmt.Errorf("--precision is %q, want auto, bf16 or float32", f.precision)
	case f.context < 0 || f.context > 1<<24:
		err = fmt.Errorf("--context %d, want at least 1 and at most %d", f.context, 1<<24)
	case given:
		c, err := loadConfig(cmd, args)
		if err != nil {
			return nil, "", err
		}
		session.UseThreads(c.Threads)
		if template == "" {
			template = c.Model.Template
		}
		if name, err = session.Trained(c); err != nil {
			return nil, "", err
		}
	case len(args) != 1:
		err = fault.Hint(fmt.Errorf("%d models are given, want one, or -c with a config", len(args)),
			"a model is a folder, a run's folder, an adapter's, or a name on the hub")
	default:
		name, err = args[0], useThreads(cmd)
	}
	if err != nil {
		return nil, "", fault.Usage(err)
	}
	g, err = session.OpenGenerator(cmd.Context(), name, f.base, show.Session(cmd.ErrOrStderr()))
	if err != nil {
		return nil, "", err
	}
	if err := g.UseTemplate(template); err != nil {
		if !raw || template != "" && template != "auto" {
			return nil, "", err
		}
		show.Warn(cmd.ErrOrStderr(), "%v: there is no chat, only texts that are gone on with", err)
	}
	return g, name, g.Load(f.precision)
}

func newServeCmd() *cobra.Command {
	var m modelFlags
	var o serve.Options
	var addr, keyEnv string
	cmd := &cobra.Command{
		Use:   "serve [MODEL | -c CONFIG [key=value ...]]",
		Short: "Answer requests over HTTP, as OpenAI's API",
		Long: `Serves a model on this machine as OpenAI's API does: POST /v1/chat/completions
and /v1/completions, streamed or whole, GET /v1/models and /health. The model is
a folder in Hugging Face layout, a run's folder, of which the newest whole
checkpoint is taken, an adapter's folder, or a name on the hub; with -c it is
what the config's run has come to.

Requests join and leave a running batch, and a text is the same tokens alone and
beside others. What a request asks for and is not there is refused by its name;
docs/serve.md lists what there is. A prompt that is too long is refused with its
length: nothing is cut.

SIGTERM and Ctrl-C take no more connections, let answers under way end for
--drain, and close what is left a second later.`,
		Example: `  lwtrain serve runs/quickstart
  lwtrain serve -c my.yaml --addr 127.0.0.1:9000 --batch 32
  curl localhost:8080/v1/chat/completions -H 'Content-Type: application/json' \
    -d '{"messages": [{"role": "user", "content": "Write ..."}]}'`,
	}
	addModelFlags(cmd, &m)
	fl := cmd.Flags()
	fl.StringVar(&addr, "addr", "127.0.0.1:8080", "where it listens; port 0: any that is free")
	fl.StringVar(&o.Name, "name", "", "what the model is called [its folder's name]")
	fl.StringVar(&keyEnv, "key-env", "LWTRAIN_API_KEY", "environment variable with the key that requests must have; not set: none")
	fl.IntVar(&o.Batch, "batch", 16, "texts that are written together")
	fl.IntVar(&o.Waiting, "waiting", 64, "texts that may wait for their turn; more are told to come again (429)")
	fl.DurationVar(&o.Drain, "drain", 5*time.Second, "how long answers under way may take when it is to stop")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.Context, o.Key = m.context, strings.TrimSpace(os.Getenv(keyEnv))
		return runServer(cmd, args, m, o, addr)
	}
	return cmd
}

func runServer(cmd *cobra.Command, args []string, m modelFlags, o serve.Options, addr string) error {
	const most = 1024
	var err error
	host, _, wrong := net.SplitHostPort(addr)
	switch {
	case o.Batch < 1 || o.Batch > most:
		err = fmt.Errorf("--batch %d, want 1 to %d", o.Batch, most)
	case o.Waiting < 0 || o.Waiting > most:
		err = fmt.Errorf("--waiting %d, want 0 to %d", o.Waiting, most)
	case o.Drain < 0:
		err = fmt.Errorf("--drain %s, want at least 0", o.Drain)
	case wrong != nil:
		err = fmt.Errorf("--addr %q, want an address such as 127.0.0.1:8080", addr)
	}
	if err != nil {
		return fault.Usage(err)
	}
	listener, err := net.Listen("tcp", addr) // before the weights are read
	if err != nil {
		return fault.Usage(fault.Hint(err, "--addr names another address, 127.0.0.1:0 any port that is free"))
	}
	defer listener.Close()
	g, name, err := m.open(cmd, args, true)
	if g != nil {
		defer g.Close()
	}
	if err != nil {
		return err
	}
	if o.Name == "" {
		o.Name = filepath.Base(filepath.Clean(name))
	}
	var display *show.Serving
	o.Say = func(line string) { display.Println(line) }
	s, err := g.Server(o)
	if err != nil {
		return err
	}
	display = show.NewServing(cmd.ErrOrStderr(), s.State)
	defer display.Close()
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		who := "who has the key"
		if o.Key == "" {
			who = "everybody, without a key,"
		}
		show.Warn(cmd.ErrOrStderr(), "other machines reach this address: %s may ask the model, and what is said is not encrypted", who)
	}
	display.Println(fmt.Sprintf("%s at http://%s/v1, %s of %s tokens at a time, at most %s of memory beside the weights", o.Name,
		listener.Addr(), human.Count(s.Batch, "text"), human.Grouped(s.Context), human.Bytes(s.Memory())))
	if err := s.Serve(cmd.Context(), listener); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	now := s.State()
	display.Println(fmt.Sprintf("stopped after %s, %s", human.Count(now.Answers, "answer"), human.Count(now.Tokens, "token")))
	return nil
}

func newChatCmd() *cobra.Command {
	var m modelFlags
	var o talk.Options
	cmd := &cobra.Command{
		Use:   "chat [MODEL | -c CONFIG [key=value ...]]",
		Short: "Talk with a model",
		Long: `A conversation with a model in the terminal: each line is a message, answers
come as they are written. The model is given as for serve. What was read and
written before is not read again; an answer is the same whatever was kept.

Lines that begin with a slash are commands: /retry, /reset, /system TEXT,
/save FILE, /quit, and /help, which says what they do. Ctrl-C stops an answer,
and twice ends the conversation. A message that the context has no room for is
not kept, and that is said: nothing is cut.

Lines may come from a pipe, too: answers then go to standard output alone.`,
		Example: `  lwtrain chat runs/quickstart
  lwtrain chat -c my.yaml --system "You write novels." --stats`,
	}
	addModelFlags(cmd, &m)
	fl := cmd.Flags()
	fl.StringVar(&o.System, "system", "", "system message before the conversation")
	fl.Float64Var(&o.Sampling.Temperature, "temperature", 0.7, "sampling temperature; 0 takes the most probable token")
	fl.Float64Var(&o.Sampling.TopP, "top-p", 0.9, "sample from the most probable tokens that together reach this probability")
	fl.IntVar(&o.Sampling.TopK, "top-k", 0, "sample from so many of the most probable tokens; 0: all")
	fl.Uint64Var(&o.Sampling.Seed, "seed", 42, "seed of the sampling; each answer has a random stream of its own from it")
	fl.IntVar(&o.MaxTokens, "max-new-tokens", 0, "longest answer, in tokens [what the context has room for]")
	fl.BoolVar(&o.Stats, "stats", false, "say behind each answer how many tokens were read and written, and how fast")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := checkSampling(o.Sampling)
		if err == nil && o.MaxTokens < 0 {
			err = fmt.Errorf("--max-new-tokens %d, want at least 0", o.MaxTokens)
		}
		if err != nil {
			return fault.Usage(err)
		}
		g, _, err := m.open(cmd, args, false)
		if g != nil {
			defer g.Close()
		}
		if err != nil {
			return err
		}
		o.Context, o.Prompt = m.context, terminal.IsTerminal(cmd.InOrStdin()) && terminal.IsTerminal(cmd.ErrOrStderr())
		t := g.Talk(o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		defer t.Close()
		if o.Prompt {
			fmt.Fprintln(cmd.ErrOrStderr(), "Each line is a message; /help lists the commands, /quit ends.")
		}
		interrupt := t.Interrupt
		takesInterrupt.Store(&interrupt)
		defer takesInterrupt.Store(nil)
		return t.Run(cmd.Context(), cmd.InOrStdin())
	}
	return cmd
}
