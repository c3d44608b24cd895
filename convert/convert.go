package checkpoints

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"lwtrain/internal/fault"
)

// ImportGGUF turns a GGUF file into a new folder in Hugging Face layout, which
// transformers and lwtrain load: config.json, model.safetensors (float32, the
// values of the file to the bit), generation_config.json, tokenizer.json,
// tokenizer_config.json, special_tokens_map.json and chat_template.jinja. It
// takes files of the architectures llama and qwen2 with a byte-level BPE
// tokenizer, and refuses by name whatever it does not know how to reproduce
// exactly. outDir must not exist, or be empty; it appears when it is complete.
// progress, which may be nil, is told the bytes of weights written.
func ImportGGUF(path, outDir string, progress func(done, total int64)) error {
	file, size, err := openRegular(path)
	if err != nil {
		return fault.Usage(err)
	}
	defer file.Close()
	g, err := parseGGUF(file, size)
	if err != nil {
		return fault.Usage(fmt.Errorf("%s: %w", path, err))
	}
	m, err := planImport(g)
	if err != nil {
		return fault.Usage(fmt.Errorf("%s: %w", path, err))
	}
	return WriteFolder(outDir, func(dir string) error { return m.write(dir, progress) })
}

// WriteFolder makes a new folder, whole or not at all: write fills a hidden one
// beside it, which is synced and renamed. outDir must not exist, or be empty.
func WriteFolder(outDir string, write func(dir string) error) error {
	if err := vacant(outDir); err != nil {
		return fault.Usage(err)
	}
	return fault.Disk(disk{}.writeFolder(outDir, write))
}

func (d disk) writeFolder(outDir string, write func(dir string) error) error {
	parent, name := filepath.Split(filepath.Clean(outDir))
	parent = filepath.Clean(parent)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	prefix := "." + name + ".writing-"
	if err := removeTemps(parent, prefix); err != nil {
		return err
	}
	temp, err := d.tempDir(parent, prefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp) // after the rename there is nothing left of it
	if err := write(temp); err != nil {
		return err
	}
	if err := d.syncTree(temp); err != nil {
		return err
	}
	if err := os.Remove(outDir); err != nil && !errors.Is(err, fs.ErrNotExist) { // an empty folder is in the way
		return err
	}
	return d.rename(temp, outDir)
}

// vacant reports an error unless dir does not exist or is an empty folder.
func vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fault.Hint(fmt.Errorf("%s: holds %d files, wanted a folder that does not exist", dir, len(entries)), "take another name, or remove the folder")
	}
	return nil
}

// imported is a model of a GGUF file in Hugging Face's terms.
type imported struct {
	tensors []stream
	files   map[string][]byte
}

// planImport makes all the small files and finds, checks and names all tensors.
// It reads no weights, but for rope_freqs.
func planImport(g *ggufFile) (*imported, error) {
	a, err := readArch(g)
	if err != nil {
		return nil, err
	}
	tensors, err := a.streams(g)
	if err != nil {
		return nil, err
	}
	tok, err := readTokenizer(g, a.vocab)
	if err != nil {
		return nil, err
	}
	m := &imported{tensors: tensors, files: make(map[string][]byte)}
	for name, content := range map[string]any{
		"config.json":             a.config(tok),
		"generation_config.json":  tok.generationConfig(),
		"tokenizer.json":          tok.tokenizerJSON(),
		"tokenizer_config.json":   tok.config(a.context),
		"special_tokens_map.json": tok.specialTokens(),
	} {
		if m.files[name], err = encodeJSON(content); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if tok.template != "" {
		m.files["chat_template.jinja"] = []byte(tok.template)
	}
	return m, nil
}

func (m *imported) write(dir string, progress func(done, total int64)) error {
	for name, content := range m.files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	var done, total int64
	for _, s := range m.tensors {
		n, _ := product(s.shape)
		total += 4 * n
	}
	return writeStreams(filepath.Join(dir, singleFile), "F32", m.tensors, map[string]string{"format": "pt"}, func(n int) error {
		done += int64(n)
		if progress != nil {
			progress(done, total)
		}
		return nil
	})
}
