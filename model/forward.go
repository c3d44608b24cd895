package model

import "lwtrain/internal/graph"

// backend is what a forward pass is computed on: symbolically by a
// [graph.Graph] for training, or at once by a [Generator]. T is a tensor of
// that backend, one row for each token.
type backend[T any] interface {
	Embed(table *graph.Param) T
	Scale(x T, factor float32) T
	Norm(x T, w *graph.Param, eps float32) T
	Linear(x T, w, bias *graph.Param) T
	HeadNorm(qkv T, h graph.Heads, w *graph.Param, eps float32) T
	Rotate(qkv T, h graph.Heads, r graph.Rotation) T
	Attend(qkv T, h graph.Heads, how graph.Attention) T
	Gated(gateUp T, gelu bool) T
	Add(a, b T) T
	BeginBlock()
	EndBlocks()
}

// forward is the architecture: token embeddings, decoder layers of attention and a gated
// feed-forward with norms before or behind them, and the final norm. What it returns is
// multiplied with the head to give logits.
func forward[T any](m *Model, on backend[T]) T {
	c := &m.Config
	eps, heads := float32(c.NormEps), c.heads()
	full, local := c.rotation(c.Rope), c.rotation(c.LocalRope)
	norm := func(x T, w *graph.Param) T { // of what the layers have one for
		if w == nil {
			return x
		}
		return on.Norm(x, w, eps)
	}
	scale := func(x T, factor float64) T {
		if factor == 1 {
			return x
		}
		return on.Scale(x, float32(factor))
	}
	h := scale(on.Embed(m.embed), c.Scales.Embedding)
	for i, l := range m.layers {
		on.BeginBlock()
		at := c.Attention[i]
		qkv := on.Linear(norm(h, l.attnNorm), l.qkv, l.qkvBias)
		if l.qkNorm != nil {
			qkv = on.HeadNorm(qkv, heads, l.qkNorm, eps)
		}
		switch {
		case at.Local:
			qkv = on.Rotate(qkv, heads, local)
		case at.Turned:
			qkv = on.Rotate(qkv, heads, full)
		}
		attended := on.Attend(qkv, heads, graph.Attention{Layer: i, Scale: float32(c.Scales.Attention), Window: at.Window})
		h = on.Add(h, scale(norm(on.Linear(attended, l.out, l.outBias), l.attnAfter), c.Scales.Residual))
		fed := on.Linear(on.Gated(on.Linear(norm(h, l.ffnNorm), l.gateUp, nil), c.GELU), l.down, nil)
		h = on.Add(h, scale(norm(fed, l.ffnAfter), c.Scales.Residual))
	}
	on.EndBlocks()
	return scale(on.Norm(h, m.norm, eps), c.Scales.Logits)
}

// Graph builds the training graph for packs of capacity tokens: the weighted
// sum of next-token cross-entropies. It works in mem, or in memory of its own.
func (m *Model) Graph(capacity int, precision graph.Precision, mem *graph.Workspace) *graph.Graph {
	g := graph.New(capacity, precision, mem)
	g.CrossEntropy(forward[*graph.Node](m, g), m.head)
	return g
}
