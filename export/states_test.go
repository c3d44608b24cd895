package export

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/checkpoints"
	"lwtrain/convert"
	"lwtrain/internal/gguf"
	"lwtrain/internal/tensorfile"
)

// written writes the model of a folder in F32 and reads the file.
func written(t *testing.T, dir string) *gguf.File {
	t.Helper()
	w, err := GGUF(dir, filepath.Join(t.TempDir(), "m.gguf"), options(t, "f32"))
	if err != nil {
		t.Fatal(err)
	}
	return parseFile(t, w.File)
}

// TestWhatIsSaidOfLayersWithStates holds the keys against those that llama.cpp's convert_hf_to_gguf.py writes for the same config.json.
func TestWhatIsSaidOfLayersWithStates(t *testing.T) {
	for _, c := range []struct {
		form, architecture string
		change             map[string]any
		want               map[string]any // none: nil
	}{
		{"lfm2", "lfm2", nil, map[string]any{"attention.head_count_kv": []int64{0, 2, 0, 0}, "shortconv.l_cache": int64(3),
			"feed_forward_length": int64(32), "attention.head_count": int64(4), "attention.layer_norm_rms_epsilon": float64(float32(1e-5)),
			"rope.freq_base": 1e6}},
		{"qwen3_5", "qwen35", nil, map[string]any{"attention.head_count_kv": int64(2), "ssm.conv_kernel": int64(4),
			"ssm.state_size": int64(16), "ssm.group_count": int64(2), "ssm.time_step_rank": int64(6), "ssm.inner_size": int64(96),
			"attention.recurrent_layers": []bool{true, true, true, false}, "full_attention_interval": int64(4),
			"rope.dimension_count": int64(8), "rope.dimension_sections": []int64{11, 11, 10, 0}, "rope.freq_base": 1e7,
			"attention.key_length": int64(32)}},
		{"qwen3_5", "qwen35",
			map[string]any{"layer_types": []string{"full_attention", "linear_attention", "linear_attention", "full_attention"}},
			map[string]any{"attention.recurrent_layers": []bool{false, true, true, false}, "full_attention_interval": nil}},
	} {
		t.Run(fmt.Sprint(c.form, c.change), func(t *testing.T) {
			g := written(t, smallModel(t, c.form, c.change))
			if have := g.Values["general.architecture"]; have != c.architecture {
				t.Errorf("architecture %v, want %s", have, c.architecture)
			}
			for key, want := range c.want {
				have := g.Values[c.architecture+"."+key]
				if n, list := have.(gguf.Numbers); list {
					var numbers []int64
					var kinds []bool
					for i := range n.Count {
						switch v := n.At(i).(type) {
						case int64:
							numbers = append(numbers, v)
						case bool:
							kinds = append(kinds, v)
						}
					}
					if have = numbers; kinds != nil {
						have = kinds
					}
				}
				if fmt.Sprintf("%T%v", have, have) != fmt.Sprintf("%T%v", want, want) {
					t.Errorf("%s is %v, want %v", key, have, want)
				}
			}
		})
	}
}

// TestHeadsOfValuesAreInTheOrderOfLlamaCpp: of three heads for each of two heads of keys, the first of both come first.
func TestHeadsOfValuesAreInTheOrderOfLlamaCpp(t *testing.T) {
	order := []int{0, 3, 1, 4, 2, 5}
	const hidden, keys, size, taps = 16, 2, 16, 4
	dir := smallModel(t, "qwen3_5", nil)
	g := written(t, dir)
	w, err := checkpoints.OpenWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	read := func(hf, name string, shape ...int) (a, b []float32) {
		t.Helper()
		x := g.Tensors["blk.1."+name]
		if x == nil || !slices.Equal(x.Shape, shape) {
			t.Fatalf("%s is %+v, want of the shape %v", name, x, shape)
		}
		n, _ := tensorfile.Product(shape)
		a, b = make([]float32, n), make([]float32, n)
		if err := w.Read("model.layers.1.linear_attn."+hf, a); err != nil {
			t.Fatal(err)
		}
		if err := x.Read(0, b); err != nil {
			t.Fatal(err)
		}
		return a, b
	}
	// before: values that are as they were; each: values of a head.
	moved := func(name string, a, b []float32, before, each int) {
		t.Helper()
		want := slices.Clone(a[:before])
		for _, head := range order {
			want = append(want, a[before+head*each:before+(head+1)*each]...)
		}
		if !slices.Equal(b, want) {
			t.Errorf("%s is in another order", name)
		}
	}
	a, b := read("in_proj_qkv.weight", "attn_qkv.weight", 10*size, hidden)
	moved("attn_qkv", a, b, 2*keys*size*hidden, size*hidden)
	a, b = read("conv1d.weight", "ssm_conv1d.weight", 10*size, taps)
	moved("ssm_conv1d", a, b, 2*keys*size*taps, size*taps)
	a, b = read("in_proj_z.weight", "attn_gate.weight", 6*size, hidden)
	moved("attn_gate", a, b, 0, size*hidden)
	a, b = read("in_proj_b.weight", "ssm_beta.weight", 6, hidden)
	moved("ssm_beta", a, b, 0, hidden)
	a, b = read("in_proj_a.weight", "ssm_alpha.weight", 6, hidden)
	moved("ssm_alpha", a, b, 0, hidden)
	a, b = read("dt_bias", "ssm_dt.bias", 6)
	moved("ssm_dt", a, b, 0, 1)
	a, b = read("A_log", "ssm_a", 6)
	for i := range a {
		a[i] = float32(-math.Exp(float64(a[i])))
	}
	moved("ssm_a", a, b, 0, 1)
	a, b = read("norm.weight", "ssm_norm.weight", size)
	moved("ssm_norm", a, b, size, 0)
	a, b = read("out_proj.weight", "ssm_out.weight", hidden, 6*size)
	for row := range hidden {
		moved("ssm_out", a[row*6*size:(row+1)*6*size], b[row*6*size:(row+1)*6*size], 0, size)
	}
}

// TestFilesThatSayOtherwiseOfTheirLayers changes files and reads them.
func TestFilesThatSayOtherwiseOfTheirLayers(t *testing.T) {
	files := map[string]*gguf.File{}
	list := func(values ...int32) gguf.Numbers {
		n := gguf.Numbers{Kind: 5, Count: len(values)}
		for _, v := range values {
			n.Raw = binary.LittleEndian.AppendUint32(n.Raw, uint32(v))
		}
		return n
	}
	for _, c := range []struct {
		name, form, key string
		value           any    // nil: the key is taken out
		config          string // what config.json then has
		want            string // or the error
	}{
		{"one number of heads", "lfm2", "lfm2.attention.head_count_kv", int64(2), "",
			"no tensor blk.0.attn_q.weight, which lfm2 with 4 layers calls for"},
		{"heads of too few layers", "lfm2", "lfm2.attention.head_count_kv", list(0, 2), "",
			"lfm2.attention.head_count_kv is an array of 2 numbers, want an array of 4 numbers"},
		{"no layer that attends", "lfm2", "lfm2.attention.head_count_kv", list(0, 0, 0, 0), "",
			"lfm2.attention.head_count_kv is 0 for all layers, want one that attends"},
		{"two numbers of heads", "lfm2", "lfm2.attention.head_count_kv", list(0, 2, 4, 0), "",
			"lfm2.attention.head_count_kv is 2 for layer 1 and 4 for another one, want one number"},
		{"fewer than no heads", "lfm2", "lfm2.attention.head_count_kv", list(0, 2, -1, 0), "",
			"lfm2.attention.head_count_kv[2] is -1, want 0 to 1048576"},
		{"no length of convolutions", "lfm2", "lfm2.shortconv.l_cache", nil, "", "no lfm2.shortconv.l_cache"},
		{"windows", "lfm2", "lfm2.attention.sliding_window", int64(7), "", "lfm2.attention.sliding_window is 7, want none"},
		{"no end of attention", "lfm2", "lfm2.attention.causal", false, "", "lfm2.attention.causal is false, want true"},
		{"a layer in four", "qwen3_5", "qwen35.attention.recurrent_layers", nil,
			`"layer_types":["linear_attention","linear_attention","linear_attention","full_attention"]`, ""},
		{"layers of another number", "qwen3_5", "qwen35.attention.recurrent_layers", list(1), "",
			"qwen35.attention.recurrent_layers is an array of 1 numbers, want an array of 4 numbers"},
		{"a width that is not that of the heads", "qwen3_5", "qwen35.ssm.inner_size", int64(64), "", "6 heads of 16 values, 64 together, " +
			"and 2 heads of keys in gated delta rule layers, want a multiple, and 96"},
		{"two layers behind the others", "qwen3_5", "qwen35.nextn_predict_layers", int64(2), "",
			"qwen35.nextn_predict_layers is 2, want 0 to 1"},
		{"other positions", "qwen3_5", "qwen35.rope.dimension_sections", list(16, 16, 0, 0), "",
			"qwen35.rope.dimension_sections is [16 16 0 0], want [11 11 10 0]"},
		{"windows of OLMo 3 as they are", "olmo3", "olmo2.attention.sliding_window_pattern", int64(4), `"model_type":"olmo3"`, ""},
		{"windows of OLMo 3 by layers", "olmo3", "olmo2.attention.sliding_window_pattern", list(1, 1, 1, 0), `"model_type":"olmo3"`, ""},
		{"windows of OLMo 3 in other layers", "olmo3", "olmo2.attention.sliding_window_pattern", list(1, 1, 0, 1), "",
			"olmo2.attention.sliding_window_pattern says of layer 2 of 4 that it has a window: false, want true"},
		{"windows of OLMo 3 as often as not", "olmo3", "olmo2.attention.sliding_window_pattern", int64(2), "",
			"olmo2.attention.sliding_window_pattern says of layer 1 of 4 that it has a window: false, want true"},
		{"another base of OLMo 3", "olmo3", "olmo2.rope.freq_base", 1e6, "",
			"the RoPE bases are 1e+06 and, in sliding-window layers, 500000, want 500000 for both"},
		{"another base of Gemma 3", "gemma3", "gemma3.rope.freq_base_swa", 5e4, "",
			"the RoPE bases are 1e+06 and, in sliding-window layers, 50000, want 10000 in these"},
		{"logit softcapping", "gemma3", "gemma3.final_logit_softcapping", 30.0, "",
			"gemma3.final_logit_softcapping is 30, want none: logit softcapping is not implemented"},
		{"a window of Phi", "phi3", "phi3.attention.sliding_window", int64(7), `"sliding_window":7`, ""},
		{"a window of Qwen", "qwen2", "qwen2.attention.sliding_window", int64(7), "", "qwen2.attention.sliding_window is 7, want none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if files[c.form] == nil {
				files[c.form] = written(t, smallModel(t, c.form, nil))
			}
			g := *files[c.form]
			if g.Values = maps.Clone(g.Values); c.value == nil {
				delete(g.Values, c.key)
			} else {
				g.Values[c.key] = c.value
			}
			small, err := convert.SmallFiles(&g)
			if c.want != "" {
				if err == nil || err.Error() != c.want {
					t.Errorf("error\n\t%v\nwant\n\t%s", err, c.want)
				}
				return
			}
			var config bytes.Buffer
			if err == nil {
				err = json.Compact(&config, small["config.json"])
			}
			if err != nil || !strings.Contains(config.String(), c.config) {
				t.Errorf("config.json is %s (%v), want %s in it", config.String(), err, c.config)
			}
		})
	}
}

// TestValuesOfOtherFormsAreOfTheMixOfLlamaCpp: quantize takes whole query, key and value for values, and counts the layers
// that have some. The tensors of more bits are those that it makes of the same F32 file.
func TestValuesOfOtherFormsAreOfTheMixOfLlamaCpp(t *testing.T) {
	layers := func(kinds string, recurrent string) (out []string) {
		for _, kind := range kinds {
			if out = append(out, recurrent); kind == 'a' {
				out[len(out)-1] = "full_attention"
			}
		}
		return out
	}
	down := []string{"blk.0.ffn_down", "blk.3.ffn_down", "blk.6.ffn_down", "blk.7.ffn_down"}
	for _, c := range []struct {
		form   string
		change map[string]any
		want   []string
	}{
		{"phi3", map[string]any{"head_dim": 32,
			"rope_parameters": map[string]any{"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.75}},
			[]string{"blk.0.attn_qkv", "blk.3.attn_qkv", "blk.6.attn_qkv", "blk.7.attn_qkv"}},
		{"lfm2", map[string]any{"head_dim": 32, "intermediate_size": 768, "block_multiple_of": 256,
			"layer_types": layers("ccacacac", "conv")}, []string{"blk.6.attn_v"}},
		{"qwen3_5", map[string]any{"head_dim": 64, "layer_types": layers("lllallla", "linear_attention")},
			[]string{"blk.0.attn_qkv", "blk.3.attn_v", "blk.6.attn_qkv", "blk.7.attn_v"}},
	} {
		t.Run(c.form, func(t *testing.T) {
			all := map[string]any{"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 8, "num_attention_heads": 8,
				"num_key_value_heads": 2, "initializer_range": 0.05}
			maps.Copy(all, c.change)
			o := options(t, "q4_k_m")
			o.Warn = func(string, ...any) {} // that rows are short
			w, err := GGUF(smallModel(t, c.form, all), filepath.Join(t.TempDir(), "m.gguf"), o)
			if err != nil {
				t.Fatal(err)
			}
			var have []string
			for name, x := range parseFile(t, w.File).Tensors {
				if x.Type() == "Q6_K" {
					have = append(have, strings.TrimSuffix(name, ".weight"))
				}
			}
			want := append([]string{"token_embd"}, slices.Concat(down, c.want)...)
			slices.Sort(have)
			slices.Sort(want)
			if !slices.Equal(have, want) {
				t.Errorf("of Q6_K are %v, want %v", have, want)
			}
		})
	}
}
