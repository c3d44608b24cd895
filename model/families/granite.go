package families

import (
	"encoding/json"
	"errors"
)

// granite is Granite 3 and 4.1: Llama's form with multipliers.
var granite = Family{
	Type: "granite", Proved: true, OutBias: true, Rotary: 1, Names: &common, Scales: graniteScales, GGUF: &graniteGGUF,
	Alone: graniteAlone,
	Shapes: map[string]string{
		"granite-3.3-2b": `"hidden_size":2048,"num_hidden_layers":40,"num_attention_heads":32,"num_key_value_heads":8,
			"intermediate_size":8192,"vocab_size":49159,"rms_norm_eps":1e-5,"rope_theta":10000000,"max_position_embeddings":131072,
			"tie_word_embeddings":true,"embedding_multiplier":12,"attention_multiplier":0.015625,"residual_multiplier":0.22,
			"logits_scaling":8`,
	},
}

// graniteHybrid is Granite 4.0 where all layers attend, and none has experts or a Mamba layer.
var graniteHybrid = Family{
	Type: "granitemoehybrid", Proved: true, OutBias: true, Rotary: 1, Scales: graniteScales, Alone: graniteAlone,
	Names:    renamed(*renamed(common, Down, "shared_mlp.output_linear"), GateUp, "shared_mlp.input_linear"),
	Keys:     [][2]string{{"shared_intermediate_size", "intermediate_size"}, {"layers_block_type", "layer_types"}},
	Unturned: func(p Pattern, _ int) bool { return p.Positions == nil || *p.Positions != "rope" },
	GGUF:     &graniteGGUF,
	Defaults: map[string]string{"shared_intermediate_size": "1024", "num_local_experts": "8"},
	Translate: func(file map[string]json.RawMessage) error {
		if raw := file["layer_types"]; len(raw) == 0 || string(raw) == "null" {
			return errors.New("layer_types is not there, which means Mamba layers alone, want a list of attention for each layer")
		}
		return nil
	},
}

// graniteAlone: the classes of packages divide logits by nothing.
const graniteAlone = "logits_scaling is left out"

func graniteScales(k ScaleKeys, _ Dims, s *Scales) {
	s.Attention = 1
	say(&s.Embedding, k.Embedding)
	say(&s.Attention, k.Attention)
	say(&s.Residual, k.Residual)
	divide := 1.0
	say(&divide, k.Logits)
	s.Logits = 1 / divide
}

var turned = "rope" // position_embedding_type

var graniteGGUF = GGUF{
	Architecture: "granite", Names: &ggufNames, Interleaved: true, SaysHeadDim: true, Unbiased: true,
	Config:  map[string]any{"architectures": []string{"GraniteForCausalLM"}, "mlp_bias": false},
	Pattern: Pattern{Positions: &turned},
	Scales: []ScaleKey{
		{Key{"attention_multiplier", "attention.scale"}, func(s Scales) float64 { return s.Attention }},
		{Key{"embedding_multiplier", "embedding_scale"}, func(s Scales) float64 { return s.Embedding }},
		{Key{"residual_multiplier", "residual_scale"}, func(s Scales) float64 { return s.Residual }},
		{Key{"logits_scaling", "logit_scale"}, func(s Scales) float64 { return 1 / s.Logits }},
	},
}
