package stats

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestKaplanMeierHasTheClosedForm(t *testing.T) {
	// Ends at 6, 7, 10, 13, 16, 22, 23 of 21 texts, the 6-MP arm of Freireich et al. 1963.
	var lengths []Length
	for _, x := range []struct{ at, ended, cut int }{
		{6, 3, 1}, {7, 1, 0}, {9, 0, 1}, {10, 1, 1}, {11, 0, 1}, {13, 1, 0}, {16, 1, 0}, {17, 0, 1}, {19, 0, 1}, {20, 0, 1},
		{22, 1, 0}, {23, 1, 0}, {25, 0, 1}, {32, 0, 2}, {34, 0, 1}, {35, 0, 1},
	} {
		for range x.ended {
			lengths = append(lengths, Length{x.at, true})
		}
		for range x.cut {
			lengths = append(lengths, Length{x.at, false})
		}
	}
	c := KaplanMeier(lengths)
	want := map[float64]float64{6: .857, 7: .807, 10: .753, 13: .690, 16: .627, 22: .538, 23: .448}
	for i, x := range c.X {
		if s, ok := want[x]; ok && math.Abs(c.S[i]-s) > 5e-4 {
			t.Errorf("at %g: %.3f, want %.3f", x, c.S[i], s)
		}
	}
	if m, ok := c.Median(); !ok || m != 23 {
		t.Errorf("the median is %g, want 23", m)
	}
	if m, ok := KaplanMeier([]Length{{5, true}, {9, false}, {9, false}}).Median(); ok {
		t.Errorf("the median is %g where most have no end", m)
	}
}

// ownTask is a task of prompts that ask for lengths.
func TestAnIntervalHoldsTheMeanAndKeepsSamplesTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SliceOfN(rapid.SliceOfN(rapid.Float64Range(0, 100), 1, 4), 2, 20).Draw(t, "values")
		_, ci := Mean(c)
		if ci[0] > ci[1] || ci[0] < 0 || ci[1] > 100 {
			t.Errorf("%v", ci)
		}
		for i := range c { // more samples that say the same make it no narrower
			c[i] = append(c[i], c[i]...)
		}
		if _, again := Mean(c); math.Abs(again[0]-ci[0]) > 1e-9 || math.Abs(again[1]-ci[1]) > 1e-9 {
			t.Errorf("%v, and with each sample twice %v", ci, again)
		}
	})
}

func TestQuantiles(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		name   string
		sorted []float64
		q      float64
		want   float64
	}{
		{"the middle of two lies between them", []float64{1, 2}, 0.5, 1.5},
		{"as numpy has it", []float64{10, 20, 30}, 0.9, 28},
		{"of one value it is that", []float64{7}, 0.025, 7},
		{"the largest", []float64{1, 2, 3}, 1, 3},
		{"between two without bound there is none", []float64{1, inf, inf}, 0.75, inf},
		{"up to one without bound there is none", []float64{1, inf}, 0.01, inf},
	} {
		if got := Quantile(c.sorted, c.q); got != c.want && math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %g, want %g", c.name, got, c.want)
		}
	}
	if got := Quantile(nil, 0.5); !math.IsNaN(got) {
		t.Errorf("of no values: %g", got)
	}
}

func TestTheBootstrapOfAMeanHasItsClosedForm(t *testing.T) {
	groups := make([][]float64, 400) // half of them 0, half 1: the mean's deviation is 1/40
	for i := range groups {
		groups[i] = []float64{float64(i % 2)}
	}
	mean, ci := Mean(groups)
	if want := 1.96 / 40; mean != 0.5 || math.Abs(ci[1]-0.5-want) > 0.006 || math.Abs(0.5-ci[0]-want) > 0.006 {
		t.Errorf("%g, %v, want 0.5 and %.4f about it", mean, ci, want)
	}
	if _, ci := Mean(groups[:1]); ci != nil {
		t.Errorf("of one group: %v", ci)
	}
	nothing := func(func() int) float64 { return math.NaN() }
	if ci := Bootstrap("none", 9, nothing); ci != nil {
		t.Errorf("of no figure: %v", ci)
	}
}

func TestGroupsKeepTheOrderOfTheirKeys(t *testing.T) {
	var g Groups[int]
	for i, key := range []string{"b", "a", "b", "c", "a"} {
		g.Add(key, i)
	}
	if len(g.Of) != 3 || len(g.Of[0]) != 2 || g.Of[0][1] != 2 || g.Of[1][1] != 4 || g.Of[2][0] != 3 {
		t.Errorf("%v", g.Of)
	}
}
