package tokenizer

import (
	"math/bits"
	"slices"
)

// blockSize is how many symbols of a long word are searched one by one.
const blockSize = 16

// shortWord is the length in bytes up to which searching all neighbours for
// the lowest rank is faster than a [longWord].
const shortWord = 128

// scratch is what the encoding of one word needs; an encoder keeps it.
type scratch struct {
	ids        [shortWord]int32
	ranks      [shortWord]uint32
	long       longWord
	start, end []int32 // of each symbol, for words with bytes that have no symbol
}

// longWord merges a word of any length in O(n log n) time and at most 9 bytes for each
// of its n symbols, whatever the merges are: ranks stand beside their symbols, and a
// tournament over blocks of them finds the lowest one, the leftmost first.
type longWord struct {
	// sym has at each place the symbol that begins there. One that was joined of n begins
	// and ends with -n, but for its own place: so next and before jump over it.
	sym  []int32
	rank []uint32 // of the merge of the symbol at a place with the next one
	best []uint32 // best[i] is the lower of best[2i] and best[2i+1], and the last half the lowest in a block each
}

// reset makes room for n symbols.
func (l *longWord) reset(n int) {
	if cap(l.sym) < n {
		l.sym, l.rank = make([]int32, 0, n), make([]uint32, n)
	}
	l.sym = l.sym[:0]
}

// encode merges the symbols and appends what is left of them.
func (l *longWord) encode(dst []int32, m *bpe) []int32 {
	n := len(l.sym)
	if n == 0 {
		return dst
	}
	l.rank = l.rank[:n]
	for i := range n - 1 {
		l.rank[i] = m.rank(l.sym[i], l.sym[i+1])
	}
	l.rank[n-1] = noRank
	l.plan()
	left := n
	for l.best[1] != noRank {
		l.join(m, l.lowest())
		left--
	}
	dst = slices.Grow(dst, left)
	for i := 0; i < n; i = l.next(i) {
		dst = append(dst, l.sym[i])
	}
	return dst
}

// plan fills best.
func (l *longWord) plan() {
	blocks := (len(l.rank) + blockSize - 1) / blockSize
	leaves := 1 << bits.Len(uint(blocks-1))
	if cap(l.best) < 2*leaves {
		l.best = make([]uint32, 2*leaves)
	}
	l.best = l.best[:2*leaves]
	for b := range leaves {
		l.best[leaves+b] = noRank
		if b < blocks {
			l.best[leaves+b] = slices.Min(l.block(b))
		}
	}
	for i := leaves - 1; i > 0; i-- {
		l.best[i] = min(l.best[2*i], l.best[2*i+1])
	}
}

func (l *longWord) block(b int) []uint32 {
	return l.rank[b*blockSize : min((b+1)*blockSize, len(l.rank))]
}

// lowest is the leftmost place of the lowest rank.
func (l *longWord) lowest() int {
	node, leaves := 1, len(l.best)/2
	for node < leaves {
		if node *= 2; l.best[node] != l.best[1] {
			node++
		}
	}
	b := node - leaves
	return b*blockSize + slices.Index(l.block(b), l.best[1])
}

// join merges the symbol at a place with the next one.
func (l *longWord) join(m *bpe, at int) {
	right := l.next(at)
	after := l.next(right)
	l.sym[at] = m.merged[l.rank[at]]
	l.sym[at+1], l.sym[after-1] = int32(at-after), int32(at-after)
	l.rank[right] = noRank
	l.rank[at] = noRank
	if after < len(l.sym) {
		l.rank[at] = m.rank(l.sym[at], l.sym[after])
	}
	l.update(at / blockSize)
	if right/blockSize != at/blockSize {
		l.update(right / blockSize)
	}
	if at > 0 {
		before := l.before(at)
		l.rank[before] = m.rank(l.sym[before], l.sym[at])
		l.update(before / blockSize)
	}
}

// update brings best up to the ranks of a block.
func (l *longWord) update(b int) {
	node, lowest := len(l.best)/2+b, slices.Min(l.block(b))
	for l.best[node] != lowest {
		l.best[node] = lowest
		if node == 1 {
			return
		}
		node /= 2
		lowest = min(l.best[2*node], l.best[2*node+1])
	}
}

// next is the place of the symbol behind the one at a place.
func (l *longWord) next(at int) int {
	if at+1 < len(l.sym) && l.sym[at+1] < 0 {
		return at - int(l.sym[at+1])
	}
	return at + 1
}

// before is the place of the symbol before the one at a place, which is not the first.
func (l *longWord) before(at int) int {
	if n := l.sym[at-1]; n < 0 {
		return at + int(n)
	}
	return at - 1
}
