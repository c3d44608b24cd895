package model

import "lwtrain/internal/graph"

// backend is what a forward pass is computed on: symbolically by a
// [graph.Graph] for training, or at once by a [Generator]. T is a tensor of
// that backend, one row for each token.
type backend[T any] interface {
	Embed(table *graph.Param) T
	Scale(x T, factor float32) T
	Center(x T) T
	Norm(x T, w *graph.Param, eps float32) T
	Linear(x T, w, bias *graph.Param) T
	HeadNorm(qkv T, h graph.Heads, w *graph.Param, eps float32) T
	Rotate(qkv T, h graph.Heads, r graph.Rotation) T
	Attend(qkv T, h graph.Heads, how graph.Attention) T
	SplitHeads(x T, h graph.Heads) T
	GateHeads(attended, x T, h graph.Heads) T
	Convolve(x T, w *graph.Param, taps graph.Taps, layer int) T
	DeltaRule(qkv, gates T, p graph.DeltaParams, d graph.Delta, layer int) T
	Gated(gateUp T, gelu bool) T
	Add(a, b T) T
	BeginBlock()
	EndBlocks()
}

// forward is the architecture: token embeddings, decoder layers of attention and a gated
// feed-forward with norms before or behind them, one after the other or side by side, and the final norm. What it returns is
// multiplied with the head to give logits.
func forward[T any](m *Model, on backend[T]) T {
	c := &m.Config
	eps := float32(c.NormEps)
	full, local := c.rotation(c.Rope), c.rotation(c.LocalRope)
	norm := func(x T, w *graph.Param) T { // of what the layers have one for
		if w == nil {
			return x
		}
		if c.centred {
			x = on.Center(x)
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
		x := norm(h, l.attnNorm)
		var mixed T
		if c.Is(i) {
			mixed = recur(c, on, l, i, x)
		} else {
			turn := &full
			if c.Attention[i].Local {
				turn = &local
			}
			mixed = attend(c, on, l, i, x, turn)
		}
		h = on.Add(h, scale(norm(on.Linear(mixed, l.out, l.outBias), l.attnAfter), c.Scales.Residual))
		if !c.Parallel {
			x = norm(h, l.ffnNorm)
		}
		fed := on.Linear(on.Gated(on.Linear(x, l.gateUp, nil), c.GELU), l.down, nil)
		h = on.Add(h, scale(norm(fed, l.ffnAfter), c.Scales.Residual))
	}
	on.EndBlocks()
	return scale(norm(h, m.norm), c.Scales.Logits)
}

// attend is attention of a layer over its normed input, before the output projection.
func attend[T any](c *Config, on backend[T], l layer, i int, x T, turn *graph.Rotation) T {
	heads, at := c.heads(), c.Attention[i]
	wide := on.Linear(x, l.qkv, l.qkvBias)
	qkv := wide
	if c.Gated {
		qkv = on.SplitHeads(wide, heads)
	}
	if l.qkNorm != nil && !c.normTurned {
		qkv = on.HeadNorm(qkv, heads, l.qkNorm, float32(c.NormEps))
	}
	if at.Turned {
		qkv = on.Rotate(qkv, heads, *turn)
	}
	if l.qkNorm != nil && c.normTurned {
		qkv = on.HeadNorm(qkv, heads, l.qkNorm, float32(c.NormEps))
	}
	attended := on.Attend(qkv, heads, graph.Attention{Layer: i, Scale: float32(c.Scales.Attention), Window: at.Window})
	if c.Gated {
		attended = on.GateHeads(attended, wide, heads)
	}
	return attended
}

// recur is what takes attention's place in a recurrent layer: a convolution between gates, or the gated delta rule behind one.
func recur[T any](c *Config, on backend[T], l layer, i int, x T) T {
	convolved := on.Convolve(on.Linear(x, l.in, nil), l.taps, c.taps(), i)
	if l.gates == nil {
		return convolved
	}
	return on.DeltaRule(convolved, on.Linear(x, l.gates, nil), l.delta, c.delta(), i)
}

// Graph builds the training graph for packs of capacity tokens: the weighted
// sum of next-token cross-entropies. It works in mem, or in memory of its own.
func (m *Model) Graph(capacity int, precision graph.Precision, mem *graph.Workspace) *graph.Graph {
	g := graph.New(capacity, precision, mem)
	g.CrossEntropy(forward[*graph.Node](m, g), m.head)
	return g
}
