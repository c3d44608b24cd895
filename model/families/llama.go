package families

// llama is Llama 2 to 3.2, and what has its form: SmolLM2 and many more.
var llama = Family{
	Type: "llama", Proved: true, OutBias: true, Rotary: 1, Names: &common,
	GGUF: &GGUF{
		Architecture: "llama", Names: &ggufNames, Interleaved: true, SaysHeadDim: true, FactorsOfRope: true,
		Config: map[string]any{"architectures": []string{"LlamaForCausalLM"}, "mlp_bias": false},
	},
	Shapes: map[string]string{
		"smollm2-135m": `"hidden_size":576,"num_hidden_layers":30,"num_attention_heads":9,"num_key_value_heads":3,
			"intermediate_size":1536,"vocab_size":49152,"rms_norm_eps":1e-5,"rope_theta":100000,"max_position_embeddings":8192,
			"tie_word_embeddings":true,"initializer_range":0.041666666666666664`,
		"smollm2-360m": `"hidden_size":960,"num_hidden_layers":32,"num_attention_heads":15,"num_key_value_heads":5,
			"intermediate_size":2560,"vocab_size":49152,"rms_norm_eps":1e-5,"rope_theta":100000,"max_position_embeddings":8192,
			"tie_word_embeddings":true,"initializer_range":0.02`,
		"llama-3.1-8b": `"hidden_size":4096,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,
			"intermediate_size":14336,"vocab_size":128256,"rms_norm_eps":1e-5,"rope_theta":500000,"max_position_embeddings":131072,
			"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,
				"original_max_position_embeddings":8192}`,
	},
}
