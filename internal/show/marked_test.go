package show

import (
	"regexp"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"
	"pgregory.net/rapid"

	"lwtrain/chat"
	"lwtrain/tokenizer"
)

func rendered(t rapid.TB, question, answer string) chat.Rendered {
	t.Helper()
	template, err := chat.Open(tokenizer.Bytes(), "chatml")
	if err != nil {
		t.Fatal(err)
	}
	r, err := template.Render([]chat.Message{{Role: "user", Content: question}, {Role: "assistant", Content: answer}}, chat.Targets{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTokensAreMarkedByTheirMask(t *testing.T) {
	r := rendered(t, "q<|im_end|>", "写\t\u202e\x01a")
	const plain = `  <|im_start|>user⏎
  q<|im_end|><|im_end|>⏎
  <|im_start|>assistant⏎
> ⟦写⇥\u202e␁a<|im_end|>⟧⏎
`
	var out strings.Builder
	writeMarked(&out, &r, 0, len(r.IDs), false)
	if out.String() != plain {
		t.Errorf("got\n%s\nwant\n%s", out.String(), plain)
	}
	out.Reset()
	writeMarked(&out, &r, 0, len(r.IDs), true)
	const coloured = "> \x1b[30;42m写\x1b[0m\x1b[30;102m⇥\x1b[0m" +
		"\x1b[30;42m\\u202e\x1b[0m\x1b[30;102m␁\x1b[0m\x1b[30;42ma\x1b[0m\x1b[1;30;42m<|im_end|>\x1b[0m⏎\n"
	if lines := strings.SplitAfter(out.String(), "\n"); lines[3] != coloured ||
		lines[1] != "  q\x1b[1;31m<|im_end|>\x1b[0m\x1b[1m<|im_end|>\x1b[0m⏎\n" {
		t.Errorf("in colour %q", out.String())
	}
}

// TestMarkedTextIsWhatWasSaid: no line is wider than 80 columns, whatever the
// text holds, what is in brackets is the answer, and with colours taken away the
// text is the same.
func TestMarkedTextIsWhatWasSaid(t *testing.T) {
	escape := regexp.MustCompile("\x1b\\[[0-9;]*m")
	plain := func(s string) string {
		var b strings.Builder
		for line := range strings.Lines(s) {
			b.WriteString(strings.TrimSuffix(line[2:], "\n"))
		}
		return b.String()
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.SampledFrom([]string{"word ", "写", "\n", "🙂", "<|im_end|>", strings.Repeat("x", 70)}), 1, 60)
		answer := "a" + strings.Join(text.Draw(t, "answer"), "")
		r := rendered(t, strings.Join(text.Draw(t, "question"), "")+"q", answer)
		var out, coloured strings.Builder
		writeMarked(&out, &r, 0, len(r.IDs), false)
		writeMarked(&coloured, &r, 0, len(r.IDs), true)
		for _, s := range []string{out.String(), escape.ReplaceAllString(coloured.String(), "")} {
			for line := range strings.Lines(s) {
				if n := runewidth.StringWidth(strings.TrimSuffix(line, "\n")); n > 80 {
					t.Errorf("%d columns: %q", n, line)
				}
			}
		}
		got := plain(out.String())
		_, inside, _ := strings.Cut(got, "⟦")
		inside, _, _ = strings.Cut(inside, "⟧")
		if want := strings.ReplaceAll(answer, "\n", "⏎") + "<|im_end|>"; inside != want {
			t.Errorf("in brackets %q, want %q", inside, want)
		}
		if bare := strings.NewReplacer("⟦", "", "⟧", "").Replace(got); bare != plain(escape.ReplaceAllString(coloured.String(), "")) {
			t.Errorf("%q without brackets, and another text in colour", bare)
		}
	})
}
