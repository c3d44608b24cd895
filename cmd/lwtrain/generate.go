package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lwtrain/answers"
	"lwtrain/chat"
	"lwtrain/data"
	"lwtrain/data/record"
	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/internal/llm"
	"lwtrain/internal/prose"
	"lwtrain/internal/show"
	"lwtrain/model"
	"lwtrain/session"
)

// generateFlags are the flags of lwtrain generate.
type generateFlags struct {
	model, base                  string
	template, precision          string
	prompt, prompts, system, out string
	raw, greedy, json, compare   bool
	maxNew, batch                int
	temperature, topP            float64
	seed                         uint64
}

func newGenerateCmd() *cobra.Command {
	var f generateFlags
	cmd := &cobra.Command{
		Use:   "generate -m DIR [--prompt TEXT | --prompts FILE --out FILE]",
		Short: "Write text with a model",
		Long: `Answers a prompt with a model folder (Hugging Face layout), a checkpoint of a
run, or the newest whole one of a run's folder. The prompt is put into the
model's chat template unless --raw is given; without --prompt it is read from
standard input. The text is streamed to standard output; with --json one object
is printed at the end.

--prompts takes a file of prompts in any format that training reads; answers at
the end of its records are left out. With --out each answer is a line of that
file as soon as it ends, in the order in which they end: line, id, prompt,
stated_length, words, tokens, stop, repetition, text. The same command goes on
with what is there, and asks only for what lacks: an answer does not depend on
what is written beside it. FILE.run.json says what the answers are of. Without
--out they are printed in the order of the prompts, as {ids, text, words, stop}.

--compare A B has two models answer the same prompts, one model in memory after
the other, and shows their answers beside each other: words, how well a stated
length is met (S_l), what was cut off. An adapter finds its base by its files.

A model ends its answer by a token of its own, which --top-p may cut off like
any other: where it is unlikely at every place (a model that has learnt to write
long, a temperature above 1), a small --top-p never draws it and answers end
only at --max-new-tokens. Where it is the likeliest one early, a small --top-p
takes it nearly always, and answers are short. --top-p 1 leaves it the
probability that the model gives.`,
		Example: `  lwtrain generate -m runs/quickstart --prompt "Write a 1000-word story"
  lwtrain generate -m DIR --prompt "Hello" --greedy --json
  lwtrain generate -m DIR --prompts prompts.jsonl --out answers.jsonl
  lwtrain generate --compare BASE runs/my --prompts prompts.jsonl`,
		RunE: func(cmd *cobra.Command, args []string) error { return generate(cmd, f, args) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.model, "model", "m", "", "model folder, or a run's folder, or an adapter's (LoRA)")
	fl.StringVar(&f.base, "base", "", "the model that an adapter is for [the one that its files name]")
	fl.StringVar(&f.prompt, "prompt", "", "what to answer; - or none: standard input")
	fl.StringVar(&f.prompts, "prompts", "", "a file of prompts, such as {\"prompt\": ...} a line: answers all of them, an object a line")
	fl.StringVar(&f.out, "out", "", "with --prompts: the file of answers, which is begun or gone on with")
	fl.IntVar(&f.batch, "batch", 16, "with --prompts: how many are answered together; when one ends the next takes its place")
	fl.StringVar(&f.system, "system", "", "system message before the prompt")
	fl.StringVar(&f.template, "template", "auto", "chat template: auto (the model's own), a shipped name, or a .jinja file")
	fl.StringVar(&f.precision, "precision", "auto",
		"of weights and cache: float32, bf16 (about twice as fast), or auto: bf16 where the file holds nothing else")
	fl.BoolVar(&f.raw, "raw", false, "continue the prompt as it is, without a chat template")
	fl.BoolVar(&f.greedy, "greedy", false, "always take the most probable token")
	fl.Float64Var(&f.temperature, "temperature", 0.7, "sampling temperature; 0 is the same as --greedy")
	fl.Float64Var(&f.topP, "top-p", 0.9, "sample from the most probable tokens that together reach this probability; "+
		"others are never drawn, the one that ends the answer among them")
	fl.IntVar(&f.maxNew, "max-new-tokens", 2048, "longest answer, in tokens")
	fl.Uint64Var(&f.seed, "seed", 42, "seed of the sampling; each prompt has a random stream of its own from it")
	fl.BoolVar(&f.json, "json", false, "print {ids, text, words, stop} instead of the text")
	fl.BoolVar(&f.compare, "compare", false, "two models answer, which are given as arguments: A B")
	addThreads(cmd)
	return cmd
}

// check refuses flags and arguments that make no sense.
func (f generateFlags) check(args []string) (err error) {
	switch {
	case f.compare && len(args) != 2:
		err = fmt.Errorf("--compare with %s, want two: --compare A B", human.Count(len(args), "model"))
	case f.compare && (f.model != "" || f.out != "" || f.base != "" || f.raw):
		err = errors.New("--compare beside --model, --out, --base or --raw, want none of them")
	case !f.compare && len(args) > 0:
		err = fmt.Errorf("%.60q is no flag, want a model as -m DIR, a prompt as --prompt TEXT", args[0])
	case !f.compare && f.model == "":
		err = errors.New("no model is given, want -m DIR, or --compare A B")
	case f.maxNew < 1:
		err = fmt.Errorf("--max-new-tokens %d, want at least 1", f.maxNew)
	case f.batch < 1:
		err = fmt.Errorf("--batch %d, want at least 1", f.batch)
	case f.prompts != "" && f.prompt != "":
		err = errors.New("there is --prompt and --prompts, want one of them")
	case f.out != "" && f.prompts == "":
		err = errors.New("--out without --prompts, want a file of prompts whose answers it is to hold")
	case !slices.Contains(session.Precisions, f.precision):
		err = fmt.Errorf("--precision is %q, want auto, bf16 or float32", f.precision)
	default:
		err = checkSampling(model.Sampling{Temperature: f.temperature, TopP: f.topP})
	}
	return fault.Usage(err)
}

func generate(cmd *cobra.Command, f generateFlags, args []string) error {
	if err := errors.Join(f.check(args), useThreads(cmd)); err != nil {
		return err
	}
	if f.greedy {
		f.temperature = 0
	}
	prompts, err := f.read(cmd)
	if err != nil {
		return err
	}
	if f.compare {
		return f.beside(cmd, [2]string(args), prompts)
	}
	g, err := session.OpenGenerator(cmd.Context(), f.model, f.base, show.Session(cmd.ErrOrStderr()))
	if err != nil {
		return err
	}
	defer g.Close()
	if !f.raw {
		if err := g.UseTemplate(f.template); err != nil {
			return fault.Hint(err, "--raw continues a prompt without a chat template; --template names another")
		}
	}
	job := f.job(prompts)
	if f.raw {
		job.System = ""
	}
	if f.prompts != "" {
		return f.many(cmd, g, job)
	}
	return f.one(cmd, g, job)
}

func (f generateFlags) job(prompts []record.Prompt) answers.Job {
	return answers.Job{
		Prompts: prompts, System: f.system, MaxTokens: f.maxNew, File: f.out,
		Sampling: model.Sampling{Temperature: f.temperature, TopP: f.topP, Seed: f.seed},
	}
}

// beside has two models answer, and shows their answers beside each other. What is wrong with either is known before the
// first one's weights are read.
func (f generateFlags) beside(cmd *cobra.Command, models [2]string, prompts []record.Prompt) error {
	job := f.job(prompts)
	requests := make([]llm.Request, len(prompts))
	for i := range requests {
		requests[i] = job.Request(i)
	}
	var opened [2]*session.Generator
	for side, name := range models {
		g, err := session.OpenGenerator(cmd.Context(), name, "", show.Session(cmd.ErrOrStderr()))
		if err != nil {
			return err // it names the model
		}
		if err = g.UseTemplate(f.template); err == nil {
			_, err = g.Decoder(1).Texts(requests)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		opened[side] = g
	}
	display := show.NewAnswering(cmd.ErrOrStderr(), 2*len(prompts), f.maxNew)
	ended, tokens := 0, 0
	compared, err := answers.Compare(cmd.Context(), job, models, func(side int) (llm.Answerer, func(), error) {
		err := opened[side].Load(f.precision)
		decoder := opened[side].Decoder(f.batch)
		decoder.Token = func(int, int32) { display.Token() }
		return decoder, opened[side].Close, err
	}, func(_ int, r llm.Reply) {
		ended, tokens = ended+1, tokens+r.Tokens
		display.Progress(ended, 0, tokens)
	})
	display.Close()
	if err != nil {
		return err
	}
	if f.json {
		return show.ComparedJSON(cmd.OutOrStdout(), compared)
	}
	show.Compared(cmd.OutOrStdout(), compared)
	return nil
}

// one answers one prompt: its text as it comes, or an object.
func (f generateFlags) one(cmd *cobra.Command, g *session.Generator, job answers.Job) error {
	ask := []llm.Request{job.Request(0)}
	ask[0].Sampling.Seed = f.seed
	if _, err := g.Decoder(1).Texts(ask); err != nil {
		return err
	}
	if err := g.Load(f.precision); err != nil {
		return err
	}
	out, decoder := cmd.OutOrStdout(), g.Decoder(1)
	if f.json {
		var ids []int32
		display := show.NewAnswering(cmd.ErrOrStderr(), 1, f.maxNew)
		defer display.Close()
		decoder.Token = func(_ int, id int32) {
			ids = append(ids, id)
			display.Token()
		}
		return llm.Answer(cmd.Context(), decoder, ask, func(_ int, r llm.Reply) error { return printAnswer(out, ids, r) })
	}
	stream := g.Tokenizer.Decoder()
	decoder.Token = func(_ int, id int32) {
		if !g.Tokenizer.IsSpecial(id) {
			io.WriteString(out, stream.Next(id))
		}
	}
	return llm.Answer(cmd.Context(), decoder, ask, func(_ int, r llm.Reply) error {
		_, err := fmt.Fprintln(out, stream.Flush())
		if r.Stop == model.StopLength {
			fmt.Fprintf(cmd.ErrOrStderr(), "(cut off at --max-new-tokens %d)\n", f.maxNew)
		}
		return err
	})
}

// many answers all prompts of a file: into another one as they end, or printed in the order
// of the prompts.
func (f generateFlags) many(cmd *cobra.Command, g *session.Generator, job answers.Job) error {
	if f.out != "" {
		settings := map[string]string{"system": job.System, "precision": f.precision}
		var err error
		if job.Identity, err = g.Identity(job, settings); err != nil {
			return err
		}
	}
	run, err := answers.Open(job)
	if err != nil {
		return err
	}
	defer run.Close()
	if _, err := g.Decoder(1).Texts(run.Requests()); err != nil {
		return err
	}
	if run.Left() == 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "all %s are in %s already\n", human.Count(run.Known, "answer"), f.out)
		return nil
	}
	if err := g.Load(f.precision); err != nil {
		return err
	}
	display := show.NewAnswering(cmd.ErrOrStderr(), len(job.Prompts), f.maxNew)
	if run.Known > 0 {
		display.Resumed(run.Known, run.Tokens)
	}
	decoder := g.Decoder(f.batch)
	ids := make([][]int32, len(job.Prompts)) // of answers that are printed
	decoder.Token = func(i int, id int32) {
		if f.out == "" {
			ids[i] = append(ids[i], id)
		}
		display.Token()
	}
	ended, tokens := run.Known, run.Tokens
	waiting, next := map[int]llm.Reply{}, 0 // answers that are printed when those before them are
	err = run.Do(cmd.Context(), decoder, func(i int, r llm.Reply) error {
		ended, tokens = ended+1, tokens+r.Tokens
		display.Progress(ended, 0, tokens)
		if f.out != "" {
			return nil
		}
		waiting[i] = r
		for {
			r, there := waiting[next]
			if !there {
				return nil
			}
			if err := printAnswer(cmd.OutOrStdout(), ids[next], r); err != nil {
				return err
			}
			delete(waiting, next)
			next++
		}
	})
	display.Close()
	if err != nil {
		if f.out != "" && status(err) == exitInterrupted {
			err = fault.Hint(fmt.Errorf("%w; %s of %s are kept in %s", err, human.Grouped(ended),
				human.Count(len(job.Prompts), "answer"), f.out), "this goes on from there: "+commandLine(cmd))
		}
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s, %s\n", human.Count(len(job.Prompts), "answer"), display.Took())
	return nil
}

// printAnswer prints what a prompt came to as a line of JSON.
func printAnswer(out io.Writer, ids []int32, r llm.Reply) error {
	return json.NewEncoder(out).Encode(struct {
		IDs   []int32 `json:"ids"`
		Text  string  `json:"text"`
		Words int     `json:"words"`
		Stop  string  `json:"stop"`
	}{orEmpty(ids), r.Text, prose.Words(r.Text), r.Stop})
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
