package model

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Sampling says how the next token is chosen.
type Sampling struct {
	Temperature float64 // 0: always the most probable token
	TopP        float64 // nucleus: the fewest tokens whose probabilities reach TopP; 0 or 1: all (Holtzman et al. 2020, arXiv:1904.09751)
	TopK        int     // the most probable tokens among which TopP counts; 0: all
	Seed        uint64
}

// sampler chooses tokens of one sequence.
type sampler struct {
	Sampling
	rand *rand.Rand
	top  []candidate
}

type candidate struct {
	id int32
	p  float64
}

// next chooses a token from logits [V], which are finite; best is the first of
// the highest.
func (s *sampler) next(logits []float32, best int32) int32 {
	if s.Temperature == 0 {
		return best
	}
	peak := float64(logits[best])
	var sum float64
	for _, v := range logits {
		sum += math.Exp((float64(v) - peak) / s.Temperature)
	}
	limit := s.TopP
	if limit <= 0 || limit > 1 {
		limit = 1
	}
	if limit == 1 && s.TopK <= 0 { // all tokens: nothing to sort
		u := s.rand.Float64() * sum
		for i, v := range logits {
			if u -= math.Exp((float64(v) - peak) / s.Temperature); u < 0 {
				return int32(i)
			}
		}
		return best // rounding kept the sum a hair below
	}
	// Nearly all of the mass is in few tokens: sort those that matter first,
	// and all of them only when they do not reach the limit.
	for _, least := range []float64{1e-4, 0} {
		s.top = s.top[:0]
		low := math.Log(least*sum) - 1e-6 // of less than that the probability need not be computed
		for i, v := range logits {
			x := (float64(v) - peak) / s.Temperature
			if x < low {
				continue
			}
			if p := math.Exp(x) / sum; p >= least {
				s.top = append(s.top, candidate{int32(i), p})
			}
		}
		slices.SortStableFunc(s.top, func(a, b candidate) int {
			switch {
			case a.p > b.p:
				return -1
			case a.p < b.p:
				return 1
			}
			return 0
		})
		from, reach := s.top, limit
		if s.TopK > 0 {
			if least > 0 && len(from) < s.TopK {
				continue
			}
			from = from[:min(s.TopK, len(from))]
			whole := 0.
			for _, c := range from {
				whole += c.p
			}
			reach *= whole
		}
		var mass float64
		for i, c := range from {
			if mass += c.p; mass >= reach {
				return s.draw(from[:i+1], mass)
			}
		}
	}
	return s.draw(s.top, 1) // rounding kept the mass a hair below 1
}

// draw picks one of the candidates, whose probabilities sum to mass.
func (s *sampler) draw(from []candidate, mass float64) int32 {
	u := s.rand.Float64() * mass
	for _, c := range from {
		if u -= c.p; u < 0 {
			return c.id
		}
	}
	return from[len(from)-1].id
}
