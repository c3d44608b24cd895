package kernels

import "fmt"

// Taps are the sizes of a causal convolution of each channel by itself: a row sees
// itself and Taps-1 rows before it, none of another document. Weights are w [Dim,
// Taps], the last of which is of the row itself.
//
// Gated, rows of x are 3*Dim: a gate before it, b, one behind it, c, and z, and
// y = c * conv(b * z) (LFM2). Else x has Dim columns and y = silu(conv(x)).
type Taps struct {
	Dim, Taps int
	Gated     bool
}

// Width is the columns of x.
func (c Taps) Width() int {
	if c.Gated {
		return 3 * c.Dim
	}
	return c.Dim
}

func (c Taps) check(x, w, y []float32, starts []int32, rows int) {
	need("x", len(x), rows*c.Width())
	need("w", len(w), c.Dim*c.Taps)
	need("y", len(y), rows*c.Dim)
	checkStarts(starts, rows)
}

// checkStarts holds what documents are against their definition: a row's is its own
// index or the start of the row before.
func checkStarts(starts []int32, rows int) {
	need("starts", len(starts), rows)
	for i, s := range starts[:rows] {
		if int(s) != i && (i == 0 || s != starts[i-1]) {
			panic(fmt.Sprintf("kernels: starts[%d] is %d, want where a document begins", i, s))
		}
	}
}

// Convolve is y [rows, Dim] of x [rows, Width]: [Taps]. starts say where each row's
// document begins.
func Convolve(y, x, w []float32, starts []int32, rows int, c Taps) {
	c.check(x, w, y, starts, rows)
	convolve(y, x, w, starts, rows, c)
}

// ConvolveGrad overwrites dx with the gradient of [Convolve] with regard to x, given dy. It
// works in scratch [rows, Dim].
func ConvolveGrad(dx, x, w, dy []float32, starts []int32, rows int, c Taps, scratch []float32) {
	c.check(x, w, dy, starts, rows)
	need("dx", len(dx), rows*c.Width())
	need("scratch", len(scratch), rows*c.Dim)
	convolveGrad(dx, x, w, dy, starts, rows, c, scratch)
}

// ConvolveGradWeight is the gradient of [Convolve] with regard to w, added to dw with accumulate. It
// works in scratch [rows, Dim].
func ConvolveGradWeight(dw, x, w, dy []float32, starts []int32, rows int, c Taps, accumulate bool, scratch []float32) {
	c.check(x, w, dy, starts, rows)
	need("dw", len(dw), c.Dim*c.Taps)
	need("scratch", len(scratch), rows*c.Dim)
	convolveGradWeight(dw, x, w, dy, starts, rows, c, accumulate, scratch)
}

// Delta are the sizes of a layer of the gated delta rule (Yang, Kautz and Hatamizadeh 2024,
// arXiv:2412.06464, eq. 10) in the form of Qwen3.5. Value head h has the keys and queries of key head h*Keys/Values.
type Delta struct {
	Keys, Values     int // heads
	KeyDim, ValueDim int
	Eps              float32 // of the norm of what is read
}

// Mixed is the columns of queries, keys and values; Gates those of what gates the output, of the rates of
// learning and of those of forgetting; Out those of the result; State the values of a text's state.
func (d Delta) Mixed() int { return 2*d.Keys*d.KeyDim + d.Values*d.ValueDim }
func (d Delta) Gates() int { return d.Values*d.ValueDim + 2*d.Values }
func (d Delta) Out() int   { return d.Values * d.ValueDim }
func (d Delta) State() int { return d.Values * d.KeyDim * d.ValueDim }

// DeltaWeights are the vectors of a layer: ALog and DtBias [Values], Norm [ValueDim].
type DeltaWeights struct{ ALog, DtBias, Norm []float32 }

func (d Delta) check(qkv, gates, out []float32, w DeltaWeights, rows int) {
	need("qkv", len(qkv), rows*d.Mixed())
	need("gates", len(gates), rows*d.Gates())
	need("out", len(out), rows*d.Out())
	need("ALog", len(w.ALog), d.Values)
	need("DtBias", len(w.DtBias), d.Values)
	need("Norm", len(w.Norm), d.ValueDim)
	if d.Keys < 1 || d.Values%d.Keys != 0 {
		panic(fmt.Sprintf("kernels: %d value heads, want a multiple of %d key heads", d.Values, d.Keys))
	}
}

// DeltaRule is out [rows, Out] for qkv [rows, Mixed], the queries, keys and values of all heads, and gates [rows, Gates]: z
// [Values, ValueDim], b [Values], a [Values]. For each value head, with q and k of length 1 (and q over the root of KeyDim):
//
//	beta = sigmoid(b)    g = -exp(ALog) softplus(a + DtBias)
//	S = exp(g) S         u = beta (v - S^T k)
//	S = S + k u^T        o = S^T q
//	out = Norm * o / sqrt(mean(o^2) + Eps) * silu(z)
//
// S begins as 0 with each document. It goes through 64 tokens at a time. state, unless nil, receives that of the
// last document. It works in scratch [d.Scratch(rows)].
func DeltaRule(out, state, qkv, gates []float32, w DeltaWeights, starts []int32, rows int, d Delta, scratch []float32) {
	d.check(qkv, gates, out, w, rows)
	checkStarts(starts, rows)
	if state != nil {
		need("state", len(state), d.State())
	}
	need("scratch", len(scratch), d.Scratch(rows))
	deltaRule(out, state, qkv, gates, w, starts, rows, d, scratch)
}

// DeltaRuleGrad overwrites dqkv, dgates and dw with the gradients of [DeltaRule], given dout. It works in scratch
// [d.ScratchGrad(rows)].
func DeltaRuleGrad(dqkv, dgates []float32, dw DeltaWeights, qkv, gates []float32, w DeltaWeights, dout []float32, starts []int32, rows int,
	d Delta, scratch []float32) {
	d.check(qkv, gates, dout, w, rows)
	d.check(dqkv, dgates, dout, dw, rows)
	checkStarts(starts, rows)
	need("scratch", len(scratch), d.ScratchGrad(rows))
	deltaRuleGrad(dqkv, dgates, dw, qkv, gates, w, dout, starts, rows, d, scratch)
}

// DeltaStep is [DeltaRule] for one token of each text, whose states [State] are moved on. A text's row is the same bytes
// whatever texts are beside it.
func DeltaStep(out []float32, states [][]float32, qkv, gates []float32, w DeltaWeights, d Delta) {
	d.check(qkv, gates, out, w, len(states))
	for _, s := range states {
		need("state", len(s), d.State())
	}
	if len(states) > 0 {
		deltaStep(out, states, qkv, gates, w, d)
	}
}

// GatedHeads are the sizes of a tensor x [rows, Width] of query, key and value heads each of whose query heads
// has a gate behind it: q, gate, q, gate, ..., keys, values.
type GatedHeads struct{ Q, KV, Dim int }

// Width is the columns with gates, Plain those without.
func (h GatedHeads) Width() int { return 2 * (h.Q + h.KV) * h.Dim }
func (h GatedHeads) Plain() int { return (h.Q + 2*h.KV) * h.Dim }

func (h GatedHeads) check(x, y []float32, rows, columns int) {
	need("x", len(x), rows*h.Width())
	need("y", len(y), rows*columns)
}

// SplitHeads is qkv [rows, Plain], the heads of x without gates.
func SplitHeads(qkv, x []float32, rows int, h GatedHeads) {
	h.check(x, qkv, rows, h.Plain())
	splitHeads(qkv, x, rows, h, false, false)
}

// SplitHeadsGrad is the gradient of [SplitHeads], given dqkv; with accumulate it is added to dx.
func SplitHeadsGrad(dx, dqkv []float32, rows int, h GatedHeads, accumulate bool) {
	h.check(dx, dqkv, rows, h.Plain())
	splitHeads(dqkv, dx, rows, h, true, accumulate)
}

// GateHeads is y [rows, Q*Dim] = a sigmoid(gate), head by head, for a [rows, Q*Dim] and the gates of x. y may be a.
func GateHeads(y, a, x []float32, rows int, h GatedHeads) {
	h.check(x, y, rows, h.Q*h.Dim)
	need("a", len(a), rows*h.Q*h.Dim)
	gateHeads(y, a, x, rows, h)
}

// GateHeadsGrad is the gradient of [GateHeads] with regard to x; with accumulate it is added to dx. That
// with regard to a is GateHeads of dy.
func GateHeadsGrad(dx, a, x, dy []float32, rows int, h GatedHeads, accumulate bool) {
	h.check(x, dy, rows, h.Q*h.Dim)
	need("a", len(a), rows*h.Q*h.Dim)
	need("dx", len(dx), rows*h.Width())
	gateHeadsGrad(dx, a, x, dy, rows, h, accumulate)
}
