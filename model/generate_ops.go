package model

import (
	"math"
	"runtime"
	"time"

	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
)

// The operations of the forward pass, computed at once. Tensors are rows of
// floats, one row for each of g.ids; those of a layer are valid until the end
// of the next one.

func (g *Generator) take(n int) []float32 { return g.memory[g.layer%2].take(n) }

// BeginBlock also gives way to other goroutines now and then: when one has called
// C for 10 ms on end, Go's monitor takes its processor away every 20 µs, and each
// time both threads wait for each other (measured: a fifth of the speed).
func (g *Generator) BeginBlock() {
	if now := time.Now(); now.Sub(g.yielded) > 5*time.Millisecond {
		runtime.Gosched()
		g.yielded = now
	}
	if g.ctx != nil && g.ctx.Err() != nil || g.decode == nil && g.fresh.text != nil && g.fresh.Enough != nil && g.fresh.Enough() {
		g.vain = true
	}
	g.layer++
	g.memory[g.layer%2].reset()
}

func (g *Generator) EndBlocks() { g.BeginBlock() }

func (g *Generator) Embed(table *graph.Param) rowsOf {
	g.vain = false
	for i := range g.memory {
		if len(g.ids) > g.most { // pieces of the old sizes would lie about unused
			g.memory[i].free()
		}
		g.memory[i].reset()
	}
	g.most = max(g.most, len(g.ids))
	y := g.take(len(g.ids) * table.Cols)
	if table.Half != nil {
		for i, id := range g.ids {
			kernels.FromBF16(y[i*table.Cols:(i+1)*table.Cols], table.Half[int(id)*table.Cols:(int(id)+1)*table.Cols])
		}
		return y
	}
	kernels.Embedding(y, table.Data, g.ids, table.Cols)
	return y
}

func (g *Generator) Norm(x rowsOf, w *graph.Param, eps float32) rowsOf {
	y := g.take(len(x))
	kernels.RMSNorm(y, x, w.Weights(), len(g.ids), w.Cols, eps)
	return y
}

func (g *Generator) Center(x rowsOf) rowsOf {
	y := g.take(len(x))
	kernels.Center(y, x, len(g.ids), len(x)/len(g.ids))
	return y
}

func (g *Generator) Scale(x rowsOf, factor float32) rowsOf {
	y := g.take(len(x))
	kernels.Scale(y, x, factor)
	return y
}

func (g *Generator) Linear(x rowsOf, w, bias *graph.Param) rowsOf {
	y := g.take(len(g.ids) * w.Rows)
	g.product(y, x, len(g.ids), w)
	for _, a := range w.Adapters {
		g.adapt(y, x, w.Rows, a)
	}
	if bias != nil {
		kernels.AddRow(y, y, bias.Data, len(g.ids), w.Rows)
	}
	return y
}

// adapt adds to y[rows, n] what an adapter does.
func (g *Generator) adapt(y, x rowsOf, n int, a *graph.Adapter) {
	rows := len(g.ids)
	h, add := g.take(rows*a.A.Rows), g.take(rows*a.Rows)
	g.product(h, x, rows, a.A)
	for i := range h {
		h[i] *= a.Scale
	}
	g.product(add, h, rows, a.B)
	for t := range rows {
		at := y[t*n+a.Row : t*n+a.Row+a.Rows]
		for c, v := range add[t*a.Rows : (t+1)*a.Rows] {
			at[c] += v
		}
		if lengths := g.lengths[a]; lengths != nil {
			for c := range at {
				at[c] *= a.Magnitude.Data[c] / lengths[c]
			}
		}
	}
}

// product is y[rows, N] = x[rows, K] W^T. A token's row is the same bytes whatever rows are
// beside it; a prompt's rows are by themselves.
func (g *Generator) product(y, x []float32, rows int, w *graph.Param) {
	if g.vain {
		return
	}
	half := w.Half != nil // adapters are float32
	switch few := rows <= kernels.FewRows || g.decode != nil; {
	case few && half:
		kernels.LinearFew(y, x, nil, w.Half, rows, w.Rows, w.Cols)
	case few:
		kernels.LinearFew(y, x, w.Data, nil, rows, w.Rows, w.Cols)
	case half:
		if n := rows * w.Cols; len(g.rounded) < n {
			kernels.FreeBF16(g.rounded)
			g.rounded = kernels.AllocBF16(n)
		}
		in := g.rounded[:rows*w.Cols]
		kernels.ToBF16(in, x[:len(in)])
		kernels.GemmBF16(false, true, rows, w.Rows, w.Cols, in, w.Cols, w.Half, w.Cols, 0, y, w.Rows)
	default:
		kernels.Gemm(false, true, rows, w.Rows, w.Cols, x, w.Cols, w.Data, w.Cols, 0, y, w.Rows)
	}
}

func (g *Generator) HeadNorm(qkv rowsOf, h graph.Heads, w *graph.Param, eps float32) rowsOf {
	kernels.HeadNorm(qkv, qkv, w.Weights(), len(g.ids), h.Groups(w.Size()), eps)
	return qkv
}

func (g *Generator) Rotate(qkv rowsOf, h graph.Heads, r graph.Rotation) rowsOf {
	kernels.Rotate(qkv, h.Width(), len(g.ids), g.positions, g.ends, h.Q, h.KV, h.Dim, r, false)
	return qkv
}

func (g *Generator) Attend(qkv rowsOf, h graph.Heads, how graph.Attention) rowsOf {
	rows, width, window := len(g.ids), h.Width(), how.Window
	if window == 0 {
		window = math.MaxInt32
	}
	out := g.take(rows * h.Q * h.Dim)
	if g.vain {
		return out
	}
	if g.decode == nil {
		for i := range g.starts {
			g.starts[i] = int32(max(0, i-window+1))
		}
		kernels.Attention(out, g.take(h.Q*rows), qkv, g.starts, nil, rows, h.Q, h.KV, h.Dim, how.Scale, g.half)
		g.fresh.cache[how.Layer].Put(0, qkv[h.Q*h.Dim:], width, rows)
		return out
	}
	g.texts = g.texts[:0]
	for i, s := range g.decode {
		n := int(g.positions[i]) + 1
		g.texts = append(g.texts, kernels.Cached{Cache: s.cache[how.Layer].Cache, Tokens: n, First: max(0, n-window)})
	}
	if !g.thread {
		kernels.AttendCached(out, qkv, width, g.texts, h.Q, h.KV, h.Dim, how.Scale)
		return out
	}
	for i := range rows { // each stores what the next one sees
		kernels.AttendCached(out[i*h.Q*h.Dim:][:h.Q*h.Dim], qkv[i*width:], width, g.texts[i:i+1], h.Q, h.KV, h.Dim, how.Scale)
	}
	return out
}

func (g *Generator) SplitHeads(x rowsOf, h graph.Heads) rowsOf {
	qkv := g.take(len(g.ids) * h.Width())
	kernels.SplitHeads(qkv, x, len(g.ids), h.Gated())
	return qkv
}

func (g *Generator) GateHeads(attended, x rowsOf, h graph.Heads) rowsOf {
	kernels.GateHeads(attended, attended, x, len(g.ids), h.Gated())
	return attended
}

// Convolve of a text that goes on is that of its newest rows, the last of which is asked for.
func (g *Generator) Convolve(x rowsOf, w *graph.Param, c graph.Taps, layer int) rowsOf {
	rows, width := len(g.ids), c.Width()
	y := g.take(rows * c.Dim)
	if g.vain {
		return y
	}
	if g.decode == nil {
		kernels.Convolve(y, x, w.Data, g.whole(rows), rows, c)
		taps := g.fresh.cache[layer].taps
		clear(taps)
		n := min(rows, c.Taps)
		copy(taps[(c.Taps-n)*width:], x[(rows-n)*width:])
		return y
	}
	newest, starts := g.take(c.Taps*c.Dim), g.whole(c.Taps)
	for i, s := range g.decode {
		taps := s.cache[layer].taps
		copy(taps, taps[width:])
		copy(taps[(c.Taps-1)*width:], x[i*width:(i+1)*width])
		kernels.Convolve(newest, taps, w.Data, starts, c.Taps, c)
		copy(y[i*c.Dim:(i+1)*c.Dim], newest[(c.Taps-1)*c.Dim:])
	}
	return y
}

// whole are the starts of rows of one text.
func (g *Generator) whole(rows int) []int32 {
	if len(g.firsts) < rows {
		g.firsts = make([]int32, rows)
	}
	return g.firsts[:rows]
}

func (g *Generator) DeltaRule(qkv, gates rowsOf, p graph.DeltaParams, d graph.Delta, layer int) rowsOf {
	rows := len(g.ids)
	out := g.take(rows * d.Out())
	if g.vain {
		return out
	}
	if g.decode == nil {
		kernels.DeltaRule(out, g.fresh.cache[layer].state, qkv, gates, p.Weights(), g.whole(rows), rows, d, g.take(d.Scratch(rows)))
		return out
	}
	g.states = g.states[:0]
	for _, s := range g.decode {
		g.states = append(g.states, s.cache[layer].state)
	}
	if !g.thread {
		kernels.DeltaStep(out, g.states, qkv, gates, p.Weights(), d)
		return out
	}
	for i := range rows { // each moves on what the next one sees
		kernels.DeltaStep(out[i*d.Out():], g.states[i:i+1], qkv[i*d.Mixed():], gates[i*d.Gates():], p.Weights(), d)
	}
	return out
}

func (g *Generator) Gated(gateUp rowsOf, gelu bool) rowsOf {
	f := len(gateUp) / len(g.ids) / 2
	y := g.take(len(g.ids) * f)
	kernels.Gated(y, gateUp, len(g.ids), f, gelu)
	return y
}

func (g *Generator) Add(a, b rowsOf) rowsOf {
	y := g.take(len(a))
	kernels.Add(y, a, b)
	return y
}
