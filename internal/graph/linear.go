package graph

import (
	"fmt"
	"unsafe"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"lwtrain/internal/kernels"
)

// Linear is y = x W^T + b for x [T, K], W [N, K], b [N] (nil: none) -> [T, N].
//
// Its gradients are dx = g W and dW = g^T x, db = the column sums of g. With
// bf16 precision x and g are rounded to bf16 on the way into the product and W
// is read from its bf16 copy; sums are float32. Adapters of W add to y before b does.
func (g *Graph) Linear(x *gorgonia.Node, w, bias *Param) *gorgonia.Node {
	t, k, n := rows(x), cols(x), w.Rows
	if k != w.Cols {
		panic(fmt.Sprintf("graph: linear %s: input has %d columns, weight has %d", w.Name, k, w.Cols))
	}
	m := product{w, g.precision}
	scratch := func() []float32 { return g.work(m.scratch(t)) }
	g.reserve(m.scratch(t))
	g.widest = max(g.widest, n*k+t*max(n, k), t*(n+k))
	y := apply(&op{
		name:        "linear " + w.Name,
		cost:        1,
		in:          []operand{floats(2), floats(2)},
		out:         tensor.Shape{t, n},
		accumulates: true,
		run: func(out []float32, add bool, in []gorgonia.Value) {
			m.forward(out, f32(in[0]), t, add, scratch())
		},
		wrt: []bool{true, true},
		diff: func(in gorgonia.Nodes, grad *gorgonia.Node) gorgonia.Nodes {
			// The weight's gradient first: x may be freed before dx is made.
			dw := apply(&op{
				name:        "linear-dw " + w.Name,
				in:          []operand{floats(2), floats(2)},
				out:         tensor.Shape{n, k},
				accumulates: true,
				run: func(out []float32, add bool, in []gorgonia.Value) {
					m.gradWeight(out, f32(in[0]), f32(in[1]), t, add, scratch())
				},
			}, in[0], grad)
			dx := apply(&op{
				name:        "linear-dx " + w.Name,
				in:          []operand{floats(2), floats(2)},
				out:         tensor.Shape{t, k},
				accumulates: true,
				run: func(out []float32, add bool, in []gorgonia.Value) {
					m.gradInput(out, f32(in[1]), t, add, scratch())
				},
			}, in[1], grad)
			return gorgonia.Nodes{dx, dw}
		},
	}, x, g.param(w))
	y = g.adapt(x, y, w)
	if bias != nil {
		y = g.addBias(y, bias)
	}
	return y
}

// addBias adds b [N] to every row of y [T, N].
func (g *Graph) addBias(y *gorgonia.Node, b *Param) *gorgonia.Node {
	t, n := rows(y), cols(y)
	return apply(&op{
		name:    "bias " + b.Name,
		cost:    1,
		in:      []operand{floats(2), floats(1)},
		out:     tensor.Shape{t, n},
		inPlace: []int{0},
		run: func(out []float32, _ bool, in []gorgonia.Value) {
			kernels.AddRow(out, f32(in[0]), f32(in[1]), t, n)
		},
		wrt: []bool{true, true},
		diff: func(in gorgonia.Nodes, grad *gorgonia.Node) gorgonia.Nodes {
			db := apply(&op{
				name:        "bias-db " + b.Name,
				in:          []operand{floats(2)},
				out:         tensor.Shape{n},
				accumulates: true,
				run: func(out []float32, add bool, in []gorgonia.Value) {
					kernels.SumRows(out, f32(in[0]), t, n, add)
				},
			}, grad)
			return gorgonia.Nodes{grad, db}
		},
	}, y, g.param(b))
}

// product is a weight matrix in a precision: the three products of a linear
// layer, shared by Linear and the loss head. Each takes scratch memory for the
// bf16 copies of its inputs, of at least halfFloats(their sizes).
type product struct {
	w         *Param
	precision Precision
}

// forward is out[t, N] (+)= x[t, K] W^T.
func (m product) forward(out, x []float32, t int, add bool, scratch []float32) {
	n, k := m.w.Rows, m.w.Cols
	if m.precision == BFloat16 {
		hx, _ := half(x[:t*k], scratch)
		kernels.GemmBF16(false, true, t, n, k, hx, k, m.w.Half, k, beta(add), out, n)
		return
	}
	if m.w.Packed {
		m.tiles(scratch, func(row int, w []float32) {
			kernels.Gemm(false, true, t, len(w)/k, k, x, k, w, k, beta(add), out[row:], n)
		})
		return
	}
	kernels.Gemm(false, true, t, n, k, x, k, m.w.Data, k, beta(add), out, n)
}

// gradInput is dx[t, K] (+)= g[t, N] W.
func (m product) gradInput(dx, g []float32, t int, add bool, scratch []float32) {
	n, k := m.w.Rows, m.w.Cols
	if m.precision == BFloat16 {
		hg, _ := half(g[:t*n], scratch)
		kernels.GemmBF16(false, false, t, k, n, hg, n, m.w.Half, k, beta(add), dx, k)
		return
	}
	if m.w.Packed {
		m.tiles(scratch, func(row int, w []float32) {
			kernels.Gemm(false, false, t, k, len(w)/k, g[row:], n, w, k, beta(add || row > 0), dx, k)
		})
		return
	}
	kernels.Gemm(false, false, t, k, n, g, n, m.w.Data, k, beta(add), dx, k)
}

// gradWeight is dw[N, K] (+)= g^T[N, t] x[t, K].
func (m product) gradWeight(dw, x, g []float32, t int, add bool, scratch []float32) {
	n, k := m.w.Rows, m.w.Cols
	if m.precision == BFloat16 {
		hx, rest := half(x[:t*k], scratch)
		hg, _ := half(g[:t*n], rest)
		kernels.GemmBF16(true, false, n, k, t, hg, n, hx, k, beta(add), dw, k)
		return
	}
	kernels.Gemm(true, false, n, k, t, g, n, x, k, beta(add), dw, k)
}

// tiles widens a packed matrix, some rows at a time: never are there float32 values of the
// whole of it.
func (m product) tiles(scratch []float32, each func(row int, w []float32)) {
	k := m.w.Cols
	most := tileRows(k)
	for row := 0; row < m.w.Rows; row += most {
		n := min(most, m.w.Rows-row) * k
		m.w.Values(scratch[:n], row*k)
		each(row, scratch[:n])
	}
}

// tileRows is how many rows of k values are worked on at a time: 4 MiB, which stay in a cache.
func tileRows(k int) int { return max(16, (1<<20)/k/16*16) }

// scratch is the floats that the three products need for t rows.
func (m product) scratch(t int) int {
	if m.precision != BFloat16 {
		if m.w.Packed {
			return min(m.w.Rows, tileRows(m.w.Cols)) * m.w.Cols
		}
		return 0
	}
	return halfFloats(t*m.w.Rows) + halfFloats(t*m.w.Cols)
}

// halfFloats is the floats of memory that n bf16 values take, rounded up so
// that what follows them stays aligned.
func halfFloats(n int) int { return (n + 31) / 32 * 16 }

// half rounds x to bf16 at the start of scratch and returns what is left.
func half(x, scratch []float32) (h []kernels.BF16, rest []float32) {
	h = unsafe.Slice((*kernels.BF16)(unsafe.Pointer(&scratch[0])), len(x))
	kernels.ToBF16(h, x)
	return h, scratch[halfFloats(len(x)):]
}

func beta(add bool) float32 {
	if add {
		return 1
	}
	return 0
}
