package chat

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lwtrain/tokenizer"
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
	PromptIDs                              []int32           `json:"prompt_ids"`
	BOS                                    string            `json:"bos_token"` // "": the template does not ask for it
	Renamed                                map[string]string // tokens of the tokenizer that have other names
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
			case slices.Contains(reasoningKeys, name) && v[0] == '"': // transformers gives it the other names, too
				if err := json.Unmarshal(v, &m.Reasoning); err != nil {
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

// tokenizers holds the small tokenizers of package tokenizer's tests.
const tokenizers = "../tokenizer/testdata"

// tokenizerOf loads the tokenizer.json of a folder with other files beside it.
func tokenizerOf(t testing.TB, dir string, files map[string][]byte) *tokenizer.Tokenizer {
	t.Helper()
	if filepath.Base(dir) == "bytes" {
		dir = "../tokenizer/bytes"
	}
	to := t.TempDir()
	if err := os.WriteFile(filepath.Join(to, "tokenizer.json"), must(os.ReadFile(filepath.Join(dir, "tokenizer.json"))),
		0o644); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return must(tokenizer.Load(to))
}

// fixture is a tokenizer of package tokenizer's tests with an end-of-sequence token.
func fixture(t testing.TB, name, eos string) *tokenizer.Tokenizer {
	t.Helper()
	return endingIn(t, filepath.Join(tokenizers, name), eos)
}

// endingIn loads the tokenizer.json of a folder with an end-of-sequence token.
func endingIn(t testing.TB, dir, eos string) *tokenizer.Tokenizer {
	t.Helper()
	return tokenizerOf(t, dir, map[string][]byte{fileConfig: fmt.Appendf(nil, `{"eos_token": %q}`, eos)})
}

// renamed is a folder with the tokenizer.json of another whose tokens have other names.
func renamed(t testing.TB, dir string, names map[string]string) string {
	t.Helper()
	if names == nil {
		return dir
	}
	text, to := string(must(os.ReadFile(filepath.Join(dir, "tokenizer.json")))), t.TempDir()
	for old, name := range names {
		text = strings.ReplaceAll(text, strconv.Quote(old), strconv.Quote(name))
	}
	if err := os.WriteFile(filepath.Join(to, "tokenizer.json"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return to
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// show prints ids with the targets in brackets.
func show(tok *tokenizer.Tokenizer, ids []int32, mask []int) string {
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

func TestConversationsRenderAsTransformersDoes(t *testing.T) {
	runGolden(t, "testdata", tokenizers)
}

// TestRealVocabulariesRenderAsTransformersDoes does the same with the models'
// own tokenizers; testdata/chat.py makes the file.
func TestRealVocabulariesRenderAsTransformersDoes(t *testing.T) {
	dir := os.Getenv("LWTRAIN_TEST_TOKENIZERS")
	if _, err := os.Stat(filepath.Join(dir, "chat.json")); dir == "" || err != nil {
		t.Skip("LWTRAIN_TEST_TOKENIZERS names no folder with a chat.json made by testdata/chat.py: real vocabularies are not part of " +
			"the repository")
	}
	runGolden(t, dir, dir)
}

// runGolden renders the cases of a folder with the tokenizers of another.
func runGolden(t *testing.T, dir, tokenizers string) {
	var cases []goldenChat
	if err := json.Unmarshal(must(os.ReadFile(filepath.Join(dir, "chat.json"))), &cases); err != nil {
		t.Fatal(err)
	}
	chats := map[string]*Template{}
	for _, c := range cases {
		t.Run(c.Template+" on "+c.Tokenizer+": "+c.Conversation, func(t *testing.T) {
			key := c.Template + " " + c.Tokenizer
			template := c.Template
			if strings.HasSuffix(template, ".jinja") && !filepath.IsAbs(template) {
				template = filepath.Join("testdata", template)
			}
			if chats[key] == nil {
				chats[key] = must(Open(endingIn(t, renamed(t, filepath.Join(tokenizers, c.Tokenizer), c.Renamed), c.EOS), template))
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

func checkGolden(t *testing.T, chat *Template, c goldenChat) {
	t.Helper()
	msgs := messagesOf(t, c.Messages)
	got, err := chat.Render(msgs, Targets{})
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
