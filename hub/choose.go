package hub

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"lwtrain/internal/fault"
)

// Want chooses what is needed of a repository's files, some of which it may read. An
// error says what is missing.
type Want func(ref Ref, files []File, read Reader) ([]File, error)

// WholeModel wants what a model is loaded from: weights in safetensors, config
// and tokenizer, all at the top, and chat templates with names. Code, other forms of the weights and other
// folders stay where they are.
func WholeModel(ref Ref, files []File, _ Reader) ([]File, error) {
	if ref.Path != "" { // a .gguf file, say
		return named(ref, files)
	}
	small, err := ModelConfig(ref, files, nil)
	if err != nil {
		return nil, err
	}
	weights := choose(files, isWeights)
	if len(weights) == 0 {
		hint := "want one that was saved with safetensors"
		if len(choose(files, func(name string) bool { return strings.HasSuffix(name, ".bin") || strings.HasSuffix(name, ".pth") })) > 0 {
			hint = "it has .bin or .pth files alone, which can run code when they are loaded; " +
				"save it with safe_serialization=True and give the folder"
		} else if gguf := choose(files, func(name string) bool { return strings.HasSuffix(name, ".gguf") }); len(gguf) > 0 {
			hint = "name one of its files: " + ref.at(gguf[0].Path).String()
		}
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: no weights in safetensors", ref), hint))
	}
	return append(small, weights...), nil
}

// ModelConfig wants a model without its weights.
func ModelConfig(ref Ref, files []File, _ Reader) ([]File, error) {
	if ref.Path != "" {
		return named(ref, files)
	}
	small := choose(files, func(name string) bool {
		switch path.Ext(name) {
		case ".json", ".jinja", ".model":
			return true
		}
		return name == "merges.txt" || name == "vocab.txt"
	})
	for _, f := range files {
		if ok, _ := path.Match("additional_chat_templates/*.jinja", f.Path); ok {
			small = append(small, f)
		}
	}
	if !slices.ContainsFunc(small, func(f File) bool { return f.Path == "config.json" }) {
		hint := "want a model in the layout of transformers"
		if gguf := choose(files, func(name string) bool { return strings.HasSuffix(name, ".gguf") }); len(gguf) > 0 {
			hint = "name one of its files: " + ref.at(gguf[0].Path).String()
		}
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: no config.json in it", ref), hint))
	}
	return small, nil
}

func isWeights(name string) bool {
	if name == "model.safetensors" {
		return true
	}
	ok, _ := path.Match("model-*-of-*.safetensors", name)
	also, _ := path.Match("model.safetensors-*-of-*.safetensors", name)
	return ok || also
}

// choose lists the files at the top that are wanted.
func choose(files []File, want func(name string) bool) (out []File) {
	for _, f := range files {
		if !strings.Contains(f.Path, "/") && want(f.Path) {
			out = append(out, f)
		}
	}
	return out
}

// Files wants the files of a dataset: the one that the reference names, or those
// that a glob matches; else those of the training split of its card (the configs in
// the head of README.md, which is wanted too), else those that pick picks among
// the names of all, or of a folder.
func Files(pick func(names []string) ([]string, error)) Want {
	return func(ref Ref, files []File, read Reader) ([]File, error) {
		var names []string
		card := ""
		if ref.Path != "" {
			found, err := named(ref, files)
			if err != nil || !strings.HasPrefix(found[0].Path, ref.Path+"/") {
				return found, err
			}
			files = found
		} else {
			said, all, err := byCard(ref, files, read)
			if err != nil {
				return nil, err
			}
			if names, card = said, Card; all {
				pick = func(names []string) ([]string, error) { return names, nil }
			}
		}
		if len(names) == 0 {
			for _, f := range files {
				names = append(names, f.Path)
			}
		}
		picked, err := pick(names)
		if err != nil {
			return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: %w", ref, err), fault.HintOf(err)))
		}
		var out []File
		for _, f := range files {
			if slices.Contains(picked, f.Path) || f.Path == card {
				out = append(out, f)
			}
		}
		return out, nil
	}
}

// named lists the files that ref.Path names: a file, those below a folder, or
// those that a glob matches.
func named(ref Ref, files []File) ([]File, error) {
	var out []File
	for _, f := range files {
		match, _ := path.Match(ref.Path, f.Path) // a broken pattern matches nothing
		if match || f.Path == ref.Path || strings.HasPrefix(f.Path, ref.Path+"/") {
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: no such file in it", ref), "it has "+some(files)))
	}
	return out, nil
}
