package train

import (
	"fmt"
	"math"

	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
)

// AdamW is Adam with decoupled weight decay (Loshchilov and Hutter 2019,
// arXiv:1711.05101, algorithm 2), in the form and the order of operations of
// torch.optim.AdamW. Its state is float32, in the order of Params.
type AdamW struct {
	Beta1, Beta2, Eps, Decay float64

	params []*graph.Param
	mean   [][]float32 // first moments (exp_avg)
	square [][]float32 // second moments (exp_avg_sq)
}

// NewAdamW makes zero moments for params.
func NewAdamW(params []*graph.Param, beta1, beta2, eps, decay float64) *AdamW {
	o := &AdamW{Beta1: beta1, Beta2: beta2, Eps: eps, Decay: decay, params: params}
	for _, p := range params {
		o.mean = append(o.mean, kernels.Alloc(p.Size()))
		o.square = append(o.square, kernels.Alloc(p.Size()))
	}
	return o
}

// Step makes update number step (from 1) with the gradients times scale,
// refreshes the bf16 copies and zeroes the gradients. Weight decay applies to
// matrices only.
func (o *AdamW) Step(step int, rate, scale float64) {
	for i, p := range o.params {
		decay := o.Decay
		if !p.Decay {
			decay = 0
		}
		kernels.AdamW(p.Data, p.Grad, o.mean[i], o.square[i], p.Half, kernels.AdamWStep{
			Rate: rate, Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Eps, Decay: decay, GradScale: scale, Step: step,
		})
	}
}

// Free gives back the memory of the moments.
func (o *AdamW) Free() {
	for i := range o.params {
		kernels.Free(o.mean[i])
		kernels.Free(o.square[i])
	}
}

// gradNorm is the Euclidean norm of all gradients times scale, summed in
// float64 in the order of params.
func gradNorm(params []*graph.Param, scale float64) float64 {
	var sum float64
	for _, p := range params {
		sum += kernels.SumSquares(p.Grad)
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

// notFinite explains a step that must not be taken, or returns nil.
func notFinite(loss, norm float64) error {
	switch {
	case math.IsNaN(loss) || math.IsInf(loss, 0):
		return fmt.Errorf("the loss is %g", loss)
	case math.IsNaN(norm) || math.IsInf(norm, 0):
		return fmt.Errorf("the gradient norm is %g", norm)
	}
	return nil
}
