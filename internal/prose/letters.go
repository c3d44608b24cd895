package prose

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
