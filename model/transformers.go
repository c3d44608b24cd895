package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/checkpoints"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
	"lwtrain/model/families"
)

// Twin is a model as the classes of transformers have it, which know no code that comes
// with a model: the form that computes the same, under its own names.
type Twin struct {
	Config   []byte // a config.json
	Tensors  []Laid // of the twin, made of the files' tensors; those of adapters come last
	Files    []Laid // of the model's files, made of the twin's tensors; those of adapters come last
	Adapters []Adapting
}

// Laid is a tensor that is made of rows of others, one piece below the other.
type Laid struct {
	Name   string
	Shape  []int
	Pieces []Piece
	Frozen bool   // it is not trained
	Packed bool   // and kept in bf16, as the files have it
	Beside bool   // training begins with the one of an adapter's file
	Saved  string // its name in a checkpoint; "": checkpoints are without it
}

// Piece is rows of a tensor: of a vector, values.
type Piece struct {
	Name        string
	First, Rows int
}

// Adapting is a linear layer of the twin with an adapter, or with rows of one.
type Adapting struct {
	Linear    string  `json:"linear"`    // name of the module
	A         string  `json:"a"`         // names of tensors: [Rank, inputs],
	B         string  `json:"b"`         // [Rows, Rank],
	Magnitude string  `json:"magnitude"` // and [Rows]; "": rows keep the length that they get
	Rank      int     `json:"rank"`
	Rows      int     `json:"rows"`
	First     int     `json:"first"` // row of the adapter that is the layer's first one
	Scale     float32 `json:"scale"`
	Salt      int64   `json:"salt"` // and Threshold: [graph.Adapter.Drops]
	Threshold int     `json:"threshold"`
}

// Twin describes the model for transformers, with what of it is trained. For most families it is the model itself.
func (m *Model) Twin() (Twin, error) {
	c := m.Config
	family, ok := families.Find(c.Type)
	if !ok {
		return Twin{}, unknownType(c.Type, c.file)
	}
	names := c.names
	var t Twin
	var err error
	switch {
	case c.Package != "":
		names = family.Names
		t.Config, err = c.textJSON()
	case family.Twin == "":
		names = family.Names
		t.Config, err = c.JSON("float32")
	default:
		other, ok := families.Find(family.Twin)
		if !ok {
			panic("model: no family " + family.Twin)
		}
		names = other.Names
		t.Config, err = c.twinConfig(family.Twin)
	}
	if err != nil {
		return t, err
	}
	for i, of := range c.Layout() {
		p := m.Params[i]
		files, twins := c.names.Tensors(of), names.Tensors(of)
		lay := func(x families.Tensor, of []families.Tensor) Laid {
			laid := Laid{Name: x.Name, Shape: x.Shape, Pieces: pieces(x, of), Frozen: p.Frozen, Packed: p.Frozen && p.Packed}
			if !m.Adapted() || !p.Frozen {
				laid.Saved = m.SavedName(x.Name)
			}
			laid.Beside = m.from && m.isWhole(p)
			return laid
		}
		for _, x := range twins {
			t.Tensors = append(t.Tensors, lay(x, files))
			if err := t.adapt(x, p); err != nil {
				return t, err
			}
		}
		for _, x := range files {
			t.Files = append(t.Files, lay(x, twins))
		}
	}
	for _, x := range m.adapters {
		for _, p := range x.Params() {
			shape := m.files[p][0].Shape
			laid := Laid{Name: p.Name, Shape: shape, Pieces: []Piece{{p.Name, 0, shape[0]}}, Beside: true, Saved: p.Name}
			t.Tensors, t.Files = append(t.Tensors, laid), append(t.Files, laid)
		}
	}
	return t, nil
}

// adapt notes the adapter that a tensor of the twin has: one that is for other rows, too, is rows of it.
func (t *Twin) adapt(x families.Tensor, p *graph.Param) error {
	for _, a := range p.Adapters {
		from, to := max(x.Row, a.Row), min(x.Row+x.Rows(), a.Row+a.Rows)
		if x.Vector() || from >= to {
			continue
		}
		if from != x.Row || to != x.Row+x.Rows() {
			return fmt.Errorf("%s: an adapter of %d of its %d rows, want one of all of them", x.Name, to-from, x.Rows())
		}
		one := Adapting{Linear: strings.TrimSuffix(x.Name, ".weight"), A: a.A.Name, B: a.B.Name, Rank: a.A.Rows, Rows: a.Rows,
			First: x.Row - a.Row, Scale: a.Scale}
		if a.Magnitude != nil {
			one.Magnitude = a.Magnitude.Name
		}
		salt, threshold := a.Drops()
		one.Salt, one.Threshold = int64(salt), int(threshold)
		t.Adapters = append(t.Adapters, one)
	}
	return nil
}

// pieces cuts the rows of a tensor where other tensors of the same parameter begin.
func pieces(of families.Tensor, others []families.Tensor) (out []Piece) {
	for _, o := range others {
		from, to := max(of.Row, o.Row), min(of.Row+of.Rows(), o.Row+o.Rows())
		values := 1 // of a row of taps
		if len(o.Shape) == 3 {
			values = o.Shape[2]
		}
		if from < to {
			out = append(out, Piece{o.Name, (from - o.Row) / values, (to - from) / values})
		}
	}
	return out
}

// twinConfig is the config.json of a family that has the common keys.
func (c Config) twinConfig(kind string) ([]byte, error) {
	if c.Rope.Scaling != nil {
		return nil, fmt.Errorf("rope_scaling is %s: %s has none", c.Rope.Scaling.Type, kind)
	}
	rotary := float64(c.Rope.Dim) / float64(c.HeadDim)
	return json.Marshal(map[string]any{
		"model_type": kind, "hidden_size": c.Hidden, "intermediate_size": c.FFN, "num_hidden_layers": c.Layers,
		"num_attention_heads": c.Heads, "num_key_value_heads": c.KVHeads, "head_dim": c.HeadDim, "vocab_size": c.Vocab,
		"max_position_embeddings": max(c.MaxTokens, 1), "rms_norm_eps": c.NormEps, "tie_word_embeddings": c.Tied,
		"attention_bias": c.QKVBias, "rope_theta": c.Rope.Theta, "partial_rotary_factor": rotary, "hidden_act": "silu",
		"pad_token_id": nil, "bos_token_id": nil, "eos_token_id": nil,
		"rope_parameters": map[string]any{"rope_type": "default", "rope_theta": c.Rope.Theta, "partial_rotary_factor": rotary},
	})
}

// WriteFolder writes config.json, the code that came with the model, and its weights into
// dir, as [Model.Save] does: tensors are all that the model's files have.
func (c Config) WriteFolder(dir, dtype string, tensors []checkpoints.Stream, progress func(done, total int64)) error {
	format, ok := map[string]string{"float32": "F32", "bfloat16": "BF16"}[dtype]
	if !ok {
		return fmt.Errorf("dtype is %q, want float32 or bfloat16", dtype)
	}
	cfg, err := c.JSON(dtype)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(filepath.Join(dir, "config.json"), cfg); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.code)) {
		if err := atomicfile.WriteBytes(filepath.Join(dir, name), c.code[name]); err != nil {
			return err
		}
	}
	if name := c.names.InverseFrequencies; name != "" {
		t := c.inverseFrequencies(name)
		tensors = append(slices.Clone(tensors), t.Stream())
	}
	return checkpoints.StreamWeights(dir, format, tensors, shardBytes, progress)
}

// SaveStart writes the adapters, as PEFT has them, that the training of the model in dir begins with: m is an [Outline] of
// it, and stays one. It takes memory for them, and with [DoRA] for one matrix.
func (m *Model) SaveStart(dir, to string) error {
	defer m.Free()
	if m.from {
		if err := m.readFrom(); err != nil {
			return err
		}
		return m.SaveAdapter(to)
	}
	w, err := checkpoints.OpenWeights(dir)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := m.beginAdapters(func(p *graph.Param) error { return m.take(p, w) }, release); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return m.SaveAdapter(to)
}

// take reads a parameter of a model without memory, and release lets it go.
func (m *Model) take(p *graph.Param, w *checkpoints.Weights) error {
	if p.Packed {
		takePacked(p)
	}
	return m.read(p, w)
}

func release(p *graph.Param) {
	kernels.Free(p.Data)
	kernels.FreeBF16(p.Half)
	kernels.FreeInt8(p.Low)
	p.Data, p.Half, p.Low = nil, nil, nil
}

// FingerprintOf is the [Model.Fingerprint] of the model in dir as it begins to be trained: m is an [Outline] of it, and stays one.
func (m *Model) FingerprintOf(dir string) (string, error) {
	w, err := checkpoints.OpenWeights(dir)
	if err != nil {
		return "", err
	}
	m.held = w
	defer m.Free()
	if m.from {
		if err := m.readFrom(); err != nil {
			return "", err
		}
	}
	take := func(p *graph.Param) error {
		if p.Data != nil { // a module of the adapter's file
			return nil
		}
		return m.take(p, w)
	}
	base, err := m.fingerprint(take, release)
	if err != nil {
		return "", fmt.Errorf("%s: %w", dir, err)
	}
	if m.from {
		base = m.withAdapters(base)
	}
	return base, nil
}
