package tokenizer

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// randomBPE has merges of words of a few letters, in any order of ranks.
func randomBPE(t testing.TB, r *rand.Rand) *bpe {
	t.Helper()
	letters := "abcd"[:2+r.IntN(3)]
	vocab := map[string]int64{}
	for b := range 256 {
		vocab[string(byteChars[b])] = int64(b)
	}
	known := []string{}
	for _, c := range letters {
		known = append(known, string(c))
	}
	var merges []mergeFile
	seen := map[[2]string]bool{}
	for range 1 + r.IntN(40) {
		left, right := known[r.IntN(len(known))], known[r.IntN(len(known))]
		if seen[[2]string{left, right}] || len(left)+len(right) > 40 {
			continue
		}
		seen[[2]string{left, right}] = true
		if _, ok := vocab[left+right]; !ok {
			vocab[left+right] = int64(len(vocab))
			known = append(known, left+right)
		}
		merges = append(merges, mergeFile{left: left, right: right})
	}
	r.Shuffle(len(merges), func(i, j int) { merges[i], merges[j] = merges[j], merges[i] })
	tok := &Tokenizer{classes: classes()}
	if err := tok.parseModel(&modelFile{Type: "BPE", Vocab: vocab, Merges: merges}, true); err != nil {
		t.Fatal(err)
	}
	return &tok.model
}

// oneByOne joins, again and again, the neighbours whose merge has the lowest rank.
func (m *bpe) oneByOne(w string) []int32 {
	var ids []int32
	for i := range len(w) {
		ids = append(ids, m.byteID[w[i]])
	}
	for {
		best, at := uint32(noRank), 0
		for i := range len(ids) - 1 {
			if r := m.rank(ids[i], ids[i+1]); r < best {
				best, at = r, i
			}
		}
		if best == noRank {
			return ids
		}
		ids[at] = m.merged[best]
		ids = slices.Delete(ids, at+1, at+2)
	}
}

func TestLongWordsJoinTheLowestRankAndTheLeftmostFirst(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var s scratch
	for range 400 {
		m := randomBPE(t, r)
		for _, n := range []int{shortWord + 1, 2*blockSize + 1, 4 * blockSize, shortWord + r.IntN(900)} {
			w := make([]byte, n)
			run := 1 + r.IntN(30) // letters that stay the same for a while
			for i := range w {
				if w[i] = "abcd"[r.IntN(4)]; i > 0 && r.IntN(run) > 0 {
					w[i] = w[i-1]
				}
			}
			if got, want := m.encode(nil, string(w), &s), m.oneByOne(string(w)); !slices.Equal(got, want) {
				t.Fatalf("%d bytes %q: got %v, want %v", n, w, got, want)
			}
		}
	}
}
