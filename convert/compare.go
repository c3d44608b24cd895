package convert

import (
	"fmt"
	"math"
	"reflect"

	"lwtrain/checkpoints"
	"lwtrain/internal/gguf"
	"lwtrain/internal/tensorfile"
	"lwtrain/model"
	"lwtrain/model/families"
)

// apart are the most that the values of a matrix may lie from what they were, by type: the root
// mean square of the difference over that of the values. F16, BF16 and Q8_0 follow from their steps,
// for Q8_0 in blocks of one large value; of the others they are several times what normally
// distributed values show. Tensors that have nothing in common lie at 1.4.
var apart = map[string]float64{"F32": 0, "F16": 0x1p-11, "BF16": 0x1p-8, "Q8_0": 0.023, "Q6_K": 0.1, "Q5_K": 0.15, "Q5_0": 0.2, "Q5_1": 0.2,
	"Q4_K": 0.3}

// Compare compares the model of a folder in Hugging Face's layout with what came back from one
// written in a precision, whose vectors are of its type too, or float32: their sizes, and tensor by
// tensor their values. It returns how far the worst lies from what it was.
func Compare(from, to, precision string, vectors bool) (worst float64, err error) {
	m, _ := mixOf(precision)
	a, err := openFolder(from)
	if err != nil {
		return 0, err
	}
	defer a.weights.Close()
	b, err := openFolder(to)
	if err != nil {
		return 0, err
	}
	defer b.weights.Close()
	if x, y := a.sizes(), b.sizes(); !reflect.DeepEqual(x, y) {
		return 0, fmt.Errorf("read back, the model is %+v, want %+v", y, x)
	}
	for _, p := range a.config.Layout() {
		for _, of := range a.cut(p) {
			typ := "F32"
			if !of.Vector() {
				typ = fitting(m.wanted(a.config.Dims, p, of), p.Cols)
			} else if vectors {
				typ = m.base
			}
			most, offset := apart[typ], 0.0
			if !vectors {
				offset = float64(a.family.OffsetOf(p))
			}
			if offset != 0 || p.Role == families.ALog {
				most = max(most, 0x1p-22) // of the rounding of a sum, or of a power and its logarithm
			}
			d, err := distance(a.reads(p, of), b.reads(p, of), of, offset)
			if err == nil && !(d <= most) {
				err = fmt.Errorf("read back, the values of %s lie %.3g of their size apart, want at most %.3g for %s",
					of.Name, d, most, typ)
			}
			if err != nil {
				return worst, err
			}
			worst = max(worst, d)
		}
	}
	return worst, nil
}

// modelFolder is a folder in Hugging Face's layout.
type modelFolder struct {
	config  model.Config
	family  *families.Family
	weights *checkpoints.Weights
}

func openFolder(dir string) (f modelFolder, err error) {
	if f.config, err = model.Check(dir); err != nil {
		return f, err
	}
	f.family, _ = families.Find(f.config.Type)
	f.weights, err = checkpoints.OpenWeights(dir)
	return f, err
}

// sizes are what decides what a model computes, but for its weights. Numbers are those of float32,
// as GGUF files have them.
func (f *modelFolder) sizes() any {
	c := f.config
	var scaling string
	if s := c.Rope.Scaling; s != nil && s.Type == "linear" {
		scaling = fmt.Sprint("linear ", float32(s.Factor))
	} else if s != nil {
		scaling = fmt.Sprint(s.Type, float32(s.Factor), float32(s.LowFreqFactor), float32(s.HighFreqFactor), float32(s.OriginalMax),
			single(s.ShortFactor), single(s.LongFactor), float32(c.Rope.Multiplier()))
	}
	return struct {
		families.Dims
		NormEps, RopeTheta float32
		Rotary, MaxTokens  int
		Interleaved, GELU  bool
		Scaling            string
		Scales             [4]float32
	}{c.Dims, float32(c.NormEps), float32(c.Rope.Theta), c.Rope.Dim, c.MaxTokens, c.Interleaved, c.GELU, scaling,
		[4]float32{float32(c.Scales.Embedding), float32(c.Scales.Attention), float32(c.Scales.Residual), float32(c.Scales.Logits)}}
}

func single(of []float64) (out []float32) {
	for _, f := range of {
		out = append(out, float32(f))
	}
	return out
}

// cut is a parameter as it is compared, piece by piece: as GGUF files have it, where they have it at all.
func (f *modelFolder) cut(p families.Parameter) []families.Tensor {
	if f.family.GGUF == nil {
		return f.config.Tensors(p)
	}
	return f.family.GGUF.Names.Tensors(p)
}

// reads reads rows of a parameter.
func (f *modelFolder) reads(p families.Parameter, of families.Tensor) reading {
	theirs := f.config.Tensors(p)
	reads := make([]reading, len(theirs))
	for i, from := range theirs {
		reads[i] = func(offset int, dst []float32) error { return f.weights.ReadAt(from.Name, offset, dst) }
	}
	return pieces(of, theirs, reads, width(p))
}

// distance is the size of b less a over that of a, to whose values the file adds offset.
func distance(a, b reading, of families.Tensor, offset float64) (float64, error) {
	n, _ := tensorfile.Product(of.Shape)
	x, y := make([]float32, min(n, gguf.Chunk)), make([]float32, min(n, gguf.Chunk))
	var size, difference float64
	for at := 0; at < int(n); at += len(x) {
		x, y := x[:min(len(x), int(n)-at)], y[:min(len(y), int(n)-at)]
		if err := a(at, x); err != nil {
			return 0, err
		}
		if err := b(at, y); err != nil {
			return 0, err
		}
		for i, v := range x {
			d := float64(y[i]) - float64(v)
			size += (float64(v) + offset) * (float64(v) + offset)
			difference += d * d
		}
	}
	if difference == 0 {
		return 0, nil
	}
	return math.Sqrt(difference / size), nil
}
