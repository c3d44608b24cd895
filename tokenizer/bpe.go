package tokenizer

import (
	"strings"
)

// encode appends the ids of one word.
func (m *bpe) encode(dst []int32, w string, s *scratch) []int32 {
	if m.whole != nil {
		if id, ok := m.whole[w]; ok {
			return append(dst, id)
		}
	}
	if m.partial && m.lacks(w) {
		m.symbols(w, s)
		return s.long.encode(dst, m)
	}
	if len(w) <= shortWord {
		return m.mergeShort(dst, w, s)
	}
	s.long.reset(len(w))
	for i := 0; i < len(w); i++ {
		s.long.sym = append(s.long.sym, m.byteID[w[i]])
	}
	return s.long.encode(dst, m)
}

// lacks reports whether w has a byte without a symbol.
func (m *bpe) lacks(w string) bool {
	for i := 0; i < len(w); i++ {
		if m.byteID[w[i]] < 0 {
			return true
		}
	}
	return false
}

// symbols lays out a word that has bytes without a symbol: they become the
// unknown token or nothing, and what they leave may join across them.
func (m *bpe) symbols(w string, s *scratch) {
	s.long.reset(len(w))
	s.start, s.end = s.start[:0], s.end[:0]
	fusing := false
	for i := 0; i < len(w); i++ {
		id := m.byteID[w[i]]
		if id < 0 {
			if fusing {
				s.end[len(s.end)-1]++
				continue
			}
			if id = m.unknown; id < 0 {
				continue
			}
			fusing = m.fuse
		} else {
			fusing = false
		}
		s.long.sym = append(s.long.sym, id)
		s.start = append(s.start, int32(i))
		s.end = append(s.end, int32(i+1))
	}
}

// mergeShort appends the ids of a word of at most shortWord bytes, all of
// which have symbols.
func (m *bpe) mergeShort(dst []int32, w string, s *scratch) []int32 {
	n := len(w)
	for i := 0; i < n-1; i++ {
		s.ids[i] = m.byteID[w[i]]
		s.ranks[i] = m.first[int(w[i])<<8|int(w[i+1])]
	}
	s.ids[n-1], s.ranks[n-1] = m.byteID[w[n-1]], noRank
	return m.mergeIDs(dst, n, s)
}

// mergeIDs merges n symbols, which lie in s with the ranks of their merges with the next ones.
func (m *bpe) mergeIDs(dst []int32, n int, s *scratch) []int32 {
	ids, ranks := s.ids[:n], s.ranks[:n]
	for {
		best, at := uint32(noRank), 0
		for i, r := range ranks {
			if r < best {
				best, at = r, i
			}
		}
		if best == noRank {
			return append(dst, ids...)
		}
		ids[at] = m.merged[best]
		copy(ids[at+1:], ids[at+2:])
		copy(ranks[at:], ranks[at+1:])
		n--
		ids, ranks = ids[:n], ranks[:n]
		if at+1 < n {
			ranks[at] = m.rank(ids[at], ids[at+1])
		}
		if at > 0 {
			ranks[at-1] = m.rank(ids[at-1], ids[at])
		}
	}
}

// byteChars are the 256 characters that stand for bytes in a vocabulary: a
// printable Latin-1 character for itself, U+0100 and on for the others, in
// order (GPT-2's table).
var byteChars, charBytes = func() (chars [256]rune, bytes map[rune]byte) {
	bytes = make(map[rune]byte, 256)
	next := rune(0x100)
	for b := range 256 {
		c := rune(b)
		if b <= ' ' || 0x7F <= b && b <= 0xA0 || b == 0xAD {
			c = next
			next++
		}
		chars[b], bytes[c] = c, byte(b)
	}
	return chars, bytes
}()

// tokenBytes returns the bytes that a token stands for. A token with any other
// character than the 256 stands for its own UTF-8 (mapped is false).
func tokenBytes(token string) (text string, mapped bool) {
	var b strings.Builder
	b.Grow(len(token))
	for _, r := range token {
		c, ok := charBytes[r]
		if !ok {
			return token, false
		}
		b.WriteByte(c)
	}
	return b.String(), true
}
