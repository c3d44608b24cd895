package model

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"lwtrain/checkpoints"
	"lwtrain/internal/fault"
	"lwtrain/internal/graph"
	"lwtrain/internal/modeldir"
	"lwtrain/internal/plainjson"
	"lwtrain/model/families"
)

// Config describes an architecture: what config.json says, in our terms.
type Config struct {
	Type string // model_type
	families.Dims
	MaxTokens int // max_position_embeddings
	NormEps   float64
	InitStd   float64

	Rope        families.Rope // of layers without a window, and where these have none of their own of all
	LocalRope   families.Rope // of layers with one
	Interleaved bool          // rotary pairs are neighbours, not halves
	Attention   []families.Attention
	Scales      families.Scales
	Proved      bool // in packs no document is known to see another
	GELU        bool // the gate's activation is GELU by tanh, and not SiLU

	Warnings []string // what looks wrong in the file, though it can be read

	Package string // model_type of the package that it is a part of; "": of none

	names      *families.Names
	normTurned bool                       // heads are normed behind the rotation
	centred    bool                       // norms subtract the mean
	normOffset float32                    // what is added to the weights of norms
	prefix     string                     // of its tensors in the files of a package; "": the family's own names
	modules    string                     // the same in the names of modules that adapters have
	carried    []string                   // prefixes of tensors of other parts, which are carried along
	file       map[string]json.RawMessage // config.json as read, for writing it back
	code       map[string][]byte          // files beside it, by name; carried along: code is never run
}

// Bounds of config.json, which comes with a model from anywhere.
const (
	maxConfigBytes  = 1 << 20
	maxConfigValues = 1 << 17
)

// ReadConfig reads dir/config.json.
func ReadConfig(dir string) (Config, error) {
	c, err := readConfig(dir)
	return c, fault.Usage(err)
}

func readConfig(dir string) (Config, error) {
	if HasAdapter(dir) {
		return Config{}, notImplemented(adapterAsBase, "%s: an adapter (PEFT), want a whole model", filepath.Join(dir, adapterFile))
	}
	raw, err := modeldir.Read(dir, "config.json", maxConfigBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, fault.Hint(err, "a model folder in Hugging Face layout holds config.json, *.safetensors and tokenizer.json")
	}
	var c Config
	if err == nil {
		c, err = ParseConfig(raw)
	}
	if err != nil {
		return Config{}, plainjson.In(filepath.Join(dir, "config.json"), err)
	}
	c.code, err = readCode(dir)
	return c, err
}

// Bounds of the code that comes with a model.
const (
	maxCodeFiles = 16
	maxCodeBytes = 1 << 20
)

var codeName = regexp.MustCompile(
	`^(configuration|modeling|tokenization|quantization)_[a-z0-9_]+\.py$|^(video_)?(pre)?processor_config\.json$|^chat_template\.json$`)

// readCode reads the Python files that the form's own loader asks for, and what says how a package's other parts take
// their inputs. They are written back beside a checkpoint's config.json and are not run here.
func readCode(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	code := map[string][]byte{}
	for _, e := range entries {
		if !codeName.MatchString(e.Name()) || len(code) == maxCodeFiles {
			continue
		}
		if code[e.Name()], err = modeldir.Read(dir, e.Name(), maxCodeBytes); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, e.Name()), err)
		}
	}
	return code, nil
}

// ParseConfig reads the text of a config.json. Every dimension is checked, so
// that the rest of the package can rely on it.
func ParseConfig(raw []byte) (Config, error) {
	var file map[string]json.RawMessage
	if err := plainjson.Decode(raw, maxConfigValues, &file); err != nil {
		return Config{}, err
	}
	var kind struct {
		ModelType string `json:"model_type"`
	}
	if err := plainjson.Unmarshal(raw, &kind); err != nil {
		return Config{}, err
	}
	family, ok := families.Find(kind.ModelType)
	if !ok {
		return parsePackage(kind.ModelType, file)
	}
	c, err := parseConfig(family, file, raw)
	if err != nil {
		return Config{}, inOwnKeys(err, family, file)
	}
	return c.in(file), nil
}

// in is a config that was read from a file.
func (c Config) in(file map[string]json.RawMessage) Config {
	text, _ := textOf(file)
	if scaled(file[quantisedKey]) || scaled(text[quantisedKey]) {
		c.Warnings = append(c.Warnings, "the weights are of 8 bits (quantization_config): they are read by their scales, and saved without")
		file = with(file, quantisedKey, nil)
	}
	c.file = file
	return c
}

// parseConfig reads the config.json of a family, which file and raw are.
func parseConfig(family *families.Family, file map[string]json.RawMessage, raw []byte) (Config, error) {
	if family.Translate != nil || family.Keys != nil || family.Defaults != nil {
		common := maps.Clone(file)
		for key, value := range family.Defaults {
			if _, there := common[key]; !there {
				common[key] = json.RawMessage(value)
			}
		}
		for _, key := range family.Keys {
			if value, there := common[key[0]]; there {
				common[key[1]] = value
			}
		}
		var err error
		if family.Translate != nil {
			err = family.Translate(common)
		}
		if err == nil {
			raw, err = json.Marshal(common)
		}
		if err != nil {
			return Config{}, err
		}
	}
	var f configFile
	for _, keys := range []any{&f, &f.pattern, &f.rope, &f.scales, &f.recurrent} {
		if err := plainjson.Unmarshal(raw, keys); err != nil {
			return Config{}, err
		}
	}
	f.rope.Whole = string(file["partial_rotary_factor"]) == "null"
	if err := f.unsupported(family); err != nil {
		return Config{}, err
	}
	c, err := f.config(family)
	if err != nil {
		return Config{}, err
	}
	c.Warnings = append(c.Warnings, ignored(file)...)
	return c, nil
}

// inOwnKeys is an error about common keys in the words of a file that has others in their place.
func inOwnKeys(err error, family *families.Family, file map[string]json.RawMessage) error {
	text := err.Error()
	for _, key := range family.Keys {
		if _, there := file[key[0]]; there {
			text = regexp.MustCompile(`\b`+key[1]+`\b`).ReplaceAllString(text, key[0])
		}
	}
	said := errors.New(text)
	if IsUnsupported(err) {
		said = unsupported{said}
	}
	return fault.Hint(said, fault.HintOf(err))
}

// configFile is a config.json under the names that most families have.
type configFile struct {
	pattern   families.Pattern
	scales    families.ScaleKeys
	rope      ropeKeys
	recurrent families.RecurrentKeys

	Hidden    int      `json:"hidden_size"`
	FFN       int      `json:"intermediate_size"`
	Layers    int      `json:"num_hidden_layers"`
	Heads     int      `json:"num_attention_heads"`
	KVHeads   *int     `json:"num_key_value_heads"`
	HeadDim   *int     `json:"head_dim"`
	Vocab     int      `json:"vocab_size"`
	MaxTokens int      `json:"max_position_embeddings"`
	NormEps   *float64 `json:"rms_norm_eps"`
	Tied      bool     `json:"tie_word_embeddings"`
	Bias      *bool    `json:"attention_bias"`
	MLPBias   bool     `json:"mlp_bias"`
	CapLogits float64  `json:"final_logit_softcapping"`
	CapScores float64  `json:"attn_logit_softcapping"`
	Act       string   `json:"hidden_act"`
	BothWays  bool     `json:"use_bidirectional_attention"`
	Causal    *bool    `json:"is_causal"`

	PerLayer map[string]json.RawMessage `json:"per_layer_config"`

	Experts       int `json:"num_experts"`
	LocalExperts  int `json:"num_local_experts"`
	RoutedExperts int `json:"n_routed_experts"`

	InitStd   *float64        `json:"initializer_range"`
	Quantised json.RawMessage `json:"quantization_config"`
}

// config gives what the file leaves out its default.
func (f *configFile) config(family *families.Family) (c Config, err error) {
	c = Config{
		Type: family.Type, carried: family.Carried, normOffset: family.NormOffset, centred: family.Centred,
		MaxTokens: f.MaxTokens, NormEps: 1e-6, InitStd: 0.02, Interleaved: family.Interleaved, names: family.Names,
		Dims: families.Dims{
			Hidden: f.Hidden, FFN: f.FFN, Layers: f.Layers, Heads: f.Heads, KVHeads: f.Heads, Vocab: f.Vocab,
			Tied:    f.Tied,
			QKVBias: family.QKVBias, QKNorm: family.QKNorm, WideNorm: family.WideNorm,
			BranchNorms: family.BranchNorms, PostNorms: family.PostNorms, Parallel: family.Parallel, Gated: family.Gated,
		},
		normTurned: family.NormTurned, Proved: family.Proved, GELU: cmp.Or(f.Act, family.Act) == GELU,
	}
	setIf(&c.KVHeads, f.KVHeads)
	setIf(&c.NormEps, f.NormEps)
	setIf(&c.InitStd, f.InitStd)
	if c.Heads > 0 {
		c.HeadDim = c.Hidden / c.Heads
	}
	setIf(&c.HeadDim, f.HeadDim)
	if !family.BiasFixed {
		setIf(&c.QKVBias, f.Bias)
		c.OutBias = c.QKVBias && family.OutBias
	}
	if err := c.check(); err != nil {
		return c, err
	}
	if c.Rope, c.LocalRope, err = f.rope.ropes(family, c); err == nil {
		c.Attention, err = family.Attend(f.pattern, c.Layers)
	}
	if err == nil {
		c.Recurrence, err = f.recurrent.Of(family.Recurrent, f.pattern, c.Layers)
	}
	if err == nil {
		err = c.check() // with the sizes of recurrent layers
	}
	if err == nil {
		c.Scales, err = family.Scale(f.scales, c.Dims)
	}
	if family.Warning != nil {
		if w := family.Warning(c.Rope.Theta, c.MaxTokens); w != "" {
			c.Warnings = append(c.Warnings, w)
		}
	}
	return c, err
}

func setIf[T any](dst *T, v *T) {
	if v != nil {
		*dst = *v
	}
}

// Bounds of one dimension and of the whole, far above any model that exists:
// a config.json must not be able to ask for absurd memory, for a plan that takes minutes, or overflow an int.
const (
	maxDim    = 1 << 20
	maxLayers = 1 << 9
	maxParams = 1 << 42
)

func (c Config) check() error {
	for _, d := range []struct {
		key        string
		have, most int
	}{
		{"hidden_size", c.Hidden, maxDim}, {"intermediate_size", c.FFN, maxDim}, {"num_hidden_layers", c.Layers, maxLayers},
		{"num_attention_heads", c.Heads, maxDim}, {"num_key_value_heads", c.KVHeads, maxDim}, {"head_dim", c.HeadDim, maxDim},
		{"vocab_size", c.Vocab, maxDim},
	} {
		if d.have < 1 || d.have > d.most {
			return fmt.Errorf("%s is %d, want 1 to %d", d.key, d.have, d.most)
		}
	}
	switch {
	case c.Heads%c.KVHeads != 0:
		return fmt.Errorf("num_attention_heads is %d, want a multiple of num_key_value_heads (%d)", c.Heads, c.KVHeads)
	case c.MaxTokens < 0:
		return fmt.Errorf("max_position_embeddings is %d, want at least 1", c.MaxTokens)
	case c.HeadDim%2 != 0:
		return fmt.Errorf("head_dim is %d, want an even number", c.HeadDim)
	case c.NormEps <= 0 || c.NormEps >= 1:
		return fmt.Errorf("rms_norm_eps is %g, want between 0 and 1", c.NormEps)
	case c.roughParameters() > maxParams:
		return fmt.Errorf("the sizes make %.3g parameters, want at most %.3g", c.roughParameters(), float64(maxParams))
	}
	return nil
}

// roughParameters is the number of values of the matrices, which cannot
// overflow.
func (c Config) roughParameters() float64 {
	hidden, width := float64(c.Hidden), float64(c.Heads)*float64(c.HeadDim)
	layer := hidden * (2*float64(c.Keys*c.KeyDim) + 3*float64(c.Values*c.ValueDim)) // of the delta rule
	layer += hidden*(2*width+2*float64(c.KVHeads)*float64(c.HeadDim)) + 3*hidden*float64(c.FFN)
	return 2*float64(c.Vocab)*hidden + float64(c.Layers)*layer
}

// Parameters is the number of trained values.
func (c Config) Parameters() int64 {
	var n int64
	for _, p := range c.Layout() {
		rows, cols := p.Size()
		n += int64(rows) * int64(cols)
	}
	return n
}

// ProductParameters is the number of values that take part in a matrix product
// for every token: all but norms, biases and an embedding table that is only
// looked up. It is what FLOPs per token count (6 times it for a training step).
func (c Config) ProductParameters() int64 {
	n := int64(c.Vocab) * int64(c.Hidden) // the head's
	for _, p := range c.Layout() {
		if p.Layer >= 0 && p.Cols > 0 {
			rows, cols := p.Size()
			n += int64(rows) * int64(cols)
		}
	}
	return n
}

// Branches says how many tokens documents of a pack may have together that share the beginning of one of them
// ([packing.Doc]), and what in the model bounds that; 0: it can not be shared. Indices of a branch lie further from those of
// its prefix than positions do, so no window may end between them, and a document's length may not count.
func (c Config) Branches() (most int, bound string) {
	if c.Any() {
		return 0, "recurrent layers, whose state no branch goes on from"
	}
	most = math.MaxInt32
	for _, a := range c.Attention {
		if a.Window > 0 && a.Window < most {
			most, bound = a.Window, "the window of its layers"
		}
	}
	for _, r := range []families.Rope{c.Rope, c.LocalRope} {
		if s := r.Scaling; s != nil && s.Type == "longrope" && int(s.OriginalMax) < most {
			most, bound = int(s.OriginalMax), "longrope, whose frequencies follow from a text's length"
		}
	}
	return most, bound
}

// AttentionFLOPs is the floating-point operations of attention's two products
// in one forward pass over a document of n tokens that attends causally: each
// token meets those before it, in a layer with a window at most so many. Those of the delta rule count with them:
// a token meets the state three times, and those of its 64.
func (c Config) AttentionFLOPs(n int) float64 {
	met, ruled := 0.0, 0.0
	for i, a := range c.Attention {
		if c.Is(i) {
			ruled += 2 * float64(n) * float64(c.Values) * float64(3*c.KeyDim*c.ValueDim+64*(c.KeyDim+c.ValueDim))
			continue
		}
		w := n
		if a.Window > 0 {
			w = min(n, a.Window)
		}
		met += float64(w)*float64(w+1)/2 + float64(n-w)*float64(w)
	}
	return 4*float64(c.Heads*c.HeadDim)*met + ruled
}

func (c Config) taps() graph.Taps {
	if c.Values == 0 {
		return graph.Taps{Dim: c.Hidden, Taps: c.Taps, Gated: true}
	}
	return graph.Taps{Dim: c.delta().Mixed(), Taps: c.Taps}
}

func (c Config) delta() graph.Delta {
	return graph.Delta{Keys: c.Keys, Values: c.Values, KeyDim: c.KeyDim, ValueDim: c.ValueDim, Eps: float32(c.NormEps)}
}

func (c Config) heads() graph.Heads { return graph.Heads{Q: c.Heads, KV: c.KVHeads, Dim: c.HeadDim} }

// inverseFrequencies is a buffer that chatglm's own code stores with the
// weights: the frequencies of a base of 10,000, whatever rope_ratio says.
func (c Config) inverseFrequencies(name string) checkpoints.Tensor {
	freqs := floats(families.Rope{Theta: 10000, Dim: c.Rope.Dim}.Frequencies())
	return checkpoints.Tensor{Name: name, Shape: []int{len(freqs)}, Data: freqs}
}

// untie takes a head that lies in the files and is another matrix than the embedding table
// for what it is, whatever tie_word_embeddings says, as transformers does from version 5 on:
// to tie it would throw it away.
func (c *Config) untie(w *checkpoints.Weights) error {
	head, table := c.names.Whole(families.Head), c.names.Whole(families.Embed)
	info, there := w.Info(head)
	other, _ := w.Info(table)
	if !c.Tied || !there {
		return nil
	}
	same := slices.Equal(info.Shape, other.Shape)
	if same {
		var err error
		if same, err = w.Same(head, table); err != nil {
			return err
		}
	}
	if same {
		return nil
	}
	c.Tied, c.file = false, with(c.file, "tie_word_embeddings", json.RawMessage("false"))
	c.Warnings = append(c.Warnings,
		fmt.Sprintf("tie_word_embeddings is true, and %s is another matrix than %s: it is taken as a head of its own", head, table))
	return nil
}

// JSON is the config.json of the model: the file it was read from, with the
// dtype of the weights that will lie beside it.
func (c Config) JSON(dtype string) ([]byte, error) {
	key := "torch_dtype"
	if _, ok := c.file["dtype"]; ok { // transformers 5
		key = "dtype"
	}
	b, err := json.MarshalIndent(with(c.file, key, json.RawMessage(strconv.Quote(dtype))), "", "  ")
	return append(b, '\n'), err
}
