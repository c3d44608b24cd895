package tokenizer

import (
	"fmt"
	"unicode/utf8"

	"lwtrain/internal/fault"
)

// charTable is what a BPE model of characters, as SentencePiece trains them, has in place of a byte's symbol.
type charTable struct {
	ids      map[rune]int32
	ascii    [utf8.RuneSelf]int32 // the same for most characters; -1: none
	fallback bool                 // a character without a symbol becomes the tokens of its bytes
	bytes    [256]int32           // those

	// beside has two characters if a merge joins a token that ends with the first one and a token that begins with the
	// second one: where it has not, nothing ever joins. Those below near are exact, of others it may have some too many.
	beside [near * near / 64]uint64
	others [1 << 14]uint64
}

// near is how many characters are looked up without a hash: the first ones, and for the last the mark of a space.
const (
	near      = 512
	spaceMark = '\u2581'
)

// place is where a pair of characters stands in a table of bits.
func (c *charTable) place(a, b rune) (word *uint64, bit uint64) {
	if a == spaceMark {
		a = near - 1
	}
	if b == spaceMark {
		b = near - 1
	}
	if a < near && b < near {
		i := uint(a)*near + uint(b)
		return &c.beside[i/64], 1 << (i % 64)
	}
	h := (uint64(a)<<21 | uint64(b)) * hashMul >> (64 - 20)
	return &c.others[h/64], 1 << (h % 64)
}

// join enters a merge.
func (c *charTable) join(left, right string) {
	a, _ := utf8.DecodeLastRuneInString(left)
	b, _ := utf8.DecodeRuneInString(right)
	word, bit := c.place(a, b)
	*word |= bit
}

// known reports whether a character has a symbol, or is made of bytes that have.
func (c *charTable) known(r rune) bool { return c.fallback || c.id(r) >= 0 }

func (c *charTable) id(r rune) int32 {
	if r < utf8.RuneSelf {
		return c.ascii[r]
	}
	if id, ok := c.ids[r]; ok {
		return id
	}
	return -1
}

// cut returns the first place behind i where nothing can join what lies before it with what lies behind it.
func (c *charTable) cut(s string, i int) int {
	before, size := utf8.DecodeRuneInString(s[i:])
	for i += size; i < len(s); i += size {
		r := rune(s[i])
		if size = 1; r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		// Characters without a symbol may become one unknown token together.
		if word, bit := c.place(before, r); *word&bit == 0 && c.known(before) && c.known(r) {
			return i
		}
		before = r
	}
	return i
}

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
