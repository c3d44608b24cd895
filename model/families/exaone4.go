package families

import (
	"encoding/json"
	"fmt"
)

// exaone4 is EXAONE 4: norms behind attention and feed-forward alone, norms of heads, and, where there are windows, no
// positions in the layers without one.
var exaone4 = Family{
	Type: "exaone4", Proved: true, BiasFixed: true, QKNorm: true, BranchNorms: true, PostNorms: true, Rotary: 1, Names: olmoNames,
	Windowed: exaoneWindows,
	Unturned: func(p Pattern, i int) bool { return p.Window != nil && !exaoneWindows(p, i) },
	Defaults: map[string]string{
		"num_key_value_heads": "32", "rms_norm_eps": "1e-5", "sliding_window": "4096", "sliding_window_pattern": "4",
	},
	Translate: translateExaone,
	GGUF: &GGUF{
		Architecture: "exaone4", Names: &ggufNames, SaysHeadDim: true, Window: true, WindowLayers: 64, Square: true,
		FactorsOfRope: true,
		Pattern:       Pattern{Every: 4},
		Config:        map[string]any{"architectures": []string{"Exaone4ForCausalLM"}},
	},
	Shapes: map[string]string{
		"exaone-4.0-1.2b": `"hidden_size":2048,"num_hidden_layers":30,"num_attention_heads":32,"num_key_value_heads":8,"head_dim":64,
			"intermediate_size":4096,"vocab_size":102400,"rms_norm_eps":1e-5,"rope_theta":1000000,"max_position_embeddings":65536,
			"tie_word_embeddings":true,"sliding_window":null,"rope_scaling":{"rope_type":"llama3","factor":16,"low_freq_factor":1,
				"high_freq_factor":4,"original_max_position_embeddings":8192}`,
	},
}

func exaoneWindows(p Pattern, i int) bool {
	if p.Types != nil {
		return p.Types[i] == SlidingAttention
	}
	return p.Window != nil && p.Every > 0 && (i+1)%p.Every != 0
}

// translateExaone says as a number what the older files say as text: LLLG are four layers, the last of them without a window.
func translateExaone(file map[string]json.RawMessage) error {
	var kinds string
	if json.Unmarshal(file["sliding_window_pattern"], &kinds) != nil || kinds == "" {
		return nil
	}
	for i, c := range kinds {
		if (c == 'G') != (i == len(kinds)-1) {
			return fmt.Errorf("sliding_window_pattern is %.40q, want a number, or L for layers with a window and G for the last one", kinds)
		}
	}
	file["sliding_window_pattern"], _ = json.Marshal(len(kinds))
	return nil
}
