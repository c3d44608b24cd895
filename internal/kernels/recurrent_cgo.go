//go:build cgo

package kernels

// #include "native.h"
// #include <stdlib.h>
import "C"

import "unsafe"

func convolve(y, x, w []float32, starts []int32, rows int, c Taps) {
	C.lw_conv(cf(y), cf(x), cf(w), ci(starts), n64(rows), n64(c.Dim), n64(c.Taps), cb(c.Gated))
}
func convolveGrad(dx, x, w, dy []float32, starts []int32, rows int, c Taps, scratch []float32) {
	C.lw_conv_slope(cf(scratch), cf(dx), cf(x), cf(w), cf(dy), ci(starts), n64(rows), n64(c.Dim), n64(c.Taps), cb(c.Gated))
	C.lw_conv_grad(cf(dx), cf(x), cf(w), cf(scratch), ci(starts), n64(rows), n64(c.Dim), n64(c.Taps), cb(c.Gated))
}
func convolveGradWeight(dw, x, w, dy []float32, starts []int32, rows int, c Taps, accumulate bool, scratch []float32) {
	C.lw_conv_slope(cf(scratch), nil, cf(x), cf(w), cf(dy), ci(starts), n64(rows), n64(c.Dim), n64(c.Taps), cb(c.Gated))
	C.lw_conv_grad_weight(cf(dw), cf(x), cf(scratch), ci(starts), n64(rows), n64(c.Dim), n64(c.Taps), cb(c.Gated), cb(accumulate))
}

// tiled reports whether the kernels in chunks take the sizes.
func (d Delta) tiled() bool { return d.KeyDim%16 == 0 && d.ValueDim%16 == 0 }

// each is the floats that a thread works in: see chunk_of, head_of and slopes_of.
func (d Delta) each(rows int, grad bool) int {
	const r = C.LW_DELTA_ROWS
	k, v, states := d.KeyDim, d.ValueDim, d.Values/d.Keys*d.KeyDim*d.ValueDim
	n := 5*r*k + 3*r*v + 5*r*r + 5*r + states
	if grad {
		n += 2*r*k + 5*r*v + 4*r*r + 2*k*v + r + (rows+r-1)/r*states
	}
	return n
}

// Scratch and ScratchGrad are the floats that [DeltaRule] and [DeltaRuleGrad] work in.
func (d Delta) Scratch(rows int) int     { return inUse.Threads * d.each(rows, false) }
func (d Delta) ScratchGrad(rows int) int { return inUse.Threads * d.each(rows, true) }

func deltaRule(out, state, qkv, gates []float32, w DeltaWeights, starts []int32, rows int, d Delta, scratch []float32) {
	if !d.tiled() {
		plainDeltaRule(out, state, qkv, gates, w, starts, rows, d, nil)
		return
	}
	C.lw_delta_rule(cf(out), cf(state), cf(qkv), cf(gates), cf(w.ALog), cf(w.DtBias), cf(w.Norm), ci(starts), n64(rows), n64(d.Keys),
		n64(d.Values), n64(d.KeyDim), n64(d.ValueDim), C.float(d.Eps), cf(scratch), n64(d.each(rows, false)))
}
func deltaRuleGrad(dqkv, dgates []float32, dw DeltaWeights, qkv, gates []float32, w DeltaWeights, dout []float32, starts []int32, rows int,
	d Delta, scratch []float32) {
	if !d.tiled() {
		plainDeltaRuleGrad(dqkv, dgates, dw, qkv, gates, w, dout, starts, rows, d, nil)
		return
	}
	C.lw_delta_rule_grad(cf(dqkv), cf(dgates), cf(dw.ALog), cf(dw.DtBias), cf(dw.Norm), cf(qkv), cf(gates), cf(w.ALog), cf(w.DtBias),
		cf(w.Norm), cf(dout), ci(starts), n64(rows), n64(d.Keys), n64(d.Values), n64(d.KeyDim), n64(d.ValueDim), C.float(d.Eps),
		cf(scratch), n64(d.each(rows, true)))
}
func deltaStep(out []float32, states [][]float32, qkv, gates []float32, w DeltaWeights, d Delta) {
	if !d.tiled() {
		plainDeltaStep(out, states, qkv, gates, w, d)
		return
	}
	// C sees pointers into memory outside of the Go heap only; the list of them is C's, too.
	size := C.size_t(len(states)) * C.size_t(unsafe.Sizeof(uintptr(0)))
	list := (**C.float)(C.malloc(size))
	defer C.free(unsafe.Pointer(list))
	all := unsafe.Slice(list, len(states))
	for i, s := range states {
		all[i] = cf(s)
	}
	C.lw_delta_step(cf(out), list, cf(qkv), cf(gates), cf(w.ALog), cf(w.DtBias), cf(w.Norm), n64(len(states)), n64(d.Keys), n64(d.Values),
		n64(d.KeyDim), n64(d.ValueDim), C.float(d.Eps))
}

func splitHeads(qkv, x []float32, rows int, h GatedHeads, back, accumulate bool) {
	C.lw_split_heads(cf(qkv), cf(x), n64(rows), n64(h.Q), n64(h.KV), n64(h.Dim), cb(back), cb(accumulate))
}
func gateHeads(y, a, x []float32, rows int, h GatedHeads) {
	C.lw_gate_heads(cf(y), cf(a), cf(x), n64(rows), n64(h.Q), n64(h.KV), n64(h.Dim))
}
func gateHeadsGrad(dx, a, x, dy []float32, rows int, h GatedHeads, accumulate bool) {
	C.lw_gate_heads_grad(cf(dx), cf(a), cf(x), cf(dy), n64(rows), n64(h.Q), n64(h.KV), n64(h.Dim), cb(accumulate))
}
