package families

import (
	"encoding/json"
	"fmt"
)

// chatGLM is GLM-4-9B as published, with code of its own; ChatGLM2 and 3 are the
// same.
var chatGLM = Family{
	Type: "chatglm", Proved: true, Interleaved: true, Rotary: 0.5, Partial: true, Translate: translateChatGLM, Twin: "glm",
	Keys: [][2]string{
		{"num_layers", "num_hidden_layers"}, {"padded_vocab_size", "vocab_size"}, {"ffn_hidden_size", "intermediate_size"},
		{"kv_channels", "head_dim"}, {"multi_query_group_num", "num_key_value_heads"}, {"seq_length", "max_position_embeddings"},
		{"layernorm_epsilon", "rms_norm_eps"}, {"add_qkv_bias", "attention_bias"},
	},
	Names: &Names{
		Layer: "transformer.encoder.layers.%d.",
		Of: map[Role][]string{
			Embed:    {"transformer.embedding.word_embeddings"},
			AttnNorm: {"input_layernorm"},
			QKV:      {"self_attention.query_key_value"},
			Out:      {"self_attention.dense"},
			FFNNorm:  {"post_attention_layernorm"},
			GateUp:   {"mlp.dense_h_to_4h"},
			Down:     {"mlp.dense_4h_to_h"},
			Norm:     {"transformer.encoder.final_layernorm"},
			Head:     {"transformer.output_layer"},
		},
		InverseFrequencies: "transformer.rotary_pos_emb.inv_freq",
	},
	GGUF: glm.GGUF, // what is read from such a file is in glm's form
	Shapes: map[string]string{
		"glm-4-9b": `"hidden_size":4096,"num_layers":40,"num_attention_heads":32,"multi_query_group_num":2,"kv_channels":128,
			"ffn_hidden_size":13696,"padded_vocab_size":151552,"layernorm_epsilon":1.5625e-7,"add_qkv_bias":true,
			"rope_ratio":1,"seq_length":8192`,
	},
}

// translateChatGLM gives what a chatglm config.json says of positions its common name.
// What the code of that form does differently under another setting is refused.
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
	ratio := 1.0
	if raw, ok := file["rope_ratio"]; ok {
		if json.Unmarshal(raw, &ratio) != nil {
			return fmt.Errorf("rope_ratio is %.40s, want a number", raw)
		}
	}
	const most = 1e9
	if ratio < 1 || ratio > most {
		return fmt.Errorf("rope_ratio is %g, want 1 to %g", ratio, most)
	}
	file["rope_theta"], _ = json.Marshal(10000 * ratio)
	return nil
}
