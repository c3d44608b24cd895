package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/convert"
	"lwtrain/internal/gguf"
	"lwtrain/internal/tensorfile"
	"lwtrain/model"
	"lwtrain/model/families"
	"lwtrain/tokenizer"
)

// smallModel makes a random model of a form of model/testdata, with room for the built-in
// tokenizer, whose norms and biases are no ones and zeros. change may change its config.json.
func smallModel(t *testing.T, form string, change map[string]any) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("../model/testdata", form, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"vocab_size", "padded_vocab_size"} {
		if _, ok := file[key]; ok {
			file[key] = 272
		}
	}
	if form == "glm" {
		file["head_dim"] = 8 // llama.cpp takes no other size of all heads than the hidden one
	} else if form == "chatglm" {
		file["kv_channels"] = 8
	}
	maps.Copy(file, inGGUF[form])
	maps.Copy(file, change)
	if raw, err = json.Marshal(file); err != nil {
		t.Fatal(err)
	}
	config, err := model.ParseConfig(raw)
	if err != nil {
		t.Fatal(err)
	}
	m, other := model.New(config, 1), model.New(config, 2)
	defer m.Free()
	defer other.Free()
	for i, p := range m.Params {
		for j := range p.Data {
			if p.Rows == 1 {
				p.Data[j] += 5 * other.Params[0].Data[(31*i+j)%272]
			}
		}
	}
	dir := filepath.Join(t.TempDir(), form)
	if err := errors.Join(m.Save(dir, "float32"), tokenizer.Bytes().Save(dir)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// options write no progress and fail the test on a warning.
func options(t *testing.T, precision string) Options {
	return Options{Name: "a model", Precision: precision, Check: true, Writing: func(int64, int64) {}, Reading: func(int64, int64) {},
		Ended: func(error) {}, Warn: func(format string, args ...any) { t.Errorf("a warning: "+format, args...) }}
}

func parseFile(t *testing.T, path string) *gguf.File {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gguf.Parse(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

var forms = []string{"llama-tied", "llama-untied", "llama-biased", "qwen2", "qwen3", "glm", "glm4", "chatglm",
	"mistral", "smollm3", "granite", "granitemoehybrid", "olmo2", "olmo3", "gemma3", "phi3", "exaone4", "hunyuan", "cohere", "cohere2",
	"ministral3", "qwen3_5", "lfm2"}

// inGGUF is what of the forms' configs has to be otherwise for a GGUF file: no window in all layers and no yarn, for instance.
var inGGUF = map[string]map[string]any{
	"mistral": {"sliding_window": nil}, "granite": {"attention_bias": false},
	"olmo2": {"tie_word_embeddings": false, "head_dim": 4}, "olmo3": {"tie_word_embeddings": false, "head_dim": 4},
	"exaone4": {"layer_types": nil, "sliding_window": nil, "head_dim": 4}, "hunyuan": {"attention_bias": false},
	"cohere":  {"attention_bias": false, "head_dim": 4},
	"cohere2": {"layer_types": nil, "sliding_window_pattern": 4, "head_dim": 4},
	"qwen3_5": {"linear_num_key_heads": 2, "linear_num_value_heads": 6, "head_dim": 32},
	"gemma3":  {"layer_types": nil, "sliding_window_pattern": 6, "query_pre_attn_scalar": 16, "num_hidden_layers": 7},
}

func TestEveryFamilyComesBackFromGGUF(t *testing.T) {
	for _, form := range forms {
		dir := smallModel(t, form, nil)
		for _, precision := range convert.Precisions() {
			t.Run(form+" in "+precision, func(t *testing.T) {
				o := options(t, precision)
				if precision[0] == 'q' {
					o.Warn = func(string, ...any) {} // that rows are short
				}
				to := filepath.Join(t.TempDir(), "out.gguf")
				w, err := GGUF(dir, to, o)
				if err != nil {
					t.Fatal(err)
				}
				if w.File != to || w.Check.Tokens != maxCheckTokens || precision == "f32" && w.Check.Logits != 0 {
					t.Errorf("%s: %+v", w.File, *w.Check)
				}
				g := parseFile(t, to)
				for name, x := range g.Tensors {
					if len(x.Shape) == 1 && x.Type() != "F32" {
						t.Errorf("%s is %s, want F32", name, x.Type())
					}
				}
				left, _ := filepath.Glob(filepath.Join(filepath.Dir(to), ".*"))
				if len(left) > 0 {
					t.Errorf("%v is left", left)
				}
			})
		}
	}
}

func TestWhatACrashLeftIsRemoved(t *testing.T) {
	parent := t.TempDir()
	to := filepath.Join(parent, "m.gguf")
	for _, name := range []string{".m.gguf.check-12", ".m.gguf.check-1x", ".m.gguf.source-3", "m.gguf.check-4"} {
		if err := os.Mkdir(filepath.Join(parent, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(parent, ".m.gguf.tmp-5"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := GGUF(smallModel(t, "qwen2", nil), to, options(t, "f16")); err != nil {
		t.Fatal(err)
	}
	var left []string
	entries, _ := os.ReadDir(parent)
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if want := []string{".m.gguf.check-1x", ".m.gguf.source-3", "Modelfile", "m.gguf", "m.gguf.check-4"}; !slices.Equal(left, want) {
		t.Errorf("left %v, want %v", left, want)
	}
}

func TestLargeRowsAreOfTheMixOfLlamaCpp(t *testing.T) {
	dir := smallModel(t, "llama-untied", map[string]any{"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 8,
		"head_dim": 32, "num_attention_heads": 8, "num_key_value_heads": 2, "initializer_range": 0.05})
	to := filepath.Join(t.TempDir(), "model")
	w, err := GGUF(dir, to, options(t, "q4_k_m"))
	if err != nil {
		t.Fatal(err)
	}
	g := parseFile(t, w.File)
	for name, x := range g.Tensors {
		want := "Q4_K"
		var layer int
		fmt.Sscanf(name, "blk.%d.", &layer)
		more := layer < 1 || layer >= 7 || (layer-1)%3 == 2 // of 8: the first, the last, 3 and 6
		switch {
		case len(x.Shape) == 1:
			want = "F32"
		case name == "output.weight", more && (strings.HasSuffix(name, "attn_v.weight") || strings.HasSuffix(name, "ffn_down.weight")):
			want = "Q6_K"
		}
		if x.Type() != want {
			t.Errorf("%s is %s, want %s", name, x.Type(), want)
		}
	}
	if w.Modelfile != filepath.Join(to, "Modelfile") || g.Values["general.file_type"] != int64(15) ||
		g.Values["general.quantization_version"] != int64(2) {
		t.Errorf("%+v, %v", w, g.Values["general.file_type"])
	}
}

// TestFilesOfThePackageComeBack writes files again that the Python package gguf has written, or llama.cpp's converter.
func TestFilesOfThePackageComeBack(t *testing.T) {
	for _, name := range []string{"tiny-smollm", "tiny-llama31", "tiny-qwen2", "tiny-lfm2", "tiny-qwen35"} {
		t.Run(name, func(t *testing.T) {
			from, dir := filepath.Join("../convert/testdata", name+".gguf"), filepath.Join(t.TempDir(), "model")
			if err := convert.FromGGUF(from, dir, nil); err != nil {
				t.Fatal(err)
			}
			o := options(t, "f32")
			o.Warn = func(string, ...any) {} // its template says nothing of who answers
			w, err := GGUF(dir, filepath.Join(t.TempDir(), "again.gguf"), o)
			if err != nil {
				t.Fatal(err)
			}
			want, have := parseFile(t, from), parseFile(t, w.File)
			for key, v := range want.Values {
				told := !strings.HasPrefix(key, "general.") || key == "general.architecture"
				told = told && key != "qwen35.full_attention_interval" // the converter says 4 there, whatever the layers
				if told && !same(v, have.Values[key]) {
					t.Errorf("%s is %.200s, want %.200s", key, gguf.Show(have.Values[key]), gguf.Show(v))
				}
			}
			if len(have.Tensors) != len(want.Tensors) {
				t.Errorf("%d tensors, want %d", len(have.Tensors), len(want.Tensors))
			}
			for name, x := range want.Tensors {
				y := have.Tensors[name]
				if y == nil || !slices.Equal(x.Shape, y.Shape) {
					t.Fatalf("tensor %s is not there, or of another shape", name)
				}
				n, _ := tensorfile.Product(x.Shape)
				a, b := make([]float32, n), make([]float32, n)
				near := func(v, w float32) bool { // computed in float32 there, and of the second the logarithm was taken
					computed := name == families.RopeFactors || strings.HasSuffix(name, ".ssm_a")
					return v == w || computed && math.Abs(float64(v-w)) <= 1e-6*math.Abs(float64(w))
				}
				if err := errors.Join(x.Read(0, a), y.Read(0, b)); err != nil || !slices.EqualFunc(a, b, near) {
					t.Errorf("tensor %s has other values (%v)", name, err)
				}
			}
		})
	}
}

// same compares values of metadata.
func same(a, b any) bool {
	if list, ok := a.([]string); ok {
		other, _ := b.([]string)
		return slices.Equal(list, other)
	}
	if list, ok := a.(gguf.Numbers); ok {
		other, _ := b.(gguf.Numbers)
		return list.Kind == other.Kind && bytes.Equal(list.Raw, other.Raw)
	}
	return a == b
}

func TestCharactersThatNoScoresJoinAreNotExported(t *testing.T) {
	source, err := tokenizer.Load("../tokenizer/testdata/gemma")
	if err != nil {
		t.Fatal(err)
	}
	dir := smallModel(t, "llama-tied", map[string]any{"vocab_size": source.VocabSize() + 5})
	if err := source.Save(dir); err != nil {
		t.Fatal(err)
	}
	_, err = GGUF(dir, filepath.Join(t.TempDir(), "m.gguf"), options(t, "f32"))
	if want := "the tokenizer is no SentencePiece model"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestTokenizersComeBack(t *testing.T) {
	for _, c := range []struct {
		name, pre, eos, warning string
	}{
		{"smollm2", "smollm", "<|im_end|>", ""},
		{"llama3", "llama-bpe", "<|eot_id|>", ""},
		{"qwen", "qwen2", "<|im_end|>", ""},
		{"deepseek", "deepseek-v3", "<|im_end|>", ""},
		{"tekken", "tekken", "</s>", ""},
		{"sentencepiece", "default", "</s>", ""},
		{"glm4", "llama-bpe", "<|user|>", "the tokenizer puts [gMASK]<sop> before a text"}, // the same rules under both names
	} {
		t.Run(c.name, func(t *testing.T) {
			data := filepath.Join("../tokenizer/testdata", c.name)
			source, err := tokenizer.Load(data)
			if err != nil {
				t.Fatal(err)
			}
			eos, _ := source.ID(c.eos)
			dir := t.TempDir()
			m := smallModel(t, "llama-tied", map[string]any{"vocab_size": source.VocabSize() + 5})
			for _, name := range []string{"config.json", "model.safetensors"} {
				if err := os.Rename(filepath.Join(m, name), filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			generation := fmt.Sprintf(`{"eos_token_id":%d}`, eos)
			err = errors.Join(source.Save(dir), os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(generation), 0o644))
			if err != nil {
				t.Fatal(err)
			}
			o := options(t, "f32")
			var warnings []string
			o.Warn = func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
			w, err := GGUF(dir, filepath.Join(t.TempDir(), "m.gguf"), o)
			if err != nil {
				t.Fatal(err)
			}
			if pre := parseFile(t, w.File).Values["tokenizer.ggml.pre"]; pre != c.pre {
				t.Errorf("pre-tokenizer %v, want %s", pre, c.pre)
			}
			if n := len(warnings); n != 1+min(len(c.warning), 1) || !strings.HasPrefix(warnings[n-1], c.warning) {
				t.Errorf("warnings %q, want that there is no template, and %q", warnings, c.warning)
			}
			back := filepath.Join(t.TempDir(), "back")
			if err := convert.FromGGUF(w.File, back, nil); err != nil {
				t.Fatal(err)
			}
			again, err := tokenizer.Load(back)
			if err != nil {
				t.Fatal(err)
			}
			vectors := filepath.Join(data, "vectors.json")
			if _, err := os.Stat(vectors); err != nil {
				vectors = filepath.Join(data, "golden.json")
			}
			compareIDs(t, source, again, vectors)
			if !slices.Equal(again.EOS(), []int32{eos}) || again.VocabSize() != source.VocabSize() {
				t.Errorf("ends %v, want %d; %d tokens, want %d", again.EOS(), eos, again.VocabSize(), source.VocabSize())
			}
		})
	}
}

// compareIDs compares the ids of two tokenizers for the hard texts of a golden file.
func compareIDs(t *testing.T, a, b *tokenizer.Tokenizer, vectors string) {
	t.Helper()
	var texts []struct{ Text string }
	raw, err := os.ReadFile(vectors)
	if err == nil {
		err = json.Unmarshal(raw, &texts)
	}
	if err != nil || len(texts) == 0 {
		t.Fatalf("%d texts: %v", len(texts), err)
	}
	for _, v := range texts {
		have, want := b.EncodeText(v.Text), a.EncodeText(v.Text)
		if !slices.Equal(have, want) {
			t.Errorf("%q has the ids %v, want %v", v.Text, have, want)
		}
	}
}

func TestAModelOfAnotherSizeFailsTheCheck(t *testing.T) {
	a, b := smallModel(t, "llama-tied", nil), smallModel(t, "llama-tied", map[string]any{"rope_theta": 500})
	if d, err := Check(a, b, "q8_0", false); err == nil || !strings.HasPrefix(err.Error(), "read back, the model is ") {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestOtherWeightsFailTheCheck(t *testing.T) {
	a, b := smallModel(t, "glm", nil), smallModel(t, "glm", map[string]any{"initializer_range": 0.25})
	const want = "read back, the values of token_embd.weight lie 0.25 of their size apart, want at most 0.023 for Q8_0"
	if d, err := Check(a, b, "q8_0", false); err == nil || err.Error() != want {
		t.Errorf("%+v, %v, want %s", d, err, want)
	}
	// Each type's own bound: what Q4_K_M may change is too much for Q8_0.
	to := filepath.Join(t.TempDir(), "m.gguf")
	o := options(t, "q4_k_m")
	o.Warn = func(string, ...any) {} // that rows are short
	if _, err := GGUF(a, to, o); err != nil {
		t.Fatal(err)
	}
	back := filepath.Join(t.TempDir(), "back")
	if err := convert.FromGGUF(to, back, nil); err != nil {
		t.Fatal(err)
	}
	if d, err := Check(a, back, "q8_0", false); err == nil || !strings.HasPrefix(err.Error(), "read back, the values of ") {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestWhatGGUFHasNoPlaceForIsRefusedByName(t *testing.T) {
	for _, c := range []struct {
		name, form, want string
		change           map[string]any
	}{
		{"a scaling of Qwen's positions", "qwen2",
			"the model has rope scaling of the type llama3, for which GGUF files of qwen2 have no place",
			map[string]any{"rope_scaling": map[string]any{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
				"high_freq_factor": 4.0, "original_max_position_embeddings": 32}}},
		{"biases of Qwen 3", "qwen3", "the model has biases of attention, for which GGUF files of qwen3 have no place",
			map[string]any{"attention_bias": true}},
		{"wide heads of GLM-4", "glm",
			"the model has 4 heads of 16 values in hidden states of 32, for which GGUF files of chatglm have no place",
			map[string]any{"head_dim": 16}},
		{"windows of EXAONE where llama.cpp has none", "exaone4",
			"the model has sliding windows in 4 layers and not in 64, for which GGUF files of exaone4 have no place",
			map[string]any{"sliding_window": 7, "sliding_window_pattern": 4}},
		{"64 layers of EXAONE without a window", "exaone4",
			"the model has 64 layers without a sliding window, for which GGUF files of exaone4 have no place",
			map[string]any{"num_hidden_layers": 64}},
		{"a head of OLMo that is the embedding table", "olmo2",
			"the model has the embedding table for its head, for which GGUF files of olmo2 have no place",
			map[string]any{"tie_word_embeddings": true}},
		{"bases of OLMo 3 that are not one", "olmo3",
			"the model has a RoPE base of 1e+06, and of 500000 in sliding-window layers, for which GGUF files of olmo2 have no place",
			map[string]any{"rope_parameters": map[string]any{"full_attention": map[string]any{"rope_type": "default", "rope_theta": 1e6},
				"sliding_attention": map[string]any{"rope_type": "default", "rope_theta": 5e5}}}},
		{"bases of OLMo 3 that are another one", "olmo3",
			"the model has a RoPE base of 1e+06 in sliding-window layers, for which GGUF files of olmo2 have no place",
			map[string]any{"rope_parameters": map[string]any{"full_attention": map[string]any{"rope_type": "default", "rope_theta": 1e6},
				"sliding_attention": map[string]any{"rope_type": "default", "rope_theta": 1e6}}}},
		{"heads of Qwen 3.5 of two sizes", "qwen3_5",
			"the model has heads of 16 values for keys and of 8 for values in gated delta rule layers, " +
				"for which GGUF files of qwen35 have no place", map[string]any{"linear_value_head_dim": 8}},
		{"small heads of Qwen 3.5", "qwen3_5", "the model has heads of 16 values, for which GGUF files of qwen35 have no place",
			map[string]any{"head_dim": 16}},
		{"convolutions of one token", "lfm2", "the model has convolutions of one token, for which GGUF files of lfm2 have no place",
			map[string]any{"conv_L_cache": 1}},
		{"no attention at all", "lfm2", "the model has no layer that attends, for which GGUF files of lfm2 have no place",
			map[string]any{"layer_types": []string{"conv", "conv", "conv", "conv"}}},
		{"Ministral without yarn", "ministral3", "the model has no rope scaling, for which GGUF files of mistral3 have no place",
			map[string]any{"rope_parameters": map[string]any{"rope_type": "default", "rope_theta": 1e6}}},
		{"no longest text", "llama-tied", "config.json has no max_position_embeddings, which a GGUF file must say",
			map[string]any{"max_position_embeddings": 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := smallModel(t, c.form, c.change)
			to := filepath.Join(t.TempDir(), "deep", "m.gguf")
			if _, err := GGUF(dir, to, options(t, "f16")); err == nil || err.Error() != dir+": "+c.want {
				t.Errorf("error\n\t%v\nwant\n\t%s: %s", err, dir, c.want)
			}
			if _, err := os.Stat(filepath.Dir(to)); err == nil {
				t.Error("a folder was made")
			}
		})
	}
}
