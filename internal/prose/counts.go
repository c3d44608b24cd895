package prose

import (
	"unicode"
	"unicode/utf8"
)

// LIFEBenchWords counts a text as LIFEBench does (arXiv:2505.16234, exp/cache.py): Chinese characters, U+4E00
// to U+9FFF, plus the matches of Python's \b[a-zA-Z0-9'-]+\b, whose \b is Unicode-aware: "don't" and
// "state-of-the-art" are a word each, and "naïve" is none.
func LIFEBenchWords(text string) int {
	n, edges, before, inRun := 0, 0, false, false
	// A run of these characters holds a match, and one alone, where two of the places in it and at its
	// ends lie between a \w and what is none: the match goes from the first to the last.
	at := func(word, run bool) {
		if (inRun || run) && word != before {
			edges++
		}
		if inRun && !run {
			if edges > 1 {
				n++
			}
			edges = 0
		}
		if !inRun && !run {
			edges = 0
		}
		before, inRun = word, run
	}
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
		}
		i += size
		chinese := IsChinese(r)
		if chinese {
			n++
		}
		word := chinese || IsWord(r)
		at(word, r == '\'' || r == '-' || word && r != '_' && r < utf8.RuneSelf)
	}
	at(false, false)
	return n
}

// LonGenWords counts a text as LonGen does (arXiv:2410.23933, eval/length_following_eval.py): characters and
// punctuation of Chinese and full-width forms (U+4E00 to U+9FFF, U+3000 to U+303F, U+FF00 to U+FFEF), each by
// itself, plus what lies between them and blanks.
func LonGenWords(text string) int {
	return blankWords(text, func(r rune) bool {
		return IsChinese(r) || 0x3000 <= r && r <= 0x303F || 0xFF00 <= r && r <= 0xFFEF
	})
}

// BlankWords counts what lies between blanks, as Python's str.split has it: LongGenBench's count
// (arXiv:2409.02076, Evalution/inference.py).
func BlankWords(text string) int { return blankWords(text, func(rune) bool { return false }) }

// blankWords counts what lies between blanks, and characters that are a word each.
func blankWords(text string, alone func(rune) bool) int {
	n, inWord := 0, false
	for _, r := range text {
		switch {
		case r > ' ' && r < 0x7F:
			if !inWord {
				n++
			}
			inWord = true
		case alone(r):
			n++
			inWord = false
		case IsBlank(r):
			inWord = false
		default:
			if !inWord {
				n++
			}
			inWord = true
		}
	}
	return n
}

// IsBlank is Python's str.isspace, which knows four separators more than Unicode's White_Space.
func IsBlank(r rune) bool { return unicode.IsSpace(r) || 0x1C <= r && r <= 0x1F }
