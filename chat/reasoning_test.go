package chat

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// targetTexts are the texts of the targets of a rendering.
func targetTexts(r Rendered) (out []string) {
	for _, s := range r.Target {
		text := ""
		for i := s.Start; i < s.End; i++ {
			text += r.Token(int(i))
		}
		out = append(out, text)
	}
	return out
}

func TestReasoningIsATargetOrOnlyRead(t *testing.T) {
	const (
		qwen3  = "testdata/chat_qwen3.jinja"
		blocks = `{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}{% generation %}` +
			`{% if m.reasoning %}{{ '<think>' + m.reasoning + '</think>' }}{% endif %}{{ m.content + '<|im_end|>' }}{% endgeneration %}` +
			`{% else %}{{ m.content + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}` +
			`{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`
	)
	user := func(text string) Message { return Message{Role: "user", Content: text} }
	call := func(text string) map[string]any {
		return map[string]any{"tool_calls": json.RawMessage(`[{"function": {"name": "` + text + `", "arguments": {}}}]`)}
	}
	for name, c := range map[string]struct {
		template       string
		messages       []Message
		learned, given []string // the targets with reasoning, and without
	}{
		"beside the answer": {qwen3,
			[]Message{user("q"), {Role: "assistant", Reasoning: "hm", Content: "yes"}},
			[]string{"<think>\nhm\n</think>\n\nyes<|im_end|>"}, []string{"yes<|im_end|>"}},
		"in the answer": {qwen3,
			[]Message{user("q"), {Role: "assistant", Content: "<think>\nhm\n</think>\n\nyes"}},
			[]string{"<think>\nhm\n</think>\n\nyes<|im_end|>"}, []string{"yes<|im_end|>"}},
		"dropped in an earlier turn, as the template does it": {qwen3,
			[]Message{user("q"), {Role: "assistant", Reasoning: "hm", Content: "yes"}, user("r"),
				{Role: "assistant", Reasoning: "so", Content: "no"}},
			[]string{"yes<|im_end|>", "<think>\nso\n</think>\n\nno<|im_end|>"}, []string{"yes<|im_end|>", "no<|im_end|>"}},
		"kept before a call, and behind its result": {qwen3,
			[]Message{user("q"), {Role: "assistant", Reasoning: "hm", Extra: call("f")}, {Role: "tool", Content: "1"},
				{Role: "assistant", Reasoning: "so", Content: "no"}},
			[]string{"<think>\nhm\n</think>\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call><|im_end|>",
				"<think>\nso\n</think>\n\nno<|im_end|>"},
			[]string{"<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call><|im_end|>", "no<|im_end|>"}},
		"none: the template's empty block stays as it is": {qwen3,
			[]Message{user("q"), {Role: "assistant", Content: "yes"}},
			[]string{"<think>\n\n</think>\n\nyes<|im_end|>"}, []string{"<think>\n\n</think>\n\nyes<|im_end|>"}},
		"in a template with generation blocks": {blocks,
			[]Message{user("q"), {Role: "assistant", Reasoning: "hm", Content: "<b>yes"}},
			[]string{"<think>hm</think><b>yes<|im_end|>"}, []string{"<b>yes<|im_end|>"}},
		"in the answer, of a template that knows none": {"chatml",
			[]Message{user("q"), {Role: "assistant", Content: "<think>hm</think>\nyes </think>"}},
			[]string{"<think>hm</think>\nyes </think><|im_end|>"}, []string{"yes </think><|im_end|>"}},
		"an answer that speaks of the tag": {"chatml",
			[]Message{user("q"), {Role: "assistant", Content: "write <think>hm</think>"}},
			[]string{"write <think>hm</think><|im_end|>"}, []string{"write <think>hm</think><|im_end|>"}},
	} {
		t.Run(name, func(t *testing.T) {
			template := c.template
			if template == blocks {
				template = filepath.Join(t.TempDir(), "t.jinja")
				if err := os.WriteFile(template, []byte(blocks), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			chat := must(Open(fixture(t, "qwen", "<|im_end|>"), template))
			for _, x := range []struct {
				targets Targets
				want    []string
			}{{Targets{}, c.learned}, {Targets{NoReasoning: true}, c.given}} {
				got, err := chat.Render(c.messages, x.targets)
				if err != nil {
					t.Fatal(err)
				}
				if texts := targetTexts(got); !slices.Equal(texts, x.want) {
					t.Errorf("%+v: targets %q, want %q", x.targets, texts, x.want)
				}
			}
		})
	}
}
