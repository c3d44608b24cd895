package model

import (
	"errors"
	"fmt"
	"math"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/checkpoints"
	"lwtrain/internal/fault"
	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
	"lwtrain/internal/rng"
	"lwtrain/model/families"
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
		err = m.makeAdapters(from)
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
		err = m.makeAdapters(from)
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
		if m.whole, err = m.chosen(t.LoRA.ModulesToSave); err != nil {
			return nil, fmt.Errorf("lora.modules_to_save: %w", err)
		}
	}
	m.base, m.seed = t.Base, t.Seed
	if w != nil && !m.Adapted() {
		m.carried = m.Config.carriedBytes(w)
	}
	for _, p := range m.Params {
		whole := m.isWhole(p)
		if whole && p.Frozen {
			return nil, fmt.Errorf("lora.modules_to_save: %s is trained as a whole, and train.freeze keeps it as it is, want one of them",
				m.module(p))
		}
		p.Frozen = p.Frozen || m.Adapted() && !whole
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
func (m *Model) makeAdapters(from *adapterFolder) error {
	if from == nil {
		return m.beginAdapters(func(*graph.Param) error { return nil }, func(*graph.Param) {})
	}
	return from.read(m)
}

// beginAdapters takes memory for fresh adapters: A uniform between -1/sqrt(K) and 1/sqrt(K), as PEFT
// has it, B 0, magnitudes the lengths of the rows of a matrix, which is taken and released for it. Every tensor has a random
// stream of its own, named as in the files.
func (m *Model) beginAdapters(take func(*graph.Param) error, release func(*graph.Param)) error {
	for _, x := range m.adapters {
		x.A.Data, x.B.Data = kernels.Alloc(x.A.Size()), kernels.Alloc(x.B.Size())
		r, bound := rng.New(m.seed, "lora/"+x.A.Name), 1/math.Sqrt(float64(x.A.Cols))
		for i := range x.A.Data {
			x.A.Data[i] = float32((2*r.Float64() - 1) * bound)
		}
		if x.Magnitude == nil {
			continue
		}
		x.Magnitude.Data = kernels.Alloc(x.Rows)
		if err := take(x.of); err != nil {
			return err
		}
		kernels.Run(func() { x.Lengths(x.of, x.Magnitude.Data, nil) })
		release(x.of)
	}
	return nil
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

// outer are the modules that may be trained as a whole beside adapters: those outside of the layers. They are the embedding, the
// last norm and the head, which may be the embedding by another name.
func (m *Model) outer() (out []module) {
	for _, p := range []*graph.Param{m.embed, m.norm, m.head} {
		out = append(out, module{m.module(p), p, m.files[p][0]})
	}
	if out[2].name = m.Config.module(m.Config.names.Whole(families.Head)); m.Config.prefix != "" {
		out[2].name = packedHeads[0]
	}
	return out
}

// module is the name of a parameter's first module.
func (m *Model) module(p *graph.Param) string { return m.Config.module(m.files[p][0].Name) }

// isWhole reports whether a parameter is trained as a whole beside adapters.
func (m *Model) isWhole(p *graph.Param) bool {
	return slices.ContainsFunc(m.whole, func(x module) bool { return x.of == p })
}

// SavedName is the name in checkpoints of a tensor that is trained: its own, or beside adapters the one that PEFT gives to a module.
func (m *Model) SavedName(tensor string) string {
	for _, x := range m.outer() {
		if x.Name == tensor && m.isWhole(x.of) {
			return prefix + x.name + ".weight"
		}
	}
	return tensor
}

// chosen are the modules to train as a whole that a list of names means.
func (m *Model) chosen(names []string) (out []module, err error) {
	all := m.outer()
	fits := func(x module, name string) bool { return x.name == name || strings.HasSuffix(x.name, "."+name) }
	for _, name := range names {
		if !slices.ContainsFunc(all, func(x module) bool { return fits(x, name) }) {
			return nil, fmt.Errorf("%.80q names no module outside of the layers, want of: %s, %s, %s", name, short(all[0].name),
				short(all[1].name), short(all[2].name))
		}
	}
	for i, x := range all {
		named := slices.ContainsFunc(names, func(name string) bool { return fits(x, name) })
		if i == 2 && m.Config.Tied {
			if with := slices.ContainsFunc(out, func(y module) bool { return y.of == x.of }); named && !with {
				return nil, fmt.Errorf("%s is %s, too (tie_word_embeddings), want both", x.name, all[0].name)
			} else if with {
				named = true
			}
		}
		if named {
			out = append(out, x)
		}
	}
	return out, nil
}

// wholeAs takes the modules that an adapter's file has as a whole, and notes its tensors as known. asked are those of the config.
func (m *Model) wholeAs(f *adapterFolder, w *checkpoints.Weights, asked []string, known map[string]bool) error {
	for _, name := range f.peft.Whole {
		if _, err := m.chosen([]string{name}); err != nil && !m.Config.Tied {
			return fault.Usage(fmt.Errorf("%s: modules_to_save: %w", filepath.Join(f.dir, adapterFile),
				notImplemented(mergeFirst, "%w", err)))
		}
	}
	all := m.outer()
	for i, x := range all {
		name := prefix + x.name + ".weight"
		info, ok := w.Info(name)
		tied := i == 2 && m.Config.Tied
		switch {
		case ok && !slices.Equal(info.Shape, x.Shape):
			return f.wrong("tensor %s has shape %v, want %v", name, info.Shape, x.Shape)
		case tied && ok != m.isWhole(x.of) && !(f.peft.Tied && m.isWhole(x.of)):
			return f.wrong("%s or %s is there without the other, and they are one matrix (tie_word_embeddings), want both, as "+
				"ensure_weight_tying of PEFT has it", all[0].name, x.name)
		case tied && ok:
			if same, err := w.Same(name, prefix+all[0].name+".weight"); err != nil {
				return err
			} else if !same {
				return f.wrong("%s and %s differ, and are one matrix (tie_word_embeddings), want the same values", all[0].name, x.name)
			}
		}
		if known[name] = ok; ok || tied && m.isWhole(x.of) {
			m.whole = append(m.whole, x)
		}
	}
	for _, name := range f.peft.Whole {
		if !slices.ContainsFunc(m.whole, func(x module) bool { return x.name == name || strings.HasSuffix(x.name, "."+name) }) {
			return f.wrong("no tensor of the module %.80s, which modules_to_save has", name)
		}
	}
	return m.askedWhole(f, asked)
}

// askedWhole refuses other modules of a config than those of the adapter that it goes on from.
func (m *Model) askedWhole(f *adapterFolder, asked []string) error {
	want, err := m.chosen(asked)
	if err != nil {
		return fmt.Errorf("lora.modules_to_save: %w", err)
	}
	same := func(a, b module) bool { return a.name == b.name }
	if len(asked) > 0 && !slices.EqualFunc(want, m.whole, same) {
		return fault.Usage(fmt.Errorf("lora.modules_to_save is %v, want none, or the modules of %s", asked, f.dir))
	}
	return nil
}

// Replaced reports whether modules that an adapter's file has as a whole stand in the place of the base's, which is then no longer there.
func (m *Model) Replaced() bool { return m.from && len(m.whole) > 0 }

// readFrom fills the adapters that training goes on from.
func (m *Model) readFrom() error {
	f, err := openAdapter(m.lora.From)
	if err != nil {
		return err
	}
	return f.read(m)
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
	m.adapters, m.whole = nil, nil
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
