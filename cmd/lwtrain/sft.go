package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lwtrain/chat"
	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/hub"
	"lwtrain/internal/fault"
	"lwtrain/internal/kernels"
	"lwtrain/model"
	"lwtrain/train"
)

func newSFTCmd() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "sft",
		Short: "Fine-tune a model on conversations",
		Long: `Fine-tunes the model of a config on its conversations: next-token loss on the
assistant's tokens. Says first what will happen, then shows how it goes, and at
the end what changed and where everything lies.

A run that was interrupted goes on from its last checkpoint when the same
command is given again; Ctrl-C saves one before it stops.`,
		Example: `  lwtrain sft -c smollm2-quickstart
  lwtrain sft -c my.yaml train.learning_rate=2e-5 output.dir=runs/second
  lwtrain sft -c my.yaml --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(cmd, args)
			if err != nil {
				return err
			}
			return runTraining(cmd, c, conversations, dryRun)
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "do everything up to the first step, and write nothing")
	return cmd
}

// training is a way of training as its command runs it.
type training struct {
	pairs bool // on pairs of answers, not on conversations
	plan  func(*configs.Config, *data.Store) (*train.Plan, error)
	run   func(context.Context, train.Job) (train.Result, error)
}

var conversations = training{
	plan: func(c *configs.Config, s *data.Store) (*train.Plan, error) {
		return train.PlanRun(s, c.Packing, c.Train, c.Seed)
	},
	run: train.SFT,
}

// runTraining is a whole command of training.
func runTraining(cmd *cobra.Command, c *configs.Config, how training, dryRun bool) error {
	b, store, err := openRun(cmd, c, how.pairs, dryRun)
	if err != nil {
		return err
	}
	defer b.close()
	defer store.Close()
	out := cmd.OutOrStdout()
	if dryRun {
		return planOnly(out, cmd.ErrOrStderr(), c, b, store, how)
	}
	m, err := b.load()
	if err != nil {
		return err
	}
	defer m.Free()
	show := &runDisplay{out: out, err: cmd.ErrOrStderr(), c: c, b: b, store: store}
	defer show.close()
	job := newJob(c, b, store, how.pairs)
	job.Model, job.Events = m, show.events()
	result, err := how.run(cmd.Context(), job)
	show.close()
	if err != nil {
		return interrupted(err, cmd, result)
	}
	writeReport(cmd.ErrOrStderr(), c, store)
	printResult(out, c, result)
	return nil
}

// openRun opens the model and the data of a config, for training.
func openRun(cmd *cobra.Command, c *configs.Config, pairs, dryRun bool) (*base, *data.Store, error) {
	kernels.SetThreads(c.Threads)
	fetched, err := fetchData(cmd, c, dryRun)
	if err != nil {
		return nil, nil, err
	}
	b, err := openBase(cmd, c, dryRun)
	if r := c.DPO.Reference; err == nil && pairs && !dryRun && r != "initial" && r != "none" {
		if c.DPO.Reference, err = modelFolder(cmd, r, hub.WholeModel); err != nil {
			b.close()
		}
	}
	if err != nil {
		fetched()
		return nil, nil, err
	}
	model := b.close
	b.close = func() { model(); fetched() }
	store, err := buildStore(cmd, c, b.chat, data.Run{Pairs: pairs && !c.DPO.Labelled(), Labels: pairs && c.DPO.Labelled(), DryRun: dryRun})
	if err == nil && !dryRun {
		if err = b.fetchWeights(cmd); err != nil {
			store.Close()
		}
	}
	if err != nil {
		b.close()
		return nil, nil, err
	}
	return b, store, nil
}

// newJob is the run of a config, without its weights.
func newJob(c *configs.Config, b *base, store *data.Store, pairs bool) train.Job {
	return train.Job{
		Options: c.Train, Packing: c.Packing, DPO: c.DPO, Seed: c.Seed, Dir: c.Output.Dir, CacheDir: c.Data.CacheDir,
		Data: store, Tokenizer: b.tok, Stop: b.chat.Stop(),
		Sample:   train.SampleOptions{Prompts: c.Sample.Prompts, MaxNewTokens: c.Sample.MaxNewTokens, Temperature: c.Sample.Temperature},
		Identity: identity(c, store, pairs),
		Config:   c.Resolved(),
	}
}

// buildStore tokenises the data of a config, with a progress bar.
func buildStore(cmd *cobra.Command, c *configs.Config, template *chat.Template, run data.Run) (*data.Store, error) {
	bar := newProgress(cmd.ErrOrStderr(), "tokenising", 0)
	const kib = 1 << 10
	run.Seed = c.Seed
	adjust, restore := collectLess()
	defer restore()
	run.Progress = func(done, total int64) {
		adjust()
		bar.SetTotal((total + kib - 1) / kib)
		bar.Set((done+kib-1)/kib, "KiB")
	}
	store, err := data.Build(cmd.Context(), c.Data, template, run)
	if err != nil {
		bar.abandon()
		return nil, err
	}
	bar.Done()
	return store, nil
}

// identity is what makes this run this run, but for its model.
func identity(c *configs.Config, store *data.Store, pairs bool) train.Identity {
	kind := "sft"
	if pairs {
		kind = "dpo"
	}
	return train.Identity{Contents: store.Contents(), Settings: c.Settings(kind)}
}

// planOnly prints what a run would do, without its weights.
func planOnly(out, w io.Writer, c *configs.Config, b *base, store *data.Store, how training) error {
	plan, err := how.plan(c, store)
	if err != nil {
		return err
	}
	memory, err := train.PlanMemory(model.Plan(b.config), c.Packing.Capacity, c.Train)
	if err != nil {
		return err
	}
	printPlan(out, c, b, store, plan, memory)
	warnMemory(w, memory)
	step, err := train.CheckFolder(c.Output.Dir, identity(c, store, how.pairs))
	if err != nil {
		return err
	}
	if step > 0 {
		fmt.Fprintf(out, "\nThe run would go on from step %d.\n", step)
	}
	fmt.Fprintln(out, "\nThis was a dry run: nothing was written.")
	return nil
}

// warnMemory says so when a run needs more than there is, and what would help.
func warnMemory(w io.Writer, m *train.Memory) {
	if m.Total() <= m.Limit {
		return
	}
	help := "a smaller packing.capacity"
	if m.Activations < m.Total()/2 {
		help = "a smaller model or a larger machine"
	}
	warn(w, "this run needs %s and %s are free: it would be killed; %s would help", bytesText(m.Total()), bytesText(m.Limit), help)
}

// interrupted adds the way to go on to the error of a stopped run.
func interrupted(err error, cmd *cobra.Command, r train.Result) error {
	if status(err) != exitInterrupted {
		return err
	}
	if r.Checkpoint == "" {
		return fmt.Errorf("%w before the first step; nothing is lost", err)
	}
	return fault.Hint(fmt.Errorf("%w after step %d, saved in %s", err, r.Steps, r.Checkpoint), "this goes on from there: "+commandLine(cmd))
}

// commandLine is what a command was called with, for a shell.
func commandLine(cmd *cobra.Command) string {
	out := cmd.CommandPath()
	add := func(arg string) {
		if arg == "" || strings.ContainsFunc(arg, func(r rune) bool {
			return !strings.ContainsRune("-_=./:,+%@", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
		}) {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		out += " " + arg
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch {
		case f.Value.Type() == "bool":
			add("--" + f.Name)
		case f.Shorthand != "":
			add("-" + f.Shorthand)
			add(f.Value.String())
		default:
			add("--" + f.Name + "=" + f.Value.String())
		}
	})
	for _, a := range cmd.Flags().Args() {
		add(a)
	}
	return out
}

// labelled prints lines of a summary, each behind its label.
func labelled(w io.Writer) func(label, format string, args ...any) {
	return func(label, format string, args ...any) {
		fmt.Fprintf(w, "%-9s %s\n", label, printable(fmt.Sprintf(format, args...)))
	}
}

// printPlan says what will happen.
func printPlan(w io.Writer, c *configs.Config, b *base, store *data.Store, p *train.Plan, m *train.Memory) {
	line := labelled(w)
	line("model", "%s: %s, %s parameters", b.name, b.config.Type, scaled(float64(b.config.Parameters())))
	mix := store.Mix()
	samples, heldOut := count(mix.Samples, "sample"), mix.HeldOut
	switch {
	case p.Labelled:
		samples = count(mix.Samples, "labelled answer")
	case p.Pairs > 0: // two samples each
		samples, heldOut = count(mix.Samples/2, "pair"), mix.HeldOut/2
	}
	line("data", "%s, %s tokens, %s of them targets; %d held out",
		samples, grouped(mix.Tokens), grouped(mix.TargetTokens), heldOut)
	for _, s := range dropNotes(mix) {
		line("", "%s", s)
	}
	if p.Pairs > 0 {
		printPairs(line, c, p)
	} else {
		printPacks(line, c, p)
	}
	line("memory", "%s of %s free", bytesText(m.Total()), bytesText(m.Limit))
	line("", "weights %s, gradients %s, optimiser %s", bytesText(m.Weights+m.Half), bytesText(m.Gradients), bytesText(m.Optimizer))
	line("", "activations %s: %s", bytesText(m.Activations), m.RecomputedText())
	line("machine", "%s", m.Machine())
	if refused := kernels.Describe().Refused; refused != "" {
		line("", "not used: %s", refused)
	}
	line("output", "%s", c.Output.Dir)
}

// printPacks says how conversations are packed and weighed.
func printPacks(line func(label, format string, args ...any), c *configs.Config, p *train.Plan) {
	line("packs", "%s of %s tokens, %.1f %% full, %.1f samples each", grouped(int64(p.Packs)), grouped(int64(p.Capacity)),
		100*p.Fill(), float64(p.Documents)/float64(p.Packs))
	line("loss", "weighting %s: who carries how much of it", c.Packing.Weighting)
	for _, kind := range []string{"source", "words"} {
		for _, text := range shareLines(p.Shares, kind) {
			line("", "%s", text)
		}
	}
	perStep := c.Train.PerDeviceTrainBatchSize * c.Train.GradientAccumulationSteps
	line("run", "%s of %s = %.4g epochs", count(p.Schedule.Total, "step"), count(min(perStep, p.Packs), "pack"), p.Epochs)
	if perStep > p.Packs {
		line("", "a step could take %d packs, and there are only %d", perStep, p.Packs)
	}
	line("", "learning rate: %s, peak %.2g, warm-up %s", p.Schedule.Type, p.Schedule.Peak, count(p.Schedule.Warmup, "step"))
}

// dropNotes says what of the data is not trained on.
func dropNotes(s data.SourceStats) []string {
	var out []string
	if len(s.Dropped) > 0 {
		out = append(out, "dropped: "+countsText(s.Dropped))
	}
	if s.Cut > 0 {
		out = append(out, fmt.Sprintf("longer than data.max_length: %s cut, into %s in all", count(s.Cut, "sample"), count(s.Pieces, "piece")))
	}
	if s.LostTokens > 0 {
		out = append(out, grouped(s.LostTokens)+" tokens lost to data.max_length")
	}
	return out
}

// shareLines lists the shares of a kind in lines of at most 70 columns.
func shareLines(shares []train.Share, kind string) []string {
	lines := []string{map[string]string{"source": "by source:", "words": "by words of the answer:"}[kind]}
	for _, s := range shares {
		if s.Kind != kind {
			continue
		}
		last := &lines[len(lines)-1]
		part := fmt.Sprintf(" %s %.1f %%", s.Name, 100*s.Loss)
		switch {
		case len(*last)+len(part) > 69:
			*last += ","
			lines = append(lines, " "+part)
		case strings.HasSuffix(*last, ":"):
			*last += part
		default:
			*last += "," + part
		}
	}
	return lines
}

// printResult says what came out of a run, and what to do with it.
func printResult(w io.Writer, c *configs.Config, r train.Result) {
	line := labelled(w)
	fmt.Fprintln(w)
	if r.AlreadyThere {
		line("done", "the run had been finished before, with step %d", r.Steps)
	} else {
		line("done", "%s in %s, %.0f tokens/s, at most %s of memory", count(r.Steps-r.Resumed, "step"), span(r.Elapsed),
			r.TokensPerSecond(), bytesText(r.PeakRSS))
		line("loss", "%.4f at the first step, %.4f at the last", r.FirstLoss, r.LastLoss)
	}
	if r.FirstEval != nil && r.LastEval != nil {
		line("held out", "%.4f before, %.4f after", r.FirstEval.Loss, r.LastEval.Loss)
	}
	printPreferences(line, r)
	for _, a := range r.Answers {
		printAnswer(w, a)
	}
	fmt.Fprintln(w)
	line("model", "%s", r.Checkpoint)
	line("", "(Hugging Face layout: transformers loads it, too)")
	line("metrics", "%s", r.MetricsFile)
	if len(r.Answers) > 0 {
		line("answers", "%s", filepath.Join(c.Output.Dir, "answers.json"))
	}
	line("report", "%s", filepath.Join(c.Output.Dir, reportFile))
	line("config", "%s", filepath.Join(c.Output.Dir, "config.yaml"))
	line("next", "lwtrain generate -m %s \\", r.Checkpoint)
	line("", "  --prompt \"Write a 1000-word story about a lighthouse\"")
}

// printAnswer shows how an answer changed.
func printAnswer(w io.Writer, a train.Answer) {
	fmt.Fprintf(w, "\nheld-out prompt, %s\n", printable(a.Origin))
	fmt.Fprint(w, wrapped(a.Prompt, 2, 0))
	show := func(label string, t train.Text) {
		end := ""
		if t.Stop == "length" {
			end = ", cut off at sample.max_new_tokens"
		}
		if t.Repeated >= 0.01 {
			end = fmt.Sprintf(", %.0f %% of them in phrases that came before%s", 100*t.Repeated, end)
		}
		fmt.Fprintf(w, "\n  %s: %s%s\n%s", label, count(t.Words, "word"), end, wrapped(t.Text, 3, 2))
	}
	show("before", a.Before)
	if a.After != nil {
		show("after", *a.After)
	}
	fmt.Fprintf(w, "\n  the data's answer: %s\n", count(a.Reference.Words, "word"))
}
