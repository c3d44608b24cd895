package watch

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"lwtrain/chain"
)

// Step is a step of a chain that was begun: the folder does not say which ones come.
type Step struct {
	Name    string  `json:"name"`
	Command string  `json:"command"`
	State   State   `json:"state"`
	Seconds float64 `json:"seconds,omitempty"` // that it was worked at, once it ended
	Figure  string  `json:"figure,omitempty"`
	Inner   *Status `json:"inner,omitempty"` // of the step at work; nil: its folder says nothing yet

	began time.Time
}

// mostSteps bounds the folders that are looked at.
const mostSteps = 1000

var word = regexp.MustCompile(`^[a-z][a-z-]*$`)

// words are those of a command, without its arguments.
func words(command []string) string {
	n := 0
	for n < min(2, len(command)) && word.MatchString(command[n]) {
		n++
	}
	return strings.Join(command[:n], " ")
}

// chain fills in the steps of a chain; false: the folder is not one's.
func (w *Watcher) chain(s *Status) (bool, error) {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return false, err
	}
	for _, e := range entries[:min(len(entries), mostSteps)] {
		if !e.IsDir() || strings.Contains(e.Name(), ".before-") {
			continue
		}
		path := filepath.Join(w.dir, e.Name(), chain.RecordFile)
		var record struct {
			Command []string
			Done    bool
			Failed  bool
			Seconds float64
			Figure  string
		}
		known, err := readJSON(path, &record)
		if err != nil {
			return false, err
		}
		if !known {
			continue
		}
		s.updated(path)
		step := Step{
			Name: e.Name(), Command: words(record.Command),
			State: Stopped, Seconds: record.Seconds, Figure: record.Figure,
		}
		if info, err := os.Stat(path); err == nil {
			step.began = info.ModTime()
		}
		if record.Done {
			step.State = Finished
		}
		if record.Failed {
			s.say("step %s ended with an error", e.Name())
		}
		s.Steps = append(s.Steps, step)
	}
	if len(s.Steps) == 0 {
		return false, nil
	}
	s.Kind = "chain"
	// A record is written when its step begins and again when it ends, so that of the step at work is the last.
	slices.SortStableFunc(s.Steps, func(a, b Step) int { return cmp.Or(a.began.Compare(b.began), strings.Compare(a.Name, b.Name)) })
	last := &s.Steps[len(s.Steps)-1]
	if last.State != Finished {
		dir := filepath.Join(w.dir, last.Name)
		if w.inner[dir] == nil {
			w.inner[dir] = New(dir)
		}
		if inner, err := w.inner[dir].Look(); err == nil { // else it has nothing to tell yet
			last.Inner = inner
			last.State = inner.State
			if inner.Updated != nil && inner.Updated.After(*s.Updated) {
				s.Updated = inner.Updated
			}
		}
		if s.held {
			last.State = Running
		}
	}
	s.stand(w.now(), last.State == Finished)
	if s.State == Finished {
		s.say("%d steps are done; whether more come the folder does not say", len(s.Steps))
	}
	return true, nil
}
