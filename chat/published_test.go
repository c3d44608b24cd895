package chat

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"lwtrain/tokenizer"
)

// TestPublishedTemplatesRenderAsTransformersDoes opens published tokenizers with their own templates; testdata/published.py
// makes what it compares with.
func TestPublishedTemplatesRenderAsTransformersDoes(t *testing.T) {
	dir := os.Getenv("LWTRAIN_TEST_TOKENIZERS")
	found, _ := filepath.Glob(filepath.Join(dir, "*", "chat.json"))
	if dir == "" || len(found) == 0 {
		t.Skip("LWTRAIN_TEST_TOKENIZERS names no folder with folders in which testdata/published.py has made a chat.json")
	}
	for _, path := range found {
		var cases []publishedChat
		if err := json.Unmarshal(must(os.ReadFile(path)), &cases); err != nil {
			t.Fatal(err)
		}
		tok := must(tokenizer.Load(filepath.Dir(path)))
		chat, err := Open(tok, "")
		switch told := slices.ContainsFunc(cases, func(c publishedChat) bool { return c.Mask != nil }); {
		case err != nil && told:
			t.Errorf("%s: %v", path, err)
			continue
		case err != nil: // nothing ends an answer, or it has no text (those of models that see)
			t.Logf("%s: %v", path, err)
			continue
		}
		chat = chat.At(Today)
		for _, c := range cases {
			name := filepath.Base(filepath.Dir(path)) + ": " + c.Conversation
			chat := chat
			if string(c.Tools) != "null" {
				chat = must(chat.With(map[string]any{"tools": c.Tools}))
				name += " with tools"
			}
			t.Run(name, func(t *testing.T) {
				msgs := messagesOf(t, c.Messages)
				if c.Error != "" {
					if got, err := chat.render(msgs, false); err == nil {
						t.Errorf("rendered as %q, transformers has the error %s", got.Text, c.Error)
					}
					return
				}
				checkPublished(t, chat, c.goldenChat)
			})
		}
	}
}

type publishedChat struct {
	goldenChat
	Error string // of transformers
}

// checkPublished is checkGolden, but a conversation whose targets cannot be told is one that is refused with a reason.
func checkPublished(t *testing.T, chat *Template, c goldenChat) {
	t.Helper()
	msgs := messagesOf(t, c.Messages)
	out, err := chat.render(msgs, false)
	if err != nil {
		t.Fatal(err)
	}
	if out.Text != c.Text {
		t.Errorf("text\n%q, transformers has\n%q", out.Text, c.Text)
	}
	if ids := chat.tok.EncodeText(out.Text); !slices.Equal(ids, c.IDs) {
		t.Errorf("ids\n%v, transformers has\n%v", ids, c.IDs)
	}
	text, ids, err := chat.Prompt(msgs)
	if err != nil || text != c.Prompt || !slices.Equal(ids, c.PromptIDs) {
		t.Errorf("prompt (error %v)\n%q, transformers has\n%q", err, text, c.Prompt)
	}
	got, err := chat.Render(msgs, Targets{})
	if err != nil {
		t.Logf("targets: %v", err)
		return
	}
	if m := got.Mask(); c.Mask != nil && !slices.Equal(m, c.Mask) {
		t.Errorf("targets\n%s, want\n%s", show(chat.tok, got.IDs, m), show(chat.tok, c.IDs, c.Mask))
	}
}
