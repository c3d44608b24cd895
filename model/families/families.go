package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// architecture is what sets a model_type apart from the common decoder:
// token embeddings, pre-norm layers of grouped-query attention with rotary
// positions and of SwiGLU, a final norm, a head. The forward pass is written
// once ([forward]) and asks the [Config]; only names and defaults differ here.
type architecture struct {
	qkvBias     bool    // biases on query, key and value even if attention_bias says nothing
	outBias     bool    // attention_bias also puts one on the output projection
	qkNorm      bool    // RMSNorm over each query and key head before the rotation
	branchNorms bool    // norms on what attention and feed-forward return, before the residual addition
	interleaved bool    // rotary pairs are neighbours, not halves
	rotary      float64 // share of each head that is turned, unless partial_rotary_factor says
	headDim     int     // unless head_dim says; 0: hidden_size / num_attention_heads
	names       *names
	translate   func(map[string]json.RawMessage) error // turns its config.json's keys into the common ones
}

// architectures lists every model_type that [ParseConfig] accepts.
var architectures = map[string]architecture{
	"llama": {outBias: true, rotary: 1, names: &common},
	"qwen2": {qkvBias: true, rotary: 1, names: &common},
	"qwen3": {outBias: true, qkNorm: true, rotary: 1, headDim: 128, names: &common},
	"glm":   {qkvBias: true, interleaved: true, rotary: 0.5, headDim: 128, names: fusedGateUp(common)},
	"glm4":  {qkvBias: true, interleaved: true, rotary: 0.5, headDim: 128, branchNorms: true, names: fusedGateUp(common)},
	// GLM-4-9B as published, with code of its own; ChatGLM2 and 3 are the same.
	"chatglm": {interleaved: true, rotary: 0.5, names: &chatglm, translate: translateChatGLM},
}

func knownTypes() string { return strings.Join(slices.Sorted(maps.Keys(architectures)), ", ") }

// names are those of a form's tensors. Where two or three are read together
// (query, key and value; gate and up) a form has either one name for the whole
// or one for each part.
type names struct {
	embed, norm, head   string
	layer               string // with %d for the layer's number
	attnNorm, ffnNorm   string
	qkv                 []string
	qkNorm              []string // query, key
	out                 string
	gateUp              []string
	down                string
	attnAfter, ffnAfter string // branch norms
	inverseFrequencies  string // a buffer that the form's own loader looks for
}

var common = names{
	embed: "model.embed_tokens", norm: "model.norm", head: "lm_head",
	layer:    "model.layers.%d.",
	attnNorm: "input_layernorm", ffnNorm: "post_attention_layernorm",
	qkv:    []string{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
	qkNorm: []string{"self_attn.q_norm", "self_attn.k_norm"},
	out:    "self_attn.o_proj",
	gateUp: []string{"mlp.gate_proj", "mlp.up_proj"}, down: "mlp.down_proj",
	attnAfter: "post_self_attn_layernorm", ffnAfter: "post_mlp_layernorm",
}

func fusedGateUp(n names) *names {
	n.gateUp = []string{"mlp.gate_up_proj"}
	return &n
}

var chatglm = names{
	embed: "transformer.embedding.word_embeddings", norm: "transformer.encoder.final_layernorm", head: "transformer.output_layer",
	layer:    "transformer.encoder.layers.%d.",
	attnNorm: "input_layernorm", ffnNorm: "post_attention_layernorm",
	qkv: []string{"self_attention.query_key_value"}, out: "self_attention.dense",
	gateUp: []string{"mlp.dense_h_to_4h"}, down: "mlp.dense_4h_to_h",
	inverseFrequencies: "transformer.rotary_pos_emb.inv_freq",
}

// translateChatGLM gives the keys of a chatglm config.json their common names.
// What the code of that form does differently under another setting is
// refused.
func translateChatGLM(file map[string]json.RawMessage) error {
	for _, want := range []struct {
		key   string
		value bool
	}{
		{"rmsnorm", true}, {"post_layer_norm", true}, {"original_rope", true}, {"add_bias_linear", false},
		{"apply_residual_connection_post_layernorm", false}, {"multi_query_attention", true},
	} {
		if raw, ok := file[want.key]; ok && string(raw) != fmt.Sprint(want.value) {
			return fmt.Errorf("%s is %s, want %t", want.key, raw, want.value)
		}
	}
	for _, k := range [][2]string{
		{"num_layers", "num_hidden_layers"}, {"padded_vocab_size", "vocab_size"}, {"ffn_hidden_size", "intermediate_size"},
		{"kv_channels", "head_dim"}, {"multi_query_group_num", "num_key_value_heads"}, {"seq_length", "max_position_embeddings"},
		{"layernorm_epsilon", "rms_norm_eps"}, {"add_qkv_bias", "attention_bias"},
	} {
		if raw, ok := file[k[0]]; ok {
			file[k[1]] = raw
		}
	}
	ratio := 1.0
	if raw, ok := file["rope_ratio"]; ok {
		if err := json.Unmarshal(raw, &ratio); err != nil {
			return fmt.Errorf("rope_ratio: %w", err)
		}
	}
	if ratio < 1 {
		return errors.New("rope_ratio is below 1")
	}
	file["rope_theta"], _ = json.Marshal(10000 * ratio)
	return nil
}
