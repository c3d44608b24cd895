package families

// hunyuan is Hunyuan's dense models: Llama's form, with norms of heads behind the rotation.
var hunyuan = Family{
	Type: "hunyuan_v1_dense", Proved: true, OutBias: true, QKNorm: true, NormTurned: true, Rotary: 1, Alpha: true,
	Names:    renamed(common, QKNorm, "self_attn.query_layernorm", "self_attn.key_layernorm"),
	Defaults: map[string]string{"rms_norm_eps": "1e-5"},
	GGUF: &GGUF{
		Architecture: "hunyuan-dense", Names: &ggufNames, SaysHeadDim: true, Unbiased: true,
		Config: map[string]any{"architectures": []string{"HunYuanDenseV1ForCausalLM"}},
	},
}
