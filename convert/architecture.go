package convert

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"lwtrain/internal/fault"
	"lwtrain/internal/gguf"
	"lwtrain/model/families"
)

// architecture is an architecture as the metadata of a GGUF file give it.
type architecture struct {
	family  *families.Family
	names   *families.Names // of the file's tensors
	context int
	normEps float64
	rope    families.Rope
	next    bool   // there is a layer behind the others that predicts further tokens
	more    object // keys of config.json that the family's files have beside
	families.Dims
}

// maxLayers bounds what a file may claim; every layer needs 9 tensors anyway.
const maxLayers = gguf.MaxTensors / 9

// readArchitecture reads the sizes of the model. Those that only the tensors tell
// (the vocabulary, tied or not) come from the tensors.
func readArchitecture(g *gguf.File) (*architecture, error) {
	name, err := g.Text("general.architecture")
	if err != nil {
		return nil, err
	}
	family, ok := families.FindGGUF(name, g.Values[name+"."+families.WindowKey] != nil)
	if !ok {
		return nil, fault.Hint(fmt.Errorf("general.architecture is %.80q, want %s", name, families.Architectures()),
			"take the model's own folder with config.json and safetensors instead")
	}
	a := &architecture{family: family, names: family.GGUF.Names,
		Dims: families.Dims{QKVBias: family.QKVBias, QKNorm: family.QKNorm, WideNorm: family.WideNorm,
			BranchNorms: family.BranchNorms, PostNorms: family.PostNorms, Parallel: family.Parallel, Gated: family.Gated}}
	// The first error counts: what is read after it may follow from it.
	size := func(key string, least, fallback, most int) (v int) {
		if err == nil {
			v, err = g.Int(name+"."+key, least, fallback, most)
		}
		return v
	}
	number := func(key string, fallback float64) (v float64) {
		if err == nil {
			v, err = g.Float(name+"."+key, fallback)
		}
		return v
	}
	const most = 1 << 20
	a.Hidden = size(families.HiddenKey.GGUF, 1, 0, most)
	a.FFN = size(families.FFNKey.GGUF, 1, 0, most)
	a.Layers = size(families.LayersKey.GGUF, 1, 0, maxLayers)
	a.Heads = size(families.HeadsKey.GGUF, 1, 0, most)
	if family.Recurrent != families.Convolution { // whose layers have as many as each of them needs
		a.KVHeads = size(families.KVHeadsKey.GGUF, 1, a.Heads, most)
	}
	a.HeadDim = size(families.HeadDimKey.GGUF, 1, a.Hidden/max(1, a.Heads), most)
	a.context = size(families.MaxTokensKey.GGUF, 1, 0, math.MaxInt32)
	a.normEps = number(family.NormEps().GGUF, 0)
	valueDim := size(families.ValueDimKey, 1, a.HeadDim, most)
	a.rope = families.Rope{Theta: number(families.RopeThetaKey.GGUF, 10000), Dim: size(families.RotaryDimKey, 1, a.HeadDim, most)}
	experts := size(families.ExpertsKey, 0, 0, most)
	factor := number(families.AttentionFactorKey, 1)
	a.more = object{}
	for _, s := range family.GGUF.Scales {
		a.more[s.Config] = jsonFloat(number(s.GGUF, 1))
	}
	if family.GGUF.Window {
		if a.more["sliding_window"] = nil; g.Values[name+"."+families.WindowKey] != nil {
			a.more["sliding_window"] = size(families.WindowKey, 1, 0, math.MaxInt32)
		}
	}
	if err == nil && family.Recurrent != "" {
		if err = a.readStates(g, name); err == nil {
			a.more["layer_types"] = a.kinds()
		}
	}
	if err != nil {
		return nil, err
	}
	if err := a.checkSizes(name, valueDim, experts); err != nil {
		return nil, err
	}
	switch v := g.Values[name+"."+families.RopeScalingKey]; {
	case v == "yarn" && family.GGUF.Yarn:
		s := &families.RopeScaling{Type: "yarn", Factor: number(families.RopeFactorKey, 1), AttentionFactor: new(float64),
			OriginalMax: float64(size(families.RopeContextKey, 1, a.context, math.MaxInt32))}
		s.BetaFast, s.BetaSlow = number(families.YarnFastKey, 32), number(families.YarnSlowKey, 1)
		share := 0.0
		for key, into := range map[string]*float64{families.QueryBetaKey: &s.QueryBeta, families.YarnLogKey: &share} {
			if g.Values[name+"."+key] != nil {
				*into = number(key, 0)
			}
		}
		*s.AttentionFactor = factor * s.MScaleOf(1) / s.MScaleOf(share)
		a.rope.Scaling = s
	case family.GGUF.YarnKeys:
		return nil, fmt.Errorf("%s.%s is %.40q, want yarn", name, families.RopeScalingKey, fmt.Sprint(v))
	case v == nil || v == "none":
	case v == "linear":
		a.rope.Scaling = &families.RopeScaling{Type: "linear", Factor: number(families.RopeFactorKey, 0)}
	default:
		return nil, fmt.Errorf("%s.%s is %.40q, want none or linear", name, families.RopeScalingKey, fmt.Sprint(v))
	}
	original := size(families.RopeContextKey, 1, 8192, math.MaxInt32)
	if family.GGUF.QueryScalar {
		a.more["query_pre_attn_scalar"] = a.HeadDim
	}
	if err == nil && family.GGUF.LongFactors {
		err = a.readLong(g, original, factor)
	}
	if err != nil {
		return nil, err
	}
	if err := a.checkLayers(g, name); err != nil {
		return nil, err
	}
	return a, a.fromTensors(g, original)
}

// checkSizes refuses sizes that do not fit each other, and experts.
func (a *architecture) checkSizes(name string, valueDim, experts int) error {
	switch {
	case a.Heads%a.KVHeads != 0 || a.HeadDim%2 != 0:
		return fmt.Errorf("%d heads of %d values and %d key/value heads, want a multiple and an even size",
			a.Heads, a.HeadDim, a.KVHeads)
	case valueDim != a.HeadDim:
		return fmt.Errorf("%s.%s is %d, want %s (%d)", name, families.ValueDimKey, valueDim, families.HeadDimKey.GGUF, a.HeadDim)
	case !a.family.Partial && a.rope.Dim != a.HeadDim:
		return fmt.Errorf("%s.%s is %d, want all %d of a head", name, families.RotaryDimKey, a.rope.Dim, a.HeadDim)
	case a.rope.Dim > a.HeadDim || a.rope.Dim%2 != 0:
		return fmt.Errorf("%s.%s is %d, want an even number up to the %d of a head",
			name, families.RotaryDimKey, a.rope.Dim, a.HeadDim)
	case experts != 0:
		return fmt.Errorf("%s.%s is %d, want a model without experts", name, families.ExpertsKey, experts)
	}
	return nil
}

// checkLayers refuses files whose layers attend in another way than llama.cpp takes for granted where a file says nothing.
func (a *architecture) checkLayers(g *gguf.File, name string) error {
	form := a.family.GGUF
	if causal, there := g.Values[name+"."+families.CausalKey]; there && causal != true {
		return fmt.Errorf("%s.%s is %s, want true", name, families.CausalKey, gguf.Show(causal))
	}
	for _, key := range []string{families.CapLogitsKey, families.CapScoresKey} {
		if v, there := g.Values[name+"."+key]; there && v != 0.0 {
			return fmt.Errorf("%s.%s is %s, want none: logit softcapping is not implemented", name, key, gguf.Show(v))
		}
	}
	if !form.Window {
		return a.readWindow(g, name+"."+families.WindowKey)
	}
	window, there := a.more["sliding_window"].(int)
	if !there {
		return nil
	}
	want := cmp.Or(form.LocalTheta, a.rope.Theta)
	local, err := g.Float(name+"."+families.LocalThetaKey, want)
	if err == nil && (local != want || form.OneBase && a.rope.Theta != want) {
		err = fmt.Errorf("the RoPE bases are %g and, in sliding-window layers, %g, want %g in these", a.rope.Theta, local, want)
		if form.OneBase {
			err = fmt.Errorf("the RoPE bases are %g and, in sliding-window layers, %g, want %g for both", a.rope.Theta, local, want)
		}
	}
	if err != nil {
		return err
	}
	return a.checkWindows(g, name+"."+families.WindowedKey, window)
}

// readWindow reads how far layers see of a family for which llama.cpp has no windows: a file may say it all the same.
func (a *architecture) readWindow(g *gguf.File, key string) error {
	window, err := g.Int(key, 0, 0, math.MaxInt32)
	switch {
	case err != nil || window == 0:
		return err
	case a.family.Windowed != nil && a.family.Windowed(families.Pattern{Window: &window}, 0):
		a.more["sliding_window"] = window
	case window < a.context:
		return fmt.Errorf("%s is %d, want none", key, window)
	}
	return nil
}

// checkWindows holds which layers a file says to have a window against those that the family has.
func (a *architecture) checkWindows(g *gguf.File, key string, window int) error {
	v, there := g.Values[key]
	if !there || a.family.GGUF.WindowLayers > 0 && a.Layers != a.family.GGUF.WindowLayers {
		return nil
	}
	p := a.family.GGUF.Pattern
	p.Window = &window
	usual, err := a.family.Attend(p, a.Layers)
	if err != nil {
		return err
	}
	var kinds []int
	if _, list := v.(gguf.Numbers); list {
		kinds, err = g.Ints(key, a.Layers, 0, 1)
	} else {
		var every int
		every, err = g.Int(key, 1, 0, math.MaxInt32)
		for i := range usual {
			kinds = append(kinds, min((i+1)%max(1, every), 1))
		}
	}
	if err != nil {
		return err
	}
	for i, layer := range usual {
		if has := kinds[i] == 1; has != windowed(layer) {
			return fmt.Errorf("%s says of layer %d of %d that it has a window: %t, want %t", key, i, a.Layers, has, !has)
		}
	}
	return nil
}

// fromTensors reads what only the tensors tell. original is how long texts were before Llama
// 3.1's scaling, in tokens.
func (a *architecture) fromTensors(g *gguf.File, original int) error {
	embed := a.names.Whole(families.Embed)
	embeddings := g.Tensors[embed]
	if embeddings == nil || len(embeddings.Shape) != 2 {
		return fmt.Errorf("no tensor %s of two dimensions", embed)
	}
	a.Vocab = embeddings.Shape[0]
	a.Tied = g.Tensors[a.names.Whole(families.Head)] == nil
	first := func(names *families.Names, role families.Role) *gguf.Tensor {
		return g.Tensors[names.Tensors(families.Parameter{Role: role, Parts: []int{1}})[0].Name]
	}
	if fused := a.family.GGUF.FusedQKV(); a.Values == 0 && first(fused, families.QKV) != nil { // that is the name of In there
		a.names = fused
	}
	if !a.family.BiasFixed {
		a.QKVBias = first(a.names, families.QKVBias) != nil
		a.OutBias = a.QKVBias && a.family.OutBias
	}
	if t := g.Tensors[families.RopeFactors]; t != nil {
		return a.readScaling(t, original)
	}
	return nil
}

// readLong reads longrope's factors, where the file has them.
func (a *architecture) readLong(g *gguf.File, original int, factor float64) error {
	s := families.RopeScaling{Type: "longrope", OriginalMax: float64(original), AttentionFactor: &factor}
	found := 0
	for name, into := range map[string]*[]float64{families.ShortFactors: &s.ShortFactor, families.LongFactors: &s.LongFactor} {
		t := g.Tensors[name]
		if t == nil {
			continue
		}
		if len(t.Shape) != 1 || t.Shape[0] != a.rope.Dim/2 || t.Type() != "F32" {
			return fmt.Errorf("tensor %s has the shape %v, want [%d] of F32", name, t.Shape, a.rope.Dim/2)
		}
		have := make([]float32, t.Shape[0])
		if err := t.Read(0, have); err != nil {
			return err
		}
		for _, f := range have {
			*into = append(*into, float64(f))
		}
		found++
	}
	if found == 1 {
		return fmt.Errorf("one tensor of %s and %s, want both", families.ShortFactors, families.LongFactors)
	}
	if found == 2 {
		a.rope.Scaling = &s
		a.more["original_max_position_embeddings"] = original
	}
	return nil
}

// readScaling finds Llama 3.1's rope_scaling from the factors that the file
// carries instead of it: the highest is the factor, and with the constants of
// all published models (1, 4, 8192) the rest must follow.
func (a *architecture) readScaling(t *gguf.Tensor, original int) error {
	if len(t.Shape) != 1 || t.Shape[0] != a.HeadDim/2 || t.Type() != "F32" {
		return fmt.Errorf("tensor %s has the shape %v, want [%d] of F32", t.Name, t.Shape, a.HeadDim/2)
	}
	have := make([]float32, a.HeadDim/2)
	if err := t.Read(0, have); err != nil {
		return err
	}
	if !slices.ContainsFunc(have, func(f float32) bool { return f != 1 }) {
		return nil
	}
	a.rope.Scaling = &families.RopeScaling{Type: "llama3", Factor: float64(slices.Max(have)), LowFreqFactor: 1, HighFreqFactor: 4,
		OriginalMax: float64(original)}
	for i, want := range a.rope.Factors() {
		if have := float64(have[i]); !(math.Abs(have-want) <= 1e-4*want) {
			return fmt.Errorf("tensor %s: factor %d is %g, want %g as llama 3.1 has it", t.Name, i, have, want)
		}
	}
	return nil
}
