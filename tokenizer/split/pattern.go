// Package split cuts texts into words by the patterns of tokenizer.json: regular expressions of which a match is found at
// the leftmost place, and there the one that a backtracking matcher comes to first, as Oniguruma does it.
//
// Call [Compile] once for a pattern, then [Pattern.Scan] for each text. A pattern becomes an automaton that reads each
// code point once: its states are what the matcher could still try, in the order in which it would, so that what it finds
// is the same. It looks one code point ahead, which decides assertions and possessive quantifiers. Time is linear in the
// text for every pattern that is taken, and what could not be reproduced exactly is refused with its place.
package split

import (
	"fmt"
	"unicode/utf8"
)

// matchBit of a move says that a match ends before the code point that the move is made by.
const matchBit = 1

// Pattern finds words. It is safe for concurrent use.
type Pattern struct {
	moves []uint16 // by state<<shift | class: the next state<<shift, and matchBit. State 0 is dead, 1 the first
	shift uint
	end   uint16 // the class of the text's end

	ascii [256]uint8 // classes of bytes below 0x80
	index [(utf8.MaxRune + 1) >> 8]uint16
	pages [][256]uint8
}

// Compile makes a pattern of a regular expression in Oniguruma's syntax. The error says which part of it is not known.
func Compile(expression string) (*Pattern, error) {
	n, err := parse(expression)
	if err != nil {
		return nil, err
	}
	return build(n)
}

// Digits is the pattern of the numbers of every script, one by one or runs of them.
func Digits(each bool) *Pattern {
	n := &node{op: opSet, set: numeric()}
	if !each {
		n = &node{op: opRepeat, subs: []*node{n}, min: 1, max: -1}
	}
	p, err := build(n)
	if err != nil {
		panic(fmt.Sprintf("split: %v", err))
	}
	return p
}

// fillClasses makes the tables of classes from ranges, given by their starts.
func (p *Pattern) fillClasses(starts []rune, class []uint8) {
	seen := map[[256]uint8]uint16{}
	at := 0
	for page := range p.index {
		var of [256]uint8
		for i := range of {
			r := rune(page<<8 | i)
			for at+1 < len(starts) && starts[at+1] <= r {
				at++
			}
			of[i] = class[at]
		}
		n, ok := seen[of]
		if !ok {
			n = uint16(len(p.pages))
			seen[of] = n
			p.pages = append(p.pages, of)
		}
		p.index[page] = n
	}
	copy(p.ascii[:utf8.RuneSelf], p.pages[p.index[0]][:])
}

// wide is the class and the length of the code point at s[i], which is beyond ASCII.
func (p *Pattern) wide(s string, i int) (class uint16, size int) {
	r, size := utf8.DecodeRuneInString(s[i:])
	return uint16(p.pages[p.index[r>>8]][r&0xff]), size
}

// Scanner finds the matches in one text.
type Scanner struct {
	p *Pattern
	s string
	// hopeless are states at places from which no match comes any more, by place<<16 | state: every [mark]th one of
	// them. Without it a text could be read over and over behind each match.
	hopeless map[uint64]struct{}
}

const (
	far  = 64 // bytes behind a match without another one, from which on hopeless is asked and filled
	mark = 6  // log2 of the bytes between the places that are remembered
)

// Scan begins with a text of valid UTF-8.
func (p *Pattern) Scan(s string) Scanner { return Scanner{p: p, s: s} }

// Next returns the first match at or behind the byte i. Where there is none, it begins and ends at the end of the text.
func (c *Scanner) Next(i int) (start, end int) {
	p, s := c.p, c.s
	first := 1 << p.shift
	for i < len(s) {
		class, size := uint16(p.ascii[s[i]]), 1
		if s[i] >= utf8.RuneSelf {
			class, size = p.wide(s, i)
		}
		if state := p.moves[first+int(class)]; state != 0 {
			if end := c.match(state, i+size, i); end > i {
				return i, end
			}
		}
		i += size
	}
	return len(s), len(s)
}

// match goes on from a state at the byte i. It returns where the match ends that the automaton finds, last if there is none.
func (c *Scanner) match(state uint16, i, last int) int {
	p, s := c.p, c.s
	moves, ascii := p.moves, &p.ascii
	for i < len(s) {
		class, size := uint16(ascii[s[i]]), 1
		if s[i] >= utf8.RuneSelf {
			class, size = p.wide(s, i)
		}
		move := moves[int(state)+int(class)]
		if move&matchBit != 0 {
			last = i
		} else if i-last > far {
			return c.further(state, i, last)
		}
		if move &^= matchBit; move != state { // rarely: so no step waits for the one before
			if move == 0 {
				return last
			}
			state = move
		}
		i += size
	}
	if moves[int(state)+int(p.end)]&matchBit != 0 {
		return i
	}
	return last
}

// further is match far behind the last match.
func (c *Scanner) further(state uint16, i, last int) int {
	p, s := c.p, c.s
	var passed []uint64 // since the last match
	hopeless := false
	for before := i; state != 0 && !hopeless; {
		if i>>mark != before>>mark {
			at := uint64(i)<<16 | uint64(state)
			if _, hopeless = c.hopeless[at]; !hopeless {
				passed = append(passed, at)
			}
		}
		before = i
		class, size := p.end, 0
		if i < len(s) {
			if class, size = uint16(p.ascii[s[i]]), 1; s[i] >= utf8.RuneSelf {
				class, size = p.wide(s, i)
			}
		}
		move := p.moves[int(state)+int(class)]
		if move&matchBit != 0 {
			last, passed = i, passed[:0]
		}
		state = move &^ matchBit
		i += size
	}
	if c.hopeless == nil && len(passed) > 0 {
		c.hopeless = map[uint64]struct{}{}
	}
	for _, at := range passed {
		c.hopeless[at] = struct{}{}
	}
	return last
}

// Covers reports whether matches leave nothing of a text between them: from wherever a match may begin, one code point
// is enough for one.
func (p *Pattern) Covers() bool {
	first := 1 << p.shift
	for class := range int(p.end) {
		state := int(p.moves[first+class])
		for next := range int(p.end) + 1 {
			if state == 0 || p.moves[state+next]&matchBit == 0 {
				return false
			}
		}
	}
	return true
}
