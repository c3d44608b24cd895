package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"lwtrain/checkpoints"
	"lwtrain/internal/atomicfile"
	"lwtrain/model/families"
)

// Twin is a model as the classes of transformers have it, which know no code that comes
// with a model: the form that computes the same, under its own names.
type Twin struct {
	Config  []byte // a config.json
	Tensors []Laid // of the twin, made of the files' tensors
	Files   []Laid // of the model's files, made of the twin's tensors
}

// Laid is a tensor that is made of rows of others, one piece below the other.
type Laid struct {
	Name   string
	Shape  []int
	Pieces []Piece
	Frozen bool // it is not trained
}

// Piece is rows of a tensor: of a vector, values.
type Piece struct {
	Name        string
	First, Rows int
}

// Twin describes the model for transformers. For most families it is the model itself. freeze
// is as [Model.Freeze] has it.
func (c Config) Twin(freeze []string) (Twin, error) {
	family, ok := families.Find(c.Type)
	if !ok {
		return Twin{}, unknownType(c.Type)
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
	m := Empty(c)
	if err == nil {
		err = m.Freeze(freeze)
	}
	for i, p := range c.Layout() {
		frozen := m.Params[i].Frozen
		files, twins := c.names.Tensors(p), names.Tensors(p)
		for _, of := range twins {
			t.Tensors = append(t.Tensors, Laid{of.Name, of.Shape, pieces(of, files), frozen})
		}
		for _, of := range files {
			t.Files = append(t.Files, Laid{of.Name, of.Shape, pieces(of, twins), frozen})
		}
	}
	return t, err
}

// pieces cuts the rows of a tensor where other tensors of the same parameter begin.
func pieces(of families.Tensor, others []families.Tensor) (out []Piece) {
	for _, o := range others {
		from, to := max(of.Row, o.Row), min(of.Row+of.Rows(), o.Row+o.Rows())
		if from < to {
			out = append(out, Piece{o.Name, from - o.Row, to - from})
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
