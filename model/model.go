// Package model holds language models: their architecture, their parameters,
// and the names those have in Hugging Face's files.
//
// [Load] reads a model folder, [New] makes one from a seed, [Model.Save]
// writes one back. [Model.Graph] builds the training graph for a pack size;
// [NewGenerator] writes text with the same weights. The architecture itself is
// written once, in forward, and serves both.
//
// Weights that are read together lie together: query, key and value matrices
// are one parameter, gate and up matrices are another; the files keep their
// own names and shapes.
package model

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"lwtrain/checkpoints"
	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
	"lwtrain/internal/rng"
	"lwtrain/model/families"
)

// Model is a set of weights with its architecture.
type Model struct {
	Config Config
	Params []*graph.Param // in the order of the forward pass
	tensors

	adapters []adapted
	whole    []module // that are trained as a whole beside them: the head, too, where it is the embedding table
	lora     LoRA     // that they are
	base     Base     // that their files name
	from     bool     // they were read, and not made from a seed
	seed     uint64   // of their dropout

	held    *checkpoints.Weights // files with tensors of other parts that are carried; nil: there are none
	carried int64                // bytes of these in a checkpoint
}

// tensors finds the parameters by role.
type tensors struct {
	embed, norm, head *graph.Param
	layers            []layer
	files             map[*graph.Param][]families.Tensor
}

// layer holds the parameters of a layer; those that its architecture lacks are
// nil.
type layer struct {
	attnNorm, qkv, qkvBias, qkNorm, out, outBias, attnAfter *graph.Param
	in, gates, taps                                         *graph.Param      // of a recurrent layer
	delta                                                   graph.DeltaParams // of one of the delta rule
	ffnNorm, gateUp, down, ffnAfter                         *graph.Param
}

// place is where a parameter is kept.
func (t *tensors) place(p families.Parameter) **graph.Param {
	switch p.Role {
	case families.Embed:
		return &t.embed
	case families.Norm:
		return &t.norm
	case families.Head:
		return &t.head
	}
	l := &t.layers[p.Layer]
	switch p.Role {
	case families.AttnNorm:
		return &l.attnNorm
	case families.QKV:
		return &l.qkv
	case families.QKVBias:
		return &l.qkvBias
	case families.QKNorm:
		return &l.qkNorm
	case families.Out, families.LinearOut:
		return &l.out
	case families.In:
		return &l.in
	case families.Gates:
		return &l.gates
	case families.Taps:
		return &l.taps
	case families.ALog:
		return &l.delta.ALog
	case families.DtBias:
		return &l.delta.DtBias
	case families.ReadWeight:
		return &l.delta.Norm
	case families.OutBias:
		return &l.outBias
	case families.AttnAfterNorm:
		return &l.attnAfter
	case families.FFNNorm:
		return &l.ffnNorm
	case families.GateUp:
		return &l.gateUp
	case families.Down:
		return &l.down
	case families.FFNAfterNorm:
		return &l.ffnAfter
	}
	panic("model: no place for a parameter of the role " + string(p.Role))
}

// layout lists the parameters of the architecture, without memory.
func (c Config) layout() ([]*graph.Param, tensors) {
	var all []*graph.Param
	t := tensors{layers: make([]layer, c.Layers), files: map[*graph.Param][]families.Tensor{}}
	for _, of := range c.Layout() {
		p := &graph.Param{Name: of.String(), Decay: of.Cols > 0 || of.Taps > 0}
		if strings.HasSuffix(p.Name, "norm") {
			p.Offset = c.normOffset
		}
		t.files[p] = c.names.Tensors(of)
		p.Rows, p.Cols = of.Size()
		*t.place(of) = p
		all = append(all, p)
	}
	if c.Tied {
		t.head = t.embed
	}
	return all, t
}

// Empty returns the model without memory for its weights, for planning a run.
func Empty(c Config) *Model {
	m := &Model{Config: c}
	m.Params, m.tensors = c.layout()
	return m
}

// Tensors are those that the files store a parameter as.
func (c Config) Tensors(p families.Parameter) []families.Tensor { return c.names.Tensors(p) }

func alloc(c Config) *Model {
	m := Empty(c)
	for _, p := range m.Params {
		p.Data = kernels.Alloc(p.Size())
	}
	return m
}

// New makes a model with random weights: normal with standard deviation
// initializer_range, norms 1 as they are used, biases 0; of the delta rule dt_bias is 1 and
// exp(A_log) uniform up to 16, as transformers has it. Every tensor has a random stream of its own, named as in the files.
func New(c Config, seed uint64) *Model {
	m := alloc(c)
	m.each(func(_ int, p *graph.Param) {
		for _, f := range m.files[p] {
			dst, r := m.rowsOf(p, f), rng.New(seed, "init/"+f.Name)
			role := families.Role(p.Name[strings.LastIndexByte(p.Name, '.')+1:])
			switch {
			case !f.Vector() || role == families.Taps:
				for i := range dst {
					dst[i] = float32(normal(r) * c.InitStd)
				}
			case role == families.ALog:
				for i := range dst {
					dst[i] = float32(math.Log(0.01 + 15.99*r.Float64()))
				}
			case strings.HasSuffix(p.Name, "norm") || role == families.ReadWeight || role == families.DtBias:
				for i := range dst {
					dst[i] = 1 - p.Offset
				}
			}
		}
	})
	return m
}

// normal draws from the standard normal distribution by Box and Muller, whose
// result, unlike the library's, can be made again in any language.
func normal(r *rand.Rand) float64 {
	u := 1 - r.Float64() // (0, 1]
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*r.Float64())
}

// extent says which values of a parameter a file stores as one tensor: from the first, before the last.
func extent(p *graph.Param, f families.Tensor) (from, to int) {
	cols := p.Cols
	if f.Vector() {
		cols = 1
	}
	return f.Row * cols, (f.Row + f.Rows()) * cols
}

// rowsOf is the memory of what a file stores as one tensor.
func (m *Model) rowsOf(p *graph.Param, f families.Tensor) []float32 {
	from, to := extent(p, f)
	return p.Data[from:to]
}

// Load reads a model folder: config.json and safetensors.
func Load(dir string) (*Model, error) { return loadAs(dir, false) }

// LoadBF16 reads a model folder for a [Generator] alone: matrices are kept in bf16 only, rounded if the file has more. The
// model can be neither trained nor saved.
func LoadBF16(dir string) (*Model, error) { return loadAs(dir, true) }

// IsBF16 reports whether all matrices of a folder are stored in bf16, so that
// [LoadBF16] loses nothing.
func IsBF16(dir string) (bool, error) {
	w, err := checkpoints.OpenWeights(dir)
	if err != nil {
		return false, err
	}
	defer w.Close()
	for _, name := range w.Names() {
		if info, _ := w.Info(name); len(info.Shape) > 1 && info.DType != "BF16" {
			return false, nil
		}
	}
	return true, nil
}

// Check compares config.json and the headers of the weights of a folder: what
// [Load] would refuse before it reads values. It returns the config as Load takes it.
func Check(dir string) (Config, error) {
	m, w, err := open(dir)
	if err != nil {
		return Config{}, err
	}
	return m.Config, w.Close()
}

// open reads what a folder says of its model, and checks that its files have the weights.
func open(dir string) (*Model, *checkpoints.Weights, error) {
	c, err := ReadConfig(dir)
	if err != nil {
		return nil, nil, err
	}
	w, err := checkpoints.OpenWeights(dir)
	if err != nil {
		return nil, nil, err
	}
	c.place(w)
	if err = c.untie(w); err == nil {
		m := Empty(c)
		if err = m.checkFiles(dir, w); err == nil {
			return m, w, nil
		}
	}
	w.Close()
	return nil, nil, err
}

func loadAs(dir string, half bool) (*Model, error) {
	m, w, err := open(dir)
	if err != nil {
		return nil, err
	}
	// Matrices first: memory in one piece gets large pages.
	for _, p := range m.Params {
		if half && p.Rows > 1 {
			p.Half = kernels.AllocBF16(p.Size())
		}
	}
	for _, p := range m.Params {
		if err := m.read(p, w); err != nil {
			m.Free()
			return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), w.Close())
		}
	}
	return m, m.hold(w)
}

// read fills a parameter, piece by piece: its values of 24 bits, or bf16 ones, where it has room for them.
func (m *Model) read(p *graph.Param, w *checkpoints.Weights) error {
	if p.Packed && p.Frozen {
		return m.readPacked(p, w)
	}
	return m.readAs(p, w, func(tensor string) string { return tensor })
}

// readAs is [Model.read] from files with other names.
func (m *Model) readAs(p *graph.Param, w *checkpoints.Weights, named func(tensor string) string) error {
	const most = 1 << 18  // values at a time: as many as a core's cache keeps until they are looked at
	half := p.Half != nil // room for them
	if !half && p.Data == nil {
		p.Data = kernels.Alloc(p.Size())
	}
	for _, f := range m.files[p] {
		f.Name = named(f.Name)
		from, to := extent(p, f)
		var part []float32
		for at := from; at < to; at += most {
			n := min(most, to-at)
			if half {
				part = append(part[:0], make([]float32, n)...)
			} else {
				part = p.Data[at : at+n]
			}
			if err := w.ReadAt(f.Name, at-from, part); err != nil {
				return err
			}
			if !kernels.AllFinite(part) {
				return fmt.Errorf("tensor %s holds a NaN or infinity", f.Name)
			}
			switch {
			case p.Low != nil:
				kernels.ToFloat24(p.Half[at:at+n], p.Low[at:at+n], part)
			case half:
				kernels.ToBF16(p.Half[at:at+n], part)
			}
		}
	}
	return nil
}

// readPacked fills a matrix that stays as it is and is bf16 in the files.
func (m *Model) readPacked(p *graph.Param, w *checkpoints.Weights) error {
	for _, f := range m.files[p] {
		from, to := extent(p, f)
		at := 0
		for half := range slices.Chunk(p.Half[from:to], 1<<18) { // as much as a core's cache keeps until it is looked at
			if err := w.ReadHalfAt(f.Name, at, half); err != nil {
				return err
			}
			if at += len(half); !kernels.AllFiniteBF16(half) {
				return fmt.Errorf("tensor %s holds a NaN or infinity", f.Name)
			}
		}
	}
	return nil
}

// checkFiles compares what the folder holds with what the architecture wants,
// before any memory is taken.
func (m *Model) checkFiles(dir string, w *checkpoints.Weights) error {
	var missing, strange string // the first of each
	wanted := map[string]bool{}
	for _, p := range m.Params {
		for _, f := range m.files[p] {
			wanted[f.Name] = true
			info, ok := w.Info(f.Name)
			switch {
			case !ok && missing == "":
				missing = f.Name
			case ok && !slices.Equal(info.Shape, f.Shape):
				return fmt.Errorf("%s: tensor %s has shape %v, want %v", dir, f.Name, info.Shape, f.Shape)
			}
		}
	}
	for _, name := range w.Names() {
		if info, _ := w.Info(name); strings.HasPrefix(info.DType, "F8_") && w.ScaleOf(name) == "" && !isScale(w, name) {
			return notImplemented(noQuantised, "%s: tensor %.80s is of 8 bits (%s), and there are no scales to read it by", dir, name,
				info.DType)
		}
		buffer := strings.HasSuffix(name, ".inv_freq") || strings.HasSuffix(name, ".masked_bias")
		tiedHead := m.Config.Tied && name == m.Config.names.Whole(families.Head)
		if !wanted[name] && !buffer && !tiedHead && !m.Config.Carries(name) && !isScale(w, name) {
			strange = name
			break
		}
	}
	asked := fmt.Sprintf("config.json (%s, %d layers)", m.Config.Type, m.Config.Layers)
	switch {
	case missing != "" && strange == "":
		return fmt.Errorf("%s: no tensor %s, which %s calls for", dir, missing, asked)
	case missing != "":
		return notImplemented(m.Config.tensorHint(strange), "%s: no tensor %s, which %s calls for, but %.80s", dir, missing, asked, strange)
	case strange != "":
		return m.Config.noPlace(fmt.Errorf("%s: tensor %.80s, for which %s has no place", dir, strange, asked), strange, wanted)
	}
	return nil
}

// shardBytes is the largest file of weights that Save writes: Hugging Face's
// customary 5 GB.
const shardBytes = 5_000_000_000

// Save writes config.json and the weights into dir, with the names of the
// model's own form, in float32, or rounded to bf16 with dtype "bfloat16".
func (m *Model) Save(dir, dtype string) error { return m.Export(dir, dtype, nil) }

// Export is [Model.Save]. progress, which may be nil, is told the bytes of weights written.
func (m *Model) Export(dir, dtype string, progress func(done, total int64)) error {
	all := m.weights()
	if m.held != nil {
		all = append(all, m.Config.Carried(m.held)...)
	}
	return m.Config.WriteFolder(dir, dtype, all, progress)
}

// weights are those of the model, without adapters, as its files store them.
func (m *Model) weights() (out []checkpoints.Stream) {
	return m.streams(m.Params, func(p *graph.Param) func(dst []float32, from int) { return p.Values })
}

// Streams lists, under the names of the files, values of each parameter that read makes from a given one on, while they are
// written. A parameter of which there is nil is left out. Those of adapters come last.
func (m *Model) Streams(of func(*graph.Param) (read func(dst []float32, from int))) []checkpoints.Stream {
	return m.streams(m.All(), of)
}

func (m *Model) streams(params []*graph.Param, of func(*graph.Param) func(dst []float32, from int)) (out []checkpoints.Stream) {
	for _, p := range params {
		read := of(p)
		if read == nil {
			continue
		}
		for _, f := range m.files[p] {
			from, _ := extent(p, f)
			out = append(out, checkpoints.Stream{Name: f.Name, Shape: f.Shape, Read: func(offset int, dst []float32) error {
				read(dst, from+offset)
				return nil
			}})
		}
	}
	return out
}

// Tensors lists, under the names of the files, what of each parameter: its
// weights, its gradient, a moment of the optimiser. A parameter of which there is
// nil is left out. No values are copied. Those of adapters come last.
func (m *Model) Tensors(of func(*graph.Param) []float32) []checkpoints.Tensor {
	var out []checkpoints.Tensor
	for _, p := range m.All() {
		data := of(p)
		if data == nil {
			continue
		}
		for _, f := range m.files[p] {
			view := *p
			view.Data = data
			out = append(out, checkpoints.Tensor{Name: f.Name, Shape: f.Shape, Data: m.rowsOf(&view, f)})
		}
	}
	return out
}

// Free gives back the memory of weights and gradients.
func (m *Model) Free() {
	for _, p := range m.All() {
		kernels.Free(p.Data)
		kernels.Free(p.Grad)
		kernels.FreeBF16(p.Half)
		kernels.FreeInt8(p.Low)
		p.Data, p.Grad, p.Half, p.Low = nil, nil, nil, nil
	}
	if m.held != nil {
		m.held.Close()
		m.held = nil
	}
}

// UseHalf keeps bf16 copies of all matrices, for products in that format.
func (m *Model) UseHalf() {
	for _, p := range m.Params {
		if p.Rows > 1 && p.Half == nil {
			p.Half = kernels.AllocBF16(p.Size())
		}
	}
	m.RefreshHalf()
}

// RefreshHalf makes the bf16 copies agree with the master weights.
func (m *Model) RefreshHalf() {
	kernels.Run(func() {
		for _, p := range m.Params {
			p.RefreshHalf()
		}
	})
}

// UseGradients makes room for the gradients of all parameters that are not frozen,
// zeroed.
func (m *Model) UseGradients() {
	for _, p := range m.All() {
		if p.Grad == nil && !p.Frozen {
			p.Grad = kernels.Alloc(p.Size())
		}
	}
}

// KeysBytes is how much memory the keys and values of a text of so many tokens take in a [Generator].
func (m *Model) KeysBytes(tokens int) int64 {
	const float, half = 4, 2
	size := int64(float)
	if m.embed.Half != nil {
		size = half
	}
	return size * 2 * int64(tokens) * int64(m.Config.Layers*m.Config.KVHeads*m.Config.HeadDim)
}

// ReadingBytes is about how much memory a [Generator] takes, beside [Model.KeysBytes], to read a prompt of so many
// tokens at once and to continue batch texts.
func (m *Model) ReadingBytes(tokens, batch int) int64 {
	const float, half, layers = 4, 2, 2
	c := m.Config
	values := 8*c.Hidden + 2*c.Heads*c.HeadDim + 2*c.KVHeads*c.HeadDim + c.Heads + 3*c.FFN
	return int64(tokens)*int64(layers*float*values+half*max(c.FFN, c.Hidden, c.Heads*c.HeadDim)) + int64(batch)*float*int64(c.Vocab)
}
