// Package convert turns models of GGUF files into folders in Hugging Face's layout:
// [FromGGUF].
//
// It knows what the metadata and tensors of a GGUF file mean, and what config.json and
// the tokenizer's files say in their place; what families are called in either is for
// package families to say, and bytes are for internal/gguf and checkpoints.
package convert

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"lwtrain/checkpoints"
	"lwtrain/internal/fault"
	"lwtrain/internal/gguf"
	"lwtrain/internal/plainjson"
	"lwtrain/internal/tensorfile"
)

// FromGGUF turns a GGUF file into a new folder in Hugging Face layout, which
// transformers and lwtrain load: config.json, model.safetensors (float32, the
// values of the file to the bit), generation_config.json, tokenizer.json,
// tokenizer_config.json, special_tokens_map.json and chat_template.jinja. It
// takes files of the architectures llama and qwen2 with a byte-level BPE
// tokenizer, and refuses by name whatever it does not know how to reproduce
// exactly. outDir must not exist, or be empty; it appears when it is complete.
// progress, which may be nil, is told the bytes of weights written.
func FromGGUF(path, outDir string, progress func(done, total int64)) error {
	file, size, err := tensorfile.Open(path)
	if err != nil {
		return fault.Usage(err)
	}
	defer file.Close()
	g, err := gguf.Parse(file, size)
	if err != nil {
		return fault.Usage(fmt.Errorf("%s: %w", path, err))
	}
	m, err := plan(g)
	if err != nil {
		return fault.Usage(fmt.Errorf("%s: %w", path, err))
	}
	return checkpoints.WriteFolder(outDir, func(dir string) error { return m.write(dir, progress) })
}

// SmallFiles are those that [FromGGUF] would write beside the weights, by name.
func SmallFiles(g *gguf.File) (map[string][]byte, error) {
	m, err := plan(g)
	if err != nil {
		return nil, err
	}
	return m.files, nil
}

// imported is a model of a GGUF file in Hugging Face's terms.
type imported struct {
	tensors []checkpoints.Stream
	files   map[string][]byte
}

// plan makes all the small files and finds, checks and names all tensors.
// It reads no weights, but for rope_freqs.
func plan(g *gguf.File) (*imported, error) {
	a, err := readArchitecture(g)
	if err != nil {
		return nil, err
	}
	tensors, err := a.tensors(g)
	if err != nil {
		return nil, err
	}
	tok, err := readTokenizer(g, a.Vocab)
	if err != nil {
		return nil, err
	}
	text, err := tok.tokenizerJSON()
	if err != nil {
		return nil, fmt.Errorf("tokenizer.ggml.tokens: %w", err)
	}
	m := &imported{tensors: tensors, files: make(map[string][]byte)}
	for name, content := range map[string]any{
		"config.json":             a.config(tok),
		"generation_config.json":  tok.generationConfig(),
		"tokenizer.json":          text,
		"tokenizer_config.json":   tok.config(a.context),
		"special_tokens_map.json": tok.specialTokens(),
	} {
		if m.files[name], err = plainjson.MarshalFile(content); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if tok.template != "" {
		m.files["chat_template.jinja"] = []byte(tok.template)
	}
	return m, nil
}

func (m *imported) write(dir string, progress func(done, total int64)) error {
	for _, name := range slices.Sorted(maps.Keys(m.files)) {
		if err := os.WriteFile(filepath.Join(dir, name), m.files[name], 0o644); err != nil {
			return err
		}
	}
	return checkpoints.StreamWeights(dir, "F32", m.tensors, 0, progress)
}
