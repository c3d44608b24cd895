package tokenizer

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// golden is testdata/configured/cases.json (golden.py there).
type golden struct {
	Text      string
	Tokenizer map[string]json.RawMessage
	Cases     []struct {
		Name    string
		Files   map[string]json.RawMessage
		Added   []json.RawMessage // to tokenizer.json's own
		IDs     []int32
		Skipped string // decoded, without special tokens
		Size    int    // of the vocabulary
	}
}

func readGolden(t *testing.T) (g golden) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "configured", "cases.json"))
	if err == nil {
		err = json.Unmarshal(raw, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// loadFiles builds a tokenizer from files in memory.
func loadFiles(files map[string]json.RawMessage) (*Tokenizer, error) {
	return load(func(name string) ([]byte, error) {
		if raw, ok := files[name]; ok {
			return raw, nil
		}
		return nil, fs.ErrNotExist
	})
}

func TestTokensThatOtherFilesNameAreAddedAsAutoTokenizerDoes(t *testing.T) {
	g := readGolden(t)
	plain, err := loadFiles(map[string]json.RawMessage{fileTokenizer: marshal(g.Tokenizer)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range g.Cases {
		t.Run(c.Name, func(t *testing.T) {
			var added []json.RawMessage
			if err := json.Unmarshal(g.Tokenizer["added_tokens"], &added); err != nil {
				t.Fatal(err)
			}
			file := map[string]json.RawMessage{}
			for key, raw := range g.Tokenizer {
				file[key] = raw
			}
			file["added_tokens"] = marshal(append(added, c.Added...))
			c.Files[fileTokenizer] = marshal(file)
			tok, err := loadFiles(c.Files)
			if err != nil {
				t.Fatal(err)
			}
			if ids := tok.Encode(g.Text); !slices.Equal(ids, c.IDs) {
				t.Errorf("ids %v, want %v", ids, c.IDs)
			}
			if text := tok.Decode(c.IDs, true); text != c.Skipped {
				t.Errorf("decoded %q, want %q", text, c.Skipped)
			}
			if tok.VocabSize() != c.Size {
				t.Errorf("%d tokens, want %d", tok.VocabSize(), c.Size)
			}
			same := tok.Fingerprint() == plain.Fingerprint()
			if c.Name == "nothing is missing" && !same || !slices.Equal(c.IDs, plain.Encode(g.Text)) && same {
				t.Errorf("the fingerprint is that of tokenizer.json alone: %v", same)
			}
		})
	}
}

func TestTokensThatOtherFilesNameAndAreNone(t *testing.T) {
	g := readGolden(t)
	for _, c := range []struct{ file, text, want string }{
		{fileConfig, `{"added_tokens_decoder": [1]}`, "tokenizer_config.json: added_tokens_decoder is no object of tokens"},
		{fileConfig, `{"added_tokens_decoder": {"one": {"content": "x"}}}`, "tokenizer_config.json: added_tokens_decoder is no object"},
		{fileConfig, `{"added_tokens_decoder": {"1": null}}`, "tokenizer_config.json: added_tokens_decoder is no object"},
		{fileConfig, `{"pad_token": 5}`, "tokenizer_config.json: pad_token is 5, want text or a token"},
		{fileConfig, `{"extra_special_tokens": "x"}`, `tokenizer_config.json: extra_special_tokens is "x", want a list of tokens`},
		{fileConfig, `{"additional_special_tokens": [["x"]]}`, `additional_special_tokens is ["x"], want text or a token`},
		{fileSpecial, `[]`, "special_tokens_map.json: "},
		{fileAdded, `{"x": "y"}`, "added_tokens.json:1: x is text, want an integer"},
	} {
		_, err := loadFiles(map[string]json.RawMessage{fileTokenizer: marshal(g.Tokenizer), c.file: json.RawMessage(c.text)})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.text, err, c.want)
		}
	}
}
