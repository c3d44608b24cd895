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
