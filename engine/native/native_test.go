package native

import (
	"context"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/checkpoints"
	"lwtrain/engine"
	"lwtrain/internal/graph"
	"lwtrain/model"
	"lwtrain/packing"
)

const tinyConfig = `{"model_type": "llama", "vocab_size": 259, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
	"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "tie_word_embeddings": true,
	"initializer_range": 0.05, "hidden_act": "silu", "rope_theta": 10000}`

// options are those of a run in float32.
func options() Options {
	return Options{
		Capacity: 256, Precision: "float32", GradientCheckpointing: "auto",
		AdamW: AdamW{Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8, Decay: 0.1},
	}
}

// tiny is an engine over a model of two layers, of whose tensors those stay that a pattern fits.
func tiny(t *testing.T, o Options, freeze ...string) *Engine {
	t.Helper()
	c, err := model.ParseConfig([]byte(tinyConfig))
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.NewToTrain(c, 1, model.Training{Freeze: freeze})
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(m, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// document is n tokens, the last targets of which are targets.
func document(seed, n, targets int) packing.Doc {
	d := packing.Doc{IDs: make([]int32, n), Target: [][2]int32{{int32(n - targets), int32(n)}}, Factor: 1}
	for i := range d.IDs {
		d.IDs[i] = int32((seed*7919 + i*i*31 + i) % 256)
	}
	return d
}

func lay(t *testing.T, size int, docs ...packing.Doc) packing.Pack {
	t.Helper()
	p, err := packing.Lay(size, docs, packing.ByToken)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// gradients are what a step of packs adds up, by tensor, and the loss of each pack.
func gradients(t *testing.T, e *Engine, packs ...packing.Pack) (map[string][]float32, []float64) {
	t.Helper()
	e.Drop()
	learned, err := e.Learn(context.Background(), 1, packs, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]float32{}
	if err := e.Gradients(func(name string, values []float32) { out[name] = slices.Clone(values) }); err != nil {
		t.Fatal(err)
	}
	var losses []float64
	for _, l := range learned {
		losses = append(losses, l.Loss)
	}
	return out, losses
}

func TestPacksOfAStepAddUpHoweverTheyAreHandedOver(t *testing.T) {
	e := tiny(t, options())
	a, b := lay(t, 256, document(1, 100, 40), document(2, 90, 80)), lay(t, 130, document(3, 120, 7))
	want, both := gradients(t, e, a, b)
	e.Drop()
	for i, p := range []packing.Pack{a, b} {
		learned, err := e.Learn(context.Background(), 1, []packing.Pack{p}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if learned[0].Loss != both[i] || len(learned[0].NLL) != len(p.IDs) {
			t.Errorf("pack %d: loss %g alone, %g of two; %d losses, want %d", i, learned[0].Loss, both[i], len(learned[0].NLL), len(p.IDs))
		}
	}
	got := map[string][]float32{}
	if err := e.Gradients(func(name string, values []float32) { got[name] = slices.Clone(values) }); err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(want, got, slices.Equal) {
		t.Error("two packs handed over together give other gradients than one after the other")
	}
	if both[0] == both[1] {
		t.Error("both packs have the same loss: the test tests nothing")
	}
}

func TestWeightsThatAreSetBetweenThePassesAreThoseThatCount(t *testing.T) {
	e := tiny(t, options())
	weighed := lay(t, 256, document(1, 100, 40))
	twice := lay(t, 256, document(1, 100, 40))
	for i := range twice.Weights {
		twice.Weights[i] *= 2
	}
	want, _ := gradients(t, e, twice)
	e.Drop()
	_, err := e.Learn(context.Background(), 1, []packing.Pack{weighed}, func(pack int, nll []float64, weights []float32) {
		for i, n := range nll {
			if (n != 0) != (weights[i] != 0) || (n != 0) != (weighed.Targets[i] >= 0) {
				t.Fatalf("index %d: -ln p %g, weight %g, target %d", i, n, weights[i], weighed.Targets[i])
			}
			weights[i] *= 2
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	err = e.Gradients(func(name string, values []float32) {
		if !slices.Equal(values, want[name]) {
			t.Errorf("the gradient of %s differs", name)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFrozenTensorsStayAndTheOthersAreTrained(t *testing.T) {
	const pattern = "model.layers.0.*"
	pack := lay(t, 256, document(1, 200, 150))
	whole := tiny(t, options())
	want, wantLoss := gradients(t, whole, pack)
	e := tiny(t, options(), pattern)
	got, loss := gradients(t, e, pack)
	if loss[0] != wantLoss[0] {
		t.Errorf("loss %g, without frozen tensors %g", loss[0], wantLoss[0])
	}
	if a, b := e.Needs(), whole.Needs(); a.Gradients >= b.Gradients || a.Optimizer >= b.Optimizer || a.Weights != b.Weights {
		t.Errorf("needs %+v, without frozen tensors %+v", a, b)
	}
	values := func(e *Engine) map[string][]float32 {
		out := map[string][]float32{}
		for _, x := range e.model.Tensors(func(p *graph.Param) []float32 { return p.Data }) {
			out[x.Name] = slices.Clone(x.Data)
		}
		return out
	}
	before := values(e)
	norm, err := e.Update(1, 1e-2, pack.Divisor, 0)
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for name, now := range values(e) {
		frozen := strings.HasPrefix(name, "model.layers.0.")
		if slices.Equal(now, before[name]) != frozen {
			t.Errorf("%s changed: %t, frozen: %t", name, !frozen, frozen)
		}
		if _, there := got[name]; there == frozen {
			t.Errorf("%s has a gradient: %t, frozen: %t", name, there, frozen)
		}
		if !frozen && !slices.Equal(got[name], want[name]) {
			t.Errorf("the gradient of %s is another one without frozen tensors", name)
		}
		for _, g := range got[name] {
			sum += float64(g) * float64(g)
		}
	}
	if want := math.Sqrt(sum) / pack.Divisor; math.Abs(norm-want) > 1e-9*want {
		t.Errorf("norm %g, want %g, that of what is trained", norm, want)
	}
	// A checkpoint of it holds all weights and no moments of what is frozen, and is gone on from.
	dir := t.TempDir()
	if _, err := e.Save(dir); err != nil {
		t.Fatal(err)
	}
	saved, err := checkpoints.OpenSafetensors(filepath.Join(dir, optimizerFile))
	if err != nil {
		t.Fatal(err)
	}
	defer saved.Close()
	for _, name := range saved.Names() {
		if strings.Contains(name, ".layers.0.") {
			t.Errorf("the optimiser's state holds %s", name)
		}
	}
	again := tiny(t, options(), pattern)
	if err := again.Load(dir); err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(values(again), values(e), slices.Equal) {
		t.Error("the loaded weights are others")
	}
}

func TestTheMemoryThatAReferenceTakesIsPlannedFor(t *testing.T) {
	c, err := model.ParseConfig([]byte(tinyConfig))
	if err != nil {
		t.Fatal(err)
	}
	alone, err := Needs(model.Empty(c), options())
	if err != nil {
		t.Fatal(err)
	}
	large, err := model.ParseConfig([]byte(strings.Replace(tinyConfig, `"num_hidden_layers": 2`, `"num_hidden_layers": 100`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	for name, reference := range map[string]*model.Config{"as large": &c, "50 times as deep": &large} {
		o := options()
		o.Reference = reference
		got, err := Needs(model.Empty(c), o)
		if err != nil || got.Reference <= 4*reference.Parameters() {
			t.Errorf("%s: %d bytes for the reference, %v, want more than its weights", name, got.Reference, err)
		}
		if want := max(alone.Total(), alone.Weights+got.Reference); got.Total() != want {
			t.Errorf("%s: the run takes %d, want %d", name, got.Total(), want)
		}
	}
}

func TestPatternsOfFrozenTensorsAreChecked(t *testing.T) {
	c, err := model.ParseConfig([]byte(tinyConfig))
	if err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string]string{
		"model.layers.9.*":                 "fits no tensor",
		"[":                                "syntax error",
		"model.layers.0.self_attn.q_proj*": "freeze 1 of the 3 tensors",
	} {
		if _, err := model.Outline(c, "", model.Training{Freeze: []string{pattern}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", pattern, err, want)
		}
	}
}

func TestAnUpdateThatIsNotFiniteChangesNothing(t *testing.T) {
	e := tiny(t, options())
	gradients(t, e, lay(t, 256, document(1, 200, 150)))
	e.model.Params[2].Grad[3] = float32(math.Inf(1))
	before := slices.Clone(e.model.Params[0].Data)
	norm, err := e.Update(1, 1e-2, 150, 1)
	if err != nil || !math.IsInf(norm, 1) {
		t.Errorf("norm %g, %v, want infinity", norm, err)
	}
	if !slices.Equal(e.model.Params[0].Data, before) || e.model.Params[2].Grad[3] == 0 {
		t.Error("something changed")
	}
}

// TestAdamWFollowsPyTorch takes the 20 steps of torch.optim.AdamW that
// model/testdata/golden.py recorded: rate 1e-2, decay 0.1 on matrices, clipping
// at 1. Losses are at most 5e-6 away, norms 2e-4, by every instruction set.
func TestAdamWFollowsPyTorch(t *testing.T) {
	cases := map[string]string{ // by the folder of the golden file the form
		"llama-tied": "", "llama-untied": "", "llama-biased": "", "qwen2": "", "qwen3": "", "glm": "", "glm4": "", "chatglm": "",
		"lora/lora": "llama-tied", "lora/lora-biased": "qwen2", "lora/rslora": "qwen3", "lora/dora": "qwen2", "lora/dora-fused": "glm4",
	}
	for name, form := range cases {
		t.Run(name, func(t *testing.T) {
			dir, trained := filepath.Join("..", "..", "model", "testdata", name), model.Training{}
			base := dir
			if form != "" { // an adapter of PEFT's is trained
				base, trained.LoRA.From = filepath.Join("..", "..", "model", "testdata", form), dir
			}
			m, err := model.LoadToTrain(base, trained)
			if err != nil {
				t.Fatal(err)
			}
			o := options()
			o.Capacity = 128
			e, err := New(m, o)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			ref, err := checkpoints.OpenSafetensors(filepath.Join(dir, "golden.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer ref.Close()
			read := func(name string) []float32 {
				info, ok := ref.Info(name)
				if !ok {
					return nil
				}
				x := make([]float32, info.Shape[0])
				if err := ref.Read(name, x); err != nil {
					t.Fatal(err)
				}
				return x
			}
			var docs []packing.Doc
			var weights []float32 // of the prediction made at each position
			for i := 0; read(fmt.Sprint("ids.", i)) != nil; i++ {
				ids := read(fmt.Sprint("ids.", i))
				d := packing.Doc{IDs: make([]int32, len(ids)), Target: [][2]int32{{0, int32(len(ids))}}, Factor: 1}
				for k, id := range ids {
					d.IDs[k] = int32(id)
				}
				docs, weights = append(docs, d), append(weights, read(fmt.Sprint("weights.", i))...)
			}
			pack, divisor := lay(t, 128, docs...), 0.0
			copy(pack.Weights, weights)
			for _, w := range weights {
				divisor += float64(w)
			}
			losses, norms := read("adamw.losses"), read("adamw.norms")
			for step := range losses {
				learned, err := e.Learn(context.Background(), 1, []packing.Pack{pack}, nil)
				if err != nil {
					t.Fatal(err)
				}
				norm, err := e.Update(step+1, 1e-2, divisor, 1)
				if err != nil {
					t.Fatal(err)
				}
				loss := learned[0].Loss / divisor
				if d := math.Abs(loss-float64(losses[step])) / float64(losses[step]); !(d < 2e-5) {
					t.Errorf("step %d: loss %.6f, PyTorch's is %.6f", step+1, loss, losses[step])
				}
				if d := math.Abs(norm-float64(norms[step])) / float64(norms[step]); !(d < 1e-3) {
					t.Errorf("step %d: gradient norm %.6f, PyTorch's is %.6f", step+1, norm, norms[step])
				}
			}
		})
	}
}

func TestAPackThatIsTooLongIsAnError(t *testing.T) {
	e := tiny(t, options())
	long := lay(t, 300, document(1, 300, 40))
	_, err := e.Learn(context.Background(), 1, []packing.Pack{long}, nil)
	if err == nil || !strings.Contains(err.Error(), "a pack of 300 tokens, want at most the engine's 256") {
		t.Errorf("got %v", err)
	}
}

func TestNothingIsTakenBesideTheWeightsBeforeSomethingIsComputed(t *testing.T) {
	o := options()
	o.Precision = "bf16"
	e := tiny(t, o)
	want, err := e.Model()
	if err != nil || want == "" {
		t.Fatal(want, err)
	}
	for _, p := range e.model.Params {
		if p.Grad != nil || p.Half != nil || e.optimizer != nil {
			t.Fatalf("%s has a gradient, or a copy in bf16", p.Name)
		}
	}
	gradients(t, e, lay(t, 256, document(1, 200, 150)))
	if _, err := e.Update(1, 1e-2, 150, 1); err != nil {
		t.Fatal(err)
	}
	if got, err := e.Model(); got != want || err != nil {
		t.Errorf("the model it was opened with is %s after an update, %s before, %v", got, want, err)
	}
}

func TestASmallerPackComputesLessAgain(t *testing.T) {
	o := options()
	o.Capacity, o.GradientCheckpointing = 512, "true"
	e := tiny(t, o)
	made, err := e.of(lay(t, 100, document(1, 100, 40)), 512, engine.ScoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	run, err := e.backward(made)
	if err != nil {
		t.Fatal(err)
	}
	again, err := made.Compile(graph.Options{Train: true, Recompute: e.recompute})
	if err != nil {
		t.Fatal(err)
	}
	if n := run.Bytes(); n <= again.Bytes() || n > e.limit {
		t.Errorf("%d bytes, want more than the %d with all computed again and at most %d", n, again.Bytes(), e.limit)
	}
}

func TestAReferenceThatWasChangedSinceItWasHashedIsRefused(t *testing.T) {
	save := func(dir string, seed uint64) {
		c, err := model.ParseConfig([]byte(tinyConfig))
		if err != nil {
			t.Fatal(err)
		}
		m := model.New(c, seed)
		defer m.Free()
		if err := m.Save(dir, "float32"); err != nil {
			t.Fatal(err)
		}
	}
	e := tiny(t, options())
	dir := t.TempDir()
	packs := func(yield func(packing.Pack, error) bool) { yield(lay(t, 128, document(1, 40, 20)), nil) }
	for seed, changed := range map[uint64]bool{2: false, 3: true} {
		save(dir, 2)
		r, err := e.Reference(dir)
		if err != nil {
			t.Fatal(err)
		}
		save(dir, seed)
		err = r.Score(context.Background(), packs, engine.ScoreOptions{}, func(int, []float64) error { return nil })
		if changed != (err != nil) || changed && !strings.Contains(err.Error(), dir+": changed since the run began") {
			t.Errorf("seed %d: %v", seed, err)
		}
		r.Close()
	}
}

// TestALongPackIsScoredAsByAnEngineOfItsLength, and is not learnt from.
func TestALongPackIsScoredAsByAnEngineOfItsLength(t *testing.T) {
	o := options()
	long, short := lay(t, 700, document(1, 700, 600)), lay(t, 256, document(2, 250, 200))
	score := func(o Options, all ...packing.Pack) (out [][]float64, e *Engine) {
		e = tiny(t, o)
		packs := func(yield func(packing.Pack, error) bool) {
			for _, p := range all {
				if !yield(p, nil) {
					return
				}
			}
		}
		err := e.Score(context.Background(), packs, engine.ScoreOptions{}, func(_ int, nll []float64) error {
			out = append(out, slices.Clone(nll))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out, e
	}
	want, alone := score(o, short)
	whole, _ := gradients(t, alone, short)
	o.HeldOut = 700
	got, e := score(o, long, short, long)
	o.Capacity, o.HeldOut = 1024, 0
	large, _ := score(o, long)
	if !slices.Equal(got[0], large[0]) || !slices.Equal(got[1], want[0]) || !slices.Equal(got[2], got[0]) {
		t.Error("other losses than those of an engine whose packs are as long")
	}
	needs := e.Needs()
	if most := max(needs.HeldOut, e.limit); needs.HeldOut <= alone.limit/2 || needs.Activations < most || e.limit != alone.limit {
		t.Errorf("%d bytes are planned for it, %d in all, and %d to train, want the %d of a run without it", needs.HeldOut,
			needs.Activations, e.limit, alone.limit)
	}
	again, _ := gradients(t, e, short)
	if !maps.EqualFunc(again, whole, slices.Equal) {
		t.Error("scoring a long pack changed the gradients of a short one")
	}
	_, err := e.Learn(context.Background(), 1, []packing.Pack{long}, nil)
	if err == nil || !strings.Contains(err.Error(), "a pack of 700 tokens, want at most the engine's 256") {
		t.Errorf("learning from it: %v", err)
	}
}
