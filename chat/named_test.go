package chat

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"lwtrain/tokenizer"
)

// TestOfSeveralTemplatesItIsTheOneThatTransformersTakes: testdata/named.json was made by
// testdata/named.py.
func TestOfSeveralTemplatesItIsTheOneThatTransformersTakes(t *testing.T) {
	var cases []struct {
		Name         string
		Files        map[string]string
		Plain, Tools *string // nil: an error
	}
	if err := json.Unmarshal(must(os.ReadFile("testdata/named.json")), &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			files := map[string][]byte{}
			for name, text := range c.Files {
				files[name] = []byte(text)
			}
			tok := tokenizerOf(t, filepath.Join(tokenizers, "bytes"), files)
			saved := t.TempDir()
			if err := tok.Save(saved); err != nil {
				t.Fatal(err)
			}
			for _, tok := range []*tokenizer.Tokenizer{tok, must(tokenizer.Load(saved))} {
				plain, err := Open(tok, "auto")
				if c.Plain == nil {
					if err == nil {
						t.Error("it is taken, want an error")
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				tools := must(plain.With(map[string]any{"tools": []any{}}))
				for want, chat := range map[*string]*Template{c.Plain: plain, c.Tools: tools} {
					if text, _, err := chat.Prompt([]Message{user("q")}); err != nil || text != *want {
						t.Errorf("%q, %v, want %q", text, err, *want)
					}
				}
			}
		})
	}
}
