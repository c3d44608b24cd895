package families

// qwen3 is Qwen 3 without experts.
var qwen3 = Family{
	Type: "qwen3", Proved: true, OutBias: true, QKNorm: true, Rotary: 1, Windowed: qwenWindows, Names: &common,
	Defaults: map[string]string{"head_dim": "128", "num_key_value_heads": "32", "sliding_window": "4096", "max_window_layers": "28"},
	GGUF: &GGUF{
		Architecture: "qwen3", Names: &ggufNames, SaysHeadDim: true, Unbiased: true,
		Config: map[string]any{"architectures": []string{"Qwen3ForCausalLM"}, "use_sliding_window": false},
	},
	Shapes: map[string]string{
		"qwen3-0.6b": `"hidden_size":1024,"num_hidden_layers":28,"num_attention_heads":16,"num_key_value_heads":8,"head_dim":128,
			"intermediate_size":3072,"vocab_size":151936,"rms_norm_eps":1e-6,"rope_theta":1000000,"max_position_embeddings":40960,
			"tie_word_embeddings":true`,
		"qwen3-1.7b": `"hidden_size":2048,"num_hidden_layers":28,"num_attention_heads":16,"num_key_value_heads":8,"head_dim":128,
			"intermediate_size":6144,"vocab_size":151936,"rms_norm_eps":1e-6,"rope_theta":1000000,"max_position_embeddings":40960,
			"tie_word_embeddings":true`,
		"qwen3-4b": `"hidden_size":2560,"num_hidden_layers":36,"num_attention_heads":32,"num_key_value_heads":8,"head_dim":128,
			"intermediate_size":9728,"vocab_size":151936,"rms_norm_eps":1e-6,"rope_theta":1000000,"max_position_embeddings":40960,
			"tie_word_embeddings":true`,
		"qwen3-8b": `"hidden_size":4096,"num_hidden_layers":36,"num_attention_heads":32,"num_key_value_heads":8,"head_dim":128,
			"intermediate_size":12288,"vocab_size":151936,"rms_norm_eps":1e-6,"rope_theta":1000000,"max_position_embeddings":40960`,
	},
}
