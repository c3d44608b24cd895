package show

import (
	"fmt"
	"io"
	"math"
	"time"

	"lwtrain/configs"
	"lwtrain/experiment"
	"lwtrain/internal/human"
	"lwtrain/internal/stats"
	"lwtrain/internal/terminal"
	"lwtrain/lengthcap"
	"lwtrain/train"
)

// ExperimentPlan says what an experiment will do, and how long it takes.
func ExperimentPlan(w io.Writer, c *configs.Config, x *lengthcap.Experiment) {
	line := terminal.Summary(w)
	p, o := x.Plan, c.Experiment
	line("model", "%s", x.Model.Describe())
	line("documents", "%s to train on, %d held out", human.Grouped(p.Documents), p.HeldOut)
	if p.Short > 0 {
		line("", "%s shorter than %s words: left out", human.Count(p.Short, "document"), human.Grouped(o.Longest()))
	}
	label := "models"
	for _, a := range p.Arms {
		text := a.Name
		if a.Cap > 0 {
			text += fmt.Sprintf(": %s, %s target tokens, %s ends of answers, %.1f epochs",
				human.Count(a.Steps, "step"), human.Grouped(a.Targets), human.Grouped(a.Answers), a.Epochs)
		}
		line(label, "%s", text)
		label = ""
	}
	line("answers", "%d to each of %s, at most %s tokens, temperature %g, top-p %g", o.Samples, human.Count(p.Prompts, "prompt"),
		human.Grouped(p.MaxTokens), o.Temperature, o.TopP)
	if most := x.Model.Config.MaxTokens; most > 0 && p.MaxTokens > most {
		line("", "the model has seen positions up to %s: what is longer is new to it", human.Grouped(most))
	}
	part := func(seconds float64) string { return human.Span(time.Duration(seconds * float64(time.Second))) }
	line("time", "some %s: training %s, reading %s, answering %s, of %g hours", part(p.Seconds()), part(p.Training), part(p.Reading),
		part(p.Answering), o.Hours)
	if x.Known {
		line("", "it goes on with what is there")
	}
	line("output", "%s", c.Output.Dir)
}

// ExperimentResult says what came of an experiment.
func ExperimentResult(w io.Writer, r experiment.Result) {
	reach := func(ci *stats.Interval) string {
		switch { // -1: that end is not reached
		case ci == nil || ci[0] < 0:
			return ""
		case ci[1] < 0:
			return fmt.Sprintf("%.0f-", math.Round(ci[0]))
		}
		return fmt.Sprintf("%.0f-%.0f", math.Round(ci[0]), math.Round(ci[1]))
	}
	number := func(v *float64) string {
		if v == nil {
			return "-"
		}
		return fmt.Sprintf("%.0f", math.Round(*v))
	}
	fmt.Fprintf(w, "\n%-18s %5s %5s %6s %-12s %5s %7s %6s %-12s %5s\n",
		"model", "ended", "loops", "median", "95 %", "P90", "longest", "KM", "95 %", "S_l")
	for _, a := range r.Arms {
		longest, score := "-", "-"
		if a.Max != nil {
			longest = fmt.Sprint(*a.Max)
		}
		if a.Length != nil {
			score = fmt.Sprintf("%.1f", *a.Length)
		}
		fmt.Fprintf(w, "%-18s %4.0f%% %5d %6s %-12s %5s %7s %6s %-12s %5s\n",
			a.Name, 100*a.Ended, a.Loops, number(a.Median), reach(a.MedianCI),
			number(a.P90), longest, number(a.KMedian), reach(a.KMedianCI), score)
	}
	fmt.Fprintln(w)
	for _, c := range r.Holds {
		answer := "no "
		if c.Holds {
			answer = "yes"
		}
		terminal.Hang(w, answer+"  ", c.Text)
	}
}

// Experiment shows how far an experiment is.
type Experiment struct {
	w   io.Writer
	bar *terminal.Progress
}

// NewExperiment begins a display. Close it at the end.
func NewExperiment(w io.Writer) *Experiment { return &Experiment{w: w} }

// Close ends the display.
func (d *Experiment) Close() {
	if d.bar != nil {
		d.bar.Abandon()
		d.bar = nil
	}
}

func (d *Experiment) next(label string, total int) {
	d.Close()
	d.bar = terminal.NewProgress(d.w, label, int64(total))
}

// Events are what the experiment tells.
func (d *Experiment) Events() lengthcap.Events {
	say := func(format string, args ...any) {
		d.Close()
		fmt.Fprintln(d.w, terminal.Printable(fmt.Sprintf(format, args...)))
	}
	return lengthcap.Events{
		Session:   Session(d.w),
		Measuring: func() { say("measuring how fast this machine trains and writes") },
		Arm: func(i, of int, a experiment.Arm) {
			d.Close()
			fmt.Fprintln(d.w)
			say("model %d of %d: %s", i+1, of, a.Name)
		},
		Training: func(a experiment.Arm, e *train.Events) {
			e.Resumed = func(step int, _ string) { say("going on from step %d", step) }
			e.Training = func(step int) {
				d.next("training", a.Steps)
				d.bar.Set(int64(step), "")
			}
			e.Step = func(m train.StepMetrics) {
				d.bar.Set(int64(m.Step), fmt.Sprintf("loss %.3f  %s tok/s", m.Loss, human.Speed(m.TokensPerSecond)))
			}
		},
		Read: func(_ experiment.Arm, done, of int) {
			if done == 1 {
				d.next("reading", of)
			}
			d.bar.Set(int64(done), "held-out answers")
		},
		Answered: func(_ experiment.Arm, done, of, tokens int) {
			if done == 1 {
				d.next("answering", of)
			}
			d.bar.Set(int64(done), fmt.Sprintf("answers  %s tokens", human.Grouped(tokens)))
		},
	}
}
