package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"lwtrain/checkpoints"
	"lwtrain/engine"
)

// slowSaves is an engine that leaves part of a checkpoint to be written while training goes on: what it copies of each file is
// put in place once the step to wait for is over.
type slowSaves struct {
	engine.Engine
	may func(dir string) error // asked by the rest of a save
}

func (e slowSaves) Save(dir string) (rest func() error, err error) {
	const file = "model.safetensors"
	if _, err := e.Engine.Save(dir); err != nil {
		return nil, err
	}
	whole, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return nil, err
	}
	if err := os.Remove(filepath.Join(dir, file)); err != nil {
		return nil, err
	}
	return func() error {
		if err := e.may(dir); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, file), whole, 0o644)
	}, nil
}

// TestStepsGoOnWhileACheckpointIsWritten holds the rest of the first save back until the step before the next save is over, and
// that of the last one until it is waited for.
func TestStepsGoOnWhileACheckpointIsWritten(t *testing.T) {
	set, chat := fixture(t, 1)
	whole := job(t, set, chat, filepath.Join(t.TempDir(), "run")) // of 12 steps, saved at 5, 10 and 12
	run(t, whole)

	j := job(t, set, chat, filepath.Join(t.TempDir(), "run"))
	over := map[int]chan struct{}{}
	for step := 1; step <= 12; step++ {
		over[step] = make(chan struct{})
	}
	var order []int
	j.Events.Step = func(m StepMetrics) {
		order = append(order, m.Step)
		close(over[m.Step])
	}
	j.Events.Saved = func(step int, path string) {
		order = append(order, -step)
		if _, err := checkpoints.Files(path); err != nil {
			t.Error(err)
		}
	}
	ready := j.ready(t)
	waits := []int{9, 12, 12}
	ready.Engine = slowSaves{ready.Engine, func(string) error {
		step := waits[0]
		waits = waits[1:]
		<-over[step]
		return nil
	}}
	if _, err := SFT(context.Background(), ready); err != nil {
		t.Fatal(err)
	}
	first := slices.Index(order, -5)
	if first != 9 && first != 10 {
		t.Errorf("the order of steps and saves was %v, want that of step 5 after step 9 and before that of step 10", order)
	}
	if n := len(order); !slices.Equal(order[n-3:], []int{12, -10, -12}) {
		t.Errorf("the order of steps and saves was %v, want it to end with those of steps 10 and 12", order)
	}
	wantSameRun(t, whole.Dir, j.Dir)
}

// TestASaveThatFailsBesideTheStepsEndsTheRun lets the rest of the second save fail. The run ends before the third, with its
// reason, and goes on from the first.
func TestASaveThatFailsBesideTheStepsEndsTheRun(t *testing.T) {
	set, chat := fixture(t, 1)
	whole := job(t, set, chat, filepath.Join(t.TempDir(), "run"))
	run(t, whole)

	j := job(t, set, chat, filepath.Join(t.TempDir(), "run"))
	ready := j.ready(t)
	full, saves := errors.New("no room"), 0
	ready.Engine = slowSaves{ready.Engine, func(string) error {
		if saves++; saves == 2 {
			return full
		}
		return nil
	}}
	r, err := SFT(context.Background(), ready)
	if !errors.Is(err, full) || err.Error() != "saving step 10: no room" {
		t.Errorf("got %v, want that there is no room for step 10", err)
	}
	entries, err := os.ReadDir(filepath.Join(j.Dir, "checkpoints"))
	if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(r.Checkpoint) || entries[0].Name() != checkpoints.Name(5) {
		t.Errorf("left %v, %v, and told of %s, want step 5 alone", entries, err, r.Checkpoint)
	}
	j.Model = tiny(t)
	if again := run(t, j); again.Resumed != 5 {
		t.Errorf("went on from step %d, want 5", again.Resumed)
	}
	wantSameRun(t, whole.Dir, j.Dir)
}

// TestAnInterruptedRunWaitsForTheCheckpointThatIsWritten stops a run right after the step behind a save.
func TestAnInterruptedRunWaitsForTheCheckpointThatIsWritten(t *testing.T) {
	set, chat := fixture(t, 1)
	j := job(t, set, chat, filepath.Join(t.TempDir(), "run"))
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	j.Events.Step = func(m StepMetrics) {
		if m.Step == 6 {
			cancel()
			close(stopped)
		}
	}
	var saved []int
	j.Events.Saved = func(step int, _ string) { saved = append(saved, step) }
	ready := j.ready(t)
	ready.Engine = slowSaves{ready.Engine, func(string) error { <-stopped; return nil }}
	r, err := SFT(ctx, ready)
	if !errors.Is(err, ErrInterrupted) || r.Steps != 6 || !slices.Equal(saved, []int{5, 6}) {
		t.Errorf("got %v after %d steps, saved %v, want to be stopped with steps 5 and 6 saved", err, r.Steps, saved)
	}
}
