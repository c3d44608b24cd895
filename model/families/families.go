// Package families says what sets the families of models apart: the switches of
// the decoder that all of them are, the names of their tensors in Hugging Face's
// files and in GGUF, and the keys of their config.json.
//
// [Find] a family by its model_type. [Dims.Layout] lists the parameters of its
// decoder, [Names.Tensors] what they are called in files, and [Rope.Frequencies]
// how far heads are turned. A new family is a file here and a line of families.
package families

import (
	"slices"
	"strings"
)

// families lists all that are known.
var families = []*Family{&llama, &qwen2, &qwen3, &glm, &glm4, &chatGLM, &mistral, &ministral, &smollm3,
	&granite, &graniteHybrid, &olmo2, &olmo3, &ministral3, &gemma3, &phi3, &qwen35, &lfm2, &exaone4, &hunyuan, &cohere, &cohere2}

// Find returns the family of a model_type; false if it is not known.
func Find(modelType string) (*Family, bool) {
	i := slices.IndexFunc(families, func(f *Family) bool { return f.Type == modelType })
	if i < 0 {
		return nil, false
	}
	return families[i], true
}

// Types lists every model_type that [Find] knows, for a message.
func Types() string { return list(func(f *Family) string { return f.Type }, ", ") }

// FindGGUF returns the family of a GGUF file's general.architecture, the first of those that
// have it, where the file says how far a window sees the first with one; false if it is not known.
func FindGGUF(architecture string, window bool) (*Family, bool) {
	var first *Family
	for _, f := range families {
		switch {
		case f.GGUF == nil, f.GGUF.Architecture != architecture:
		case first == nil, window && f.GGUF.Window && !first.GGUF.Window:
			first = f
		}
	}
	return first, first != nil
}

// Architectures lists every general.architecture that [FindGGUF] knows, for a
// message.
func Architectures() string {
	return list(func(f *Family) string {
		if f.GGUF == nil {
			return ""
		}
		return f.GGUF.Architecture
	}, " or ")
}

func list(name func(f *Family) string, between string) string {
	var names []string
	for _, f := range families {
		names = append(names, name(f))
	}
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
	return strings.Join(names, between)
}

// Shapes are published models by name: the keys and values of their config.json,
// without its braces.
func Shapes() map[string]string {
	all := map[string]string{}
	for _, f := range families {
		for name, shape := range f.Shapes {
			all[name] = `"model_type":"` + f.Type + `",` + shape
		}
	}
	return all
}
