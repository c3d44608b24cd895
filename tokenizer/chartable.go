package tokenizer

import "unicode/utf8"

const hashMul = 0x9E3779B97F4A7C15 // 2^64 / golden ratio

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
