package convert

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"

	"lwtrain/model/families"
)

// config is config.json. It names no padding token: transformers would then
// leave that token's embedding out of training, and here it is often the one
// that ends a turn.
func (a *architecture) config(tok *bpeTokenizer) any {
	c := object{
		"attention_dropout":          jsonFloat(0),
		families.HiddenKey.Config:    a.Hidden,
		"initializer_range":          0.02,
		families.FFNKey.Config:       a.FFN,
		families.MaxTokensKey.Config: a.context,
		"model_type":                 a.family.Type,
		families.HeadsKey.Config:     a.Heads,
		families.LayersKey.Config:    a.Layers,
		families.KVHeadsKey.Config:   a.KVHeads,
		a.family.NormEps().Config:    jsonFloat(a.normEps),
		"rope_scaling":               ropeScaling(a.rope.Scaling),
		families.RopeThetaKey.Config: jsonFloat(a.rope.Theta),
		"tie_word_embeddings":        a.Tied,
		"torch_dtype":                "float32",
		"use_cache":                  true,
		"vocab_size":                 a.Vocab,
	}
	if a.family.GGUF.SaysHeadDim {
		c[families.HeadDimKey.Config] = a.HeadDim
	}
	if !a.family.BiasFixed {
		c["attention_bias"] = a.QKVBias
	}
	if a.family.Partial {
		c["partial_rotary_factor"] = jsonFloat(float64(a.rope.Dim) / float64(a.HeadDim))
	}
	maps.Copy(c, a.family.GGUF.Config)
	maps.Copy(c, a.more)
	if a.family.Act == "" {
		c["hidden_act"] = "silu"
	}
	tok.addIDs(c)
	return c
}

// ropeScaling is rope_scaling in config.json.
func ropeScaling(s *families.RopeScaling) any {
	switch {
	case s == nil:
		return nil
	case s.Type == "linear":
		return object{"factor": jsonFloat(s.Factor), "rope_type": s.Type}
	case s.Type == "yarn":
		return object{"rope_type": s.Type, "factor": jsonFloat(s.Factor), "original_max_position_embeddings": int(s.OriginalMax),
			"beta_fast": jsonFloat(s.BetaFast), "beta_slow": jsonFloat(s.BetaSlow), "attention_factor": jsonFloat(*s.AttentionFactor),
			"llama_4_scaling_beta": jsonFloat(s.QueryBeta)}
	case s.Type == "longrope":
		out := object{"rope_type": s.Type, "short_factor": jsonFloats(s.ShortFactor), "long_factor": jsonFloats(s.LongFactor)}
		if s.AttentionFactor != nil {
			out["attention_factor"] = jsonFloat(*s.AttentionFactor)
		}
		return out
	}
	return object{
		"factor": jsonFloat(s.Factor), "high_freq_factor": jsonFloat(s.HighFreqFactor), "low_freq_factor": jsonFloat(s.LowFreqFactor),
		"original_max_position_embeddings": int(s.OriginalMax), "rope_type": s.Type,
	}
}

func jsonFloats(of []float64) (out []json.Number) {
	for _, f := range of {
		out = append(out, jsonFloat(f))
	}
	return out
}

// jsonFloat writes a float32 in the shortest form that gives it back, 1e-05
// and not 9.999999747378752e-06, and so that other readers see a float: 8.0.
func jsonFloat(f float64) json.Number {
	if f != 0 && (f < 1e-4 || f >= 1e16) {
		return json.Number(strconv.FormatFloat(f, 'e', -1, 32))
	}
	s := strconv.FormatFloat(f, 'f', -1, 32)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return json.Number(s)
}
