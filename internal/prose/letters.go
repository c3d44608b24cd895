package prose

import (
	"slices"
	"strings"
)

// Letters counts the letters of a text by script.
type Letters struct{ Chinese, Latin, Other int }

// Add adds those of another text.
func (l *Letters) Add(o Letters) {
	l.Chinese, l.Latin, l.Other = l.Chinese+o.Chinese, l.Latin+o.Latin, l.Other+o.Other
}

// All is how many there are.
func (l Letters) All() int { return l.Chinese + l.Latin + l.Other }

// Language is what the letters of a text say of its language.
type Language uint8

// The languages that are told apart: Chinese has at least 70 % Chinese characters,
// English at least 90 % Latin letters (French is English, too), Mixed is made of
// those two, Other has more than 30 % of another script, or no letters.
const (
	English Language = iota
	Chinese
	Mixed
	Other
)

// Languages are their names.
var Languages = []string{"en", "zh", "mixed", "other"}

// Language is the language of a text with these letters.
func (l Letters) Language() Language {
	share := func(n int) float64 { return float64(n) / float64(l.All()) }
	switch {
	case l.All() == 0 || share(l.Other) > 0.3:
		return Other
	case share(l.Chinese) >= 0.7:
		return Chinese
	case share(l.Latin) >= 0.9:
		return English
	}
	return Mixed
}

// asksEnglish and asksChinese say, in small letters, which language an answer is to be in.
var (
	asksEnglish = []string{"用英文", "用英语", "in english", "英文回答"}
	asksChinese = []string{"用中文", "in chinese", "中文回答"}
)

// AskedLanguage is the language that an answer to a prompt is to have: what it says, or else
// its own.
func AskedLanguage(prompt string) Language {
	low := strings.ToLower(prompt)
	says := func(phrase string) bool { return strings.Contains(low, phrase) }
	switch {
	case slices.ContainsFunc(asksEnglish, says):
		return English
	case slices.ContainsFunc(asksChinese, says):
		return Chinese
	}
	return Scan(prompt).Letters.Language()
}

// Beginning is the first so many characters of a text, with dots where it goes on.
func Beginning(text string, most int) string {
	n := 0
	for i := range text {
		if n == most {
			return text[:i] + "..."
		}
		n++
	}
	return text
}
