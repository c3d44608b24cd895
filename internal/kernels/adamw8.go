package kernels

import (
	"math"
	"unsafe"
)

// A weight of 24 bits is a float32 whose last 8 bits are 0: 15 bits of mantissa. It lies in two
// parts: half, the nearest bf16 value (of two that are equally near the larger one), which products in
// bf16 read; and low, what is to be added to half's last place, in 256ths of it. No
// two pairs are one value, so what is put together and cut again is the same bytes.

// ToFloat24 rounds src to 24 bits, to the nearest, and cuts it in two. Values must be finite.
func ToFloat24(half []BF16, low []int8, src []float32) {
	need("half", len(half), len(src))
	need("low", len(low), len(src))
	for i, x := range src {
		half[i], low[i] = split24(x, 0x80)
	}
}

// FromFloat24 puts weights together, exactly.
func FromFloat24(dst []float32, half []BF16, low []int8) {
	need("half", len(half), len(dst))
	need("low", len(low), len(dst))
	fromFloat24(dst, half, low)
}

// split24 rounds to 24 bits after adding up, of 256, to the bits beneath.
func split24(x float32, up uint32) (BF16, int8) {
	u := (math.Float32bits(x) + up) >> 8
	return BF16((u + 0x80) >> 8), int8(u)
}

func join24(half BF16, low int8) float32 {
	return math.Float32frombits(uint32(half)<<16 + uint32(int32(low))<<8)
}

// Moments8 are the moments of AdamW of n values, 2 bytes and an eighth for each. [group8] values side by side share
// two scales: about the largest first moment, and the largest root of a second moment, of them. With a scale s
// the code q of a first moment is s q/(254 - |q|), from -127 to 127, which is finer where values are small; that of a root is s q/255,
// from 0 to 255. A second moment above 0 has a code above 0: it is divided by.
//
// A scale has 8 bits of exponent, as a float32 has, and 8 of mantissa. The largest value of a group has
// the last code, which is the scale itself; so moments that were read and are set again are the same bytes.
type Moments8 struct {
	mean   []int8
	square []uint8
	scales []uint16 // of each group that of its means and that of its squares
}

const (
	group8 = 32
	// The bits of the least and the largest scale: 2^-50 and 2^63. The squares of values below the
	// one would have no place in float32 codes, those above the other no square in it.
	leastScale, mostScale = 0x26800000, 0x5f000000
)

// Moments8Bytes is the memory that n values take.
func Moments8Bytes(n int) int64 { return 2*int64(n) + 4*int64((n+group8-1)/group8) }

// AllocMoments8 returns moments of n values, 0, outside of the Go heap. They must be given
// back with [Moments8.Free].
func AllocMoments8(n int) Moments8 {
	return Moments8{
		mean: AllocInt8(n), square: mapped(max(n, 1))[:n], scales: AllocBF16((n + group8 - 1) / group8 * 2),
	}
}

// Free gives the memory back.
func (m Moments8) Free() {
	FreeInt8(m.mean)
	if cap(m.square) > 0 {
		unmap(unsafe.Pointer(unsafe.SliceData(m.square)), cap(m.square))
	}
	FreeBF16(m.scales)
}

// Means fills dst with the first moments of the values from on.
func (m Moments8) Means(dst []float32, from int) {
	for i := range dst {
		at := from + i
		dst[i] = decodeMean(m.mean[at], scaleValue(m.scales[at/group8*2]))
	}
}

// Squares fills dst with the second moments of the values from on.
func (m Moments8) Squares(dst []float32, from int) {
	for i := range dst {
		at := from + i
		root := decodeRoot(m.square[at], scaleValue(m.scales[at/group8*2+1])*(1/255.0))
		dst[i] = root * root
	}
}

// SetMeans makes src, of all values and finite, the first moments.
func (m Moments8) SetMeans(src []float32) {
	need("src", len(src), len(m.mean))
	for at := 0; at < len(m.mean); at += group8 {
		end := min(at+group8, len(m.mean))
		m.scales[at/group8*2] = encodeMeans(m.mean[at:end], src[at:end])
	}
}

// SetSquares makes src, of all values, finite and not below 0, the second moments.
func (m Moments8) SetSquares(src []float32) {
	need("src", len(src), len(m.square))
	var roots [group8]float32
	for at := 0; at < len(m.square); at += group8 {
		end := min(at+group8, len(m.square))
		for i, v := range src[at:end] {
			roots[i] = float32(math.Sqrt(float64(v)))
		}
		m.scales[at/group8*2+1] = encodeRoots(m.square[at:end], roots[:end-at])
	}
}

func decodeMean(q int8, scale float32) float32 {
	x := float32(q)
	return float32(scale * (x / (254 - abs32(x))))
}

func decodeRoot(q uint8, unit float32) float32 { return float32(unit * float32(q)) }

func abs32(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

func scaleValue(s uint16) float32 { return math.Float32frombits(uint32(s) << 15) }

// scaleOf is the scale of values of which the largest has these bits, and one over it: 0 where all are
// as good as 0.
func scaleOf(top uint32) (scale uint16, inverse float32) {
	if top < leastScale {
		return 0, 0
	}
	scale = uint16((min(top, mostScale) + 0x4000) >> 15)
	return scale, 1 / scaleValue(scale)
}

func encodeMeans(codes []int8, m []float32) uint16 {
	top := uint32(0)
	for _, x := range m {
		top = max(top, math.Float32bits(x)&^(1<<31))
	}
	scale, inverse := scaleOf(top)
	for i, x := range m {
		z := x * inverse
		switch a := abs32(z); {
		case a < 1:
			codes[i] = int8(nearest(float32(254*z) / (1 + a)))
		case z > 0:
			codes[i] = 127
		default:
			codes[i] = -127
		}
	}
	return scale
}

func encodeRoots(codes []uint8, r []float32) uint16 {
	top := uint32(0)
	for _, x := range r {
		top = max(top, math.Float32bits(x))
	}
	scale, inverse := scaleOf(top)
	for i, x := range r {
		z := x * inverse
		q := float32(255)
		if z < 1 {
			q = nearest(float32(255 * z))
		}
		if q < 1 && z > 0 {
			q = 1
		}
		codes[i] = uint8(q)
	}
	return scale
}

// nearest is the whole number nearest to x, of two the even one, for |x| below 2^22.
func nearest(x float32) float32 { return float32(x+12582912) - 12582912 }

// Weights are those that an update changes: float32, or where that is nil 24 bits.
type Weights struct {
	Float []float32
	Half  []BF16
	Low   []int8
}

// AdamW8 is [AdamW] on moments in 8 bits, which are widened, updated in float32, used and cut again. Weights of
// 24 bits are rounded up or down by chance, in proportion to what lies beneath: so many steps that are too small for
// their last place move them all the same. Chance follows from seed and the place of a weight. The
// result is the same bytes for any number of threads, and in C and Go.
func AdamW8(w Weights, g []float32, m Moments8, s AdamWStep, seed uint32) {
	n := len(g)
	if w.Float != nil {
		need("weights", len(w.Float), n)
	} else {
		need("half", len(w.Half), n)
		need("low", len(w.Low), n)
	}
	need("moments", len(m.mean), n)
	adamW8(w, g, m, s.numbers8(seed))
}

// numbers8 are those of one update, in float32.
type numbers8 struct {
	keep, size, new1, b2, new2, eps, scale, root float32
	seed                                         uint32
}

func (s AdamWStep) numbers8(seed uint32) numbers8 {
	bias1, bias2 := 1-math.Pow(s.Beta1, float64(s.Step)), 1-math.Pow(s.Beta2, float64(s.Step))
	return numbers8{
		keep: float32(1 - s.Rate*s.Decay), size: float32(s.Rate / bias1),
		new1: float32(1 - s.Beta1), b2: float32(s.Beta2), new2: float32(1 - s.Beta2),
		eps: float32(s.Eps), scale: float32(s.GradScale), root: float32(1 / math.Sqrt(bias2)), seed: seed,
	}
}

func plainFromFloat24(dst []float32, half []BF16, low []int8) {
	for i := range dst {
		dst[i] = join24(half[i], low[i])
	}
}

func plainAdamW8(w Weights, g []float32, m Moments8, k numbers8) {
	parallel((len(g)+group8-1)/group8, func(lo, hi int) {
		for at := lo * group8; at < min(hi*group8, len(g)); at += group8 {
			plainGroup8(w, g, m, k, at, min(at+group8, len(g)))
		}
	})
}

// plainGroup8 updates a group. Products are converted where a sum follows, also in another function, so that no compiler makes
// one rounding of both: on arm64 Go's does.
func plainGroup8(w Weights, g []float32, m Moments8, k numbers8, from, to int) {
	var mean, root [group8]float32
	s := m.scales[from/group8*2:][:2]
	s1, s2 := scaleValue(s[0]), scaleValue(s[1])*(1/255.0)
	for at := from; at < to; at++ {
		i := at - from
		was, t := decodeMean(m.mean[at], s1), decodeRoot(m.square[at], s2)
		y := float32(g[at] * k.scale)
		g[at] = 0
		mean[i] = was + float32(k.new1*float32(y-was))
		root[i] = float32(math.Sqrt(float64(float32(float32(t*t)*k.b2) + float32(float32(k.new2*y)*y))))
		move := float32(k.size * (mean[i] / (float32(root[i]*k.root) + k.eps)))
		if w.Float != nil {
			w.Float[at] = float32(w.Float[at]*k.keep) - move
			continue
		}
		h := k.seed + uint32(at)
		h = (h ^ h>>16) * 0x85ebca6b // MurmurHash3's finaliser (Appleby), without its last step
		h = (h ^ h>>13) * 0xc2b2ae35
		w.Half[at], w.Low[at] = split24(float32(join24(w.Half[at], w.Low[at])*k.keep)-move, h>>24)
	}
	s[0] = encodeMeans(m.mean[from:to], mean[:to-from])
	s[1] = encodeRoots(m.square[from:to], root[:to-from])
}
