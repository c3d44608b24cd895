package train

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"lwtrain/chat"
	"lwtrain/data"
	"lwtrain/packing"
	"lwtrain/tokenizer"
)

// TestEpochsThatAreDrawnAnewArePackedAsTheyWerePlanned: the steps of a run take
// each epoch's samples once, in whatever order they are asked for.
func TestEpochsThatAreDrawnAnewArePackedAsTheyWerePlanned(t *testing.T) {
	dir := t.TempDir()
	var sources []data.Source
	for i, n := range []int{40, 15} {
		path := filepath.Join(dir, []string{"a", "b"}[i]+".jsonl")
		if err := os.WriteFile(path, []byte(talks(n)), 0o644); err != nil {
			t.Fatal(err)
		}
		sources = append(sources, data.Source{Name: filepath.Base(path), Path: path, LossFactor: 1})
	}
	template, err := chat.Open(tokenizer.Bytes(), "auto")
	if err != nil {
		t.Fatal(err)
	}
	set, err := data.Build(context.Background(), data.Options{
		Sources: sources, Mix: data.Mix{Strategy: "interleave", Stop: "first_exhausted"},
		MaxLength: 256, TooLong: "error", OnBadRecord: "error", CacheDir: filepath.Join(dir, "cache"),
	}, template, data.Run{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	opt := Default()
	opt.NumTrainEpochs, opt.GradientAccumulationSteps = 4, 2
	pack := packing.Options{Capacity: 256, Strategy: packing.BestFit, Weighting: packing.ByToken}
	b := testJob{Job: Job{Data: set, Options: opt, Seed: 3}, Packing: pack}.batches(t)
	plan, err := b.Plan()
	if err != nil || plan.Schedule.Total != b.total {
		t.Fatalf("a plan of %d steps, a run of %d, %v", plan.Schedule.Total, b.total, err)
	}
	got := map[int][]int{}
	for step := b.total - 1; step >= 0; step-- {
		packs, err := b.at(step)
		if err != nil || len(packs) == 0 {
			t.Fatalf("step %d has %d packs, %v", step, len(packs), err)
		}
		epoch, _ := b.epochOf(step)
		for _, p := range packs {
			got[epoch] = append(got[epoch], p...)
		}
	}
	sizes := map[int]bool{}
	for epoch := range 4 {
		want, err := set.Epoch(epoch)
		if err != nil {
			t.Fatal(err)
		}
		sizes[len(want)] = true
		if slices.Sort(got[epoch]); !slices.Equal(got[epoch], slices.Sorted(slices.Values(ints(want)))) {
			t.Errorf("epoch %d trains on %v, want %v", epoch, got[epoch], want)
		}
	}
	if len(sizes) == 1 {
		t.Error("every epoch has as many samples: the test tests nothing")
	}
}
