// Package chain does the commands of a chain in their order, each in a folder of its own, and goes on where it
// was. What a command writes is its own affair, and how it goes on too: a chain keeps beside it only with what
// the command was given, what it read, and whether it ended well ([RecordFile]).
//
// A step that is done is not begun again while its command, its settings and what it reads are as they were. Else
// its command is given again, which knows by content what has changed: it goes on where that is nothing to it, and
// refuses where it would be another run. [Run.Anew] and [Run.Aside] make room for that.
package chain

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lwtrain/configs"
	"lwtrain/internal/fault"
	"lwtrain/internal/rundir"
)

// RecordFile in the folder of a step says what was done there.
const RecordFile = "step.json"

// State is how far a step is.
type State string

// The states of a step.
const (
	ToDo    State = "to do"
	Begun   State = "begun"   // in part: its command goes on
	Changed State = "changed" // since it was done
	Done    State = "done"
	Failed  State = "failed"  // its command ended with an error; it goes on
	Stopped State = "stopped" // in this run of the chain
)

// Step is a step of a chain at work.
type Step struct {
	configs.Step
	State  State
	Why    string        // it is Changed
	Before bool          // it was done before this run of the chain
	Took   time.Duration // all the time that it was worked at
	Figure string        // what came of it, in a few words; "": nothing is known of it
}

// record is what a step's folder keeps.
type record struct {
	Command []string          `json:"command"` // its words and arguments
	Config  string            `json:"config"`  // hash of the config as it was resolved; "": it takes none
	Reads   map[string]string `json:"reads"`   // what its command and config name and was there, by path: see stamp
	Done    bool              `json:"done"`
	Failed  bool              `json:"failed,omitempty"` // with an error
	Seconds float64           `json:"seconds"`
	Figure  string            `json:"figure,omitempty"`
}

// Run is a chain at work in its folder.
type Run struct {
	Chain *configs.Chain
	Steps []Step
}

// Open looks how far each step of a chain is.
func Open(c *configs.Chain) (*Run, error) {
	r := &Run{Chain: c, Steps: make([]Step, len(c.Steps))}
	for i := range c.Steps {
		r.Steps[i].Step = c.Steps[i]
		if err := r.Steps[i].look(); err != nil {
			return nil, err
		}
		r.Steps[i].Before = r.Steps[i].State == Done
	}
	return r, nil
}

// look finds out how far a step is.
func (s *Step) look() error {
	var there record
	known, err := rundir.ReadJSON(filepath.Join(s.Dir, RecordFile), &there)
	if err != nil {
		return fault.Hint(err, "without that file the step's command is given again, and goes on with what there is")
	}
	s.State, s.Why = ToDo, ""
	if !known {
		return nil
	}
	s.Took, s.Figure = time.Duration(there.Seconds*float64(time.Second)), there.Figure
	if !there.Done {
		if s.State = Begun; there.Failed {
			s.State = Failed
		}
		return nil
	}
	s.State = Done
	if s.Why = there.differs(s.now()); s.Why != "" {
		s.State = Changed
	}
	return nil
}

// differs says what is no longer as it was; "": nothing.
func (a record) differs(b record) string {
	if !slices.Equal(a.Command, b.Command) {
		for _, arg := range b.Command {
			if !slices.Contains(a.Command, arg) {
				return arg
			}
		}
		return "an argument less"
	}
	for path, hash := range b.Reads {
		if then, ok := a.Reads[path]; ok && then != hash {
			return path
		}
	}
	if a.Config != b.Config {
		return "its config, the environment, or the keys that this version has"
	}
	return ""
}

// now is the record of a step as it would begin.
func (s *Step) now() record {
	r := record{Command: s.Line(), Reads: map[string]string{}}
	if s.Config != nil {
		sum := sha256.Sum256(s.Config.Resolved())
		r.Config = hex.EncodeToString(sum[:])
	}
	for _, path := range s.named() {
		if hash := stamp(path); hash != "" {
			r.Reads[path] = hash
		}
	}
	return r
}

func (s *Step) write(r record) error { return rundir.WriteJSON(filepath.Join(s.Dir, RecordFile), r) }

// Events tell how a chain goes. Each may be nil.
type Events struct {
	Skipped func(i int) // the step is done
	Begin   func(i int)
	End     func(i int)
}

// Do does what is to be done, by do, which runs a command. It ends with the first error of one, which names its step.
func (r *Run) Do(ctx context.Context, e Events, do func(ctx context.Context, command []string) error) error {
	folder, err := rundir.Enter(r.Chain.Dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	tell := func(event func(int), i int) {
		if event != nil {
			event(i)
		}
	}
	for i := range r.Steps {
		s := &r.Steps[i]
		err := ctx.Err()
		if err == nil {
			err = s.look()
		}
		if err != nil {
			return fmt.Errorf("step %s: %w", s.Name, err)
		}
		if s.State == Done {
			tell(e.Skipped, i)
			continue
		}
		was := s.State
		s.Before = false
		tell(e.Begin, i)
		err = s.do(ctx, do)
		tell(e.End, i)
		if err != nil {
			return s.of(err, was)
		}
		if err := folder.Check(); err != nil {
			return err
		}
	}
	return nil
}

// inChain says of a step's folder what the chain can do about it: its steps have no output.dir.
var inChain = strings.NewReplacer(
	rundir.OwnDir, "give the chain another folder, dir=FOLDER",
	rundir.OtherDisk, "give the chain a folder on another disk, dir=FOLDER")

// of is the error of a step that was in a state before, with the chain's way out.
func (s *Step) of(err error, was State) error {
	hint := inChain.Replace(fault.HintOf(err))
	if other := (rundir.OtherRunError{}); errors.As(err, &other) || was != ToDo && fault.IsUsage(err) {
		hint = "take back the change, or do the step and all that reads it anew: --again " + s.Name
	}
	return fmt.Errorf("step %s: %w", s.Name, fault.Hint(err, hint))
}

// Try has do run the command of a step with more arguments, which write nothing.
func (s *Step) Try(ctx context.Context, do func(ctx context.Context, command []string) error, more ...string) error {
	if err := do(ctx, append(s.Line(), more...)); err != nil {
		return s.of(err, s.State)
	}
	return nil
}

// do runs the command of a step. One that refuses what it was asked for has written nothing, and the step's
// record stays what it was.
func (s *Step) do(ctx context.Context, do func(ctx context.Context, command []string) error) error {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return fault.Usage(err)
	}
	path := filepath.Join(s.Dir, RecordFile)
	var before record
	known, err := rundir.ReadJSON(path, &before)
	if err != nil {
		return err
	}
	now := s.now()
	now.Seconds = s.Took.Seconds()
	if err := s.write(now); err != nil {
		return fault.Disk(err)
	}
	began := time.Now()
	err = do(ctx, s.Line())
	s.Took += time.Since(began)
	now.Seconds = s.Took.Seconds()
	switch {
	case err == nil:
		s.State, now.Done = Done, true
		s.Figure = figure(&s.Step)
		now.Figure = s.Figure
	case ctx.Err() != nil:
		s.State = Stopped
	default:
		s.State, now.Failed = Failed, true
	}
	_, gone := os.Stat(s.Dir)
	switch {
	case gone != nil:
		return errors.Join(err, fmt.Errorf("%s: the step's folder was removed, or moved away", s.Dir))
	case fault.IsUsage(err) && known:
		now = before
	case fault.IsUsage(err):
		_ = os.Remove(path)
		_ = os.Remove(s.Dir) // where nothing else is in it
		return err
	}
	if e := fault.Disk(s.write(now)); e != nil {
		return errors.Join(err, e)
	}
	return err
}

// Waits names the step that is not done and that step i reads, itself or through others; "": none is.
func (r *Run) Waits(i int) string {
	for j := range r.Steps[:i] {
		s := r.Steps[j]
		if !slices.Contains(r.Steps[i].Reads, s.Name) {
			continue
		}
		if s.State != Done {
			return s.Name
		}
		if by := r.Waits(j); by != "" {
			return by
		}
	}
	return ""
}

// Anew counts steps as not done, and all that read what they write.
func (r *Run) Anew(names []string) (steps []*Step, err error) {
	again := map[string]bool{}
	for _, name := range names {
		if !slices.ContainsFunc(r.Steps, func(s Step) bool { return s.Name == name }) {
			var all []string
			for _, s := range r.Steps {
				all = append(all, s.Name)
			}
			return nil, fault.Usage(fmt.Errorf("--again %s: no step of that name, want one of %s", name, strings.Join(all, ", ")))
		}
		again[name] = true
	}
	for i := range r.Steps {
		s := &r.Steps[i]
		if again[s.Name] || slices.ContainsFunc(s.Reads, func(name string) bool { return again[name] }) {
			again[s.Name] = true
			s.State, s.Why, s.Before, s.Took, s.Figure = ToDo, "", false, 0, ""
			steps = append(steps, s)
		}
	}
	return steps, nil
}

// Aside moves away what steps have written. It returns from where to where, by twos.
func (r *Run) Aside(steps []*Step) (moved [][2]string, err error) {
	if len(steps) == 0 {
		return nil, nil
	}
	folder, err := rundir.Enter(r.Chain.Dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	for _, s := range steps {
		to, err := aside(s.Dir)
		if err != nil {
			return moved, err
		}
		if to != "" {
			moved = append(moved, [2]string{s.Dir, to})
		}
	}
	return moved, nil
}

// aside gives a folder another name; "": there is none.
func aside(dir string) (to string, err error) {
	if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	for n := 1; ; n++ {
		to = fmt.Sprintf("%s.before-%d", dir, n)
		if _, err := os.Lstat(to); errors.Is(err, os.ErrNotExist) {
			return to, os.Rename(dir, to)
		} else if err != nil {
			return "", err
		}
	}
}
