package families

// qwen2 is Qwen 2 and 2.5. Its loader does not look at attention_bias.
var qwen2 = Family{
	Type: "qwen2", Proved: true, QKVBias: true, BiasFixed: true, Rotary: 1, Windowed: qwenWindows, Names: &common,
	Defaults: map[string]string{"num_key_value_heads": "32", "sliding_window": "4096", "max_window_layers": "28"},
	GGUF: &GGUF{
		Architecture: "qwen2", Names: &ggufNames, Square: true,
		Config: map[string]any{"architectures": []string{"Qwen2ForCausalLM"}, "use_sliding_window": false},
	},
	Shapes: map[string]string{
		"qwen2.5-0.5b": `"hidden_size":896,"num_hidden_layers":24,"num_attention_heads":14,"num_key_value_heads":2,
			"intermediate_size":4864,"vocab_size":151936,"rms_norm_eps":1e-6,"rope_theta":1000000,"max_position_embeddings":32768,
			"tie_word_embeddings":true`,
	},
}

// qwenWindows: the layers from max_window_layers on have a window, if it is used.
func qwenWindows(p Pattern, i int) bool { return p.UseWindow && p.Window != nil && i >= p.FullLayers }
