package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// shapes are published models by name: what their config.json says.
var shapes = map[string]string{
	"smollm2-135m": `"model_type":"llama","hidden_size":576,"num_hidden_layers":30,"num_attention_heads":9,"num_key_value_heads":3,
		"intermediate_size":1536,"vocab_size":49152,"rms_norm_eps":1e-5,"rope_theta":100000,"max_position_embeddings":8192,
		"tie_word_embeddings":true,"initializer_range":0.041666666666666664`,
	"smollm2-360m": `"model_type":"llama","hidden_size":960,"num_hidden_layers":32,"num_attention_heads":15,"num_key_value_heads":5,
		"intermediate_size":2560,"vocab_size":49152,"rms_norm_eps":1e-5,"rope_theta":100000,"max_position_embeddings":8192,
		"tie_word_embeddings":true,"initializer_range":0.02`,
	"qwen2.5-0.5b": `"model_type":"qwen2","hidden_size":896,"num_hidden_layers":24,"num_attention_heads":14,"num_key_value_heads":2,
		"intermediate_size":4864,"vocab_size":151936,"rms_norm_eps":1e-6,"rope_theta":1000000,"max_position_embeddings":32768,
		"tie_word_embeddings":true`,
	"qwen3-0.6b": `"model_type":"qwen3","hidden_size":1024,"num_hidden_layers":28,"num_attention_heads":16,"num_key_value_heads":8,"head_dim":128,
		"intermediate_size":3072,"vocab_size":151936,"rms_norm_eps":1e-6,"rope_theta":1000000,"max_position_embeddings":40960,
		"tie_word_embeddings":true`,
	"qwen3-8b": `"model_type":"qwen3","hidden_size":4096,"num_hidden_layers":36,"num_attention_heads":32,"num_key_value_heads":8,"head_dim":128,
		"intermediate_size":12288,"vocab_size":151936,"rms_norm_eps":1e-6,"rope_theta":1000000,"max_position_embeddings":40960`,
	"llama-3.1-8b": `"model_type":"llama","hidden_size":4096,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,
		"intermediate_size":14336,"vocab_size":128256,"rms_norm_eps":1e-5,"rope_theta":500000,"max_position_embeddings":131072,
		"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":8192}`,
	"glm-4-9b": `"model_type":"chatglm","hidden_size":4096,"num_layers":40,"num_attention_heads":32,"multi_query_group_num":2,"kv_channels":128,
		"ffn_hidden_size":13696,"padded_vocab_size":151552,"layernorm_epsilon":1.5625e-7,"add_qkv_bias":true,"rope_ratio":1,"seq_length":8192`,
	"glm-4-9b-0414": `"model_type":"glm4","hidden_size":4096,"num_hidden_layers":40,"num_attention_heads":32,"num_key_value_heads":2,"head_dim":128,
		"intermediate_size":13696,"vocab_size":151552,"rms_norm_eps":1e-5,"rope_theta":10000,"attention_bias":true,
		"partial_rotary_factor":0.5,"max_position_embeddings":32768`,
}

// ShapeNames lists what [Shape] knows.
func ShapeNames() []string { return slices.Sorted(maps.Keys(shapes)) }

// Shape is the architecture of a published model, by name.
func Shape(name string) (Config, error) {
	s, ok := shapes[name]
	if !ok {
		return Config{}, fmt.Errorf("shape %q, want one of: %s", name, strings.Join(ShapeNames(), ", "))
	}
	return ParseConfig([]byte("{" + s + "}"))
}
