package eval

import (
	"slices"
	"sort"
)

// Survival is the probability that an answer has not been ended yet, read off held-out answers
// without sampling: at each position it is multiplied by that of any token but those that end.
type Survival struct {
	Words []float64 `json:"words"` // from 0
	S     []float64 `json:"s"`     // mean over the held-out answers
	Loss  []float64 `json:"loss"`  // mean -ln p of the tokens up to each, since the one before
	N     int       `json:"n"`     // answers that were read
}

// At is the probability at a number of words.
func (s Survival) At(words float64) float64 {
	i, _ := slices.BinarySearch(s.Words, words)
	if i == len(s.Words) {
		i--
	}
	return s.S[i]
}

// Read is what a model says of a held-out answer, token by token.
type Read struct {
	Words []int     // of the answer before each token
	Loss  []float64 // -ln p of each token
	End   []float64 // how probably the answer would have ended in its place
}

// points is how many a survival curve has, about.
const points = 80

// Survive is the mean survival curve of answers, up to where the shortest of them ends: at a
// number of words it is the product of 1 - End over all tokens that begin before it.
func Survive(reads []Read) Survival {
	shortest := 0
	for i, r := range reads {
		if last := r.Words[len(r.Words)-1]; i == 0 || last < shortest {
			shortest = last
		}
	}
	step := max(1, shortest/points)
	s := Survival{N: len(reads)}
	for w := 0; w <= shortest; w += step {
		sum, loss, tokens := 0.0, 0.0, 0
		for _, r := range reads {
			from := sort.SearchInts(r.Words, w-step+1)
			to := sort.SearchInts(r.Words, w+1)
			alive := 1.0
			for _, p := range r.End[:min(to, len(r.End)-1)] { // where the answer ends it was not to go on
				alive *= 1 - p
			}
			sum += alive
			for _, l := range r.Loss[from:to] {
				loss += l
				tokens++
			}
		}
		s.Words, s.S = append(s.Words, float64(w)), append(s.S, sum/float64(len(reads)))
		s.Loss = append(s.Loss, loss/float64(max(1, tokens)))
	}
	return s
}
