package model

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/checkpoints"
	"lwtrain/checkpoints/checkpointstest"
	"lwtrain/internal/fault"
)

// sizes are those of a small model, in its config.json.
const sizes = `"hidden_size":32,"intermediate_size":48,"num_hidden_layers":2,"num_attention_heads":4,"vocab_size":96,` +
	`"max_position_embeddings":2048`

func TestWhatIsNotImplementedIsSaidToBeSo(t *testing.T) {
	llama := func(more string) string { return `{"model_type":"llama",` + sizes + `,` + more + `}` }
	for _, c := range []struct{ name, json, want, hint string }{
		{"a mixture of experts", `{"model_type":"mixtral"}`, `model_type is "mixtral"`, "mixtures of experts are not implemented"},
		{"another one", `{"model_type":"qwen3_moe"}`, `model_type is "qwen3_moe"`, "mixtures of experts are not implemented"},
		{"one under a dense name", llama(`"num_local_experts":8`), "8 experts, want none", "mixtures of experts are not implemented"},
		{"a model that sees", `{"model_type":"qwen2_5_vl"}`, `model_type is "qwen2_5_vl"`, noImages},
		{"an encoder", `{"model_type":"xlm-roberta"}`, `model_type is "xlm-roberta"`, "encoders are not implemented"},
		{"another family", `{"model_type":"gemma3"}`, `model_type is "gemma3", want one of: chatglm,`, "other families are not"},
		{"dynamic frequencies", llama(`"rope_scaling":{"rope_type":"dynamic","factor":4}`),
			`rope_scaling type is "dynamic", want llama3, linear, yarn or longrope`,
			"llama3, linear, yarn and longrope are, and without rope_scaling the model has its own positions " +
				"(max_position_embeddings says 2048)"},
		{"these as transformers 5 writes them", llama(`"rope_parameters":{"rope_type":"dynamic","rope_theta":1e6}`), `type is "dynamic"`,
			"not implemented; llama3, linear, yarn and longrope are"},
		{"frequencies by kinds of layers", llama(`"rope_parameters":{"full_attention":{"rope_theta":1e6}}`), "rope_parameters",
			"not implemented"},
		{"gelu", llama(`"hidden_act":"gelu"`), `hidden_act is "gelu"`, "not implemented"},
		{"biases", llama(`"mlp_bias":true`), "mlp_bias is true", "biases in the feed-forward layers are not implemented"},
		{"logit softcapping", llama(`"final_logit_softcapping":30,"attn_logit_softcapping":null`),
			"final_logit_softcapping is 30", "logit softcapping (Gemma 2) is not implemented"},
		{"attention to what follows", `{"model_type":"gemma3_text",` + sizes + `,"use_bidirectional_attention":true}`,
			"use_bidirectional_attention is true, want false", noFuture},
		{"the same of any model", llama(`"is_causal":false`), "is_causal is false, want true", noFuture},
		{"layers of different sizes", llama(`"per_layer_config":{"1":{"intermediate_size":8}}`), "per_layer_config is there, want none",
			"layers of different sizes are not implemented"},
		{"a part of each head, where kinds of layers have their own",
			`{"model_type":"gemma3_text",` + sizes + `,"partial_rotary_factor":0.5}`,
			"partial_rotary_factor is 0.5, want 1", "not implemented"},
		{"the same inside of a kind", `{"model_type":"olmo3",` + sizes +
			`,"rope_parameters":{"full_attention":{"partial_rotary_factor":0.5}}}`,
			"partial_rotary_factor is 0.5, want 1", "not implemented"},
		{"the older name of a type, which transformers reads past", `{"model_type":"gemma3_text",` + sizes +
			`,"rope_scaling":{"type":"linear","factor":8}}`, `rope_scaling has type ("linear") and no rope_type`, "write rope_type"},
		{"longrope without a length", strings.Replace(llama(`"rope_scaling":{"type":"longrope","original_max_position_embeddings":20,`+
			`"short_factor":[1,1,1,1],"long_factor":[2,2,2,2]}`), `,"max_position_embeddings":2048`, "", 1),
			"rope_scaling is longrope, and max_position_embeddings is not there", ""},
		{"queries that grow, where none do", llama(`"rope_scaling":{"type":"yarn","factor":2,"llama_4_scaling_beta":0.1}`),
			"llama_4_scaling_beta is 0.1, want none", "transformers does not look at it for this model_type"},
		{"quantised weights", llama(`"quantization_config":{"quant_method":"gptq"}`),
			`quantization_config is there ({"quant_method":"gptq"})`,
			"take quantization_config out of config.json"},
		{"a part of each head", llama(`"partial_rotary_factor":0.5`), "partial_rotary_factor is 0.5, want 1", "not implemented"},
		{"the same as transformers 5 writes it", llama(`"rope_parameters":{"partial_rotary_factor":0.25}`),
			"partial_rotary_factor is 0.25, want 1", "not implemented"},
		{"two ways to stretch positions", llama(`"rope_scaling":{"type":"linear","factor":2},"rope_parameters":{"rope_type":"default"}`),
			"rope_scaling (linear) and rope_parameters (default) scale RoPE in different ways",
			"transformers 5 reads rope_parameters"},
		{"two factors", llama(`"rope_scaling":{"type":"linear","factor":2},"rope_parameters":{"rope_type":"linear","factor":4}`),
			"rope_scaling (linear) and rope_parameters (linear) scale RoPE", "take out those that are wrong"},
		{"two bases", llama(`"rope_theta":1e4,"rope_parameters":{"rope_theta":1e6}`),
			"rope_theta is 10000, and in rope_parameters it is 1e+06",
			"take out those that are wrong"},
		{"two shares of heads", `{"model_type":"glm4",` + sizes +
			`,"partial_rotary_factor":0.5,"rope_parameters":{"partial_rotary_factor":1}}`,
			"partial_rotary_factor is 0.5, and in rope_parameters it is 1", "transformers 5 reads rope_parameters"},
		{"a window", llama(`"use_sliding_window":true`), "use_sliding_window is true",
			"sliding-window attention is not implemented for this"},
		{"a window in some layers", llama(`"layer_types":["full_attention","sliding_attention"]`), `layer_types has "sliding_attention"`,
			"not implemented for this model_type, and sliding windows where transformers has them"},
		{"GPT-OSS", `{"model_type":"gpt_oss","num_local_experts":32,"quantization_config":{"quant_method":"mxfp4"}}`,
			`model_type is "gpt_oss"`, noExperts + "; attention sinks are not implemented"},
		{"Mamba", `{"model_type":"mamba2"}`, `model_type is "mamba2"`, noStates},
		{"Mamba with attention and experts", `{"model_type":"jamba","num_experts":16,"mamba_d_state":16}`, `model_type is "jamba"`,
			noExperts + "; " + noStates},
		{"experts under a name that says nothing of them", `{"model_type":"dots1","n_routed_experts":128}`,
			`model_type is "dots1"`, noExperts},
		{"experts behind latent attention", `{"model_type":"kimi_k2","n_routed_experts":384,"kv_lora_rank":512}`, `model_type is "kimi_k2"`,
			noExperts + "; multi-head latent attention"},
		{"states under a name that says nothing of them", `{"model_type":"plamo2","mamba_num_heads":64,"num_experts":0}`,
			`model_type is "plamo2"`, noStates},
		{"another linear attention", `{"model_type":"olmo_hybrid","linear_num_key_heads":16}`, `model_type is "olmo_hybrid"`,
			"linear attention is not implemented, but for Qwen 3.5's"},
		{"a model that sees, under a name of its own", `{"model_type":"molmo2","vision_config":{"depth":1}}`,
			`model_type is "molmo2"`, noImages},
		{"Gemma 2", `{"model_type":"gemma2","attn_logit_softcapping":50}`, `model_type is "gemma2"`, "logit softcapping (Gemma 2) is not"},
		{"a package around experts", `{"model_type":"llama4","text_config":{"model_type":"llama4_text","num_local_experts":16}}`,
			`text_config: model_type is "llama4_text"`, noExperts},
		{"Granite with Mamba layers",
			`{"model_type":"granitemoehybrid",` + sizes + `,"num_local_experts":0,"layer_types":["mamba","attention"]}`,
			`layer_types has "mamba"`, "state-space layers (Mamba)"},
		{"Granite with experts", `{"model_type":"granitemoehybrid",` + sizes + `,"layer_types":["attention","attention"]}`,
			"8 experts, want none", noExperts},
		{"longrope without factors", `{"model_type":"phi3",` + sizes + `,"rope_scaling":{"type":"su"}}`,
			"short_factor and long_factor of rope_scaling are 0 and 0 numbers, want 4", ""},
		{"kinds of layers for another number", `{"model_type":"gemma3_text",` + sizes + `,"layer_types":["full_attention"]}`,
			"layer_types has 1 kinds, want one for each of 2 layers", ""},
		{"a window of nothing", `{"model_type":"olmo3",` + sizes + `,"sliding_window":null}`,
			"layer 0 attends in a window, and sliding_window is null, want at least 1", ""},
		{"layers without an own number", `{"model_type":"smollm3",` + sizes + `,"no_rope_layers":[1]}`, "no_rope_layers is 1 numbers", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseConfig([]byte(c.json))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(fault.HintOf(err), c.hint) {
				t.Errorf("got %v\nhint: %s\nwant %q and %q", err, fault.HintOf(err), c.want, c.hint)
			}
		})
	}
}

func TestWhatChangesNothingIsReadPast(t *testing.T) {
	llama := func(more string) string { return `{"model_type":"llama",` + sizes + `,` + more + `}` }
	for _, c := range []struct {
		name, json string
		warnings   []string
	}{
		{"what changes nothing", llama(`"sliding_window":4096,"use_sliding_window":false,"attention_dropout":0.0,"num_experts":0,` +
			`"layer_types":["full_attention","full_attention"],"rope_scaling":null,` +
			`"quantization_config":null,"partial_rotary_factor":1.0`), nil},
		{"the same twice", llama(`"rope_theta":1e4,"rope_scaling":{"type":"linear","factor":2},` +
			`"rope_parameters":{"rope_type":"linear","factor":2,"rope_theta":1e4}`), nil},
		{"dropout", llama(`"attention_dropout":0.1,"resid_pdrop":0.2,"classifier_dropout":0.3`), []string{
			"attention_dropout is 0.1, and dropout is not implemented: the model is trained without it",
			"resid_pdrop is 0.2, and dropout is not implemented: the model is trained without it",
		}},
	} {
		got, err := ParseConfig([]byte(c.json))
		if err != nil || !slices.Equal(got.Warnings, c.warnings) {
			t.Errorf("%s: %q, %v", c.name, got.Warnings, err)
		}
	}
}

// withTensors writes a test model's folder anew, with its tensors changed.
func withTensors(t *testing.T, name string, change func([]checkpoints.Tensor) []checkpoints.Tensor) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	from, err := checkpoints.OpenWeights(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	all, err := checkpointstest.Tensors(from)
	if err != nil {
		t.Fatal(err)
	}
	old, _ := filepath.Glob(filepath.Join(dir, "model*.safetensors*"))
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	var streams []checkpoints.Stream
	for _, x := range change(all) {
		streams = append(streams, x.Stream())
	}
	if err := checkpoints.StreamWeights(dir, "F32", streams, shardBytes, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// find returns the tensor of a name.
func find(t *testing.T, all []checkpoints.Tensor, name string) *checkpoints.Tensor {
	t.Helper()
	i := slices.IndexFunc(all, func(x checkpoints.Tensor) bool { return x.Name == name })
	if i < 0 {
		t.Fatalf("no tensor %s", name)
	}
	return &all[i]
}

func TestTensorsThatHaveNoPlaceAreExplained(t *testing.T) {
	more := func(name string) func([]checkpoints.Tensor) []checkpoints.Tensor {
		return func(all []checkpoints.Tensor) []checkpoints.Tensor {
			return append(all, checkpoints.Tensor{Name: name, Shape: []int{2}, Data: []float32{1, 2}})
		}
	}
	renamed := func(from, to string) func([]checkpoints.Tensor) []checkpoints.Tensor {
		return func(all []checkpoints.Tensor) []checkpoints.Tensor {
			find(t, all, from).Name = to
			return all
		}
	}
	const up = "model.layers.1.mlp.up_proj"
	for _, c := range []struct {
		name       string
		change     func([]checkpoints.Tensor) []checkpoints.Tensor
		want, hint string
	}{
		{"a bias", more(up + ".bias"), "tensor " + up + ".bias, for which config.json (llama, 2 layers) has no place", "biases there"},
		{"an expert", renamed(up+".weight", "model.layers.1.mlp.experts.0.up_proj.weight"),
			"no tensor " + up + ".weight, which config.json (llama, 2 layers) calls for, but model.layers.1.mlp.experts.0.", noExperts},
		{"a quantised matrix", renamed(up+".weight", up+".qweight"), "but " + up + ".qweight", noQuantised},
		{"an adapter", more("base_model.model." + up + ".lora_A.weight"), "lora_A.weight, for which", noAdapters},
		{"an encoder of images", more("visual.patch_embed.weight"), "visual.patch_embed.weight, for which", noImages},
		{"a head that rates", more("score.weight"), "score.weight, for which", noHeads},
		{"anything", more("model.norm2.weight"), "model.norm2.weight, for which", "not implemented for this model_type"},
		{"a layer more", more("model.layers.2.mlp.up_proj.weight"),
			"tensor model.layers.2.mlp.up_proj.weight, for which config.json (llama, 2 layers) has no place",
			"more layers than config.json says (num_hidden_layers: 2)"},
		{"nothing but a matrix that is missing", func(all []checkpoints.Tensor) []checkpoints.Tensor {
			return slices.DeleteFunc(all, func(x checkpoints.Tensor) bool { return x.Name == up+".weight" })
		}, "no tensor " + up + ".weight, which config.json (llama, 2 layers) calls for", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(withTensors(t, "llama-untied", c.change))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(fault.HintOf(err), c.hint) {
				t.Errorf("got %v\nhint: %s\nwant %q and %q", err, fault.HintOf(err), c.want, c.hint)
			}
		})
	}
}

func TestATiedModelWithAHeadOfItsOwnIsUntied(t *testing.T) {
	head := func(change func([]float32)) func([]checkpoints.Tensor) []checkpoints.Tensor {
		return func(all []checkpoints.Tensor) []checkpoints.Tensor {
			table := find(t, all, "model.embed_tokens.weight")
			data := slices.Clone(table.Data)
			change(data)
			return append(all, checkpoints.Tensor{Name: "lm_head.weight", Shape: table.Shape, Data: data})
		}
	}
	for _, c := range []struct {
		name   string
		change func([]float32)
		tied   bool
	}{
		{"the same matrix once more", func([]float32) {}, true},
		{"another matrix", func(x []float32) { x[len(x)-1] += 1 }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := withTensors(t, "llama-tied", head(c.change))
			checked, err := Check(dir)
			if err != nil || checked.Tied != c.tied || (len(checked.Warnings) == 0) != c.tied {
				t.Fatalf("tied %v, warnings %q, %v", checked.Tied, checked.Warnings, err)
			}
			m, err := Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Free()
			if m.Config.Tied != c.tied || m.Config.Parameters() != checked.Parameters() {
				t.Errorf("loaded with tied %v and %d parameters", m.Config.Tied, m.Config.Parameters())
			}
			out, w := reopened(t, m)
			_, there := w.Info("lm_head.weight")
			raw, _ := os.ReadFile(filepath.Join(out, "config.json"))
			if there == c.tied || strings.Contains(string(raw), `"tie_word_embeddings": true`) != c.tied {
				t.Errorf("saved with a head %v, config.json %s", there, raw)
			}
			if same, err := w.Same("lm_head.weight", "model.embed_tokens.weight"); same || err != nil {
				t.Errorf("the saved head is the table: %v, %v", same, err)
			}
			again, err := Load(out)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Free()
			a, _ := m.Fingerprint()
			if b, _ := again.Fingerprint(); a != b {
				t.Error("what was saved is another model")
			}
			if b, err := FingerprintWeights(out); a != b || err != nil {
				t.Errorf("its files are another model: %v", err)
			}
		})
	}
}

func TestErrorsOfAConfigNameItsOwnKeys(t *testing.T) {
	const glm = `{"model_type":"chatglm","hidden_size":32,"num_attention_heads":4,"kv_channels":8,"multi_query_group_num":2,` +
		`"ffn_hidden_size":48,"layernorm_epsilon":1e-5,`
	for _, c := range []struct{ name, json, want string }{
		{"a size that can not be", glm + `"padded_vocab_size":96,"num_layers":0}`, "num_layers is 0, want 1 to 512"},
		{"one of the wrong kind", glm + `"padded_vocab_size":"96","num_layers":2}`, "padded_vocab_size is text, want an integer"},
		{"one that is too large", glm + `"padded_vocab_size":99999999999999999999,"num_layers":2}`,
			"padded_vocab_size is 99999999999999999999, want an integer from -9223372036854775808 to 9223372036854775807"},
		{"a common key", glm + `"vocab_size":0,"num_layers":2}`, "vocab_size is 0, want 1 to"},
		{"a ratio that is too large", glm + `"padded_vocab_size":96,"num_layers":2,"rope_ratio":1e308}`,
			"rope_ratio is 1e+308, want 1 to 1e+09"},
	} {
		if _, err := ParseConfig([]byte(c.json)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

func TestAnAdapterIsNoModel(t *testing.T) {
	for name, files := range map[string][]string{
		"alone":                {"adapter_config.json"},
		"beside another model": {"adapter_config.json", "config.json"},
	} {
		dir := t.TempDir()
		for _, f := range files {
			if err := os.WriteFile(filepath.Join(dir, f), []byte("{}"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		_, err := ReadConfig(dir)
		if err == nil || !strings.Contains(err.Error(), "adapter_config.json: an adapter (PEFT), want a whole model") ||
			!strings.Contains(fault.HintOf(err), "lora.from: this folder") {
			t.Errorf("%s: %v, %s", name, err, fault.HintOf(err))
		}
	}
}

// reopened saves a model, and opens what was written.
func reopened(t *testing.T, m *Model) (dir string, w *checkpoints.Weights) {
	t.Helper()
	dir = t.TempDir()
	if err := m.Save(dir, "float32"); err != nil {
		t.Fatal(err)
	}
	w, err := checkpoints.OpenWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return dir, w
}
