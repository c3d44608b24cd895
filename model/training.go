package model

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"lwtrain/checkpoints"
	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
)

// Training says what of a model is trained.
type Training struct {
	Freeze []string // patterns of names that stay as they are: [Model.Freeze]
	LoRA   LoRA
	Bits24 bool   // matrices that are trained are kept in 24 bits, 3 bytes a value: [kernels.FromFloat24]
	Base   Base   // what an adapter's files say of the model
	Seed   uint64 // of fresh adapters
}

// Base is where a model is found that an adapter is for.
type Base struct {
	Name     string // a folder, or a name on the hub
	Revision string // there; "": not said
}

// NewToTrain is [New] for training.
func NewToTrain(c Config, seed uint64, t Training) (*Model, error) { return New(c, seed).toTrain(t) }

// NewToMeasure is [NewToTrain] with values of no meaning, which are made faster: for how long a step takes.
func NewToMeasure(c Config, t Training) (*Model, error) {
	m := alloc(c)
	m.each(func(_ int, p *graph.Param) {
		for i := range p.Data {
			p.Data[i] = float32(i*7919%257-128) / 4096
		}
	})
	return m.toTrain(t)
}

func (m *Model) toTrain(t Training) (*Model, error) {
	from, err := m.prepare(t, nil)
	if err == nil {
		m.pack()
		err = m.makeAdapters(t, from)
	}
	if err != nil {
		m.Free()
		return nil, err
	}
	return m, nil
}

// LoadToTrain is [Load] for training. Matrices that stay as they are and that the files have in bf16
// are kept so.
func LoadToTrain(dir string, t Training) (*Model, error) {
	m, w, err := open(dir)
	if err != nil {
		return nil, err
	}
	from, err := m.prepare(t, w)
	if err == nil {
		err = m.readAll(dir, w)
	}
	if err == nil {
		err = m.makeAdapters(t, from)
	}
	if err != nil {
		m.Free()
		return nil, errors.Join(err, w.Close())
	}
	return m, m.hold(w)
}

// Outline is the model that [LoadToTrain] reads from a folder, or, where dir is "" or has no
// weights, that [NewToTrain] makes, without memory: for planning.
func Outline(c Config, dir string, t Training) (*Model, error) {
	m := Empty(c)
	var w *checkpoints.Weights
	if dir != "" && checkpoints.HasWeights(dir) {
		var err error
		if m, w, err = open(dir); err != nil {
			return nil, err
		}
		defer w.Close()
	}
	_, err := m.prepare(t, w)
	return m, err
}

// prepare marks what is trained and adds adapters, without memory. w are the model's files, nil where it has none.
func (m *Model) prepare(t Training, w *checkpoints.Weights) (from *adapterFolder, err error) {
	if err := m.Freeze(t.Freeze); err != nil {
		return nil, fmt.Errorf("train.freeze: %w", err)
	}
	switch {
	case t.LoRA.From != "":
		if from, err = m.adaptAs(t.LoRA); err != nil {
			return nil, err
		}
	case t.LoRA.On():
		all, err := m.targets(t.LoRA.Target)
		if err != nil {
			return nil, fmt.Errorf("lora.target: %w", err)
		}
		m.lora = t.LoRA
		for _, x := range all {
			m.adapt(x, t.LoRA)
		}
	}
	m.base, m.seed = t.Base, t.Seed
	for _, p := range m.Params {
		p.Frozen = p.Frozen || m.Adapted()
		if p.Frozen {
			p.Packed = w != nil && m.storedBF16(p, w)
		} else {
			p.Packed = t.Bits24 && p.Rows > 1
		}
	}
	return from, nil
}

// storedBF16 reports whether all of a matrix is bf16 in the files.
func (m *Model) storedBF16(p *graph.Param, w *checkpoints.Weights) bool {
	for _, f := range m.files[p] {
		if info, _ := w.Info(f.Name); info.DType != "BF16" || f.Vector() {
			return false
		}
	}
	return true
}

// takePacked takes the memory of a packed matrix.
func takePacked(p *graph.Param) {
	p.Half = kernels.AllocBF16(p.Size())
	if !p.Frozen {
		p.Low = kernels.AllocInt8(p.Size())
	}
}

// pack makes the values of packed matrices, which are float32, ones of 24 bits.
func (m *Model) pack() {
	m.each(func(_ int, p *graph.Param) {
		if p.Packed {
			takePacked(p)
			kernels.ToFloat24(p.Half, p.Low, p.Data)
			kernels.Free(p.Data)
			p.Data = nil
		}
	})
}

// makeAdapters takes memory for the adapters of a model that has its weights, and fills it.
func (m *Model) makeAdapters(t Training, from *adapterFolder) error {
	if from == nil {
		m.beginAdapters(t.Seed)
		return nil
	}
	return from.read(m)
}

// readAll reads all parameters.
func (m *Model) readAll(dir string, w *checkpoints.Weights) error {
	for _, p := range m.Params { // matrices first: memory in one piece gets large pages
		if p.Packed {
			takePacked(p)
		}
	}
	errs := make([]error, len(m.Params))
	m.each(func(i int, p *graph.Param) { errs[i] = m.read(p, w) })
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return nil
}

// LoadAdapted is [Load] for a model with an adapter that is read from a folder; with half
// it is [LoadBF16], whose adapters are float32 all the same.
func LoadAdapted(dir, adapter string, half bool) (*Model, error) {
	m, err := loadAs(dir, half)
	if err != nil {
		return nil, err
	}
	from, err := m.adaptAs(LoRA{From: adapter})
	if err == nil {
		err = from.read(m)
	}
	if err != nil {
		m.Free()
		return nil, err
	}
	return m, nil
}

// Freeze makes the tensors stay as they are that a pattern fits; the others are
// trained. Patterns are of names in the model's files, * stands for any characters:
// model.embed_tokens.*, model.layers.0.*. It must be called before [Model.UseGradients]
// and [Model.Graph].
//
// A pattern that fits no tensor is an error, and so is one that fits a part of what is
// one parameter here (query, key and value matrices are).
func (m *Model) Freeze(patterns []string) error {
	used := make([]bool, len(patterns))
	for _, p := range m.Params {
		frozen := 0
		for _, f := range m.files[p] {
			fits := false
			for i, pattern := range patterns {
				ok, err := path.Match(pattern, f.Name)
				if err != nil {
					return fmt.Errorf("pattern %q: %w", pattern, err)
				}
				used[i], fits = used[i] || ok, fits || ok
			}
			if fits {
				frozen++
			}
		}
		if all := len(m.files[p]); frozen > 0 && frozen < all {
			return fmt.Errorf("the patterns freeze %d of the %d tensors from %s on, want all or none of them: they are trained together",
				frozen, all, m.files[p][0].Name)
		}
		p.Frozen = frozen > 0
	}
	for i, pattern := range patterns {
		if !used[i] {
			return fmt.Errorf("pattern %q fits no tensor of the model, want one such as %s", pattern, m.files[m.Params[0]][0].Name)
		}
	}
	return nil
}

// TrainedParameters is the number of values that are not frozen.
func (m *Model) TrainedParameters() (n int64) {
	for _, p := range m.All() {
		if !p.Frozen {
			n += int64(p.Size())
		}
	}
	return n
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
// seed, the step and the document up to it, so that it is the same wherever the document lies. hidden, unless it is nil, is
// what of the pack branches do not see: each goes on from what lies before it.
func (m *Model) DropoutKeys(keys []uint64, ids, starts []int32, hidden [][2]int32, step int) {
	begin := graph.Mix(graph.Mix(m.seed+1) + uint64(step))
	for t, id := range ids {
		before, last := begin, t-1
		if hidden != nil && hidden[t][1] == int32(t) && t > 0 {
			last = int(hidden[t][0]) - 1
		}
		if int(starts[t]) <= last {
			before = keys[last]
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
		switch {
		case p.Packed && p.Frozen:
			n = 2 * int64(p.Size())
		case p.Packed:
			n = 3 * int64(p.Size())
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
