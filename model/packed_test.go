package model

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/checkpoints"
)

// stored is a tensor as a file has it.
type stored struct {
	dtype string
	shape []int
	bytes string
}

// writeStored writes a safetensors file.
func writeStored(t *testing.T, path string, all map[string]stored) {
	t.Helper()
	header, data := map[string]any{}, ""
	for _, name := range slices.Sorted(maps.Keys(all)) {
		x := all[name]
		header[name] = map[string]any{"dtype": x.dtype, "shape": x.shape, "data_offsets": []int{len(data), len(data) + len(x.bytes)}}
		data += x.bytes
	}
	raw, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	file := append(binary.LittleEndian.AppendUint64(nil, uint64(len(raw))), raw...)
	if err := os.WriteFile(path, append(file, data...), 0o600); err != nil {
		t.Fatal(err)
	}
}

// readStored reads one.
func readStored(t *testing.T, path string) map[string]stored {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(raw)
	var header map[string]struct {
		DType   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets []int  `json:"data_offsets"`
	}
	if err := json.Unmarshal(raw[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	all := map[string]stored{}
	for name, x := range header {
		if name != "__metadata__" {
			all[name] = stored{x.DType, x.Shape, string(raw[int(n)+8+x.Offsets[0] : int(n)+8+x.Offsets[1]])}
		}
	}
	return all
}

// others are tensors of other parts of a package, of all kinds of types.
var others = map[string]stored{
	"vision_tower.patch.weight":              {"BF16", []int{2, 3}, "abcdefghijkl"},
	"vision_tower.position_ids":              {"I64", []int{2}, "0123456789abcdef"},
	"model.visual.blocks.0.norm.bias":        {"F16", []int{1}, "\x01\x7e"}, // a NaN
	"multi_modal_projector.linear_1.weight":  {"F32", []int{1, 2}, "ABCDEFGH"},
	"multi_modal_projector.mask":             {"BOOL", []int{3}, "\x00\x01\x01"},
	"mtp.layers.0.self_attn.q_proj.weight":   {"F32", []int{}, "wxyz"},
	"language_model_adapter.lora_A.up.scale": {"U8", []int{1}, "!"},
}

// pack makes a package of a test model: its tensors renamed, with those of other parts beside them.
func pack(t *testing.T, form, prefix, head string, text func(map[string]any)) (dir string) {
	t.Helper()
	dir = t.TempDir()
	from := filepath.Join("testdata", form)
	all := maps.Clone(others)
	for name, x := range readStored(t, filepath.Join(from, "model.safetensors")) {
		if rest, ok := strings.CutPrefix(name, "model."); ok {
			name = prefix + rest
		} else {
			name = head + ".weight"
		}
		all[name] = x
	}
	writeStored(t, filepath.Join(dir, "model.safetensors"), all)
	raw, err := os.ReadFile(filepath.Join(from, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var inner map[string]any
	if err := json.Unmarshal(raw, &inner); err != nil {
		t.Fatal(err)
	}
	outer := map[string]any{"model_type": "mistral3",
		"vision_config": map[string]any{"x": []int{1}}, "text_config": inner, "dtype": "float32"}
	if text != nil {
		text(outer)
	}
	if raw, err = json.Marshal(outer); err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), raw, 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "preprocessor_config.json"), []byte(`{"do_resize": true}`), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// sameFiles wants two folders to hold the same tensors, and configs that differ in nothing but dtypes.
func sameFiles(t *testing.T, got, want string) {
	t.Helper()
	a, b := readStored(t, filepath.Join(got, "model.safetensors")), readStored(t, filepath.Join(want, "model.safetensors"))
	for _, name := range slices.Sorted(maps.Keys(b)) {
		if fmt.Sprint(a[name]) != fmt.Sprint(b[name]) {
			t.Errorf("tensor %s is %.60q, want %.60q", name, fmt.Sprint(a[name]), fmt.Sprint(b[name]))
		}
	}
	if len(a) != len(b) {
		t.Errorf("%d tensors, want %d", len(a), len(b))
	}
	config := func(dir string) (all map[string]any) {
		raw, err := os.ReadFile(filepath.Join(dir, "config.json"))
		if err == nil {
			err = json.Unmarshal(raw, &all)
		}
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if x, y := config(got), config(want); fmt.Sprint(x) != fmt.Sprint(y) {
		t.Errorf("config %v, want %v", x, y)
	}
	if raw, err := os.ReadFile(filepath.Join(got, "preprocessor_config.json")); string(raw) != `{"do_resize": true}` {
		t.Errorf("preprocessor_config.json is %q, %v", raw, err)
	}
}

func TestAPackageIsReadAndWrittenBackAsItWas(t *testing.T) {
	for _, c := range []struct {
		name, form, prefix, head string
		outer                    func(map[string]any)
	}{
		{"as transformers 5 has it in memory", "llama-untied", "model.language_model.", "lm_head", nil},
		{"as files of older versions have it", "llama-untied", "language_model.model.", "language_model.lm_head", nil},
		{"as SmolVLM has it", "llama-untied", "model.text_model.", "lm_head", nil},
		{"a tied head", "llama-tied", "language_model.model.", "", nil},
		{"a tied head that the package alone tells of", "llama-tied", "model.language_model.", "", func(outer map[string]any) {
			outer["tie_word_embeddings"] = true
			outer["text_config"].(map[string]any)["tie_word_embeddings"] = false
		}},
		{"a tied head that nothing tells of", "llama-tied", "language_model.model.", "", func(outer map[string]any) {
			delete(outer["text_config"].(map[string]any), "tie_word_embeddings")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := pack(t, c.form, c.prefix, c.head, c.outer)
			m, err := Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Free()
			ref := openGolden(t, c.form)
			for i, d := range ref.docs() {
				if got := apart(logits(m, d.ids), ref.read(fmt.Sprint("logits.", i))); got > 1e-4 {
					t.Errorf("logits of document %d differ by %g", i, got)
				}
			}
			saved := filepath.Join(t.TempDir(), "saved")
			if err := m.Save(saved, "float32"); err != nil {
				t.Fatal(err)
			}
			sameFiles(t, saved, dir)
			before, err := FingerprintWeights(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := m.Fingerprint(); got != before || err != nil {
				t.Errorf("the fingerprint of the model is %s, %v, want %s", got, err, before)
			}
			if got, err := FingerprintWeights(saved); got != before || err != nil {
				t.Errorf("the fingerprint of what was saved is %s, %v, want %s", got, err, before)
			}
			if err := m.Save(filepath.Join(t.TempDir(), "half"), "bfloat16"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPackagesOfTransformersComputeTheSame: of those whose language model has a prefix of its own, too.
func TestPackagesOfTransformersComputeTheSame(t *testing.T) {
	for name, tied := range map[string]bool{"smolvlm": false, "idefics3-tied": true} {
		t.Run(name, func(t *testing.T) {
			form := filepath.Join("packages", name)
			m, err := LoadToTrain(filepath.Join("testdata", form), Training{
				LoRA: LoRA{Rank: 2, Alpha: 4, Target: []string{AllLinear}, Variant: PlainLoRA},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Free()
			if m.Config.Tied != tied || m.Config.Package == "" {
				t.Errorf("tied: %v, a package of %q", m.Config.Tied, m.Config.Package)
			}
			ref := openGolden(t, form)
			var ids []int32
			for _, id := range ref.read("ids.0") {
				ids = append(ids, int32(id))
			}
			if got := apart(logits(m, ids), ref.read("logits.0")); got > 1e-5 {
				t.Errorf("logits differ by %g", got)
			}
			const first = "model.text_model.layers.0.self_attn.q_proj"
			if x := m.adapters[0].module; x != first {
				t.Errorf("the first adapter is of %s, want %s", x, first)
			}
		})
	}
}

func TestAMergedAdapterLeavesThePartsOfAPackageAsTheyAre(t *testing.T) {
	dir := pack(t, "llama-untied", "language_model.model.", "language_model.lm_head", nil)
	m, err := LoadToTrain(dir, Training{LoRA: LoRA{Rank: 2, Alpha: 4, Target: []string{AllLinear}, Variant: PlainLoRA}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	for _, x := range m.adapters {
		for i := range x.B.Data {
			x.B.Data[i] = float32(i%5) / 16
		}
	}
	adapter, ids := t.TempDir(), []int32{1, 5, 9, 2}
	if err := m.SaveAdapter(adapter); err != nil {
		t.Fatal(err)
	}
	want := logits(m, ids)
	const first = "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight"
	file := filepath.Join(adapter, adapterWeights)
	all := readStored(t, file)
	if _, there := all[first]; !there {
		t.Errorf("no %s among %v", first, slices.Sorted(maps.Keys(all)))
	}
	// The language model's own class names its modules without the package.
	alone := map[string]stored{}
	for name, x := range all {
		alone[strings.Replace(name, "model.language_model.", "model.", 1)] = x
	}
	for i, form := range []map[string]stored{all, alone} {
		writeStored(t, file, form)
		merged, err := LoadAdapted(dir, adapter, false)
		if err != nil {
			t.Fatal(err)
		}
		merged.Merge()
		if got := apart(logits(merged, ids), want); got > 1e-4 {
			t.Errorf("form %d: logits differ by %g", i, got)
		}
		saved := t.TempDir()
		if err := merged.Save(saved, "float32"); err != nil {
			t.Fatal(err)
		}
		merged.Free()
		got := readStored(t, filepath.Join(saved, "model.safetensors"))
		for name, x := range others {
			if fmt.Sprint(got[name]) != fmt.Sprint(x) {
				t.Errorf("form %d: %s is %v, want %v", i, name, got[name], x)
			}
		}
	}
}

// TestATextOfAPackageHasTheSizesOfItsClass reads text_config as Gemma 3 4B and LLaVA 1.5 are published: without what equals the
// defaults of their classes.
func TestATextOfAPackageHasTheSizesOfItsClass(t *testing.T) {
	for name, c := range map[string]struct {
		json string
		want int64
	}{
		"gemma-3-4b": {`{"model_type":"gemma3","text_config":{"hidden_size":2560,"intermediate_size":10240,"model_type":"gemma3_text",` +
			`"num_hidden_layers":34,"rope_scaling":{"factor":8.0,"rope_type":"linear"},"sliding_window":1024}}`, 3_880_263_168},
		"llava-1.5-7b": {`{"model_type":"llava","text_config":{"max_position_embeddings":4096,"model_type":"llama",` +
			`"rms_norm_eps":1e-05,"vocab_size":32064}}`, 6_738_939_904},
	} {
		if got, err := ParseConfig([]byte(c.json)); err != nil || got.Parameters() != c.want {
			t.Errorf("%s: %d parameters, %v, want %d", name, got.Parameters(), err, c.want)
		}
	}
	if _, err := ParseConfig([]byte(`{"model_type":"gemma3_text","hidden_size":2560}`)); err == nil {
		t.Error("a model by itself that lacks its sizes is read")
	}
}

func TestWhatNoPackageHasIsRefusedByItsName(t *testing.T) {
	for _, c := range []struct {
		name, tensor, want string
		outer              func(map[string]any)
	}{
		{"a tensor inside of the language model", "language_model.model.layers.0.self_attn.sinks", "layers.0.self_attn.sinks", nil},
		{"a family that is not known", "", `text_config: model_type is "qwen2_5_vl_text"`, func(outer map[string]any) {
			outer["text_config"].(map[string]any)["model_type"] = "qwen2_5_vl_text"
		}},
		{"a text_config of no model", "", `model_type is "mistral3"`, func(outer map[string]any) {
			outer["text_config"] = map[string]any{}
		}},
		{"a part of 8 bits without scales", "vision_tower.other.weight", "vision_tower.other.weight", nil},
		{"weights of 4 bits", "", "quantization_config is there", func(outer map[string]any) {
			outer["quantization_config"] = map[string]any{"quant_method": "awq"}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := pack(t, "llama-untied", "language_model.model.", "language_model.lm_head", c.outer)
			if c.tensor != "" {
				path := filepath.Join(dir, "model.safetensors")
				all := readStored(t, path)
				all[c.tensor] = stored{"F8_E4M3", []int{1, 1}, "x"}
				writeStored(t, path, all)
			}
			if _, err := Check(dir); err == nil || !strings.Contains(err.Error(), c.want) || !IsUnsupported(err) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestWeightsOfEightBitsAreReadByTheirScales makes a model whose matrices are of 8 bits: each is a value of the
// grid times its block's scale, by the definition of the format.
func TestWeightsOfEightBitsAreReadByTheirScales(t *testing.T) {
	value := func(b byte) float64 {
		exponent, fraction := int(b>>3&15), float64(b&7)/8
		v := math.Ldexp(1+fraction, exponent-7)
		if exponent == 0 {
			v = math.Ldexp(fraction, -6)
		}
		return math.Copysign(v, 0.5-float64(b>>7))
	}
	floats := func(v ...float32) string {
		raw, _ := binary.Append(nil, binary.LittleEndian, v)
		return string(raw)
	}
	for _, c := range []struct {
		name, ending string
		rows, cols   int // of a block; 0: one scale for all
	}{
		{"one scale", "_scale_inv", 0, 0},
		{"blocks", "_scale_inv", 8, 16},
		{"a scale for each row", "_scale", 1, 32},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := pack(t, "llama-untied", "language_model.model.", "language_model.lm_head", func(outer map[string]any) {
				outer["quantization_config"] = map[string]any{"quant_method": "fp8", "weight_block_size": []int{c.rows, c.cols}}
			})
			path := filepath.Join(dir, "model.safetensors")
			all, want := readStored(t, path), map[string][]float32{}
			for name, x := range maps.Clone(all) {
				inside := strings.Contains(name, ".q_proj.") && strings.HasPrefix(name, "language_model.")
				if !inside && name != "multi_modal_projector.linear_1.weight" {
					continue
				}
				rows, cols := x.shape[0], x.shape[1]
				br, bc := c.rows, c.cols
				if br == 0 || rows < br {
					br, bc = rows, cols
				}
				grid := []int{rows / br, cols / min(bc, cols)}
				var bytes []byte
				var scales []float32
				for i := range grid[0] * grid[1] {
					scales = append(scales, float32(i+1)/512)
				}
				for i := range rows * cols {
					b := byte(i*37) & 0xf7 // no NaN
					bytes = append(bytes, b)
					v := float32(value(b)) * scales[i/cols/br*grid[1]+i%cols/min(bc, cols)]
					want[name] = append(want[name], v)
				}
				if c.rows == 0 {
					grid = []int{}
				}
				stem := strings.TrimSuffix(name, ".weight")
				all[name] = stored{"F8_E4M3", x.shape, string(bytes)}
				all[stem+".weight"+c.ending] = stored{"F32", grid, floats(scales...)}
				all[stem+".activation_scale"] = stored{"F32", []int{}, floats(1)}
			}
			writeStored(t, path, all)
			m, err := Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Free()
			if len(m.Config.Warnings) != 1 || !strings.Contains(m.Config.Warnings[0], "read by their scales") {
				t.Errorf("warnings %q", m.Config.Warnings)
			}
			saved := t.TempDir()
			if err := m.Save(saved, "float32"); err != nil {
				t.Fatal(err)
			}
			got := readStored(t, filepath.Join(saved, "model.safetensors"))
			for name, values := range want {
				if got[name].bytes != floats(values...) || got[name].dtype != "F32" {
					t.Errorf("%s is not what its scales make of it", name)
				}
			}
			for name := range got {
				if strings.Contains(name, "_scale") {
					t.Errorf("%s is written, too", name)
				}
			}
			raw, err := os.ReadFile(filepath.Join(saved, "config.json"))
			if err != nil || strings.Contains(string(raw), "quantization_config") {
				t.Errorf("%v: config.json still tells of 8 bits: %s", err, raw)
			}
			if w, err := checkpoints.OpenWeights(dir); err != nil || w.Close() != nil {
				t.Error(err)
			}
		})
	}
}
