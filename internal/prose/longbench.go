package prose

// LengthScore is S_l of LongBench-Write (arXiv:2408.07055, section 2.2), from 0
// to 100: 100 where the real length y is the required x, 0 from 4x on and up
// to x/3. It is at least 80 from 0.714x to 1.6x.
func LengthScore(required, real int) float64 {
	x, y := float64(required), float64(real)
	switch {
	case x <= 0 || y <= 0:
		return 0
	case y > x:
		return 100 * max(0, 1-(y/x-1)/3)
	}
	return 100 * max(0, 1-(x/y-1)/2)
}

// BoundScore is S_l where a range is asked for, from least to most words: within it 100, outside of it that of the
// bound which is missed; 0 for either is no bound.
func BoundScore(least, most, real int) float64 {
	switch {
	case real < least:
		return LengthScore(least, real)
	case most > 0 && real > most:
		return LengthScore(most, real)
	}
	return 100
}

// RangeScore is LongWriter-Zero's length reward (arXiv:2506.18841) on the scale of S_l: 100 from least
// to most words, below in proportion to the words that are there, above falling to 0 at limit; 0 for
// most is no upper end.
func RangeScore(least, most, limit, real int) float64 {
	lo, hi, end, y := float64(least), float64(most), float64(limit), float64(real)
	switch {
	case y <= 0:
		return 0
	case y < lo:
		return 100 * y / lo
	case most == 0 || y <= hi:
		return 100
	case y >= end:
		return 0
	}
	return 100 * (end - y) / (end - hi)
}

// A Range is a range of answer lengths, from a number of words up to the next.
type Range struct {
	Name string
	From int // words
}

// Ranges are LongBench-Write's (arXiv:2408.07055, table 1), with one behind them.
var Ranges = []Range{{"0-499", 0}, {"500-1,999", 500}, {"2,000-3,999", 2000}, {"4,000-19,999", 4000}, {"20,000 or more", 20000}}

// Benchmark are LongBench-Write's as its scores are told by: the last has no end.
var Benchmark = []Range{{"[0, 500)", 0}, {"[500, 2000)", 500}, {"[2000, 4000)", 2000}, {"[4000, 20000]", 4000}}

// RangeOf is the index into [Ranges] of a number of words.
func RangeOf(words int) int { return Within(Ranges, words) }

// Within is the index into ranges, which begin at 0, of a number of words.
func Within(ranges []Range, words int) int {
	i := len(ranges) - 1
	for words < ranges[i].From {
		i--
	}
	return i
}
