package families

import (
	"encoding/json"
	"fmt"
)

// smollm3 is SmolLM3: Llama's form, with no positions in one layer of four.
var smollm3 = Family{
	Type: "smollm3", Proved: true, OutBias: true, Rotary: 1, Theta: 2e6, Names: &common,
	Unturned: smollm3Unturned,
	Windowed: func(p Pattern, i int) bool { return p.UseWindow && p.Window != nil && smollm3Unturned(p, i) },
	Defaults: map[string]string{"num_key_value_heads": "4", "tie_word_embeddings": "true", "no_rope_layer_interval": "4"},
	Translate: func(file map[string]json.RawMessage) error {
		says := func(key string) bool { return len(file[key]) > 0 && string(file[key]) != "null" }
		if each := string(file["no_rope_layer_interval"]); !says("no_rope_layers") && (each == "0" || each == "null") {
			return fmt.Errorf("no_rope_layer_interval is %s and no_rope_layers is not there, want at least 1", each)
		}
		return nil
	},
	GGUF: &GGUF{
		Architecture: "smollm3", Names: &ggufNames, Interleaved: true, SaysHeadDim: true, Unbiased: true,
		Pattern: Pattern{TurnedEach: 4},
		Config:  map[string]any{"architectures": []string{"SmolLM3ForCausalLM"}, "mlp_bias": false},
	},
	Shapes: map[string]string{
		"smollm3-3b": `"hidden_size":2048,"num_hidden_layers":36,"num_attention_heads":16,"num_key_value_heads":4,
			"intermediate_size":11008,"vocab_size":128256,"rms_norm_eps":1e-6,"rope_theta":5000000,"max_position_embeddings":65536`,
	},
}

// smollm3Unturned: no_rope_layers, or else one in so many, the last of them.
func smollm3Unturned(p Pattern, i int) bool {
	if p.Turned != nil {
		return p.Turned[i] == 0
	}
	return p.TurnedEach > 0 && (i+1)%p.TurnedEach == 0
}
