package main

import (
	"fmt"
	"io"
	"strings"

	"lwtrain/configs"
	"lwtrain/data"
	"lwtrain/train"
)

// runDisplay shows a run as it goes.
type runDisplay struct {
	out, err io.Writer
	c        *configs.Config
	b        *base
	store    *data.Set
	bar      *progress
	atMost   bool // the bar's total is an upper bound
	total    int
}

func (d *runDisplay) close() {
	if d.bar == nil {
		return
	}
	if d.atMost {
		d.bar.abandon() // it need not have come to its end
	} else {
		d.bar.Done()
	}
	d.bar = nil
}

// next begins another bar.
func (d *runDisplay) next(label string, total int) {
	d.close()
	d.bar, d.atMost = newProgress(d.err, label, int64(total)), false
}

func (d *runDisplay) say(format string, args ...any) {
	if d.bar != nil {
		d.bar.Println(fmt.Sprintf(format, args...))
	} else {
		fmt.Fprintln(d.err, printable(fmt.Sprintf(format, args...)))
	}
}

func (d *runDisplay) events() train.Events {
	return train.Events{
		Planned: func(p *train.Plan, m *train.Memory) {
			d.total = p.Schedule.Total
			printPlan(d.out, d.c, d.b, d.store, p, m)
			warnMemory(d.err, m)
			fmt.Fprintln(d.out)
		},
		Broken: func(path string, reason error) { warn(d.err, "%s is damaged and passed over: %v", path, reason) },
		Moved: func(then, now string) {
			warn(d.err, "the run was made with %s, and goes on with %s: not to the same bytes", then, now)
		},
		Resumed: func(step int, from string) {
			if from == "" {
				d.say("no complete checkpoint is there: starting from step 0")
				return
			}
			d.say("going on from step %d (%s)", step, from)
		},
		Scoring: func(tokens, most int64) {
			if d.bar == nil {
				d.next("asking the reference", int(most))
			}
			if d.bar.Set(tokens, "tokens"); tokens == most {
				d.close()
			}
		},
		Answering: func(tokens, most int) {
			if tokens == 1 {
				d.next("answering held-out prompts", most)
				d.atMost = true
			}
			d.bar.Set(int64(tokens), "tokens at most")
		},
		Training: func(step int) {
			d.next("training", d.total)
			d.bar.Set(int64(step), "")
		},
		Step: func(m train.StepMetrics) {
			if m.Step%d.c.Train.LoggingSteps == 0 || m.Step == d.total {
				d.bar.Set(int64(m.Step), fmt.Sprintf("loss %.3f%s  lr %.1e  %.0f tok/s", m.Loss, marginText(m.Values), m.LearningRate, m.TokensPerSecond))
			}
		},
		Eval: func(m train.EvalMetrics) {
			d.say("step %d: held-out loss %s%s", m.Step, evalText(m), preferenceText(m.Values))
		},
		Saved: func(step int, path string) { d.say("step %d: saved %s", step, path) },
	}
}

// evalText is a held-out loss, by source where there are several.
func evalText(m train.EvalMetrics) string {
	text := fmt.Sprintf("%.4f", m.Loss)
	if len(m.Sources) < 2 {
		return text
	}
	var parts []string
	for _, s := range m.Sources {
		parts = append(parts, fmt.Sprintf("%s %.4f", s.Name, s.Loss))
	}
	return text + " (" + strings.Join(parts, ", ") + ")"
}
