package graph

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"lwtrain/internal/kernels"
)

// logitRows is how many positions have their logits in memory at once.
const logitRows = 256

// CrossEntropy ends the graph: logits = h W^T for h [T, D], W [V, D], and the
// loss is the sum over the positions t with a weight of
//
//	weights[t] * -ln softmax(logits[t])[targets[t]]
//
// Logits exist for a few hundred positions at a time and only for positions
// that carry weight, so memory does not grow with T x V. In a compiled
// [Program] that also wants the gradients, the loss and both gradients are
// computed together from one set of logits (three matrix products instead of
// five); on any other machine each op computes its own.
func (g *Graph) CrossEntropy(h *gorgonia.Node, w *Param) {
	t, d := rows(h), cols(h)
	c := &crossEntropy{
		product: product{w, g.precision}, dim: d, work: g.work,
		upstream: 1,
		NLL:      make([]float64, t),
		rows:     make([]int32, 0, t),
	}
	rows := min(t, logitRows)
	g.reserve(c.scratch(rows))
	g.widest = max(g.widest, w.Rows*d+rows*w.Rows)
	in := []operand{floats(2), floats(2), ints(1), floats(1)}
	withGrad := append(slices.Clone(in), operand{0, tensor.Float32})
	g.loss = c
	g.lossN = apply(&op{
		name: "cross-entropy " + w.Name,
		in:   in,
		out:  tensor.ScalarShape(),
		run: func(out []float32, _ bool, in []gorgonia.Value) {
			if !c.deferred {
				c.compute(in, nil, nil)
			}
			out[0] = float32(c.Loss)
		},
		wrt: []bool{true, true, false, false},
		diff: func(in gorgonia.Nodes, grad *gorgonia.Node) gorgonia.Nodes {
			dw := apply(&op{
				name:        "cross-entropy-dw " + w.Name,
				in:          withGrad,
				out:         tensor.Shape{w.Rows, w.Cols},
				accumulates: true,
				run: func(out []float32, add bool, in []gorgonia.Value) {
					if c.deferred {
						return // cross-entropy-dx has added it to the gradient
					}
					if !add {
						clear(out)
					}
					c.upstream = scalar(in[4])
					c.compute(in, nil, out)
				},
			}, append(slices.Clone(in), grad)...)
			c.dx = apply(&op{
				name: "cross-entropy-dx " + w.Name,
				in:   withGrad,
				out:  tensor.Shape{t, d},
				run: func(out []float32, _ bool, in []gorgonia.Value) {
					c.upstream = scalar(in[4])
					if c.deferred {
						c.compute(in, out, c.product.w.Grad)
					} else {
						c.compute(in, out, nil)
					}
				},
			}, append(slices.Clone(in), grad)...)
			return gorgonia.Nodes{c.dx, dw, nil, nil}
		},
	}, h, g.param(w), g.targets, g.weights)
}

// crossEntropy is the state that the loss op and its two gradient ops share.
type crossEntropy struct {
	product product
	dim     int
	work    func(n int) []float32

	// dx is the node of cross-entropy-dx, once derived. deferred is set by a program
	// that runs it: that op then computes everything, the other two nothing.
	dx       *gorgonia.Node
	deferred bool
	upstream float32 // the gradient with regard to the loss, 1 in training

	// weigh, when set, gives the positions their weights once their losses are
	// known.
	weigh func(nll []float64, weights []float32)

	Loss float64   // the weighted sum
	NLL  []float64 // [T] -ln p of each position's target, 0 where there is none

	rows    []int32 // positions that carry weight
	targets [logitRows]int32
	weights [logitRows]float32
	nll     [logitRows]float64
}

// padded rounds the rows of a chunk up, so that the matrix products of a run
// have few shapes: oneDNN keeps compiled code for each.
func padded(rows int) int { return (rows + 31) / 32 * 32 }

// scratch is the floats that chunk takes for n positions.
func (c *crossEntropy) scratch(n int) int {
	n = padded(n)
	return n*c.product.w.Rows + 2*n*c.dim + c.product.scratch(n)
}

// compute fills Loss and NLL; dx [T, D], if wanted, is overwritten with the
// gradient of the hidden states, and dw [V, D], if wanted, added to.
func (c *crossEntropy) compute(in []gorgonia.Value, dx, dw []float32) {
	h, targets, weights := f32(in[0]), i32(in[2]), f32(in[3])
	clear(c.NLL)
	c.weighed(targets, weights)
	if dx != nil {
		kernels.Zero(dx)
	}
	if c.weigh != nil && (dx != nil || dw != nil) {
		c.chunks(h, targets, weights, nil, nil)
		c.weigh(c.NLL, weights)
		c.weighed(targets, weights)
	}
	c.chunks(h, targets, weights, dx, dw)
	c.Loss = 0
	for _, t := range c.rows { // in the order of positions, whatever the chunks
		c.Loss += float64(weights[t]) * c.NLL[t]
	}
}

// weighed lists the positions that carry weight.
func (c *crossEntropy) weighed(targets []int32, weights []float32) {
	c.rows = c.rows[:0]
	for t, w := range weights {
		if w != 0 && targets[t] >= 0 {
			c.rows = append(c.rows, int32(t))
		}
	}
}

func (c *crossEntropy) chunks(h []float32, targets []int32, weights, dx, dw []float32) {
	for at := 0; at < len(c.rows); at += logitRows {
		c.chunk(c.rows[at:min(at+logitRows, len(c.rows))], h, targets, weights, dx, dw)
	}
}

// chunk handles the positions at: it gathers their hidden states, turns their
// logits into the gradient of the logits in place, and makes the two products
// of the backward pass.
func (c *crossEntropy) chunk(at []int32, h []float32, targets []int32, weights, dx, dw []float32) {
	n, v, d := padded(len(at)), c.product.w.Rows, c.dim
	scratch := c.work(c.scratch(n))
	logits, scratch := scratch[:n*v], scratch[n*v:]
	hidden, scratch := scratch[:n*d], scratch[n*d:]
	dh, scratch := scratch[:n*d], scratch[n*d:]
	for i, t := range at {
		copy(hidden[i*d:(i+1)*d], h[int(t)*d:])
		c.targets[i], c.weights[i] = targets[t], weights[t]*c.upstream
	}
	for i := len(at); i < n; i++ {
		clear(hidden[i*d : (i+1)*d])
		c.targets[i], c.weights[i] = -1, 0
	}
	c.product.forward(logits, hidden, n, false, scratch)
	kernels.CrossEntropy(logits, n, v, c.targets[:n], c.weights[:n], c.nll[:n], dx != nil || dw != nil)
	for i, t := range at {
		c.NLL[t] = c.nll[i]
	}
	if dw != nil {
		c.product.gradWeight(dw, hidden, logits, n, true, scratch)
	}
	if dx != nil {
		c.product.gradInput(dh, logits, n, false, scratch)
		for i, t := range at {
			copy(dx[int(t)*d:(int(t)+1)*d], dh[i*d:])
		}
	}
}

func scalar(v gorgonia.Value) float32 {
	switch v := v.(type) {
	case *gorgonia.F32:
		return float32(*v)
	case *tensor.Dense:
		return v.Float32s()[0]
	}
	panic(fmt.Sprintf("graph: a scalar gradient of type %T", v))
}
