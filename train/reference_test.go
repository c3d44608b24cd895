package train

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/internal/fault"
)

func TestTheReferenceIsAskedOnce(t *testing.T) {
	set, cache := pairFixture(t)
	asked := func(j testJob) (n int) {
		j.Options.MaxSteps = 1
		j.Events.Scoring = func(int64, int64) { n++ }
		runDPO(t, j)
		return n
	}
	j := pairJob(t, set, cache)
	if asked(j) == 0 {
		t.Error("the first run did not ask")
	}
	if n := asked(pairJob(t, set, cache)); n != 0 {
		t.Errorf("the second run asked for %d packs", n)
	}
	other := pairJob(t, set, cache)
	other.Model.Params[0].Data[0] += 1
	if asked(other) == 0 {
		t.Error("a run from other weights did not ask")
	}
	kept, err := filepath.Glob(filepath.Join(cache, "reference-*", "scores.arrow"))
	if err != nil || len(kept) != 2 {
		t.Fatalf("kept %v, %v, want what two models said", kept, err)
	}
	for _, path := range kept {
		if err := os.Truncate(path, 100); err != nil {
			t.Fatal(err)
		}
	}
	damaged, broken := pairJob(t, set, cache), 0
	damaged.Events.Broken = func(string, error) { broken++ }
	if asked(damaged) == 0 || broken != 1 {
		t.Errorf("damaged scores were used, or %d warnings", broken)
	}
	free := pairJob(t, set, t.TempDir())
	free.DPO.LossType, free.DPO.Reference = []string{"simpo"}, "none"
	if n := asked(free); n != 0 {
		t.Errorf("a loss without a reference asked for %d packs", n)
	}
	// A model that has been saved is a reference as well.
	folder := pairJob(t, set, cache)
	folder.DPO.Reference = filepath.Join(j.Dir, "checkpoints", "step-000001")
	if asked(folder) == 0 {
		t.Error("a reference of its own was not asked")
	}
	opened, err := newPreferences(folder.ready(t))
	if err != nil {
		t.Fatal(err)
	}
	defer opened.close()
	if contents, err := opened.open(); err != nil || len(contents[referenceContent]) != 64 {
		t.Errorf("the run is known by %v, %v, want the reference's hash in it", contents, err)
	}
	p := prepared(t, folder)
	initial := prepared(t, pairJob(t, set, cache))
	if p.loaded != nil || p.reference[reply{}] == initial.reference[reply{}] {
		t.Error("the reference is the model in training")
	}
}

func TestTheReferenceIsAskedAboutWhatTheRunTakes(t *testing.T) {
	pairs, _ := pairFixture(t)
	labels, _ := labelFixture(t)
	for _, c := range []struct {
		name  string
		job   testJob
		steps int
		each  int // replies to a pair
		all   bool
	}{
		{"a step takes some of the pairs", pairJob(t, pairs, t.TempDir()), 1, 2, false},
		{"a step takes some of the labelled answers, and as many to other prompts", labelJob(t, labels, t.TempDir()), 1, 2, false},
		{"an epoch takes all", pairJob(t, pairs, t.TempDir()), 1000, 2, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := c.job
			j.Options.MaxSteps = c.steps
			var asked, told int
			var tokens, done int64
			j.Events.Asking = func(replies int, n int64) { asked, tokens = replies, n }
			j.Events.Scoring = func(n, most int64) { done, told = n, told+1 }
			p := prepared(t, j)
			perStep := j.Options.PerDeviceTrainBatchSize * j.Options.GradientAccumulationSteps
			want := (c.steps*perStep + len(j.Data.HeldOutPairs())) * c.each
			if c.all {
				want = len(p.all) * c.each
			}
			if asked != want || told == 0 || done != tokens || len(p.reference) != want {
				t.Errorf("asked about %d answers of %d tokens, scored %d tokens, kept %d, want %d answers",
					asked, tokens, done, len(p.reference), want)
			}
			if n := p.Work(j.DPO, 0).Asked; n < tokens || n >= tokens+int64(told*packSteps) { // of packs, which are filled up
				t.Errorf("the plan says %d tokens, want %d in %d packs", n, tokens, told)
			}
		})
	}
}

func TestAReferenceThatIsNotTheModelIsFoundOut(t *testing.T) {
	pairs, cache := pairFixture(t)
	labels, labelCache := labelFixture(t)
	others := func(p testMethod) { // what it says of answers to other prompts
		for r, score := range p.reference {
			if r.prompt != r.answer {
				score.LogP -= 0.1
				p.reference[r] = score
			}
		}
	}
	for _, c := range []struct {
		name   string
		job    testJob
		change func(testMethod)
		want   string
	}{
		{"the model of pairs has been changed", pairJob(t, pairs, cache), move, "the loss is"},
		{
			"the model of labelled answers has been changed", labelJob(t, labels, labelCache), move,
			"the mean of the margins' absolute values is",
		},
		{
			"only the answers to other prompts are of another model", labelJob(t, labels, labelCache), others,
			"the estimate of the KL divergence is 0.1, want 0",
		},
		{"nothing has been changed", labelJob(t, labels, labelCache), func(testMethod) {}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.job.Options.MaxSteps = 9 // an epoch, so that the reference is asked about all
			p := unmoved(t, c.job)
			c.change(p)
			_, err := p.learnPairs(context.Background(), []int{0, 1, 2, 3}, 0)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "before the first update") {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if !strings.Contains(fault.HintOf(err), "reference-") {
				t.Errorf("hint %q, want the folders of the cache", fault.HintOf(err))
			}
		})
	}
}
