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
	ranks     int  // in all
	local     int  // on each machine
	shards    int  // that the weights of a copy are cut into
	compile   bool // blocks
	recompute bool // blocks, in the backward pass
}

// Needs says what a run of a model takes, as its outline says what is trained, of all ranks together, without starting it.
func Needs(outline *model.Model, in *Installation, o Options) (engine.Needs, error) {
	p, _, err := newPlan(outline, in, o)
	return p.Needs, err
}

func newPlan(outline *model.Model, in *Installation, o Options) (p plan, twin model.Twin, err error) {
	c := outline.Config
	gpus := len(in.GPUs)
	if p.local, err = localRanks(in, o); err != nil {
		return p, twin, err
	}
	nodes := max(1, o.Cluster.Nodes)
	p.ranks = p.local * nodes
	p.Precision = engine.Float32
	if o.Precision == "bf16" || o.Precision == "auto" && gpus > 0 && in.BF16 {
		p.Precision = engine.BFloat16
	}
	if p.Precision == engine.BFloat16 && gpus > 0 && !in.BF16 {
		return p, twin, fault.Usage(fmt.Errorf("train.precision is bf16, and %s has no products in it: want auto or float32", in.Device()))
	}
	each := "" // what goes document by document: each other number of them would be a reason to compile again
	switch {
	case c.Any():
		each = c.Type + " has recurrent layers"
	case p.Precision == engine.Float32 && gpus > 0:
		each = "attention in float32 is no flash kernel's"
	}
	switch p.compile = gpus > 0 && o.Compile != "false" && each == ""; {
	case o.Compile == "true" && each != "":
		return p, twin, fault.Usage(fmt.Errorf("engine.compile is true, and %s: each document is computed by itself, "+
			"want auto or false", each))
	case o.Compile == "true" && gpus == 0:
		return p, twin, fault.Usage(errors.New("engine.compile is true, and there is no GPU: want auto or false"))
	case o.Compile == "auto" && gpus > 0 && each != "":
		p.Notes = append(p.Notes, "not compiled: "+each+", and each document is computed by itself")
	case p.compile && !in.Compiles && o.Compile == "true":
		return p, twin, fault.Usage(fault.Hint(errors.New("engine.compile is true, and "+NoCompiler), Compilers))
	case p.compile && !in.Compiles:
		p.compile = false
		p.Notes = append(p.Notes, "not compiled, which is slower: "+NoCompiler)
	}
	if p.shards = o.Shard; p.shards == 0 {
		p.shards = p.ranks
	}
	if p.ranks%p.shards != 0 {
		return p, twin, fault.Usage(fmt.Errorf("engine.shard is %d, and there are %s: want groups of one size", p.shards,
			processes(p.ranks)))
	}
	if twin, err = outline.Twin(); err != nil {
		return p, twin, err
	}
	p.Adapters, p.Dropout = outline.Adapted(), outline.Dropout()
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
	p.fill(c, twin, o, p.ranks, p.shards)
	if o.GradientCheckpointing == "auto" && p.Total() > p.Limit {
		p.recompute = true
		p.fill(c, twin, o, p.ranks, p.shards)
	}
	p.Checkpoint += outline.CarriedBytes() // which are no part of what ranks write
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
	p.Notes = append(p.Notes, p.byGPUs(c, twin, o))
	return p, twin, nil
}

// NoCompiler says what torch.compile lacks to build kernels with, Compilers how it gets that.
const (
	NoCompiler = "there is no C compiler, no Python.h or no triton"
	Compilers  = "apt-get install gcc python3-dev, pip install triton, or engine.compile: false"
)

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
func (p plan) byGPUs(c model.Config, twin model.Twin, o Options) string {
	q := p
	q.recompute = o.GradientCheckpointing != "false"
	q.Precision = engine.BFloat16
	if o.Precision == engine.Float32 {
		q.Precision = engine.Float32
	}
	var parts []string
	for _, n := range []int{1, 2, 4, 8} {
		q.fill(c, twin, o, n, n)
		parts = append(parts, human.Bytes(q.Total()/int64(n)))
	}
	return "of 1, 2, 4, 8 GPUs each holds " + strings.Join(parts, ", ") + " (" + q.Precision + ")"
}

// processBytes is what a worker takes before it has a model: torch's libraries, or on a GPU its context and the buffers of its
// libraries.
const processBytes = 900 << 20

// half reports whether a rank keeps a tensor in bf16: one that stays as it is, as its file has it, or as it is computed
// with where no checkpoint needs more.
func (p plan) half(t model.Laid) bool {
	return t.Packed || t.Frozen && t.Saved == "" && p.Precision == engine.BFloat16
}

// parts are values of a model's tensors, in the blocks and outside of them.
type parts struct{ all, trained, frozenBytes, rootTrained int64 }

func (p plan) parts(twin model.Twin) (sum parts) {
	for _, t := range twin.Tensors {
		n := int64(product(t.Shape))
		sum.all += n
		switch {
		case !t.Frozen:
			sum.trained += n
			if !strings.Contains(t.Name, ".layers.") {
				sum.rootTrained += n
			}
		case p.half(t):
			sum.frozenBytes += 2 * n
		default:
			sum.frozenBytes += 4 * n
		}
	}
	return sum
}

// fill adds up what ranks take together. Weights that are trained, gradients and moments are float32,
// cut into shards; what a rank gathers and works in comes once for each. It is an upper bound: a block's values are
// counted as if all were there at a time.
func (p *plan) fill(c model.Config, twin model.Twin, o Options, ranks, shards int) {
	all, copies := int64(ranks), int64(ranks/shards)
	sum := p.parts(twin)
	size := int64(4) // of a value that is computed with
	if p.Precision == engine.BFloat16 {
		size = 2
	}
	hidden, tokens, layers := int64(c.Hidden), int64(o.Capacity), int64(max(1, c.Layers))
	table := int64(c.Vocab) * hidden
	root := table
	if !c.Tied {
		root *= 2
	}
	block, blockTrained := (sum.all-root)/layers, (sum.trained-sum.rootTrained)/layers
	p.Frozen = sum.frozenBytes * copies
	p.Weights, p.Gradients, p.Optimizer = 4*sum.trained*copies+p.Frozen, 4*sum.trained*copies, 8*sum.trained*copies
	p.Checkpoint = 12 * sum.trained
	if !p.Adapters {
		p.Checkpoint = 4*sum.all + 8*sum.trained
	}
	p.Parts = p.Checkpoint // what ranks wrote lies there until the files are made of it
	// gathered weights; gradients before they are shared, and as they are summed
	p.Half = all * (size*(root+2*block) + (size+4)*max(sum.rootTrained, blockTrained))
	adapters, passing := p.adapterBytes(c, twin, size)
	each := adapters + tokenBytes(c, size)
	inside := tokens * each
	kept := int64(c.Layers) * inside
	if p.recompute {
		kept = int64(c.Layers)*tokens*hidden*size + 2*inside
	}
	// logits of some rows, hidden states, the head's gradient
	scored := func(tokens int64) int64 { return 3*4*min(tokens*int64(c.Vocab), 1<<28) + 3*tokens*hidden*size }
	head := scored(tokens)
	if sum.rootTrained > 0 {
		head += 4 * table
	}
	p.Activations, p.HeldOut = all*(kept+head+tokens*passing+processBytes), 0
	if n := int64(o.HeldOut); n > tokens { // forward alone, a block at a time
		p.HeldOut = all * (n*each + scored(n) + processBytes)
		p.Activations = max(p.Activations, p.HeldOut)
	}
	p.Reference = 0
	if r := o.Reference; r != nil {
		m := r.Parameters()
		p.Reference = 4*m*copies + all*(size*(int64(r.Vocab)*int64(r.Hidden)+2*m/int64(max(1, r.Layers)))+inside+head)
		if n := int64(o.HeldOut); n > tokens {
			p.Reference += all * ((n-tokens)*each + scored(n) - scored(tokens))
		}
	}
}

// tokenBytes is what a token takes in a block, where values have size bytes.
func tokenBytes(c model.Config, size int64) int64 {
	hidden, width, keys := int64(c.Hidden), int64(c.Heads*c.HeadDim), int64(c.KVHeads*c.HeadDim)
	// two norms with their float32 inputs, q, k, v before and after the rotation, attention's result, the two products of the
	// feed-forward, their activation and their product
	n := size*(4*hidden+3*width+4*keys+4*int64(c.FFN)) + 8*hidden
	if c.Any() {
		// of a recurrent layer: gates and inputs of its convolution; of the delta rule, in float32, what goes into a chunk of 64 tokens
		// and comes out, its squares, and the states between chunks
		n += size*6*hidden + 4*int64(c.Values)*int64(16*max(c.KeyDim, c.ValueDim)+8*64+4*c.KeyDim*c.ValueDim/64)
	}
	return n
}

// adapterBytes is what adapters take of a token: in a block, and where one is computed. Each keeps what enters A, which of it is
// dropped, A's result and what is added; while it says what is dropped, numbers of 8 bytes for four of its inputs.
func (p *plan) adapterBytes(c model.Config, twin model.Twin, size int64) (inside, passing int64) {
	widths := map[string]int64{}
	for _, t := range twin.Tensors {
		if len(t.Shape) > 1 {
			widths[t.Name] = int64(t.Shape[1])
		}
	}
	for _, a := range twin.Adapters {
		columns := widths[a.A]
		inside += size * int64(2*a.Rank+a.Rows)
		if a.Threshold > 0 {
			inside += (size + 1) * columns
			passing = max(passing, 8*columns)
		}
	}
	return inside / int64(max(1, c.Layers)), passing
}
