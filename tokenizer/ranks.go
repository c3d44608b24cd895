package tokenizer

import "math/bits"

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

// bpe is a BPE model: a word's bytes, or its characters, become ids, and then, again
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
	length []int32          // bytes of (normalised) text that an id stands for

	chars *charTable // nil: the symbols of a word are its bytes
}

func newPairs(n int) ([]uint64, uint) {
	log := bits.Len(uint(n)) + 1 // at most half full
	table := make([]uint64, 1<<log)
	for i := range table {
		table[i] = noPair
	}
	return table, uint(64 - log)
}

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
