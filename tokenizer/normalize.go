package tokenizer

import (
	"slices"
	"sort"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// edit says that the bytes [newStart, newEnd) of a changed text stand for the
// bytes [oldStart, oldEnd) of the text before.
type edit struct{ newStart, newEnd, oldStart, oldEnd int32 }

// edits are the changes of a text in order; between them the texts are equal.
type edits []edit

// origin returns the range of the text before that [start, end) of the changed
// one came from. A range that touches an edit covers all of it.
func (e edits) origin(start, end int32) (int32, int32) {
	i := sort.Search(len(e), func(i int) bool { return e[i].newEnd > start })
	switch {
	case i < len(e) && e[i].newStart <= start:
		start = e[i].oldStart
	case i > 0:
		start += e[i-1].oldEnd - e[i-1].newEnd
	}
	i = sort.Search(len(e), func(i int) bool { return e[i].newEnd >= end })
	switch {
	case i < len(e) && e[i].newStart < end:
		end = e[i].oldEnd
	case i > 0:
		end += e[i-1].oldEnd - e[i-1].newEnd
	}
	return start, max(start, end)
}

// sequence returns how many bytes at the start of s are a prefix of a valid
// UTF-8 sequence, and whether they are all of it. s is not empty; a byte that
// starts no sequence counts as 1. What is not whole is a "maximal subpart"
// (Unicode Standard, section 3.9): one U+FFFD stands for it, in Python's
// errors="replace" as in Rust's from_utf8_lossy.
func sequence(s string) (n int, whole bool) {
	lo, hi, want := byte(0x80), byte(0xBF), 0
	switch b := s[0]; {
	case b < 0x80:
		return 1, true
	case b < 0xC2 || b > 0xF4:
		return 1, false
	case b < 0xE0:
		want = 2
	case b < 0xF0:
		want = 3
		if b == 0xE0 {
			lo = 0xA0
		} else if b == 0xED {
			hi = 0x9F
		}
	default:
		want = 4
		if b == 0xF0 {
			lo = 0x90
		} else if b == 0xF4 {
			hi = 0x8F
		}
	}
	for n = 1; n < want; n++ {
		if n == len(s) || s[n] < lo || s[n] > hi {
			return n, false
		}
		lo, hi = 0x80, 0xBF
	}
	return n, true
}

// repair replaces each maximal broken part of UTF-8 by U+FFFD. Where it says what it
// changed, that takes 16 bytes for each.
func repair(s string, say bool) (string, edits) {
	if utf8.ValidString(s) {
		return s, nil
	}
	var out strings.Builder
	var changes edits
	for i := 0; i < len(s); {
		n, whole := sequence(s[i:])
		if whole {
			out.WriteString(s[i : i+n])
		} else {
			at := out.Len()
			out.WriteRune(utf8.RuneError)
			if say {
				changes = append(changes, edit{int32(at), int32(out.Len()), int32(i), int32(i + n)})
			}
		}
		i += n
	}
	return out.String(), changes
}

// Hangul syllables compose by arithmetic (Unicode Standard, section 3.12).
const (
	hangulS, hangulL, hangulV, hangulT = 0xAC00, 0x1100, 0x1161, 0x11A7
	hangulLs, hangulVs, hangulTs       = 19, 21, 28
)

// Bits of composer.info above the combining class.
const (
	unstable = 1 << (8 + iota) // NFC changes the code point, or may join it to the one before
	decomposes
)

// composer is Unicode normalisation form C as the tokenizers library has it:
// code points that its Unicode version does not know stay as they are and part
// their neighbours, and no run of marks is too long (golang.org/x/text would
// put a U+034F into runs of more than 30). Values come from x/text: a code
// point's decomposition and class never change once it is assigned.
type composer struct {
	info  map[rune]uint16 // combining class and bits; 0 for most
	parts map[rune][]rune // full canonical decompositions
	pairs map[[2]rune]rune
	known *classTable
}

// newComposer takes about 10 ms and is needed by tokenizers with NFC only.
var newComposer = sync.OnceValue(func() *composer {
	c := &composer{
		info:  make(map[rune]uint16),
		parts: make(map[rune][]rune),
		pairs: make(map[[2]rune]rune),
		known: classes(),
	}
	for i, run := range classRuns {
		if run&nfc == 0 {
			continue
		}
		for r := rune(run >> 8); r < rune(classRuns[i+1]>>8); r++ {
			if hangulS <= r && r < hangulS+hangulLs*hangulVs*hangulTs {
				continue // by arithmetic
			}
			p := norm.NFD.PropertiesString(string(r))
			info := uint16(p.CCC())
			if d := []rune(string(p.Decomposition())); len(d) > 0 {
				c.parts[r] = d
				info |= decomposes
				if norm.NFC.String(string(r)) != string(r) {
					info |= unstable
				} else {
					last := len(d) - 1
					first, _ := utf8.DecodeRuneInString(norm.NFC.String(string(d[:last])))
					c.pairs[[2]rune{first, d[last]}] = r
				}
			}
			c.info[r] = info
		}
	}
	for pair := range c.pairs {
		c.info[pair[1]] |= unstable
	}
	for r := rune(hangulV); r < hangulV+hangulVs; r++ {
		c.info[r] |= unstable
	}
	for r := rune(hangulT + 1); r < hangulT+hangulTs; r++ {
		c.info[r] |= unstable
	}
	return c
})

// next returns the code point at s[i], its length and its info.
func (c *composer) next(s string, i int) (r rune, size int, info uint16) {
	r, size = utf8.DecodeRuneInString(s[i:])
	if c.known.of(r)&nfc == 0 || hangulS <= r && r < hangulS+hangulLs*hangulVs*hangulTs {
		return r, size, 0
	}
	return r, size, c.info[r]
}

// class is the combining class in a code point's info.
func class(info uint16) uint8 { return uint8(info) }

// normalize returns s in form C and, where it is to say so, what it changed, which
// takes 16 bytes for each change. Text that is in form C already is returned as it is:
// the quick check of Unicode Annex 15, section 9.
func (c *composer) normalize(s string, say bool) (string, edits) {
	var out strings.Builder
	var changes edits
	var scratch []rune
	copied := 0 // s[:copied] is in out
	base := 0   // the last code point that what follows could change
	last := uint8(0)
	for i := 0; i < len(s); {
		if s[i] < 0xCC { // below U+0300: always in form C, and a boundary
			base, last = i, 0
			i++
			if s[i-1] >= utf8.RuneSelf {
				i++
			}
			continue
		}
		_, size, info := c.next(s, i)
		ccc := class(info)
		if info&unstable == 0 && (ccc == 0 || ccc >= last) {
			if ccc == 0 {
				base = i
			}
			last = ccc
			i += size
			continue
		}
		end := c.boundary(s, i)
		scratch = c.compose(c.decompose(scratch[:0], s[base:end]))
		if composed := string(scratch); composed != s[base:end] {
			out.WriteString(s[copied:base])
			at := out.Len()
			out.WriteString(composed)
			if say {
				changes = append(changes, edit{int32(at), int32(out.Len()), int32(base), int32(end)})
			}
			copied = end
		}
		i, base, last = end, end, 0
	}
	if copied == 0 {
		return s, nil
	}
	out.WriteString(s[copied:])
	return out.String(), changes
}

// boundary returns the first place at or behind i where what lies before
// cannot change what lies behind.
func (c *composer) boundary(s string, i int) int {
	for i < len(s) {
		_, size, info := c.next(s, i)
		if info&unstable == 0 && class(info) == 0 {
			break
		}
		i += size
	}
	return i
}

// decompose appends the canonical decomposition of s in canonical order.
func (c *composer) decompose(dst []rune, s string) []rune {
	for i := 0; i < len(s); {
		r, size, info := c.next(s, i)
		i += size
		switch n := r - hangulS; {
		case 0 <= n && n < hangulLs*hangulVs*hangulTs:
			dst = append(dst, hangulL+n/(hangulVs*hangulTs), hangulV+n/hangulTs%hangulVs)
			if n%hangulTs != 0 {
				dst = append(dst, hangulT+n%hangulTs)
			}
		case info&decomposes != 0:
			dst = append(dst, c.parts[r]...)
		default:
			dst = append(dst, r)
		}
	}
	for i := 0; i < len(dst); {
		j := i
		for j < len(dst) && class(c.info[dst[j]]) != 0 {
			j++
		}
		if j-i > 1 {
			c.sortByClass(dst[i:j])
		}
		i = max(j, i+1)
	}
	return dst
}

// sortByClass brings marks into the order of their classes, equal ones as they are. It
// counts them, for a run of marks can be as long as a text.
func (c *composer) sortByClass(marks []rune) {
	var ends [256]int
	for _, r := range marks {
		ends[class(c.info[r])]++
	}
	for i := 1; i < len(ends); i++ {
		ends[i] += ends[i-1]
	}
	for _, r := range slices.Backward(slices.Clone(marks)) {
		at := &ends[class(c.info[r])]
		*at--
		marks[*at] = r
	}
}

// compose joins, in place, each starter with the following code points that
// are not blocked from it (Unicode Standard, definition D117).
func (c *composer) compose(d []rune) []rune {
	n, starter, last := 0, -1, uint8(0)
	for _, r := range d {
		ccc := class(c.info[r])
		if starter >= 0 && (starter == n-1 || last < ccc) {
			if joined, ok := c.pair(d[starter], r); ok {
				d[starter] = joined
				continue
			}
		}
		if ccc == 0 {
			starter = n
		}
		last = ccc
		d[n] = r
		n++
	}
	return d[:n]
}

// pair returns the primary composite of two code points.
func (c *composer) pair(a, b rune) (rune, bool) {
	if l, v := a-hangulL, b-hangulV; 0 <= l && l < hangulLs && 0 <= v && v < hangulVs {
		return hangulS + (l*hangulVs+v)*hangulTs, true
	}
	if s, t := a-hangulS, b-hangulT; 0 <= s && s < hangulLs*hangulVs*hangulTs && s%hangulTs == 0 && 0 < t && t < hangulTs {
		return a + t, true
	}
	r, ok := c.pairs[[2]rune{a, b}]
	return r, ok
}
