package torch

import (
	"errors"
	"fmt"
	"strings"

	"lwtrain/engine"
	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/internal/machine"
	"lwtrain/model"
)

// plan is how a run is computed.
type plan struct {
	engine.Needs
	ranks     int   // in all
	local     int   // on each machine
	shards    int   // that the weights of a copy are cut into
	compile   bool  // blocks
	recompute bool  // blocks, in the backward pass
	trained   int64 // values that are not frozen
}

// Needs says what a run of a model takes, of all ranks together, without starting it.
func Needs(c model.Config, in *Installation, o Options) (engine.Needs, error) {
	p, err := newPlan(c, in, o)
	return p.Needs, err
}

// Takes refuses a model that this engine would not compute document by document: in transformers states of recurrent layers
// go on from one document of a pack to the next.
func Takes(c model.Config) error {
	if !c.Any() {
		return nil
	}
	err := fmt.Errorf("%s has recurrent layers, whose states transformers carries from one document of a pack to the next", c.Type)
	return fault.Usage(fault.Hint(err, "engine.kind: native computes them"))
}

func newPlan(c model.Config, in *Installation, o Options) (p plan, err error) {
	if err := Takes(c); err != nil {
		return p, err
	}
	gpus := len(in.GPUs)
	if s := c.Rope.Scaling; s != nil && s.Type == "longrope" && o.Capacity > int(s.OriginalMax) {
		return p, fault.Usage(fault.Hint(fmt.Errorf("positions are stretched by longrope, and packing.capacity is %d, want at most %g: "+
			"transformers turns all documents of a pack by the frequencies of its longest", o.Capacity, s.OriginalMax),
			"engine.kind: native turns each document by its own"))
	}
	if p.local, err = localRanks(in, o); err != nil {
		return p, err
	}
	nodes := max(1, o.Cluster.Nodes)
	p.ranks = p.local * nodes
	if p.compile = gpus > 0 && o.Compile != "false"; o.Compile == "true" && gpus == 0 {
		return p, fault.Usage(errors.New("engine.compile is true, and there is no GPU: want auto or false"))
	}
	if p.shards = o.Shard; p.shards == 0 {
		p.shards = p.ranks
	}
	if p.ranks%p.shards != 0 {
		return p, fault.Usage(fmt.Errorf("engine.shard is %d, and there are %s: want groups of one size", p.shards, processes(p.ranks)))
	}
	m := model.Empty(c)
	if err := m.Freeze(o.Freeze); err != nil {
		return p, err
	}
	p.trained = m.TrainedParameters()
	p.Precision = engine.Float32
	if o.Precision == "bf16" || o.Precision == "auto" && gpus > 0 && in.BF16 {
		p.Precision = engine.BFloat16
	}
	p.Limit = o.MemoryLimit
	if p.Limit == 0 {
		p.Limit = machine.ReadMemory().Available() / 10 * 9
		if gpus > 0 {
			p.Limit = 0
			for _, g := range in.GPUs[:p.local] {
				p.Limit += g.Free / 20 * 19
			}
		}
		p.Limit *= int64(nodes) // of machines that are alike
	}
	p.recompute = o.GradientCheckpointing == "true"
	p.fill(c, o, p.ranks, p.shards)
	if o.GradientCheckpointing == "auto" && p.Total() > p.Limit {
		p.recompute = true
		p.fill(c, o, p.ranks, p.shards)
	}
	p.Recomputed = "nothing is computed again"
	if p.recompute {
		p.Recomputed, p.Repeats = fmt.Sprintf("%d layers computed again", c.Layers), 1
	}
	p.By = engine.Torch
	p.Machine = fmt.Sprintf("torch %s, %s on %s, %s", in.Torch, processes(p.ranks), in.Device(), p.Precision)
	if nodes > 1 {
		p.Machine += fmt.Sprintf(", on %d machines", nodes)
	}
	if o.Deterministic {
		p.Machine += ", deterministic"
	}
	p.Notes = append(p.Notes, p.byGPUs(c, o))
	return p, nil
}

// localRanks is how many processes each machine has.
func localRanks(in *Installation, o Options) (int, error) {
	gpus, n := len(in.GPUs), o.Processes
	if n == 0 {
		n = o.Cluster.PerNode
	}
	if n == 0 {
		n = max(1, gpus)
	}
	if gpus > 0 && n > gpus {
		return 0, fault.Usage(fmt.Errorf("engine.processes is %d, and there are %s: want at most one process for each",
			n, human.Count(gpus, "GPU")))
	}
	return n, nil
}

func processes(n int) string {
	if n == 1 {
		return "1 process"
	}
	return fmt.Sprint(n, " processes")
}

// byGPUs says what each GPU would hold, were there others.
func (p plan) byGPUs(c model.Config, o Options) string {
	q := p
	q.recompute = o.GradientCheckpointing != "false"
	q.Precision = engine.BFloat16
	if o.Precision == engine.Float32 {
		q.Precision = engine.Float32
	}
	var parts []string
	for _, n := range []int{1, 2, 4, 8} {
		q.fill(c, o, n, n)
		parts = append(parts, human.Bytes(q.Total()/int64(n)))
	}
	return "of 1, 2, 4, 8 GPUs each holds " + strings.Join(parts, ", ") + " (" + q.Precision + ")"
}

// processBytes is what a worker takes before it has a model: torch's libraries, or on a GPU its context and the buffers of its
// libraries.
const processBytes = 900 << 20

// fill adds up what ranks take together. Master weights, gradients and moments are float32,
// cut into shards; what a rank gathers and works in comes once for each. It is an upper bound: a block's values are
// counted as if all were there at a time.
func (p *plan) fill(c model.Config, o Options, ranks, shards int) {
	n, all, copies := c.Parameters(), int64(ranks), int64(ranks/shards)
	size := int64(4) // of a value that is computed with
	if p.Precision == engine.BFloat16 {
		size = 2
	}
	hidden, tokens := int64(c.Hidden), int64(o.Capacity)
	table := int64(c.Vocab) * hidden
	root := table
	if !c.Tied {
		root *= 2
	}
	block := (n - root) / int64(max(1, c.Layers))
	p.Weights, p.Gradients, p.Optimizer = 4*n*copies, 4*p.trained*copies, 8*p.trained*copies
	p.Checkpoint = 4*n + 8*p.trained
	// gathered weights; gradients before they are shared, and as they are summed
	p.Half = all * (size*(root+2*block) + (size+4)*max(root, block))
	width := int64(c.Heads * c.HeadDim)
	keys := int64(c.KVHeads * c.HeadDim)
	// of a token in a block: two norms with their float32 inputs, q, k, v before and after the rotation, attention's result, the two
	// products of the feed-forward, their activation and their product
	inside := tokens * (size*(4*hidden+3*width+4*keys+4*int64(c.FFN)) + 8*hidden)
	kept := int64(c.Layers) * inside
	if p.recompute {
		kept = int64(c.Layers)*tokens*hidden*size + 2*inside
	}
	// the head's gradient, logits of some rows, hidden states
	head := 4*table + 3*4*min(tokens*int64(c.Vocab), 1<<28) + 3*tokens*hidden*size
	p.Activations = all * (kept + head + processBytes)
	p.Reference = 0
	if r := o.Reference; r != nil {
		m := r.Parameters()
		p.Reference = 4*m*copies + all*(size*(int64(r.Vocab)*int64(r.Hidden)+2*m/int64(max(1, r.Layers)))+inside+head)
	}
}
