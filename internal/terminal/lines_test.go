package terminal

import (
	"strings"
	"testing"
)

func TestLinesHaveAtMost80Columns(t *testing.T) {
	long := strings.TrimSpace(strings.Repeat("some words of it ", 12))
	path := strings.Repeat("/folder", 15)
	for _, c := range []struct{ name, label, text, want string }{
		{"one that fits stays as it is", "S_l", "0-499   12   50.0", "S_l       0-499   12   50.0\n"},
		{"80 columns fit", "", strings.Repeat("x", 70), strings.Repeat(" ", 10) + strings.Repeat("x", 70) + "\n"},
		{"a path is not cut", "output", path, "output    " + path + "\n"},
		{"what controls the terminal is kept from it", "", "a\x1b[1m", strings.Repeat(" ", 10) + "a?[1m\n"},
		{"words of two columns", "", strings.TrimSpace(strings.Repeat("船 ", 30)),
			strings.Repeat(" ", 10) + strings.TrimSpace(strings.Repeat("船 ", 23)) + "\n" + strings.Repeat(" ", 10) +
				strings.TrimSpace(strings.Repeat("船 ", 7)) + "\n"},
	} {
		var b strings.Builder
		Summary(&b)(c.label, "%s", c.text)
		if b.String() != c.want {
			t.Errorf("%s: %q, want %q", c.name, b.String(), c.want)
		}
	}
	var b strings.Builder
	Summary(&b)("judge", "%s", long)
	hang(&b, "lwtrain: warning:", 3, long)
	for line := range strings.Lines(b.String()) {
		if n := len(strings.TrimSuffix(line, "\n")); n > 80 || n < 10 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	if got := strings.Fields(b.String()); strings.Join(got, " ") != "judge "+long+" lwtrain: warning: "+long {
		t.Errorf("got %q", got)
	}
	b.Reset()
	if Paragraph(&b, "lwtrain: warning:", long); b.String() != "lwtrain: warning: "+long+"\n" {
		t.Errorf("not on a terminal: %q", b.String())
	}
	b.Reset()
	if Fitting(&b)("data", "%s", long); b.String() != "data      "+long+"\n" {
		t.Errorf("not on a terminal: %q", b.String())
	}
}

func TestWordsOfAShell(t *testing.T) {
	for word, want := range map[string]string{
		"runs/a-1": "runs/a-1", "rün": "rün", "": "''", "my run": "'my run'", "$(rm x)": "'$(rm x)'", "it's": `'it'\''s'`, "a\nb": "'a\nb'",
	} {
		if got := ShellWord(word); got != want {
			t.Errorf("%q: got %s, want %s", word, got, want)
		}
	}
}

func TestTwoTextsBesideEachOther(t *testing.T) {
	left := "one two three four five six seven eight nine ten eleven\n\nend \x1b[31m"
	got := Beside(left, strings.Repeat("字", 50)+" and more")
	want := `one two three four five six seven       | 字字字字字字字字字字字字字字字字字字字
eight nine ten eleven                   | 字字字字字字字字字字字字字字字字字字字
                                        | 字字字字字字字字字字字字 and more
end ?[31m                               |
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := Beside("", ""); got != "" {
		t.Errorf("%q of nothing", got)
	}
}
