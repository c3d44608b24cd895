package native

import (
	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
)

// AdamW is Adam with decoupled weight decay (Loshchilov and Hutter 2019,
// arXiv:1711.05101, algorithm 2), in the form and the order of operations of
// torch.optim.AdamW. Decay applies to matrices only.
type AdamW struct{ Beta1, Beta2, Epsilon, Decay float64 }

// adamW holds AdamW's state in float32, for the parameters that are trained.
type adamW struct {
	AdamW
	params []*graph.Param
	mean   map[*graph.Param][]float32 // first moments
	square map[*graph.Param][]float32 // second moments
}

// newAdamW makes zero moments for the params that are not frozen.
func newAdamW(params []*graph.Param, how AdamW) *adamW {
	o := &adamW{AdamW: how, params: params, mean: map[*graph.Param][]float32{}, square: map[*graph.Param][]float32{}}
	for _, p := range params {
		if !p.Frozen {
			o.mean[p], o.square[p] = kernels.Alloc(p.Size()), kernels.Alloc(p.Size())
		}
	}
	return o
}

// step implements [optimizer].
func (o *adamW) step(step int, rate, scale float64) {
	for _, p := range o.params {
		if p.Frozen {
			continue
		}
		kernels.AdamW(p.Data, p.Grad, o.mean[p], o.square[p], p.Half, o.numbers(p, step, rate, scale))
	}
}

// numbers are those of an update of a parameter.
func (o AdamW) numbers(p *graph.Param, step int, rate, scale float64) kernels.AdamWStep {
	decay := o.Decay
	if !p.Decay {
		decay = 0
	}
	return kernels.AdamWStep{
		Rate: rate, Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Epsilon, Decay: decay, GradScale: scale, Step: step,
	}
}

// moment implements [optimizer].
func (o *adamW) moment(name string, p *graph.Param) func(dst []float32, from int) {
	values := o.values(name)[p]
	if values == nil {
		return nil
	}
	return func(dst []float32, from int) { copy(dst, values[from:]) }
}

// setMoment implements [optimizer].
func (o *adamW) setMoment(name string, p *graph.Param, values []float32) {
	copy(o.values(name)[p], values)
}

func (o *adamW) values(name string) map[*graph.Param][]float32 {
	if name == squares {
		return o.square
	}
	return o.mean
}

// free implements [optimizer].
func (o *adamW) free() {
	for p := range o.mean {
		kernels.Free(o.mean[p])
		kernels.Free(o.square[p])
	}
}
