package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/internal/modeldir"
	"lwtrain/internal/plainjson"
)

// savedFiles are the files that Save writes again.
var savedFiles = []string{
	fileTokenizer, fileConfig, fileJinja, fileGeneration,
	"special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", fileRanks, fileTekken,
}

// Load reads a tokenizer from a folder in Hugging Face layout: tokenizer.json,
// and where they are there tokenizer_config.json, chat_template.jinja, the files of
// additional_chat_templates, generation_config.json and config.json. The folders that GLM-4-9B was published
// in have no tokenizer.json; there tokenizer.model and tokenizer_config.json are
// read instead, and code that lies beside them is not run. Errors name the file
// and, for broken JSON, the line.
func Load(dir string) (*Tokenizer, error) {
	t, err := loadFolder(dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = fault.Hint(fmt.Errorf("%s: no tokenizer.json in this folder, want a tokenizer in hugging face layout", dir), missingHint(dir))
	} else if err != nil {
		err = fmt.Errorf("%s%c%w", filepath.Clean(dir), filepath.Separator, err)
	}
	return t, fault.Usage(err)
}

func loadFolder(dir string) (*Tokenizer, error) {
	named, err := namedTemplates(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", templatesDir, err)
	}
	return load(func(name string) ([]byte, error) { return modeldir.Read(dir, name, maxFile) }, named...)
}

// namedTemplates lists the chat templates with names that lie in a folder's folder of them.
func namedTemplates(dir string) (files []string, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, templatesDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".jinja" {
			files = append(files, filepath.Join(templatesDir, e.Name()))
		}
	}
	if len(files) > maxNamed {
		err = fmt.Errorf("%d templates, want at most %d", len(files), maxNamed)
	}
	return files, err
}

// missingHint says what to do about a folder with a tokenizer of another form.
func missingHint(dir string) string {
	for _, name := range []string{"vocab.json", "vocab.txt"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return fmt.Sprintf("there is a %s; %s", name, convertHint)
		}
	}
	return ""
}

// load builds a tokenizer from files by name, named chat templates among them. Only tokenizer.json, or in its
// place tokenizer.model, must exist; the error wraps [fs.ErrNotExist] if neither
// does.
func load(read func(name string) ([]byte, error), named ...string) (*Tokenizer, error) {
	files := make(map[string][]byte)
	total := 0
	for _, name := range slices.Concat(savedFiles, named, []string{fileModel}) {
		data, err := read(name)
		switch {
		case err == nil:
			files[name] = data
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if total += len(data); total > maxFiles {
			return nil, fmt.Errorf("%s: with the files before it %d bytes, want at most %d", name, total, maxFiles)
		}
	}
	t, err := parseFiles(files)
	if err != nil {
		return nil, err
	}
	if data, ok := files[fileConfig]; ok {
		if err := plainjson.Decode(data, maxValues, &t.config); err != nil {
			return nil, plainjson.In(fileConfig, err)
		}
	}
	if t.eos, err = t.findEOS(files); err != nil {
		return nil, err
	}
	delete(files, fileModel)
	t.files = files
	return t, nil
}

// parseFiles builds a tokenizer from tokenizer.json, or from what it can be made
// of.
func parseFiles(files map[string][]byte) (*Tokenizer, error) {
	if data, ok := files[fileTokenizer]; ok {
		f, err := parse(data)
		if err != nil {
			return nil, plainjson.In(fileTokenizer, err)
		}
		if err := f.addConfigured(files); err != nil {
			return nil, err
		}
		t, err := build(f)
		if err != nil {
			err = fmt.Errorf("%s: %w", fileTokenizer, err)
		}
		return t, err
	}
	f, err := convertFiles(files)
	if err != nil {
		return nil, err
	}
	return build(f)
}

// convertFiles makes a tokenizer.json of the files that stand in its place, and a tokenizer_config.json with the names of
// special tokens where there is none. The error wraps [fs.ErrNotExist] if there is no such file.
func convertFiles(files map[string][]byte) (f *tokenizerFile, err error) {
	ranks, config := files[fileRanks], files[fileConfig]
	switch {
	case files[fileTekken] != nil:
		f, err = convertTekken(files[fileTekken])
	case isSentencePiece(ranks):
		f, err = convertSentencePiece(ranks, config)
	case ranks != nil:
		return convertGLM4(ranks, config)
	default:
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	if config == nil {
		named := map[string]string{"tokenizer_class": "PreTrainedTokenizerFast"}
		for key, token := range map[string]string{"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"} {
			if slices.ContainsFunc(f.AddedTokens, func(a addedToken) bool { return a.Content == token }) {
				named[key] = token
			}
		}
		files[fileConfig] = append(marshal(named), '\n')
	}
	return f, f.addConfigured(files)
}

// findEOS applies the order of EOS's documentation.
func (t *Tokenizer) findEOS(files map[string][]byte) ([]int32, error) {
	for _, name := range []string{fileGeneration, fileModel} {
		data, ok := files[name]
		if !ok {
			continue
		}
		var config struct {
			EOS json.RawMessage `json:"eos_token_id"`
		}
		if err := plainjson.Decode(data, maxValues, &config); err != nil {
			return nil, plainjson.In(name, err)
		}
		if len(config.EOS) == 0 || string(config.EOS) == "null" {
			continue
		}
		var list []int64
		if json.Unmarshal(config.EOS, &list) != nil {
			list = make([]int64, 1)
			if json.Unmarshal(config.EOS, &list[0]) != nil {
				return nil, fmt.Errorf("%s: eos_token_id is %.40s, want an id or a list of ids", name, config.EOS)
			}
		}
		if len(list) > maxEOS {
			return nil, fmt.Errorf("%s: eos_token_id has %d ids, want at most %d", name, len(list), maxEOS)
		}
		var eos []int32
		for _, id := range list {
			if id < 0 || id > maxID {
				return nil, fmt.Errorf("%s: eos_token_id %d, want 0 to %d", name, id, maxID)
			}
			if !slices.Contains(eos, int32(id)) {
				eos = append(eos, int32(id))
			}
		}
		return eos, nil
	}
	if id, ok := t.ID(t.SpecialToken("eos_token")); ok {
		return []int32{id}, nil
	}
	return nil, nil
}

// Save writes the files that the tokenizer was loaded from into dir, byte for
// byte: tokenizer.json and those of tokenizer_config.json, chat_template.jinja,
// additional_chat_templates, special_tokens_map.json, generation_config.json, vocab.json,
// merges.txt, added_tokens.json and tokenizer.model that there were. If there was no
// tokenizer.json, it is made from tokenizer.model. Each file is whole or absent.
func (t *Tokenizer) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if _, ok := t.files[fileTokenizer]; !ok {
		f, err := convertFiles(t.files)
		if err != nil {
			return err
		}
		if err := atomicfile.WriteBytes(filepath.Join(dir, fileTokenizer), append(marshal(f), '\n')); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.files)) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			return err
		}
		if err := atomicfile.WriteBytes(filepath.Join(dir, name), t.files[name]); err != nil {
			return err
		}
	}
	return nil
}
