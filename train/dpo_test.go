package train

import (
	"context"
	"encoding/json"
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
	"lwtrain/dpo"
	"lwtrain/engine"
	"lwtrain/internal/fault"
	"lwtrain/model"
	"lwtrain/packing"
	"lwtrain/tokenizer"
)

// preferencesText is n pairs with answers of different lengths, the chosen one mostly
// longer.
func preferencesText(n int) string {
	var b strings.Builder
	for i := range n {
		raw, _ := json.Marshal(map[string]string{
			"prompt":   fmt.Sprint("say ", i),
			"chosen":   strings.Repeat(fmt.Sprintf("%d long steps. ", i%5), 1+i*3%7),
			"rejected": strings.Repeat(fmt.Sprintf("no %d. ", i), 1+i*2%5),
		})
		b.Write(append(raw, '\n'))
	}
	return b.String()
}

// pairFixture is the set of 21 pairs, 4 of them held out, and where it is cached.
func pairFixture(t *testing.T) (*data.Set, string) {
	return preferenceFixture(t, data.Run{Seed: 3, Pairs: true})
}

// labelFixture is the same as labelled answers.
func labelFixture(t *testing.T) (*data.Set, string) {
	return preferenceFixture(t, data.Run{Seed: 3, Labels: true})
}

func preferenceFixture(t *testing.T, how data.Run) (*data.Set, string) {
	t.Helper()
	return preferenceFixtureOf(t, preferencesText(21), how)
}

func preferenceFixtureOf(t *testing.T, text string, how data.Run) (*data.Set, string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "pairs.jsonl")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	template, err := chat.Open(tokenizer.Bytes(), "auto")
	if err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(dir, "cache")
	set, err := data.Build(context.Background(), data.Options{
		Sources: []data.Source{{Name: "pairs", Path: path, LossFactor: 1}}, HeldOut: data.HeldOut{Count: 4},
		MaxLength: 160, TooLong: "error", OnBadRecord: "error", CacheDir: cache,
	}, template, how)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	return set, cache
}

// pairJob is a run of 7 steps of 4 pairs, the last of an epoch of fewer.
func pairJob(t *testing.T, set *data.Set, cache string) testJob {
	o := Default()
	o.MaxSteps, o.GradientAccumulationSteps, o.LearningRate, o.WarmupRatio = 7, 4, 1e-2, 0
	o.Precision, o.EvalSteps, o.SaveSteps, o.SaveTotalLimit = "float32", 3, 3, 0
	return testJob{Job{
		Options: o, DPO: dpo.Default(), Seed: 3, Dir: filepath.Join(t.TempDir(), "run"), CacheDir: cache, Data: set,
		Tokenizer: tokenizer.Bytes(), Asked: AnswerOptions{Prompts: 1, MaxNewTokens: 4}, Stop: []int32{257},
		Identity: Identity{Contents: set.Contents(), Settings: map[string]string{"seed": "3"}}, Config: []byte("seed: 3\n"),
	}, packing.Options{Capacity: 320, Strategy: packing.BestFit, Weighting: packing.ByToken}, tiny(t)}
}

// labelJob is the same with labelled answers.
func labelJob(t *testing.T, set *data.Set, cache string) testJob {
	j := pairJob(t, set, cache)
	j.DPO.LossType, j.Packing.Capacity = []string{"kto"}, 160
	return j
}

func runDPO(t *testing.T, j testJob) Result {
	t.Helper()
	r, err := j.dpo(context.Background(), t)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPreferenceTrainingFromStartToEnd(t *testing.T) {
	set, cache := pairFixture(t)
	j := pairJob(t, set, cache)
	r := runDPO(t, j)
	if math.Abs(r.FirstLoss-math.Ln2) > 1e-5 || r.LastLoss > 0.5 {
		t.Errorf("loss %.6f to %.6f, want it to start at ln 2 and fall", r.FirstLoss, r.LastLoss)
	}
	if math.Abs(r.FirstEval.Loss-math.Ln2) > 1e-5 || r.LastEval.Loss > 0.6 {
		t.Errorf("held out %.6f to %.6f, want it to start at ln 2 and fall", r.FirstEval.Loss, r.LastEval.Loss)
	}
	if a, b := r.FirstEval.Values["rewards/ties"], r.LastEval.Values["rewards/accuracies"]; a != 1 || b < 0.75 {
		t.Errorf("ties before %g, accuracy after %g", a, b)
	}
	n, evals := 0, 0
	for _, m := range steps(t, j.Dir) {
		keys := []string{
			"loss", "grad_norm", "learning_rate", "tokens", "target_tokens", "epoch", "nll_loss", "kl",
			"rewards/chosen", "rewards/rejected", "rewards/accuracies", "rewards/margins", "rewards/ties",
			"logps/chosen", "logps/rejected", "lengths/chosen", "lengths/rejected",
		}
		if m["eval_loss"] != nil {
			evals++
			keys = []string{
				"eval_loss", "eval_loss/pairs", "eval_nll_loss", "eval_rewards/accuracies", "eval_rewards/margins",
				"eval_rewards/accuracies/0-499", "eval_rewards/margins/0-499", "eval_logps/chosen", "eval_lengths/rejected",
			}
		} else {
			n++
		}
		for _, key := range keys {
			if _, ok := m[key].(float64); !ok {
				t.Errorf("no %s in %v", key, m)
			}
		}
	}
	if n != 7 || evals != 4 {
		t.Errorf("%d steps and %d evaluations, want 7 and 4 (before, 3, 6, 7)", n, evals)
	}
	j.Model = tiny(t)
	if again := runDPO(t, j); !again.AlreadyThere || again.FirstEval.Values["rewards/ties"] != r.FirstEval.Values["rewards/ties"] {
		t.Errorf("the same run again: %+v", again)
	}
	last := steps(t, j.Dir)[len(steps(t, j.Dir))-1]
	chosen, rejected := last["eval_rewards/chosen"].(float64), last["eval_rewards/rejected"].(float64)
	if want := -(chosen + rejected) / 2 / j.DPO.Beta; math.Abs(last["eval_kl"].(float64)-want) > 1e-9 {
		t.Errorf("kl %v, want %v, from the rewards", last["eval_kl"], want)
	}
	answers := r.Answers
	if len(answers) != 1 || !strings.HasPrefix(answers[0].Prompt, "say ") || answers[0].After == nil {
		t.Errorf("answers %+v", answers)
	}
}

// testMethod is a method, with the model that its engine trains.
type testMethod struct {
	*preferences
	model *model.Model
}

// gradient runs pairs as one step of that many and returns loss and gradient.
func (p testMethod) gradient(t *testing.T, batch ...int) (float64, []float64) {
	t.Helper()
	p.engine.Drop()
	s, err := p.learnPairs(context.Background(), batch, 1)
	if err != nil {
		t.Fatal(err)
	}
	var out []float64
	err = p.engine.Gradients(func(_ string, values []float32) {
		for _, g := range values {
			out = append(out, float64(g))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return s.loss, out
}

// apart is the Euclidean distance of b from a over a's norm.
func apart(a, b []float64) float64 {
	var d, n float64
	for i := range a {
		d += (a[i] - b[i]) * (a[i] - b[i])
		n += a[i] * a[i]
	}
	return math.Sqrt(d / n)
}

// prepared is a method whose model has moved away from its reference.
func prepared(t *testing.T, j testJob) testMethod {
	t.Helper()
	p := unmoved(t, j)
	move(p)
	return p
}

// unmoved is a method whose model is its reference.
func unmoved(t *testing.T, j testJob) testMethod {
	t.Helper()
	p, err := newPreferences(j.ready(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	if _, err := p.open(); err != nil {
		t.Fatal(err)
	}
	if err := p.prepare(context.Background()); err != nil {
		t.Fatal(err)
	}
	return testMethod{p, j.Model}
}

// move changes the weights of a method as a step would.
func move(p testMethod) {
	for k, x := range p.model.Params {
		for i := range x.Data {
			x.Data[i] *= 1 + 0.1*float32(math.Sin(float64(7*i+k)))
		}
	}
	p.model.RefreshHalf()
}

func TestPackedPairsEqualEachPairAlone(t *testing.T) {
	set, cache := pairFixture(t)
	for name, change := range map[string]func(*dpo.Options){
		"sigmoid":     func(*dpo.Options) {},
		"LD-DPO, NLL": func(o *dpo.Options) { o.LDAlpha, o.SFTWeight = 0.4, 0.3 },
		"ipo":         func(o *dpo.Options) { o.LossType = []string{"ipo"} },
		"simpo":       func(o *dpo.Options) { o.LossType, o.Beta, o.Reference = []string{"simpo"}, 2, "none" },
	} {
		t.Run(name, func(t *testing.T) {
			j := pairJob(t, set, cache)
			change(&j.DPO)
			p := prepared(t, j)
			batch := []int{0, 3, 5, 8, 9, 12, 16}
			loss, grad := p.gradient(t, batch...)
			var alone float64
			sum := make([]float64, len(grad))
			for _, i := range batch {
				l, g := p.gradient(t, i)
				alone += l / float64(len(batch))
				for k := range g {
					sum[k] += g[k] / float64(len(batch))
				}
			}
			if d := math.Abs(loss-alone) / alone; !(d < 1e-5) {
				t.Errorf("loss %.8f together, %.8f alone", loss, alone)
			}
			if d := apart(sum, grad); !(d < 1e-5) {
				t.Errorf("gradients are %g apart", d)
			}
		})
	}
}

func TestAPairInTwoPacksEqualsOneInOne(t *testing.T) {
	set, cache := pairFixture(t)
	j := pairJob(t, set, cache)
	j.DPO.LDAlpha = 0.5
	whole := prepared(t, j)
	j.Model, j.Packing.Capacity = tiny(t), 160
	split := prepared(t, j)
	n := 0
	for i := range set.Pairs() {
		if !whole.whole(whole.all[i]) || split.whole(split.all[i]) {
			continue
		}
		n++
		wantLoss, want := whole.gradient(t, i, 0)
		loss, grad := split.gradient(t, i, 0)
		if d := math.Abs(loss-wantLoss) / wantLoss; !(d < 1e-5) || apart(want, grad) > 1e-5 {
			t.Errorf("pair %d: loss %.8f, want %.8f; gradients %g apart", i, loss, wantLoss, apart(want, grad))
		}
	}
	if n == 0 {
		t.Error("no pair is split")
	}
}

func TestHowAStepOfPreferencesIsCutDoesNotMatter(t *testing.T) {
	pairs, cache := pairFixture(t)
	labels, labelCache := labelFixture(t)
	for name, job := range map[string]func() testJob{
		"pairs":            func() testJob { return pairJob(t, pairs, cache) },
		"labelled answers": func() testJob { return labelJob(t, labels, labelCache) },
	} {
		var first string
		for _, cut := range [][2]int{{1, 8}, {8, 1}} {
			j := job()
			j.Options.PerDeviceTrainBatchSize, j.Options.GradientAccumulationSteps, j.Options.MaxSteps = cut[0], cut[1], 4
			runDPO(t, j)
			got := tree(t, j.Dir)["checkpoints/step-000004/model.safetensors"]
			if first == "" {
				first = got
			} else if got == "" || got != first {
				t.Errorf("%d x %d %s gave other weights than 1 x 8", cut[0], cut[1], name)
			}
		}
	}
}

func TestInterruptedPreferenceTrainingEndsWithTheSameBytes(t *testing.T) {
	t.Run("pairs, some of them split", func(t *testing.T) {
		set, cache := pairFixture(t)
		interruptEverywhere(t, 9, cache, func(cache string) testJob {
			j := pairJob(t, set, cache)
			j.Packing.Capacity = 160
			return j
		})
	})
	t.Run("pairs whose prompts are computed once", func(t *testing.T) {
		set, cache := promptFixture(t)
		interruptEverywhere(t, 5, cache, func(cache string) testJob {
			j := pairJob(t, set, cache)
			j.Packing.Capacity, j.Sharing = 230, everywhere
			return j
		})
	})
	t.Run("labelled answers", func(t *testing.T) {
		set, cache := labelFixture(t)
		interruptEverywhere(t, 5, cache, func(cache string) testJob { return labelJob(t, set, cache) })
	})
}

func interruptEverywhere(t *testing.T, places int64, cache string, job func(cache string) testJob) {
	whole := job(cache)
	counter := &halfwayContext{Context: context.Background()}
	if _, err := whole.dpo(counter, t); err != nil {
		t.Fatal(err)
	}
	total := counter.asked.Load()
	for i := range places {
		at := 1 + i*(total-2)/(places-1)
		t.Run(fmt.Sprintf("at op %d of %d", at, total), func(t *testing.T) {
			j := job(t.TempDir()) // a cache of its own: the reference pass is interrupted, too
			h := &halfwayContext{Context: context.Background()}
			h.limit.Store(at)
			r, err := j.dpo(h, t)
			if !errors.Is(err, ErrInterrupted) {
				t.Fatalf("got %v, want %v", err, ErrInterrupted)
			}
			j.Model = tiny(t)
			if resumed := runDPO(t, j); resumed.Resumed != r.Steps {
				t.Errorf("%d steps were made, and it went on from step %d", r.Steps, resumed.Resumed)
			}
			wantSameRun(t, whole.Dir, j.Dir)
		})
	}
}

func TestPreferenceTrainingRefusesWhatItCanNotTrainOn(t *testing.T) {
	set, cache := pairFixture(t)
	talks, template := fixture(t, 1)
	for name, change := range map[string]func(*testJob){
		"kto on pairs":                    func(j *testJob) { j.DPO.LossType = []string{"kto"} },
		"a set of conversations":          func(j *testJob) { j.Data, j.Stop = talks, template.Stop() },
		"a reference that is not there":   func(j *testJob) { j.DPO.Reference = filepath.Join(cache, "nosuch") },
		"a folder that holds another run": func(j *testJob) { runDPO(t, *j); j.Model, j.Identity.Settings = tiny(t), nil },
	} {
		t.Run(name, func(t *testing.T) {
			j := pairJob(t, set, cache)
			j.Options.MaxSteps = 1
			change(&j)
			if _, err := j.dpo(context.Background(), t); !fault.IsUsage(err) {
				t.Errorf("got %v, want an error of what was asked for", err)
			}
		})
	}
}

func TestEveryPairOfAnEpochIsTakenOnce(t *testing.T) {
	set, cache := pairFixture(t)
	j := pairJob(t, set, cache)
	j.Options.MaxSteps, j.Options.NumTrainEpochs = 0, 2
	p, err := NewPairSteps(set, j.DPO, 320, Sharing{}, j.Options, 3)
	if err != nil {
		t.Fatal(err)
	}
	if p.total != 10 {
		t.Fatalf("%d steps, want two epochs of 5", p.total)
	}
	var epochs [2][]int
	for step := range p.total {
		epochs[step/5] = append(epochs[step/5], p.at(step)...)
	}
	if slices.Equal(epochs[0], epochs[1]) || len(p.at(4)) != 1 {
		t.Errorf("both epochs %v, the last step takes %v", epochs[0], p.at(4))
	}
	for _, e := range epochs {
		slices.Sort(e)
		for i := range set.Pairs() {
			if len(e) != len(set.Pairs()) || e[i] != i {
				t.Fatalf("an epoch takes %v", e)
			}
		}
	}
}

func TestPreferencesInBF16StartAtLn2(t *testing.T) {
	set, cache := pairFixture(t)
	j := pairJob(t, set, cache)
	j.Options.Precision, j.Options.MaxSteps = "bf16", 2
	r := runDPO(t, j)
	if math.Abs(r.FirstLoss-math.Ln2) > 5e-3 || r.LastLoss >= r.FirstLoss {
		t.Errorf("loss %.6f, then %.6f, want it to start at ln 2 and fall", r.FirstLoss, r.LastLoss)
	}
	other := pairJob(t, set, cache)
	other.Options.Precision, other.Options.MaxSteps, other.DPO.Reference = "bf16", 1, filepath.Join(j.Dir, "checkpoints", "step-000002")
	if first := runDPO(t, other).FirstLoss; math.Abs(first-math.Ln2) < 5e-3 {
		t.Errorf("loss %.6f against a reference that was trained", first)
	}
}

func TestPreferenceTrainingInLessMemoryGivesTheSameBytes(t *testing.T) {
	set, cache := pairFixture(t)
	train := func(checkpointing string, limit Bytes) (string, engine.Needs) {
		j := pairJob(t, set, cache)
		j.Options.MaxSteps, j.Options.GradientCheckpointing, j.Options.MemoryLimit = 3, checkpointing, limit
		var needs engine.Needs
		j.Events.Planned = func(_ *Plan, n engine.Needs) { needs = n }
		runDPO(t, j)
		return tree(t, j.Dir)["checkpoints/step-000003/model.safetensors"], needs
	}
	want, roomy := train("false", 0)
	all, least := train("true", 0)
	some, between := train("auto", Bytes(least.Total()+(roomy.Total()-least.Total())/2))
	if want == "" || all != want || some != want {
		t.Error("other weights came out")
	}
	if r := between.Recomputed; r == roomy.Recomputed || r == least.Recomputed {
		t.Errorf("with half of the memory %s, want some and not all", r)
	}
}
