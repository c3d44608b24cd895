package chat

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestAnAnswerThatGoesOnIsEncodedAsTransformersDoes reads testdata/continued.json, made by
// testdata/continued.py.
func TestAnAnswerThatGoesOnIsEncodedAsTransformersDoes(t *testing.T) {
	var cases []struct {
		goldenChat
		Rest string
	}
	if err := json.Unmarshal(must(os.ReadFile("testdata/continued.json")), &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Template+": "+c.Conversation, func(t *testing.T) {
			template := c.Template
			if strings.HasSuffix(template, ".jinja") {
				template = filepath.Join("testdata", template)
			}
			chat := must(Open(fixture(t, c.Tokenizer, c.EOS), template))
			if c.Tokenizer == "llama3" {
				chat = must(chat.With(map[string]any{"bos_token": "<|begin_of_text|>"}))
			}
			msgs := messagesOf(t, c.Messages)
			last := &msgs[len(msgs)-1]
			last.Given = len(last.Content)
			last.Content += c.Rest
			got, err := chat.Render(msgs, Targets{First: len(msgs) - 1})
			if err != nil {
				t.Fatal(err)
			}
			if got.Text != c.Text {
				t.Errorf("text\n%q, transformers has\n%q", got.Text, c.Text)
			}
			if !slices.Equal(got.IDs, c.IDs) {
				t.Fatalf("ids\n%v, transformers has\n%v", got.IDs, c.IDs)
			}
			if m := got.Mask(); !slices.Equal(m, c.Mask) {
				t.Errorf("targets\n%s, want\n%s", show(chat.tok, got.IDs, m), show(chat.tok, c.IDs, c.Mask))
			}
		})
	}
}

func TestABeginThatTheTemplateWritesOtherwiseIsRefused(t *testing.T) {
	chat := must(Open(fixture(t, "qwen", "<|im_end|>"), "testdata/chat_qwen3.jinja"))
	// Qwen3's template takes the text before </think> for reasoning.
	msgs := []Message{{Role: "user", Content: "q"}, {Role: "assistant", Content: "<think>so</think>\n\nyes", Given: 9}}
	_, err := chat.Render(msgs, Targets{})
	var lost *ConversationError
	if !errors.As(err, &lost) || lost.Reason != NoExactTarget || !strings.Contains(lost.Detail, "otherwise where it goes on") {
		t.Errorf("got %v", err)
	}
}
