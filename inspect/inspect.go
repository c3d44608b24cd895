// Package inspect says what a model's folder or file holds, by its headers and small files: no weights are read.
//
// [Read] takes a folder in Hugging Face's layout, an adapter's folder, a GGUF file or one safetensors file. What lwtrain has no
// forward pass, tokenizer or template for is no error but a [Refusal]: the rest is told all the same. Files that are damaged
// or hostile are errors, as everywhere.
package inspect

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lwtrain/checkpoints"
	"lwtrain/convert"
	"lwtrain/internal/fault"
	"lwtrain/internal/gguf"
	"lwtrain/internal/modeldir"
	"lwtrain/internal/plainjson"
	"lwtrain/internal/tensorfile"
	"lwtrain/model"
)

// Report is what a folder or file holds. Its JSON is docs/formats/plan.md's.
type Report struct {
	Path      string             `json:"path"`
	Kind      string             `json:"kind"` // folder, adapter, gguf, safetensors
	Family    string             `json:"family"`
	Sizes     *Sizes             `json:"sizes"`   // nil: not known
	Context   int                `json:"context"` // positions that the model knows; 0: not said
	Parts     *Parts             `json:"parameters"`
	Types     map[string]*Amount `json:"dtypes"`
	Tensors   Tensors            `json:"tensors"`
	Tokenizer *Tokenizer         `json:"tokenizer"`
	Template  *Template          `json:"template"`
	Adapter   *Adapter           `json:"adapter,omitempty"`
	Refused   []Refusal          `json:"refused"`
	Warnings  []string           `json:"warnings"`

	Config *model.Config `json:"-"` // nil: it is not one that lwtrain has a forward pass for
}

// Sizes are those of a decoder.
type Sizes struct {
	Layers      int     `json:"layers"`
	Hidden      int     `json:"hidden"`
	FFN         int     `json:"ffn"`
	Heads       int     `json:"heads"`
	KVHeads     int     `json:"kv_heads"`
	HeadDim     int     `json:"head_dim"`
	Vocab       int     `json:"vocab"`
	Tied        bool    `json:"tied"` // the head is the embedding table
	RopeTheta   float64 `json:"rope_theta"`
	RopeScaling string  `json:"rope_scaling"` // "": none
	Window      int     `json:"window"`       // tokens that layers with a window see; 0: none has one
	Windowed    int     `json:"windowed"`     // layers with one
}

// Parts are numbers of values.
type Parts struct {
	Total     int64 `json:"total"`
	Embedding int64 `json:"embedding"`
	Attention int64 `json:"attention"`
	MLP       int64 `json:"mlp"`
	Norms     int64 `json:"norms"`
	Head      int64 `json:"head"`  // 0 where it is tied to the embedding
	Other     int64 `json:"other"` // of other parts of a package, and of an architecture that is not known what none of these is
}

// Amount is how many tensors, values and bytes there are.
type Amount struct {
	Count  int   `json:"count"`
	Values int64 `json:"values"`
	Bytes  int64 `json:"bytes"`
}

func (a *Amount) add(t Tensor) {
	a.Count++
	a.Values += t.values()
	a.Bytes += t.Bytes
}

// Tensors are all of a model's.
type Tensors struct {
	Amount
	Files int      `json:"files"`
	List  []Tensor `json:"list,omitempty"` // by name; where it is asked for
}

// Tensor is one.
type Tensor struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []int  `json:"shape"`
	Bytes int64  `json:"bytes"`
}

func (t Tensor) values() int64 {
	n, _ := tensorfile.Product(t.Shape) // it was checked when the file was read
	return n
}

// Adapter is one in PEFT's format.
type Adapter struct {
	Rank    int     `json:"rank"`
	Alpha   float64 `json:"alpha"`
	Variant string  `json:"variant"`
	Base    string  `json:"base"`
}

// Refusal is what lwtrain does not take.
type Refusal struct {
	Part string `json:"part"` // model, tokenizer, template
	Why  string `json:"why"`
	Hint string `json:"hint,omitempty"`
}

func (r *Report) refuse(part string, err error) {
	r.Refused = append(r.Refused, Refusal{part, err.Error(), fault.HintOf(err)})
}

// Read reads a folder or a file.
func Read(path string) (*Report, error) {
	r := &Report{Path: path, Kind: "folder", Types: map[string]*Amount{}, Refused: []Refusal{}, Warnings: []string{}}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fault.Hint(fmt.Errorf("%s: no such folder or file, want a model", path), fault.Nearby(path))
	case err != nil:
	case info.IsDir() && model.HasAdapter(path):
		err = r.readAdapter(path)
	case info.IsDir():
		err = r.readFolder(path)
	case strings.HasSuffix(path, ".gguf"):
		err = r.readGGUF(path)
	case strings.HasSuffix(path, ".safetensors"):
		r.Kind = "safetensors"
		err = r.readWeights(checkpoints.OpenSafetensors(path))
	default:
		err = fmt.Errorf("%s: want a model's folder, a .gguf file or a .safetensors file", path)
	}
	if err != nil {
		return nil, fault.Usage(err)
	}
	if r.Parts == nil {
		r.Parts = partsByName(r.Tensors.List)
	}
	return r, nil
}

// readFolder reads a folder in Hugging Face's layout.
func (r *Report) readFolder(dir string) error {
	c, err := model.ReadConfig(dir)
	switch {
	case model.IsUnsupported(err):
		r.refuse("model", err)
		if err := r.unknown(dir); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	known := err == nil
	if checkpoints.HasWeights(dir) {
		if err := r.readWeights(checkpoints.OpenWeights(dir)); err != nil {
			return err
		}
		if known { // what the files hold decides on the head, too
			checked, err := model.Check(dir)
			switch {
			case model.IsUnsupported(err):
				r.refuse("model", err)
			case err != nil:
				return err
			default:
				c = checked
			}
			known = err == nil
		}
	} else {
		r.Warnings = append(r.Warnings, "the folder holds no weights")
	}
	r.take(c, known)
	r.readTokenizer(dir)
	return nil
}

// take takes what the config of a model says; of one that is refused what there is of it.
func (r *Report) take(c model.Config, known bool) {
	if c.Type == "" {
		return
	}
	r.Family, r.Context = c.Type, c.MaxTokens
	r.Sizes = &Sizes{c.Layers, c.Hidden, c.FFN, c.Heads, c.KVHeads, c.HeadDim, c.Vocab, c.Tied, c.Rope.Theta, "", 0, 0}
	for _, a := range c.Attention {
		if a.Window > 0 {
			r.Sizes.Window = a.Window
			r.Sizes.Windowed++
		}
	}
	if c.Rope.Scaling != nil {
		r.Sizes.RopeScaling = c.Rope.Scaling.Type
	}
	r.Warnings = append(r.Warnings, c.Warnings...)
	if known {
		r.Config, r.Parts = &c, partsOf(c.Dims)
		for _, t := range r.Tensors.List {
			if c.Carries(t.Name) {
				r.Parts.Other += t.values()
				r.Parts.Total += t.values()
			}
		}
		if r.Parts.Other > 0 {
			r.Warnings = append(r.Warnings,
				"other parts than the language model are carried along as they are, and are neither trained nor asked")
		}
	}
}

// unknown reads what the config of any model says.
func (r *Report) unknown(dir string) error {
	const most = 1 << 20
	raw, err := modeldir.Read(dir, "config.json", most)
	if err != nil {
		return err
	}
	var c struct {
		Type      string `json:"model_type"`
		MaxTokens int    `json:"max_position_embeddings"`
	}
	if err := plainjson.Unmarshal(raw, &c); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, "config.json"), err)
	}
	r.Family, r.Context = c.Type, c.MaxTokens
	return nil
}

// readAdapter reads an adapter's folder.
func (r *Report) readAdapter(dir string) error {
	r.Kind = "adapter"
	o, base, err := model.ReadLoRA(dir)
	if err != nil {
		return err
	}
	r.Adapter = &Adapter{o.Rank, o.Alpha, o.Variant, base.Name}
	return r.readWeights(model.OpenAdapter(dir))
}

// readWeights lists the tensors of safetensors files, and closes them.
func (r *Report) readWeights(w *checkpoints.Weights, err error) error {
	if err != nil {
		return err
	}
	files := map[string]bool{}
	for _, name := range w.Names() {
		info, _ := w.Info(name)
		t := Tensor{Name: name, DType: info.DType, Shape: info.Shape}
		t.Bytes = t.values() * int64(tensorfile.Size(info.DType))
		r.add(t)
		files[w.Path(name)] = true
	}
	r.Tensors.Files = len(files)
	return w.Close()
}

func (r *Report) add(t Tensor) {
	r.Tensors.add(t)
	r.Tensors.List = append(r.Tensors.List, t)
	if r.Types[t.DType] == nil {
		r.Types[t.DType] = &Amount{}
	}
	r.Types[t.DType].add(t)
}

// readGGUF reads a GGUF file, whose small files in Hugging Face's layout are made and read.
func (r *Report) readGGUF(path string) error {
	r.Kind, r.Tensors.Files = "gguf", 1
	file, size, err := tensorfile.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	g, err := gguf.Parse(file, size)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, name := range g.Names() {
		t := g.Tensors[name]
		r.add(Tensor{name, t.Type(), t.Shape, t.Bytes()})
	}
	files, err := convert.SmallFiles(g)
	if err != nil {
		r.refuse("model", err)
		r.Family, _ = g.Values["general.architecture"].(string)
		if n, err := g.Int(r.Family+".context_length", 0, 0, 1<<31-1); err == nil {
			r.Context = n
		}
		return nil
	}
	dir, err := os.MkdirTemp("", "lwtrain-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	c, err := model.ReadConfig(dir)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r.take(c, true)
	r.readTokenizer(dir)
	return nil
}
