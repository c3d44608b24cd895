package families

import (
	"encoding/json"
	"errors"
	"maps"
)

// cohere is Command R and Aya Expanse: attention and feed-forward side by side behind one LayerNorm, and a scale of logits.
var cohere = Family{
	Type: "cohere", Proved: true, OutBias: true, Interleaved: true, Rotary: 1, Parallel: true, Centred: true, Names: &common,
	Alone: cohereAlone, Theta: 5e5, Keys: cohereKeys, Scales: cohereScales, Defaults: cohereDefaults,
	Translate: func(file map[string]json.RawMessage) error {
		if string(file["use_qk_norm"]) == "true" {
			return errors.New("use_qk_norm is true, want false: norms of heads that subtract the mean are not implemented")
		}
		return nil
	},
	GGUF: &GGUF{
		Architecture: "command-r", Names: &ggufNames, SaysHeadDim: true, Unbiased: true, Tied: true, Square: true, Scales: cohereGGUF,
		Config: map[string]any{"architectures": []string{"CohereForCausalLM"}},
	},
	Shapes: map[string]string{
		"aya-expanse-8b": `"hidden_size":4096,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,
			"intermediate_size":14336,"vocab_size":256000,"rope_theta":10000,"max_position_embeddings":8192,"logit_scale":0.125`,
	},
}

// cohere2 is Command R7B: cohere with windows, and positions in the layers that have one alone.
var cohere2 = Family{
	Type: "cohere2", Proved: true, OutBias: true, Interleaved: true, Rotary: 1, Parallel: true, Centred: true, Names: &common,
	Alone:    cohereAlone,
	Windowed: cohereWindows,
	Unturned: func(p Pattern, i int) bool { return !cohereWindows(p, i) },
	Keys:     cohereKeys, Scales: cohereScales,
	Defaults: with(cohereDefaults, map[string]string{"sliding_window": "4096", "sliding_window_pattern": "4"}),
	GGUF: &GGUF{
		Architecture: "cohere2", Names: &ggufNames, SaysHeadDim: true, Unbiased: true, Window: true, Tied: true,
		Square: true, Scales: cohereGGUF,
		Pattern: Pattern{Every: 4},
		Config:  map[string]any{"architectures": []string{"Cohere2ForCausalLM"}},
	},
	Shapes: map[string]string{
		"command-r7b": `"hidden_size":4096,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,"head_dim":128,
			"intermediate_size":14336,"vocab_size":256000,"rope_theta":50000,"max_position_embeddings":132096,"logit_scale":0.25,
			"sliding_window":4096,"sliding_window_pattern":4`,
	},
}

// cohereAlone: the classes of packages multiply logits by nothing.
const cohereAlone = "logit_scale is left out"

var (
	cohereKeys     = [][2]string{{"layer_norm_eps", "rms_norm_eps"}}
	cohereDefaults = map[string]string{
		"layer_norm_eps": "1e-5", "logit_scale": "0.0625", "tie_word_embeddings": "true", "max_position_embeddings": "8192",
	}
	cohereGGUF = []ScaleKey{{Key{"logit_scale", "logit_scale"}, func(s Scales) float64 { return s.Logits }}}
)

func cohereScales(k ScaleKeys, _ Dims, s *Scales) { say(&s.Logits, k.Logit) }

func cohereWindows(p Pattern, i int) bool {
	if p.Types != nil {
		return p.Types[i] == SlidingAttention
	}
	return p.Every > 0 && (i+1)%p.Every != 0
}

// with are keys and more of them.
func with(keys, more map[string]string) map[string]string {
	keys = maps.Clone(keys)
	maps.Copy(keys, more)
	return keys
}
