package families

import (
	"encoding/json"
	"strings"
)

// phi3 is Phi-3 and Phi-4-mini: query, key and value as one tensor, and gate and up; a part of each head is turned, by
// frequencies of their own in long texts.
var phi3 = Family{
	Type: "phi3", Proved: true, BiasFixed: true, Rotary: 1, Partial: true, Uniform: true,
	Names:     renamed(*renamed(common, QKV, "self_attn.qkv_proj"), GateUp, "mlp.gate_up_proj"),
	Windowed:  func(p Pattern, _ int) bool { return p.Window != nil },
	Defaults:  map[string]string{"rms_norm_eps": "1e-5", "max_position_embeddings": "4096", "original_max_position_embeddings": "4096"},
	Translate: translatePhi,
	GGUF: &GGUF{
		Architecture: "phi3", Names: renamed(*renamed(ggufNames, QKV, "attn_qkv"), GateUp, "ffn_up"), Square: true, LongFactors: true,
		Config: map[string]any{"architectures": []string{"Phi3ForCausalLM"}, "sliding_window": nil},
	},
	Shapes: map[string]string{
		"phi-4-mini": `"hidden_size":3072,"num_hidden_layers":32,"num_attention_heads":24,"num_key_value_heads":8,
			"intermediate_size":8192,"vocab_size":200064,"rms_norm_eps":1e-5,"partial_rotary_factor":0.75,"tie_word_embeddings":true,
			"max_position_embeddings":131072,"sliding_window":262144,"rope_scaling":{"type":"longrope",
			"short_factor":[` + ones48 + `],"long_factor":[` + ones48 + `]}`,
	},
}

// ones48 stand for Phi-4-mini's factors, which change no size.
var ones48 = strings.TrimSuffix(strings.Repeat("1,", 48), ",")

// translatePhi gives the older names of longrope its own.
func translatePhi(file map[string]json.RawMessage) error {
	for _, key := range []string{"rope_scaling", "rope_parameters"} {
		var scaling map[string]json.RawMessage
		if json.Unmarshal(file[key], &scaling) != nil { // what is wrong with it is said where it is read
			continue
		}
		for _, name := range []string{"type", "rope_type"} {
			if kind := string(scaling[name]); kind == `"su"` || kind == `"yarn"` {
				scaling[name] = json.RawMessage(`"longrope"`)
				file[key], _ = json.Marshal(scaling)
			}
		}
	}
	return nil
}
