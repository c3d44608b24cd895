package hub

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"lwtrain/internal/fault"
)

// Want chooses what is needed of a repository's files. An error says what is
// missing.
type Want func(ref Ref, files []File) ([]File, error)

// WholeModel wants what a model is loaded from: weights in safetensors, config
// and tokenizer, all at the top. Code, other forms of the weights and other
// folders stay where they are.
func WholeModel(ref Ref, files []File) ([]File, error) {
	if ref.Path != "" { // a .gguf file, say
		return named(ref, files)
	}
	small, err := ModelConfig(ref, files)
	if err != nil {
		return nil, err
	}
	weights := choose(files, isWeights)
	if len(weights) == 0 {
		hint := "want one that was saved with safetensors"
		if len(choose(files, func(name string) bool { return strings.HasSuffix(name, ".bin") || strings.HasSuffix(name, ".pth") })) > 0 {
			hint = "it has .bin or .pth files alone, which can run code when they are loaded; save it with safe_serialization=True and give the folder"
		} else if gguf := choose(files, func(name string) bool { return strings.HasSuffix(name, ".gguf") }); len(gguf) > 0 {
			hint = "name one of its files: " + ref.at(gguf[0].Path).String()
		}
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: no weights in safetensors", ref), hint))
	}
	return append(small, weights...), nil
}

// ModelConfig wants a model without its weights.
func ModelConfig(ref Ref, files []File) ([]File, error) {
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
	return ok
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

func (r Ref) at(path string) Ref {
	r.Path = path
	return r
}

// Data wants the files of conversations: those that the reference names, or those
// to train on. As in Hugging Face's datasets, names tell the splits: if some speak
// of training, those; else all that do not speak of validation or test. Of several
// formats the one with the most files is taken.
func Data(ref Ref, files []File) ([]File, error) {
	if ref.Path != "" {
		return named(ref, files)
	}
	var train, rest, other []File
	for _, f := range files {
		switch {
		case dataFormat(f.Path) == "":
		case speaksOf(f.Path, "train", "training"):
			train = append(train, f)
		case speaksOf(f.Path, "validation", "valid", "val", "dev", "test", "testing", "eval", "evaluation"):
			other = append(other, f)
		default:
			rest = append(rest, f)
		}
	}
	if len(train) == 0 {
		train = rest
	}
	switch {
	case len(train) > 0:
		return oneFormat(train), nil
	case len(other) > 0:
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: its files are for evaluation alone, by their names: %s", ref, some(other)), "name the file that is meant: "+ref.at(other[0].Path).String()))
	case slices.ContainsFunc(files, func(f File) bool { return strings.HasSuffix(f.Path, ".py") }):
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: a script makes this dataset, and holds no data itself", ref), "the hub may have made Parquet files of it: "+Scheme+ref.Repo+"@refs/convert/parquet"))
	}
	return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: no file of data among %s", ref, some(files)), "want JSONL, JSON, Parquet or Arrow; JSONL may be .gz or .zst"))
}

// dataFormat is the format that a name speaks of, or "".
func dataFormat(name string) string {
	switch base := path.Base(name); base {
	case "dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "config.json", "package.json":
		return ""
	}
	name = strings.ToLower(name)
	for _, packed := range []string{".gz", ".zst"} {
		if inner, ok := strings.CutSuffix(name, packed); ok && (strings.HasSuffix(inner, ".jsonl") || strings.HasSuffix(inner, ".json")) {
			name = inner
		}
	}
	switch ext := path.Ext(name); ext {
	case ".jsonl", ".json", ".parquet", ".arrow":
		return ext
	case ".ndjson":
		return ".jsonl"
	}
	return ""
}

// speaksOf reports whether one of the words stands in a name, as a word.
func speaksOf(name string, words ...string) bool {
	for part := range strings.FieldsFuncSeq(strings.ToLower(name), func(r rune) bool { return r < '0' || r > '9' && r < 'a' || r > 'z' && r < 0x80 }) {
		if slices.Contains(words, part) {
			return true
		}
	}
	return false
}

func oneFormat(files []File) []File {
	count := map[string]int{}
	for _, f := range files {
		count[dataFormat(f.Path)]++
	}
	best := ""
	for _, format := range []string{".parquet", ".jsonl", ".json", ".arrow"} {
		if count[format] > count[best] || best == "" && count[format] > 0 {
			best = format
		}
	}
	return slices.DeleteFunc(slices.Clone(files), func(f File) bool { return dataFormat(f.Path) != best })
}

// named lists the files that ref.Path names: a file, those below a folder, or
// those that a glob matches.
func named(ref Ref, files []File) ([]File, error) {
	var out []File
	for _, f := range files {
		match, err := path.Match(ref.Path, f.Path)
		if err != nil {
			return nil, fault.Usage(fmt.Errorf("%s: %w", ref, err))
		}
		below := strings.HasPrefix(f.Path, ref.Path+"/")
		if f.Path == ref.Path || match || below && (ref.Kind == Model || dataFormat(f.Path) != "") {
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: no such file in it", ref), "it has "+some(files)))
	}
	return out, nil
}

// some names the first of many files.
func some(files []File) string {
	const most = 6
	var names []string
	for _, f := range files[:min(most, len(files))] {
		names = append(names, f.Path)
	}
	if len(files) == 0 {
		return "no files"
	}
	s := strings.Join(names, ", ")
	if n := len(files) - most; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}
