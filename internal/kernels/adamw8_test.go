package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// state8 are weights and moments of n values.
type state8 struct {
	w Weights
	m Moments8
}

func newState8(t *testing.T, p []float32, float bool) state8 {
	n := len(p)
	s := state8{m: AllocMoments8(n)}
	t.Cleanup(s.m.Free)
	if float {
		s.w.Float = slices.Clone(p)
		return s
	}
	s.w.Half, s.w.Low = make([]BF16, n), make([]int8, n)
	ToFloat24(s.w.Half, s.w.Low, p)
	return s
}

// values are the weights in float32.
func (s state8) values() []float32 {
	if s.w.Float != nil {
		return s.w.Float
	}
	out := make([]float32, len(s.w.Half))
	plainFromFloat24(out, s.w.Half, s.w.Low)
	return out
}

func (s state8) equal(o state8) bool {
	return slices.Equal(s.w.Float, o.w.Float) && slices.Equal(s.w.Half, o.w.Half) && slices.Equal(s.w.Low, o.w.Low) &&
		slices.Equal(s.m.mean, o.m.mean) && slices.Equal(s.m.square, o.m.square) && slices.Equal(s.m.scales, o.m.scales)
}

func moments8(m Moments8) (means, squares []float32) {
	means, squares = make([]float32, len(m.mean)), make([]float32, len(m.mean))
	m.Means(means, 0)
	m.Squares(squares, 0)
	return means, squares
}

// spread are values of very different sizes, some of them 0.
func spread(n int, seed uint64, size float64) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, n)
	for i := range x {
		if r.IntN(8) > 0 {
			x[i] = float32(r.NormFloat64() * size * math.Pow(10, -4*r.Float64()))
		}
	}
	return x
}

func TestAdamW8IsTheSameBytesInCAndInGo(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		for _, n := range []int{1, 31, 32, 33, 1003, 4096, 40000} {
			for _, float := range []bool{false, true} {
				for _, size := range []float64{1, 1e-7, 1e-30, 1e15, 1e25} {
					p := normals(n, 1)
					got, want := newState8(t, p, float), newState8(t, p, float)
					for step := 1; step <= 4; step++ {
						g := spread(n, uint64(10+step), size)
						how := AdamWStep{Rate: 1e-2, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1, GradScale: 0.3, Step: step}
						mine := slices.Clone(g)
						AdamW8(got.w, mine, got.m, how, uint32(step)*7919)
						if slices.ContainsFunc(mine, func(x float32) bool { return x != 0 }) {
							t.Fatalf("%d values: the gradient is not zeroed", n)
						}
						plainAdamW8(want.w, slices.Clone(g), want.m, how.numbers8(uint32(step)*7919))
						if !got.equal(want) {
							t.Fatalf("%d values, gradients of %g, step %d: not the same bytes", n, size, step)
						}
					}
					if slices.Equal(got.values(), p) {
						t.Fatalf("%d values: nothing changed", n)
					}
					wide := make([]float32, n)
					if !float {
						FromFloat24(wide, got.w.Half, got.w.Low)
						if !slices.Equal(wide, got.values()) {
							t.Fatalf("%d values put together are not those of Go", n)
						}
					}
				}
			}
		}
	})
}

func TestAdamW8FollowsAdamW(t *testing.T) {
	const n, steps = 4096, 50
	p := normals(n, 1)
	s, want := newState8(t, p, false), slices.Clone(p)
	m, v := make([]float32, n), make([]float32, n)
	for step := 1; step <= steps; step++ {
		g := normals(n, uint64(100+step))
		for i := range g {
			g[i] += float32(i%5) - 2 // some have a direction, some have none
		}
		how := AdamWStep{Rate: 1e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1, GradScale: 1, Step: step}
		plainAdamW(want, slices.Clone(g), m, v, nil, how)
		AdamW8(s.w, g, s.m, how, uint32(step))
	}
	got := s.values()
	var off, moved float64
	for i := range got {
		off += math.Pow(float64(got[i]-want[i]), 2)
		moved += math.Pow(float64(want[i]-p[i]), 2)
	}
	if share := math.Sqrt(off / moved); !(share < 0.02) {
		t.Errorf("the weights are off AdamW's by %.3g of what they moved, want less than 0.02", share)
	}
}

// TestStepsBelowTheLastPlaceMoveWeightsInTheMean: 1 has a last place of 2^-15, and each step is a tenth of it.
func TestStepsBelowTheLastPlaceMoveWeightsInTheMean(t *testing.T) {
	const n, steps, place = 4096, 100, 1.0 / (1 << 15)
	p := make([]float32, n)
	for i := range p {
		p[i] = 1.5
	}
	s := newState8(t, p, false)
	for step := 1; step <= steps; step++ {
		g := make([]float32, n)
		for i := range g {
			g[i] = 1 // so each of AdamW's steps is its rate
		}
		AdamW8(s.w, g, s.m, AdamWStep{Rate: place / 10, Beta1: 0.9, Beta2: 0.95, GradScale: 1, Step: step}, uint32(step)*2654435761)
	}
	var mean float64
	for _, x := range s.values() {
		mean += (1.5 - float64(x)) / n
	}
	// The standard error of the mean is 10 * 0.3 / 64 places.
	if want := steps * place / 10; math.Abs(mean-want) > 0.25*place {
		t.Errorf("moved by %.3g places in the mean, want %.3g", mean/place, want/place)
	}
}

func TestWeightsOf24BitsAreNearestAndStayWhenTheyAreCutAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.Uint32Range(0, 0x7f7fff00).Draw(t, "bits")
		x := math.Float32frombits(bits | rapid.SampledFrom([]uint32{0, 1 << 31}).Draw(t, "sign"))
		var half [1]BF16
		var low [1]int8
		ToFloat24(half[:], low[:], []float32{x})
		got := join24(half[0], low[0])
		if below := math.Float32bits(got) & 0xff; below != 0 {
			t.Fatalf("%g became %g, whose last byte is %#x", x, got, below)
		}
		if d := int64(math.Float32bits(got)) - int64(math.Float32bits(x)); d < -128 || d > 128 {
			t.Fatalf("%g became %g, %d last places of a float32 away", x, got, d)
		}
		bf16 := math.Float32frombits(uint32(half[0]) << 16)
		if d := int64(math.Float32bits(bf16)) - int64(math.Float32bits(got)); d < -1<<15 || d > 1<<15 {
			t.Fatalf("half of %g is %g, not the nearest", got, bf16)
		}
		for up := range uint32(256) { // however it is rounded
			if h, l := split24(got, up); h != half[0] || l != low[0] {
				t.Fatalf("%g cut again: %#x %d, want %#x %d", got, h, l, half[0], low[0])
			}
		}
	})
}

func TestMomentsStayTheSameBytesThroughFloat32(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 100).Draw(t, "n")
		m, again := AllocMoments8(n), AllocMoments8(n)
		defer m.Free()
		defer again.Free()
		any32 := rapid.Custom(func(t *rapid.T) float32 {
			if rapid.Bool().Draw(t, "near") { // of a group's size, or of any
				return rapid.Float32Range(0, 2).Draw(t, "value")
			}
			return math.Float32frombits(rapid.Uint32Range(0, 0x7f7fffff).Draw(t, "bits"))
		})
		means, squares := make([]float32, n), make([]float32, n)
		for i := range n {
			means[i], squares[i] = any32.Draw(t, "mean"), any32.Draw(t, "square")
			if rapid.Bool().Draw(t, "negative") {
				means[i] = -means[i]
			}
		}
		m.SetMeans(means)
		m.SetSquares(squares)
		a, b := moments8(m)
		again.SetMeans(a)
		again.SetSquares(b)
		if !slices.Equal(m.mean, again.mean) || !slices.Equal(m.square, again.square) || !slices.Equal(m.scales, again.scales) {
			t.Fatalf("%v and %v became %v and %v, and those other codes", means, squares, a, b)
		}
		if !AllFinite(a) || !AllFinite(b) {
			t.Fatalf("%v, %v: not finite", a, b)
		}
		for i := range n {
			if b[i] < 0 || b[i] == 0 && squares[i] > 1e-25 && squares[i] < 1e37 {
				t.Fatalf("the square %g became %g", squares[i], b[i])
			}
		}
	})
}

func TestMomentsAreWithinAStepOfTheirCodes(t *testing.T) {
	const n = 320
	means := spread(n, 3, 1e-6)
	squares := make([]float32, n)
	for i, x := range spread(n, 4, 1e-6) {
		squares[i] = x * x
	}
	m := AllocMoments8(n)
	defer m.Free()
	m.SetMeans(means)
	m.SetSquares(squares)
	if got, want := int64(cap(m.mean)+cap(m.square)+2*cap(m.scales)), Moments8Bytes(n); got != want || want != n*2+n/8 {
		t.Errorf("%d bytes for %d moments, want %d", got, n, want)
	}
	a, b := moments8(m)
	for at := 0; at < n; at += group8 {
		var top, root float64
		for i := at; i < at+group8; i++ {
			top, root = max(top, math.Abs(float64(means[i]))), max(root, math.Sqrt(float64(squares[i])))
		}
		for i := at; i < at+group8; i++ {
			// The codes of means are y = 2z/(1+z): a step of 1/127 of y is (1+z)^2/2 times that of z.
			z := math.Abs(float64(means[i])) / top
			if d := math.Abs(float64(a[i]-means[i])) / top; d > 0.51/127*(1+z)*(1+z)/2+1.0/256 {
				t.Errorf("mean %g of %g became %g", means[i], top, a[i])
			}
			r := math.Sqrt(float64(squares[i]))
			if d := math.Abs(math.Sqrt(float64(b[i]))-r) / root; d > 1.0/255+1.0/256 {
				t.Errorf("root %g of %g became %g", r, root, math.Sqrt(float64(b[i])))
			}
		}
	}
}

func BenchmarkAdamW(b *testing.B) {
	const n = 49152 * 576 // as the embedding of SmolLM2
	how := AdamWStep{Rate: 1e-5, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1, GradScale: 1, Step: 5}
	g, rest := Alloc(n), normals(49152, 2)
	defer Free(g)
	b.Run("float32", func(b *testing.B) {
		p, m, v, half := Alloc(n), Alloc(n), Alloc(n), AllocBF16(n)
		defer func() { Free(p); Free(m); Free(v); FreeBF16(half) }()
		for b.Loop() {
			fill(g, rest)
			Run(func() { AdamW(p, g, m, v, half, how) })
		}
	})
	b.Run("8 bits", func(b *testing.B) {
		w := Weights{Half: AllocBF16(n), Low: AllocInt8(n)}
		m := AllocMoments8(n)
		defer func() { m.Free(); FreeBF16(w.Half); FreeInt8(w.Low) }()
		for b.Loop() {
			fill(g, rest)
			Run(func() { AdamW8(w, g, m, how, 1) })
		}
	})
	b.Run("nothing", func(b *testing.B) {
		for b.Loop() {
			fill(g, rest)
		}
	})
}

func fill(g, from []float32) {
	for at := 0; at < len(g); at += len(from) {
		copy(g[at:], from)
	}
}
