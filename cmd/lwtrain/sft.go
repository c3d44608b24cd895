package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/engine"
	"lwtrain/internal/fault"
	"lwtrain/internal/kernels"
	"lwtrain/model"
	"lwtrain/session"
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
			return runTraining(cmd, args, session.SFT, dryRun)
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "do everything up to the first step, and write nothing")
	return cmd
}

// runTraining is a whole command of training.
func runTraining(cmd *cobra.Command, args []string, how session.Method, dryRun bool) error {
	s, err := openSession(cmd, args, dryRun)
	if err != nil {
		return err
	}
	defer s.Close()
	run, err := s.Run(cmd.Context(), how)
	if err != nil {
		return err
	}
	defer run.Close()
	out := cmd.OutOrStdout()
	if dryRun {
		return planOnly(out, cmd.ErrOrStderr(), s.Config, run)
	}
	show := &runDisplay{out: out, err: cmd.ErrOrStderr(), c: s.Config, run: run}
	defer show.close()
	result, err := run.Do(cmd.Context(), show.events())
	show.close()
	if err != nil {
		return interrupted(err, cmd, result)
	}
	if err := run.WriteReport(); err != nil { // the run is done: no reason to fail
		warn(cmd.ErrOrStderr(), "no report: %v", err)
	}
	printResult(out, s.Config, result)
	return nil
}

// planOnly prints what a run would do, without its weights.
func planOnly(out, w io.Writer, c *configs.Config, run *session.Run) error {
	plan, err := run.Plan()
	if err != nil {
		return err
	}
	memory, err := run.Needs()
	if err != nil {
		return err
	}
	printPlan(out, c, run, plan, memory)
	warnMemory(w, memory)
	step, err := run.Check()
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
func warnMemory(w io.Writer, m engine.Needs) {
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
func printPlan(w io.Writer, c *configs.Config, run *session.Run, p *train.Plan, m engine.Needs) {
	line := labelled(w)
	line("model", "%s", modelText(run.Model))
	mix := run.Data.Mix()
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
	line("", "activations %s: %s", bytesText(m.Activations), m.Recomputed)
	line("machine", "%s", m.Machine)
	if refused := kernels.Describe().Refused; refused != "" {
		line("", "not used: %s", refused)
	}
	line("output", "%s", c.Output.Dir)
}

func modelText(m *session.Model) string {
	return fmt.Sprintf("%s: %s, %s parameters", m.Name, m.Config.Type, scaled(float64(m.Config.Parameters())))
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
	line("report", "%s", filepath.Join(c.Output.Dir, session.ReportFile))
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
		if t.Stop == model.StopLength {
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
