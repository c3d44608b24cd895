package train

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/checkpoints"
	"lwtrain/data"
	"lwtrain/dpo"
	"lwtrain/internal/graph"
	"lwtrain/model"
	"lwtrain/tokenizer"
)

// TestPreferencesEqualTRLs compares loss, metrics and all gradients of a step with
// those of TRL's trainers: testdata/dpo/golden.py. The way there is the whole one,
// from the text of the pairs on.
func TestPreferencesEqualTRLs(t *testing.T) {
	dir := filepath.Join("testdata", "dpo")
	chat, err := tokenizer.Bytes().Chat("auto")
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	read := func(file string, run data.Run) *data.Store {
		store, err := data.Build(context.Background(), data.Options{
			Sources:   []data.Source{{Name: "pairs", Path: filepath.Join(dir, file), LossFactor: 1}},
			MaxLength: 160, TooLong: "error", OnBadRecord: "error", CacheDir: cache,
		}, chat, run)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		return store
	}
	pairs, labels := read("pairs.jsonl", data.Run{Pairs: true}), read("labels.jsonl", data.Run{Labels: true})
	golden, err := checkpoints.OpenSafetensors(filepath.Join(dir, "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer golden.Close()
	for name, change := range map[string]func(*dpo.Options){
		"sigmoid": func(*dpo.Options) {},
		"ipo":     func(o *dpo.Options) { o.LossType = []string{"ipo"} },
		"simpo":   func(o *dpo.Options) { o.LossType, o.Beta, o.Reference = []string{"simpo"}, 2, "none" },
		"kto":     func(o *dpo.Options) { o.LossType, o.UndesirableWeight = []string{"kto"}, 1.2 },
	} {
		for _, capacity := range []int{1024, 160} { // all pairs in one pack, or some of them split
			t.Run(fmt.Sprint(name, " in packs of ", capacity), func(t *testing.T) {
				store, keys := pairs, []string{"rewards/accuracies"}
				if name == "kto" {
					store, keys = labels, []string{"kl"}
				}
				j := pairJob(t, store, cache)
				j.Packing.Capacity, j.DPO.Reference = capacity, filepath.Join(dir, "reference")
				change(&j.DPO)
				if j.Model, err = model.Load(filepath.Join(dir, "policy")); err != nil {
					t.Fatal(err)
				}
				defer j.Model.Free()
				p, err := newPreferences(j)
				if err != nil {
					t.Fatal(err)
				}
				defer p.close()
				for id := range p.others { // as TRL's: the answer before it in the batch
					p.others[id] = (id + 4) % 5
				}
				if err := p.prepare(); err != nil {
					t.Fatal(err)
				}
				if n := p.summary(j.Options).Split; (n > 0) != (capacity == 160 && name != "kto") {
					t.Fatalf("%d pairs are split", n)
				}
				s, err := p.runPairs([]int{0, 1, 2, 3, 4})
				if err != nil {
					t.Fatal(err)
				}
				value := func(key string, n int) []float32 {
					x := make([]float32, n)
					if err := golden.Read(name+"."+key, x); err != nil {
						t.Fatal(err)
					}
					return x
				}
				near := func(what string, got, want float64) {
					if d := math.Abs(got-want) / math.Max(1e-3, math.Abs(want)); !(d < 1e-4) {
						t.Errorf("%s is %.7g, TRL has %.7g", what, got, want)
					}
				}
				near("loss", s.loss, float64(value("loss", 1)[0]))
				for _, key := range append(keys, "rewards/chosen", "rewards/rejected", "rewards/margins", "logps/chosen", "logps/rejected") {
					if name == "simpo" && strings.HasPrefix(key, "logps/") {
						continue // CPOTrainer's are means over tokens, DPOTrainer's and ours are sums
					}
					near(key, s.values[key], float64(value(key, 1)[0]))
				}
				var distance, norm float64
				for _, x := range p.model.Tensors(func(p *graph.Param) []float32 { return p.Grad }) {
					want := value("grad."+x.Name, len(x.Data))
					for i, w := range want {
						d := float64(x.Data[i]) - float64(w)
						distance += d * d
						norm += float64(w) * float64(w)
					}
				}
				if d := math.Sqrt(distance / norm); !(d < 1e-4) || norm == 0 {
					t.Errorf("the gradient is %g of its norm %g away from TRL's", d, math.Sqrt(norm))
				}
			})
		}
	}
}
