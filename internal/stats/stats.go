// Package stats is what figures of answers are made of: quantiles, intervals over prompts, and curves of
// what has not ended. Answers to a prompt are a group, which stays together.
package stats

import (
	"math"
	"slices"

	"lwtrain/internal/rng"
)

// Seed is where the random numbers of all statistics come from, by streams of their own: the same answers
// have the same figures.
const Seed = 42

// draws of the bootstrap.
const draws = 2000

// Interval is the middle 95 % of what a figure is when groups are drawn anew, with
// replacement; what is in a group stays together.
type Interval [2]float64

// Groups are values that belong together, by a key, in the order in which keys came.
type Groups[T any] struct {
	Of [][]T
	at map[string]int
}

// Add puts a value into the group of a key.
func (g *Groups[T]) Add(key string, v T) {
	k, ok := g.at[key]
	if !ok {
		if g.at == nil {
			g.at = map[string]int{}
		}
		k = len(g.Of)
		g.at[key] = k
		g.Of = append(g.Of, nil)
	}
	g.Of[k] = append(g.Of[k], v)
}

// Mean is the mean over all values of groups, and its interval; nil where there are fewer than two
// groups. None of them is empty, and of none at all it is NaN.
func Mean(groups [][]float64) (mean float64, ci *Interval) {
	sums := make([]float64, len(groups))
	sum, n := 0.0, 0
	for i, values := range groups {
		for _, v := range values {
			sums[i] += v
			sum += v
		}
		n += len(values)
	}
	ci = Bootstrap("eval/bootstrap", len(groups), func(draw func() int) float64 {
		sum, n := 0.0, 0
		for range groups {
			k := draw()
			sum += sums[k]
			n += len(groups[k])
		}
		return sum / float64(n)
	})
	return sum / float64(n), ci
}

// Bootstrap is the interval of a figure that is computed of n groups which are drawn, by a named stream
// of random numbers. A draw without the figure gives NaN and does not count; one may be infinite. nil:
// there are fewer than two groups, or no draw had it.
func Bootstrap(stream string, n int, figure func(draw func() int) float64) *Interval {
	if n < 2 {
		return nil
	}
	r := rng.New(Seed, stream)
	draw := func() int { return r.IntN(n) }
	var found []float64
	for range draws {
		if v := figure(draw); !math.IsNaN(v) {
			found = append(found, v)
		}
	}
	if len(found) == 0 {
		return nil
	}
	slices.Sort(found)
	return &Interval{Quantile(found, 0.025), Quantile(found, 0.975)}
}

// Quantile is that of sorted values, between two of them where it falls there (type 7 of
// Hyndman and Fan, as numpy has it); NaN: there are none.
func Quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	low := int(at)
	if part := at - float64(low); part > 0 && sorted[low] < sorted[low+1] { // infinite ones have no difference
		return sorted[low] + part*(sorted[low+1]-sorted[low])
	}
	return sorted[low]
}
