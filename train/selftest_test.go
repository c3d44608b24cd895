package train

import (
	"context"
	"errors"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"lwtrain/engine"
	"lwtrain/internal/fault"
	"lwtrain/model"
	"lwtrain/packing"
)

func TestTheSelftestOfResumingPassesAndLeavesNothing(t *testing.T) {
	set, chat := fixture(t, 1)
	parent := t.TempDir()
	for _, precision := range []string{"float32", "bf16"} {
		j := job(t, set, chat, filepath.Join(parent, "not", "there", "run"))
		j.Options.Precision = precision
		var calls atomic.Int32
		j.Events.Step = func(StepMetrics) { calls.Add(1) }
		r, err := SelftestResume(context.Background(), j.packed(t), SFT, 5, j.opener(fresh))
		if err != nil {
			t.Fatal(err)
		}
		if !r.OK() || r.Resumed != 2 || r.Lines != 5 || calls.Load() != 10 {
			t.Errorf("%s: %+v after %d steps", precision, r, calls.Load())
		}
		if left := tree(t, parent); len(left) != 0 {
			t.Errorf("left %v", slices.Collect(maps.Keys(left)))
		}
	}
	j := job(t, set, chat, filepath.Join(parent, "run"))
	if _, err := SelftestResume(context.Background(), j.packed(t), SFT, 1, j.opener(fresh)); !fault.IsUsage(err) {
		t.Errorf("1 step: %v", err)
	}

	// Another model in the second run must be seen: nothing else may decide.
	n := uint64(0)
	r, err := SelftestResume(context.Background(), j.packed(t), SFT, 4, j.opener(func() (*model.Model, error) {
		m, err := fresh()
		if n++; n > 1 {
			m.Params[0].Data[0] += 1
		}
		return m, err
	}))
	if err != nil || r.OK() {
		t.Errorf("a changed weight: %+v, %v", r, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	j.Events.Step = func(StepMetrics) { cancel() }
	if _, err := SelftestResume(ctx, j.packed(t), SFT, 4, j.opener(fresh)); !errors.Is(err, ErrInterrupted) || len(tree(t, parent)) != 0 {
		t.Errorf("interrupted: %v", err)
	}
}

// TestPackedEqualsAlone compares loss and gradient of documents in packs with
// those of each document in a pack of its own.
func TestPackedEqualsAlone(t *testing.T) {
	set, chat := fixture(t, 1)
	var alone float64
	for _, weighting := range packing.Weightings() {
		capacities, strategies := []int{700}, []string{packing.BestFit}
		if weighting == packing.ByToken {
			capacities, strategies = []int{250, 4096}, packing.Strategies()
		}
		for _, strategy := range strategies {
			for _, capacity := range capacities {
				j := job(t, set, chat, "")
				j.Packing.Strategy, j.Packing.Capacity, j.Packing.Weighting = strategy, capacity, weighting
				r, err := SelftestPacking(context.Background(), j.ready(t), 1000)
				if err != nil {
					t.Fatal(err)
				}
				if sums, gradient := r.Tolerance(); !r.OK() || sums != 1e-5 || gradient != 1e-5 || r.Documents < 2 || r.Norm[1] == 0 {
					t.Errorf("%s, %s, capacity %d: %+v", weighting, strategy, capacity, r)
				}
				if weighting == "token" && capacity == 4096 {
					if alone != 0 && math.Abs(alone-r.Loss[1]) > 1e-9*alone {
						t.Errorf("%s: alone the loss is %g, and %g in other packs", strategy, r.Loss[1], alone)
					}
					alone = r.Loss[1]
				}
			}
		}
	}
	j := job(t, set, chat, "")
	j.Options.Precision = "bf16"
	if r, err := SelftestPacking(context.Background(), j.ready(t), 3); err != nil || !r.OK() || r.Precision != "bf16" {
		t.Errorf("bf16: %+v, %v", r, err)
	}
	j = job(t, set, chat, "")
	j.Packing.Capacity, j.Packing.Strategy = 256, "next_fit"
	if _, err := SelftestPacking(context.Background(), j.ready(t), 0); !fault.IsUsage(err) {
		t.Errorf("no packs: %v", err)
	}
}

// TestTheToleranceOfPackingIsTight shows what the self-test sees when documents
// are not kept apart: laid as one, their loss is many times the tolerance away.
func TestTheToleranceOfPackingIsTight(t *testing.T) {
	set, chat := fixture(t, 1)
	m, err := newSFT(job(t, set, chat, "").ready(t))
	if err != nil {
		t.Fatal(err)
	}
	first := m.batches.first
	i := slices.IndexFunc(first.packs, func(docs []int32) bool { return len(docs) > 1 })
	samples := first.pack(i)
	var alone, asOne sums
	if err := m.learnAlone(context.Background(), &alone, samples); err != nil {
		t.Fatal(err)
	}
	pack, err := m.lay(samples)
	if err != nil {
		t.Fatal(err)
	}
	for k := range pack.Tokens {
		pack.Starts[k], pack.Positions[k] = 0, int32(k)
	}
	if err := asOne.learnWeighted(context.Background(), m.engine, []packing.Pack{pack}, nil); err != nil {
		t.Fatal(err)
	}
	r := PackingTest{Twice: Twice{Precision: engine.Float32, Loss: [2]float64{asOne.loss, alone.loss}, Norm: [2]float64{1, 1}}}
	sums, _ := r.Tolerance()
	if d, _ := r.Differences(); d < 20*sums || r.OK() {
		t.Errorf("documents that see each other differ by %g only", d)
	}
}

func TestTheSelftestOfResumingPassesForPreferences(t *testing.T) {
	set, cache := pairFixture(t)
	j := pairJob(t, set, cache)
	j.Dir = filepath.Join(t.TempDir(), "run")
	r, err := SelftestResume(context.Background(), j.packed(t), DPO, 3, j.opener(fresh))
	if err != nil || !r.OK() || r.Resumed != 1 || r.Lines != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}
