package tokenizer

import (
	"sync"
	"unicode/utf8"
)

// Class bits of a code point, as classRuns has them. The regular expressions
// of split patterns see letter, number and space; the Digits pre-tokenizer
// sees numeric (a newer Unicode version of number); single_word tokens see
// word; nfc marks what Unicode normalisation may change.
const (
	letter  = 1 << iota // \p{L}
	number              // \p{N}
	space               // \s
	numeric             // Rust's char::is_numeric
	word                // \w
	nfc                 // decomposes, has a combining class, or joins the one before
)

// classTable holds the classes of all code points in pages of 256, most of
// which are equal and stored once.
type classTable struct {
	ascii [utf8.RuneSelf]uint8
	index [(utf8.MaxRune + 1) >> 8]uint8
	pages [][256]uint8
}

// classes builds the table once; a Tokenizer holds the pointer, so that
// scanning does not pay for the check.
var classes = sync.OnceValue(func() *classTable {
	t := new(classTable)
	seen := make(map[[256]uint8]uint8)
	run := 0
	for p := range t.index {
		var page [256]uint8
		for i := range page {
			c := uint32(p<<8 | i)
			for run+1 < len(classRuns) && classRuns[run+1]>>8 <= c {
				run++
			}
			page[i] = uint8(classRuns[run])
		}
		n, ok := seen[page]
		if !ok {
			n = uint8(len(t.pages))
			seen[page] = n
			t.pages = append(t.pages, page)
		}
		t.index[p] = n
	}
	copy(t.ascii[:], t.pages[t.index[0]][:])
	return t
})

func (t *classTable) of(r rune) uint8 { return t.pages[t.index[r>>8]][r&0xff] }

// at returns the class and the length of the code point at s[i].
func (t *classTable) at(s string, i int) (class uint8, size int) {
	if b := s[i]; b < utf8.RuneSelf {
		return t.ascii[b], 1
	}
	r, size := utf8.DecodeRuneInString(s[i:])
	return t.of(r), size
}

// skip returns the end of the run that starts at i of code points whose class,
// under mask, is want.
func (t *classTable) skip(s string, i int, mask, want uint8) int {
	for i < len(s) {
		class, size := t.at(s, i)
		if class&mask != want {
			break
		}
		i += size
	}
	return i
}

// A scanner returns the end of the piece of s that starts at i < len(s). The
// text is valid UTF-8 and the end is always behind i.
type scanner func(t *classTable, s string, i int) int

// stage is one splitting step of a pre-tokenizer: the pieces of a stage are
// split again by the next one, each on its own.
type stage struct {
	name string // goes into the fingerprint
	next scanner
}

// The split patterns that have a scanner, as tokenizer.json writes them.
// Each scanner does what Oniguruma does with its pattern, as a backtracking
// engine would find it: alternatives in order, first match wins.
const (
	patternGPT2    = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	patternCL100K  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	patternQwen    = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	nameDigits     = "digits"
	nameDigitRuns  = "digit runs"
	notSpaceLetNum = letter | number | space
)

var splitPatterns = map[string]scanner{
	patternGPT2:   scanGPT2,
	patternCL100K: func(t *classTable, s string, i int) int { return scanCL100K(t, s, i, 3) },
	patternQwen:   func(t *classTable, s string, i int) int { return scanCL100K(t, s, i, 1) },
}

// scanDigits is Digits with individual_digits: each numeric code point is a
// piece, and so is what lies between them.
func scanDigits(t *classTable, s string, i int) int {
	class, size := t.at(s, i)
	if class&numeric != 0 {
		return i + size
	}
	return t.skip(s, i+size, numeric, 0)
}

// scanDigitRuns is Digits without individual_digits.
func scanDigitRuns(t *classTable, s string, i int) int {
	class, size := t.at(s, i)
	return t.skip(s, i+size, numeric, class&numeric)
}

// scanGPT2 is patternGPT2.
func scanGPT2(t *classTable, s string, i int) int {
	class, size := t.at(s, i)
	if s[i] == '\'' {
		if n := contraction(s[i+1:], false); n > 0 {
			return i + 1 + n
		}
	}
	start := i
	if s[i] == ' ' && i+1 < len(s) {
		if c, n := t.at(s, i+1); c&space == 0 {
			class, size, start = c, n, i+1
		}
	}
	switch {
	case class&letter != 0:
		return t.skip(s, start+size, letter, letter)
	case class&number != 0:
		return t.skip(s, start+size, number, number)
	case class&space == 0:
		return t.skip(s, start+size, notSpaceLetNum, 0)
	}
	return spaces(s, i, t.skip(s, i+size, space, space))
}

// scanCL100K is patternCL100K (maxDigits 3) and patternQwen (maxDigits 1).
func scanCL100K(t *classTable, s string, i, maxDigits int) int {
	class, size := t.at(s, i)
	if class&letter != 0 {
		return t.skip(s, i+size, letter, letter)
	}
	if class&number != 0 {
		for i, maxDigits = i+size, maxDigits-1; maxDigits > 0 && i < len(s); maxDigits-- {
			if class, size = t.at(s, i); class&number == 0 {
				break
			}
			i += size
		}
		return i
	}
	if s[i] == '\'' {
		if n := contraction(s[i+1:], true); n > 0 {
			return i + 1 + n
		}
	}
	var after uint8 = space // class behind the first code point; the end counts as space
	afterSize := 0
	if i+size < len(s) {
		after, afterSize = t.at(s, i+size)
	}
	if after&letter != 0 && s[i] != '\r' && s[i] != '\n' {
		return t.skip(s, i+size+afterSize, letter, letter)
	}
	if class&space == 0 || s[i] == ' ' && after&notSpaceLetNum == 0 {
		i = t.skip(s, i+size, notSpaceLetNum, 0)
		for i < len(s) && (s[i] == '\r' || s[i] == '\n') {
			i++
		}
		return i
	}
	end := t.skip(s, i+size, space, space)
	for j := end; j > i; j-- { // \s*[\r\n]+ ends behind the run's last newline
		if s[j-1] == '\r' || s[j-1] == '\n' {
			return j
		}
	}
	return spaces(s, i, end)
}

// spaces is \s+(?!\S)|\s+ on the run s[i:end]: all of it at the end of the
// text, else all but the last code point, unless it is the only one.
func spaces(s string, i, end int) int {
	if end == len(s) {
		return end
	}
	if _, size := utf8.DecodeLastRuneInString(s[i:end]); end-size > i {
		return end - size
	}
	return end
}

// contraction returns the length of the s, t, re, ve, m, ll or d that s starts
// with, 0 if there is none. Folding case, U+017F (long s) is an s.
func contraction(s string, fold bool) int {
	if s == "" {
		return 0
	}
	var low byte
	if fold {
		low = 'a' - 'A'
		if len(s) >= 2 && s[:2] == "\u017f" {
			return 2
		}
	}
	switch s[0] | low {
	case 's', 't', 'm', 'd':
		return 1
	case 'r', 'v':
		if len(s) >= 2 && s[1]|low == 'e' {
			return 2
		}
	case 'l':
		if len(s) >= 2 && s[1]|low == 'l' {
			return 2
		}
	}
	return 0
}
