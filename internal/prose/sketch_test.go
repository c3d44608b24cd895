package prose

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// TestMinHashEstimatesTheShareOfGrams compares with the share that is counted.
func TestMinHashEstimatesTheShareOfGrams(t *testing.T) {
	words := func(from, to int) string {
		var out []string
		for i := from; i < to; i++ {
			out = append(out, fmt.Sprint("word", i*7919%10007))
		}
		return strings.Join(out, " ")
	}
	of := func(text string) *Sketch {
		return SketchOf(func() uint64 { return 0 }, text)
	}
	for _, c := range []struct{ from, to int }{{0, 1000}, {50, 1050}, {200, 1200}, {500, 1500}, {1000, 2000}} {
		grams := 1000 - nearGram + 1
		same := max(0, grams-c.from)
		want := float64(same) / float64(2*grams-same)
		got := of(words(0, 1000)).Share(of(words(c.from, c.to)))
		if sd := math.Sqrt(want*(1-want)/nearBins) + 1.0/nearBins; math.Abs(got-want) > 4*sd {
			t.Errorf("from %d: share %.3f, want %.3f within %.3f", c.from, got, want, 4*sd)
		}
	}
}
