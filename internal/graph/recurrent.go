package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"lwtrain/internal/kernels"
)

// The sizes of recurrent layers, and of attention with gates.
type (
	Taps  = kernels.Taps
	Delta = kernels.Delta
)

// Gated is the layout of query, key and value heads whose query heads have gates: [kernels.GatedHeads].
func (h Heads) Gated() kernels.GatedHeads { return kernels.GatedHeads(h) }

// Convolve is a causal convolution of each channel of x [T, c.Width()] by itself, with the weights w [Dim*Taps] ->
// [T, Dim]: [Taps]. It sees no other document.
func (g *Graph) Convolve(x *gorgonia.Node, w *Param, c Taps, layer int) *gorgonia.Node {
	t := rows(x)
	if cols(x) != c.Width() || w.Size() != c.Dim*c.Taps {
		panic(fmt.Sprintf("graph: convolve: %d columns and %d weights, want %d and %d", cols(x), w.Size(), c.Width(), c.Dim*c.Taps))
	}
	attrs := fmt.Sprintf(" %s %+v layer=%d", w.Name, c, layer)
	scratch := func() []float32 { return g.work(t * c.Dim) }
	g.reserve(t * c.Dim)
	return apply(&op{
		name: "convolve" + attrs,
		cost: 1,
		in:   []operand{floats(2), floats(len(w.shape())), ints(1)},
		out:  tensor.Shape{t, c.Dim},
		run: func(out []float32, _ bool, in []gorgonia.Value) {
			kernels.Convolve(out, f32(in[0]), f32(in[1]), i32(in[2]), t, c)
		},
		wrt: []bool{true, true, false},
		diff: func(in gorgonia.Nodes, grad *gorgonia.Node) gorgonia.Nodes {
			dw := apply(&op{
				name:        "convolve-dw" + attrs,
				in:          []operand{floats(2), floats(len(w.shape())), ints(1), floats(2)},
				out:         w.shape(),
				accumulates: true,
				run: func(out []float32, add bool, in []gorgonia.Value) {
					kernels.ConvolveGradWeight(out, f32(in[0]), f32(in[1]), f32(in[3]), i32(in[2]), t, c, add, scratch())
				},
			}, in[0], in[1], in[2], grad)
			dx := apply(&op{
				name: "convolve-dx" + attrs,
				in:   []operand{floats(2), floats(len(w.shape())), ints(1), floats(2)},
				out:  tensor.Shape{t, c.Width()},
				run: func(out []float32, _ bool, in []gorgonia.Value) {
					kernels.ConvolveGrad(out, f32(in[0]), f32(in[1]), f32(in[3]), i32(in[2]), t, c, scratch())
				},
			}, in[0], in[1], in[2], grad)
			return gorgonia.Nodes{dx, dw, nil}
		},
	}, x, g.param(w), g.starts)
}

// DeltaParams are the vectors of a layer of the gated delta rule.
type DeltaParams struct{ ALog, DtBias, Norm *Param }

// Weights are their values.
func (p DeltaParams) Weights() kernels.DeltaWeights {
	return kernels.DeltaWeights{ALog: p.ALog.Data, DtBias: p.DtBias.Data, Norm: p.Norm.Data}
}

// DeltaRule is the gated delta rule over qkv [T, d.Mixed()] with gates [T, d.Gates()] -> [T, d.Out()]:
// [kernels.DeltaRule]. Its state begins anew with each document. Backward, states are computed again.
//
// One op makes all gradients: those of qkv and of gates behind each other, which are then taken apart, and those of the
// vectors, which it keeps for the ops that add them.
func (g *Graph) DeltaRule(qkv, gates *gorgonia.Node, p DeltaParams, d Delta, layer int) *gorgonia.Node {
	t := rows(qkv)
	if cols(qkv) != d.Mixed() || cols(gates) != d.Gates() {
		panic(fmt.Sprintf("graph: delta rule: %d and %d columns, want %d and %d", cols(qkv), cols(gates), d.Mixed(), d.Gates()))
	}
	attrs := fmt.Sprintf(" layer=%d %+v", layer, d)
	g.reserve(max(d.Scratch(t), d.ScratchGrad(t)))
	kept := g.keep(2*d.Values + d.ValueDim)
	slopes := func() kernels.DeltaWeights {
		k := kept()
		return kernels.DeltaWeights{ALog: k[:d.Values], DtBias: k[d.Values : 2*d.Values], Norm: k[2*d.Values:]}
	}
	weights := func(in []gorgonia.Value) kernels.DeltaWeights {
		return kernels.DeltaWeights{ALog: f32(in[2]), DtBias: f32(in[3]), Norm: f32(in[4])}
	}
	in := []operand{floats(2), floats(2), floats(1), floats(1), floats(1), ints(1)}
	return apply(&op{
		name: "delta-rule" + attrs,
		cost: 2,
		in:   in,
		out:  tensor.Shape{t, d.Out()},
		run: func(out []float32, _ bool, in []gorgonia.Value) {
			kernels.DeltaRule(out, nil, f32(in[0]), f32(in[1]), weights(in), i32(in[5]), t, d, g.work(d.Scratch(t)))
		},
		wrt: []bool{true, true, true, true, true, false},
		diff: func(nodes gorgonia.Nodes, grad *gorgonia.Node) gorgonia.Nodes {
			all := apply(&op{
				name: "delta-rule-dx" + attrs,
				in:   append(in[:6:6], floats(2)),
				out:  tensor.Shape{t, d.Mixed() + d.Gates()},
				run: func(out []float32, _ bool, in []gorgonia.Value) {
					kernels.DeltaRuleGrad(out[:t*d.Mixed()], out[t*d.Mixed():], slopes(), f32(in[0]), f32(in[1]), weights(in), f32(in[6]),
						i32(in[5]), t, d, g.work(d.ScratchGrad(t)))
				},
			}, append(append(gorgonia.Nodes{}, nodes...), grad)...)
			part := func(name string, from, columns int) *gorgonia.Node {
				return apply(&op{
					name: name + attrs,
					in:   []operand{floats(2)},
					out:  tensor.Shape{t, columns},
					run: func(out []float32, _ bool, in []gorgonia.Value) {
						kernels.Copy(out, f32(in[0])[t*from:t*(from+columns)])
					},
				}, all)
			}
			vector := func(name string, n int, of func(kernels.DeltaWeights) []float32) *gorgonia.Node {
				return apply(&op{
					name:        name + attrs,
					in:          []operand{floats(2)},
					out:         tensor.Shape{n},
					accumulates: true,
					run: func(out []float32, add bool, _ []gorgonia.Value) {
						if !add {
							clear(out)
						}
						kernels.Add(out, out, of(slopes()))
					},
				}, all)
			}
			return gorgonia.Nodes{
				part("delta-rule-dqkv", 0, d.Mixed()), part("delta-rule-dgates", d.Mixed(), d.Gates()),
				vector("delta-rule-da", d.Values, func(w kernels.DeltaWeights) []float32 { return w.ALog }),
				vector("delta-rule-ddt", d.Values, func(w kernels.DeltaWeights) []float32 { return w.DtBias }),
				vector("delta-rule-dnorm", d.ValueDim, func(w kernels.DeltaWeights) []float32 { return w.Norm }), nil,
			}
		},
	}, qkv, gates, g.param(p.ALog), g.param(p.DtBias), g.param(p.Norm), g.starts)
}

// SplitHeads takes the heads of x [T, h.Gated().Width()] without their gates -> [T, h.Width()].
func (g *Graph) SplitHeads(x *gorgonia.Node, h Heads) *gorgonia.Node {
	t, sizes := rows(x), h.Gated()
	if cols(x) != sizes.Width() {
		panic(fmt.Sprintf("graph: split heads: %d columns, want %d for %+v", cols(x), sizes.Width(), h))
	}
	return apply(&op{
		name: fmt.Sprintf("split-heads %+v", h),
		cost: 1,
		in:   []operand{floats(2)},
		out:  tensor.Shape{t, h.Width()},
		run: func(out []float32, _ bool, in []gorgonia.Value) {
			kernels.SplitHeads(out, f32(in[0]), t, sizes)
		},
		wrt: []bool{true},
		diff: func(_ gorgonia.Nodes, grad *gorgonia.Node) gorgonia.Nodes {
			return gorgonia.Nodes{apply(&op{
				name:        fmt.Sprintf("split-heads-dx %+v", h),
				in:          []operand{floats(2)},
				out:         tensor.Shape{t, sizes.Width()},
				accumulates: true,
				run: func(out []float32, add bool, in []gorgonia.Value) {
					kernels.SplitHeadsGrad(out, f32(in[0]), t, sizes, add)
				},
			}, grad)}
		},
	}, x)
}

// GateHeads is attended [T, Q*Dim] times the sigmoid of the gates of x [T, h.Gated().Width()], head by head (Qiu et
// al. 2025, arXiv:2505.06708, eq. 5).
func (g *Graph) GateHeads(attended, x *gorgonia.Node, h Heads) *gorgonia.Node {
	t, sizes := rows(x), h.Gated()
	return apply(&op{
		name: fmt.Sprintf("gate-heads %+v", h),
		in:   []operand{floats(2), floats(2)},
		out:  tensor.Shape{t, h.Q * h.Dim},
		run: func(out []float32, _ bool, in []gorgonia.Value) {
			kernels.GateHeads(out, f32(in[0]), f32(in[1]), t, sizes)
		},
		wrt: []bool{true, true},
		diff: func(in gorgonia.Nodes, grad *gorgonia.Node) gorgonia.Nodes {
			dx := apply(&op{
				name:        fmt.Sprintf("gate-heads-dx %+v", h),
				in:          []operand{floats(2), floats(2), floats(2)},
				out:         tensor.Shape{t, sizes.Width()},
				accumulates: true,
				run: func(out []float32, add bool, in []gorgonia.Value) {
					kernels.GateHeadsGrad(out, f32(in[0]), f32(in[1]), f32(in[2]), t, sizes, add)
				},
			}, in[0], in[1], grad)
			return gorgonia.Nodes{g.GateHeads(grad, in[1], h), dx}
		},
	}, attended, x)
}
