package export

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"

	"lwtrain/chat"
	"lwtrain/convert"
	"lwtrain/model"
	"lwtrain/tokenizer"
)

// openTemplate opens a chat template with a tokenizer of tokenizer/testdata, or the built-in one.
func openTemplate(t *testing.T, tokens, name string) (*chat.Template, *tokenizer.Tokenizer) {
	t.Helper()
	tok := tokenizer.Bytes()
	if tokens != "" {
		var err error
		if tok, err = tokenizer.Load(filepath.Join("../tokenizer/testdata", tokens)); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		end, _ := tok.ID(map[string]string{"llama3": "<|eot_id|>", "glm4": "<|user|>"}[tokens])
		generation := fmt.Sprintf(`{"eos_token_id":%d}`, end)
		err = errors.Join(tok.Save(dir), os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(generation), 0o644))
		if err == nil {
			tok, err = tokenizer.Load(dir)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c, err := chat.Open(tok, name)
	if err != nil {
		t.Fatal(err)
	}
	return c, tok
}

func TestTemplatesAreTheSameInOllamasLanguage(t *testing.T) {
	story := []chat.Message{{Role: "system", Content: "You write {{ long }} texts."},
		{Role: "user", Content: `A "story", please: 2,500 words`}, {Role: "assistant", Content: "One.\n\nTwo."},
		{Role: "user", Content: "第二章"}, {Role: "assistant", Content: "Three."},
		{Role: "user", Content: "More!"}}
	for _, c := range []struct{ tokens, template string }{
		{"", "auto"}, {"", "chatml"}, {"llama3", "llama3"}, {"glm4", "glm4"}, {"glm4", "longwriter-glm"},
		{"smollm2", "../chat/testdata/chat_smollm2.jinja"}, {"qwen", "../chat/testdata/chat_qwen2.5.jinja"},
		{"qwen", "../chat/testdata/chat_qwen3.jinja"},
	} {
		t.Run(c.template, func(t *testing.T) {
			from, _ := openTemplate(t, c.tokens, c.template)
			text, err := ollamaTemplate(from)
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := template.New("").Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			for _, messages := range [][]chat.Message{story[1:2], story[:2], story[1:4], story[:4], story} {
				want, _, err := from.Prompt(messages)
				if err != nil {
					t.Fatal(err)
				}
				var have strings.Builder
				if err := parsed.Execute(&have, map[string]any{"Messages": messages}); err != nil || have.String() != want {
					t.Errorf("%d messages become %q, want %q (%v)", len(messages), have.String(), want, err)
				}
			}
		})
	}
}

func TestATemplateThatOllamaCannotSayIsLeftOut(t *testing.T) {
	for _, c := range []struct{ name, template, want string }{
		{"one that counts", `{% for m in messages %}<|im_start|>{{ m.role }} {{ loop.index }}{{ "\n" + m.content }}<|im_end|>{{ "\n" }}` +
			`{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant{{ "\n" }}{% endif %}`,
			"its way to write a conversation of 4 messages cannot be said there"},
		{"one that writes three quotes", `{% for m in messages %}<|im_start|>{{ m.role }}` + "\n" + `"""{{ m.content }}"""<|im_end|>` +
			`{{ "\n" }}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant{{ "\n" }}{% endif %}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "t.jinja")
			if err := os.WriteFile(path, []byte(c.template), 0o644); err != nil {
				t.Fatal(err)
			}
			from, tok := openTemplate(t, "", path)
			text, err := ollamaTemplate(from)
			if c.want == "" { // quotes are escaped
				if err != nil || strings.Contains(text, `"""`) {
					t.Errorf("%s: %v", text, err)
				}
				return
			}
			if err == nil || err.Error() != c.want {
				t.Errorf("error\n\t%v\nwant\n\t%s", err, c.want)
			}
			var warned string
			s := &convert.Source{Config: model.Config{MaxTokens: 100000}, Tokenizer: tok, Stops: from.Stop(),
				Warn: func(format string, _ ...any) { warned += format }}
			file := filepath.Join(t.TempDir(), "Modelfile")
			if err := writeModelfile(file, "deep/a model.gguf", from, s); err != nil {
				t.Fatal(err)
			}
			raw, _ := os.ReadFile(file)
			const want = "FROM ./a model.gguf\nPARAMETER stop \"<|im_end|>\"\nPARAMETER num_ctx 32768\n"
			if string(raw) != want || warned == "" {
				t.Errorf("%q, want %q, and a warning", raw, want)
			}
		})
	}
}
