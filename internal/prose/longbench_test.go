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

func TestTheRangeScoreIsLongWriterZeros(t *testing.T) {
	for _, c := range []struct {
		name                     string
		least, most, limit, real int
		want                     float64
	}{
		{"the least", 500, 800, 1600, 500, 100},
		{"the most", 500, 800, 1600, 800, 100},
		{"half of the least", 500, 800, 1600, 250, 50},
		{"half way from the most to the limit", 500, 800, 1600, 1200, 50},
		{"a quarter of that way", 500, 800, 1600, 1000, 75},
		{"the limit", 500, 800, 1600, 1600, 0},
		{"beyond it", 500, 800, 1600, 9000, 0},
		{"more than a range that ends at the limit", 500, 800, 800, 801, 0},
		{"a range without an upper end", 500, 0, 0, 9000, 100},
		{"a range without a lower end", 0, 800, 1600, 1, 100},
		{"nothing written", 0, 800, 1600, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := RangeScore(c.least, c.most, c.limit, c.real); math.Abs(got-c.want) > 1e-9 {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
