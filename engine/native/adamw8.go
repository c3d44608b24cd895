package native

import (
	"hash/fnv"

	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
)

// adamW8 is AdamW with its state in 8 bits ([kernels.Moments8]), for the parameters that are trained. It
// takes packed weights, of 24 bits, and float32 ones: vectors and adapters.
type adamW8 struct {
	AdamW
	params  []*graph.Param
	moments map[*graph.Param]kernels.Moments8
}

func newAdamW8(params []*graph.Param, how AdamW) *adamW8 {
	o := &adamW8{AdamW: how, params: params, moments: map[*graph.Param]kernels.Moments8{}}
	for _, p := range params {
		if !p.Frozen {
			o.moments[p] = kernels.AllocMoments8(p.Size())
		}
	}
	return o
}

// step implements [optimizer]. How weights are rounded follows from their name and the step.
func (o *adamW8) step(step int, rate, scale float64) {
	for _, p := range o.params {
		if p.Frozen {
			continue
		}
		h := fnv.New32a()
		h.Write([]byte(p.Name))
		seed := uint32(graph.Mix(uint64(h.Sum32())<<32 + uint64(step)))
		w := kernels.Weights{Float: p.Data, Half: p.Half, Low: p.Low}
		kernels.AdamW8(w, p.Grad, o.moments[p], o.numbers(p, step, rate, scale), seed)
		p.RefreshHalf()
	}
}

// moment implements [optimizer].
func (o *adamW8) moment(name string, p *graph.Param) func(dst []float32, from int) {
	m, ok := o.moments[p]
	switch {
	case !ok:
		return nil
	case name == squares:
		return m.Squares
	}
	return m.Means
}

// setMoment implements [optimizer].
func (o *adamW8) setMoment(name string, p *graph.Param, values []float32) {
	if m := o.moments[p]; name == squares {
		m.SetSquares(values)
	} else {
		m.SetMeans(values)
	}
}

// free implements [optimizer].
func (o *adamW8) free() {
	for _, m := range o.moments {
		m.Free()
	}
}
