package tokenizer

import (
	"sync"
	"unicode/utf8"
)

// Class bits of a code point, as classRuns has them. Added tokens that take white space
// along see space, single_word ones see word; nfc marks what Unicode normalisation may change.
const (
	space = 1 << iota
	word  // of the Rust regex crate
	nfc   // decomposes, has a combining class, or joins the one before
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
