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
			begin := slices.Clone(msgs)
			begin[len(msgs)-1].Content = last.Content[:last.Given]
			asked, err := chat.Ask(begin)
			if first := slices.Index(c.Mask, 1); err != nil || !slices.Equal(asked.IDs, c.IDs[:first]) {
				t.Errorf("asked to go on: %v, ids\n%v, transformers has\n%v", err, asked.IDs, c.IDs[:first])
			}
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

func TestWhatIsAskedIsWhole(t *testing.T) {
	user := Message{Role: "user", Content: "q"}
	tool := []Message{user, {Role: "assistant", Extra: map[string]any{"tool_calls": []any{map[string]any{"function": map[string]any{
		"name": "look", "arguments": map[string]any{}}}}}}, {Role: "tool", Content: "found"}}
	for _, c := range []struct {
		name, template string
		msgs           []Message
		want           string // of the text's end, or of the error
		unread         []string
	}{
		{"a question", "testdata/chat_qwen2.5.jinja", []Message{user}, "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n", nil},
		{"a begin", "testdata/chat_qwen2.5.jinja", []Message{user, {Role: "assistant", Content: "Once "}},
			"<|im_start|>assistant\nOnce ", nil},
		{"an empty begin", "testdata/chat_qwen2.5.jinja", []Message{user, {Role: "assistant"}}, "renders nothing of it", nil},
		{"a blank begin", "testdata/chat_qwen2.5.jinja", []Message{user, {Role: "assistant", Content: " "}},
			"no begin of an answer", nil},
		{"what a tool said", "testdata/chat_qwen2.5.jinja", tool,
			"<tool_response>\nfound\n</tool_response><|im_end|>\n<|im_start|>assistant\n", nil},
		{"a call that the template does not write", "chatml", tool, "renders nothing of it", nil},
		{"reasoning that it does not speak of", "chatml", []Message{user, {Role: "assistant", Content: "a", Reasoning: "r"}, user},
			"the template speaks of no reasoning", nil},
		{"reasoning of an earlier answer", "testdata/chat_qwen3.jinja",
			[]Message{user, {Role: "assistant", Content: "a", Reasoning: "r"}, user},
			"<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n", nil},
		{"a begin that it takes for reasoning", "testdata/chat_qwen3.jinja",
			[]Message{user, {Role: "assistant", Content: "<think>so</think>\n\nyes"}}, "no begin of an answer", nil},
		{"a key", "chatml",
			[]Message{{Role: "user", Content: "q", Extra: map[string]any{"mood": "good"}}}, "assistant\n", []string{"mood"}},
		{"nothing", "chatml", nil, "no messages", nil},
		{"a role", "chatml", []Message{{Role: "critic", Content: "q"}}, "is unknown", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := must(Open(fixture(t, "qwen", "<|im_end|>"), c.template)).Ask(c.msgs)
			said := got.Text
			if err != nil {
				said = err.Error()
			}
			if !strings.Contains(said, c.want) || err == nil && !strings.HasSuffix(said, c.want) || !slices.Equal(got.Unread, c.unread) {
				t.Errorf("%q, %v, unread %q", got.Text, err, got.Unread)
			}
		})
	}
}
