package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lwtrain/chat"
	"lwtrain/data"
	"lwtrain/data/record"
	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/internal/prose"
	"lwtrain/internal/show"
	"lwtrain/internal/terminal"
	"lwtrain/model"
	"lwtrain/session"
	"lwtrain/tokenizer"
)

// generateFlags are the flags of lwtrain generate.
type generateFlags struct {
	model, template, precision string
	prompt, prompts, system    string
	raw, greedy, json          bool
	maxNew, batch              int
	temperature, topP          float64
	seed                       uint64
}

func newGenerateCmd() *cobra.Command {
	var f generateFlags
	cmd := &cobra.Command{
		Use:   "generate -m DIR [--prompt TEXT]",
		Short: "Write text with a model",
		Long: `Answers a prompt with a model folder (Hugging Face layout), such as a checkpoint
of a run. The prompt is put into the model's chat template unless --raw is
given; without --prompt it is read from standard input. The text is streamed to
standard output; with --json one object is printed at the end.`,
		Example: `  lwtrain generate -m runs/quickstart/checkpoints/step-000016 \
      --prompt "Write a 1000-word story"
  lwtrain generate -m DIR --prompt "Hello" --greedy --json
  lwtrain generate -m DIR --prompts prompts.jsonl > answers.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return generate(cmd, f) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.model, "model", "m", "", "model folder")
	fl.StringVar(&f.prompt, "prompt", "", "what to answer; - or none: standard input")
	fl.StringVar(&f.prompts, "prompts", "", "a file of prompts, such as {\"prompt\": ...} a line: answers all of them, an object a line")
	fl.IntVar(&f.batch, "batch", 16, "with --prompts: how many are answered together")
	fl.StringVar(&f.system, "system", "", "system message before the prompt")
	fl.StringVar(&f.template, "template", "auto", "chat template: auto (the model's own), a shipped name, or a .jinja file")
	fl.StringVar(&f.precision, "precision", "auto",
		"of weights and cache: float32, bf16 (about twice as fast), or auto: bf16 where the file holds nothing else")
	fl.BoolVar(&f.raw, "raw", false, "continue the prompt as it is, without a chat template")
	fl.BoolVar(&f.greedy, "greedy", false, "always take the most probable token")
	fl.Float64Var(&f.temperature, "temperature", 0.7, "sampling temperature; 0 is the same as --greedy")
	fl.Float64Var(&f.topP, "top-p", 0.9, "sample from the most probable tokens that together reach this probability")
	fl.IntVar(&f.maxNew, "max-new-tokens", 2048, "longest answer, in tokens")
	fl.Uint64Var(&f.seed, "seed", 42, "seed of the sampling")
	fl.BoolVar(&f.json, "json", false, "print {ids, text, words, stop} instead of the text")
	cmd.MarkFlagRequired("model")
	return cmd
}

func generate(cmd *cobra.Command, f generateFlags) error {
	switch {
	case f.maxNew < 1:
		return fault.Usage(fmt.Errorf("--max-new-tokens %d, want at least 1", f.maxNew))
	case !(f.temperature >= 0) || math.IsInf(f.temperature, 0):
		return fault.Usage(fmt.Errorf("--temperature %g, want at least 0", f.temperature))
	case !(f.topP > 0 && f.topP <= 1):
		return fault.Usage(fmt.Errorf("--top-p %g, want above 0 and at most 1", f.topP))
	case f.batch < 1:
		return fault.Usage(fmt.Errorf("--batch %d, want at least 1", f.batch))
	case f.prompts != "" && f.prompt != "":
		return fault.Usage(errors.New("there is --prompt and --prompts, want one of them"))
	}
	if f.greedy {
		f.temperature = 0
	}
	prompts, err := f.read(cmd)
	if err != nil {
		return err
	}
	g, err := session.OpenGenerator(cmd.Context(), f.model, show.Session(cmd.ErrOrStderr()))
	if err != nil {
		return err
	}
	defer g.Close()
	requests, err := f.requests(g, prompts)
	if err != nil {
		return err
	}
	if !slices.Contains(session.Precisions, f.precision) {
		return fault.Usage(fmt.Errorf("--precision is %q, want auto, bf16 or float32", f.precision))
	}
	if err := g.Load(f.precision); err != nil {
		return err
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	defer out.Flush()
	if f.prompts != "" {
		return f.many(cmd, out, g, requests)
	}
	tok := g.Tokenizer
	stream := tok.Decoder()
	if !f.json {
		requests[0].Emit = func(id int32) {
			if !tok.IsSpecial(id) {
				out.WriteString(stream.Next(id))
				out.Flush()
			}
		}
	}
	done, err := g.Generate(cmd.Context(), requests, 1)
	if err != nil {
		return err
	}
	if !f.json {
		fmt.Fprintln(out, stream.Flush())
		if done[0].Stop == model.StopLength {
			fmt.Fprintf(cmd.ErrOrStderr(), "(cut off at --max-new-tokens %d)\n", f.maxNew)
		}
		return nil
	}
	return writeAnswer(out, tok, done[0])
}

// many answers all prompts of a file, with a progress bar, and prints an object
// for each in the order of the file.
func (f generateFlags) many(cmd *cobra.Command, out io.Writer, g *session.Generator, requests []model.Request) error {
	bar := terminal.NewProgress(cmd.ErrOrStderr(), "answering", int64(len(requests)*f.maxNew))
	began, tokens := time.Now(), 0
	for i := range requests {
		requests[i].Emit = func(int32) {
			tokens++
			bar.Set(int64(tokens), fmt.Sprintf("tokens at most  %.0f tok/s", float64(tokens)/time.Since(began).Seconds()))
		}
	}
	done, err := g.Generate(cmd.Context(), requests, f.batch)
	if err != nil {
		bar.Abandon()
		return err
	}
	bar.Abandon()
	took := time.Since(began)
	fmt.Fprintf(cmd.ErrOrStderr(), "%s, %s tokens in %s, %.1f tokens/s\n",
		human.Count(len(done), "answer"), human.Grouped(tokens), human.Span(took), float64(tokens)/took.Seconds())
	for _, d := range done {
		if err := writeAnswer(out, g.Tokenizer, d); err != nil {
			return err
		}
	}
	return nil
}

// writeAnswer prints what a prompt came to as a line of JSON.
func writeAnswer(out io.Writer, tok *tokenizer.Tokenizer, g model.Generated) error {
	text := tok.Decode(g.IDs, true)
	return json.NewEncoder(out).Encode(struct {
		IDs   []int32 `json:"ids"`
		Text  string  `json:"text"`
		Words int     `json:"words"`
		Stop  string  `json:"stop"`
	}{orEmpty(g.IDs), text, prose.Words(text), g.Stop})
}

// read returns the prompts: of the file, the flag or standard input.
func (f generateFlags) read(cmd *cobra.Command) ([]record.Prompt, error) {
	if f.prompts != "" {
		source := data.Source{Name: "prompts", Path: f.prompts}
		prompts, _, err := data.Prompts(cmd.Context(), source, nil, "", false)
		if err == nil && len(prompts) == 0 {
			err = fault.Usage(fmt.Errorf("%s: no prompts there, want records such as {\"prompt\": \"...\"}", f.prompts))
		}
		return prompts, err
	}
	const most = 64 << 20 // bytes
	prompt := f.prompt
	if prompt == "" || prompt == "-" {
		in, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), most))
		if err != nil {
			return nil, err
		}
		prompt = strings.TrimRight(string(in), "\n")
	}
	if prompt == "" {
		return nil, fault.Usage(fault.Hint(fmt.Errorf("the prompt is empty"), "give --prompt, or write it to standard input"))
	}
	return []record.Prompt{{Messages: []chat.Message{{Role: "user", Content: prompt}}}}, nil
}

// requests puts the prompts into the chat template. Each has a random stream of its own.
func (f generateFlags) requests(g *session.Generator, prompts []record.Prompt) ([]model.Request, error) {
	if !f.raw {
		if err := g.UseTemplate(f.template); err != nil {
			return nil, fault.Hint(err, "--raw continues a prompt without a chat template; --template names another")
		}
	}
	requests := make([]model.Request, len(prompts))
	for i, p := range prompts {
		r, err := f.request(g, p.Messages)
		if err != nil {
			if p.Origin != "" {
				err = fmt.Errorf("%s: %w", p.Origin, err)
			}
			return nil, err
		}
		r.MaxNewTokens = f.maxNew
		r.Sampling = model.Sampling{Temperature: f.temperature, TopP: f.topP, Seed: f.seed + uint64(i)}
		requests[i] = r
	}
	return requests, nil
}

// request asks for the answer to a conversation. A system message of its own counts for more
// than the flag's.
func (f generateFlags) request(g *session.Generator, messages []chat.Message) (model.Request, error) {
	if !f.raw {
		if f.system != "" && messages[0].Role != "system" {
			messages = slices.Insert(messages, 0, chat.Message{Role: "system", Content: f.system})
		}
		return g.Answer(messages)
	}
	if len(messages) > 1 {
		return model.Request{}, fault.Usage(fmt.Errorf("a prompt of %d messages, want a text alone with --raw", len(messages)))
	}
	return g.Continue(messages[0].Content), nil
}
