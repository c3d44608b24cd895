package chat

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/tokenizer"
)

func TestGLM4sOwnTemplateRenders(t *testing.T) {
	tok := must(tokenizer.Load(filepath.Join(tokenizers, "tiktoken")))
	own, shipped := must(Open(tok, "auto")), must(Open(tok, "glm4"))
	msgs := []Message{{Role: "system", Content: "Be brief."}, user("写 it's 2024"), assistant("好的"), {Role: "observation", Content: "seen"},
		assistant("Done.")}
	got, want := must(own.Render(msgs, Targets{})), must(shipped.Render(msgs, Targets{}))
	if got.Text != want.Text || !slices.Equal(got.IDs, want.IDs) || !slices.Equal(got.Target, want.Target) {
		t.Errorf("the model's own template gives %q, ours %q", show(tok, got.IDs, got.Mask()), show(tok, want.IDs, want.Mask()))
	}
	for _, c := range []*Template{own, shipped} {
		if a, b := c.Stop(), tok.EOS(); !slices.Equal(a, b) {
			t.Errorf("stops at %v, want %v", a, b)
		}
	}
	tool := map[string]any{"type": "function", "function": map[string]any{"name": "look"}}
	msgs[0].Extra = map[string]any{"tools": []any{tool, map[string]any{"type": "python"}}}
	text, _, err := own.Prompt(msgs[:2])
	if want := "[gMASK]<sop><|system|>\nTools:\n## look\n\n{\n    \"name\": \"look\"\n}\n## python<|system|>\nBe brief.<|user|>\n写 " +
		"it's 2024<|assistant|>"; err != nil || text != want {
		t.Errorf("with tools %q (%v), want %q", text, err, want)
	}
}

// TestLongWritersMisspeltTemplateIsRenderedAndNamed: the template is that of
// LongWriter-glm4-9b's tokenizer_config.json.
func TestLongWritersMisspeltTemplateIsRenderedAndNamed(t *testing.T) {
	const misspelt = "{% for message in messages %}{% if loop.first %}[gMASK]sop<|{{ message['role'] }}|>\n {{ message['content'] }}" +
		"{% else %}<|{{ message['role'] }}|>\n {{ message['content'] }}{% endif %}{% endfor %}" +
		"{% if add_generation_prompt %}<|assistant|>{% endif %}"
	config := must(json.Marshal(map[string]any{"eos_token": "<|endoftext|>", "chat_template": misspelt}))
	tok := tokenizerOf(t, filepath.Join(tokenizers, "tiktoken/converted"), map[string][]byte{fileConfig: config})
	own := must(Open(tok, "auto"))
	r := must(own.Render([]Message{user("q"), assistant("a")}, Targets{}))
	if want := "[gMASK]sop<|user|>\n q<|assistant|>\n a"; r.Text != want {
		t.Errorf("text %q, want %q", r.Text, want)
	}
	if w := own.Warnings(); len(w) != 1 || !strings.Contains(w[0], "longwriter-glm") {
		t.Errorf("warning %q, want one that names longwriter-glm", w)
	}
	if w := must(Open(tok, "longwriter-glm")).Warnings(); w != nil {
		t.Errorf("the shipped template warns: %s", w)
	}
}
