package data

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"lwtrain/chat"
)

func TestTheLanguageIsThatOfTheAnswersLetters(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"English", "The quick brown fox.", "en"},
		{"French is Latin, too", "Où est la bibliothèque ?", "en"},
		{"Chinese", "今天天气很好。", "zh"},
		{"Chinese with a name", "我们今天一起学习使用GPT模型写文章吧。", "zh"},
		{"half and half", "你好 hello 世界", "mixed"},
		{"Russian", "Привет, мир", "other"},
		{"Japanese", "これはペンです", "other"},
		{"numbers alone", "42", "other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			letters, _, _ := scan(c.text)
			if got := languages[letters.language()]; got != c.want {
				t.Errorf("%s, want %s (%+v)", got, c.want, letters)
			}
		})
	}
}

func TestAnswersAreSuspectedOfWhatTheyShow(t *testing.T) {
	long := strings.TrimSpace(strings.Repeat("some words and then ", 30))
	varied := func(n int) string {
		var b strings.Builder
		r := rand.New(rand.NewPCG(1, 1))
		for range n {
			fmt.Fprintf(&b, "w%c%c%c ", 'a'+rune(r.IntN(26)), 'a'+rune(r.IntN(26)), 'a'+rune(r.IntN(26)))
		}
		return strings.TrimSpace(b.String())
	}
	for _, c := range []struct {
		name, text string
		want       uint8
	}{
		{"nothing of a finished answer", varied(120) + ".", 0},
		{"a long one that stops in a word", varied(120), unfinished},
		{"a long one that stops at a comma", varied(120) + ",", unfinished},
		{"nothing of a short one without a full stop", "yes", 0},
		{"nothing where a quote closes behind the sentence", varied(120) + `."`, 0},
		{"nothing where Chinese punctuation closes", varied(120) + "。」", 0},
		{"nothing where code closes", varied(120) + "\n```", 0},
		{"nothing where a signature ends it", varied(120) + ".\n\nYours sincerely,\nJane Doe", 0},
		{"a refusal", "I'm sorry, but I can't help with that.", refusal},
		{"a refusal with a typographic apostrophe", "I’m sorry, but no.", refusal},
		{"a refusal in Chinese", "抱歉，我无法完成这个任务。", refusal},
		{"nothing of a character who is sorry", "She said: I'm sorry, but I must go.", 0},
		{"repetition", long + ".", repetition},
		{"repetition in Chinese", strings.Repeat("今天天气真的非常好我们去玩。", 20), repetition},
		{"nothing of a short repetition", "ha ha ha ha ha ha ha ha ha ha ha ha ha!", 0},
		{"no letters", "12 + 3 = 15", noWords},
		{"no letters at all", "...", noWords},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := examine([]chat.Message{{Role: "user", Content: "x"}, {Role: "assistant", Content: c.text}})
			if f.Suspicions != c.want {
				t.Errorf("%04b, want %04b (repeated %d)", f.Suspicions, c.want, f.Repeated)
			}
		})
	}
}

// TestRepetitionIsCountedAsAMapWouldCount compares the hash table with a map of
// the windows themselves.
func TestRepetitionIsCountedAsAMapWouldCount(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 200 {
		n := 8 + r.IntN(600)
		words := make([]string, n)
		for i := range words {
			words[i] = fmt.Sprint("w", r.IntN(2+n/100))
		}
		seen := map[string]bool{}
		again := 0
		for i := 0; i+gram <= n; i++ {
			key := strings.Join(words[i:i+gram], " ")
			if seen[key] {
				again++
			}
			seen[key] = true
		}
		want := uint16(again * 10000 / (n - gram + 1))
		if n-gram+1 < leastGrams {
			want = 0
		}
		if _, _, got := scan(strings.Join(words, " ")); got != want {
			t.Fatalf("%d words: %d of 10,000 repeated, want %d", n, got, want)
		}
	}
}

func TestEveryRefusalPhraseIsFound(t *testing.T) {
	for _, p := range refusalPhrases {
		if !refuses("  “"+strings.ToUpper(p)+" x") || p != strings.ToLower(p) {
			t.Errorf("%q is not found", p)
		}
	}
}

func TestTheFirstPromptWithALengthIsMeasuredByItsOwnAnswer(t *testing.T) {
	f := examine([]chat.Message{
		{Role: "system", Content: "be kind"}, {Role: "user", Content: "hello"}, {Role: "assistant", Content: "hello there"},
		{Role: "user", Content: "now 20 words"}, {Role: "assistant", Content: "one two three"},
		{Role: "user", Content: "now 500 words"}, {Role: "assistant", Content: "four"},
	})
	if f.Required != (Length{20, 20}) || f.Real != 3 || f.PromptWords != 2+1+2+2 || f.AnswerChars != 11+13+4 {
		t.Errorf("%+v", f)
	}
}
