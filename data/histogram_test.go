package data

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestAHistogramKnowsQuantilesToOnePartIn2048(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name string
		draw func() int64
	}{
		{"small numbers, exactly", func() int64 { return r.Int64N(4096) }},
		{"lengths", func() int64 { return int64(math.Exp(r.NormFloat64()*1.5 + 6)) }},
		{"anything", func() int64 { return r.Int64() >> r.IntN(60) }},
		{"one number", func() int64 { return 123456789 }},
		{"nothing but zero", func() int64 { return 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var whole, a, b histogram
			var all []int64
			for i := range 5000 {
				v := c.draw()
				all = append(all, v)
				whole.add(v)
				if i%3 == 0 {
					a.add(v)
				} else {
					b.add(v)
				}
			}
			a.merge(&b)
			slices.Sort(all)
			for _, q := range []float64{.001, .05, .25, .5, .75, .95, .99, 1} {
				want := all[int(math.Ceil(q*float64(len(all))))-1]
				got := whole.quantile(q)
				if got > want || float64(want-got) > float64(want)/2048 || want < 4096 && got != want {
					t.Errorf("quantile %g: %d, want %d", q, got, want)
				}
				if m := a.quantile(q); m != got {
					t.Errorf("quantile %g of two histograms added up: %d, of one %d", q, m, got)
				}
			}
			l := whole.lengths()
			total := int64(0)
			for _, n := range l.Histogram {
				total += n
			}
			if total != int64(len(all)) || l.Min != all[0] || l.Max != all[len(all)-1] || whole.n != a.n || whole.sum != a.sum ||
				a.min != whole.min || a.max != whole.max {
				t.Errorf("%d in the histogram, from %d to %d; want %d, from %d to %d", total, l.Min, l.Max, len(all), all[0],
					all[len(all)-1])
			}
		})
	}
}

func TestTheBarsOfAHistogramHoldWhatLiesBetweenTheirEdges(t *testing.T) {
	var s histogram
	for _, v := range []int64{0, 1, 9, 10, 14, 15, 99, 100} {
		s.add(v)
	}
	got := s.lengths().Histogram
	for i, n := range got {
		from, to := HistogramEdges[i], HistogramEdges[i+1]
		want := int64(0)
		for _, v := range []int64{0, 1, 9, 10, 14, 15, 99, 100} {
			if v >= from && v < to {
				want++
			}
		}
		if n != want {
			t.Errorf("from %d to %d: %d, want %d", from, to, n, want)
		}
	}
}

func TestAHistogramSaysWhatAMaximumLengthCosts(t *testing.T) {
	var s histogram
	for _, v := range []int64{10, 100, 1000, 2000} {
		s.add(v)
	}
	if n, lost := s.above(512); n != 2 || lost != 488+1488 {
		t.Errorf("%d longer, %d lost; want 2 and %d", n, lost, 488+1488)
	}
	if n, lost := s.above(2000); n != 0 || lost != 0 {
		t.Errorf("%d longer than the longest, %d lost", n, lost)
	}
}
