package model

import "lwtrain/internal/graph"

// backend is what a forward pass is computed on: symbolically by a
// [graph.Graph] for training, or at once by a [Generator]. T is a tensor of
// that backend, one row for each token.
type backend[T any] interface {
	Embed(table *graph.Param) T
	Norm(x T, w *graph.Param, eps float32) T
	Linear(x T, w, bias *graph.Param) T
	HeadNorm(qkv T, h graph.Heads, w *graph.Param, eps float32) T
	Rotate(qkv T, h graph.Heads, r graph.Rotation) T
	Attend(qkv T, h graph.Heads, layer int) T
	SwiGLU(gateUp T) T
	Add(a, b T) T
	BeginBlock()
	EndBlocks()
}

// forward is the architecture: token embeddings, pre-norm decoder layers, and
// the final norm. What it returns is multiplied with the head to give logits.
func forward[T any](m *Model, on backend[T]) T {
	eps := float32(m.Config.NormEps)
	heads, rotation := m.Config.heads(), m.Config.rotation()
	h := on.Embed(m.embed)
	for i, l := range m.layers {
		on.BeginBlock()
		qkv := on.Linear(on.Norm(h, l.attnNorm, eps), l.qkv, l.qkvBias)
		if l.qkNorm != nil {
			qkv = on.HeadNorm(qkv, heads, l.qkNorm, eps)
		}
		attended := on.Linear(on.Attend(on.Rotate(qkv, heads, rotation), heads, i), l.out, l.outBias)
		if l.attnAfter != nil {
			attended = on.Norm(attended, l.attnAfter, eps)
		}
		h = on.Add(h, attended)
		fed := on.Linear(on.SwiGLU(on.Linear(on.Norm(h, l.ffnNorm, eps), l.gateUp, nil)), l.down, nil)
		if l.ffnAfter != nil {
			fed = on.Norm(fed, l.ffnAfter, eps)
		}
		h = on.Add(h, fed)
	}
	on.EndBlocks()
	return on.Norm(h, m.norm, eps)
}

// Graph builds the training graph for packs of capacity tokens: the weighted
// sum of next-token cross-entropies. It works in mem, or in memory of its own.
func (m *Model) Graph(capacity int, precision graph.Precision, mem *graph.Workspace) *graph.Graph {
	g := graph.New(capacity, precision, mem)
	g.CrossEntropy(forward[*graph.Node](m, g), m.head)
	return g
}
