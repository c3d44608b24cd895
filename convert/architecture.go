package checkpoints

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"lwtrain/internal/fault"
)

// arch is an architecture as the metadata of a GGUF file give it. Both that
// are known are the same decoder; qwen2 has biases on query, key and value, and
// its file does not permute rows.
type arch struct {
	name                       string // general.architecture
	hidden, ffn, layers        int
	heads, kvHeads, headDim    int
	vocab, context             int
	normEps, ropeTheta         float64
	tied                       bool
	ropeScaling                *llama3Scaling
	attentionBias, permutedQKs bool
}

// llama3Scaling is Llama 3.1's stretching of the rotary frequencies.
type llama3Scaling struct {
	factor, low, high float64
	originalMax       int
}

// maxLayers bounds what a file may claim; every layer needs 9 tensors anyway.
const maxLayers = ggufMaxTensors / 9

// readArch reads the sizes of the model. Those that only the tensors tell (the
// vocabulary, tied or not) come from the tensors.
func readArch(g *ggufFile) (*arch, error) {
	name, err := ggufText(g, "general.architecture")
	if err != nil {
		return nil, err
	}
	a := &arch{name: name}
	switch name {
	case "llama":
		a.permutedQKs = true
	case "qwen2":
		a.attentionBias = true
	default:
		return nil, fault.Hint(fmt.Errorf("general.architecture is %.80q, wanted llama or qwen2", name),
			"take the model's own folder with config.json and safetensors instead")
	}
	// The first error counts: what is read after it may follow from it.
	size := func(key string, least, fallback, most int) (v int) {
		if err == nil {
			v, err = ggufInt(g, name+"."+key, least, fallback, most)
		}
		return v
	}
	number := func(key string, fallback float64) (v float64) {
		if err == nil {
			v, err = ggufFloat(g, name+"."+key, fallback)
		}
		return v
	}
	const most = 1 << 20
	a.hidden = size("embedding_length", 1, 0, most)
	a.ffn = size("feed_forward_length", 1, 0, most)
	a.layers = size("block_count", 1, 0, maxLayers)
	a.heads = size("attention.head_count", 1, 0, most)
	a.kvHeads = size("attention.head_count_kv", 1, a.heads, most)
	a.headDim = size("attention.key_length", 1, a.hidden/max(1, a.heads), most)
	a.context = size("context_length", 1, 0, math.MaxInt32)
	a.normEps = number("attention.layer_norm_rms_epsilon", 0)
	a.ropeTheta = number("rope.freq_base", 10000)
	valueDim := size("attention.value_length", 1, a.headDim, most)
	rotary := size("rope.dimension_count", 1, a.headDim, most)
	experts := size("expert_count", 0, 0, most)
	if err != nil {
		return nil, err
	}
	switch {
	case a.heads%a.kvHeads != 0 || a.headDim%2 != 0:
		return nil, fmt.Errorf("%d heads of %d values and %d key/value heads, wanted a multiple and an even size", a.heads, a.headDim, a.kvHeads)
	case valueDim != a.headDim:
		return nil, fmt.Errorf("%s.attention.value_length is %d, wanted attention.key_length (%d)", name, valueDim, a.headDim)
	case rotary != a.headDim:
		return nil, fmt.Errorf("%s.rope.dimension_count is %d, wanted all %d of a head", name, rotary, a.headDim)
	case experts != 0:
		return nil, fmt.Errorf("%s.expert_count is %d, wanted a model without experts", name, experts)
	}
	if v, ok := g.values[name+".rope.scaling.type"]; ok && v != "none" {
		return nil, fmt.Errorf("%s.rope.scaling.type is %.40q, wanted none", name, fmt.Sprint(v))
	}
	return a, a.fromTensors(g)
}

// fromTensors reads what only the tensors tell.
func (a *arch) fromTensors(g *ggufFile) error {
	embeddings := g.tensors["token_embd.weight"]
	if embeddings == nil || len(embeddings.shape) != 2 {
		return errors.New("no tensor token_embd.weight of two dimensions")
	}
	a.vocab = embeddings.shape[0]
	a.tied = g.tensors["output.weight"] == nil
	if t := g.tensors["rope_freqs.weight"]; t != nil {
		return a.readScaling(t)
	}
	return nil
}

// weight is a tensor that the architecture calls for: its names in GGUF and in
// Hugging Face's files, its shape, and, if its rows are permuted, in how many
// heads.
type weight struct {
	gguf, name string
	shape      []int
	permuted   int
}

// weights lists the tensors of the model.
func (a *arch) weights() []weight {
	q, kv := a.heads*a.headDim, a.kvHeads*a.headDim
	out := []weight{
		{"token_embd.weight", "model.embed_tokens.weight", []int{a.vocab, a.hidden}, 0},
		{"output_norm.weight", "model.norm.weight", []int{a.hidden}, 0},
	}
	if !a.tied {
		out = append(out, weight{"output.weight", "lm_head.weight", []int{a.vocab, a.hidden}, 0})
	}
	qHeads, kHeads := 0, 0
	if a.permutedQKs {
		qHeads, kHeads = a.heads, a.kvHeads
	}
	for i := range a.layers {
		add := func(gguf, name string, permuted int, shape ...int) {
			out = append(out, weight{fmt.Sprintf("blk.%d.%s", i, gguf), fmt.Sprintf("model.layers.%d.%s", i, name), shape, permuted})
		}
		add("attn_norm.weight", "input_layernorm.weight", 0, a.hidden)
		add("attn_q.weight", "self_attn.q_proj.weight", qHeads, q, a.hidden)
		add("attn_k.weight", "self_attn.k_proj.weight", kHeads, kv, a.hidden)
		add("attn_v.weight", "self_attn.v_proj.weight", 0, kv, a.hidden)
		add("attn_output.weight", "self_attn.o_proj.weight", 0, a.hidden, q)
		add("ffn_norm.weight", "post_attention_layernorm.weight", 0, a.hidden)
		add("ffn_gate.weight", "mlp.gate_proj.weight", 0, a.ffn, a.hidden)
		add("ffn_up.weight", "mlp.up_proj.weight", 0, a.ffn, a.hidden)
		add("ffn_down.weight", "mlp.down_proj.weight", 0, a.hidden, a.ffn)
		if a.attentionBias {
			add("attn_q.bias", "self_attn.q_proj.bias", 0, q)
			add("attn_k.bias", "self_attn.k_proj.bias", 0, kv)
			add("attn_v.bias", "self_attn.v_proj.bias", 0, kv)
		}
	}
	return out
}

// streams holds the tensors of the file against those of the architecture:
// none missing, none left over, every shape as it must be.
func (a *arch) streams(g *ggufFile) ([]stream, error) {
	var out []stream
	left := maps.Clone(g.tensors)
	delete(left, "rope_freqs.weight") // became rope_scaling
	for _, w := range a.weights() {
		t := left[w.gguf]
		if t == nil {
			return nil, fmt.Errorf("no tensor %s, which %s with %d layers calls for", w.gguf, a.name, a.layers)
		}
		if !slices.Equal(t.shape, w.shape) {
			return nil, fmt.Errorf("tensor %s has the shape %v, wanted %v", w.gguf, t.shape, w.shape)
		}
		delete(left, w.gguf)
		read := t.read
		if w.permuted > 0 {
			read = unpermuted(t, w.permuted)
		}
		out = append(out, stream{w.name, w.shape, read})
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("tensor %.80q is not part of %s with %d layers", slices.Min(slices.Collect(maps.Keys(left))), a.name, a.layers)
	}
	return out, nil
}

// unpermuted reads a query or key matrix in Hugging Face's order of rows. GGUF
// files of Llama interleave the two halves of each head, so that the pairs
// that are rotated together are neighbours: its row 2i+j of a head is row
// j*headDim/2+i of Hugging Face's.
func unpermuted(t *ggufTensor, heads int) func(offset int, dst []float32) error {
	columns := t.shape[1]
	headDim := t.shape[0] / heads
	return func(offset int, dst []float32) error {
		for len(dst) > 0 {
			row, column := offset/columns, offset%columns
			head, r := row/headDim, row%headDim
			from := head*headDim + r%(headDim/2)*2 + r/(headDim/2)
			n := min(len(dst), columns-column)
			if err := t.read(from*columns+column, dst[:n]); err != nil {
				return err
			}
			dst, offset = dst[n:], offset+n
		}
		return nil
	}
}

// readScaling finds Llama 3.1's rope_scaling from the factors that the file
// carries instead of it: the highest is the factor, and with the constants of
// all published models (1, 4, 8192) the rest must follow.
func (a *arch) readScaling(t *ggufTensor) error {
	if len(t.shape) != 1 || t.shape[0] != a.headDim/2 || t.kind.name != "F32" {
		return fmt.Errorf("tensor %s has the shape %v, wanted [%d] of F32", t.name, t.shape, a.headDim/2)
	}
	have := make([]float32, a.headDim/2)
	if err := t.read(0, have); err != nil {
		return err
	}
	if !slices.ContainsFunc(have, func(f float32) bool { return f != 1 }) {
		return nil
	}
	s := &llama3Scaling{factor: float64(slices.Max(have)), low: 1, high: 4, originalMax: 8192}
	for i, f := range have {
		want := s.stretch(math.Pow(a.ropeTheta, -2*float64(i)/float64(a.headDim)))
		if !(math.Abs(float64(f)-want) <= 1e-4*want) {
			return fmt.Errorf("tensor %s: factor %d is %g, wanted %g as llama 3.1 has it", t.name, i, f, want)
		}
	}
	a.ropeScaling = s
	return nil
}

// stretch is the factor by which a frequency is divided: 1 for wavelengths
// below original/high, the whole factor above original/low, between them
// smooth (Llama 3.1's reference code, apply_scaling).
func (s *llama3Scaling) stretch(frequency float64) float64 {
	smooth := (float64(s.originalMax)*frequency/(2*math.Pi) - s.low) / (s.high - s.low)
	smooth = min(max(smooth, 0), 1)
	return 1 / ((1-smooth)/s.factor + smooth)
}

// config is rope_scaling in config.json.
func (s *llama3Scaling) config() any {
	if s == nil {
		return nil
	}
	return object{
		"factor": jsonFloat(s.factor), "high_freq_factor": jsonFloat(s.high), "low_freq_factor": jsonFloat(s.low),
		"original_max_position_embeddings": s.originalMax, "rope_type": "llama3",
	}
}

// config is config.json. It names no padding token: transformers would then
// leave that token's embedding out of training, and here it is often the one
// that ends a turn.
func (a *arch) config(tok *ggufTokenizer) any {
	c := map[string]any{
		"architectures":           []string{"LlamaForCausalLM"},
		"attention_dropout":       jsonFloat(0),
		"hidden_act":              "silu",
		"hidden_size":             a.hidden,
		"initializer_range":       0.02,
		"intermediate_size":       a.ffn,
		"max_position_embeddings": a.context,
		"model_type":              a.name,
		"num_attention_heads":     a.heads,
		"num_hidden_layers":       a.layers,
		"num_key_value_heads":     a.kvHeads,
		"rms_norm_eps":            jsonFloat(a.normEps),
		"rope_scaling":            a.ropeScaling.config(),
		"rope_theta":              jsonFloat(a.ropeTheta),
		"tie_word_embeddings":     a.tied,
		"torch_dtype":             "float32",
		"use_cache":               true,
		"vocab_size":              a.vocab,
	}
	if a.name == "qwen2" {
		c["architectures"] = []string{"Qwen2ForCausalLM"}
		c["use_sliding_window"] = false
	} else {
		c["attention_bias"] = false
		c["head_dim"] = a.headDim
		c["mlp_bias"] = false
	}
	tok.addIDs(c)
	return c
}

// ggufText reads a key that must be there.
func ggufText(g *ggufFile, key string) (string, error) {
	v, ok := g.values[key]
	if !ok {
		return "", fmt.Errorf("no %s", key)
	}
	s, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("%s is %s, wanted a text", key, ggufShow(v))
	}
	return s, nil
}

// ggufInt reads an integer; one that is not there is fallback, or an error if
// that is below least.
func ggufInt(g *ggufFile, key string, least, fallback, most int) (int, error) {
	v, ok := g.values[key]
	if !ok {
		if fallback < least {
			return 0, fmt.Errorf("no %s", key)
		}
		return fallback, nil
	}
	n, ok := v.(int64)
	if u, is := v.(uint64); is && u <= math.MaxInt64 {
		n, ok = int64(u), true
	}
	if !ok || n < int64(least) || n > int64(most) {
		return 0, fmt.Errorf("%s is %s, wanted %d to %d", key, ggufShow(v), least, most)
	}
	return int(n), nil
}

// ggufFloat reads a number above 0. One that is not there is fallback, or an
// error if that is 0.
func ggufFloat(g *ggufFile, key string, fallback float64) (float64, error) {
	v, ok := g.values[key]
	if !ok {
		if fallback == 0 {
			return 0, fmt.Errorf("no %s", key)
		}
		return fallback, nil
	}
	f, ok := v.(float64)
	if !ok || !(f > 0) || float32(f) == 0 || f > math.MaxFloat32 {
		return 0, fmt.Errorf("%s is %s, wanted a number above 0", key, ggufShow(v))
	}
	return f, nil
}

// jsonFloat writes a float32 in the shortest form that gives it back, 1e-05
// and not 9.999999747378752e-06, and so that other readers see a float: 8.0.
func jsonFloat(f float64) json.Number {
	if f != 0 && (f < 1e-4 || f >= 1e16) {
		return json.Number(strconv.FormatFloat(f, 'e', -1, 32))
	}
	s := strconv.FormatFloat(f, 'f', -1, 32)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return json.Number(s)
}

// ggufShow is a value in an error.
func ggufShow(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%.40q", v)
	case []string:
		return fmt.Sprintf("an array of %d texts", len(v))
	case ggufNumbers:
		return fmt.Sprintf("an array of %d numbers", v.count)
	}
	return fmt.Sprint(v)
}
