package prose

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWhereSentencesEnd(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"full stops, marks and what closes behind them",
			`He came. "Who?" she asked. (Nobody.) Go!`, `He came.|"Who?" she asked.|(Nobody.)|Go!`},
		{"an abbreviation, an initial and a number end none",
			"Dr. A. Smith paid 3.50 pounds, e.g. for tea. Then he left.",
			"Dr. A. Smith paid 3.50 pounds, e.g. for tea.|Then he left."},
		{"a small letter goes on",
			"They built it ca. 1900 or so... and left. Gone.", "They built it ca. 1900 or so... and left.|Gone."},
		{"Chinese needs no blanks", "你好。今天天气很好！“走吗？”他问。", "你好。|今天天气很好！|“走吗？”|他问。"},
		{"a heading ends with its paragraph", "# Title\n\nText here.\n\nMore", "# Title|Text here.|More"},
		{"nothing", " \n ", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			from := 0
			for _, end := range SentenceEnds(c.text) {
				got, from = append(got, strings.TrimSpace(c.text[from:end])), end
			}
			if strings.Join(got, "|") != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestATextIsCutBehindASentence(t *testing.T) {
	const text = "One two three. Four five! Six seven eight nine."
	for words, want := range map[int]string{
		2: "", 3: "One two three.", 4: "One two three.", 5: "One two three. Four five!", 9: text, 99: text,
	} {
		if got := CutAtSentence(text, words); got != want {
			t.Errorf("at %d words: %q, want %q", words, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SampledFrom([]string{"a ", "word ", "end. ", "好。", "\n\n", "Mr. ", "x!) "})
		text := strings.Join(rapid.SliceOf(parts).Draw(t, "parts"), "")
		n := rapid.IntRange(0, 20).Draw(t, "words")
		cut := CutAtSentence(text, n)
		if !strings.HasPrefix(text, cut) || Words(cut) > n {
			t.Errorf("%q cut at %d is %q", text, n, cut)
		}
	})
}

func TestWhereALoopBegins(t *testing.T) {
	words := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString("w" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + " ")
		}
		return b.String()
	}
	for _, c := range []struct {
		name, text string
		from, to   int // where it may begin
	}{
		{"a text that goes on", words(500), -1, -1},
		{"four words at the end are no loop", words(500) + "ha ha ha ha", -1, -1},
		{"a word for ever", words(100) + strings.Repeat("again ", 60), 100, 100},
		{"a sentence for ever", words(100) + strings.Repeat("the ship went down in the night. ", 9), 100, 100},
		{"a paragraph of sixty words, four times", words(40) + strings.Repeat("the "+strings.ReplaceAll(words(59), "w", "v"), 4), 40, 40},
		{"a loop that counts", words(100) + numbered(60, "chapter %d begins with the old man who walks to the sea alone. "), 100, 140},
		{"a loop that was left again", words(50) + strings.Repeat("again and ", 40) + words(450), -1, -1},
		{"Chinese", strings.Repeat("船在夜里沉没了。", 10), 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := LoopStart(c.text); got < c.from || got > c.to {
				t.Errorf("got %d, want %d to %d", got, c.from, c.to)
			}
		})
	}
	ids := []int32{5, 6, 7, 8, 9}
	for range 40 {
		ids = append(ids, 1, 2)
	}
	if got := LoopStartIDs(ids); got != 5 {
		t.Errorf("of tokens: %d, want 5", got)
	}
}

// stories are the words of the texts that ship with lwtrain, one after the other.
func stories(t *testing.T) (words []string) {
	raw, err := os.ReadFile("../../examples/length-cap/documents.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(raw) {
		var row struct{ Messages []struct{ Content string } }
		if err := json.Unmarshal(line, &row); err != nil {
			t.Fatal(err)
		}
		words = append(words, strings.Fields(row.Messages[1].Content)...)
	}
	return words
}

func TestWhatComesAgainInAWholeTextIsNoLoop(t *testing.T) {
	all := stories(t)
	part := func(from, n int) string { return strings.Join(all[from:from+n], " ") + "\n" }
	each := func(n int, chapter func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(chapter(i))
		}
		return b.String()
	}
	for _, c := range []struct {
		name, text string
		from, to   int // where it may begin
	}{
		{"a story", part(0, 8000), -1, -1},
		{"a story whose end takes up its beginning", part(0, 3000) + part(200, 160) + part(3000, 240), -1, -1},
		{"a story that quotes all of a page above, and goes on", part(0, 1500) + part(300, 400) + part(1500, 255), -1, -1},
		{"chapters with the same head and the same task at the end of each",
			each(20, func(i int) string { return part(9000, 60) + part(215*i, 215) + part(9100, 40) }), -1, -1},
		{"a page that comes again and again", part(0, 700) + strings.Repeat(part(1000, 300), 4), 690, 1100},
		{"a page that comes again with other numbers",
			part(0, 700) + each(5, func(i int) string {
				return numbered(1, "Day %d. ") + part(1000, 140) + numbered(i, "%d ") + part(1140, 160)
			}), 690, 1300},
		{"two pages in turn", part(0, 200) + strings.Repeat(part(1000, 400)+part(2000, 400), 3), 190, 1100},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := LoopStart(c.text); got < c.from || got > c.to {
				t.Errorf("got %d, want %d to %d", got, c.from, c.to)
			}
		})
	}
}

func numbered(n int, format string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(format, "%d", strings.Repeat("i", i%50+1)))
	}
	return b.String()
}

func TestBlanksWithoutEndHoldNoSentence(t *testing.T) {
	for _, blank := range []string{"\n", "\n ", " \t\n\n"} {
		if ends := SentenceEnds(strings.Repeat(blank, 1<<20)); len(ends) != 0 {
			t.Errorf("%q: %d sentences", blank, len(ends))
		}
	}
	if got := SentenceEnds("\n\n\nOne.\n\n\nTwo" + strings.Repeat("\n", 1<<20)); len(got) != 2 {
		t.Errorf("sentences end at %v", got)
	}
}
