package train

import (
	"fmt"
	"syscall"

	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
	"lwtrain/internal/machine"
	"lwtrain/model"
)

// Memory is what a run will take, by part, in bytes, and how it was decided.
type Memory struct {
	Precision   graph.Precision
	Recompute   int   // how much is computed again in the backward pass: [graph.Options.Recompute]
	Layers      int   // of the model
	Weights     int64 // float32 master weights
	Half        int64 // bf16 copies of the matrices
	Gradients   int64
	Optimizer   int64 // two moments
	Activations int64 // arena, scratch and attention statistics
	Limit       int64 // what auto kept below: the option, or the machine's free memory

	capacity    int
	shared      *graph.Memory // that the programs work in
	graph       *graph.Graph
	train, eval *graph.Program
}

// Total is the sum of all parts.
func (m *Memory) Total() int64 {
	return m.Weights + m.Half + m.Gradients + m.Optimizer + m.Activations
}

// Machine says what computes, and in which precision: what the bytes of a run
// depend on besides its config and its data.
func (m *Memory) Machine() string {
	k := kernels.Describe()
	threads := fmt.Sprint(k.Threads, " threads")
	if k.Threads == 1 {
		threads = "1 thread"
	}
	return fmt.Sprintf("%s, %s, %s, %s", threads, k.ISA, k.Product, m.Precision)
}

// RecomputedText says in words what is computed again.
func (m *Memory) RecomputedText() string {
	part := func(k int) int { return min(max(m.Recompute-k*m.Layers, 0), m.Layers) }
	switch {
	case m.Recompute == 0:
		return "nothing is computed again"
	case part(1) == 0:
		return fmt.Sprintf("norms and SwiGLU of %d of %d layers computed again", part(0), m.Layers)
	case part(2) == 0:
		return fmt.Sprintf("%d of %d layers computed again but their attention", part(1), m.Layers)
	}
	return fmt.Sprintf("%d layers computed again, attention in %d", m.Layers, part(2))
}

// PlanMemory decides precision and gradient checkpointing for a run and says
// what it will take. The model may be without weights ([model.Plan]).
func PlanMemory(m *model.Model, capacity int, opt Options) (*Memory, error) {
	n := 4 * m.Config.Parameters()
	plan := &Memory{Layers: m.Config.Layers, Weights: n, Gradients: n, Optimizer: 2 * n, Limit: opt.memoryLimit()}
	if opt.Precision == "bf16" || (opt.Precision == "auto" && kernels.Describe().NativeBF16) {
		plan.Precision = graph.BFloat16
		plan.Half = n / 2
	}
	plan.capacity, plan.shared = capacity, &graph.Memory{}
	plan.graph = m.Graph(capacity, plan.Precision, plan.shared)
	var err error
	if plan.eval, err = plan.graph.Compile(graph.Options{}); err != nil {
		return nil, err
	}
	fits := func(steps int) bool {
		if plan.train, err = plan.graph.Compile(graph.Options{Train: true, Recompute: steps}); err != nil {
			return true
		}
		plan.Recompute = steps
		plan.Activations = max(plan.train.Bytes(), plan.eval.Bytes())
		return plan.Total() <= plan.Limit
	}
	most := 3 * plan.Layers
	switch opt.GradientCheckpointing {
	case "true":
		fits(most)
	case "false":
		fits(0)
	default:
		leastRecompute(most, fits)
	}
	return plan, err
}

// leastRecompute finds the least that fits, or most if nothing does, by bisection:
// memory falls as more is computed again. It is what fits is asked last.
func leastRecompute(most int, fits func(steps int) bool) {
	if fits(0) || !fits(most) {
		return
	}
	low, high := 0, most // low does not fit, high does
	for high-low > 1 {
		if mid := (low + high) / 2; fits(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	fits(high)
}

// memoryLimit is the option in bytes, or nine tenths of what the machine has
// free now.
func (o Options) memoryLimit() int64 {
	if o.MemoryLimit > 0 {
		return int64(o.MemoryLimit)
	}
	return machine.ReadMemory().Available() / 10 * 9
}

// peakRSS is the largest resident size that the process has had, in bytes.
func peakRSS() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Maxrss << 10
}
