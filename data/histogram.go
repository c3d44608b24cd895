package data

import (
	"math"
	"slices"
)

// histogram counts whole numbers in memory that does not grow with how
// many there are: numbers below 2^12 are counted one by one, larger ones in
// 2,048 steps to each power of two, so that any number of it is known to one
// part in 2,048. Two histograms add up without loss.
type histogram struct {
	counts   []int64
	n, sum   int64
	min, max int64
}

const histogramBits = 11

// stepOf is the step of a number, and first the smallest number of a step.
func stepOf(v int64) int {
	if v < 2<<histogramBits {
		return int(v)
	}
	shift := 0
	for v>>shift >= 2<<histogramBits {
		shift++
	}
	return shift<<histogramBits + int(v>>shift)
}

func first(step int) int64 {
	if step < 2<<histogramBits {
		return int64(step)
	}
	shift := step>>histogramBits - 1
	return int64(step-shift<<histogramBits) << shift
}

func (s *histogram) add(v int64) {
	at := stepOf(max(v, 0))
	if at >= len(s.counts) {
		s.counts = append(s.counts, make([]int64, at+1-len(s.counts))...)
	}
	s.counts[at]++
	if s.n == 0 || v < s.min {
		s.min = v
	}
	s.max = max(s.max, v)
	s.n++
	s.sum += v
}

func (s *histogram) merge(o *histogram) {
	if o.n == 0 {
		return
	}
	if n := len(o.counts); n > len(s.counts) {
		s.counts = append(s.counts, make([]int64, n-len(s.counts))...)
	}
	for i, n := range o.counts {
		s.counts[i] += n
	}
	if s.n == 0 || o.min < s.min {
		s.min = o.min
	}
	s.max = max(s.max, o.max)
	s.n, s.sum = s.n+o.n, s.sum+o.sum
}

// above is how many numbers are above a limit, and by how much in all.
func (s *histogram) above(limit int64) (n, excess int64) {
	for step := len(s.counts) - 1; step >= 0 && first(step) > limit; step-- {
		n += s.counts[step]
		excess += s.counts[step] * (first(step) - limit)
	}
	return n, excess
}

// quantile is the number that the share q of all lie at or below.
func (s *histogram) quantile(q float64) int64 {
	rank := int64(math.Ceil(q * float64(s.n)))
	for step, n := range s.counts {
		if rank -= n; rank <= 0 && n > 0 {
			return min(max(first(step), s.min), s.max)
		}
	}
	return s.max
}

// Lengths is how long something is over the samples. Numbers from 4,096 on are
// exact to one part in 2,048, but Min, Max and Mean, which are exact.
type Lengths struct {
	Mean float64 `json:"mean"`
	Min  int64   `json:"min"`
	P5   int64   `json:"p5"`
	P25  int64   `json:"p25"`
	P50  int64   `json:"p50"`
	P75  int64   `json:"p75"`
	P95  int64   `json:"p95"`
	P99  int64   `json:"p99"`
	Max  int64   `json:"max"`
	// Histogram counts the samples from each of [HistogramEdges] up to the next,
	// as far as there are any.
	Histogram []int64 `json:"histogram"`
}

// HistogramEdges are the lower ends of a histogram's bars: 0, 1, and from there
// six to a power of ten, the same for all, so that histograms lie over each
// other.
var HistogramEdges = func() []int64 {
	out := []int64{0}
	for decade := int64(1); decade <= 1e6; decade *= 10 {
		for _, e := range []float64{1, 1.5, 2.2, 3.2, 4.6, 6.8} {
			if v := int64(math.Round(e * float64(decade))); v > out[len(out)-1] {
				out = append(out, v)
			}
		}
	}
	return out
}()

func (s *histogram) lengths() Lengths {
	l := Lengths{Histogram: []int64{}}
	if s.n == 0 {
		return l
	}
	l.Mean, l.Min, l.Max = float64(s.sum)/float64(s.n), s.min, s.max
	for _, p := range []struct {
		to *int64
		q  float64
	}{{&l.P5, .05}, {&l.P25, .25}, {&l.P50, .5}, {&l.P75, .75}, {&l.P95, .95}, {&l.P99, .99}} {
		*p.to = s.quantile(p.q)
	}
	for step, n := range s.counts {
		if n == 0 {
			continue
		}
		at, exact := slices.BinarySearch(HistogramEdges, first(step))
		if !exact {
			at--
		}
		for len(l.Histogram) <= at {
			l.Histogram = append(l.Histogram, 0)
		}
		l.Histogram[at] += n
	}
	return l
}
