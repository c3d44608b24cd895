package convert

import (
	"slices"

	"lwtrain/internal/gguf"
	"lwtrain/model/families"
)

// mix is the types that the matrices of a GGUF file have.
type mix struct {
	name     string
	fileType uint32 // general.file_type
	base     string // of most of them
	more     string // of those that matter more: the head, and some layers' values and down projections; "": none
}

// mixes are the precisions. q4_k_m is the mix of llama.cpp's quantize under that name, without an
// importance matrix.
var mixes = []mix{
	{name: "f32", fileType: 0, base: "F32"},
	{name: "f16", fileType: 1, base: "F16"},
	{name: "bf16", fileType: 32, base: "BF16"},
	{name: "q8_0", fileType: 7, base: "Q8_0"},
	{name: "q4_k_m", fileType: 15, base: "Q4_K", more: "Q6_K"},
}

func mixOf(name string) (mix, bool) {
	i := slices.IndexFunc(mixes, func(m mix) bool { return m.name == name })
	return mixes[max(0, i)], i >= 0
}

// Precisions are the names of those that [ToGGUF] knows.
func Precisions() (names []string) {
	for _, m := range mixes {
		names = append(names, m.name)
	}
	return names
}

func (m mix) quantised() bool { return m.fileType != 0 && m.fileType != 1 && m.fileType != 32 }

// wanted is the type that rows of a parameter, which is a matrix, are to have.
func (m mix) wanted(d families.Dims, p families.Parameter, of families.Tensor) string {
	typ := m.base
	if m.more != "" {
		rows, _ := p.Size()
		value := of.Row+of.Rows() == rows && (p.Role == families.QKV || p.Role == families.In && d.Values > 0)
		layer, layers := p.Layer, d.Layers
		if value && d.Values == 0 {
			layer, layers = attending(d.At, p.Layer, d.Layers)
		}
		switch {
		case p.Role == families.Head, p.Role == families.Embed && d.Tied:
			typ = m.more
		case (value || p.Role == families.Down) && moreBits(layer, layers):
			typ = m.more
		case value && d.Layers == 80 && d.Heads != d.KVHeads: // those of 70 billion parameters, where it costs nearly nothing
			typ = "Q5_K"
		}
	}
	return typ
}

// attending counts the layers with values of attention: those before a layer, and all.
func attending(recurrent []bool, layer, layers int) (before, all int) {
	before, all = layer, layers
	for i, is := range recurrent {
		if is {
			all--
			if i < layer {
				before--
			}
		}
	}
	return before, all
}

// moreBits reports whether a layer is among those that get more bits: the first and the last
// eighth, and every third between.
func moreBits(layer, layers int) bool {
	return layer < layers/8 || layer >= 7*layers/8 || (layer-layers/8)%3 == 2
}

// fitting is the type that takes the place of one whose blocks rows of so many values do not
// fill.
func fitting(typ string, columns int) string {
	for !gguf.CanWrite(typ, columns) {
		typ = map[string]string{"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0", "Q5_0": "F16", "Q5_1": "F16", "Q8_0": "F16"}[typ]
	}
	return typ
}
