package kernels

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// documentsOf are the starts of documents of so many rows each.
func documentsOf(lengths ...int) (starts []int32) {
	for _, n := range lengths {
		from := int32(len(starts))
		for range n {
			starts = append(starts, from)
		}
	}
	return starts
}

var documentLengths = [][]int{{1}, {64}, {5, 1, 130, 1, 1, 63, 64, 65, 2}, {200}}

func scaled(x []float32, by float32) []float32 {
	for i := range x {
		x[i] *= by
	}
	return x
}

func TestConvolutionsEqualTheGoOnes(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		for _, lengths := range documentLengths {
			for _, c := range []Taps{{48, 4, false}, {21, 3, true}, {80, 3, true}, {7, 1, false}, {33, 7, false}} {
				starts := documentsOf(lengths...)
				rows := len(starts)
				x, w, dy := normals(rows*c.Width(), 1), normals(c.Dim*c.Taps, 2), normals(rows*c.Dim, 3)
				what := fmt.Sprintf("%+v, documents %v", c, lengths)
				y, dx, dw := make([]float32, rows*c.Dim), make([]float32, len(x)), normals(len(w), 4)
				wantY, wantX, wantW := slices.Clone(y), slices.Clone(dx), slices.Clone(dw)
				scratch := make([]float32, rows*c.Dim)
				Convolve(y, x, w, starts, rows, c)
				plainConvolve(wantY, x, w, starts, rows, c)
				same(t, what, y, wantY, 1e-5)
				ConvolveGrad(dx, x, w, dy, starts, rows, c, scratch)
				plainConvolveGrad(wantX, x, w, dy, starts, rows, c, nil)
				same(t, what+": gradient of inputs", dx, wantX, 1e-5)
				ConvolveGradWeight(dw, x, w, dy, starts, rows, c, true, scratch)
				plainConvolveGradWeight(wantW, x, w, dy, starts, rows, c, true, nil)
				same(t, what+": gradient of weights", dw, wantW, 1e-5)
			}
		}
	})
}

// deltaCase is a layer with inputs.
type deltaCase struct {
	Delta
	starts                    []int32
	rows                      int
	qkv, gates, dout          []float32
	w                         DeltaWeights
	out, state, dqkv, dgates_ []float32
	dw                        DeltaWeights
}

func newDeltaCase(d Delta, lengths []int) *deltaCase {
	starts := documentsOf(lengths...)
	rows := len(starts)
	c := &deltaCase{Delta: d, starts: starts, rows: rows,
		qkv: normals(rows*d.Mixed(), 1), gates: normals(rows*d.Gates(), 2), dout: normals(rows*d.Out(), 3),
		w: DeltaWeights{scaled(normals(d.Values, 4), 0.5), normals(d.Values, 5), normals(d.ValueDim, 6)}}
	c.clear()
	return c
}

func (c *deltaCase) clear() {
	c.out, c.state = make([]float32, c.rows*c.Out()), make([]float32, c.State())
	c.dqkv, c.dgates_ = make([]float32, len(c.qkv)), make([]float32, len(c.gates))
	c.dw = DeltaWeights{make([]float32, c.Values), make([]float32, c.Values), make([]float32, c.ValueDim)}
}

func (c *deltaCase) run() []float32 {
	DeltaRule(c.out, c.state, c.qkv, c.gates, c.w, c.starts, c.rows, c.Delta, make([]float32, c.Scratch(c.rows)))
	DeltaRuleGrad(c.dqkv, c.dgates_, c.dw, c.qkv, c.gates, c.w, c.dout, c.starts, c.rows, c.Delta, make([]float32, c.ScratchGrad(c.rows)))
	return slices.Concat(c.out, c.state, c.dqkv, c.dgates_, c.dw.ALog, c.dw.DtBias, c.dw.Norm)
}

var deltaSizes = []Delta{{1, 1, 16, 16, 1e-5}, {2, 4, 32, 48, 1e-6}, {3, 3, 16, 32, 1e-6}, {1, 2, 8, 12, 1e-5}}

func TestTheDeltaRuleInChunksEqualsTokenByToken(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		for _, d := range deltaSizes {
			for _, lengths := range documentLengths {
				got, want := newDeltaCase(d, lengths), newDeltaCase(d, lengths)
				got.run()
				plainDeltaRule(want.out, want.state, want.qkv, want.gates, want.w, want.starts, want.rows, d, nil)
				plainDeltaRuleGrad(want.dqkv, want.dgates_, want.dw, want.qkv, want.gates, want.w, want.dout, want.starts, want.rows,
					d, nil)
				for _, x := range []struct {
					what      string
					got, want []float32
				}{
					{"output", got.out, want.out}, {"state", got.state, want.state}, {"dqkv", got.dqkv, want.dqkv},
					{"dgates", got.dgates_, want.dgates_}, {"dA_log", got.dw.ALog, want.dw.ALog},
					{"ddt_bias", got.dw.DtBias, want.dw.DtBias},
					{"dnorm", got.dw.Norm, want.dw.Norm},
				} {
					same(t, fmt.Sprintf("%+v, documents %v: %s", d, lengths, x.what), x.got, x.want, 3e-5)
				}
			}
		}
	})
}

func TestStepsOfTheDeltaRuleEqualTheWholeText(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		for _, d := range deltaSizes {
			c := newDeltaCase(d, []int{90})
			c.run()
			states := [][]float32{Alloc(d.State()), Alloc(d.State())}
			defer Free(states[0])
			defer Free(states[1])
			out := make([]float32, 2*d.Out())
			for i := range c.rows {
				two := func(x []float32, n int) []float32 {
					return slices.Concat(x[i*n:(i+1)*n], x[(c.rows-1-i)*n:(c.rows-i)*n])
				}
				DeltaStep(out, states, two(c.qkv, d.Mixed()), two(c.gates, d.Gates()), c.w, d)
				same(t, fmt.Sprintf("%+v, step %d", d, i), out[:d.Out()], c.out[i*d.Out():][:d.Out()], 3e-5)
			}
			same(t, "state", states[0], c.state, 3e-5)
			alone := [][]float32{Alloc(d.State())} // the same text by itself
			defer Free(alone[0])
			for i := range c.rows {
				DeltaStep(out, alone, c.qkv[i*d.Mixed():], c.gates[i*d.Gates():], c.w, d)
			}
			if !slices.Equal(alone[0], states[0]) {
				t.Errorf("%+v: a text by itself ends in another state than beside another", d)
			}
		}
	})
}

func TestADocumentOfAPackIsTheSameBytesAsByItself(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		for _, d := range deltaSizes {
			pack, alone := newDeltaCase(d, []int{37, 150, 9}), newDeltaCase(d, []int{150})
			alone.qkv, alone.gates, alone.dout = pack.qkv[37*d.Mixed():], pack.gates[37*d.Gates():], pack.dout[37*d.Out():]
			pack.run()
			alone.run()
			for _, x := range []struct {
				what      string
				got, want []float32
			}{
				{"output", pack.out[37*d.Out():][:150*d.Out()], alone.out},
				{"dqkv", pack.dqkv[37*d.Mixed():][:150*d.Mixed()], alone.dqkv[:150*d.Mixed()]},
				{"dgates", pack.dgates_[37*d.Gates():][:150*d.Gates()], alone.dgates_[:150*d.Gates()]},
			} {
				if !slices.Equal(x.got, x.want) {
					t.Errorf("%+v: %s of a document depends on what is packed beside it", d, x.what)
				}
			}
			if again := newDeltaCase(d, []int{37, 150, 9}); !slices.Equal(again.run(), pack.run()) {
				t.Errorf("%+v: the same call gave other bytes", d)
			}
		}
	})
}

// TestGradientsOfTheGoDeltaRuleAreFiniteDifferences holds the oracle itself against its forward pass.
func TestGradientsOfTheGoDeltaRuleAreFiniteDifferences(t *testing.T) {
	for _, d := range []Delta{{1, 1, 3, 2, 1e-3}, {2, 4, 4, 3, 1e-3}} {
		c := newDeltaCase(d, []int{3, 1, 6})
		loss := func() (sum float64) {
			plainDeltaRule(c.out, nil, c.qkv, c.gates, c.w, c.starts, c.rows, d, nil)
			for i, v := range c.out {
				sum += float64(v) * float64(c.dout[i])
			}
			return sum
		}
		plainDeltaRuleGrad(c.dqkv, c.dgates_, c.dw, c.qkv, c.gates, c.w, c.dout, c.starts, c.rows, d, nil)
		for _, x := range []struct {
			what    string
			x, grad []float32
		}{
			{"qkv", c.qkv, c.dqkv}, {"gates", c.gates, c.dgates_}, {"A_log", c.w.ALog, c.dw.ALog},
			{"dt_bias", c.w.DtBias, c.dw.DtBias}, {"norm", c.w.Norm, c.dw.Norm},
		} {
			for i := range x.x {
				const h = 1e-3
				was := x.x[i]
				x.x[i] = was + h
				up := loss()
				x.x[i] = was - h
				slope := (up - loss()) / (2 * h)
				x.x[i] = was
				if got := float64(x.grad[i]); math.Abs(got-slope) > 2e-3*(1+math.Abs(slope)) {
					t.Errorf("%+v: the gradient of %s[%d] is %g, want %g", d, x.what, i, got, slope)
				}
			}
		}
	}
}

func TestHeadsWithGatesEqualTheGoOnes(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		for _, h := range []GatedHeads{{1, 1, 16}, {4, 2, 8}, {6, 3, 40}} {
			const rows = 67
			n := h.Q * h.Dim
			x, a, dy, dqkv := normals(rows*h.Width(), 1), normals(rows*n, 2), normals(rows*n, 3), normals(rows*h.Plain(), 4)
			both := func(size int, f, plain func(to []float32)) {
				t.Helper()
				got, want := normals(size, 5), normals(size, 5)
				f(got)
				plain(want)
				same(t, fmt.Sprintf("%+v", h), got, want, 1e-6)
			}
			both(rows*h.Plain(), func(to []float32) { SplitHeads(to, x, rows, h) },
				func(to []float32) { plainSplitHeads(to, x, rows, h, false, false) })
			both(rows*n, func(to []float32) { GateHeads(to, a, x, rows, h) }, func(to []float32) { plainGateHeads(to, a, x, rows, h) })
			for _, add := range []bool{false, true} {
				both(rows*h.Width(), func(to []float32) { SplitHeadsGrad(to, dqkv, rows, h, add) },
					func(to []float32) { plainSplitHeads(dqkv, to, rows, h, true, add) })
				both(rows*h.Width(), func(to []float32) { GateHeadsGrad(to, a, x, dy, rows, h, add) },
					func(to []float32) { plainGateHeadsGrad(to, a, x, dy, rows, h, add) })
			}
		}
	})
}
