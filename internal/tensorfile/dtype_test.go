package tensorfile

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestEveryHalfIsWidenedExactly(t *testing.T) {
	for h := range 1 << 16 {
		have := FromHalf(uint16(h))
		exponent, fraction := h>>10&31, float64(h&1023)
		want := math.Ldexp(1+fraction/1024, exponent-15)
		switch {
		case exponent == 0:
			want = math.Ldexp(fraction, -24)
		case exponent == 31 && fraction == 0:
			want = math.Inf(1)
		case exponent == 31:
			want = math.NaN()
		}
		if h>>15 == 1 {
			want = -want
		}
		if math.Signbit(float64(have)) != (h>>15 == 1) || !(float64(have) == want || have != have && want != want) {
			t.Fatalf("%#04x is %g, want %g", h, have, want)
		}
	}
}

func TestMemoryHasValuesAsFilesDo(t *testing.T) {
	if have := Bytes([]uint16{0x0102, 0x0304}); !slices.Equal(have, []byte{2, 1, 4, 3}) {
		t.Errorf("%v", have)
	}
	raw := make([]byte, 8)
	Encode(raw, []float32{1.5, -3}, "F32")
	if have := Bytes([]float32{1.5, -3}); !slices.Equal(have, raw) {
		t.Errorf("%v, want %v", have, raw)
	}
	if have := Bytes([]float32(nil)); len(have) != 0 {
		t.Errorf("%v of nothing", have)
	}
}

func TestBF16IsTheNearestValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := math.Float32frombits(rapid.Uint32().Draw(t, "bits"))
		have := math.Float32frombits(uint32(floatToBF16(v)) << 16)
		if v != v {
			if have == have {
				t.Fatalf("a NaN became %g", have)
			}
			return
		}
		low := math.Float32bits(v) &^ 0xffff
		a, b := math.Float32frombits(low), math.Float32frombits(low+0x10000)
		da, db := math.Abs(float64(v)-float64(a)), math.Abs(float64(v)-float64(b))
		if math.IsInf(float64(b), 0) {
			db = math.Abs(math.Abs(float64(v)) - 0x1p128)
		}
		want := a
		if db < da || db == da && low>>16&1 == 1 {
			want = b
		}
		if math.IsInf(float64(v), 0) {
			want = v
		}
		if math.Float32bits(have) != math.Float32bits(want) {
			t.Fatalf("%g rounds to %g, want %g", v, have, want)
		}
	})
}

func TestHalfIsTheNearestValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := math.Float32frombits(rapid.Uint32Range(0x32000000, 0x47800000).Draw(t, "bits"))
		if rapid.Bool().Draw(t, "negative") {
			v = -v
		}
		value := func(h uint16) float64 { // infinity stands for the next power of two
			return max(-65536, min(65536, float64(FromHalf(h))))
		}
		h := ToHalf(v)
		have := math.Abs(value(h) - float64(v))
		for _, other := range []uint16{h - 1, h + 1} {
			if h&0x7fff == 0 && other&0x7fff > 1 || other&0x7fff > 0x7c00 {
				continue // beyond zero, or a NaN
			}
			if away := math.Abs(value(other) - float64(v)); away < have || away == have && h&1 == 1 {
				t.Fatalf("%g becomes %g, and %g is nearer", v, FromHalf(h), FromHalf(other))
			}
		}
	})
}

func TestEveryHalfComesBack(t *testing.T) {
	for h := range 1 << 16 {
		if back := ToHalf(FromHalf(uint16(h))); back != uint16(h) && !(h&0x7fff > 0x7c00 && back == uint16(h)&0x8000|0x7e00) {
			t.Errorf("%#04x comes back as %#04x", h, back)
		}
	}
}
