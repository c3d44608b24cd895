package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"lwtrain/internal/kernels"
)

// Embed looks up the rows of table [V, D] at the pack's ids -> [T, D].
func (g *Graph) Embed(table *Param) *gorgonia.Node {
	t, d := g.Capacity, table.Cols
	return apply(&op{
		name: "embed " + table.Name,
		in:   []operand{floats(2), ints(1)},
		out:  tensor.Shape{t, d},
		run: func(out []float32, _ bool, in []gorgonia.Value) {
			if table.Packed {
				for t, id := range i32(in[1]) {
					table.Values(out[t*d:(t+1)*d], int(id)*d)
				}
				return
			}
			kernels.Embedding(out, f32(in[0]), i32(in[1]), d)
		},
		wrt: []bool{true, false},
		diff: func(in gorgonia.Nodes, grad *gorgonia.Node) gorgonia.Nodes {
			dw := apply(&op{
				name:        "embed-dw " + table.Name,
				in:          []operand{ints(1), floats(2)},
				out:         tensor.Shape{table.Rows, d},
				accumulates: true,
				run: func(out []float32, add bool, in []gorgonia.Value) {
					if !add {
						clear(out)
					}
					kernels.EmbeddingGrad(out, i32(in[0]), f32(in[1]), d)
				},
			}, in[1], grad)
			return gorgonia.Nodes{dw, nil}
		},
	}, g.param(table), g.ids)
}

// Scale is x times a factor.
func (g *Graph) Scale(x *gorgonia.Node, factor float32) *gorgonia.Node {
	return apply(&op{
		name:    fmt.Sprintf("scale %g", factor),
		in:      []operand{floats(2)},
		out:     x.Shape(),
		inPlace: []int{0},
		cost:    1,
		run: func(out []float32, _ bool, in []gorgonia.Value) {
			kernels.Scale(out, f32(in[0]), factor)
		},
		wrt: []bool{true},
		diff: func(_ gorgonia.Nodes, grad *gorgonia.Node) gorgonia.Nodes {
			return gorgonia.Nodes{g.Scale(grad, factor)}
		},
	}, x)
}

// Center is x [T, D] without the mean of each row: what LayerNorm (Ba et al. 2016, arXiv:1607.06450, eq. 3) does before
// [Graph.Norm]. Its gradient is that of what comes behind it, centered.
func (g *Graph) Center(x *gorgonia.Node) *gorgonia.Node {
	t, d := rows(x), cols(x)
	return apply(&op{
		name:    "center",
		in:      []operand{floats(2)},
		out:     x.Shape(),
		inPlace: []int{0},
		cost:    1,
		run: func(out []float32, _ bool, in []gorgonia.Value) {
			kernels.Center(out, f32(in[0]), t, d)
		},
		wrt: []bool{true},
		diff: func(_ gorgonia.Nodes, grad *gorgonia.Node) gorgonia.Nodes {
			return gorgonia.Nodes{g.Center(grad)}
		},
	}, x)
}

// Norm is RMSNorm: y = x / sqrt(mean(x^2) + eps) * w, row by row, for
// x [T, D] and w [D] (Zhang and Sennrich 2019, arXiv:1910.07467, eq. 4), to
// which w.Offset is added.
func (g *Graph) Norm(x *gorgonia.Node, w *Param, eps float32) *gorgonia.Node {
	t, d := rows(x), cols(x)
	attrs := fmt.Sprintf(" %s eps=%g", w.Name, eps)
	return apply(&op{
		name: "norm" + attrs,
		in:   []operand{floats(2), floats(1)},
		out:  tensor.Shape{t, d},
		run: func(out []float32, _ bool, in []gorgonia.Value) {
			kernels.RMSNorm(out, f32(in[0]), w.plus(f32(in[1])), t, d, eps)
		},
		wrt: []bool{true, true},
		diff: func(in gorgonia.Nodes, grad *gorgonia.Node) gorgonia.Nodes {
			dw := apply(&op{
				name:        "norm-dw" + attrs,
				in:          []operand{floats(2), floats(2)},
				out:         tensor.Shape{d},
				accumulates: true,
				run: func(out []float32, add bool, in []gorgonia.Value) {
					kernels.RMSNormGradWeight(out, f32(in[0]), f32(in[1]), t, d, eps, add)
				},
			}, in[0], grad)
			dx := apply(&op{
				name:        "norm-dx" + attrs,
				in:          []operand{floats(2), floats(1), floats(2)},
				out:         tensor.Shape{t, d},
				accumulates: true,
				run: func(out []float32, add bool, in []gorgonia.Value) {
					kernels.RMSNormGrad(out, f32(in[0]), w.plus(f32(in[1])), f32(in[2]), t, d, eps, add)
				},
			}, in[0], in[1], grad)
			return gorgonia.Nodes{dx, dw}
		},
	}, x, g.param(w))
}

// Heads is the layout of a fused query-key-value tensor [T, (Q+2*KV)*Dim]: the
// query heads, then the key heads, then the value heads. Query head h attends
// to key and value head h*KV/Q (grouped-query attention, arXiv:2305.13245).
type Heads struct{ Q, KV, Dim int }

// Width is the number of columns of the fused tensor.
func (h Heads) Width() int { return (h.Q + 2*h.KV) * h.Dim }

// Groups are the values of a row that are normed together: each head by weights
// [2*Dim], those of all query heads and those of all key heads (Qwen3,
// arXiv:2505.09388, section 2), or all queries and all keys by weights [(Q+KV)*Dim]
// (OLMo 2, arXiv:2501.00656, section 2.1).
func (h Heads) Groups(weights int) kernels.Groups {
	if weights == 2*h.Dim {
		return kernels.Groups{Q: h.Q, QDim: h.Dim, K: h.KV, KDim: h.Dim, Rest: h.KV * h.Dim}
	}
	return kernels.Groups{Q: 1, QDim: h.Q * h.Dim, K: 1, KDim: h.KV * h.Dim, Rest: h.KV * h.Dim}
}

// HeadNorm is RMSNorm over groups of query and key heads of qkv: [Heads.Groups].
// Value heads stay as they are. w.Offset is added to the weights.
func (g *Graph) HeadNorm(qkv *gorgonia.Node, h Heads, w *Param, eps float32) *gorgonia.Node {
	t, of := rows(qkv), h.Groups(w.Size())
	if cols(qkv) != h.Width() || w.Size() != of.QDim+of.KDim {
		panic(fmt.Sprintf("graph: head norm: %d columns and %d weights, want %d and %d or %d for %+v",
			cols(qkv), w.Size(), h.Width(), 2*h.Dim, (h.Q+h.KV)*h.Dim, h))
	}
	attrs := fmt.Sprintf(" %s %+v eps=%g", w.Name, of, eps)
	return apply(&op{
		name: "head-norm" + attrs,
		cost: 1,
		in:   []operand{floats(2), floats(1)},
		out:  tensor.Shape{t, h.Width()},
		run: func(out []float32, _ bool, in []gorgonia.Value) {
			kernels.HeadNorm(out, f32(in[0]), w.plus(f32(in[1])), t, of, eps)
		},
		wrt: []bool{true, true},
		diff: func(in gorgonia.Nodes, grad *gorgonia.Node) gorgonia.Nodes {
			dw := apply(&op{
				name:        "head-norm-dw" + attrs,
				in:          []operand{floats(2), floats(2)},
				out:         tensor.Shape{w.Size()},
				accumulates: true,
				run: func(out []float32, add bool, in []gorgonia.Value) {
					kernels.HeadNormGradWeight(out, f32(in[0]), f32(in[1]), t, of, eps, add)
				},
			}, in[0], grad)
			dx := apply(&op{
				name:    "head-norm-dx" + attrs,
				in:      []operand{floats(2), floats(1), floats(2)},
				out:     tensor.Shape{t, h.Width()},
				inPlace: []int{2},
				run: func(out []float32, _ bool, in []gorgonia.Value) {
					kernels.HeadNormGrad(out, f32(in[0]), w.plus(f32(in[1])), f32(in[2]), t, of, eps)
				},
			}, in[0], in[1], grad)
			return gorgonia.Nodes{dx, dw}
		},
	}, qkv, g.param(w))
}

// Rotation is a rotary position embedding (Su et al. 2021, arXiv:2104.09864,
// eq. 34), positions counting from the document's start.
type Rotation = kernels.Rotation

// Rotate applies rot to the query and key heads of qkv -> the same shape. Its
// gradient is the rotation back, multiplied by the same factors.
func (g *Graph) Rotate(qkv *gorgonia.Node, h Heads, rot Rotation) *gorgonia.Node {
	return g.rotate(qkv, h, rot, false)
}

func (g *Graph) rotate(x *gorgonia.Node, h Heads, rot Rotation, inverse bool) *gorgonia.Node {
	t, width := rows(x), cols(x)
	if width != h.Width() {
		panic(fmt.Sprintf("graph: rotate: %d columns, want %d for %+v", width, h.Width(), h))
	}
	return apply(&op{
		name:    fmt.Sprintf("rotate %+v %+v inverse=%t", h, rot, inverse),
		in:      []operand{floats(2), ints(1)},
		out:     tensor.Shape{t, width},
		inPlace: []int{0},
		cost:    1, // cheap, but it would need a copy of its input
		run: func(out []float32, _ bool, in []gorgonia.Value) {
			x := f32(in[0])
			if &out[0] != &x[0] {
				kernels.Copy(out, x)
			}
			if rot.Long != nil {
				kernels.Lengths(g.texts, i32(in[1]))
			}
			kernels.Rotate(out, width, t, i32(in[1]), g.texts, h.Q, h.KV, h.Dim, rot, inverse)
		},
		wrt: []bool{true, false},
		diff: func(in gorgonia.Nodes, grad *gorgonia.Node) gorgonia.Nodes {
			return gorgonia.Nodes{g.rotate(grad, h, rot, !inverse), nil}
		},
	}, x, g.positions)
}

// Attention is how a layer attends.
type Attention struct {
	Layer  int
	Scale  float32 // of scores
	Window int     // indices that each sees at most, its own included; 0: no bound
}

// Attend is packed causal attention: index t of qkv [T, (Q+2*KV)*Dim] sees the
// indices from its start ([Inputs]), or from a window's, up to itself but those that are hidden -> [T, Q*Dim].
// No T x T matrix exists (Dao et al. 2022, arXiv:2205.14135, algorithm 1, and
// appendix B for the gradient), and what lies before a window is not computed. The
// log-sum-exp of each row is kept by the op for the backward pass: Q*T floats.
func (g *Graph) Attend(qkv *gorgonia.Node, h Heads, how Attention) *gorgonia.Node {
	t := rows(qkv)
	if cols(qkv) != h.Width() {
		panic(fmt.Sprintf("graph: attend: %d columns, want %d for %+v", cols(qkv), h.Width(), h))
	}
	lse := g.keep(h.Q * t)
	g.heads = h
	attrs := fmt.Sprintf(" %+v %+v", how, h)
	starts := func(v gorgonia.Value) []int32 {
		if how.Window == 0 || how.Window >= t {
			return i32(v)
		}
		kernels.Windowed(g.windowed, i32(v), how.Window)
		return g.windowed
	}
	var out *gorgonia.Node
	out = apply(&op{
		name: "attend" + attrs,
		in:   []operand{floats(2), ints(1)},
		out:  tensor.Shape{t, h.Q * h.Dim},
		cost: 2,
		run: func(out []float32, _ bool, in []gorgonia.Value) {
			kernels.Attention(out, lse(), f32(in[0]), starts(in[1]), g.hidden(), t, h.Q, h.KV, h.Dim, how.Scale, g.precision == BFloat16)
		},
		wrt: []bool{true, false},
		diff: func(in gorgonia.Nodes, grad *gorgonia.Node) gorgonia.Nodes {
			dqkv := apply(&op{
				name: "attend-dx" + attrs,
				in:   []operand{floats(2), ints(1), floats(2), floats(2)},
				out:  tensor.Shape{t, h.Width()},
				run: func(dqkv []float32, _ bool, in []gorgonia.Value) {
					qkv, starts, out, dout := f32(in[0]), starts(in[1]), f32(in[2]), f32(in[3])
					kernels.AttentionGrad(dqkv, qkv, out, lse(), dout, starts, g.hidden(), t, h.Q, h.KV, h.Dim, how.Scale,
						g.precision == BFloat16)
				},
			}, in[0], in[1], out, grad)
			return gorgonia.Nodes{dqkv, nil}
		},
	}, qkv, g.starts)
	return out
}

// Gated is act(gate) * up for gu [T, 2F], gate and up side by side -> [T, F]
// (Shazeer 2020, arXiv:2002.05202, eq. 6): SiLU, or with gelu its approximation by tanh
// (Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2).
func (g *Graph) Gated(gu *gorgonia.Node, gelu bool) *gorgonia.Node {
	t, f := rows(gu), cols(gu)/2
	attrs := fmt.Sprintf(" gelu=%t", gelu)
	return apply(&op{
		name: "gated" + attrs,
		in:   []operand{floats(2)},
		out:  tensor.Shape{t, f},
		run: func(out []float32, _ bool, in []gorgonia.Value) {
			kernels.Gated(out, f32(in[0]), t, f, gelu)
		},
		wrt: []bool{true},
		diff: func(in gorgonia.Nodes, grad *gorgonia.Node) gorgonia.Nodes {
			return gorgonia.Nodes{apply(&op{
				name:    "gated-dx" + attrs,
				in:      []operand{floats(2), floats(2)},
				out:     tensor.Shape{t, 2 * f},
				inPlace: []int{0},
				run: func(out []float32, _ bool, in []gorgonia.Value) {
					kernels.GatedGrad(out, f32(in[0]), f32(in[1]), t, f, gelu)
				},
			}, in[0], grad)}
		},
	}, gu)
}

// Add is the residual connection a + b, of equal shapes.
func (g *Graph) Add(a, b *gorgonia.Node) *gorgonia.Node { return apply(addOp(a.Shape()), a, b) }

func addOp(shape tensor.Shape) *op {
	return &op{
		name:    addName,
		in:      []operand{floats(len(shape)), floats(len(shape))},
		out:     shape,
		inPlace: []int{0, 1},
		cost:    1,
		run: func(out []float32, _ bool, in []gorgonia.Value) {
			kernels.Add(out, f32(in[0]), f32(in[1]))
		},
		wrt: []bool{true, true},
		diff: func(_ gorgonia.Nodes, grad *gorgonia.Node) gorgonia.Nodes {
			return gorgonia.Nodes{grad, grad}
		},
	}
}

const addName = "add"

func (o *op) isAdd() bool { return o.name == addName }
