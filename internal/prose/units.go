package prose

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// Repetition is counted over windows of units.
const (
	gram       = 8  // units in a window
	leastGrams = 64 // below, repetition says nothing
)

// Shape is what one pass over a text finds.
type Shape struct {
	Letters  Letters
	Units    int
	Repeated uint16 // of 10,000 windows of eight units, those that came before in the text
}

// memory is what a pass needs, and the next one again.
type memory struct{ units, seen []uint64 }

var memoryPool = sync.Pool{New: func() any { return &memory{} }}

// Scan counts the letters of a text, its units (every run of letters and digits, and
// every character of a script without blanks), and how much of it is repeated.
func Scan(text string) Shape {
	m := memoryPool.Get().(*memory)
	defer memoryPool.Put(m)
	var letters Letters
	m.units, letters = appendUnits(m.units[:0], text)
	return Shape{letters, len(m.units), repeated(m.units, &m.seen)}
}

// Repeated is the share of a text's windows of eight units that came before in it:
// 0 for a text that goes on, near 1 for one that is caught in a loop.
func Repeated(text string) float64 { return Scan(text).RepeatedShare() }

// RepeatedShare is [Repeated] of the text.
func (s Shape) RepeatedShare() float64 { return float64(s.Repeated) / 10000 }

// appendUnits appends a hash of each unit of a text, in any case the same, and counts
// its letters.
func appendUnits(units []uint64, text string) ([]uint64, Letters) {
	const prime = 1099511628211 // FNV's
	var letters Letters
	word, inWord := uint64(0), false
	end := func() {
		if inWord {
			units = append(units, word)
			word, inWord = 0, false
		}
	}
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
		}
		i += size
		switch {
		case 'a' <= r|0x20 && r|0x20 <= 'z' && r < utf8.RuneSelf:
			letters.Latin++
			word, inWord = (word^uint64(r|0x20))*prime, true
		case '0' <= r && r <= '9':
			word, inWord = (word^uint64(r))*prime, true
		case IsChinese(r):
			letters.Chinese++
			end()
			units = append(units, uint64(r)*prime)
		case r < utf8.RuneSelf || !unicode.IsLetter(r):
			end()
		default:
			if unicode.Is(unicode.Latin, r) {
				letters.Latin++
			} else {
				letters.Other++
			}
			if 0x3040 <= r && r <= 0x30FF || unicode.Is(unicode.Thai, r) {
				end()
				units = append(units, uint64(r)*prime)
			} else {
				word, inWord = (word^uint64(r))*prime, true
			}
		}
	}
	end()
	return units, letters
}

const hashBase = 0x9E3779B97F4A7C15

// oldest is hashBase^(gram-1), the factor of a window's first unit.
var oldest = func() uint64 {
	power := uint64(1)
	for range gram - 1 {
		power *= hashBase
	}
	return power
}()

// repeated counts of 10,000 windows of units those that came before. seen is an
// open hash table, which is kept for the next text.
func repeated(units []uint64, seen *[]uint64) uint16 {
	n := len(units) - gram + 1
	if n < leastGrams {
		return 0
	}
	size := 1
	for size < 2*n {
		size *= 2
	}
	if cap(*seen) < size {
		*seen = make([]uint64, size)
	}
	table := (*seen)[:size]
	clear(table)
	// A polynomial of a window's units, so that the next window's follows from it.
	again, sum := 0, uint64(0)
	for _, u := range units[:gram-1] {
		sum = (sum + u) * hashBase
	}
	for i, u := range units[gram-1:] {
		sum += u
		h := sum
		sum = (sum - units[i]*oldest) * hashBase
		h ^= h >> 32
		h *= hashBase
		h ^= h >> 29
		h |= 1 // 0 is an empty place
		at := int(h>>1) & (size - 1)
		for table[at] != 0 && table[at] != h {
			at = (at + 1) & (size - 1)
		}
		if table[at] == h {
			again++
		}
		table[at] = h
	}
	return uint16(again * 10000 / n)
}
