package torch

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"lwtrain/engine"
	"lwtrain/model"
	"lwtrain/packing"
)

// adapters are fresh ones of a variant on all matrices of the layers.
func adapters(variant string, dropout float64) model.Training {
	return model.Training{Seed: 7, LoRA: model.LoRA{
		Rank: 3, Alpha: 5, Dropout: dropout, Target: []string{model.AllLinear}, Variant: variant,
	}}
}

// goneOn are adapters that the embedded engine has trained for two steps: none of their tensors is 0.
func goneOn(t *testing.T, of string, trained model.Training) model.Training {
	t.Helper()
	e, dir := openNativeTo(t, of, trained), t.TempDir()
	steps(t, e, 1, 2)
	save(t, e, dir)
	trained.LoRA.From = dir
	return trained
}

// adapterCases are forms with variants: tied, with biases, with several matrices of transformers in one of the files, and with
// one that both have together.
func adapterCases() map[string][]string {
	if testing.Short() {
		return map[string][]string{"chatglm": {model.DoRA}, "llama-tied": {model.PlainLoRA}}
	}
	all := []string{model.PlainLoRA, model.RsLoRA, model.DoRA}
	return map[string][]string{"chatglm": all, "llama-tied": all, "qwen2": all, "glm4": {model.DoRA}, "granitemoehybrid": {model.PlainLoRA}}
}

func TestAdaptersAreThoseOfTheNativeEngineOnAnyNumberOfRanks(t *testing.T) {
	for form, variants := range adapterCases() {
		for _, variant := range variants {
			for _, dropout := range []float64{0, 0.3} {
				trained := goneOn(t, folder(form), adapters(variant, dropout))
				own := openNativeTo(t, folder(form), trained)
				for _, ranks := range rankings {
					e := openTo(t, folder(form), options(ranks), trained)
					what := fmt.Sprintf("%s, %s, dropout %g on %d", form, variant, dropout, ranks)
					all := packs(t, "sequence")
					want, got := learn(t, own, all, nil), learn(t, e, all, nil)
					sameLosses(t, what, got.packs, want.packs)
					if d, where := apart(t, got.gradients, want.gradients); !(d <= 1e-5) {
						t.Errorf("%s: gradients are %.2g apart (%s)", what, d, where)
					}
					a, err1 := own.Model()
					b, err2 := e.Model()
					if err1 != nil || err2 != nil || a != b {
						t.Errorf("%s: the model is %.12s (%v), want %.12s (%v)", form, b, err2, a, err1)
					}
				}
			}
		}
	}
}

// goesOnToTheByte takes steps 5 and 6 with an engine that has saved step 4, and with one that goes on from there.
func goesOnToTheByte(t *testing.T, e engine.Engine, open func() engine.Engine, from string) {
	t.Helper()
	want, first, second := steps(t, e, 5, 6), t.TempDir(), t.TempDir()
	save(t, e, first)
	on := open()
	if err := on.Load(from); err != nil {
		t.Fatal(err)
	}
	if got := steps(t, on, 5, 6); !slices.Equal(got, want) {
		t.Errorf("going on: %v, want %v", got, want)
	}
	save(t, on, second)
	if a, b := tensors(t, first), tensors(t, second); len(a) == 0 || fmt.Sprint(a) != fmt.Sprint(b) {
		t.Error("going on: weights or moments differ")
	}
}

// scored are the losses of packs by a scorer.
func scored(t *testing.T, by engine.Scorer, all []packing.Pack, how engine.ScoreOptions) (out []engine.Learned) {
	t.Helper()
	each := func(yield func(packing.Pack, error) bool) {
		for _, p := range all {
			if !yield(p, nil) {
				return
			}
		}
	}
	err := by.Score(context.Background(), each, how, func(_ int, nll []float64) error {
		out = append(out, engine.Learned{NLL: slices.Clone(nll)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestScoresWithoutAdaptersAreTheBasesAndDropoutIsThatOfTheStep(t *testing.T) {
	for _, variant := range some(model.DoRA, model.PlainLoRA) {
		all := packs(t, "token")
		trained := goneOn(t, folder("qwen3"), adapters(variant, 0.3))
		own, base := openNativeTo(t, folder("qwen3"), trained), scored(t, openNative(t, "qwen3"), all, engine.ScoreOptions{})
		for _, ranks := range rankings {
			e := openTo(t, folder("qwen3"), options(ranks), trained)
			what := func(of string) string { return fmt.Sprintf("%s, %s on %d", variant, of, ranks) }
			sameLosses(t, what("without adapters"), scored(t, e, all, engine.ScoreOptions{Base: true}), base)
			for _, step := range []int{0, 1, 5} {
				how := engine.ScoreOptions{Step: step}
				sameLosses(t, what(fmt.Sprint("step ", step)), scored(t, e, all, how), scored(t, own, all, how))
			}
			learned := learn(t, e, all, nil) // what was without adapters before has them again, and the mask of step 1 twice
			once := scored(t, e, all, engine.ScoreOptions{Step: 1})
			for i, p := range once {
				if !slices.Equal(p.NLL, learned.packs[i].NLL) {
					t.Errorf("%s: pack %d scored before its step has other losses than in it", what("dropout"), i)
				}
			}
		}
	}
}

func TestAdaptersGoFromEngineToEngineAndToAnyNumberOfRanks(t *testing.T) {
	for form, variants := range adapterCases() {
		trained := adapters(variants[0], 0.2)
		open := []func() engine.Engine{
			func() engine.Engine { return openNativeTo(t, folder(form), trained) },
			func() engine.Engine { return openTo(t, folder(form), options(2), trained) },
			func() engine.Engine { return openTo(t, folder(form), options(1), trained) },
		}
		want := steps(t, open[0](), 1, 20)
		follows(t, form+" on 2", steps(t, open[1](), 1, 20), want, 1e-5)
		var got []float64
		last := ""
		for i := range 5 { // 4 steps each, from the checkpoint of the one before
			e := open[(i+1)%3]()
			if last != "" {
				if err := e.Load(last); err != nil {
					t.Fatal(err)
				}
			}
			got = append(got, steps(t, e, 4*i+1, 4*i+4)...)
			last = t.TempDir()
			save(t, e, last)
			if i == 0 {
				goesOnToTheByte(t, e, open[1], last)
				sameWhenSavedAgain(t, folder(form), last, trained, "adapter_config.json", "adapter_model.safetensors")
			}
		}
		follows(t, form+" from engine to engine", got, want, 1e-5)
		for name := range tensors(t, last) {
			if !strings.Contains(name, "lora_") {
				t.Errorf("%s: a checkpoint of adapters has %s", form, name)
			}
		}
	}
}

func TestModulesTrainedAsAWholeAreThoseOfTheNativeEngine(t *testing.T) {
	for form, modules := range map[string][]string{
		"llama-tied": {"embed_tokens"}, "glm4": {"lm_head", "norm"}, "chatglm": {"word_embeddings", "final_layernorm", "output_layer"},
	} {
		if testing.Short() && form != "llama-tied" {
			continue
		}
		fresh := adapters(model.PlainLoRA, 0.2)
		fresh.LoRA.ModulesToSave = modules
		trained := goneOn(t, folder(form), fresh)
		want := steps(t, openNativeTo(t, folder(form), fresh), 1, 8)
		for _, ranks := range rankings {
			what := fmt.Sprint(form, " on ", ranks)
			own, e := openNativeTo(t, folder(form), trained), openTo(t, folder(form), options(ranks), trained)
			a, b := learn(t, own, packs(t, "token"), nil), learn(t, e, packs(t, "token"), nil)
			sameLosses(t, what, b.packs, a.packs)
			if d, where := apart(t, b.gradients, a.gradients); !(d <= 1e-5) {
				t.Errorf("%s: gradients are %.2g apart (%s)", what, d, where)
			}
			hash, err1 := own.Model()
			other, err2 := e.Model()
			if err1 != nil || err2 != nil || hash != other {
				t.Errorf("%s: the model is %.12s (%v), want %.12s (%v)", what, other, err2, hash, err1)
			}
			for _, by := range []engine.Scorer{own, e} {
				err := by.Score(context.Background(), nil, engine.ScoreOptions{Base: true}, nil)
				if err != engine.ErrNoBase {
					t.Errorf("%s: the base is scored, which is no longer there: %v", what, err)
				}
			}
			first := openTo(t, folder(form), options(ranks), fresh)
			follows(t, what, steps(t, first, 1, 4), want[:8], 1e-5)
			dir := t.TempDir()
			save(t, first, dir)
			on := openNativeTo(t, folder(form), fresh)
			if err := on.Load(dir); err != nil {
				t.Fatal(err)
			}
			follows(t, what+", and on by the other engine", steps(t, on, 5, 8), want[8:], 1e-5)
			sameWhenSavedAgain(t, folder(form), dir, fresh, "adapter_config.json", "adapter_model.safetensors")
		}
	}
}

func TestABF16BaseStaysSoAndAdaptersAreFloat32(t *testing.T) {
	dir := t.TempDir()
	m, err := model.Load(folder("qwen2"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	if err := m.Save(dir, "bfloat16"); err != nil {
		t.Fatal(err)
	}
	for _, trained := range []model.Training{adapters(model.DoRA, 0.1), {Freeze: []string{"model.embed_tokens.*", "*.layers.0.mlp.*"}}} {
		own := openNativeTo(t, dir, trained)
		want := steps(t, own, 1, 6)
		for _, ranks := range rankings {
			e := openTo(t, dir, options(ranks), trained)
			follows(t, fmt.Sprint(ranks, " ranks"), steps(t, e, 1, 6), want, 1e-5)
			half := int64(0)
			for _, x := range e.twin.Tensors {
				if e.plan.half(x) {
					half += int64(product(x.Shape))
				}
				if e.plan.half(x) != (x.Frozen && len(x.Shape) > 1) {
					t.Errorf("%s of %v is kept in bf16: %t", x.Name, x.Shape, e.plan.half(x))
				}
			}
			outline, n := e.outline, e.Needs()
			if bytes := 4*(outline.Config.Parameters()-half) + 2*half; !outline.Adapted() && n.Weights != bytes {
				t.Errorf("weights take %d bytes, want %d", n.Weights, bytes)
			}
			if v := outline.TrainedParameters(); n.Gradients != 4*v || n.Optimizer != 8*v {
				t.Errorf("%d values: gradients take %d bytes, moments %d", v, n.Gradients, n.Optimizer)
			}
			a, b := t.TempDir(), t.TempDir()
			save(t, e, a)
			save(t, own, b)
			theirs := tensors(t, b)
			for name, values := range tensors(t, a) {
				if len(theirs[name]) != len(values) {
					t.Errorf("%s: %d values, the native engine has %d", name, len(values), len(theirs[name]))
				}
			}
		}
	}
	o := options(2)
	o.Precision = "bf16"
	e, own := openTo(t, dir, o, adapters(model.DoRA, 0)), openNativeTo(t, dir, adapters(model.DoRA, 0))
	got, want := steps(t, e, 1, 6), steps(t, own, 1, 6)
	for i := range got {
		if d := math.Abs(got[i]-want[i]) / want[i]; !(d <= 0.05) || d == 0 {
			t.Errorf("products in bf16: after %d steps %g, in float32 %g", i/2, got[i], want[i])
		}
	}
	if n, m := e.Needs(), e.outline.Config.Parameters(); n.Frozen != 2*m || !n.Adapters || n.Dropout {
		t.Errorf("what stays as it is takes %d bytes of %d parameters", n.Frozen, m)
	}
}
