package families

import "encoding/json"

// olmo2 is OLMo 2: norms behind attention and feed-forward and none before them, and norms over all queries and all keys.
var olmo2 = Family{
	Type: "olmo2", Proved: true, OutBias: true, QKNorm: true, WideNorm: true, BranchNorms: true, PostNorms: true, Rotary: 1,
	Names:    olmoNames,
	Defaults: map[string]string{"rms_norm_eps": "1e-5"},
	GGUF: &GGUF{
		Architecture: "olmo2", Names: &ggufNames, SaysHeadDim: true, Unbiased: true, Untied: true, Square: true,
		Config: map[string]any{"architectures": []string{"Olmo2ForCausalLM"}},
	},
	Shapes: map[string]string{
		"olmo-2-1b": `"hidden_size":2048,"num_hidden_layers":16,"num_attention_heads":16,"num_key_value_heads":16,
			"intermediate_size":8192,"vocab_size":100352,"rms_norm_eps":1e-6,"rope_theta":500000,"max_position_embeddings":4096`,
		"olmo-2-7b": `"hidden_size":4096,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":32,
			"intermediate_size":11008,"vocab_size":100352,"rms_norm_eps":1e-6,"rope_theta":500000,"max_position_embeddings":4096`,
	},
}

// olmo3 is OLMo 3: OLMo 2 with a window on three layers of four, whose frequencies are never stretched.
var olmo3 = Family{
	Type: "olmo3", Proved: true, OutBias: true, QKNorm: true, WideNorm: true, BranchNorms: true, PostNorms: true, Rotary: 1,
	Names: olmoNames,
	Theta: 5e5, LocalTheta: 5e5,
	Windowed: func(_ Pattern, i int) bool { return (i+1)%4 != 0 },
	Defaults: map[string]string{"rms_norm_eps": "1e-5", "sliding_window": "4096"},
	Translate: func(file map[string]json.RawMessage) error {
		delete(file, "rope_local_base_freq") // transformers looks at it for Gemma 3 alone
		return nil
	},
	GGUF: &GGUF{
		Architecture: "olmo2", Names: &ggufNames, SaysHeadDim: true, Unbiased: true, Untied: true, Square: true,
		Window: true, LocalTheta: 5e5, OneBase: true, Yarn: true,
		Config: map[string]any{"architectures": []string{"Olmo3ForCausalLM"}},
	},
	Shapes: map[string]string{
		"olmo-3-7b": `"hidden_size":4096,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":32,
			"intermediate_size":11008,"vocab_size":100278,"rms_norm_eps":1e-6,"rope_theta":500000,"max_position_embeddings":65536,
			"sliding_window":4096,"rope_scaling":{"rope_type":"yarn","factor":8,"original_max_position_embeddings":8192,
				"attention_factor":1.2079441541679836,"beta_fast":32,"beta_slow":1}`,
	},
}

// olmoNames are those of OLMo 2, whose norms are all behind what they norm.
var olmoNames = renamed(*renamed(common, AttnAfterNorm, "post_attention_layernorm"), FFNAfterNorm, "post_feedforward_layernorm")
