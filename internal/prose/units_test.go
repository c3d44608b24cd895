package prose

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
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
			letters := Scan(c.text).Letters
			if got := Languages[letters.Language()]; got != c.want {
				t.Errorf("%s, want %s (%+v)", got, c.want, letters)
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
		if got := Scan(strings.Join(words, " ")).Repeated; got != want {
			t.Fatalf("%d words: %d of 10,000 repeated, want %d", n, got, want)
		}
	}
}
