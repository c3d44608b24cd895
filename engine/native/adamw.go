package native

import (
	"iter"
	"math"

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

// step makes update number step (from 1) with the gradients times scale,
// refreshes the bf16 copies and zeroes the gradients.
func (o *adamW) step(step int, rate, scale float64) {
	for _, p := range o.params {
		if p.Frozen {
			continue
		}
		decay := o.Decay
		if !p.Decay {
			decay = 0
		}
		kernels.AdamW(p.Data, p.Grad, o.mean[p], o.square[p], p.Half, kernels.AdamWStep{
			Rate: rate, Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Epsilon, Decay: decay, GradScale: scale, Step: step,
		})
	}
}

// torch's names for the moments.
const (
	means   = "exp_avg"
	squares = "exp_avg_sq"
)

// state gives the moments under torch's names for them, in a fixed order.
func (o *adamW) state() iter.Seq2[string, map[*graph.Param][]float32] {
	return func(yield func(string, map[*graph.Param][]float32) bool) {
		_ = yield(means, o.mean) && yield(squares, o.square)
	}
}

// free gives back the memory of the moments.
func (o *adamW) free() {
	for _, values := range o.state() {
		for _, v := range values {
			kernels.Free(v)
		}
	}
}

// gradNorm is the Euclidean norm of all gradients times scale, summed in
// float64 in the order of params.
func gradNorm(params []*graph.Param, scale float64) float64 {
	var sum float64
	for _, p := range params {
		if !p.Frozen {
			sum += kernels.SumSquares(p.Grad)
		}
	}
	return math.Sqrt(sum) * scale
}

// clip returns the factor that brings a gradient of the given norm down to
// maxNorm, as torch.nn.utils.clip_grad_norm_ does; 0 switches clipping off.
func clip(norm, maxNorm float64) float64 {
	if maxNorm <= 0 {
		return 1
	}
	return min(1, maxNorm/(norm+1e-6))
}
