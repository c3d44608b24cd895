package families

import "fmt"

// glm is GLM-4-9B in transformers' own form (glm-4-9b-hf).
var glm = Family{
	Type: "glm", Proved: true, QKVBias: true, Interleaved: true, Rotary: 0.5, Partial: true, Names: renamed(common, GateUp, glmGateUp),
	Defaults: map[string]string{"head_dim": "128", "num_key_value_heads": "2", "rms_norm_eps": "1.5625e-07"},
	GGUF: &GGUF{
		Architecture: "chatglm", Names: glmNames, SaysHeadDim: true, Square: true,
		Config: map[string]any{"architectures": []string{"GlmForCausalLM"}, "pad_token_id": nil},
	},
	Warning: func(ropeTheta float64, maxTokens int) string {
		if ropeTheta != 10000 || maxTokens <= 8192 {
			return ""
		}
		return fmt.Sprintf("rope_theta is 10000 and max_position_embeddings %d: GLM-4-9B's chat models have 5000000 "+
			"(10000 times rope_ratio 500), and some conversions lost it", maxTokens)
	},
}

// glm4 is GLM-4-0414.
var glm4 = Family{
	Type: "glm4", Proved: true, QKVBias: true, Interleaved: true, Rotary: 0.5, Partial: true, BranchNorms: true,
	Defaults: map[string]string{"head_dim": "128", "num_key_value_heads": "2", "rms_norm_eps": "1.5625e-07"},
	Names:    renamed(common, GateUp, glmGateUp),
	GGUF: &GGUF{
		Architecture: "glm4", Names: glmNames, SaysHeadDim: true,
		Config: map[string]any{"architectures": []string{"Glm4ForCausalLM"}, "pad_token_id": nil},
	},
	Shapes: map[string]string{
		"glm-4-9b-0414": `"hidden_size":4096,"num_hidden_layers":40,"num_attention_heads":32,"num_key_value_heads":2,"head_dim":128,
			"intermediate_size":13696,"vocab_size":151552,"rms_norm_eps":1e-5,"rope_theta":10000,"attention_bias":true,
			"partial_rotary_factor":0.5,"max_position_embeddings":32768`,
	},
}
