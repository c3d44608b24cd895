package tokenizer

import (
	"fmt"
	"unicode/utf8"

	"lwtrain/internal/fault"
)

// encodeChars appends the ids of one word. It reports whether a character of it has no symbol.
func (m *bpe) encodeChars(dst []int32, w string, s *scratch) (ids []int32, lacks bool) {
	lacks = m.charSymbols(w, s)
	symbols := s.long.sym
	if len(symbols) > shortWord {
		return s.long.encode(dst, m), lacks
	}
	n := len(symbols)
	if n == 0 {
		return dst, lacks
	}
	copy(s.ids[:], symbols)
	for i := range n - 1 {
		s.ranks[i] = m.rank(symbols[i], symbols[i+1])
	}
	s.ranks[n-1] = noRank
	if lacks { // where its ids lie is read off the symbols
		return s.long.encode(dst, m), lacks
	}
	return m.mergeIDs(dst, n, s), lacks
}

// charSymbols lays out a word's characters. Those without a symbol become the tokens of their bytes, the unknown token or
// nothing; what they leave may join across them.
func (m *bpe) charSymbols(w string, s *scratch) (lacks bool) {
	c := m.chars
	s.long.reset(len(w))
	s.start, s.end = s.start[:0], s.end[:0]
	add := func(id int32, start, end int) {
		s.long.sym = append(s.long.sym, id)
		if !c.fallback {
			s.start, s.end = append(s.start, int32(start)), append(s.end, int32(end))
		}
	}
	fusing := false
	for i := 0; i < len(w); {
		r, size := utf8.DecodeRuneInString(w[i:])
		switch id := c.id(r); {
		case id >= 0:
			add(id, i, i+size)
			fusing = false
		case c.fallback:
			for k := i; k < i+size; k++ {
				add(c.bytes[w[k]], k, k+1)
			}
		case fusing:
			s.end[len(s.end)-1] += int32(size)
		default:
			if lacks = true; m.unknown >= 0 {
				add(m.unknown, i, i+size)
				fusing = m.fuse
			}
		}
		i += size
	}
	return lacks
}

// parseCharacters finds the symbols of the characters and of the bytes.
func (t *Tokenizer) parseCharacters(f *modelFile) error {
	m, c := &t.model, &charTable{ids: map[rune]int32{}}
	m.chars, m.unknown, m.fuse = c, -1, f.FuseUnknown
	m.length = make([]int32, len(t.tokens))
	if f.IgnoreMerges {
		m.whole = t.ids
	}
	for i := range c.ascii {
		c.ascii[i] = -1
	}
	for token, id := range t.ids {
		t.texts[id], m.length[id] = token, int32(len(token))
		if r, size := utf8.DecodeRuneInString(token); size > 0 && size == len(token) {
			if c.ids[r] = id; r < utf8.RuneSelf {
				c.ascii[r] = id
			}
		}
	}
	if f.ByteFallback {
		if err := t.findBytes(); err != nil {
			return err
		}
	}
	if c.fallback || f.Unknown == nil {
		return nil
	}
	id, ok := t.ids[*f.Unknown]
	if !ok {
		return fault.Hint(fmt.Errorf("model has the unk_token %.40q, want one of its vocab", *f.Unknown),
			"the vocab lacks characters, so that the unknown token is needed")
	}
	m.unknown = id
	return nil
}

// byteToken is the name of the token of a byte.
func byteToken(b int) string { return fmt.Sprintf("<0x%02X>", b) }

// findBytes finds the tokens of the bytes: all of them, or none.
func (t *Tokenizer) findBytes() error {
	c, found := t.model.chars, 0
	for b := range c.bytes {
		if id, ok := t.ids[byteToken(b)]; ok {
			c.bytes[b] = id
			t.model.length[id] = 1
			found++
		}
	}
	if found != 0 && found != len(c.bytes) {
		return unknownPart("model has byte_fallback and", fmt.Sprintf("%d tokens of bytes", found), "256 or none")
	}
	c.fallback = found > 0
	return nil
}
