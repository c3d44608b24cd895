package native

import (
	"math"

	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
)

// optimizer turns gradients into other weights, and holds what it knows of earlier ones: moments,
// which go into a checkpoint in float32, so that any optimiser goes on from them.
type optimizer interface {
	// step makes update number step (from 1) of all that is trained with the gradients times scale,
	// refreshes the bf16 copies and zeroes the gradients.
	step(step int, rate, scale float64)

	// moment gives a reader of a parameter's moment, one of [moments], from a value on; nil for one that is frozen.
	moment(name string, p *graph.Param) func(dst []float32, from int)
	setMoment(name string, p *graph.Param, values []float32)

	// free gives back the memory of the moments.
	free()
}

// torch's names for the moments.
const (
	means   = "exp_avg"
	squares = "exp_avg_sq"
)

var moments = []string{means, squares}

func newOptimizer(params []*graph.Param, o Options) optimizer {
	if o.Bits8 {
		return newAdamW8(params, o.AdamW)
	}
	return newAdamW(params, o.AdamW)
}

// momentBytes is the memory that an optimiser takes for what is trained.
func momentBytes(params []*graph.Param, o Options) (n int64) {
	for _, p := range params {
		switch {
		case p.Frozen:
		case o.Bits8:
			n += kernels.Moments8Bytes(p.Size())
		default:
			n += 8 * int64(p.Size())
		}
	}
	return n
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
