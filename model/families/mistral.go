package families

import (
	"encoding/json"
	"fmt"
)

// mistral is Mistral 7B, Nemo and Small: Llama's form, with a window on all layers in the
// first of them. With layer_types it is Ministral 8B, which transformers takes such a file for.
var mistral = Family{
	Type: "mistral", Proved: true, BiasFixed: true, Rotary: 1, Names: &common,
	Windowed: func(p Pattern, _ int) bool { return p.Window != nil },
	Defaults: map[string]string{"num_key_value_heads": "8", "sliding_window": "4096"},
	GGUF: &GGUF{
		Architecture: "llama", Names: &ggufNames, Interleaved: true, SaysHeadDim: true, FactorsOfRope: true,
		Config: map[string]any{"architectures": []string{"MistralForCausalLM"}, "sliding_window": nil},
	},
	Shapes: map[string]string{
		"mistral-7b-v0.3": `"hidden_size":4096,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,
			"intermediate_size":14336,"vocab_size":32768,"rms_norm_eps":1e-5,"rope_theta":1000000,"max_position_embeddings":32768,
			"sliding_window":null`,
		"mistral-nemo-12b": `"hidden_size":5120,"num_hidden_layers":40,"num_attention_heads":32,"num_key_value_heads":8,"head_dim":128,
			"intermediate_size":14336,"vocab_size":131072,"rms_norm_eps":1e-5,"rope_theta":1000000,"max_position_embeddings":131072,
			"sliding_window":null`,
	},
}

// ministral is Ministral 8B as transformers 5 has it: Mistral's form, with windows in the layers that layer_types says.
var ministral = Family{
	Type: "ministral", Proved: true, BiasFixed: true, Rotary: 1, Names: &common,
	Windowed: func(p Pattern, _ int) bool { return p.Window != nil },
	Defaults: map[string]string{"num_key_value_heads": "8", "sliding_window": "4096", "max_position_embeddings": "131072"},
	GGUF:     mistral.GGUF, // what is read from such a file is in mistral's form
}

// ministral3 is Ministral 3: Mistral's form with yarn, and queries that grow with their positions.
var ministral3 = Family{
	Type: "ministral3", Proved: true, BiasFixed: true, Rotary: 1, Names: &common, Uniform: true,
	Windowed: func(p Pattern, _ int) bool { return p.Window != nil },
	Defaults: map[string]string{
		"num_key_value_heads": "8", "head_dim": "128", "rms_norm_eps": "1e-5", "max_position_embeddings": "262144",
	},
	Translate: translateMinistral,
	GGUF: &GGUF{
		Architecture: "mistral3", Names: &ggufNames, Interleaved: true, SaysHeadDim: true, Yarn: true, YarnKeys: true,
		Config: map[string]any{"architectures": []string{"Ministral3ForCausalLM"}, "sliding_window": nil},
	},
	Shapes: map[string]string{
		"ministral-3-3b": `"hidden_size":3072,"num_hidden_layers":26,"num_attention_heads":32,"num_key_value_heads":8,"head_dim":128,
			"intermediate_size":9216,"vocab_size":131072,"rms_norm_eps":1e-5,"tie_word_embeddings":true`,
		"ministral-3-8b": `"hidden_size":4096,"num_hidden_layers":34,"num_attention_heads":32,"num_key_value_heads":8,"head_dim":128,
			"intermediate_size":14336,"vocab_size":131072,"rms_norm_eps":1e-5`,
	},
}

// translateMinistral says how positions are stretched where the file does not.
func translateMinistral(file map[string]json.RawMessage) error {
	says := func(key string) bool { return len(file[key]) > 0 && string(file[key]) != "null" }
	if !says("rope_parameters") && (!says("rope_scaling") || string(file["rope_scaling"]) == "{}") {
		if says("rope_theta") {
			return fmt.Errorf("rope_theta is %.40s, and rope_parameters is not there, want both: without, transformers takes yarn with 1e6",
				file["rope_theta"])
		}
		file["rope_parameters"] = json.RawMessage(`{"rope_type":"yarn","rope_theta":1000000,"factor":16,
			"original_max_position_embeddings":16384,
			"beta_fast":32,"beta_slow":1,"mscale":1,"mscale_all_dim":1,"llama_4_scaling_beta":0.1}`)
		delete(file, "rope_scaling")
	}
	return nil
}
