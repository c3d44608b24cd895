package families

import "fmt"

// glm is GLM-4-9B in transformers' own form (glm-4-9b-hf).
var glm = Family{
	Type: "glm", Proved: true, QKVBias: true, Interleaved: true, Rotary: 0.5, Partial: true, Names: fused(common, GateUp, glmGateUp),
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
