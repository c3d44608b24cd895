package graph

import (
	"fmt"
	"slices"
	"sync"

	"gorgonia.org/gorgonia"
)

// deriving guards gorgonia.Grad, which writes to constants shared by all
// graphs of the process.
var deriving sync.Mutex

// Options say what a program computes.
type Options struct {
	// Train adds the gradients of all parameters that are not frozen to the loss.
	Train bool
	// Recompute trades computing for the activations' memory (gradient
	// checkpointing, Chen et al. 2016, arXiv:1604.06174) in 3 x layers steps. Up
	// to layers, that many layers compute norms and SwiGLU a second time in the
	// backward pass, which is all but free; from there on also matrix products,
	// layer by layer, and then attention, dear to compute and cheap to keep. At
	// the end nothing but each layer's input is kept.
	Recompute int
}

// level is how much of a layer is computed again: 0 nothing, 1 norms and
// SwiGLU, 2 all but attention, 3 all.
func (o Options) level(layer, layers int) int {
	level := 0
	for level < 3 && o.Recompute > level*layers+layer {
		level++
	}
	return level
}

// Compile plans a program for the graph's loss: the order of all ops, which
// gradients are summed where they are made, and the place of every buffer in
// the arena. It allocates nothing that a run needs: [Program.Bytes] is known
// before.
func (g *Graph) Compile(opt Options) (*Program, error) {
	if g.lossN == nil {
		return nil, fmt.Errorf("the graph has no loss")
	}
	roots := gorgonia.Nodes{g.lossN}
	if opt.Train {
		if err := g.derive(); err != nil {
			return nil, err
		}
		roots = append(roots, g.grads...)
	}
	p := &planner{g: g, opt: opt, values: map[*gorgonia.Node]*value{}, sinks: map[*gorgonia.Node]*Param{}, sunk: map[*gorgonia.Node]bool{}}
	if opt.Train {
		for i, param := range g.trained {
			p.sink(g.grads[i], param)
		}
	}
	nodes := p.reachable(roots)
	p.schedule(nodes)
	p.accumulateSums()
	p.takeOver()
	prog := &Program{g: g, opt: opt, instrs: p.instrs, joint: slices.Contains(nodes, g.loss.dx)}
	prog.floats = place(p.instrs)
	return prog, nil
}

// derive has gorgonia build the backward pass, once.
func (g *Graph) derive() error {
	if g.grads != nil {
		return nil
	}
	deriving.Lock()
	defer deriving.Unlock()
	g.backward = g.next()
	var trained []*Param
	var wrt []*gorgonia.Node
	for _, p := range g.params {
		if !p.Frozen {
			trained, wrt = append(trained, p), append(wrt, g.nodes[p])
		}
	}
	if len(trained) == 0 {
		return fmt.Errorf("all %d parameters are frozen, want one to train", len(g.params))
	}
	grads, err := gorgonia.Grad(g.lossN, wrt...)
	if err != nil {
		return fmt.Errorf("deriving the backward pass: %w", err)
	}
	g.trained, g.grads = trained, grads
	return nil
}

// value is the result of one instruction. After a sum has been folded into it
// (see accumulateSums) it stands for the sum.
type value struct {
	node  *gorgonia.Node
	size  int // floats
	store *storage
}

// storage is a range of the arena, alive from instruction first to last.
// Several values can live in one storage, one after the other.
type storage struct {
	size, first, last int
	offset            int
}

// instr is one op to run.
type instr struct {
	node *gorgonia.Node
	op   gorgonia.Op
	in   []*value // nil where the input is a parameter, a pack's input or a constant
	out  *value   // nil for the loss and for what goes into a sink
	sink *Param   // the parameter whose gradient this is
	add  bool     // add to out (or to the sink) instead of overwriting

	args []gorgonia.Value // bound by Program.bind
	dst  gorgonia.Value
}

type planner struct {
	g      *Graph
	opt    Options
	instrs []*instr
	values map[*gorgonia.Node]*value
	sinks  map[*gorgonia.Node]*Param
	sunk   map[*gorgonia.Node]bool // what inSink said of sums, which lie in each other layer by layer
}

// sink notes that n is (part of) the gradient of p: the terms of gorgonia's
// sums are added one by one to the parameter's gradient.
func (p *planner) sink(n *gorgonia.Node, param *Param) {
	if isSum(n) {
		for _, term := range p.children(n) {
			p.sink(term, param)
		}
		return
	}
	p.sinks[n] = param
}

// isSum recognises gorgonia's own addition of two gradients of equal shape.
func isSum(n *gorgonia.Node) bool {
	if n.Op() == nil {
		return false
	}
	if _, ours := n.Op().(*op); ours {
		return false
	}
	return n.Op().String() == "+ false" && !n.IsScalar()
}

func (p *planner) children(n *gorgonia.Node) []*gorgonia.Node {
	var out []*gorgonia.Node
	for it := p.g.g.From(n.ID()); it.Next(); {
		out = append(out, it.Node().(*gorgonia.Node))
	}
	return out
}

// reachable returns the nodes that roots depend on, in the order in which they
// were made, which is an order in which they can run: forward as the model was
// written, backward as gorgonia walked back.
func (p *planner) reachable(roots gorgonia.Nodes) []*gorgonia.Node {
	seen := map[*gorgonia.Node]bool{}
	var nodes []*gorgonia.Node
	var visit func(n *gorgonia.Node)
	visit = func(n *gorgonia.Node) {
		if seen[n] {
			return
		}
		seen[n] = true
		nodes = append(nodes, n)
		for _, c := range p.children(n) {
			if c.ID() >= n.ID() {
				panic(fmt.Sprintf("graph: node %v was made after %v, which needs it", c, n))
			}
			visit(c)
		}
	}
	for _, r := range roots {
		visit(r)
	}
	slices.SortFunc(nodes, func(a, b *gorgonia.Node) int { return int(a.ID() - b.ID()) })
	return nodes
}

// schedule lists the instructions: forward, then backward, each recomputed
// layer once more right before the backward pass first needs it.
func (p *planner) schedule(nodes []*gorgonia.Node) {
	again := p.recomputed(nodes)
	done := map[int]bool{}
	for _, n := range nodes {
		if n.Op() == nil || isConstant(n) {
			continue
		}
		if p.opt.Train && n.ID() >= p.g.backward {
			for _, c := range p.children(n) {
				if b := p.block(c); len(again[b]) > 0 && !done[b] && slices.Contains(again[b], c) {
					done[b] = true
					for _, f := range again[b] {
						p.emit(f)
					}
				}
			}
			if isSum(n) && p.inSink(n) {
				continue
			}
		}
		p.emit(n)
	}
}

// inSink reports whether all terms of a sum of gradients go into a sink.
func (p *planner) inSink(n *gorgonia.Node) bool {
	all, known := p.sunk[n]
	if !known {
		all = !slices.ContainsFunc(p.children(n), func(c *gorgonia.Node) bool { return p.sinks[c] == nil && !(isSum(c) && p.inSink(c)) })
		p.sunk[n] = all
	}
	return all
}

func isConstant(n *gorgonia.Node) bool { return n.Op().Arity() == 0 }

// block is the number of the recomputed layer that a forward node belongs to,
// or -1.
func (p *planner) block(n *gorgonia.Node) int {
	id := n.ID()
	if n.Op() == nil || isConstant(n) || id >= p.g.tail {
		return -1
	}
	b, _ := slices.BinarySearch(p.g.blocks, id+1)
	if b--; b < 0 || p.opt.level(b, len(p.g.blocks)) == 0 {
		return -1
	}
	return b
}

// recomputed lists, for each layer that is computed twice, the nodes that the
// backward pass needs and that are not kept.
func (p *planner) recomputed(nodes []*gorgonia.Node) map[int][]*gorgonia.Node {
	if !p.opt.Train || p.opt.Recompute == 0 {
		return nil
	}
	kept := map[*gorgonia.Node]bool{}
	for _, n := range nodes {
		if n.ID() >= p.g.backward {
			break
		}
		for _, c := range p.children(n) {
			if p.block(c) != p.block(n) {
				kept[c] = true
			}
		}
		if o, ok := n.Op().(*op); ok && p.block(n) >= 0 && o.cost >= p.opt.level(p.block(n), len(p.g.blocks)) {
			kept[n] = true
		}
	}
	needed := map[*gorgonia.Node]bool{}
	var need func(n *gorgonia.Node)
	need = func(n *gorgonia.Node) {
		if p.block(n) < 0 || kept[n] || needed[n] {
			return
		}
		needed[n] = true
		for _, c := range p.children(n) {
			need(c)
		}
	}
	for _, n := range nodes {
		if n.ID() >= p.g.backward {
			for _, c := range p.children(n) {
				need(c)
			}
		}
	}
	again := map[int][]*gorgonia.Node{}
	for _, n := range nodes {
		if needed[n] {
			again[p.block(n)] = append(again[p.block(n)], n)
		}
	}
	return again
}

// emit appends the instruction of n; a second one for the same node gives the
// node a new value, which later instructions read.
func (p *planner) emit(n *gorgonia.Node) {
	ins := &instr{node: n, op: n.Op(), sink: p.sinks[n]}
	for _, c := range p.children(n) {
		ins.in = append(ins.in, p.values[c])
	}
	if isSum(n) {
		ins.op = addOp(n.Shape()) // gorgonia's sum of two gradients, by our kernel
	}
	switch {
	case ins.sink != nil:
		if o, ok := ins.op.(*op); !ok || !o.accumulates {
			panic(fmt.Sprintf("graph: %v is a parameter's gradient but cannot accumulate", n))
		}
		ins.add = true
	case !n.IsScalar():
		ins.out = &value{node: n, size: n.Shape().TotalSize()}
		p.values[n] = ins.out
	}
	p.instrs = append(p.instrs, ins)
}

// uses returns, for each value, the instructions that read it, in order.
func (p *planner) uses() map[*value][]int {
	uses := map[*value][]int{}
	for i, ins := range p.instrs {
		for _, v := range ins.in {
			if v != nil {
				uses[v] = append(uses[v], i)
			}
		}
	}
	return uses
}

// accumulateSums removes additions a + b of the backward pass where b is made
// by an op that can add to its output and nobody else reads either: b's op then
// adds to a in place. So the gradients of a residual connection never exist
// side by side.
//
// Additions of the forward pass stay: there it would depend on what is kept for
// the backward pass, and the result of a step must not depend on the memory it
// has.
func (p *planner) accumulateSums() {
	madeBy := map[*value]int{}
	for i, ins := range p.instrs {
		if ins.out != nil {
			madeBy[ins.out] = i
		}
	}
	uses := p.uses()
	for i, ins := range p.instrs {
		o, ok := ins.op.(*op)
		if !ok || !o.isAdd() || ins.out == nil || ins.node.ID() < p.g.backward {
			continue
		}
		for k, b := range ins.in {
			a := ins.in[1-k]
			if a == nil || b == nil || a == b {
				continue
			}
			j, made := madeBy[b]
			maker, ok := p.instrs[j].op.(*op)
			if !made || !ok || !maker.accumulates || p.instrs[j].add || len(uses[b]) != 1 {
				continue
			}
			// a must exist before j adds to it, and nobody but the sum may read it after.
			if at, made := madeBy[a]; !made || at >= j || slices.ContainsFunc(uses[a], func(u int) bool { return u >= j && u != i }) {
				continue
			}
			p.instrs[j].out, p.instrs[j].add = a, true
			for _, u := range uses[ins.out] {
				for x, v := range p.instrs[u].in {
					if v == ins.out {
						p.instrs[u].in[x] = a
					}
				}
			}
			uses[a] = append(slices.DeleteFunc(uses[a], func(u int) bool { return u == i }), uses[ins.out]...)
			madeBy[a] = j
			if p.values[ins.node] == ins.out {
				p.values[ins.node] = a
			}
			ins.op, ins.out, ins.in = nil, nil, nil
			break
		}
	}
	p.instrs = slices.DeleteFunc(p.instrs, func(ins *instr) bool { return ins.op == nil })
}

// takeOver gives every value a storage: that of an input which dies in the
// same instruction, where the op allows it, or a new one.
func (p *planner) takeOver() {
	uses := p.uses()
	for i, ins := range p.instrs {
		if ins.out == nil {
			continue
		}
		if ins.out.store == nil {
			if o, ok := ins.op.(*op); ok {
				for _, k := range o.inPlace {
					v := ins.in[k]
					if v != nil && v.size == ins.out.size && v.store.last == i && !readTwice(ins.in, v) {
						ins.out.store = v.store
						break
					}
				}
			}
			if ins.out.store == nil {
				ins.out.store = &storage{size: ins.out.size, first: i}
			}
		}
		last := i
		if u := uses[ins.out]; len(u) > 0 {
			last = u[len(u)-1]
		}
		ins.out.store.last = max(ins.out.store.last, last)
	}
}

func readTwice(in []*value, v *value) bool {
	n := 0
	for _, u := range in {
		if u == v {
			n++
		}
	}
	return n > 1
}

// align is the floats that a buffer's place is rounded up to: one cache line.
const align = 16

// place gives each storage an offset such that no two that live at the same
// time overlap, the largest first, each at the lowest free place. It returns
// the floats of the arena.
func place(instrs []*instr) int {
	var all []*storage
	seen := map[*storage]bool{}
	for _, ins := range instrs {
		if ins.out != nil && !seen[ins.out.store] {
			seen[ins.out.store] = true
			all = append(all, ins.out.store)
		}
	}
	slices.SortStableFunc(all, func(a, b *storage) int { return b.size - a.size })
	total := 0
	var placed []*storage // by offset
	for _, s := range all {
		at := 0
		for _, o := range placed {
			if o.first > s.last || o.last < s.first {
				continue
			}
			if at+s.size <= o.offset {
				break
			}
			at = max(at, (o.offset+o.size+align-1)/align*align)
		}
		s.offset = at
		i, _ := slices.BinarySearchFunc(placed, s, func(a, b *storage) int { return a.offset - b.offset })
		placed = slices.Insert(placed, i, s)
		total = max(total, at+s.size)
	}
	return total
}
