package human

import (
	"testing"
	"time"
)

func TestSpans(t *testing.T) {
	for s, want := range map[float64]string{0: "0s", 0.4: "0s", 59.6: "1m00s", 192: "3m12s", 7500: "2h05m", 90000: "1d01h"} {
		if got := Span(time.Duration(s * float64(time.Second))); got != want {
			t.Errorf("%gs is %s, want %s", s, got, want)
		}
	}
}

func TestFiguresOfNoUnit(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", -0.00001: "0", 4.854e-6: "0", 0.00016: "0.0002", -0.08333333: "-0.0833", 0.91666: "0.9167", 37.98765: "37.99", 100: "100",
		-999.96: "-1000", 12345.6: "12346",
	} {
		if got := Short(v); got != want {
			t.Errorf("%g: %s, want %s", v, got, want)
		}
	}
}

func TestSpeeds(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.0341: "0.034", 0.96: "0.96", 3.44: "3.4", 9.96: "10", 10.4: "10", 143.2: "143", 12345.6: "12,346",
	} {
		if got := Speed(v); got != want {
			t.Errorf("%g: %s, want %s", v, got, want)
		}
	}
}

func TestFreeMemoryThatIsNotKnownIsNoFigure(t *testing.T) {
	for free, want := range map[int64]string{
		3 << 30: " of 3.00 GiB free", 1 << 50 / 10 * 9: "; this system does not say how much is free",
	} {
		if got := OfFree(free); got != want {
			t.Errorf("%d: %q, want %q", free, got, want)
		}
	}
}
