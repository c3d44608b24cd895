package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"lwtrain/configs"
	"lwtrain/engine"
	"lwtrain/session"
	"lwtrain/train"
)

// sessionEvents shows on w what a session tells.
func sessionEvents(w io.Writer) session.Events {
	var bar *progress
	show := func(label string, done, total int64, fields string) {
		if bar == nil {
			bar = newProgress(w, label, 0)
		}
		bar.SetTotal(total)
		bar.Set(done, fields)
	}
	const kib, mib, mb = 1 << 10, 1 << 20, 1_000_000
	fetch := fetchSpeed{}
	return session.Events{
		Warning: func(text string) { warn(w, "%s", text) },
		Discarded: func(ref string, bytes int64) {
			if bytes > 16*mib {
				fmt.Fprintf(w, "lwtrain: note: a dry run keeps nothing: the run fetches %s again (%s); `lwtrain pull` keeps it\n", ref, bytesText(bytes))
			}
		},
		Fetching: func(repo string, done, total int64) {
			show("fetching", (done+mb-1)/mb, (total+mb-1)/mb, fmt.Sprintf("MB  %.1f MB/s  %s", fetch.of(done)/mb, repo))
		},
		Waiting: func(file string) {
			if bar == nil {
				bar = newProgress(w, "fetching", 0)
			}
			bar.Println("waiting for another program that fetches " + file)
		},
		Importing:  func(done, total int64) { show("importing", done/mib, total/mib, "MiB") },
		Tokenising: func(done, total int64) { show("tokenising", (done+kib-1)/kib, (total+kib-1)/kib, "KiB") },
		Ended: func(err error) {
			switch {
			case bar == nil:
			case err == nil:
				bar.Done()
			default:
				bar.abandon()
			}
			bar, fetch = nil, fetchSpeed{}
		},
	}
}

// fetchSpeed is the speed of a fetch since it began.
type fetchSpeed struct {
	began time.Time
	first int64 // bytes that were there
}

// of is the bytes a second when done bytes are there.
func (f *fetchSpeed) of(done int64) float64 {
	if f.began.IsZero() {
		f.began, f.first = time.Now(), done
	}
	return float64(done-f.first) / max(time.Since(f.began).Seconds(), 0.001)
}

// runDisplay shows a run as it goes.
type runDisplay struct {
	out, err io.Writer
	c        *configs.Config
	run      *session.Run
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
		Planned: func(p *train.Plan, m engine.Needs) {
			d.total = p.Schedule.Total
			printPlan(d.out, d.c, d.run, p, m)
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
