package train

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheBestIsTheFirstWithTheLowestHeldOutLoss(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name   string
		losses []float64 // of steps 0, 2, 4, ...
		saved  []int
		best   int // its step; -1: none
		kept   int // the best checkpoint's step; -1: none
		stall  int // evaluations without a better one
	}{
		{"no evaluation", nil, []int{2}, -1, -1, 0},
		{"it falls", []float64{5, 4, 3}, []int{2, 4}, 4, 4, 0},
		{"it rises again", []float64{5, 3, 4, 4}, []int{2, 4, 6}, 2, 2, 2},
		{"the first of equal ones", []float64{5, 3, 3}, []int{2, 4}, 2, 2, 1},
		{"the best is not saved", []float64{5, 3, 4, 4.5}, []int{4, 6}, 2, 4, 2},
		{"no step that was evaluated is saved", []float64{5, 3}, []int{1, 3}, 2, -1, 0},
		{"nothing is better than before training", []float64{5, 6, 7}, []int{2, 4}, 0, 2, 2},
		{"one is not a number", []float64{5, 4, nan}, []int{2, 4}, 2, 2, 1},
		{"none is a number", []float64{nan, nan}, []int{2}, -1, -1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var lines []byte
			for i, loss := range c.losses {
				line, err := json.Marshal(EvalMetrics{Step: 2 * i, Loss: loss})
				if err != nil {
					t.Fatal(err)
				}
				lines = append(append(lines, line...), '\n')
			}
			h := readHistory(lines)
			b := h.best(func(step int) bool { return slices.Contains(c.saved, step) })
			best, kept := -1, -1
			if b != nil {
				best = b.Step
				if b.Checkpoint != nil {
					kept = b.Checkpoint.Step
				}
			}
			if best != c.best || kept != c.kept {
				t.Errorf("best %d, checkpoint %d, want %d and %d", best, kept, c.best, c.kept)
			}
			last := 2 * (len(c.losses) - 1)
			for patience := range 4 {
				if got, want := h.stalled(last, patience), patience > 0 && c.stall >= patience; got != want {
					t.Errorf("patience %d: stalled %t, want %t", patience, got, want)
				}
			}
		})
	}
}

// overfits is a run whose held-out loss falls and then rises for good.
func overfits(t *testing.T) testJob {
	set, chat := fixture(t, 1)
	j := job(t, set, chat, filepath.Join(t.TempDir(), "run"))
	j.Options.LearningRate, j.Options.LRSchedulerType, j.Options.MaxSteps = 0.5, "constant", 12
	j.Options.EvalSteps, j.Options.SaveSteps, j.Options.SaveTotalLimit = 1, 1, 1
	return j
}

func TestARunEndsWhereItsHeldOutLossStallsAndGoesOnWithMorePatience(t *testing.T) {
	preferred := func(j testJob) testJob {
		j.Options.LearningRate, j.Options.LRSchedulerType, j.Options.MaxSteps = 0.1, "constant", 9
		j.Options.EvalSteps, j.Options.SaveSteps, j.Options.SaveTotalLimit = 1, 1, 1
		return j
	}
	t.Run("conversations", func(t *testing.T) { endsEarly(t, overfits(t), testJob.sft) })
	t.Run("pairs", func(t *testing.T) {
		set, cache := pairFixture(t)
		endsEarly(t, preferred(pairJob(t, set, cache)), testJob.dpo)
	})
	t.Run("labelled answers", func(t *testing.T) {
		set, cache := labelFixture(t)
		endsEarly(t, preferred(labelJob(t, set, cache)), testJob.dpo)
	})
}

// endsEarly wants a run that would stall to end early with patience, at the same step and in the same bytes however often
// it is interrupted, and to go on without.
func endsEarly(t *testing.T, whole testJob, how func(testJob, context.Context, *testing.T) (Result, error)) {
	do := func(j testJob) Result {
		t.Helper()
		j.Model = tiny(t)
		r, err := how(j, t.Context(), t)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	steps := whole.Options.MaxSteps
	if r := do(whole); r.Stopped || r.Steps != steps {
		t.Fatalf("without patience: %+v", r)
	}
	// Another run of the same, that is interrupted at each step.
	stopped := whole
	stopped.Dir, stopped.Options.EarlyStoppingPatience = filepath.Join(t.TempDir(), "run"), 2
	var result Result
	for {
		ctx, cancel := context.WithCancel(t.Context())
		stopped.Model, stopped.Events.Step = tiny(t), func(StepMetrics) { cancel() }
		var err error
		if result, err = how(stopped, ctx, t); err == nil {
			break
		}
		if !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
	}
	alone := stopped
	alone.Dir, alone.Events = filepath.Join(t.TempDir(), "run"), Events{}
	want := do(alone)
	if !want.Stopped || want.Steps < 2 || want.Steps >= steps || result.Steps != want.Steps || !result.Stopped {
		t.Fatalf("stopped at %d, with interruptions at %d", want.Steps, result.Steps)
	}
	wantSameRun(t, alone.Dir, stopped.Dir)
	if again := do(alone); !again.AlreadyThere || !again.Stopped || again.LastEval == nil || again.Elapsed < time.Millisecond {
		t.Errorf("the next time: %+v", again)
	}
	alone.Options.EarlyStoppingPatience = 0
	if again := do(alone); again.Resumed != want.Steps || again.Stopped || again.Steps != steps {
		t.Errorf("without patience it did not go on: %+v", again)
	}
	wantSameRun(t, whole.Dir, alone.Dir)
}

func TestTheBestCheckpointIsKeptAndNamed(t *testing.T) {
	j := overfits(t)
	j.Options.EarlyStoppingPatience = 3
	r := run(t, j)
	b := r.Best
	if b == nil || b.Checkpoint == nil || b.Step != b.Checkpoint.Step || b.Step != r.Steps-3 {
		t.Fatalf("best %+v after %d steps", b, r.Steps)
	}
	var there []string
	for name := range tree(t, j.Dir) {
		if strings.HasSuffix(name, "manifest.json") {
			there = append(there, filepath.Dir(name))
		}
	}
	slices.Sort(there)
	last, err := filepath.Rel(j.Dir, r.Checkpoint)
	if err != nil || !slices.Equal(there, []string{b.Checkpoint.Path, last}) {
		t.Errorf("kept %v, want the best and the last, %v", there, err)
	}
	var read Best
	raw, err := os.ReadFile(filepath.Join(j.Dir, "best.json"))
	if err == nil {
		err = json.Unmarshal(raw, &read)
	}
	if err != nil || read.Step != b.Step || *read.Checkpoint != *b.Checkpoint {
		t.Errorf("best.json says %s, %v", raw, err)
	}
}

func TestAResumedRunTellsOfTheWholeRun(t *testing.T) {
	set, chat := fixture(t, 1)
	j := job(t, set, chat, filepath.Join(t.TempDir(), "run"))
	ctx, cancel := context.WithCancel(t.Context())
	j.Events.Step = func(m StepMetrics) {
		if m.Step == 7 {
			cancel()
		}
	}
	first, err := j.sft(ctx, t)
	if !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	j.Model, j.Events = tiny(t), Events{}
	r := run(t, j)
	var tokens float64
	for _, line := range steps(t, j.Dir) {
		if n, ok := line["tokens"].(float64); ok {
			tokens += n
		}
	}
	if r.Resumed != 7 || r.Steps != 12 || float64(r.Tokens) != tokens || r.Training <= first.Training || r.Elapsed <= r.Here {
		t.Errorf("%+v, want all %v tokens", r, tokens)
	}
	if r.FirstLoss != first.FirstLoss || r.FirstEval == nil || r.FirstEval.Loss != first.FirstEval.Loss {
		t.Errorf("it began with %v and %+v, want %v", r.FirstLoss, r.FirstEval, first.FirstLoss)
	}
	j.Model = tiny(t)
	again := run(t, j)
	again.FirstEval, again.LastEval.Moment, r.LastEval.Moment = r.FirstEval, Moment{}, Moment{}
	if !again.AlreadyThere || again.LastLoss != r.LastLoss || again.LastEval.Loss != r.LastEval.Loss ||
		!maps.Equal(again.LastEval.Values, r.LastEval.Values) || again.Tokens != r.Tokens {
		t.Errorf("once it is there: %+v, want %+v", again, r)
	}
}
