package train

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"lwtrain/chat"
	"lwtrain/checkpoints"
	"lwtrain/data"
	"lwtrain/dpo"
	"lwtrain/model"
	"lwtrain/tokenizer"
)

// trls is what TRL's trainers computed: testdata/dpo/golden.py.
type trls struct {
	cache         string
	pairs, labels *data.Set
	golden        *checkpoints.Weights
}

var trlsFolder = filepath.Join("testdata", "dpo")

// trlsOptions are those of the trainers, by loss.
var trlsOptions = map[string]func(*dpo.Options){
	"sigmoid": func(*dpo.Options) {},
	"ipo":     func(o *dpo.Options) { o.LossType = []string{"ipo"} },
	"simpo":   func(o *dpo.Options) { o.LossType, o.Beta, o.Reference = []string{"simpo"}, 2, "none" },
	"kto":     func(o *dpo.Options) { o.LossType, o.UndesirableWeight = []string{"kto"}, 1.2 },
}

func openTRLs(t *testing.T) *trls {
	t.Helper()
	template, err := chat.Open(tokenizer.Bytes(), "auto")
	if err != nil {
		t.Fatal(err)
	}
	g := &trls{cache: t.TempDir()}
	read := func(file string, run data.Run) *data.Set {
		set, err := data.Build(context.Background(), data.Options{
			Sources:   []data.Source{{Name: "pairs", Path: filepath.Join(trlsFolder, file), LossFactor: 1}},
			MaxLength: 160, TooLong: "error", OnBadRecord: "error", CacheDir: g.cache,
		}, template, run)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { set.Close() })
		return set
	}
	g.pairs, g.labels = read("pairs.jsonl", data.Run{Pairs: true}), read("labels.jsonl", data.Run{Labels: true})
	if g.golden, err = checkpoints.OpenSafetensors(filepath.Join(trlsFolder, "golden.safetensors")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.golden.Close() })
	return g
}

// job is a run as TRL's of that loss, but for its capacity.
func (g *trls) job(t *testing.T, loss string, capacity int) testJob {
	t.Helper()
	set := g.pairs
	if loss == "kto" {
		set = g.labels
	}
	j := pairJob(t, set, g.cache)
	j.Packing.Capacity, j.DPO.Reference = capacity, filepath.Join(trlsFolder, "reference")
	trlsOptions[loss](&j.DPO)
	var err error
	if j.Model, err = model.Load(filepath.Join(trlsFolder, "policy")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Model.Free)
	return j
}

// preferences is the method of a job, with KTO's other answers as TRL takes them: the
// one before each answer in the batch.
func (g *trls) preferences(t *testing.T, j Job) *preferences {
	t.Helper()
	p, err := newPreferences(j)
	if err != nil {
		t.Fatal(err)
	}
	for id := range p.others {
		p.others[id] = (id + 4) % 5
	}
	return p
}

func (g *trls) values(t *testing.T, name string, n int) []float32 {
	t.Helper()
	x := make([]float32, n)
	if err := g.golden.Read(name, x); err != nil {
		t.Fatal(err)
	}
	return x
}

// keys are the metrics that both have of a loss.
func (g *trls) keys(loss string) []string {
	out := []string{"rewards/chosen", "rewards/rejected", "rewards/margins"}
	if loss != "simpo" { // CPOTrainer's are means over tokens, DPOTrainer's and ours are sums
		out = append(out, "logps/chosen", "logps/rejected")
	}
	if loss == "kto" {
		return append(out, "kl")
	}
	return append(out, "rewards/accuracies")
}

func nearTRLs(t *testing.T, what string, got, want float64) {
	t.Helper()
	if d := math.Abs(got-want) / math.Max(1e-3, math.Abs(want)); !(d < 1e-4) {
		t.Errorf("%s is %.7g, TRL has %.7g", what, got, want)
	}
}

// TestPreferencesEqualTRLs compares loss, metrics and all gradients of a step. The
// way there is the whole one, from the text of the pairs on.
func TestPreferencesEqualTRLs(t *testing.T) {
	g := openTRLs(t)
	for loss := range trlsOptions {
		for _, capacity := range []int{1024, 160} { // all pairs in one pack, or some of them split
			t.Run(fmt.Sprint(loss, " in packs of ", capacity), func(t *testing.T) {
				j := g.job(t, loss, capacity)
				p := g.preferences(t, j.ready(t))
				defer p.close()
				if _, err := p.open(); err != nil {
					t.Fatal(err)
				}
				if err := p.prepare(context.Background()); err != nil {
					t.Fatal(err)
				}
				if n := p.Plan().Split; (n > 0) != (capacity == 160 && loss != "kto") {
					t.Fatalf("%d pairs are split", n)
				}
				s, err := p.learnPairs(context.Background(), []int{0, 1, 2, 3, 4}, 0)
				if err != nil {
					t.Fatal(err)
				}
				nearTRLs(t, "loss", s.loss, float64(g.values(t, loss+".loss", 1)[0]))
				for _, key := range g.keys(loss) {
					nearTRLs(t, key, s.values[key], float64(g.values(t, loss+"."+key, 1)[0]))
				}
				var distance, norm float64
				err = p.engine.Gradients(func(name string, values []float32) {
					for i, w := range g.values(t, loss+".grad."+name, len(values)) {
						d := float64(values[i]) - float64(w)
						distance += d * d
						norm += float64(w) * float64(w)
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				if d := math.Sqrt(distance / norm); !(d < 1e-4) || norm == 0 {
					t.Errorf("the gradient is %g of its norm %g away from TRL's", d, math.Sqrt(norm))
				}
			})
		}
	}
}

// TestStepsOfPreferencesEqualTRLs compares what the trainers log of four steps: what
// is measured in each depends on the updates before it.
func TestStepsOfPreferencesEqualTRLs(t *testing.T) {
	g := openTRLs(t)
	for _, loss := range []string{"sigmoid", "kto"} {
		t.Run(loss, func(t *testing.T) {
			const n = 4
			j := g.job(t, loss, 160)
			o := &j.Options
			o.MaxSteps, o.PerDeviceTrainBatchSize, o.GradientAccumulationSteps = n, 5, 1
			o.LearningRate, o.LRSchedulerType, o.AdamBeta2 = 1e-3, "constant", 0.999
			job := j.ready(t)
			p := g.preferences(t, job)
			tr, err := newTrainer(job, p, p.Plan())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tr.do(context.Background()); err != nil {
				t.Fatal(err)
			}
			lines := steps(t, j.Dir)
			if len(lines) != n {
				t.Fatalf("%d lines, want %d", len(lines), n)
			}
			for _, key := range append(g.keys(loss), "loss", "grad_norm") {
				for i, want := range g.values(t, loss+".steps."+key, n) {
					got, ok := lines[i][key].(float64)
					if !ok {
						t.Fatalf("no %s in %v", key, lines[i])
					}
					nearTRLs(t, fmt.Sprintf("step %d: %s", i+1, key), got, float64(want))
				}
			}
		})
	}
}
