// Package graph builds transformer graphs out of fused gorgonia operations and
// runs them.
//
// A [Graph] is made for one pack capacity. Its methods add fused ops (Embed,
// Norm, Linear, Rotate, Attend, Gated, Add, CrossEntropy) whose gradients
// gorgonia derives symbolically. [Graph.Compile] turns loss and gradients into
// a [Program]: every buffer of the step has its place in one arena before the
// first step runs, gradients of parameters are accumulated where the optimiser
// reads them, and a panic inside an op becomes an error that names the node.
//
// Promises: the same inputs and number of threads give the same bytes; a step
// allocates nothing in steady state; [Program.Bytes] is what a step uses.
//
// It knows nothing of text, files, optimisers or of what a Llama is.
package graph

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"lwtrain/internal/kernels"
)

func init() {
	// Gorgonia's tensor pool hands out memory that is still in use when values
	// are unbound. Nothing here needs it.
	tensor.DontUsePool()
}

// Precision says in which format the inputs of matrix products are.
// Accumulation, norms, softmax, loss and master weights are always float32.
type Precision int

const (
	Float32 Precision = iota
	BFloat16
)

func (p Precision) String() string {
	if p == BFloat16 {
		return "bf16"
	}
	return "float32"
}

// Param is a tensor of a model: its master values, and its gradient while
// training. Rows by Cols, row-major; a norm's weight has one row.
type Param struct {
	Name       string
	Rows, Cols int
	Data       []float32 // master weights
	Grad       []float32 // accumulated over packs; nil when not training, or frozen
	Half       []kernels.BF16
	Low        []int8  // of a packed matrix that is trained: what its values have beneath Half ([kernels.FromFloat24])
	Decay      bool    // weight decay applies: matrices yes, norms and biases no
	Offset     float32 // what is added to the values where they are used, of a norm's weights: Gemma's are as far from 1
	Frozen     bool    // stays as it is: no gradient is made for it
	Packed     bool    // of a matrix whose values lie in Half, and in Low unless it is frozen: Data is nil

	Adapters []*Adapter // of a frozen matrix: what is added to products with it

	shifted []float32
}

// Size is the number of values.
func (p *Param) Size() int { return p.Rows * p.Cols }

// Weights are a norm's, as they are used.
func (p *Param) Weights() []float32 { return p.plus(p.Data) }

// plus is values with the offset, in memory that the next call overwrites.
func (p *Param) plus(values []float32) []float32 {
	if p.Offset == 0 {
		return values
	}
	p.shifted = append(p.shifted[:0], values...)
	for i := range p.shifted {
		p.shifted[i] += p.Offset
	}
	return p.shifted
}

// Values fills dst with the master weights from the given one on.
func (p *Param) Values(dst []float32, from int) {
	switch to := from + len(dst); {
	case p.Data != nil:
		copy(dst, p.Data[from:to])
	case p.Low != nil:
		kernels.FromFloat24(dst, p.Half[from:to], p.Low[from:to])
	default:
		kernels.FromBF16(dst, p.Half[from:to])
	}
}

// RefreshHalf makes the bf16 copy agree with the master weights. It must be
// called after every change of Data when Half is in use.
func (p *Param) RefreshHalf() {
	if p.Half != nil && !p.Packed {
		kernels.ToBF16(p.Half, p.Data)
	}
}

func (p *Param) shape() tensor.Shape {
	if p.Rows == 1 && !p.Decay {
		return tensor.Shape{p.Cols}
	}
	return tensor.Shape{p.Rows, p.Cols}
}

// Node is a tensor of the graph, [T, columns].
type Node = gorgonia.Node

// Graph is a symbolic computation over one pack of Capacity tokens.
type Graph struct {
	Capacity  int
	Base      bool // runs leave the adapters out
	Branched  bool // runs read Inputs.Hidden
	precision Precision

	g      *gorgonia.ExprGraph
	params []*Param // in order of their first use
	nodes  map[*Param]*gorgonia.Node
	mem    *Workspace

	ids, targets, starts, positions, weights *gorgonia.Node
	in                                       Inputs

	blocks   []int64 // first node id of each block, in order
	tail     int64   // first node id after the last block
	side     int     // floats that ops keep between forward and backward
	scratch  int     // floats that an op works in at most
	heads    Heads   // of attention
	windowed []int32 // the first index that each position of a layer with a window sees
	widest   int     // values of the two inputs of a product, at most
	texts    []int32 // lengths of the documents that positions lie in
	loss     *crossEntropy
	lossN    *gorgonia.Node

	backward int64          // first node id of the backward pass, once derived
	trained  []*Param       // params that are not frozen
	grads    gorgonia.Nodes // of trained, in their order
}

// Inputs are the slices that a run reads: one pack. Fill them, then run.
type Inputs struct {
	IDs       []int32       // [T] token ids
	Targets   []int32       // [T] the id that each position predicts, -1 for none
	Starts    []int32       // [T] the first index that each position sees, which never decreases
	Positions []int32       // [T] position id, which the rotation turns by
	Weights   []float32     // [T] loss weight of each position
	Hidden    []kernels.Gap // [T] indices between its start and itself that each position does not see, if Branched
	Keys      []uint64      // [T] what the dropout of each position follows from; 0: it has none
}

// New returns an empty graph over packs of capacity tokens, whose programs work
// in mem (nil: memory of its own).
func New(capacity int, precision Precision, mem *Workspace) *Graph {
	if mem == nil {
		mem = &Workspace{}
	}
	g := &Graph{
		Capacity:  capacity,
		precision: precision,
		g:         gorgonia.NewGraph(),
		nodes:     map[*Param]*gorgonia.Node{},
		mem:       mem,
		windowed:  make([]int32, capacity),
		texts:     make([]int32, capacity),
		in: Inputs{
			IDs:       make([]int32, capacity),
			Targets:   make([]int32, capacity),
			Starts:    make([]int32, capacity),
			Positions: make([]int32, capacity),
			Weights:   make([]float32, capacity),
			Hidden:    make([]kernels.Gap, capacity),
			Keys:      make([]uint64, capacity),
		},
	}
	g.ids = g.input("ids", g.in.IDs)
	g.targets = g.input("targets", g.in.Targets)
	g.starts = g.input("starts", g.in.Starts)
	g.positions = g.input("positions", g.in.Positions)
	g.weights = g.input("weights", g.in.Weights)
	return g
}

// Inputs returns the slices to fill before a run.
func (g *Graph) Inputs() Inputs { return g.in }

// hidden is what attention leaves out; nil: nothing.
func (g *Graph) hidden() []kernels.Gap {
	if !g.Branched {
		return nil
	}
	return g.in.Hidden
}

func (g *Graph) input(name string, backing any) *gorgonia.Node {
	v := tensor.New(tensor.WithShape(g.Capacity), tensor.WithBacking(backing))
	n := gorgonia.NewTensor(g.g, v.Dtype(), 1, gorgonia.WithShape(g.Capacity), gorgonia.WithName(name))
	must(gorgonia.Let(n, v))
	return n
}

// param returns the node of p, adding it on first use.
func (g *Graph) param(p *Param) *gorgonia.Node {
	if n, ok := g.nodes[p]; ok {
		return n
	}
	shape := p.shape()
	n := gorgonia.NewTensor(g.g, tensor.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(p.Name))
	if p.Data != nil { // nil: the graph is only planned, not run, or the matrix is packed
		must(gorgonia.Let(n, tensor.New(tensor.WithShape(shape...), tensor.WithBacking(p.Data))))
	}
	g.nodes[p] = n
	g.params = append(g.params, p)
	return n
}

// BeginBlock marks the start of a layer: what the layer computes up to the
// next mark can be recomputed in the backward pass from the layer's input.
func (g *Graph) BeginBlock() { g.blocks = append(g.blocks, g.next()) }

// EndBlocks marks the end of the last layer.
func (g *Graph) EndBlocks() { g.tail = g.next() }

// next is the id that gorgonia gives to the next new node.
func (g *Graph) next() int64 {
	all := g.g.AllNodes()
	return all[len(all)-1].ID() + 1
}

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("graph: %v", err))
	}
}

// rows and cols are a node's shape as a matrix.
func rows(n *gorgonia.Node) int { return n.Shape()[0] }
func cols(n *gorgonia.Node) int {
	if n.Dims() == 1 {
		return n.Shape()[0]
	}
	return n.Shape()[1]
}

// Workspace is the memory that programs work in besides parameters and gradients.
// Programs that never run at the same time can share one. It grows to what the
// largest of them needs.
type Workspace struct {
	arena   []float32 // values between ops
	scratch []float32 // of one op, nothing is left in it for the next
	side    []float32 // what ops keep between forward and backward
}

func grow(buf *[]float32, n int) []float32 {
	if len(*buf) < n {
		kernels.Free(*buf)
		*buf = kernels.Alloc(n)
	}
	return (*buf)[:n]
}

// Free gives the memory back. It grows again when a program runs.
func (m *Workspace) Free() {
	for _, buf := range []*[]float32{&m.arena, &m.scratch, &m.side} {
		kernels.Free(*buf)
		*buf = nil
	}
}

// reserve notes that some op works in n floats.
func (g *Graph) reserve(n int) { g.scratch = max(g.scratch, n) }

// work returns n floats of undefined content for the op that runs.
func (g *Graph) work(n int) []float32 { return grow(&g.mem.scratch, max(n, g.scratch))[:n] }

// keep reserves n floats that stay from an op's forward to its backward pass,
// and returns where they lie. They must be asked for anew in every run.
func (g *Graph) keep(n int) func() []float32 {
	at := g.side
	g.side += n
	return func() []float32 { return grow(&g.mem.side, g.side)[at : at+n] }
}
