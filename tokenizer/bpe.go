package tokenizer

import (
	"math/bits"
	"strings"
)

// Limits on what a tokenizer file may say. Ids index tables, so that a hostile
// id would become memory; the bit widths are what a pairs entry has room for.
const (
	idBits   = 20
	rankBits = 24
	maxID    = 1<<idBits - 2 // one less than the width, for noPair
	maxRank  = 1<<rankBits - 2

	noRank = 1<<rankBits - 1
	noPair = ^uint64(0)
)

// bpe is a byte-level BPE model: a word's bytes become ids, and then, again
// and again, the neighbours whose merge has the lowest rank join, the leftmost
// first (Sennrich et al., arXiv 1508.07909, as the tokenizers library runs it).
type bpe struct {
	byteID  [256]int32 // -1: the vocabulary has no symbol for the byte
	partial bool       // some byteID is -1
	unknown int32      // id for such bytes, -1: they are dropped
	fuse    bool       // one unknown for a run of such bytes

	pairs  []uint64         // open addressing: left id, right id, rank
	shift  uint             // 64 - log2(len(pairs))
	first  []uint32         // rank of two bytes, at left<<8 | right
	merged []int32          // the id that a rank's merge makes
	whole  map[string]int32 // ignore_merges: a word that is a token is that token
	length []int32          // bytes of text that an id stands for
}

func newPairs(n int) ([]uint64, uint) {
	log := bits.Len(uint(n)) + 1 // at most half full
	table := make([]uint64, 1<<log)
	for i := range table {
		table[i] = noPair
	}
	return table, uint(64 - log)
}

const hashMul = 0x9E3779B97F4A7C15 // 2^64 / golden ratio

// setRank enters a merge; of two for one pair the later one counts.
func (m *bpe) setRank(left, right int32, rank uint32) {
	key := uint64(left)<<idBits | uint64(right)
	for h := key * hashMul >> m.shift; ; h = (h + 1) & uint64(len(m.pairs)-1) {
		if e := m.pairs[h]; e == noPair || e>>rankBits == key {
			m.pairs[h] = key<<rankBits | uint64(rank)
			return
		}
	}
}

// rank returns the rank of the merge of two ids, or noRank.
func (m *bpe) rank(left, right int32) uint32 {
	key := uint64(left)<<idBits | uint64(right)
	for h := key * hashMul >> m.shift; ; h = (h + 1) & uint64(len(m.pairs)-1) {
		e := m.pairs[h]
		if e>>rankBits == key {
			return uint32(e & noRank)
		}
		if e == noPair {
			return noRank
		}
	}
}

// shortWord is the length in bytes up to which searching all neighbours for
// the lowest rank is faster than a heap.
const shortWord = 128

// scratch is what the encoding of one word needs; an encoder keeps it.
type scratch struct {
	ids        [shortWord]int32
	ranks      [shortWord]uint32
	sym        []int32 // long words: linked list of symbols
	prev, next []int32
	heap       []uint64
	start, end []int32 // of each symbol, for words with bytes that have no symbol
}

// encode appends the ids of one word.
func (m *bpe) encode(dst []int32, w string, s *scratch) []int32 {
	if m.whole != nil {
		if id, ok := m.whole[w]; ok {
			return append(dst, id)
		}
	}
	if m.partial && m.lacks(w) {
		m.symbols(w, s)
		m.mergeLong(s)
		return s.appendIDs(dst)
	}
	if len(w) <= shortWord {
		return m.mergeShort(dst, w, s)
	}
	s.reset(len(w))
	for i := 0; i < len(w); i++ {
		s.sym = append(s.sym, m.byteID[w[i]])
	}
	m.mergeLong(s)
	return s.appendIDs(dst)
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
	s.reset(len(w))
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
		s.sym = append(s.sym, id)
		s.start = append(s.start, int32(i))
		s.end = append(s.end, int32(i+1))
	}
}

// mergeShort appends the ids of a word of at most shortWord bytes, all of
// which have symbols.
func (m *bpe) mergeShort(dst []int32, w string, s *scratch) []int32 {
	n := len(w)
	ids, ranks := s.ids[:n], s.ranks[:n]
	for i := 0; i < n-1; i++ {
		ids[i] = m.byteID[w[i]]
		ranks[i] = m.first[int(w[i])<<8|int(w[i+1])]
	}
	ids[n-1], ranks[n-1] = m.byteID[w[n-1]], noRank
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

func (s *scratch) reset(n int) {
	if cap(s.sym) < n {
		s.sym = make([]int32, 0, n)
	}
	s.sym = s.sym[:0]
}

// mergeLong merges the symbols in s.sym, leaving a list in s.next; symbols that
// are gone are -1. It takes O(n log n) time and 20 to 28 bytes for each symbol.
func (m *bpe) mergeLong(s *scratch) {
	n := len(s.sym)
	if cap(s.prev) < n {
		s.prev, s.next = make([]int32, n), make([]int32, n)
		s.heap = make([]uint64, 0, n)
	}
	s.prev, s.next, s.heap = s.prev[:n], s.next[:n], s.heap[:0]
	for i := range n {
		s.prev[i], s.next[i] = int32(i-1), int32(i+1)
		if i+1 < n {
			if r := m.rank(s.sym[i], s.sym[i+1]); r != noRank {
				s.heap = append(s.heap, uint64(r)<<32|uint64(i))
			}
		}
	}
	for i := len(s.heap)/4 + 1; i >= 0; i-- {
		s.sink(i)
	}
	for len(s.heap) > 0 {
		top := s.pop()
		at, rank := int32(uint32(top)), uint32(top>>32)
		right := s.next[at]
		if s.sym[at] < 0 || int(right) == n {
			continue
		}
		if r := m.rank(s.sym[at], s.sym[right]); r == noRank || m.merged[r] != m.merged[rank] {
			continue // the entry is from before another merge
		}
		s.sym[at], s.sym[right] = m.merged[rank], -1
		after := s.next[right]
		s.next[at] = after
		if int(after) < n {
			s.prev[after] = at
			s.push(m.rank(s.sym[at], s.sym[after]), at)
		}
		if before := s.prev[at]; before >= 0 {
			s.push(m.rank(s.sym[before], s.sym[at]), before)
		}
	}
}

func (s *scratch) appendIDs(dst []int32) []int32 {
	for i := 0; i < len(s.sym); i = int(s.next[i]) {
		dst = append(dst, s.sym[i])
	}
	return dst
}

// The heap holds rank<<32 | position, four children to a node: the lowest rank
// comes out first, and of equal ones the leftmost.

func (s *scratch) push(rank uint32, at int32) {
	if rank == noRank {
		return
	}
	v := uint64(rank)<<32 | uint64(at)
	s.heap = append(s.heap, v)
	i := len(s.heap) - 1
	for i > 0 {
		up := (i - 1) / 4
		if s.heap[up] <= v {
			break
		}
		s.heap[i] = s.heap[up]
		i = up
	}
	s.heap[i] = v
}

func (s *scratch) pop() uint64 {
	top, last := s.heap[0], len(s.heap)-1
	s.heap[0] = s.heap[last]
	s.heap = s.heap[:last]
	s.sink(0)
	return top
}

func (s *scratch) sink(i int) {
	h := s.heap
	if i >= len(h) {
		return
	}
	v := h[i]
	for {
		child := 4*i + 1
		if child >= len(h) {
			break
		}
		least := child
		for c := child + 1; c < min(child+4, len(h)); c++ {
			if h[c] < h[least] {
				least = c
			}
		}
		if h[least] >= v {
			break
		}
		h[i] = h[least]
		i = least
	}
	h[i] = v
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
