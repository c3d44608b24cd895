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
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"lwtrain/checkpoints"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
	"lwtrain/internal/rng"
)

// Model is a set of weights with its architecture.
type Model struct {
	Config Config
	Params []*graph.Param // in the order of the forward pass
	tensors
}

// tensors finds the parameters by role.
type tensors struct {
	embed, norm, head *graph.Param
	layers            []layer
	files             map[*graph.Param][]piece
}

type layer struct {
	attnNorm, qkv, qkvBias, out *graph.Param
	ffnNorm, gateUp, down       *graph.Param
}

// piece is the rows of a parameter that a file stores as one tensor.
type piece struct {
	name      string
	row, rows int
	vector    bool // stored with one dimension
}

// tensors lists the parameters of the architecture, without memory.
func (c Config) tensors() []*graph.Param {
	p, _ := c.layout()
	return p
}

func (c Config) layout() ([]*graph.Param, tensors) {
	var all []*graph.Param
	t := tensors{files: map[*graph.Param][]piece{}}
	matrix := func(name string, cols int, parts ...piece) *graph.Param {
		p := &graph.Param{Name: name, Cols: cols, Decay: true}
		for i := range parts {
			parts[i].row = p.Rows
			p.Rows += parts[i].rows
		}
		t.files[p] = parts
		all = append(all, p)
		return p
	}
	vector := func(name string, parts ...piece) *graph.Param {
		p := &graph.Param{Name: name, Rows: 1}
		for i := range parts {
			parts[i].row, parts[i].vector = p.Cols, true
			p.Cols += parts[i].rows
		}
		t.files[p] = parts
		all = append(all, p)
		return p
	}
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	t.embed = matrix("embed", c.Hidden, piece{name: "model.embed_tokens.weight", rows: c.Vocab})
	t.layers = make([]layer, c.Layers)
	for i := range t.layers {
		at := fmt.Sprintf("model.layers.%d.", i)
		in := func(s string) string { return fmt.Sprintf("%d.%s", i, s) }
		l := &t.layers[i]
		l.attnNorm = vector(in("attn_norm"), piece{name: at + "input_layernorm.weight", rows: c.Hidden})
		l.qkv = matrix(in("qkv"), c.Hidden,
			piece{name: at + "self_attn.q_proj.weight", rows: q},
			piece{name: at + "self_attn.k_proj.weight", rows: kv},
			piece{name: at + "self_attn.v_proj.weight", rows: kv})
		if c.QKVBias {
			l.qkvBias = vector(in("qkv_bias"),
				piece{name: at + "self_attn.q_proj.bias", rows: q},
				piece{name: at + "self_attn.k_proj.bias", rows: kv},
				piece{name: at + "self_attn.v_proj.bias", rows: kv})
		}
		l.out = matrix(in("out"), q, piece{name: at + "self_attn.o_proj.weight", rows: c.Hidden})
		l.ffnNorm = vector(in("ffn_norm"), piece{name: at + "post_attention_layernorm.weight", rows: c.Hidden})
		l.gateUp = matrix(in("gate_up"), c.Hidden,
			piece{name: at + "mlp.gate_proj.weight", rows: c.FFN},
			piece{name: at + "mlp.up_proj.weight", rows: c.FFN})
		l.down = matrix(in("down"), c.FFN, piece{name: at + "mlp.down_proj.weight", rows: c.Hidden})
	}
	t.norm = vector("norm", piece{name: "model.norm.weight", rows: c.Hidden})
	t.head = t.embed
	if !c.Tied {
		t.head = matrix("head", c.Hidden, piece{name: "lm_head.weight", rows: c.Vocab})
	}
	return all, t
}

// Plan returns the model without memory for its weights, for planning a run.
func Plan(c Config) *Model {
	m := &Model{Config: c}
	m.Params, m.tensors = c.layout()
	return m
}

func alloc(c Config) *Model {
	m := Plan(c)
	for _, p := range m.Params {
		p.Data = kernels.Alloc(p.Size())
	}
	return m
}

// New makes a model with random weights: normal with standard deviation
// initializer_range, norms 1, biases 0. Every tensor has a random stream of
// its own, named as in the files.
func New(c Config, seed uint64) *Model {
	m := alloc(c)
	for _, p := range m.Params {
		for _, f := range m.files[p] {
			dst := m.rowsOf(p, f)
			switch {
			case !f.vector:
				r := rng.New(seed, "init/"+f.name)
				for i := range dst {
					dst[i] = float32(normal(r) * c.InitStd)
				}
			case p.Name[len(p.Name)-4:] == "norm":
				for i := range dst {
					dst[i] = 1
				}
			}
		}
	}
	return m
}

// normal draws from the standard normal distribution by Box and Muller, whose
// result, unlike the library's, can be made again in any language.
func normal(r *rand.Rand) float64 {
	u := 1 - r.Float64() // (0, 1]
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*r.Float64())
}

// rowsOf is the memory of a piece.
func (m *Model) rowsOf(p *graph.Param, f piece) []float32 {
	if f.vector {
		return p.Data[f.row : f.row+f.rows]
	}
	return p.Data[f.row*p.Cols : (f.row+f.rows)*p.Cols]
}

// Load reads a model folder: config.json and safetensors.
func Load(dir string) (*Model, error) {
	c, err := ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	w, err := checkpoints.OpenWeights(dir)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	m := Plan(c)
	if err := m.checkFiles(dir, w); err != nil {
		return nil, err
	}
	m = alloc(c)
	for _, p := range m.Params {
		for _, f := range m.files[p] {
			if err := w.Read(f.name, m.rowsOf(p, f)); err != nil {
				m.Free()
				return nil, err
			}
		}
		if !kernels.AllFinite(p.Data) {
			m.Free()
			return nil, fmt.Errorf("%s: weights of %s hold a NaN or infinity", dir, m.files[p][0].name)
		}
	}
	return m, nil
}

// checkFiles compares what the folder holds with what the architecture wants,
// before any memory is taken.
func (m *Model) checkFiles(dir string, w *checkpoints.Weights) error {
	for _, p := range m.Params {
		for _, f := range m.files[p] {
			info, ok := w.Info(f.name)
			if !ok {
				return fmt.Errorf("%s: no tensor %s, which config.json (%s, %d layers) calls for", dir, f.name, m.Config.Type, m.Config.Layers)
			}
			want := []int{f.rows, p.Cols}
			if f.vector {
				want = want[:1]
			}
			if fmt.Sprint(info.Shape) != fmt.Sprint(want) {
				return fmt.Errorf("%s: tensor %s has shape %v, want %v", dir, f.name, info.Shape, want)
			}
		}
	}
	return nil
}

// Save writes config.json and model.safetensors (float32) into dir, with
// Hugging Face's names.
func (m *Model) Save(dir string) error {
	cfg, err := m.Config.JSON("float32")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(filepath.Join(dir, "config.json"), cfg); err != nil {
		return err
	}
	return checkpoints.WriteSafetensors(filepath.Join(dir, "model.safetensors"), "F32",
		m.Tensors(func(p *graph.Param) []float32 { return p.Data }), map[string]string{"format": "pt"})
}

// Tensors lists, under the names of the files, what of each parameter: its
// weights, its gradient, a moment of the optimiser. No values are copied.
func (m *Model) Tensors(of func(*graph.Param) []float32) []checkpoints.Tensor {
	var out []checkpoints.Tensor
	for _, p := range m.Params {
		data := of(p)
		for _, f := range m.files[p] {
			view := *p
			view.Data = data
			t := checkpoints.Tensor{Name: f.name, Shape: []int{f.rows, p.Cols}, Data: m.rowsOf(&view, f)}
			if f.vector {
				t.Shape = t.Shape[:1]
			}
			out = append(out, t)
		}
	}
	return out
}

// Free gives back the memory of weights and gradients.
func (m *Model) Free() {
	for _, p := range m.Params {
		kernels.Free(p.Data)
		kernels.Free(p.Grad)
		kernels.FreeBF16(p.Half)
		p.Data, p.Grad, p.Half = nil, nil, nil
	}
}

// UseHalf keeps bf16 copies of all matrices, for products in that format.
func (m *Model) UseHalf() {
	for _, p := range m.Params {
		if p.Rows > 1 && p.Half == nil {
			p.Half = kernels.AllocBF16(p.Size())
			p.RefreshHalf()
		}
	}
}

// UseGradients makes room for the gradients of all parameters, zeroed.
func (m *Model) UseGradients() {
	for _, p := range m.Params {
		if p.Grad == nil {
			p.Grad = kernels.Alloc(p.Size())
		}
	}
}
