package show

import (
	"fmt"
	"io"
	"strings"
	"time"

	"lwtrain/configs"
	"lwtrain/engine"
	"lwtrain/internal/human"
	"lwtrain/internal/terminal"
	"lwtrain/session"
	"lwtrain/train"
)

// Training shows a run as it goes: its plan on one writer, all else on another.
type Training struct {
	out, err io.Writer
	c        *configs.Config
	run      *session.Run
	room     session.Room
	time     session.Outlook
	bar      *terminal.Progress
	atMost   bool // the bar's total is an upper bound
	total    int
	writing  bool // the bar is that of what is written at an evaluation
}

// NewTraining begins a display. Call Close at the end.
func NewTraining(out, err io.Writer, c *configs.Config, run *session.Run, room session.Room, time session.Outlook) *Training {
	return &Training{out: out, err: err, c: c, run: run, room: room, time: time}
}

// Close ends the display.
func (d *Training) Close() {
	if d.bar == nil {
		return
	}
	if d.atMost {
		d.bar.Abandon() // it need not have come to its end
	} else {
		d.bar.Done()
	}
	d.bar = nil
}

// next begins another bar.
func (d *Training) next(label string, total int) {
	d.Close()
	d.bar, d.atMost = terminal.NewProgress(d.err, label, int64(total)), false
}

func (d *Training) say(format string, args ...any) {
	if d.bar != nil {
		d.bar.Println(fmt.Sprintf(format, args...))
	} else {
		fmt.Fprintln(d.err, terminal.Printable(fmt.Sprintf(format, args...)))
	}
}

// Events are what the run tells.
func (d *Training) Events() train.Events {
	return train.Events{
		Planned: func(p *train.Plan, m engine.Needs) {
			d.total = p.Schedule.Total
			Plan(d.out, d.c, d.run, p, m, d.room, d.time)
			WarnMemory(d.err, m)
			fmt.Fprintln(d.out)
		},
		Broken: func(path string, reason error) { Warn(d.err, "%s is damaged and passed over: %v", path, reason) },
		Mended: func(path, what string) { d.say("lwtrain: warning: %s: %s", path, what) },
		Moved: func(then, now string) {
			Warn(d.err, "the run was made with %s, and goes on with %s: not to the same bytes", then, now)
		},
		Resumed: func(step int, from string) {
			if from == "" {
				d.say("no complete checkpoint is there: starting from step 0")
				return
			}
			d.say("going on from step %d (%s)", step, from)
		},
		Asking: func(replies int, tokens int64) {
			text := fmt.Sprintf("asking the reference about %s, %s", human.Grouped(replies)+" answers", human.Grouped(tokens)+" tokens")
			if t := d.time.Reference; t >= time.Second {
				text += ": some " + human.Span(t)
			}
			d.say("%s; what it says is kept", text)
		},
		Scoring: func(tokens, most int64) {
			if d.bar == nil {
				d.next("asking the reference", int(most))
			}
			if d.bar.Set(tokens, "tokens"); tokens == most {
				d.Close()
			}
		},
		Answering: func(tokens, most int) {
			if tokens == 1 {
				d.next("answering held-out prompts", most)
				d.atMost = true
			}
			d.bar.Set(int64(tokens), "tokens at most")
		},
		Writing: func(tokens, most int) {
			if tokens == 1 {
				d.next("writing", most)
				d.atMost, d.writing = true, true
			}
			d.bar.Set(int64(tokens), "tokens at most")
		},
		Training: func(step int) {
			d.next("training", d.total)
			d.bar.Set(int64(step), "")
		},
		Step: func(m train.StepMetrics) {
			if m.Step%d.c.Train.LoggingSteps == 0 || m.Step == d.total {
				d.bar.Set(int64(m.Step), fmt.Sprintf("loss %.3f%s  lr %.1e  %s tok/s",
					m.Loss, marginText(m.Values), m.LearningRate, human.Speed(m.TokensPerSecond)))
			}
		},
		Eval: func(m train.EvalMetrics) {
			d.say("step %d: held-out loss %s%s", m.Step, evalText(m), endText(m.Values)+preferenceText(m.Values)+writtenText(m.Values))
			if d.writing {
				d.writing = false
				d.next("training", d.total)
				d.bar.Set(int64(m.Step), "")
			}
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

// endText is what an evaluation says of the ends of held-out answers.
func endText(v map[string]float64) string {
	likely, ok := v["end/likely"]
	if !ok {
		return ""
	}
	return fmt.Sprintf(", %.0f %% of ends likely", 100*likely)
}

// writtenText is what an evaluation says of what the model wrote.
func writtenText(v map[string]float64) string {
	words, ok := v["written/words"]
	if !ok {
		return ""
	}
	text := fmt.Sprintf("; wrote %.0f words a prompt, %.0f %% ended", words, 100*v["written/ended"])
	if s, ok := v["written/s_l"]; ok {
		text += fmt.Sprintf(", S_l %.1f", s)
	}
	return text
}

// marginText is what a step's line says of its pairs.
func marginText(v map[string]float64) string {
	margin, ok := v["rewards/margins"]
	if !ok {
		return ""
	}
	if accuracy, ok := v["rewards/accuracies"]; ok {
		return fmt.Sprintf("  accuracy %.2f  margin %.3f", accuracy, margin)
	}
	return fmt.Sprintf("  kl %.3f  margin %.3f", v["kl"], margin)
}

// preferenceText is what an evaluation says of its pairs.
func preferenceText(v map[string]float64) string {
	margin, ok := v["rewards/margins"]
	if !ok {
		return ""
	}
	accuracy, ok := v["rewards/accuracies"]
	if !ok {
		return fmt.Sprintf(", kl %.4f, margin %.4f", v["kl"], margin)
	}
	text := fmt.Sprintf(", accuracy %.3f", accuracy)
	if v["rewards/ties"] > 0 {
		text += fmt.Sprintf(" (ties %.3f)", v["rewards/ties"])
	}
	return text + fmt.Sprintf(", margin %.4f", margin)
}
