package native

import (
	"fmt"

	"lwtrain/engine"
	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
	"lwtrain/model"
)

// memoryPlan is how a run is computed so that it fits into the memory.
type memoryPlan struct {
	engine.Needs
	precision graph.Precision
	recompute int   // of the largest pack: [graph.Options]
	trained   int64 // of Activations, bytes that it takes
}

// Needs says what a run of a model will take, without taking it. The model may be without
// memory for its weights ([model.Outline], [model.Empty]).
func Needs(m *model.Model, o Options) (engine.Needs, error) {
	p, err := planMemory(m, o)
	return p.Needs, err
}

// planMemory decides precision and gradient checkpointing.
func planMemory(m *model.Model, o Options) (memoryPlan, error) {
	weights, frozen, half := m.Bytes()
	trained := 4 * m.TrainedParameters()
	p := memoryPlan{Needs: engine.Needs{
		Precision: engine.Float32, Weights: weights, Frozen: frozen, Adapters: m.Adapted(), Dropout: m.Dropout(),
		Gradients: trained, Optimizer: momentBytes(m.All(), o), Checkpoint: 3 * trained, Limit: o.memoryLimit(),
	}}
	if !m.Adapted() {
		p.Checkpoint = 4*m.Config.Parameters() + 2*trained + m.CarriedBytes()
	}
	if o.Precision == "bf16" || (o.Precision == "auto" && kernels.Describe().FastBF16) {
		p.precision, p.Precision = graph.BFloat16, engine.BFloat16
		p.Half = half
	}
	g := m.Graph(o.Capacity, p.precision, nil)
	eval, err := g.Compile(graph.Options{})
	if err != nil {
		return p, err
	}
	var train *graph.Program
	fits := func(steps int) bool {
		if train, err = g.Compile(graph.Options{Train: true, Recompute: steps}); err != nil {
			return true
		}
		p.recompute = steps
		p.Activations = max(train.Bytes(), eval.Bytes())
		return p.Total() <= p.Limit
	}
	most := 3 * m.Config.Layers
	switch o.GradientCheckpointing {
	case "true":
		fits(most)
	case "false":
		fits(0)
	default:
		leastRecompute(most, fits)
	}
	p.trained = p.Activations
	if err == nil && o.HeldOut > o.Capacity { // what is computed again in training makes no room for it
		var pass *graph.Program
		if pass, err = m.Graph(rounded(o.HeldOut), p.precision, nil).Compile(graph.Options{}); err == nil {
			p.HeldOut = pass.Bytes()
			p.Activations = graph.Together(train, pass)
		}
	}
	if err == nil && o.Reference != nil {
		p.Reference, err = referenceBytes(*o.Reference, max(o.Capacity, rounded(o.HeldOut)), p.precision)
	}
	layers := m.Config.Layers
	p.Recomputed = recomputed(p.recompute, layers)
	p.Repeats = float64(min(max(p.recompute-layers, 0), layers)) / float64(max(layers, 1))
	p.Machine = machineText(p.Precision)
	return p, err
}

// referenceBytes is what a reference takes beside the model in training: weights, their
// bf16 copies and a forward pass.
func referenceBytes(c model.Config, capacity int, precision graph.Precision) (int64, error) {
	n := 4 * c.Parameters()
	if precision == graph.BFloat16 {
		n += n / 2
	}
	pass, err := model.Empty(c).Graph(capacity, precision, nil).Compile(graph.Options{})
	if err != nil {
		return 0, err
	}
	return n + pass.Bytes(), nil
}

// machineText says what computes.
func machineText(precision string) string {
	k := kernels.Describe()
	threads := fmt.Sprint(k.Threads, " threads")
	if k.Threads == 1 {
		threads = "1 thread"
	}
	return fmt.Sprintf("%s, %s, %s, %s", threads, k.ISA, k.Product, precision)
}

// recomputed says in words what is computed again.
func recomputed(steps, layers int) string {
	part := func(k int) int { return min(max(steps-k*layers, 0), layers) }
	switch {
	case steps == 0:
		return "nothing is computed again"
	case part(1) == 0:
		return fmt.Sprintf("norms and SwiGLU of %d of %d layers computed again", part(0), layers)
	case part(2) == 0:
		return fmt.Sprintf("%d of %d layers computed again but their attention", part(1), layers)
	}
	return fmt.Sprintf("%d layers computed again, attention in %d", layers, part(2))
}
