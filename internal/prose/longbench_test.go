package prose

import (
	"math"
	"testing"
)

func TestTheLengthScoreIsLongBenchWrites(t *testing.T) {
	for _, c := range []struct {
		name           string
		required, real int
		want           float64
	}{
		{"the very length", 1000, 1000, 100},
		{"twice the length", 1000, 2000, 100 * 2.0 / 3},
		{"half the length", 1000, 500, 50},
		{"four times the length", 1000, 4000, 0},
		{"a third of the length", 900, 300, 0},
		{"1.6 times the length", 1000, 1600, 80},
		{"nothing written", 1000, 0, 0},
		{"nothing asked for", 0, 10, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := LengthScore(c.required, c.real); math.Abs(got-c.want) > 1e-9 {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
