package show

import (
	"fmt"
	"io"
	"strings"

	"lwtrain/configs"
	"lwtrain/eval"
	"lwtrain/internal/human"
	"lwtrain/internal/stats"
	"lwtrain/internal/terminal"
	"lwtrain/session"
)

// EvalPlan says what an evaluation asks, and of whom.
func EvalPlan(w io.Writer, c *configs.Config, run *session.Eval) {
	line := terminal.Summary(w)
	o := c.Eval
	from := o.Server.Who()
	if m := run.Model; m != nil {
		from = m.Describe()
	}
	line("model", "%s", from)
	label := "tasks"
	for _, t := range run.Tasks {
		line(label, "%s: %s", t.Name, human.Count(len(t.Items), "prompt"))
		label = ""
	}
	line("answers", "%d to each, at most %s tokens, temperature %g, top-p %g",
		o.Samples, human.Grouped(o.MaxNewTokens), o.Temperature, o.TopP)
	if o.Temperature == 0 && o.Samples > 1 && run.Model != nil {
		line("", "at temperature 0 all answers to a prompt are the same: eval.samples=1 says as much")
	}
	if o.TopP < 1 {
		line("", "a top-p below 1 may cut off the token that ends an answer")
	}
	memoryToAnswer(line, run.Needs())
	line("output", "%s", c.Output.Dir)
}

// memoryToAnswer says what memory a model of our own takes to answer, where one does.
func memoryToAnswer(line func(label, format string, args ...any), n session.AnswerNeeds) {
	if n.Batch == 0 {
		return
	}
	line("memory", "%s of weights, up to %s of keys and values for %s", human.Bytes(n.Weights), human.Bytes(n.Cache),
		human.Count(n.Batch, "answer"))
	if n.Batch < n.Most {
		line("", "%d together would not fit into the memory that is free", n.Most)
	}
}

// EvalResult says what came of a task.
func EvalResult(w io.Writer, x eval.Scored) {
	line := terminal.Summary(w)
	s := x.Summary
	line(s.Task, "%s to %s", human.Count(s.N, "answer"), human.Count(s.Prompts, "prompt"))
	if s.Missing > 0 {
		line("", "%s of the task without an answer", human.Count(s.Missing, "prompt"))
	}
	if len(s.Failed) > 0 {
		line("", "no answers: %s", human.Counts(s.Failed))
	}
	if s.N == 0 {
		return
	}
	if s.Compat != "" {
		line("", "measures are as the benchmark's code has them, not its paper")
	}
	if s.Note != "" {
		line("", "%s", s.Note)
	}
	figure := func(label, before, format string, v *float64, ci *stats.Interval) {
		if v == nil {
			return
		}
		text := before + fmt.Sprintf(format, *v)
		if ci != nil {
			text += fmt.Sprintf("  (95 %%: "+format+" to "+format+")", ci[0], ci[1])
		}
		line(label, "%s", text)
	}
	for _, m := range s.Measures {
		figure(m.Name, "", "%.1f", m.Mean, m.CI)
	}
	figure("S_l", "", "%.1f", s.Length, s.Intervals["s_l"])
	for _, r := range s.ByLength {
		figure("", fmt.Sprintf("%-13s  %3d  ", r.Range, r.N), "%5.1f", r.Score, r.CI)
	}
	line("words", "mean %.0f, median %.0f, P90 %.0f, longest %s", s.Words.Mean, s.Words.Median, s.Words.P90, human.Grouped(s.Words.Max))
	if s.Words.Survived != nil && s.Ended != nil && *s.Ended < 1 {
		line("", "median %.0f if those that were cut off had gone on (Kaplan-Meier)", *s.Words.Survived)
	}
	if s.Words.Longest != nil {
		line("", "%s in the longest that ended and does not loop", human.Grouped(*s.Words.Longest))
	}
	figure("ended", "", "%.3f", s.Ended, s.Intervals["ended"])
	figure("repeated", "", "%.3f", s.Repeated, s.Intervals["repeated"])
	if s.Loops > 0 {
		line("", "%s in a loop", human.Count(s.Loops, "answer"))
	}
	if s.Judge != nil {
		judged(line, *s.Judge)
	}
	figure("language", "kept by ", "%.3f", s.Kept, nil)
}

// judged says what a judge said.
func judged(line func(label, format string, args ...any), j eval.Judged) {
	by := fmt.Sprintf("%s, %s: %d of %d read", j.Judge, j.Mode, j.Rated, j.N)
	switch {
	case j.Mode == "pair":
		line("judge", "%s", by)
	case j.Quality == nil:
		line("S_q", "-  (%s)", by)
	case j.CI != nil:
		line("S_q", "%.1f  (95 %%: %.1f to %.1f; %s)", *j.Quality, j.CI[0], j.CI[1], by)
	default:
		line("S_q", "%.1f  (%s)", *j.Quality, by)
	}
	if j.Overall != nil {
		line("", "%.1f the mean of S_l and S_q", *j.Overall)
	}
	names, means := j.Marks()
	for i, name := range names {
		if means[i] != nil {
			line("", "%.2f %s", *means[i], name)
		}
	}
	for _, text := range j.Says() {
		line("", "%s", text)
	}
}

// Comparison sets two evaluations side by side.
func Comparison(w io.Writer, c eval.Comparison) {
	fmt.Fprintf(w, "A  %s\nB  %s\n", terminal.Printable(c.A), terminal.Printable(c.B))
	task := ""
	for _, m := range c.Metrics {
		if m.Task != task {
			task = m.Task
			fmt.Fprintf(w, "\n%-20s %9s %9s %9s  %-20s %5s %5s %5s\n", task, "A", "B", "B - A", "95 %", "wins", "ties", "losses")
		}
		ci := ""
		if m.CI != nil {
			ci = human.Short(m.CI[0]) + " to " + human.Short(m.CI[1])
		}
		line := fmt.Sprintf("%-20s %9s %9s %9s  %-20s %5d %5d %5d", m.Metric, human.Short(m.A), human.Short(m.B), human.Short(m.Diff), ci,
			m.Wins, m.Ties, m.Losses)
		fmt.Fprintln(w, strings.TrimRight(line, " "))
		if m.Note != "" && m.Metric == "words" {
			fmt.Fprintf(w, "%-20s %s\n", "", m.Note)
		}
		if a, b := m.Only[0], m.Only[1]; a+b > 0 && m.Metric == "words" {
			fmt.Fprintf(w, "%-20s prompts that one alone answered are left out: A %d, B %d\n", "", a, b)
		}
	}
	for _, one := range []struct {
		name  string
		tasks []string
	}{{"A", c.OnlyA}, {"B", c.OnlyB}} {
		if len(one.tasks) > 0 {
			fmt.Fprintf(w, "\nnot compared, of %s alone: %s\n", one.name, terminal.Printable(strings.Join(one.tasks, ", ")))
		}
	}
}
