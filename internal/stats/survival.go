package stats

import (
	"cmp"
	"slices"
)

// Length is how long an answer is: in words, or in what else is counted. One that has not
// ended would have been longer.
type Length struct {
	Words int
	Ended bool
}

// Curve is a share that falls: S[i] from X[i] up to X[i+1].
type Curve struct {
	X []float64 `json:"x"`
	S []float64 `json:"s"`
}

// KaplanMeier is the share of answers that are longer than so many words: S falls at the
// lengths of those that ended, and those that were cut off count as long as they are known
// to go on (Kaplan and Meier 1958, doi:10.1080/01621459.1958.10501452).
func KaplanMeier(lengths []Length) Curve {
	sorted := slices.Clone(lengths)
	slices.SortFunc(sorted, func(a, b Length) int { return cmp.Compare(a.Words, b.Words) })
	c := Curve{X: []float64{0}, S: []float64{1}}
	s, left := 1.0, len(sorted)
	for i := 0; i < len(sorted); {
		at, ended, n := sorted[i].Words, 0, 0
		for ; i < len(sorted) && sorted[i].Words == at; i++ {
			if n++; sorted[i].Ended {
				ended++
			}
		}
		if ended > 0 {
			s *= 1 - float64(ended)/float64(left)
			c.X, c.S = append(c.X, float64(at)), append(c.S, s)
		}
		left -= n
	}
	if n := len(sorted); n > 0 && float64(sorted[n-1].Words) > c.X[len(c.X)-1] {
		c.X, c.S = append(c.X, float64(sorted[n-1].Words)), append(c.S, s)
	}
	return c
}

// Median is the length that half of the answers do not reach; false: more than half have no
// end.
func (c Curve) Median() (words float64, ok bool) {
	for i, s := range c.S {
		if s <= 0.5 {
			return c.X[i], true
		}
	}
	return 0, false
}
