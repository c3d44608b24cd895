package eval

import (
	"math"
	"slices"

	"lwtrain/internal/rng"
)

// Bootstrap of means: its draws, and the stream that they come from, which is always the same.
const (
	draws      = 2000
	seed       = 42
	smallCount = 30 // prompts, below which intervals say little
	smallNote  = "small n: intervals of fewer than 30 prompts say little"
)

// Interval is the middle 95 % of what a figure is when prompts are drawn anew, with
// replacement; the answers to a prompt stay together.
type Interval [2]float64

// clustered are the values of the answers to each prompt.
type clustered [][]float64

// mean is the mean over all answers; NaN: there are none.
func (c clustered) mean() float64 {
	sum, n := 0.0, 0
	for _, values := range c {
		for _, v := range values {
			sum += v
		}
		n += len(values)
	}
	return sum / float64(n)
}

// interval is the bootstrap's of the mean; nil where fewer than two prompts have a value.
func (c clustered) interval() *Interval {
	type cluster struct {
		sum float64
		n   int
	}
	var clusters []cluster
	for _, values := range c {
		if len(values) == 0 {
			continue
		}
		k := cluster{n: len(values)}
		for _, v := range values {
			k.sum += v
		}
		clusters = append(clusters, k)
	}
	if len(clusters) < 2 {
		return nil
	}
	return bootstrap(func(draw func() int) float64 {
		sum, n := 0.0, 0
		for range clusters {
			k := clusters[draw()]
			sum += k.sum
			n += k.n
		}
		return sum / float64(n)
	}, len(clusters))
}

// bootstrap is the interval of a figure that is computed of n prompts which are drawn.
func bootstrap(figure func(draw func() int) float64, n int) *Interval {
	r := rng.New(seed, "eval/bootstrap")
	draw := func() int { return r.IntN(n) }
	found := make([]float64, draws)
	for i := range found {
		found[i] = figure(draw)
	}
	slices.Sort(found)
	return &Interval{quantile(found, 0.025), quantile(found, 0.975)}
}

// quantile is that of sorted values, between two of them where it falls there (type 7 of
// Hyndman and Fan, as numpy has it); NaN: there are none.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 == len(sorted) {
		return sorted[low]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}
