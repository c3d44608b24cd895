package graph

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// op is every fused operation of this package: a name, fixed shapes, a forward
// function on raw slices and a symbolic gradient. It implements gorgonia's Op,
// SDOp, UsePreallocDoer and IncrDoer, so a graph of these ops also runs on
// gorgonia's own TapeMachine, which the tests use as the oracle.
//
// Shapes are fixed when a graph is built (a pack has one capacity), so an op
// holds its output's shape and never infers one.
type op struct {
	// name identifies the op with every attribute. Gorgonia merges nodes with
	// equal names and equal inputs.
	name string
	in   []operand
	out  tensor.Shape

	// run computes out from in; with add it adds to out instead. add is only
	// ever true for an op that accumulates.
	run         func(out []float32, add bool, in []gorgonia.Value)
	accumulates bool

	// diff builds the gradients with regard to the inputs marked in wrt, in
	// the order of the inputs, nil for the others.
	wrt  []bool
	diff func(in gorgonia.Nodes, grad *gorgonia.Node) gorgonia.Nodes

	// inPlace lists the inputs whose buffer the output may take over when
	// nobody reads that input afterwards.
	inPlace []int

	// cost says how much computing the output again takes, see
	// [Options.Recompute].
	cost int
}

// operand is what an op demands of one input.
type operand struct {
	dims  int
	dtype tensor.Dtype
}

func floats(dims int) operand { return operand{dims, tensor.Float32} }
func ints(dims int) operand   { return operand{dims, tensor.Int32} }

func (o *op) Arity() int { return len(o.in) }

func (o *op) Type() hm.Type {
	ts := make([]hm.Type, 0, len(o.in)+1)
	for _, in := range o.in {
		ts = append(ts, typeOf(in.dims, in.dtype))
	}
	return hm.NewFnType(append(ts, typeOf(len(o.out), tensor.Float32))...)
}

func typeOf(dims int, dt tensor.Dtype) hm.Type {
	if dims == 0 {
		return dt
	}
	return gorgonia.TensorType{Dims: dims, Of: dt}
}

func (o *op) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) { return o.out, nil }
func (o *op) ReturnsPtr() bool                                      { return len(o.out) > 0 }
func (o *op) CallsExtern() bool                                     { return len(o.out) > 0 }
func (o *op) OverwritesInput() int                                  { return -1 }
func (o *op) WriteHash(h hash.Hash)                                 { fmt.Fprint(h, o.name) }
func (o *op) String() string                                        { return o.name }

func (o *op) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

func (o *op) DiffWRT(int) []bool {
	if o.wrt == nil {
		return make([]bool, len(o.in))
	}
	return o.wrt
}

func (o *op) SymDiff(in gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	if o.diff == nil {
		return nil, fmt.Errorf("%s has no second derivative", o.name)
	}
	return o.diff(in, grad), nil
}

// Do computes into a new value.
func (o *op) Do(in ...gorgonia.Value) (gorgonia.Value, error) {
	if len(o.out) == 0 {
		var out [1]float32
		o.run(out[:], false, in)
		return gorgonia.NewF32(out[0]), nil
	}
	return o.UsePreallocDo(tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(o.out...)), in...)
}

// UsePreallocDo computes into prealloc.
func (o *op) UsePreallocDo(prealloc gorgonia.Value, in ...gorgonia.Value) (gorgonia.Value, error) {
	o.run(f32(prealloc), false, in)
	return prealloc, nil
}

// IncrDo adds to incr what the op computes.
func (o *op) IncrDo(incr gorgonia.Value, in ...gorgonia.Value) error {
	if !o.accumulates {
		return fmt.Errorf("%s cannot accumulate", o.name)
	}
	o.run(f32(incr), true, in)
	return nil
}

// f32 is the backing slice of a float32 tensor, without an allocation.
func f32(v gorgonia.Value) []float32 { return v.(*tensor.Dense).Float32s() }

// i32 is the backing slice of an int32 tensor, without an allocation.
func i32(v gorgonia.Value) []int32 { return v.(*tensor.Dense).Int32s() }

// apply adds a node for o to the graph of its inputs. The shapes were checked
// by the caller, so a failure is a mistake in this package.
func apply(o *op, in ...*gorgonia.Node) *gorgonia.Node {
	n, err := gorgonia.ApplyOp(o, in...)
	if err != nil {
		panic(fmt.Sprintf("graph: %s: %v", o.name, err))
	}
	return n
}
