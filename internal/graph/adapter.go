package graph

import (
	"fmt"
	"hash/fnv"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"lwtrain/internal/kernels"
)

// Adapter is a low-rank change of some rows of a matrix W that stays as it is: products are
// those of W + Scale B A (LoRA, Hu et al. 2021, arXiv:2106.09685, eq. 3). With Magnitude m
// each of its rows is brought to the length m (DoRA, Liu et al. 2024, arXiv:2402.09353, eq.
// 5), where the length that it had is a constant to the gradient (section 4.3 there). Products with A and B are
// float32 in any precision.
type Adapter struct {
	Row, Rows int    // of W
	A, B      *Param // [r, K], [Rows, r]
	Magnitude *Param // [Rows]; nil: rows keep the length that they get
	Scale     float32
	Dropout   float64 // share of the inputs of A that are 0
}

// Params are the adapter's, in a fixed order.
func (a *Adapter) Params() []*Param {
	if a.Magnitude == nil {
		return []*Param{a.A, a.B}
	}
	return []*Param{a.A, a.B, a.Magnitude}
}

// adapt adds to y = x W^T what the adapters of w do.
func (g *Graph) adapt(x, y *gorgonia.Node, w *Param) *gorgonia.Node {
	scaled := false
	for _, a := range w.Adapters {
		y = g.raise(y, g.lower(x, a), a)
		scaled = scaled || a.Magnitude != nil
	}
	if scaled {
		y = g.magnify(y, w)
	}
	return y
}

// lower is scale drop(x) A^T for x [T, K] -> [T, r].
func (g *Graph) lower(x *gorgonia.Node, a *Adapter) *gorgonia.Node {
	t, k, r := rows(x), cols(x), a.A.Rows
	if k != a.A.Cols {
		panic(fmt.Sprintf("graph: adapter %s: input has %d columns, A has %d", a.A.Name, k, a.A.Cols))
	}
	drop := newDropout(a)
	work := t * r
	if drop.threshold > 0 {
		work += t * k
	}
	g.reserve(work)
	// scaled is grad times the scale, in scratch memory of which it returns the rest.
	scaled := func(grad []float32) (dh, rest []float32) {
		scratch := g.work(work)
		dh, rest = scratch[:t*r], scratch[t*r:]
		for i, v := range grad {
			dh[i] = a.Scale * v
		}
		return dh, rest
	}
	return apply(&op{
		name: "lora-a " + a.A.Name,
		cost: 1,
		in:   []operand{floats(2), floats(2)},
		out:  tensor.Shape{t, r},
		run: func(out []float32, _ bool, in []gorgonia.Value) {
			if g.Base {
				return // nobody reads it
			}
			x := drop.apply(g.work(work)[t*r:], f32(in[0]), g.in.Keys, k)
			kernels.Gemm(false, true, t, r, k, x, k, a.A.Data, k, 0, out, r)
			for i := range out {
				out[i] *= a.Scale
			}
		},
		wrt: []bool{true, true},
		diff: func(in gorgonia.Nodes, grad *gorgonia.Node) gorgonia.Nodes {
			da := apply(&op{
				name:        "lora-da " + a.A.Name,
				in:          []operand{floats(2), floats(2)},
				out:         tensor.Shape{r, k},
				accumulates: true,
				run: func(out []float32, add bool, in []gorgonia.Value) {
					dh, rest := scaled(f32(in[1]))
					x := drop.apply(rest, f32(in[0]), g.in.Keys, k)
					kernels.Gemm(true, false, r, k, t, dh, r, x, k, beta(add), out, k)
				},
			}, in[0], grad)
			dx := apply(&op{
				name:        "lora-dx " + a.A.Name,
				in:          []operand{floats(2), floats(2)},
				out:         tensor.Shape{t, k},
				accumulates: true,
				run: func(out []float32, add bool, in []gorgonia.Value) {
					dh, rest := scaled(f32(in[0]))
					if !drop.on(g.in.Keys) {
						kernels.Gemm(false, false, t, k, r, dh, r, a.A.Data, k, beta(add), out, k)
						return
					}
					kernels.Gemm(false, false, t, k, r, dh, r, a.A.Data, k, 0, rest, k)
					dx := drop.apply(rest, rest[:t*k], g.in.Keys, k)
					if add {
						kernels.Add(out, out, dx)
					} else {
						kernels.Copy(out, dx)
					}
				},
			}, grad, in[1])
			return gorgonia.Nodes{dx, da}
		},
	}, x, g.param(a.A))
}

// raise adds h B^T, for h [T, r], to the adapter's columns of y [T, N].
func (g *Graph) raise(y, h *gorgonia.Node, a *Adapter) *gorgonia.Node {
	t, n, r := rows(y), cols(y), a.A.Rows
	if a.B.Rows != a.Rows || a.B.Cols != r || a.Row+a.Rows > n {
		panic(fmt.Sprintf("graph: adapter %s: [%d, %d] for rows %d to %d of %d and rank %d", a.B.Name, a.B.Rows, a.B.Cols,
			a.Row, a.Row+a.Rows, n, r))
	}
	return apply(&op{
		name:    "lora-b " + a.B.Name,
		cost:    1,
		in:      []operand{floats(2), floats(2), floats(2)},
		out:     tensor.Shape{t, n},
		inPlace: []int{0},
		run: func(out []float32, _ bool, in []gorgonia.Value) {
			if y := f32(in[0]); &out[0] != &y[0] {
				kernels.Copy(out, y)
			}
			if !g.Base {
				kernels.Gemm(false, true, t, a.Rows, r, f32(in[1]), r, a.B.Data, r, 1, out[a.Row:], n)
			}
		},
		wrt: []bool{true, true, true},
		diff: func(in gorgonia.Nodes, grad *gorgonia.Node) gorgonia.Nodes {
			db := apply(&op{
				name:        "lora-db " + a.B.Name,
				in:          []operand{floats(2), floats(2)},
				out:         tensor.Shape{a.Rows, r},
				accumulates: true,
				run: func(out []float32, add bool, in []gorgonia.Value) {
					kernels.Gemm(true, false, a.Rows, r, t, f32(in[1])[a.Row:], n, f32(in[0]), r, beta(add), out, r)
				},
			}, in[1], grad)
			dh := apply(&op{
				name: "lora-dh " + a.B.Name,
				in:   []operand{floats(2), floats(2)},
				out:  tensor.Shape{t, r},
				run: func(out []float32, _ bool, in []gorgonia.Value) {
					kernels.Gemm(false, false, t, r, a.Rows, f32(in[0])[a.Row:], n, a.B.Data, r, 0, out, r)
				},
			}, grad, in[2])
			return gorgonia.Nodes{grad, dh, db}
		},
	}, y, h, g.param(a.B))
}

// magnify brings the columns of y [T, N] to what they are with rows of w of the lengths that its
// adapters say: each is multiplied by its magnitude over the length of its row.
func (g *Graph) magnify(y *gorgonia.Node, w *Param) *gorgonia.Node {
	t, n := rows(y), cols(y)
	in, operands, wrt := gorgonia.Nodes{y}, []operand{floats(2)}, []bool{true}
	for _, a := range w.Adapters {
		in = append(in, g.param(a.Magnitude), g.lengths(w, a))
		operands, wrt = append(operands, floats(1), floats(1)), append(wrt, true, false)
	}
	// by multiplies columns; factors of all adapters follow from in[first:].
	by := func(out, y []float32, in []gorgonia.Value) {
		for i, a := range w.Adapters {
			magnitude, length := f32(in[2*i]), f32(in[2*i+1])
			factors := g.work(n)[:a.Rows]
			for c := range factors {
				factors[c] = magnitude[c] / length[c]
			}
			for at := a.Row; at < t*n; at += n {
				row, from := out[at:at+a.Rows], y[at:at+a.Rows]
				for c, f := range factors {
					row[c] = from[c] * f
				}
			}
		}
	}
	through := func(out, y []float32) {
		if &out[0] != &y[0] {
			kernels.Copy(out, y)
		}
	}
	g.reserve(n)
	return apply(&op{
		name:    "dora " + w.Name,
		cost:    1,
		in:      operands,
		out:     tensor.Shape{t, n},
		inPlace: []int{0},
		run: func(out []float32, _ bool, in []gorgonia.Value) {
			through(out, f32(in[0]))
			if !g.Base {
				by(out, f32(in[0]), in[1:])
			}
		},
		wrt: wrt,
		diff: func(in gorgonia.Nodes, grad *gorgonia.Node) gorgonia.Nodes {
			grads := make(gorgonia.Nodes, len(in))
			for i, a := range w.Adapters {
				grads[1+2*i] = g.magnitudeGrad(in[0], in[2+2*i], grad, a)
			}
			grads[0] = apply(&op{
				name:    "dora-dx " + w.Name,
				in:      operands,
				out:     tensor.Shape{t, n},
				inPlace: []int{0},
				run: func(out []float32, _ bool, in []gorgonia.Value) {
					through(out, f32(in[0]))
					by(out, f32(in[0]), in[1:])
				},
			}, append(gorgonia.Nodes{grad}, in[1:]...)...)
			return grads
		},
	}, in...)
}

// magnitudeGrad is the sum over the tokens of grad times y, over the lengths [Rows].
func (g *Graph) magnitudeGrad(y, lengths, grad *gorgonia.Node, a *Adapter) *gorgonia.Node {
	t, n := rows(y), cols(y)
	sums := make([]float64, a.Rows)
	return apply(&op{
		name:        "dora-dm " + a.Magnitude.Name,
		in:          []operand{floats(2), floats(1), floats(2)},
		out:         tensor.Shape{a.Rows},
		accumulates: true,
		run: func(out []float32, add bool, in []gorgonia.Value) {
			y, lengths, grad := f32(in[0]), f32(in[1]), f32(in[2])
			clear(sums)
			for at := a.Row; at < t*n; at += n {
				d := grad[at : at+a.Rows]
				for c, v := range y[at : at+a.Rows] {
					sums[c] += float64(v) * float64(d[c])
				}
			}
			for c, sum := range sums {
				if sum /= float64(lengths[c]); add {
					sum += float64(out[c])
				}
				out[c] = float32(sum)
			}
		},
	}, y, lengths, grad)
}

// lengths are those of the rows of W + scale B A [Rows]: constants to the gradient.
func (g *Graph) lengths(w *Param, a *Adapter) *gorgonia.Node {
	g.reserve(a.lengthsScratch())
	return apply(&op{
		name: "dora-lengths " + a.A.Name,
		cost: 3, // few values: always kept
		in:   []operand{floats(2), floats(2)},
		out:  tensor.Shape{a.Rows},
		run: func(out []float32, _ bool, _ []gorgonia.Value) {
			if !g.Base {
				a.Lengths(w, out, g.work(a.lengthsScratch()))
			}
		},
	}, g.param(a.A), g.param(a.B))
}

func (a *Adapter) lengthsScratch() int {
	return min(a.Rows, tileRows(a.A.Cols)) * (a.A.Cols + a.A.Rows)
}

// Lengths are those of the adapter's rows of W + Scale B A. scratch may be nil.
func (a *Adapter) Lengths(w *Param, lengths, scratch []float32) {
	if scratch == nil {
		scratch = make([]float32, a.lengthsScratch())
	}
	k := w.Cols
	a.merged(w, scratch, func(row int, values []float32) {
		for i := range len(values) / k {
			lengths[row+i] = float32(math.Sqrt(kernels.SumSquares(values[i*k : (i+1)*k])))
		}
	})
}

// merged makes the adapter's rows of W + Scale B A, some at a time, the first of which is told.
func (a *Adapter) merged(w *Param, scratch []float32, each func(row int, values []float32)) {
	k, r := w.Cols, a.A.Rows
	most := tileRows(k)
	for row := 0; row < a.Rows; row += most {
		n := min(most, a.Rows-row)
		values, b := scratch[:n*k], scratch[n*k:n*k+n*r]
		w.Values(values, (a.Row+row)*k)
		for i, v := range a.B.Data[row*r : (row+n)*r] {
			b[i] = a.Scale * v
		}
		kernels.Gemm(false, false, n, k, r, b, r, a.A.Data, k, 1, values, k)
		each(row, values)
	}
}

// Merge makes the adapter's change one of W itself, whose values are float32.
func (a *Adapter) Merge(w *Param) {
	k := w.Cols
	a.merged(w, make([]float32, a.lengthsScratch()), func(row int, values []float32) {
		if a.Magnitude != nil {
			for i := range len(values) / k {
				one := values[i*k : (i+1)*k]
				factor := a.Magnitude.Data[row+i] / float32(math.Sqrt(kernels.SumSquares(one)))
				for c := range one {
					one[c] *= factor
				}
			}
		}
		copy(w.Data[(a.Row+row)*k:], values)
	})
}

// dropout makes inputs 0 by chance: which ones follows from the key of a row and the adapter
// alone, so that they are the same however often and beside whatever a text is computed.
type dropout struct {
	salt      uint64
	threshold uint64  // of 1<<16: a value below it is dropped
	keep      float32 // what the others are multiplied by
}

// Drops says which inputs of A are 0 for a token with a key: those whose number is below threshold, of 16 bits, four from each
// of Mix(key ^ salt + i * 0x9e3779b97f4a7c15) for i from 1 on, the lowest first. The others are divided by 1 - threshold / 65536.
func (a *Adapter) Drops() (salt, threshold uint64) {
	h := fnv.New64a()
	fmt.Fprint(h, a.A.Name)
	return h.Sum64(), min(uint64(math.Round(a.Dropout*(1<<16))), 1<<16-1)
}

func newDropout(a *Adapter) dropout {
	var d dropout
	d.salt, d.threshold = a.Drops()
	d.keep = float32(1 / (1 - float64(d.threshold)/(1<<16)))
	return d
}

// on reports whether any row has dropout.
func (d dropout) on(keys []uint64) bool { return d.threshold > 0 && len(keys) > 0 && keys[0] != 0 }

// apply returns x [T, k] with dropout, in dst, or x itself where there is none. dst may be x.
func (d dropout) apply(dst, x []float32, keys []uint64, k int) []float32 {
	if !d.on(keys) {
		return x
	}
	for t, key := range keys {
		in, out := x[t*k:(t+1)*k], dst[t*k:(t+1)*k]
		state := key ^ d.salt
		var bits uint64
		for c, v := range in {
			if c%4 == 0 {
				state += 0x9e3779b97f4a7c15
				bits = Mix(state)
			}
			if out[c] = v * d.keep; bits&0xffff < d.threshold {
				out[c] = 0
			}
			bits >>= 16
		}
	}
	return dst[:len(x)]
}

// Mix spreads a number over 64 bits (SplitMix64's finaliser, Steele et al. 2014).
func Mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
