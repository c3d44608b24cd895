package model

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"lwtrain/checkpoints"
	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
	"lwtrain/internal/rng"
	"lwtrain/model/families"
)

// adapted is a matrix as files name it, with its adapter.
type adapted struct {
	module string // its name without .weight, as PEFT calls it
	of     *graph.Param
	*graph.Adapter
	alpha float64
}

// module is a matrix that may get an adapter: one for each tensor of a parameter in the files.
type module struct {
	name string
	of   *graph.Param
	families.Tensor
}

// modules are those of the layers, in the order of the forward pass.
func (m *Model) modules() (out []module) {
	for _, l := range m.layers {
		for _, p := range []*graph.Param{l.qkv, l.out, l.gateUp, l.down} {
			for _, f := range m.files[p] {
				out = append(out, module{strings.TrimSuffix(f.Name, ".weight"), p, f})
			}
		}
	}
	return out
}

// short is the last part of a module's name, by which all layers have one.
func short(module string) string { return module[strings.LastIndexByte(module, '.')+1:] }

// targets are the modules that a list of names means: names of modules, or their last parts.
func (m *Model) targets(names []string) ([]module, error) {
	all := m.modules()
	if slices.Equal(names, []string{AllLinear}) {
		return all, nil
	}
	used := make([]bool, len(names))
	var out []module
	var known []string
	for _, x := range all {
		fits := false
		for i, name := range names {
			if x.name == name || strings.HasSuffix(x.name, "."+name) {
				used[i], fits = true, true
			}
		}
		if fits {
			out = append(out, x)
		}
		if s := short(x.name); !slices.Contains(known, s) {
			known = append(known, s)
		}
	}
	if i := slices.Index(used, false); i >= 0 {
		return nil, fmt.Errorf("%.80q names no matrix that can have an adapter, want all-linear or of: %s", names[i], strings.Join(known, ", "))
	}
	return out, nil
}

// prefix is what PEFT puts before names of modules.
const prefix = "base_model.model."

// adapt gives a module an adapter, without memory.
func (m *Model) adapt(x module, o LoRA) {
	a := &graph.Adapter{Row: x.Row, Rows: x.Rows(), Scale: float32(o.scale()), Dropout: o.Dropout}
	param := func(ending string, shape ...int) *graph.Param {
		p := &graph.Param{Name: prefix + x.name + ending, Rows: 1, Cols: shape[len(shape)-1], Decay: len(shape) > 1}
		if len(shape) > 1 {
			p.Rows = shape[0]
		}
		m.files[p] = []families.Tensor{{Name: p.Name, Shape: shape}}
		return p
	}
	a.A, a.B = param(".lora_A.weight", o.Rank, x.of.Cols), param(".lora_B.weight", a.Rows, o.Rank)
	if o.Variant == DoRA {
		a.Magnitude = param(".lora_magnitude_vector", a.Rows)
	}
	x.of.Adapters = append(x.of.Adapters, a)
	m.adapters = append(m.adapters, adapted{x.name, x.of, a, o.Alpha})
}

// scale is what B A is multiplied by.
func (o LoRA) scale() float64 {
	if o.Variant == RsLoRA {
		return o.Alpha / math.Sqrt(float64(o.Rank))
	}
	return o.Alpha / float64(o.Rank)
}

// begin takes memory for fresh adapters: A uniform between -1/sqrt(K) and 1/sqrt(K), as PEFT
// has it, B 0, magnitudes the lengths of the rows that are there. Every tensor has a random
// stream of its own, named as in the files.
func (m *Model) beginAdapters(seed uint64) {
	for _, x := range m.adapters {
		x.A.Data, x.B.Data = kernels.Alloc(x.A.Size()), kernels.Alloc(x.B.Size())
		r, bound := rng.New(seed, "lora/"+x.A.Name), 1/math.Sqrt(float64(x.A.Cols))
		for i := range x.A.Data {
			x.A.Data[i] = float32((2*r.Float64() - 1) * bound)
		}
		if x.Magnitude != nil {
			x.Magnitude.Data = kernels.Alloc(x.Rows)
			kernels.Run(func() { x.Lengths(x.of, x.Magnitude.Data, nil) })
		}
	}
}

// readAdapters reads the adapters from their file.
func (m *Model) readAdapters(w *checkpoints.Weights) error {
	for _, x := range m.adapters {
		for _, p := range x.Params() {
			p.Data = kernels.Alloc(p.Size())
			name := p.Name
			if _, ok := w.Info(name); !ok {
				name += ".weight" // of magnitudes, in some files
			}
			if err := w.Read(name, p.Data); err != nil {
				return err
			}
			if !kernels.AllFinite(p.Data) {
				return fmt.Errorf("tensor %s holds a NaN or infinity", name)
			}
		}
	}
	return nil
}

// Adapted reports whether the model has adapters.
func (m *Model) Adapted() bool { return len(m.adapters) > 0 }

// All are the parameters with those of adapters behind them.
func (m *Model) All() []*graph.Param {
	all := slices.Clone(m.Params)
	for _, x := range m.adapters {
		all = append(all, x.Params()...)
	}
	return all
}

// Merge makes the change of all adapters one of the weights, which are float32.
func (m *Model) Merge() {
	kernels.Run(func() {
		for _, x := range m.adapters {
			x.Merge(x.of)
		}
	})
	for _, x := range m.adapters {
		x.of.Adapters = nil
		for _, p := range x.Params() {
			kernels.Free(p.Data)
			delete(m.files, p)
		}
	}
	m.adapters = nil
}

// Dropout reports whether adapters have any.
func (m *Model) Dropout() bool { return m.Adapted() && m.lora.Dropout > 0 }

// DropoutKeys says what the dropout of each token of a pack follows from in an optimiser step: the
// seed, the step and the document up to it, so that it is the same wherever the document lies.
func (m *Model) DropoutKeys(keys []uint64, ids, starts []int32, step int) {
	begin := graph.Mix(graph.Mix(m.seed+1) + uint64(step))
	for t, id := range ids {
		before := begin
		if starts[t] < int32(t) {
			before = keys[t-1]
		}
		keys[t] = max(1, graph.Mix(before+uint64(id)+1))
	}
	for t := len(ids); t < len(keys); t++ {
		keys[t] = 1 // padding
	}
}

// Bytes are those of the weights, of what stays as it is among them, and of the bf16 copies that
// products in bf16 read.
func (m *Model) Bytes() (weights, frozen, half int64) {
	for _, p := range m.All() {
		n := 4 * int64(p.Size())
		if p.Packed {
			n /= 2
		}
		weights += n
		if p.Frozen {
			frozen += n
		}
	}
	for _, p := range m.Params {
		if !p.Packed {
			half += 2 * int64(p.Size())
		}
	}
	return weights, frozen, half
}
