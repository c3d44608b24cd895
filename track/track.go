// Package track tells a run's metrics to more than its metrics.jsonl: TensorBoard's event
// files, a table ([Places]), and a cluster that asks how far a run is ([Kubeflow]). It
// writes what [train.Events] tell and changes nothing of a run: what fails here is said,
// and the run goes on.
//
// What lies in a run's folder follows from metrics.jsonl: a run that goes on writes it anew
// from the lines that stay, so a step that is done again is there once.
package track

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"lwtrain/internal/plainjson"
	"lwtrain/train"
)

// Places are where a run's metrics go besides metrics.jsonl.
type Places struct {
	Dir     string   // the run's folder
	Names   []string // tensorboard, csv
	Columns []string // of the table, see [Columns]
	Config  []byte   // shown as text
	Warn    func(text string)

	open []place
	step int // the last one that was told
}

// place is a file that lines of metrics go to.
type place interface {
	line(l line) error
	// answers tells those to held-out prompts that are there, at a step.
	answers(all []train.Answer, step int) error
	close() error
}

// Join adds what the places take to events.
func (p *Places) Join(e train.Events) train.Events {
	if len(p.Names) == 0 {
		return e
	}
	begun, step, eval, answered := e.Begun, e.Step, e.Eval, e.Answered
	e.Begun = func(k train.Kept) {
		p.begin(k)
		if begun != nil {
			begun(k)
		}
	}
	e.Step = func(m train.StepMetrics) {
		p.write(m)
		if step != nil {
			step(m)
		}
	}
	e.Eval = func(m train.EvalMetrics) {
		p.write(m)
		if eval != nil {
			eval(m)
		}
	}
	e.Answered = func(all []train.Answer) {
		p.each(func(to place) error { return to.answers(all, p.step) })
		if answered != nil {
			answered(all)
		}
	}
	return e
}

// begin writes the files anew.
func (p *Places) begin(k train.Kept) {
	p.Close() // what an engine that lost a process has left open
	var lines []line
	for raw := range bytes.Lines(k.Lines) {
		l, err := parse(raw)
		if err != nil {
			p.warn("%s: a line of metrics: %v", p.Dir, err)
			continue
		}
		lines, p.step = append(lines, l), l.step
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(p.Names))) {
		var to place
		var err error
		if name == "csv" {
			to, err = openTable(p.Dir, p.Columns, lines)
		} else {
			to, err = openEvents(p.Dir, p.Config, k.Answers, lines)
		}
		if err != nil {
			p.warn("%s has no metrics of this run: %v", name, err)
			continue
		}
		p.open = append(p.open, to)
	}
}

func (p *Places) write(metrics any) {
	raw, err := json.Marshal(metrics)
	if err != nil {
		p.warn("metrics: %v", err)
		return
	}
	l, err := parse(raw)
	p.step = l.step
	p.each(func(to place) error {
		if err != nil {
			return err
		}
		return to.line(l)
	})
}

// each tells all places; one that fails is told no more.
func (p *Places) each(tell func(place) error) {
	p.open = slices.DeleteFunc(p.open, func(to place) bool {
		err := tell(to)
		if err != nil {
			p.warn("%v: it gets no more of this run until that goes on", err)
			to.close()
		}
		return err != nil
	})
}

// Close ends the files.
func (p *Places) Close() {
	for _, to := range p.open {
		if err := to.close(); err != nil {
			p.warn("%v", err)
		}
	}
	p.open = nil
}

func (p *Places) warn(format string, args ...any) {
	if p.Warn != nil {
		p.Warn(fmt.Sprintf(format, args...))
	}
}

// line is a line of metrics.jsonl.
type line struct {
	step   int
	eval   bool
	time   time.Time         // zero: not known
	values map[string]string // by key, as JSON writes them; null stands for NaN and infinity
}

// parse reads a line.
func parse(raw []byte) (line, error) {
	l := line{values: map[string]string{}}
	var values map[string]json.RawMessage
	if err := plainjson.Unmarshal(raw, &values); err != nil {
		return l, err
	}
	for key, v := range values {
		l.values[key] = string(v)
	}
	_, l.eval = values["eval_loss"]
	step, err := strconv.Atoi(l.values["step"])
	if err != nil {
		return l, fmt.Errorf("step is %.20s, want a number", l.values["step"])
	}
	l.step = step
	if at, ok := values["time"]; ok {
		var text string
		if json.Unmarshal(at, &text) != nil {
			return l, fmt.Errorf("time is %.40s, want a text", at)
		}
		l.values["time"] = text
		l.time, _ = time.Parse(time.RFC3339, text) // of another form it is not known
	}
	return l, nil
}
