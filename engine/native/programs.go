package native

import (
	"fmt"
	"maps"
	"time"

	"lwtrain/engine"
	"lwtrain/internal/graph"
	"lwtrain/model"
	"lwtrain/packing"
)

// capacityStep is what capacities of graphs are multiples of. A pack that is not
// full then computes little padding, and few graphs are made.
const capacityStep = 128

// rounded is the capacity of the graph for a pack of that many tokens.
func rounded(tokens int) int { return (tokens + capacityStep - 1) / capacityStep * capacityStep }

// mostPrograms bounds the graphs that are kept: each takes 1 to 2 MiB for a model of
// 30 layers, and 10 ms to make again.
const mostPrograms = 64

// programs run packs of any size up to a capacity, through graphs that are made
// when they are wanted and work in the same memory.
type programs struct {
	model     *model.Model
	capacity  int // of the largest pack
	heldOut   int // of the largest one that is only scored, where that is more
	precision graph.Precision
	recompute int   // of the largest pack, and the most of a smaller one
	limit     int64 // bytes that the largest pack takes
	workspace *graph.Workspace
	profile   map[string]time.Duration // of training, by kind of op; nil: none is kept

	made map[int]*program // by capacity
}

// program is a graph with what runs it.
type program struct {
	*graph.Graph
	train, eval *graph.Program // nil until wanted
}

// of returns the program for a pack of at most most tokens, with the pack in its inputs.
func (p *programs) of(pack packing.Pack, most int, how engine.ScoreOptions) (*program, error) {
	if n := len(pack.IDs); n > most {
		return nil, fmt.Errorf("a pack of %d tokens, want at most the engine's %d", n, most)
	}
	if most, bound := p.model.Config.Branches(); pack.Hidden != nil && most == 0 {
		return nil, fmt.Errorf("a pack whose documents share a beginning, want none: the model has %s", bound)
	}
	capacity := rounded(len(pack.IDs))
	if len(pack.IDs) <= p.capacity {
		capacity = min(p.capacity, capacity)
	}
	made := p.made[capacity]
	switch {
	case made != nil:
	case capacity > p.capacity: // they are few, each is run once in a while, and their inputs are large
		made = &program{Graph: p.model.Graph(capacity, p.precision, p.workspace)}
	default:
		if len(p.made) >= mostPrograms {
			maps.DeleteFunc(p.made, func(n int, _ *program) bool { return n != p.capacity })
		}
		made = &program{Graph: p.model.Graph(capacity, p.precision, p.workspace)}
		p.made[capacity] = made
	}
	fill(made.Inputs(), pack)
	made.Branched = pack.Hidden != nil
	clear(made.Inputs().Keys)
	if how.Step > 0 && p.model.Dropout() {
		p.model.DropoutKeys(made.Inputs().Keys, pack.IDs, pack.Starts, pack.Hidden, how.Step)
	}
	made.Base = how.Base
	return made, nil
}

// fill copies a pack into a graph's inputs and pads it up to their length.
func fill(in graph.Inputs, pack packing.Pack) {
	n := copy(in.IDs, pack.IDs)
	copy(in.Targets, pack.Targets)
	copy(in.Starts, pack.Starts)
	copy(in.Positions, pack.Positions)
	copy(in.Weights, pack.Weights)
	clear(in.Hidden[copy(in.Hidden, pack.Hidden):])
	for t := n; t < len(in.IDs); t++ {
		in.IDs[t], in.Targets[t], in.Starts[t], in.Positions[t], in.Weights[t] = 0, -1, int32(t), 0, 0
	}
}

// forward returns the forward pass, compiled on first use.
func (p *programs) forward(made *program) (*graph.Program, error) {
	if made.eval != nil {
		return made.eval, nil
	}
	var err error
	made.eval, err = made.Compile(graph.Options{})
	return made.eval, err
}

// backward returns forward and backward pass, compiled on first use: a smaller pack
// computes less again than the largest one, in the same memory.
func (p *programs) backward(made *program) (*graph.Program, error) {
	if made.train != nil {
		return made.train, nil
	}
	var program *graph.Program
	var err error
	compile := func(steps int) bool {
		program, err = made.Compile(graph.Options{Train: true, Recompute: steps})
		return err != nil || program.Bytes() <= p.limit
	}
	if made.Capacity == p.capacity {
		compile(p.recompute)
	} else {
		leastRecompute(p.recompute, compile)
	}
	if err == nil {
		made.train = program
	}
	return program, err
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
