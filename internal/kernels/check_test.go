package kernels

import (
	"strings"
	"testing"
)

func TestTheSelfCheckPassesOnEveryVariant(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		if err := check(); err != nil {
			t.Error(err)
		}
	})
}

func TestTheSelfCheckSeesAWrongValue(t *testing.T) {
	want := wave(9, 1)
	got := wave(9, 1)
	got[7] += 1e-3
	if err := differ("x", got, want, 1e-4); err == nil || !strings.HasPrefix(err.Error(), "x: value 7 is ") {
		t.Errorf("%v, want value 7 named", err)
	}
	got[7] = want[7] / (want[0] - want[0]) // not a number, or infinite
	if differ("x", got, want, 1e-4) == nil {
		t.Error("infinity passes")
	}
}
