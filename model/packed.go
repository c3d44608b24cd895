package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"lwtrain/checkpoints"
	"lwtrain/internal/plainjson"
	"lwtrain/model/families"
)

// Packages of models: a language model with parts that see, whose config.json has the language model's keys in
// text_config, and whose files have its tensors under a prefix. The language model is trained. The other tensors
// are carried: written as they were read.

// Where a package has what its language model is.
const (
	textKey      = "text_config"
	textModel    = "model.text_model."
	quantisedKey = "quantization_config"
)

// The prefixes of a language model's tensors in files of packages: of transformers 5, and of versions before, which 5 writes
// too, and of Idefics 3 and SmolVLM. The first is that of its modules in memory, which adapters are named by, where they are not
// those of the last.
var (
	packedPrefixes = []string{"model.language_model.", "language_model.model.", textModel}
	packedHeads    = []string{"lm_head", "language_model.lm_head", "model.language_model.lm_head"}
)

// textOf is the language model's part of a config.json; nil where the file is all its own.
func textOf(file map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	raw, there := file[textKey]
	if !there || len(raw) == 0 || raw[0] != '{' {
		return nil, nil
	}
	text := map[string]json.RawMessage{}
	if err := plainjson.Unmarshal(raw, &text); err != nil {
		return nil, fmt.Errorf("%s: %w", textKey, err)
	}
	// transformers reads these of the package as a whole.
	for _, key := range []string{"tie_word_embeddings", quantisedKey} {
		if value, there := file[key]; there {
			text[key] = value
		}
	}
	return text, nil
}

// parsePackage reads the config.json of a package of models, or of what no family is.
func parsePackage(kind string, file map[string]json.RawMessage) (Config, error) {
	text, err := textOf(file)
	if err != nil {
		return Config{}, err
	}
	var inner string
	if text == nil || json.Unmarshal(text["model_type"], &inner) != nil {
		return Config{}, unknownType(kind, file)
	}
	family, ok := families.Find(inner)
	if !ok {
		return Config{}, fmt.Errorf("%s: %w", textKey, unknownType(inner, text))
	}
	for key, size := range family.Sizes() { // its class has them where the file says none
		if _, there := text[key]; !there {
			text[key] = json.RawMessage(strconv.Itoa(size))
		}
	}
	if family.Alone != "" {
		return Config{}, notImplemented("take the language model by itself",
			"model_type is %.80q around %s, where in transformers %s", kind, inner, family.Alone)
	}
	raw, err := json.Marshal(text)
	if err != nil {
		return Config{}, err
	}
	c, err := parseConfig(family, text, raw)
	if err != nil {
		return Config{}, inOwnKeys(err, family, text)
	}
	c.Package, c.modules = kind, packedPrefixes[0]
	return c.in(file), nil
}

// textJSON is the config.json of a package's language model by itself.
func (c Config) textJSON() ([]byte, error) {
	text, err := textOf(c.file)
	if err != nil {
		return nil, err
	}
	text["tie_word_embeddings"], text["dtype"] = json.RawMessage(strconv.FormatBool(c.Tied)), json.RawMessage(`"float32"`)
	return json.Marshal(text)
}

// with is a config.json with a key set, or taken out with nil, there and in its part for the language model where that
// has it.
func with(file map[string]json.RawMessage, key string, value json.RawMessage) map[string]json.RawMessage {
	set := func(in map[string]json.RawMessage) map[string]json.RawMessage {
		in = maps.Clone(in)
		if value == nil {
			delete(in, key)
		} else {
			in[key] = value
		}
		return in
	}
	out := set(file)
	var text map[string]json.RawMessage
	if raw, there := file[textKey]; there && json.Unmarshal(raw, &text) == nil {
		if _, there := text[key]; there {
			out[textKey], _ = json.Marshal(set(text)) // it was read from JSON
		}
	}
	return out
}

// place finds by which names the files have the model: its family's own, or those of a package.
func (c *Config) place(w *checkpoints.Weights) {
	has := func(name string) bool {
		_, there := w.Info(name)
		return there
	}
	if has(c.names.Whole(families.Embed)) {
		return
	}
	for _, prefix := range packedPrefixes {
		packed := c.names.Packed(prefix, packedHeads[0])
		if packed == nil || !has(packed.Whole(families.Embed)) {
			continue
		}
		if i := slices.IndexFunc(packedHeads, func(head string) bool { return has(head + ".weight") }); i >= 0 {
			packed = c.names.Packed(prefix, packedHeads[i])
		} else if c.Package != "" {
			c.Tied = true // whatever config.json says of it: the class of the package does so
		}
		if c.names, c.prefix = packed, prefix; prefix == textModel {
			c.modules = textModel
		}
		return
	}
}

// module is a tensor's name as the module has it that transformers makes of the model, by which adapters name it.
func (c Config) module(tensor string) string {
	stem := strings.TrimSuffix(tensor, ".weight")
	if rest, ok := strings.CutPrefix(stem, c.prefix); ok && c.prefix != "" {
		return c.modules + rest
	}
	return stem
}

// modulesOf takes the names by which an adapter's tensors name the modules of a package, of the ways that there are.
func (c *Config) modulesOf(adapter *checkpoints.Weights) {
	if c.prefix == "" {
		return
	}
	for _, modules := range append([]string{c.modules, "model."}, packedPrefixes...) {
		if slices.ContainsFunc(adapter.Names(), func(name string) bool { return strings.HasPrefix(name, prefix+modules+"layers.") }) {
			c.modules = modules
			return
		}
	}
}

// Carries reports whether a tensor that the architecture has no place for is another part's of the package, which
// is carried: it lies outside of the language model.
func (c Config) Carries(name string) bool {
	for _, p := range c.carried {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	inside := strings.HasPrefix(name, c.prefix) || strings.HasPrefix(name, "language_model.") || name == packedHeads[0]+".weight"
	return c.Package != "" && c.prefix != "" && !inside
}

// Carried are the tensors of a package's other parts, as the files have them, which must stay open; a matrix that is
// read by scales is one of values.
func (c Config) Carried(w *checkpoints.Weights) (out []checkpoints.Stream) {
	for _, name := range w.Names() {
		if !c.Carries(name) || isScale(w, name) {
			continue
		}
		s, _ := w.Raw(name)
		if w.ScaleOf(name) != "" {
			s = checkpoints.Stream{Name: name, Shape: s.Shape, Read: func(offset int, dst []float32) error {
				return w.ReadAt(name, offset, dst)
			}}
		}
		out = append(out, s)
	}
	return out
}

// carriedBytes are those of the other parts in a checkpoint.
func (c Config) carriedBytes(w *checkpoints.Weights) (bytes int64) {
	for _, s := range c.Carried(w) {
		bytes += s.Size("F32")
	}
	return bytes
}

// CarriedBytes are those that the tensors of a package's other parts take in each checkpoint, which adapters' are without.
func (m *Model) CarriedBytes() int64 { return m.carried }

// hold keeps files open whose other tensors are carried, and closes others.
func (m *Model) hold(w *checkpoints.Weights) error {
	if len(m.Config.Carried(w)) == 0 {
		return w.Close()
	}
	m.held = w
	return nil
}

// quantised is what quantization_config says of weights that are read by scales.
type quantised struct {
	Method string `json:"quant_method"`
	Format string `json:"format"`
}

// scaled reports whether a quantization_config is of weights that are read by their scales: those of 8 bits of floating
// point, from which the model is made as it was before.
func scaled(raw json.RawMessage) bool {
	var q quantised
	if json.Unmarshal(raw, &q) != nil {
		return false
	}
	return q.Method == "fp8" || q.Method == "compressed-tensors" && q.Format == "float-quantized"
}

// isScale reports whether a tensor belongs to a matrix that is read by scales, or says how its inputs are rounded.
func isScale(w *checkpoints.Weights, name string) bool {
	for _, ending := range []string{".weight_scale_inv", ".weight_scale", ".activation_scale", ".input_scale", ".input_scale_inv"} {
		if stem, ok := strings.CutSuffix(name, ending); ok {
			return w.ScaleOf(stem+".weight") != ""
		}
	}
	return false
}
