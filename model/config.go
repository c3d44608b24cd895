package model

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/internal/fault"
	"lwtrain/internal/graph"
)

// Config describes an architecture: what config.json says, in our terms.
type Config struct {
	Type      string // model_type
	Hidden    int    // hidden_size
	FFN       int    // intermediate_size
	Layers    int    // num_hidden_layers
	Heads     int    // num_attention_heads
	KVHeads   int    // num_key_value_heads
	HeadDim   int    // head_dim, else hidden_size / num_attention_heads
	Vocab     int    // vocab_size
	MaxTokens int    // max_position_embeddings
	NormEps   float64
	Tied      bool // tie_word_embeddings: the head is the embedding table
	QKVBias   bool // attention_bias
	InitStd   float64

	RopeTheta   float64
	RopeScaling *RopeScaling

	file map[string]json.RawMessage // config.json as read, for writing it back
}

// RopeScaling is Llama 3.1's stretching of the low rotary frequencies.
type RopeScaling struct {
	Type           string  `json:"rope_type"`
	Factor         float64 `json:"factor"`
	LowFreqFactor  float64 `json:"low_freq_factor"`
	HighFreqFactor float64 `json:"high_freq_factor"`
	OriginalMax    float64 `json:"original_max_position_embeddings"`
}

// known lists the architectures that [ParseConfig] accepts.
var known = []string{"llama"}

// maxConfigBytes bounds config.json, which comes with a model from anywhere.
const maxConfigBytes = 1 << 20

// ReadConfig reads dir/config.json.
func ReadConfig(dir string) (Config, error) {
	path := filepath.Join(dir, "config.json")
	info, err := os.Stat(path)
	if err != nil {
		return Config{}, fault.Hint(err, "a model folder in Hugging Face layout holds config.json, *.safetensors and tokenizer.json")
	}
	if info.Size() > maxConfigBytes {
		return Config{}, fmt.Errorf("%s: %d bytes, want at most %d", path, info.Size(), maxConfigBytes)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return Config{}, err
	}
	c, err := ParseConfig(raw)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// ParseConfig reads the text of a config.json. Every dimension is checked, so
// that the rest of the package can rely on it.
func ParseConfig(raw []byte) (Config, error) {
	var file map[string]json.RawMessage
	if err := json.Unmarshal(raw, &file); err != nil {
		return Config{}, fmt.Errorf("not a JSON object: %w", err)
	}
	var f struct {
		ModelType   string       `json:"model_type"`
		Hidden      int          `json:"hidden_size"`
		FFN         int          `json:"intermediate_size"`
		Layers      int          `json:"num_hidden_layers"`
		Heads       int          `json:"num_attention_heads"`
		KVHeads     *int         `json:"num_key_value_heads"`
		HeadDim     *int         `json:"head_dim"`
		Vocab       int          `json:"vocab_size"`
		MaxTokens   int          `json:"max_position_embeddings"`
		NormEps     *float64     `json:"rms_norm_eps"`
		Tied        bool         `json:"tie_word_embeddings"`
		Bias        bool         `json:"attention_bias"`
		MLPBias     bool         `json:"mlp_bias"`
		Act         string       `json:"hidden_act"`
		InitStd     *float64     `json:"initializer_range"`
		RopeTheta   *float64     `json:"rope_theta"`
		RopeScaling *RopeScaling `json:"rope_scaling"`
		// transformers 5 writes both rope keys into one object
		RopeParameters *struct {
			RopeScaling
			Theta *float64 `json:"rope_theta"`
		} `json:"rope_parameters"`
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return Config{}, err
	}
	if !slices.Contains(known, f.ModelType) {
		return Config{}, fmt.Errorf("model_type is %q, want one of: %s", f.ModelType, strings.Join(known, ", "))
	}
	c := Config{
		Type: f.ModelType, Hidden: f.Hidden, FFN: f.FFN, Layers: f.Layers, Heads: f.Heads, KVHeads: f.Heads,
		Vocab: f.Vocab, MaxTokens: f.MaxTokens, NormEps: 1e-6, Tied: f.Tied, QKVBias: f.Bias, InitStd: 0.02,
		RopeTheta: 10000, RopeScaling: f.RopeScaling, file: file,
	}
	setIf(&c.KVHeads, f.KVHeads)
	setIf(&c.NormEps, f.NormEps)
	setIf(&c.InitStd, f.InitStd)
	if c.Heads > 0 {
		c.HeadDim = c.Hidden / c.Heads
	}
	setIf(&c.HeadDim, f.HeadDim)
	if p := f.RopeParameters; p != nil {
		setIf(&c.RopeTheta, p.Theta)
		c.RopeScaling = &p.RopeScaling
	}
	setIf(&c.RopeTheta, f.RopeTheta)
	if s := c.RopeScaling; s != nil && (s.Type == "" || s.Type == "default") {
		c.RopeScaling = nil
	}
	if f.MLPBias {
		return Config{}, fmt.Errorf("mlp_bias is true, want false: biases in the feed-forward layers are not known")
	}
	if f.Act != "" && f.Act != "silu" {
		return Config{}, fmt.Errorf("hidden_act is %q, want \"silu\"", f.Act)
	}
	return c, c.check()
}

func setIf[T any](dst *T, v *T) {
	if v != nil {
		*dst = *v
	}
}

// Bounds of one dimension and of the whole, far above any model that exists:
// a config.json must not be able to ask for absurd memory or overflow an int.
const (
	maxDim    = 1 << 20
	maxLayers = 1 << 12
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
	case c.HeadDim%2 != 0:
		return fmt.Errorf("head_dim is %d, want an even number", c.HeadDim)
	case c.NormEps <= 0 || c.NormEps >= 1:
		return fmt.Errorf("rms_norm_eps is %g, want between 0 and 1", c.NormEps)
	case !(c.RopeTheta > 1) || math.IsInf(c.RopeTheta, 0):
		return fmt.Errorf("rope_theta is %g, want above 1", c.RopeTheta)
	case c.Parameters() > maxParams:
		return fmt.Errorf("the sizes make %d parameters, want at most %d", c.Parameters(), int64(maxParams))
	}
	if s := c.RopeScaling; s != nil {
		if s.Type != "llama3" {
			return fmt.Errorf("rope_scaling type is %q, want \"llama3\"", s.Type)
		}
		if s.Factor < 1 || s.LowFreqFactor <= 0 || s.HighFreqFactor <= s.LowFreqFactor || s.OriginalMax <= 0 {
			return fmt.Errorf("rope_scaling is %+v, want factor >= 1, 0 < low_freq_factor < high_freq_factor, original_max_position_embeddings > 0", *s)
		}
	}
	return nil
}

// Parameters is the number of trained values.
func (c Config) Parameters() int64 {
	var n int64
	for _, p := range c.tensors() {
		n += int64(p.Rows) * int64(p.Cols)
	}
	return n
}

// ProductParameters is the number of values that take part in a matrix product
// for every token: all but norms, biases and an embedding table that is only
// looked up. It is what FLOPs per token count (6 times it for a training step).
func (c Config) ProductParameters() int64 {
	n := int64(c.Vocab) * int64(c.Hidden)
	per := c.heads().Width()*c.Hidden + c.Hidden*c.Heads*c.HeadDim + 3*c.FFN*c.Hidden
	return n + int64(c.Layers)*int64(per)
}

func (c Config) heads() graph.Heads { return graph.Heads{Q: c.Heads, KV: c.KVHeads, Dim: c.HeadDim} }

// rotation returns the rotary frequencies: theta^(-2i/d), stretched as Llama
// 3.1 does where the config asks for it (a wavelength above
// original/low_freq_factor is stretched by factor, one below
// original/high_freq_factor not at all, linear in between).
func (c Config) rotation() graph.Rotation {
	freqs := make([]float32, c.HeadDim/2)
	for i := range freqs {
		f := math.Pow(c.RopeTheta, -2*float64(i)/float64(c.HeadDim))
		if s := c.RopeScaling; s != nil {
			wavelength := 2 * math.Pi / f
			smooth := (s.OriginalMax/wavelength - s.LowFreqFactor) / (s.HighFreqFactor - s.LowFreqFactor)
			smooth = min(max(smooth, 0), 1)
			f = (1-smooth)*f/s.Factor + smooth*f
		}
		freqs[i] = float32(f)
	}
	return graph.Rotation{Freqs: freqs}
}

// JSON is the config.json of the model: the file it was read from, with the
// dtype of the weights that will lie beside it.
func (c Config) JSON(dtype string) ([]byte, error) {
	out := map[string]json.RawMessage{}
	for k, v := range c.file {
		out[k] = v
	}
	key := "torch_dtype"
	if _, ok := out["dtype"]; ok { // transformers 5
		key = "dtype"
	}
	out[key], _ = json.Marshal(dtype)
	b, err := json.MarshalIndent(out, "", "  ")
	return append(b, '\n'), err
}
