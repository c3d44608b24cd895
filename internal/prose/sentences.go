package prose

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// endings close a sentence: those behind which a blank is wanted, and those of scripts without blanks.
	endings, wideEndings = ".!?…", "。！？；｡"
	// closers may follow an ending and belong to its sentence.
	closers = "\"'”’)]}»*_`」』】）》›"
)

// abbreviations are words, in small letters, whose full stop ends no sentence.
var abbreviations = map[string]bool{
	"mr": true, "mrs": true, "ms": true, "dr": true, "prof": true, "st": true, "mt": true, "sr": true, "jr": true, "vs": true,
	"no": true, "fig": true, "e.g": true, "i.e": true, "cf": true, "ca": true, "approx": true, "gen": true, "capt": true,
	"lt": true, "col": true, "rev": true,
	"vol": true, "pp": true, "ch": true, "sec": true, "ed": true, "dept": true, "inc": true, "ltd": true, "co": true,
}

// SentenceEnds are the offsets behind the sentences of a text: behind what closes each, with
// quotes and brackets that follow it, and where a paragraph ends. Time is linear.
func SentenceEnds(text string) []int {
	var ends []int
	says := false // more than blanks stands behind the last end
	add := func(at int) {
		if says {
			ends = append(ends, at)
		}
		says = false
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		says = says || !unicode.IsSpace(r)
		switch {
		case r == '\n' && strings.HasPrefix(strings.TrimLeft(text[i+1:min(len(text), i+9)], " \t\r"), "\n"):
			add(i)
		case strings.ContainsRune(endings+wideEndings, r):
			end := i + size
			for end < len(text) {
				next, n := utf8.DecodeRuneInString(text[end:])
				if !strings.ContainsRune(endings+wideEndings+closers, next) {
					break
				}
				end += n
			}
			if strings.ContainsRune(wideEndings, r) || closes(text, i, end) {
				add(end)
			}
			i = end
			continue
		}
		i += size
	}
	if rest := strings.TrimRight(text, " \t\r\n"); rest != "" {
		add(len(rest))
	}
	return ends
}

// closes reports whether the ending at i, with what belongs to it up to end, closes a sentence:
// a blank follows, and behind it no small letter; and it is no abbreviation's.
func closes(text string, i, end int) bool {
	if end == len(text) {
		return true
	}
	next, _ := utf8.DecodeRuneInString(text[end:])
	if !unicode.IsSpace(next) {
		return IsChinese(next)
	}
	after := strings.TrimLeft(text[end:min(len(text), end+16)], " \t")
	if first, _ := utf8.DecodeRuneInString(after); unicode.IsLower(first) {
		return false
	}
	if text[i] != '.' || end > i+1 {
		return true
	}
	word := text[max(0, i-12):i]
	word = strings.ToLower(word[strings.LastIndexAny(word, " \t\n(\"")+1:])
	initial := len(word) == 1 && unicode.IsLetter(rune(word[0])) && word != "i"
	return !abbreviations[word] && !initial
}

// CutAtSentence is the text up to its last sentence end with at most so many [Words]; "" where
// the first sentence has more.
func CutAtSentence(text string, words int) string {
	n, from, cut := 0, 0, 0
	for _, end := range SentenceEnds(text) {
		if n += Words(text[from:end]); n > words {
			break
		}
		from, cut = end, end
	}
	return text[:cut]
}

// DistinctSentences is the share of a text's sentences, of some words each, that did not come
// before in it; 1 of a text without any.
func DistinctSentences(text string) float64 {
	const least = 3 // words: "No." may come again
	seen := map[string]bool{}
	all, from := 0, 0
	for _, end := range SentenceEnds(text) {
		sentence := strings.ToLower(strings.Join(strings.Fields(text[from:end]), " "))
		if from = end; Words(sentence) >= least {
			all++
			seen[sentence] = true
		}
	}
	if all == 0 {
		return 1
	}
	return float64(len(seen)) / float64(all)
}
