package families

import "math"

// gemma3 is the text model of Gemma 3: norms before and behind attention and feed-forward, whose weights are as far from 1,
// and windows with frequencies of their own.
var gemma3 = Family{
	Type: "gemma3_text", Proved: true, OutBias: true, QKNorm: true, BranchNorms: true, NormOffset: 1, Rotary: 1, Act: "gelu_pytorch_tanh",
	Theta: 1e6, LocalTheta: 1e4,
	Windowed: func(p Pattern, i int) bool { return p.Every > 0 && (i+1)%p.Every != 0 },
	Keys:     [][2]string{{"hidden_activation", "hidden_act"}},
	Defaults: map[string]string{
		"num_key_value_heads": "4", "head_dim": "256", "tie_word_embeddings": "true", "sliding_window": "4096",
		"sliding_window_pattern": "6", "query_pre_attn_scalar": "256", "max_position_embeddings": "131072",
		"hidden_activation": `"gelu_pytorch_tanh"`, // hidden_act is not looked at
	},
	Scales: func(k ScaleKeys, d Dims, s *Scales) {
		s.Embedding = math.Sqrt(float64(d.Hidden))
		if k.Query != nil {
			s.Attention = 1 / math.Sqrt(*k.Query)
		}
	},
	Names: renamed(*renamed(*renamed(common, AttnAfterNorm, "post_attention_layernorm"), FFNNorm, "pre_feedforward_layernorm"),
		FFNAfterNorm, "post_feedforward_layernorm"),
	GGUF: &GGUF{
		Architecture: "gemma3", Names: &ggufNames, SaysHeadDim: true, Unbiased: true, Window: true, LocalTheta: 1e4,
		Pattern: Pattern{Every: 6}, QueryScalar: true,
		Config: map[string]any{"architectures": []string{"Gemma3ForCausalLM"}, "hidden_activation": "gelu_pytorch_tanh"},
	},
	Shapes: map[string]string{
		"gemma-3-270m": `"hidden_size":640,"num_hidden_layers":18,"num_attention_heads":4,"num_key_value_heads":1,"head_dim":256,
			"intermediate_size":2048,"vocab_size":262144,"rms_norm_eps":1e-6,"max_position_embeddings":32768,"sliding_window":512`,
		"gemma-3-1b": `"hidden_size":1152,"num_hidden_layers":26,"num_attention_heads":4,"num_key_value_heads":1,"head_dim":256,
			"intermediate_size":6912,"vocab_size":262144,"rms_norm_eps":1e-6,"max_position_embeddings":32768,"sliding_window":512`,
	},
}
