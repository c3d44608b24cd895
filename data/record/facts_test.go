package record

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"lwtrain/chat"
	"lwtrain/internal/prose"
)

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

func TestAnAnswerThatBeginsWithItsPromptIsSuspected(t *testing.T) {
	for _, c := range []struct {
		prompt, answer string
		want           uint8
	}{
		{"Name a colour for wall 0.", " Name a colour for wall 0. Deep blue.", repeatsPrompt},
		{"Good morning", "Good morning! How are you?", 0},
		{"Name a colour for wall 0.", "A colour for wall 0 is deep blue.", 0},
	} {
		if f := examine([]chat.Message{{Role: "user", Content: c.prompt}, {Role: "assistant", Content: c.answer}}); f.Suspicions != c.want {
			t.Errorf("%q: %06b, want %06b", c.answer, f.Suspicions, c.want)
		}
	}
}

func TestTheFirstPromptWithALengthIsMeasuredByItsOwnAnswer(t *testing.T) {
	f := examine([]chat.Message{
		{Role: "system", Content: "be kind"}, {Role: "user", Content: "hello"}, {Role: "assistant", Content: "hello there"},
		{Role: "user", Content: "now 20 words"}, {Role: "assistant", Content: "one two three"},
		{Role: "user", Content: "now 500 words"}, {Role: "assistant", Content: "four"},
	})
	if f.Required != (prose.Length{Min: 20, Max: 20}) || f.Real != 3 || f.PromptWords != 2+1+2+2 || f.AnswerChars != 11+13+4 {
		t.Errorf("%+v", f)
	}
}
