// Package prose measures texts: words, letters and repetition, the length that
// a prompt asks for, and how well an answer meets it.
//
// What a word is has two definitions. [Words] is LongWriter's, and every number
// of words that is shown, filtered by or scored is of it. A unit ([Scan]) is what
// repetition and likeness of texts are counted in, and no number of words.
package prose

import (
	"unicode"
	"unicode/utf8"
)

// Words counts a text as LongWriter does (evaluation/eval_length.py): Chinese
// characters, U+4E00 to U+9FFF, plus English words, which are the matches of
// Python's \b[a-zA-Z]+\b. Python's \b is Unicode-aware: a run of ASCII letters
// that touches another letter, digit or underscore is no word, so "naïve" counts
// 0 and "中文GPT模型" counts 4.
func Words(text string) int {
	n := 0
	before, run := false, 0 // a \w stands before the run of ASCII letters
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
		}
		i += size
		if 'a' <= r|0x20 && r|0x20 <= 'z' && r < utf8.RuneSelf {
			run++
			continue
		}
		chinese := IsChinese(r)
		word := chinese || IsWord(r) // of most, without a look at Unicode's tables
		if run > 0 && !before && !word {
			n++
		}
		if chinese {
			n++
		}
		// Letters that follow a \w directly belong to no English word.
		before, run = word, 0
	}
	if run > 0 && !before {
		n++
	}
	return n
}

// IsChinese reports whether r is what LongWriter takes for a Chinese character.
func IsChinese(r rune) bool { return 0x4E00 <= r && r <= 0x9FFF }

// IsWord is Python's \w.
func IsWord(r rune) bool {
	if r < utf8.RuneSelf {
		return '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z' || r == '_'
	}
	return unicode.IsLetter(r) || unicode.IsNumber(r)
}
