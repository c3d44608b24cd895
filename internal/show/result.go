package show

import (
	"fmt"
	"io"
	"path/filepath"

	"lwtrain/configs"
	"lwtrain/internal/human"
	"lwtrain/internal/rundir"
	"lwtrain/internal/terminal"
	"lwtrain/model"
	"lwtrain/session"
	"lwtrain/train"
)

// Result says what came out of a run, and what to do with it.
func Result(w io.Writer, c *configs.Config, r train.Result) {
	line := terminal.Labelled(w)
	fmt.Fprintln(w)
	switch {
	case r.AlreadyThere:
		line("done", "the run had been finished before, with step %d", r.Steps)
	default:
		line("done", "%s in %s, %s tokens/s, at most %s of memory", human.Count(r.Steps, "step"), human.Span(r.Elapsed),
			human.Speed(r.TokensPerSecond()), human.Bytes(r.PeakRSS))
		if r.Resumed > 0 {
			line("", "%s of them in %s, going on from step %d", human.Grouped(r.Steps-r.Resumed), human.Span(r.Here), r.Resumed)
		}
		line("loss", "%.4f at the first step, %.4f at the last", r.FirstLoss, r.LastLoss)
	}
	if r.Stopped {
		line("", "it ended early: the held-out loss was not better in %s (train.early_stopping_patience)",
			human.Count(c.Train.EarlyStoppingPatience, "measurement"))
	}
	if r.FirstEval != nil && r.LastEval != nil {
		line("held out", "%.4f before, %.4f after", r.FirstEval.Loss, r.LastEval.Loss)
	}
	printPreferences(line, r)
	if r.Best != nil {
		line("best", "%s", bestText(*r.Best))
	}
	for _, a := range r.Answers {
		printAnswer(w, a)
	}
	fmt.Fprintln(w)
	line("model", "%s", r.Checkpoint)
	if c.LoRA.On() {
		line("", "(an adapter: PEFT and vLLM load it, too; `lwtrain export` merges it)")
	} else {
		line("", "(Hugging Face layout: transformers loads it, too)")
	}
	line("metrics", "%s", r.MetricsFile)
	if len(r.Answers) > 0 {
		line("answers", "%s", filepath.Join(c.Output.Dir, rundir.Answers))
	}
	line("report", "%s", filepath.Join(c.Output.Dir, session.ReportFile))
	line("config", "%s", filepath.Join(c.Output.Dir, rundir.Config))
	line("next", "lwtrain generate -m %s \\", terminal.ShellWord(r.Checkpoint))
	line("", "  --prompt \"Write a 1000-word story about a lighthouse\"")
}

// bestText says where the held-out loss was lowest, and which checkpoint is nearest to that.
func bestText(b train.Best) string {
	at := fmt.Sprintf("held-out loss %.4f at step %d", b.Loss, b.Step)
	if b.Step == 0 {
		at = fmt.Sprintf("held-out loss %.4f, before the first step", b.Loss)
	}
	switch c := b.Checkpoint; {
	case c == nil:
		return at + "; no checkpoint is of a step at which it was measured"
	case c.Step == b.Step:
		return at + ": " + c.Path
	default:
		return fmt.Sprintf("%s; of the checkpoints %.4f: %s", at, c.Loss, c.Path)
	}
}

// printAnswer shows how an answer changed.
func printAnswer(w io.Writer, a train.Answer) {
	fmt.Fprintf(w, "\nheld-out prompt, %s\n", terminal.Printable(a.Origin))
	fmt.Fprint(w, terminal.Wrapped(a.Prompt, 2, 0))
	show := func(label string, t train.Text) {
		end := ""
		if t.Stop == model.StopLength {
			end = ", cut off at sample.max_new_tokens"
		}
		if t.Repeated >= 0.01 {
			end = fmt.Sprintf(", %.0f %% of them in phrases that came before%s", 100*t.Repeated, end)
		}
		fmt.Fprintf(w, "\n  %s: %s%s\n%s", label, human.Count(t.Words, "word"), end, terminal.Wrapped(t.Text, 3, 2))
	}
	if a.Before != nil {
		show("before", *a.Before)
	} else {
		fmt.Fprint(w, "\n  before: not known\n")
	}
	if a.After != nil {
		show("after", *a.After)
	}
	fmt.Fprintf(w, "\n  the data's answer: %s\n", human.Count(a.Reference.Words, "word"))
}

// printPreferences says how the held-out pairs changed.
func printPreferences(line func(label, format string, args ...any), r train.Result) {
	if r.FirstEval == nil || r.LastEval == nil || r.LastEval.Values == nil {
		return
	}
	before, after := r.FirstEval.Values, r.LastEval.Values
	if _, paired := after["rewards/accuracies"]; !paired {
		if margin, ok := after["rewards/margins"]; ok {
			line("", "margin %.4f before, %.4f after; kl %.4f", before["rewards/margins"], margin, after["kl"])
		}
		return
	}
	ties := ""
	if before["rewards/ties"] > 0 {
		ties = fmt.Sprintf(" (ties %.3f)", before["rewards/ties"])
	}
	line("", "accuracy %.3f before%s, %.3f after; margin %.4f and %.4f", before["rewards/accuracies"], ties, after["rewards/accuracies"],
		before["rewards/margins"], after["rewards/margins"])
	if x, ok := after["margin_length_correlation"]; ok {
		line("", "margins go with lengths by a correlation of %.2f", x)
	}
}
