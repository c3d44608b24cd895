package families

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// Family is what a model_type sets apart from the common decoder: token embeddings,
// pre-norm layers of grouped-query attention with rotary positions and of SwiGLU, a
// final norm, a head. The forward pass is written once, in package model; only
// switches, names and defaults differ.
type Family struct {
	Type   string // model_type in config.json
	Proved bool   // tests of training hold that in packs no document sees another; else no run takes it

	QKVBias     bool    // biases on query, key and value even if attention_bias says nothing
	BiasFixed   bool    // attention_bias is not looked at
	OutBias     bool    // attention_bias also puts one on the output projection
	QKNorm      bool    // RMSNorm over each query and key head before the rotation
	WideNorm    bool    // that norm is over all queries and over all keys of a token
	NormTurned  bool    // that norm is behind the rotation
	BranchNorms bool    // norms on what attention and feed-forward return, before the residual addition
	PostNorms   bool    // and none before them
	Parallel    bool    // feed-forward reads what attention does, and both are added at once
	Centred     bool    // norms subtract the mean: LayerNorm without biases
	NormOffset  float32 // what is added to the weights of norms
	Interleaved bool    // rotary pairs are neighbours, not halves
	Rotary      float64 // share of each head that is turned
	Partial     bool    // unless partial_rotary_factor says

	Gated     bool   // each query head has a gate behind it, for what it attends to
	Recurrent string // the kind of layers that are no attention; "": there are none

	Windowed func(p Pattern, i int) bool // layers with a window where layer_types does not say; nil: it can not
	Uniform  bool                        // layer_types is not looked at
	Unturned func(p Pattern, i int) bool // layers whose queries and keys have no positions; nil: none
	Act      string                      // the gate's activation, unless hidden_act says; "": silu
	Scales   func(k ScaleKeys, d Dims, s *Scales)

	Alpha      bool    // a scaling of the type dynamic with alpha stretches the base: theta alpha^(d/(d-2))
	Theta      float64 // the base of rotary frequencies, unless rope_theta says; 0: 10,000
	LocalTheta float64 // that of layers with a window, which have frequencies of their own; 0: they have not

	// Defaults are the keys that config.json may lack, as the family's own class has them.
	Defaults map[string]string

	Alone   string   // what transformers computes in another way where the model is part of a package; "": nothing
	Carried []string // prefixes of tensors of parts that are not implemented, which are carried along

	Twin      string // the family of transformers' own classes that computes the same under other names; "": this one
	Names     *Names // in Hugging Face's files
	GGUF      *GGUF
	Shapes    map[string]string
	Keys      [][2]string                                   // of its config.json, where they are not the common ones, and these
	Translate func(file map[string]json.RawMessage) error   // says what else in it differs in common keys; nil: nothing
	Warning   func(ropeTheta float64, maxTokens int) string // what looks wrong in its config.json; nil: nothing can
}

// OffsetOf is what is added to a parameter's values where they are used.
func (f *Family) OffsetOf(p Parameter) float32 {
	switch p.Role {
	case AttnNorm, QKNorm, AttnAfterNorm, FFNNorm, FFNAfterNorm, Norm:
		return f.NormOffset
	}
	return 0
}

// NormEps is the key of what norms add to what they divide by.
func (f *Family) NormEps() Key {
	k := Key{"rms_norm_eps", "attention.layer_norm_rms_epsilon"}
	for _, key := range f.Keys {
		if key[1] == k.Config {
			k.Config = key[0]
		}
	}
	if f.Centred {
		k.GGUF = "attention.layer_norm_epsilon"
	}
	return k
}

// Attend says how each of so many layers attends.
func (f *Family) Attend(p Pattern, layers int) ([]Attention, error) {
	if p.Types != nil && len(p.Types) != layers {
		return nil, fmt.Errorf("layer_types has %d kinds, want one for each of %d layers", len(p.Types), layers)
	}
	if p.Turned != nil && len(p.Turned) < layers && f.Unturned != nil {
		return nil, fmt.Errorf("no_rope_layers is %d numbers, want one for each of %d layers", len(p.Turned), layers)
	}
	out := make([]Attention, layers)
	for i := range out {
		a := Attention{Turned: f.Unturned == nil || !f.Unturned(p, i)}
		windowed := f.Windowed != nil && f.Windowed(p, i)
		if p.Types != nil && !f.Uniform {
			windowed = p.Types[i] == SlidingAttention
		}
		if windowed {
			if p.Window == nil || *p.Window < 1 {
				return nil, fmt.Errorf("layer %d attends in a window, and sliding_window is %s, want at least 1", i, number(p.Window))
			}
			a.Window, a.Local = *p.Window, f.LocalTheta > 0
		}
		out[i] = a
	}
	return out, nil
}

// Kinds names the kinds of layers that the family has, for an error.
func (f *Family) Kinds() string {
	kinds := FullAttention
	if f.Windowed != nil {
		kinds += " or " + SlidingAttention
	}
	if f.Recurrent != "" {
		kinds += " or " + f.Recurrent
	}
	return kinds
}

// Strange is the first kind of layer that the family has no forward pass for, or "".
func (f *Family) Strange(p Pattern) string {
	i := slices.IndexFunc(p.Types, func(kind string) bool {
		if kind != "" && kind == f.Recurrent {
			return false
		}
		return kind != FullAttention && kind != "attention" && (kind != SlidingAttention || f.Windowed == nil)
	})
	if i < 0 {
		return ""
	}
	return p.Types[i]
}

// Scale gives the scales of a decoder of the family.
func (f *Family) Scale(k ScaleKeys, d Dims) (Scales, error) {
	s := Scales{1, 1 / math.Sqrt(float64(d.HeadDim)), 1, 1}
	if f.Scales != nil {
		f.Scales(k, d, &s)
	}
	const most = 1e9
	for _, v := range []float64{s.Embedding, s.Attention, s.Residual, s.Logits} {
		if a := math.Abs(v); !(a <= most && a >= 1/most) {
			return s, fmt.Errorf("the multipliers are %+v, want numbers of a usual size", s)
		}
	}
	return s, nil
}

// classSizes are hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, vocab_size and
// max_position_embeddings of the families' classes.
var classSizes = map[string][6]int{
	"llama":            {4096, 11008, 32, 32, 32000, 2048},
	"qwen2":            {4096, 22016, 32, 32, 151936, 32768},
	"qwen3":            {4096, 22016, 32, 32, 151936, 32768},
	"glm":              {4096, 13696, 40, 32, 151552, 131072},
	"glm4":             {4096, 13696, 40, 32, 151552, 131072},
	"mistral":          {4096, 14336, 32, 32, 32000, 131072},
	"ministral":        {4096, 14336, 32, 32, 32000, 131072},
	"smollm3":          {2048, 11008, 36, 16, 128256, 32768},
	"olmo2":            {4096, 11008, 32, 32, 50304, 2048},
	"olmo3":            {4096, 11008, 32, 32, 50304, 2048},
	"ministral3":       {4096, 14336, 34, 32, 131072, 262144},
	"gemma3_text":      {2304, 9216, 26, 8, 262208, 131072},
	"phi3":             {3072, 8192, 32, 32, 32064, 4096},
	"qwen3_5_text":     {4096, 12288, 32, 16, 248320, 32768},
	"lfm2":             {2560, 12288, 32, 32, 65536, 128000},
	"exaone4":          {4096, 16384, 32, 32, 102400, 2048},
	"hunyuan_v1_dense": {4096, 11008, 32, 32, 290943, 2048},
}

// Sizes are those of the family's class by their keys: text_config of a package is written without what equals them.
func (f *Family) Sizes() map[string]int {
	keys := [...]string{
		"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "max_position_embeddings",
	}
	out := map[string]int{}
	for i, size := range classSizes[f.Type] {
		out[keys[i]] = size
	}
	return out
}
