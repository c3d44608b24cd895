package model

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/internal/fault"
	"lwtrain/internal/graph"
)

// adapterCases are the adapters of testdata/lora, made by golden.py there with PEFT, by the form of
// the model that they are for.
var adapterCases = map[string]string{
	"lora": "llama-tied", "lora-biased": "qwen2", "rslora": "qwen3", "dora": "qwen2", "dora-fused": "glm4", "patterns": "llama-untied",
	"whole": "llama-untied", "whole-tied": "llama-tied",
}

func adapterDir(name string) string { return filepath.Join("testdata", "lora", name) }

// loadAdapted reads a model to train its adapter.
func loadAdapted(t *testing.T, name string) *Model {
	t.Helper()
	m, err := LoadToTrain(filepath.Join("testdata", adapterCases[name]), Training{LoRA: LoRA{From: adapterDir(name)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Free)
	m.UseGradients()
	return m
}

func norm(x []float32) (sum float64) {
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}

func TestLossAndGradientsOfAdaptersEqualPEFTs(t *testing.T) {
	for name := range adapterCases {
		for recompute := range 2 {
			t.Run(fmt.Sprint(name, " recomputed ", recompute == 1), func(t *testing.T) {
				m, ref := loadAdapted(t, name), openGolden(t, filepath.Join("lora", name))
				g := m.Graph(80, graph.Float32, nil)
				prog, err := g.Compile(graph.Options{Train: true, Recompute: recompute * 3 * m.Config.Layers})
				if err != nil {
					t.Fatal(err)
				}
				fill(g.Inputs(), ref.docs()...)
				if err := prog.RunAll(); err != nil {
					t.Fatal(err)
				}
				if want := float64(ref.read("loss")[0]); math.Abs(g.Loss()-want) > 1e-5*want {
					t.Errorf("loss %v, want %v", g.Loss(), want)
				}
				var got, want []float32
				trained := m.Tensors(func(p *graph.Param) []float32 { return p.Grad })
				for _, x := range trained {
					one := ref.read("grad." + m.SavedName(x.Name))
					if d := apart(x.Data, one); d > parity {
						t.Errorf("gradient of %s is off by %.2g, want at most %g", x.Name, d, parity)
					}
					got, want = append(got, x.Data...), append(want, one...)
				}
				if a, b := norm(got), norm(want); math.Abs(a-b) > 1e-5*b || len(trained) == 0 {
					t.Errorf("gradient norm over %d tensors %v, want %v", len(trained), a, b)
				}
			})
		}
	}
}

func TestLogitsWithAdaptersAndMergedEqualPEFTs(t *testing.T) {
	for name, form := range adapterCases {
		t.Run(name, func(t *testing.T) {
			ref := openGolden(t, filepath.Join("lora", name))
			m, err := LoadAdapted(filepath.Join("testdata", form), adapterDir(name), false)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Free()
			off := func(what string) (most float64) {
				for i, d := range ref.docs() {
					most = max(most, apart(logits(m, d.ids), ref.read(fmt.Sprint(what, ".", i))))
				}
				return most
			}
			if d := off("logits"); d > 1e-5 {
				t.Errorf("logits with the adapter are off by %.2g", d)
			}
			prompt := ref.docs()[1].ids[:6]
			greedy := func() []float32 {
				out, err := NewGenerator(m).Generate(t.Context(), []Request{{Prompt: prompt, MaxNewTokens: 24}}, 1)
				if err != nil {
					t.Fatal(err)
				}
				var ids []float32
				for _, id := range out[0].IDs {
					ids = append(ids, float32(id))
				}
				return ids
			}
			beside := greedy()
			m.Merge()
			if got, want := greedy(), ref.read("greedy"); !slices.Equal(got, want) || !slices.Equal(beside, want) {
				t.Errorf("greedy ids merged %v, with the adapter %v, want %v", got, beside, want)
			}
			if d := off("merged"); d > 1e-5 {
				t.Errorf("logits of the merged model are off by %.2g", d)
			}
			if m.Adapted() {
				t.Error("the merged model has adapters")
			}
		})
	}
}

func TestAnAdapterThatIsSavedIsTheOneThatWasRead(t *testing.T) {
	for name, form := range adapterCases {
		t.Run(name, func(t *testing.T) {
			m, dir := loadAdapted(t, name), t.TempDir()
			m.base = Base{"owner/model", "abc"}
			if err := m.SaveAdapter(dir); err != nil {
				t.Fatal(err)
			}
			again, err := LoadToTrain(filepath.Join("testdata", form), Training{LoRA: LoRA{From: dir}})
			if err != nil {
				t.Fatal(err)
			}
			defer again.Free()
			theirs, err := OpenAdapter(adapterDir(name))
			if err != nil {
				t.Fatal(err)
			}
			defer theirs.Close()
			if len(again.adapters) == 0 || len(again.adapters) != len(m.adapters) {
				t.Fatalf("%d adapters, want %d", len(again.adapters), len(m.adapters))
			}
			for i, x := range again.adapters {
				if x.Scale != m.adapters[i].Scale {
					t.Errorf("%s: scale %g, want %g", x.module, x.Scale, m.adapters[i].Scale)
				}
				for k, p := range x.Params() {
					if !slices.Equal(p.Data, m.adapters[i].Params()[k].Data) {
						t.Errorf("%s changed", p.Name)
					}
					if _, ok := theirs.Info(p.Name); !ok {
						t.Errorf("PEFT has no tensor %s", p.Name)
					}
				}
			}
			if _, base, err := ReadLoRA(dir); err != nil || base != m.base {
				t.Errorf("base %v, %v, want %v", base, err, m.base)
			}
		})
	}
}

func TestFreshAdaptersChangeNothingAndFollowFromTheSeed(t *testing.T) {
	dir := filepath.Join("testdata", "qwen2")
	open := func(seed uint64, variant string) *Model {
		m, err := LoadToTrain(dir, Training{LoRA: LoRA{Rank: 2, Alpha: 32, Target: []string{AllLinear}, Variant: variant}, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Free)
		return m
	}
	base, ids := load(t, "qwen2"), []int32{5, 17, 60, 2}
	for _, variant := range []string{PlainLoRA, RsLoRA, DoRA} {
		m := open(1, variant)
		if d := apart(logits(m, ids), logits(base, ids)); d > 1e-6 || d > 0 && variant != DoRA {
			t.Errorf("%s: logits differ by %g from those of the base", variant, d)
		}
		want, _ := base.Fingerprint()
		if got, err := m.Fingerprint(); err != nil || got != want {
			t.Errorf("%s: fingerprint %s, %v, want the base's", variant, got, err)
		}
	}
	a, b, c := open(1, PlainLoRA), open(1, PlainLoRA), open(2, PlainLoRA)
	same := func(x, y *Model) bool { return slices.Equal(x.adapters[3].A.Data, y.adapters[3].A.Data) }
	if !same(a, b) || same(a, c) {
		t.Error("adapters of one seed are to be the same, of another not")
	}
	if n := a.TrainedParameters(); n != 2*2*(2*32+32+16+32+16+32+32+3*(32+48)) {
		t.Errorf("%d values are trained", n)
	}
}

func TestTargetsAreFoundOrNamed(t *testing.T) {
	for _, c := range []struct {
		name   string
		target []string
		count  int
		want   string
	}{
		{"all", []string{AllLinear}, 14, ""},
		{"two of every layer", []string{"q_proj", "down_proj"}, 4, ""},
		{"one of a layer", []string{"model.layers.1.self_attn.v_proj"}, 1, ""},
		{"a kind of module", []string{"self_attn.o_proj"}, 2, ""},
		{"one that is not there", []string{"q_proj", "w1"}, 0, `"w1" names no matrix`},
		{"the head", []string{"lm_head"}, 0, "want all-linear or of: q_proj, k_proj"},
	} {
		m, err := Outline(load(t, "qwen2").Config, "", Training{LoRA: LoRA{Rank: 1, Alpha: 1, Target: c.target, Variant: PlainLoRA}})
		good := err == nil && len(m.adapters) == c.count
		if c.want != "" {
			good = err != nil && strings.Contains(err.Error(), c.want)
		}
		if !good {
			t.Errorf("%s: %v, want %d adapters or %q", c.name, err, c.count, c.want)
		}
	}
}

func TestAdaptersThatComputeSomethingElseAreRefused(t *testing.T) {
	whole, err := os.ReadFile(filepath.Join(adapterDir("lora"), adapterFile))
	if err != nil {
		t.Fatal(err)
	}
	weights, err := os.ReadFile(filepath.Join(adapterDir("lora"), adapterWeights))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, young, want string }{
		{"another kind", `"LORA"`, `"IA3"`, `peft_type is "IA3"`},
		{"biases", `"bias": "none"`, `"bias": "all"`, `bias is "all"`},
		{"modules that are not there", `"modules_to_save": null`, `"modules_to_save": ["lm_head"]`, "no tensor of the module lm_head"},
		{"transposed matrices", `"fan_in_fan_out": false`, `"fan_in_fan_out": true`, "fan_in_fan_out is true"},
		{"a base that it changes", `"init_lora_weights": true`, `"init_lora_weights": "pissa"`, "init_lora_weights is pissa"},
		{"another rank than its tensors", `"r": 4`, `"r": 5`, "has shape [4 32], want [5 32]"},
		{"no rank", `"r": 4`, `"r": 0`, "r is 0"},
		{"a pattern that is none", `"alpha_pattern": {}`, `"alpha_pattern": {"(": 1}`, "error parsing regexp"},
	} {
		dir := t.TempDir()
		text := strings.Replace(string(whole), c.old, c.young, 1)
		if text == string(whole) {
			t.Fatalf("%s: %s is not there", c.name, c.old)
		}
		for name, raw := range map[string][]byte{adapterFile: []byte(text), adapterWeights: weights} {
			if err := os.WriteFile(filepath.Join(dir, name), raw, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Outline(load(t, "llama-tied").Config, "", Training{LoRA: LoRA{From: dir}})
		if err == nil || !strings.Contains(err.Error(), c.want) || !fault.IsUsage(err) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	_, err = Outline(load(t, "glm").Config, "", Training{LoRA: LoRA{From: adapterDir("lora")}})
	if err == nil || !strings.Contains(err.Error(), "has shape [32 4], want [64 4]") {
		t.Errorf("an adapter of another model: %v", err)
	}
}

func TestAFrozenMatrixOfABF16FileStaysBF16(t *testing.T) {
	dir := t.TempDir()
	if err := load(t, "qwen2").Save(dir, "bfloat16"); err != nil {
		t.Fatal(err)
	}
	m, err := LoadToTrain(dir, Training{LoRA: LoRA{Rank: 2, Alpha: 32, Target: []string{AllLinear}, Variant: DoRA}, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	whole, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Free()
	for _, p := range m.Params {
		if p.Packed != (p.Rows > 1) || p.Packed && p.Data != nil {
			t.Errorf("%s: packed %v", p.Name, p.Packed)
		}
	}
	want, _ := whole.Fingerprint()
	if got, err := m.Fingerprint(); err != nil || got != want {
		t.Errorf("fingerprint %s, %v, want %s", got, err, want)
	}
	if weights, frozen, _ := m.Bytes(); frozen > whole.Config.Parameters()*5/2 || weights <= frozen {
		t.Errorf("%d bytes, %d of them frozen, of %d parameters", weights, frozen, whole.Config.Parameters())
	}
	_, w := reopened(t, m)
	for _, x := range whole.Tensors(func(p *graph.Param) []float32 { return p.Data }) {
		got := make([]float32, len(x.Data))
		if err := w.Read(x.Name, got); err != nil || !slices.Equal(got, x.Data) {
			t.Errorf("%s: %v, or another value", x.Name, err)
		}
	}
}
