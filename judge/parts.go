package judge

import (
	"strings"
	"unicode/utf8"

	"lwtrain/internal/prose"
)

const partWords = 1500 // of a text that is rated in parts, about

// size is how many words a text has, about, in any language.
func size(text string) int {
	const letters = 8 // to a word, with what is between them
	return max(prose.Words(text), (utf8.RuneCountInString(text)+letters-1)/letters)
}

// partsOf takes a text of more than most words apart, at the ends of paragraphs, and of
// sentences where a paragraph is too long. Together the parts are the text.
func partsOf(text string, most int) []string {
	if most <= 0 || size(text) <= most {
		return []string{text}
	}
	limit := min(most, partWords)
	var parts []string
	var part strings.Builder
	words := 0
	for paragraph := range strings.SplitAfterSeq(text, "\n") {
		for _, piece := range pieces(paragraph, limit) {
			n := size(piece)
			if words > 0 && words+n > limit {
				parts = append(parts, part.String())
				part.Reset()
				words = 0
			}
			part.WriteString(piece)
			words += n
		}
	}
	return append(parts, part.String())
}

// pieces are a paragraph, or its sentences where it has more than limit words, or where one of
// these has, as many letters at a time.
func pieces(paragraph string, limit int) []string {
	if size(paragraph) <= limit {
		return []string{paragraph}
	}
	var all []string
	from := 0
	for _, end := range append(prose.SentenceEnds(paragraph), len(paragraph)) {
		sentence := paragraph[from:end]
		from = end
		if size(sentence) <= limit {
			all = append(all, sentence)
			continue
		}
		begins, letters := 0, 0
		for i := range sentence {
			if letters++; letters > limit {
				all = append(all, sentence[begins:i])
				begins, letters = i, 1
			}
		}
		all = append(all, sentence[begins:])
	}
	return all
}
