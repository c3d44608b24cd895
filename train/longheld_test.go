package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/chat"
	"lwtrain/data"
	"lwtrain/internal/fault"
	"lwtrain/packing"
	"lwtrain/tokenizer"
)

// longHeldOut are conversations whose held-out ones are longer than the 96 tokens of those to train on.
func longHeldOut(t *testing.T, limit int) (*data.Set, *chat.Template) {
	t.Helper()
	dir := t.TempDir()
	source := func(name, lines string) data.Source {
		path := filepath.Join(dir, name+".jsonl")
		if err := os.WriteFile(path, []byte(lines), 0o644); err != nil {
			t.Fatal(err)
		}
		return data.Source{Name: name, Path: path, LossFactor: 1}
	}
	template, err := chat.Open(tokenizer.Bytes(), "auto")
	if err != nil {
		t.Fatal(err)
	}
	set, err := data.Build(context.Background(), data.Options{
		Sources: []data.Source{source("talks", talks(40))}, HeldOut: data.HeldOut{Sources: []data.Source{source("held", talks(17))}},
		MaxLength: 96, HeldOutMaxLength: limit, TooLong: "truncate", OnBadRecord: "error", Dedup: "exact",
		CacheDir: filepath.Join(dir, "cache"),
	}, template, data.Run{Seed: 3, Positions: 512})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	return set, template
}

// TestTheLossOfLongHeldOutTextsIsThatOfLargePacks, over the whole texts.
func TestTheLossOfLongHeldOutTextsIsThatOfLargePacks(t *testing.T) {
	set, template := longHeldOut(t, 0)
	evaluate := func(capacity int, set *data.Set) (EvalMetrics, *sft) {
		j := job(t, set, template, t.TempDir())
		j.Packing.Capacity = capacity
		m, err := newSFT(j.ready(t))
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.evaluate(context.Background(), 0)
		if err != nil {
			t.Fatal(err)
		}
		return got, m
	}
	got, m := evaluate(96, set)
	want, _ := evaluate(512, set)
	near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-6*math.Abs(b) }
	if !near(got.Loss, want.Loss) || !near(got.Values["end/probability"], want.Values["end/probability"]) {
		t.Errorf("loss %.9g, ends %v; want %.9g, %v", got.Loss, got.Values, want.Loss, want.Values)
	}
	longer, sizes, all := 0, 0, 0 // sizes are what is computed: packs of the capacity, and multiples of 128 tokens
	for _, p := range m.heldOut {
		size := m.batches.heldOutSize(p)
		computed := size
		if size > 96 {
			longer, computed = longer+1, (size+127)/128*128
		}
		sizes, all = sizes+computed, all+len(p)
		pack, err := m.layHeldOut(p)
		if err != nil || len(pack.IDs) != size || size > 96 && (len(p) != 1 || pack.Tokens != size) {
			t.Errorf("%d samples in a pack of %d, %d of them theirs (%v)", len(p), size, pack.Tokens, err)
		}
	}
	if mix := set.Mix(); longer < 3 || longer != mix.HeldOutLong || all != len(set.HeldOut()) || mix.HeldOutMost <= 96 {
		t.Errorf("%d of %d are longer than a pack, the longest of %d tokens; want %d of %d", longer, all, mix.HeldOutMost, mix.HeldOutLong,
			len(set.HeldOut()))
	}
	work, err := m.batches.Work(0)
	times := m.batches.opt.evaluations(0, m.batches.total)
	if err != nil || work.Scored != int64(times*sizes) || work.HeldOut != work.Scored {
		t.Errorf("%d tokens are scored (%v), want %d times %d", work.Scored, err, times, sizes)
	}
	limited, _ := longHeldOut(t, 96)
	if cut, m := evaluate(96, limited); near(cut.Loss, got.Loss) || len(m.heldOut) >= all {
		t.Errorf("a limit of 96 tokens gives %g in %d packs, without one %g", cut.Loss, len(m.heldOut), got.Loss)
	}
}

// TestLongHeldOutPairsAreMeasuredAsInLargePacks, by a model and by its reference.
func TestLongHeldOutPairsAreMeasuredAsInLargePacks(t *testing.T) {
	dir := t.TempDir()
	source := func(name string, n int) data.Source {
		path := filepath.Join(dir, name+".jsonl")
		if err := os.WriteFile(path, []byte(preferencesText(n)), 0o644); err != nil {
			t.Fatal(err)
		}
		return data.Source{Name: name, Path: path, LossFactor: 1}
	}
	template, err := chat.Open(tokenizer.Bytes(), "auto")
	if err != nil {
		t.Fatal(err)
	}
	o := data.Options{Sources: []data.Source{source("pairs", 21)}, HeldOut: data.HeldOut{Sources: []data.Source{source("held", 9)}},
		MaxLength: 80, TooLong: "skip", OnBadRecord: "error", Dedup: "exact", CacheDir: filepath.Join(dir, "cache")}
	set, err := data.Build(context.Background(), o, template, data.Run{Seed: 3, Pairs: true, Positions: 512})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	if mix := set.Mix(); len(set.HeldOutPairs()) != 9 || mix.HeldOutLong < 3 || mix.HeldOutMost <= 80 {
		t.Fatalf("%d pairs are held out, %d of their answers long, the longest of %d tokens", len(set.HeldOutPairs()), mix.HeldOutLong,
			mix.HeldOutMost)
	}
	var got [2]EvalMetrics
	for i, capacity := range []int{80, 512} {
		j := pairJob(t, set, filepath.Join(dir, fmt.Sprint("cache", capacity)))
		j.Packing.Capacity = capacity
		r := runDPO(t, j)
		got[i] = *r.LastEval
		p, err := newPreferences(j.packed(t))
		if err != nil {
			t.Fatal(err)
		}
		tokens := int64(0)
		for _, id := range set.HeldOut() {
			tokens += int64(set.Tokens(int(id)))
		}
		if w := p.Work(j.DPO, 6); w.HeldOut < tokens {
			t.Errorf("packs of %d: %d tokens of held-out pairs, want at least the %d that there are", capacity, w.HeldOut, tokens)
		}
	}
	near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-4*max(math.Abs(b), 1e-3) }
	if !near(got[0].Loss, got[1].Loss) || !near(got[0].Values["rewards/margins"], got[1].Values["rewards/margins"]) {
		t.Errorf("loss %v, margin %v; want %v, %v", got[0].Loss, got[0].Values["rewards/margins"], got[1].Loss,
			got[1].Values["rewards/margins"])
	}
}

// TestARunWithLongHeldOutTextsGoesOnAsIfItHadNotStopped.
func TestARunWithLongHeldOutTextsGoesOnAsIfItHadNotStopped(t *testing.T) {
	set, template := longHeldOut(t, 0)
	jobOf := func(dir string) testJob {
		j := job(t, set, template, dir)
		j.Packing.Capacity = 128
		return j
	}
	whole := filepath.Join(t.TempDir(), "run")
	run(t, jobOf(whole))
	for _, at := range []int{3, 4, 7} {
		dir := filepath.Join(t.TempDir(), "run")
		j := jobOf(dir)
		ctx, cancel := context.WithCancel(context.Background())
		j.Events.Step = func(m StepMetrics) {
			if m.Step == at {
				cancel()
			}
		}
		if _, err := j.sft(ctx, t); !errors.Is(err, ErrInterrupted) {
			t.Fatalf("step %d: %v", at, err)
		}
		run(t, jobOf(dir))
		wantSameRun(t, whole, dir)
	}
}

// TestARunWhoseHeldOutTextsWereCutSaysHowItGoesOn.
func TestARunWhoseHeldOutTextsWereCutSaysHowItGoesOn(t *testing.T) {
	before, template := longHeldOut(t, 96)
	dir := filepath.Join(t.TempDir(), "run")
	of := func(set *data.Set) testJob {
		j := job(t, set, template, dir)
		j.Packing = packing.Options{Capacity: 128, Strategy: packing.BestFit, Weighting: packing.ByToken}
		j.Identity.Settings = map[string]string{"data.max_length": "96"}
		return j
	}
	run(t, of(before))
	now, _ := longHeldOut(t, 0)
	_, err := of(now).sft(context.Background(), t)
	if err == nil || !fault.IsUsage(err) || !strings.Contains(fault.HintOf(err), "data.held_out_max_length=96") {
		t.Errorf("%v (%s), want the key that takes what was held out then", err, fault.HintOf(err))
	}
	again, _ := longHeldOut(t, 96)
	if r := run(t, of(again)); !r.AlreadyThere {
		t.Errorf("it is not the same run: %+v", r)
	}
	other := of(now)
	other.Identity.Settings = map[string]string{"data.max_length": "97"}
	_, err = other.sft(context.Background(), t)
	if err == nil || strings.Contains(fault.HintOf(err), "held_out_max_length") {
		t.Errorf("another max_length: %v (%s)", err, fault.HintOf(err))
	}
	const choice = "choice of samples"
	if !slices.Equal(before.Train(), now.Train()) || before.Contents()[choice] == now.Contents()[choice] {
		t.Error("what is held out is no part of what a run is known by")
	}
}
