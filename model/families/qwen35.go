package families

import (
	"encoding/json"
	"fmt"
)

// qwen35 is the text model of Qwen 3.5: of four layers three are of the gated delta rule, and one is attention with gates. It
// is published in packages, with layers that predict further tokens (mtp), which are carried along.
var qwen35 = Family{
	Type: "qwen3_5_text", Proved: true, OutBias: true, QKNorm: true, NormOffset: 1, Gated: true, Rotary: 0.25, Partial: true,
	Recurrent: LinearAttention, Carried: []string{"mtp."},
	Defaults: map[string]string{
		"num_key_value_heads": "4", "head_dim": "256", "linear_conv_kernel_dim": "4", "linear_key_head_dim": "128",
		"linear_value_head_dim": "128", "linear_num_key_heads": "16", "linear_num_value_heads": "32", "max_position_embeddings": "32768",
	},
	Translate: func(file map[string]json.RawMessage) error {
		every, err := wholeKey(file, "full_attention_interval", 4)
		if err == nil && every < 1 {
			err = fmt.Errorf("full_attention_interval is %d, want at least 1", every)
		}
		if err != nil {
			return err
		}
		return typesFrom(file, func(layer int) string {
			if (layer+1)%every == 0 {
				return FullAttention
			}
			return LinearAttention
		})
	},
	Names: also(common, map[Role][]string{
		In:         {"linear_attn.in_proj_qkv"},
		Gates:      {"linear_attn.in_proj_z", "linear_attn.in_proj_b", "linear_attn.in_proj_a"},
		Taps:       {"linear_attn.conv1d"},
		ALog:       {"linear_attn.A_log"},
		DtBias:     {"linear_attn.dt_bias"},
		ReadWeight: {"linear_attn.norm"},
		LinearOut:  {"linear_attn.out_proj"},
	}),
	GGUF: &GGUF{
		Architecture: "qwen35", Names: qwen35Names, SaysHeadDim: true, Unbiased: true,
		Config: map[string]any{"architectures": []string{"Qwen3_5ForCausalLM"}},
	},
	Shapes: map[string]string{
		"qwen3.5-0.8b": `"hidden_size":1024,"num_hidden_layers":24,"num_attention_heads":8,"num_key_value_heads":2,
			"intermediate_size":3584,"vocab_size":248320,"linear_num_value_heads":16,"tie_word_embeddings":true,
			"rope_parameters":{"rope_type":"default","rope_theta":10000000,"partial_rotary_factor":0.25}`,
		"qwen3.5-4b": `"hidden_size":2560,"num_hidden_layers":32,"num_attention_heads":16,"num_key_value_heads":4,
			"intermediate_size":9216,"vocab_size":248320,"tie_word_embeddings":true,
			"rope_parameters":{"rope_type":"default","rope_theta":10000000,"partial_rotary_factor":0.25}`,
	},
}
