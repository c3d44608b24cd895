package tokenizer

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// goldenChat is a case of testdata/chat.json, made by testdata/chat.py.
type goldenChat struct {
	Template, Tokenizer, EOS, Conversation string
	Messages                               []map[string]json.RawMessage
	Tools                                  json.RawMessage
	Text                                   string
	IDs                                    []int32
	Mask                                   []int // nil: not checked
	Prompt                                 string
	PromptIDs                              []int32 `json:"prompt_ids"`
	BOS                                    string  `json:"bos_token"` // "": the template does not ask for it
}

// messagesOf keeps everything but role and a text content as raw JSON, so that
// the order of keys and the kinds of numbers stay.
func messagesOf(t *testing.T, in []map[string]json.RawMessage) []Message {
	t.Helper()
	var out []Message
	for _, fields := range in {
		m := Message{Extra: map[string]any{}}
		for name, v := range fields {
			switch {
			case name == "role":
				if err := json.Unmarshal(v, &m.Role); err != nil {
					t.Fatal(err)
				}
			case name == "content" && v[0] == '"':
				if err := json.Unmarshal(v, &m.Content); err != nil {
					t.Fatal(err)
				}
			default:
				m.Extra[name] = v
			}
		}
		out = append(out, m)
	}
	return out
}

// fixture loads the tokenizer.json of a folder with an end-of-sequence token.
func fixture(t *testing.T, dir, eos string) *Tokenizer {
	t.Helper()
	if filepath.Base(dir) == "bytes" {
		dir = "bytes"
	}
	config := fmt.Appendf(nil, `{"eos_token": %q}`, eos)
	tok, err := load(func(name string) ([]byte, error) {
		switch name {
		case fileTokenizer:
			return os.ReadFile(filepath.Join(dir, name))
		case fileConfig:
			return config, nil
		}
		return nil, fs.ErrNotExist
	})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// mask is a Rendered's target as a 0 or 1 for each id.
// show prints ids with the targets in brackets.
func show(tok *Tokenizer, ids []int32, mask []int) string {
	var b strings.Builder
	for i, id := range ids {
		if mask[i] == 1 {
			b.WriteString("[" + tok.Decode([]int32{id}, false) + "]")
		} else {
			b.WriteString(tok.Decode([]int32{id}, false))
		}
	}
	return b.String()
}

func TestConversationsRenderAsTransformersDoes(t *testing.T) { runGolden(t, "testdata") }

// TestRealVocabulariesRenderAsTransformersDoes does the same with the models'
// own tokenizers; testdata/chat.py makes the file.
func TestRealVocabulariesRenderAsTransformersDoes(t *testing.T) {
	dir := os.Getenv("LWTRAIN_TEST_TOKENIZERS")
	if _, err := os.Stat(filepath.Join(dir, "chat.json")); dir == "" || err != nil {
		t.Skip("LWTRAIN_TEST_TOKENIZERS names no folder with a chat.json made by testdata/chat.py: real vocabularies are not part of the repository")
	}
	runGolden(t, dir)
}

func runGolden(t *testing.T, dir string) {
	var cases []goldenChat
	if err := json.Unmarshal(must(os.ReadFile(filepath.Join(dir, "chat.json"))), &cases); err != nil {
		t.Fatal(err)
	}
	chats := map[string]*Chat{}
	for _, c := range cases {
		t.Run(c.Template+" on "+c.Tokenizer+": "+c.Conversation, func(t *testing.T) {
			key := c.Template + " " + c.Tokenizer
			template := c.Template
			if strings.HasSuffix(template, ".jinja") && !filepath.IsAbs(template) {
				template = filepath.Join("testdata", template)
			}
			if chats[key] == nil {
				chats[key] = must(fixture(t, filepath.Join(dir, c.Tokenizer), c.EOS).Chat(template))
			}
			chat := chats[key]
			if c.BOS != "" {
				chat = must(chat.With(map[string]any{"bos_token": c.BOS}))
			}
			if string(c.Tools) != "null" {
				chat = must(chat.With(map[string]any{"tools": c.Tools}))
			}
			checkGolden(t, chat, c)
		})
	}
}

func checkGolden(t *testing.T, chat *Chat, c goldenChat) {
	t.Helper()
	msgs := messagesOf(t, c.Messages)
	got, err := chat.Render(msgs)
	if err != nil {
		t.Fatal(err)
	}
	if got.Text != c.Text {
		t.Errorf("text\n%q, transformers has\n%q", got.Text, c.Text)
	}
	if !slices.Equal(got.IDs, c.IDs) {
		t.Fatalf("ids\n%v, transformers has\n%v", got.IDs, c.IDs)
	}
	if m := got.Mask(); c.Mask != nil && !slices.Equal(m, c.Mask) {
		t.Errorf("targets\n%s, transformers has\n%s", show(chat.tok, got.IDs, m), show(chat.tok, c.IDs, c.Mask))
	}
	text, ids, err := chat.Prompt(msgs)
	if err != nil {
		t.Fatal(err)
	}
	if text != c.Prompt {
		t.Errorf("prompt\n%q, transformers has\n%q", text, c.Prompt)
	}
	if !slices.Equal(ids, c.PromptIDs) {
		t.Errorf("prompt ids\n%v, transformers has\n%v", ids, c.PromptIDs)
	}
}
