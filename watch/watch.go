// Package watch says how far the work in a folder is, from outside: of a training run, of pairs,
// agentwrite and eval, and of a chain of them ([Watcher.Look]); and shows it on a page that
// follows it ([Handler]).
//
// It reads what the work has written and takes no lock, so whoever works there does not notice.
// What a folder holds is taken for hostile: files are bounded, and texts are for who shows
// them to neutralise.
package watch

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lwtrain/checkpoints"
	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/internal/plainjson"
	"lwtrain/internal/rundir"
	"lwtrain/report"
)

// State is how the work in a folder stands.
type State string

// The states of work. That nobody works in a folder is known by its lock, on Linux.
const (
	Running  State = "running"  // a process is at work there
	Finished State = "finished" // it is done
	Stopped  State = "stopped"  // nobody works there, and nothing is lost: the same command goes on
	Died     State = "died"     // nobody works there, and steps after the last checkpoint are to be done again
	Unknown  State = "unknown"  // the system does not say who holds the lock
)

// Status is what is known of a folder.
type Status struct {
	Dir     string     `json:"dir"`
	Kind    string     `json:"kind"` // sft, dpo, pairs, agentwrite, eval, chain
	State   State      `json:"state"`
	Note    string     `json:"note,omitempty"`    // what else is to be known of the state
	Updated *time.Time `json:"updated,omitempty"` // when the work wrote last

	Training *Training `json:"training,omitempty"` // of sft and dpo
	Files    []Lines   `json:"files,omitempty"`    // of pairs, agentwrite and eval
	Steps    []Step    `json:"steps,omitempty"`    // of a chain

	Run *report.Run `json:"-"` // of a training run that has metrics

	held, lockKnown bool // its lock; whether the system says so
}

// Training is how far a training run is.
type Training struct {
	Model     string             `json:"model,omitempty"`
	Step      int                `json:"step"`
	Planned   int                `json:"steps_planned,omitempty"`
	Saved     int                `json:"saved_step"` // of the newest checkpoint; 0: there is none
	Speed     float64            `json:"tokens_per_second,omitempty"`
	Left      *float64           `json:"seconds_left,omitempty"` // of a running one, once it is known
	Elapsed   float64            `json:"elapsed_seconds,omitempty"`
	Metrics   map[string]float64 `json:"metrics"` // the last value of each number of metrics.jsonl
	Evaluated *int               `json:"evaluated_step,omitempty"`
}

// Lines is a file that the work appends to.
type Lines struct {
	Name string `json:"name"`
	What string `json:"what"` // that a line is: answers
	N    int64  `json:"lines"`

	Of    int64 `json:"of,omitempty"`    // so many are to come in all; 0: not known
	About bool  `json:"about,omitempty"` // so many, about
}

// Total is " of 24", of how many these lines are, where that is known.
func (l Lines) Total() string {
	about := ""
	if l.About {
		about = "about "
	}
	if l.Of == 0 {
		return ""
	}
	return " of " + about + human.Grouped(l.Of)
}

// Watcher follows a folder. It is not safe for concurrent use.
type Watcher struct {
	dir   string
	run   *report.Run
	lines map[string]*counted
	inner map[string]*Watcher // of the steps of a chain, by their folders
	now   func() time.Time
}

// New begins to follow a folder.
func New(dir string) *Watcher {
	return &Watcher{dir: dir, lines: map[string]*counted{}, inner: map[string]*Watcher{}, now: time.Now}
}

// about is what run.json says.
type about struct {
	Settings map[string]string
	Finished map[string]string
	Model    string
	Steps    int
	Total    int
	About    bool
}

// Look reads how the work stands now.
func (w *Watcher) Look() (*Status, error) {
	info, err := os.Stat(w.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: no such folder, want that of a run", w.dir), fault.Nearby(w.dir)))
	}
	if err != nil {
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%w, want the folder of a run", err), fault.Nearby(w.dir)))
	}
	if !info.IsDir() {
		return nil, fault.Usage(fmt.Errorf("%s: no folder, want that of a run", w.dir))
	}
	s := &Status{Dir: w.dir}
	s.held, s.lockKnown = rundir.Held(w.dir) // before its files are read: whoever lets go of it has written them
	var a about
	known, err := readJSON(filepath.Join(w.dir, rundir.File), &a)
	if err != nil {
		return nil, err
	}
	s.Kind = a.kind()
	switch {
	case known && (s.Kind == "sft" || s.Kind == "dpo"):
		return s, w.training(s, a)
	case known:
		return s, w.asking(s, a)
	}
	chain, err := w.chain(s)
	if err == nil && !chain {
		err = fault.Usage(fault.Hint(fmt.Errorf("%s: no run is there that could be watched", w.dir),
			"want the output.dir of sft, dpo, pairs, agentwrite or eval, or a chain's folder; it appears once data and model are read"))
	}
	return s, err
}

// kind is which command works in a folder.
func (a about) kind() string {
	if command := a.Settings["command"]; command != "" {
		return command
	}
	for key := range a.Settings {
		for _, kind := range []string{"dpo", "pairs", "eval"} {
			if strings.HasPrefix(key, kind+".") {
				return kind
			}
		}
	}
	return "sft"
}

// training fills in what is known of a training run.
func (w *Watcher) training(s *Status, a about) error {
	t := &Training{Model: a.Model, Planned: a.Steps, Metrics: map[string]float64{}}
	s.Training = t
	if w.run == nil {
		w.run = &report.Run{Dir: w.dir}
	}
	if err := w.run.Update(); err == nil {
		s.Run = w.run
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if s.Run != nil {
		t.measure(s.Run)
		s.updated(filepath.Join(w.dir, rundir.Metrics))
	}
	all, err := checkpoints.List(filepath.Join(w.dir, rundir.Checkpoints))
	if err != nil {
		return err
	}
	if n := len(all); n > 0 {
		t.Saved = all[n-1].Step
	}
	s.stand(w.now(), len(a.Finished) > 0)
	if lost := t.Step - t.Saved; s.State == Stopped && lost > 0 {
		s.State = Died
		s.say("%s after the last checkpoint to be done again", human.Count(lost, "step"))
	}
	if s.State == Running {
		t.left(s, w.now())
	}
	var bad struct {
		Step   int
		Reason string
	}
	if there, err := readJSON(filepath.Join(w.dir, "bad_step.json"), &bad); err == nil && there && bad.Step == t.Step+1 {
		s.say("step %d was refused: %s", bad.Step, bad.Reason)
	}
	return nil
}

// measure takes the last values of a run's numbers.
func (t *Training) measure(r *report.Run) {
	for key, c := range r.Series {
		t.Metrics[key] = c.Value[len(c.Value)-1]
	}
	if c := r.Series["loss"]; c != nil {
		t.Step = int(c.Step[len(c.Step)-1])
	}
	if c := r.Series["eval_loss"]; c != nil {
		step := int(c.Step[len(c.Step)-1])
		t.Evaluated = &step
	}
	t.Elapsed = t.Metrics["elapsed_seconds"]
	tokens, speed := r.Series["tokens"], r.Series["tokens_per_second"]
	if tokens == nil || speed == nil {
		return
	}
	sum, took := 0.0, 0.0
	for i := max(0, len(speed.Value)-recent); i < min(len(speed.Value), len(tokens.Value)); i++ {
		if v := speed.Value[i]; v > 0 {
			sum, took = sum+tokens.Value[i], took+tokens.Value[i]/v
		}
	}
	if took > 0 {
		t.Speed = sum / took
	}
}

// recent is how many of the last steps say how fast a run is.
const recent = 20

// left says how long the rest takes, by the time of the last steps with all that lay between
// them.
func (t *Training) left(s *Status, now time.Time) {
	if s.Run == nil || t.Planned == 0 {
		return
	}
	c := s.Run.Series["elapsed_seconds"]
	if c == nil {
		return
	}
	n := len(c.Step)
	from := max(0, n-1-recent)
	steps := c.Step[n-1] - c.Step[from]
	if steps <= 0 {
		return
	}
	left := (c.Value[n-1] - c.Value[from]) / steps * (float64(t.Planned) - c.Step[n-1])
	if !s.Run.Last.IsZero() {
		left -= now.Sub(s.Run.Last).Seconds()
	}
	if left = max(0, left); !math.IsNaN(left) && left < 1e9 {
		t.Left = &left
	}
}

// asking fills in what is known of work whose replies are appended to files: nothing of it is lost.
func (w *Watcher) asking(s *Status, a about) error {
	for _, f := range []Lines{{Name: "calls.jsonl", What: "replies"}, {Name: "answers.jsonl", What: "answers"},
		{Name: "scores.jsonl", What: "ratings"}} {
		path := filepath.Join(w.dir, f.Name)
		if w.lines[path] == nil {
			w.lines[path] = &counted{}
		}
		n, err := w.lines[path].count(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 && f.What == "ratings" {
			continue // those that take no asking are kept nowhere
		}
		if f.N = n; int64(a.Total) >= n { // else there are replies of other settings among them
			f.Of, f.About = int64(a.Total), a.About
		}
		s.Files = append(s.Files, f)
		s.updated(path)
	}
	done := false
	for _, pattern := range map[string][]string{
		"pairs": {"summary.json"}, "agentwrite": {"items.jsonl"}, "eval": {"*/summary.json"},
	}[s.Kind] {
		names, err := fs.Glob(os.DirFS(w.dir), pattern)
		if err != nil {
			return err
		}
		for _, name := range names { // it is written after the last reply
			info, err := os.Stat(filepath.Join(w.dir, name))
			done = done || err == nil && (s.Updated == nil || !info.ModTime().Before(*s.Updated))
		}
	}
	s.stand(w.now(), done)
	return nil
}

// stand finds out the state of work of which it is known whether it is done.
func (s *Status) stand(now time.Time, done bool) {
	switch {
	case s.held:
		s.State = Running
	case done:
		s.State = Finished
	case !s.lockKnown:
		s.State = Unknown
	default:
		s.State = Stopped
		const fresh = 2 * time.Minute
		if s.Updated != nil && now.Sub(*s.Updated) < fresh {
			s.say("nobody of this machine, as this container sees it, works there, though it was written to %s ago",
				human.Span(now.Sub(*s.Updated)))
		}
	}
}

// say adds to the note.
func (s *Status) say(format string, args ...any) {
	if s.Note != "" {
		s.Note += "; "
	}
	s.Note += fmt.Sprintf(format, args...)
}

// updated takes a file's time into account.
func (s *Status) updated(path string) {
	if info, err := os.Stat(path); err == nil && (s.Updated == nil || info.ModTime().After(*s.Updated)) {
		at := info.ModTime()
		s.Updated = &at
	}
}

// counted are the lines of a file that is appended to.
type counted struct {
	file os.FileInfo
	read int64
	n    int64
}

// count counts the whole lines that have come, all where it is another file.
func (c *counted) count(path string) (int64, error) {
	f, err := rundir.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if c.file == nil || !os.SameFile(info, c.file) || info.Size() < c.read {
		c.read, c.n = 0, 0
	}
	c.file = info
	buf := make([]byte, 256<<10)
	for {
		n, err := f.ReadAt(buf, c.read)
		for _, b := range buf[:n] {
			if b == '\n' {
				c.n++
			}
		}
		if c.read += int64(n); err == io.EOF {
			return c.n, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// Bounds of a small file, and of the values in it.
const most, mostValues = 16 << 20, 1 << 20

// readJSON reads a small file into v; false if there is none.
func readJSON(path string, v any) (bool, error) {
	f, err := rundir.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fault.Usage(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(raw) > most {
		err = fmt.Errorf("more than %d MiB", most>>20)
	}
	if err == nil {
		err = plainjson.Decode(raw, mostValues, v)
	}
	if err != nil {
		return false, fault.Usage(plainjson.In(path, err))
	}
	return true, nil
}
