package record

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/chat"
	"lwtrain/tokenizer"
)

// TestIntegersAbove2To53StayWhatTheyAre, all the way to the tokens: a call's
// arguments are not read into floating point. Those of more than 64 bits are
// refused where a template computes with them.
func TestIntegersAbove2To53StayWhatTheyAre(t *testing.T) {
	const writes = `{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content }}{% for c in m.tool_calls or [] %}{{ ` +
		`c.function.name }} {{ c.function.arguments | tojson }}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}{% if ` +
		`add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`
	path := filepath.Join(t.TempDir(), "t.jinja")
	if err := os.WriteFile(path, []byte(writes), 0o644); err != nil {
		t.Fatal(err)
	}
	const numbers = `{"a": 9007199254740993, "b": -9223372036854775808, "c": 9223372036854775807, "d": 1.0}`
	record := `{"id": 18446744073709551617, "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "", ` +
		`"tool_calls": [{"type": "function", "function": {"name": "f", "arguments": ` + numbers + `}}]}]}`
	r, _, err := Render(template(t, path), []byte(record))
	if err != nil {
		t.Fatal(err)
	}
	if text := tokenizer.Bytes().Decode(r.IDs, false); !strings.Contains(text, "f "+numbers+"<|im_end|>") {
		t.Errorf("rendered %q, want %s", text, numbers)
	}
	large := strings.Replace(record, "9007199254740993", "123456789012345678901234567890", 1)
	if _, _, err := Render(template(t, path), []byte(large)); err == nil ||
		!strings.Contains(err.Error(), "123456789012345678901234567890 is not an integer of 64 bits") {
		t.Errorf("an integer of 97 bits: %v", err)
	}
}

func template(t testing.TB, name string) *chat.Template {
	t.Helper()
	c, err := chat.Open(tokenizer.Bytes(), name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
