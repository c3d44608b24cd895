package model

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lwtrain/checkpoints"
	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
)

// forms are the architectures of testdata, made by testdata/golden.py.
var forms = []string{"llama-tied", "llama-untied", "llama-biased", "qwen2", "qwen3", "glm", "glm4", "chatglm", "mistral", "ministral",
	"smollm3", "granite", "granitemoehybrid", "olmo2", "olmo3", "ministral3", "gemma3", "phi3", "qwen3_5", "lfm2", "exaone4", "hunyuan",
	"cohere", "cohere2"}

// golden is what the reference implementation computed for a form.
type golden struct {
	t *testing.T
	w *checkpoints.Weights
}

func openGolden(t *testing.T, form string) golden {
	t.Helper()
	w, err := checkpoints.OpenSafetensors(filepath.Join("testdata", form, "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return golden{t, w}
}

func (g golden) read(name string) []float32 {
	g.t.Helper()
	info, ok := g.w.Info(name)
	if !ok {
		g.t.Fatalf("no golden tensor %s", name)
	}
	n := 1
	for _, d := range info.Shape {
		n *= d
	}
	out := make([]float32, n)
	if err := g.w.Read(name, out); err != nil {
		g.t.Fatal(err)
	}
	return out
}

type doc struct {
	ids     []int32
	weights []float32 // of the prediction made at each position
}

func (g golden) docs() []doc {
	var out []doc
	for i := 0; ; i++ {
		if _, ok := g.w.Info(fmt.Sprintf("ids.%d", i)); !ok {
			return out
		}
		d := doc{weights: g.read(fmt.Sprintf("weights.%d", i))}
		for _, id := range g.read(fmt.Sprintf("ids.%d", i)) {
			d.ids = append(d.ids, int32(id))
		}
		out = append(out, d)
	}
}

// fill lays documents one after the other into a graph's inputs; the rest is
// padding.
func fill(in graph.Inputs, docs ...doc) {
	at := 0
	for _, d := range docs {
		for i, id := range d.ids {
			in.IDs[at+i], in.Starts[at+i], in.Positions[at+i] = id, int32(at), int32(i)
			in.Weights[at+i], in.Targets[at+i] = d.weights[i], -1
			if i+1 < len(d.ids) {
				in.Targets[at+i] = d.ids[i+1]
			}
		}
		at += len(d.ids)
	}
	for ; at < len(in.IDs); at++ {
		in.IDs[at], in.Starts[at], in.Positions[at], in.Weights[at], in.Targets[at] = 0, int32(at), 0, 0, -1
	}
}

func load(t *testing.T, form string) *Model {
	t.Helper()
	m, err := Load(filepath.Join("testdata", form))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Free)
	m.UseGradients()
	return m
}

// apart is the largest difference, relative to the largest value.
func apart(got, want []float32) float64 {
	var diff, size float64
	for i := range want {
		diff = max(diff, math.Abs(float64(got[i])-float64(want[i])))
		size = max(size, math.Abs(float64(want[i])))
	}
	if diff != 0 && size == 0 {
		return math.Inf(1)
	}
	return diff / max(size, 1e-30)
}

const parity = 1e-4 // relative, float32

func TestLossAndGradientsEqualTheReferenceImplementation(t *testing.T) {
	for _, form := range forms {
		for _, layout := range []string{"each document alone", "packed", "packed and recomputed"} {
			t.Run(form+" "+layout, func(t *testing.T) {
				m, ref := load(t, form), openGolden(t, form)
				docs := ref.docs()
				packs := [][]doc{docs}
				if layout == "each document alone" {
					packs = nil
					for _, d := range docs {
						packs = append(packs, []doc{d})
					}
				}
				opt := graph.Options{Train: true}
				if layout == "packed and recomputed" {
					opt.Recompute = 3 * m.Config.Layers
				}
				g := m.Graph(80, graph.Float32, nil)
				prog, err := g.Compile(opt)
				if err != nil {
					t.Fatal(err)
				}
				var loss float64
				for _, p := range packs {
					fill(g.Inputs(), p...)
					if err := prog.RunAll(); err != nil {
						t.Fatal(err)
					}
					loss += g.Loss()
				}
				if want := float64(ref.read("loss")[0]); math.Abs(loss-want) > parity*want {
					t.Errorf("loss = %v, want %v", loss, want)
				}
				for _, x := range m.Tensors(func(p *graph.Param) []float32 { return p.Grad }) {
					if d := apart(x.Data, ref.read("grad."+x.Name)); d > parity {
						t.Errorf("gradient of %s is off by %.2g, want at most %g", x.Name, d, parity)
					}
				}
			})
		}
	}
}

// logits are those after every token of ids, [len(ids), V].
func logits(m *Model, ids []int32) (out []float32) {
	kernels.Run(func() {
		g := NewGenerator(m)
		s := g.newSlot(&text{}, len(ids))
		defer s.free()
		g.begin(ids, s)
		out = slices.Clone(g.logits(forward[rowsOf](m, g), len(ids)))
	})
	return out
}

func TestLogitsEqualTheReferenceImplementation(t *testing.T) {
	for _, form := range forms {
		m, ref := load(t, form), openGolden(t, form)
		for i, d := range ref.docs() {
			if diff := apart(logits(m, d.ids), ref.read(fmt.Sprintf("logits.%d", i))); diff > parity {
				t.Errorf("%s: logits of document %d are off by %.2g, want at most %g", form, i, diff, parity)
			}
		}
	}
}

func TestAFolderSavedAndReadAgainHoldsTheSameModel(t *testing.T) {
	for _, form := range forms {
		m := load(t, form)
		dir := t.TempDir()
		if err := m.Save(dir, "float32"); err != nil {
			t.Fatal(err)
		}
		again, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range m.Params {
			if !slices.Equal(p.Data, again.Params[i].Data) {
				t.Errorf("%s: %s changed on its way through a file", form, p.Name)
			}
		}
		// The form's own loader finds all that it found before.
		theirs, ours := tensorsIn(t, filepath.Join("testdata", form)), tensorsIn(t, dir)
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("%s: tensors as published (-) and as saved (+):\n%s", form, diff)
		}
	}
}

// tensorsIn are the tensors of a folder, each with its dtype and shape.
func tensorsIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	w, err := checkpoints.OpenWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	out := map[string]string{}
	for _, name := range w.Names() {
		info, _ := w.Info(name)
		out[name] = fmt.Sprint(info.DType, info.Shape)
	}
	return out
}

func TestAModelInBF16TakesHalfAndIsReadAgain(t *testing.T) {
	m, dir := load(t, "glm"), t.TempDir()
	if err := m.Save(dir, "bfloat16"); err != nil {
		t.Fatal(err)
	}
	again, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range m.Params {
		half := make([]kernels.BF16, p.Size())
		kernels.ToBF16(half, p.Data)
		want := make([]float32, p.Size())
		kernels.FromBF16(want, half)
		if !slices.Equal(again.Params[i].Data, want) {
			t.Errorf("%s is not its value rounded to bf16", p.Name)
		}
	}
	if cfg, _ := os.ReadFile(filepath.Join(dir, "config.json")); !strings.Contains(string(cfg), `"dtype": "bfloat16"`) {
		t.Errorf("config.json = %s, want the dtype of the file", cfg)
	}
}

func TestCodeBesideAModelIsCarriedAlong(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	if err := os.CopyFS(from, os.DirFS(filepath.Join("testdata", "chatglm"))); err != nil {
		t.Fatal(err)
	}
	for name, carried := range map[string]bool{"modeling_chatglm.py": true, "setup.py": false} {
		if err := os.WriteFile(filepath.Join(from, name), []byte("raise SystemExit\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		m, err := Load(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Save(to, "float32"); err != nil {
			t.Fatal(err)
		}
		m.Free()
		if _, err := os.Stat(filepath.Join(to, name)); (err == nil) != carried {
			t.Errorf("%s carried along: %t, want %t", name, err == nil, carried)
		}
	}
}

func TestPublishedModelsHaveTheirNumberOfParameters(t *testing.T) {
	for name, want := range map[string]int64{
		"glm-4-9b": 9_399_951_360, "glm-4-9b-0414": 9_400_279_040, "llama-3.1-8b": 8_030_261_248, "qwen2.5-0.5b": 494_032_768,
		"qwen3-0.6b": 596_049_920, "qwen3-1.7b": 1_720_574_976, "qwen3-4b": 4_022_468_096, "qwen3-8b": 8_190_735_360,
		"smollm2-135m": 134_515_008, "smollm2-360m": 361_821_120, "mistral-7b-v0.3": 7_248_023_552, "mistral-nemo-12b": 12_247_782_400,
		"smollm3-3b": 3_075_098_624, "granite-3.3-2b": 2_533_539_840, "olmo-2-1b": 1_484_916_736, "olmo-2-7b": 7_298_617_344,
		"olmo-3-7b": 7_298_011_136, "ministral-3-3b": 3_429_006_336, "ministral-3-8b": 8_489_553_920, "gemma-3-270m": 268_098_176,
		"gemma-3-1b": 999_885_952, "phi-4-mini": 3_836_021_760, "exaone-4.0-1.2b": 1_279_391_488,
		"aya-expanse-8b": 8_028_033_024, "command-r7b": 8_028_033_024,
	} {
		c, err := Shape(name)
		if err != nil || c.Parameters() != want {
			t.Errorf("%s has %d parameters (%v), want %d", name, c.Parameters(), err, want)
		}
	}
	for _, name := range ShapeNames() {
		if _, err := Shape(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConfigsThatCannotBeAreRefused(t *testing.T) {
	good := `"model_type":"llama","hidden_size":32,"intermediate_size":48,"num_hidden_layers":2,"num_attention_heads":4,"vocab_size":96`
	for _, c := range []struct{ name, json, want string }{
		{"an unknown architecture names what is known", `{"model_type":"mamba"}`,
			`model_type is "mamba", want one of: chatglm, cohere, cohere2, exaone4, gemma3_text, glm, glm4, granite, ` +
				`granitemoehybrid, hunyuan_v1_dense, lfm2, llama, ministral, ministral3, mistral, olmo2, olmo3, phi3, qwen2, qwen3, ` +
				`qwen3_5_text, smollm3`},
		{"a missing size", `{"model_type":"llama","hidden_size":32}`, `intermediate_size is 0, want 1 to 1048576`},
		{"thousands of layers", `{"model_type":"llama","hidden_size":32,"intermediate_size":48,"num_hidden_layers":4000,` +
			`"num_attention_heads":4,"vocab_size":96}`, `num_hidden_layers is 4000, want 1 to 512`},
		{"heads that do not divide", `{` + good + `,"num_key_value_heads":3}`,
			`num_attention_heads is 4, want a multiple of num_key_value_heads (3)`},
		{"sizes that overflow", `{"model_type":"llama","hidden_size":1048576,"intermediate_size":1048576,"num_hidden_layers":512,` +
			`"num_attention_heads":4,"vocab_size":96}`, `want at most`},
		{"fewer positions than none", `{` + good + `,"max_position_embeddings":-5}`, `max_position_embeddings is -5, want at least 1`},
		{"a byte order mark", "\ufeff{" + good + "}", `1: it begins with a byte order mark, want JSON in UTF-8 without one`},
		{"another activation", `{` + good + `,"hidden_act":"gelu"}`, `hidden_act is "gelu", want "silu"`},
		{"heads whose product overflows", `{"model_type":"llama","hidden_size":1048576,"intermediate_size":1,"num_hidden_layers":2,` +
			`"num_attention_heads":1048576,"head_dim":1048576,"vocab_size":1}`, `want at most`},
		{"an unknown rope scaling", `{` + good + `,"rope_scaling":{"rope_type":"su"}}`,
			`rope_scaling type is "su", want llama3, linear, yarn or longrope`},
		{"the older name of an unknown rope scaling", `{` + good + `,"rope_scaling":{"type":"dynamic","factor":2}}`,
			`rope_scaling type is "dynamic"`},
		{"a window of attention", `{` + good + `,"use_sliding_window":true}`, `use_sliding_window is true, want false`},
		{"a share of the head that is no even number of values",
			strings.Replace(`{`+good+`,"partial_rotary_factor":0.4}`, "llama", "glm4", 1),
			`partial_rotary_factor rotates 51 of 128 dimensions`},
		{"a chatglm with other norms", `{"model_type":"chatglm","rmsnorm":false}`, `rmsnorm is false, want true`},
		{"a hybrid Granite that names no layers", `{"model_type":"granitemoehybrid","num_local_experts":0}`,
			`layer_types is not there, which means Mamba layers alone`},
		{"a SmolLM3 whose pattern has no length", strings.Replace(`{`+good+`,"no_rope_layer_interval":0}`, "llama", "smollm3", 1),
			`no_rope_layer_interval is 0 and no_rope_layers is not there`},
		{"a package around cohere2", `{"model_type":"aya_vision","text_config":{"model_type":"cohere2"}}`,
			`model_type is "aya_vision" around cohere2, where in transformers logit_scale is left out`},
		{"a package around granite", `{"model_type":"llava_next","text_config":{"model_type":"granite"}}`,
			`model_type is "llava_next" around granite, where in transformers logits_scaling is left out`},
		{"a base of positions that Ministral 3 reads past", `{"model_type":"ministral3","rope_theta":5000}`,
			`rope_theta is 5000, and rope_parameters is not there, want both`},
		{"another activation of convolutions", strings.Replace(`{`+good+`,"hidden_act":"gelu_pytorch_tanh"}`, "llama", "qwen3_5_text", 1),
			`hidden_act is "gelu_pytorch_tanh", want "silu"`},
		{"a cohere with norms of heads", `{"model_type":"cohere","use_qk_norm":true}`, `use_qk_norm is true, want false`},
		{"a cohere2 whose windows have no size", strings.Replace(`{`+good+`,"sliding_window":null}`, "llama", "cohere2", 1),
			`layer 0 attends in a window, and sliding_window is null, want at least 1`},
		{"not an object", `[]`, `1: the value is a list, want an object`},
		{"broken JSON", "{\n\"model_type\": }", `2: broken JSON at byte 15: '}', want a value`},
		{"a size that is text", `{` + good + `,"num_key_value_heads":"4"}`, `num_key_value_heads is text, want an integer`},
		{"a size that is none", `{"model_type":"llama","hidden_size":1.5}`, `hidden_size is 1.5, want an integer`},
		{"a rope parameter that is text", `{` + good + `,"rope_parameters":{"factor":"8"}}`,
			`rope_parameters: factor is text, want a number`},
		{"a chatglm's ratio that is text", `{"model_type":"chatglm","rmsnorm":true,"rope_ratio":"x"}`,
			`rope_ratio is "x", want a number`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ParseConfig([]byte(c.json)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("ParseConfig = %v, want an error with %q", err, c.want)
			}
		})
	}
	for _, sound := range []string{`{` + good + `}`, `{` + good + `,"hidden_act":"swish"}`} { // SiLU's other name
		if _, err := ParseConfig([]byte(sound)); err != nil {
			t.Errorf("ParseConfig of %s = %v", sound, err)
		}
	}
}

func TestAFolderThatLacksATensorIsRefusedByItsName(t *testing.T) {
	m := load(t, "llama-untied")
	dir := t.TempDir()
	if err := m.Save(dir, "float32"); err != nil {
		t.Fatal(err)
	}
	cfg, _ := os.ReadFile(filepath.Join(dir, "config.json"))
	more := []byte(strings.Replace(string(cfg), `"num_hidden_layers": 2`, `"num_hidden_layers": 3`, 1))
	if err := os.WriteFile(filepath.Join(dir, "config.json"), more, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "no tensor model.layers.2.input_layernorm.weight") {
		t.Errorf("Load = %v, want the missing tensor's name", err)
	}
}

func TestATensorWithoutAPlaceIsRefusedByItsName(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "llama-biased"))); err != nil {
		t.Fatal(err)
	}
	cfg, _ := os.ReadFile(filepath.Join(dir, "config.json"))
	plain := strings.Replace(string(cfg), `"attention_bias": true`, `"attention_bias": false`, 1)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(plain), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "tensor model.layers.0.self_attn.k_proj.bias, for which "+
		"config.json (llama, 2 layers) has no place") {
		t.Errorf("Load = %v, want the name of a bias", err)
	}
}

func TestTheSameSeedMakesTheSameWeights(t *testing.T) {
	c, err := ReadConfig(filepath.Join("testdata", "llama-tied"))
	if err != nil {
		t.Fatal(err)
	}
	a, b, other := New(c, 1), New(c, 1), New(c, 2)
	for i := range a.Params {
		if !slices.Equal(a.Params[i].Data, b.Params[i].Data) {
			t.Errorf("%s differs between two models of one seed", a.Params[i].Name)
		}
	}
	if slices.Equal(a.embed.Data, other.embed.Data) {
		t.Error("two seeds made the same embeddings")
	}
	var sum float64
	for _, v := range a.embed.Data {
		sum += float64(v) * float64(v)
	}
	if std := math.Sqrt(sum / float64(len(a.embed.Data))); math.Abs(std-c.InitStd) > 0.05*c.InitStd {
		t.Errorf("standard deviation of the embeddings = %g, want about %g", std, c.InitStd)
	}
}

func TestGreedyTextEqualsTheReferenceImplementation(t *testing.T) {
	for _, form := range forms {
		m, ref := load(t, form), openGolden(t, form)
		prompt := ref.docs()[1].ids[:6]
		want := ref.read("greedy")
		// In a batch with others of other lengths, and more requests than slots.
		requests := []Request{
			{Prompt: prompt, MaxNewTokens: len(want)},
			{Prompt: prompt[:1], MaxNewTokens: 5},
			{Prompt: prompt, MaxNewTokens: 0},
			{Prompt: prompt, MaxNewTokens: len(want), Stop: []int32{int32(want[3])}},
			{Prompt: prompt, MaxNewTokens: len(want)},
		}
		for _, batch := range []int{1, 2, 5} {
			out, err := NewGenerator(m).Generate(t.Context(), requests, batch)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range []int{0, 4} {
				if got := fmt.Sprint(out[i].IDs); got != fmt.Sprint(want) || out[i].Stop != "length" {
					t.Errorf("%s, batch %d: greedy ids = %s (%s), want %v", form, batch, got, out[i].Stop, want)
				}
			}
			if len(out[1].IDs) != 5 || len(out[2].IDs) != 0 || out[2].Stop != "length" {
				t.Errorf("%s, batch %d: lengths %d and %d, want 5 and 0", form, batch, len(out[1].IDs), len(out[2].IDs))
			}
			first := slices.Index(want, want[3])
			if out[3].Stop != "eos" || len(out[3].IDs) != first {
				t.Errorf("%s, batch %d: stopped by %q after %d tokens, want eos after %d", form, batch, out[3].Stop,
					len(out[3].IDs), first)
			}
		}
	}
}
