package kernels

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

func TestHighestFindsTheFirstOfEqualsAndWhatIsNotFinite(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachVariant(t, func(t *testing.T) {
		for _, cols := range []int{1, 5, 16, 37, 100} {
			x := normals(6*cols, 1)
			at := func(r, c int) *float32 { return &x[r*cols+min(c, cols-1)] }
			*at(0, cols/2), *at(0, cols-1) = 9, 9
			*at(1, cols/3), *at(2, cols/3), *at(3, cols-1), *at(4, 0) = nan, inf, -inf, nan
			for i := range cols {
				*at(5, i) = -3
			}
			got := make([]int32, 6)
			Highest(got, x, cols)
			if want := []int32{int32(cols / 2), -1, -1, -1, -1, 0}; !slices.Equal(got, want) {
				t.Errorf("%d columns: %v, want %v", cols, got, want)
			}
		}
	})
}

func TestEveryValueThatIsNotFiniteIsFoundWhereverItIs(t *testing.T) {
	for v := range 1 << 16 {
		for size := 1; size < 10; size++ {
			x := make([]BF16, size)
			for i := range x {
				x[i] = 0xff7f // the most negative one: beside it no carry is hidden
			}
			x[v%size] = BF16(v)
			wide := float64(toFloat(BF16(v)))
			y := make([]float32, size)
			FromBF16(y, x)
			if want := !math.IsNaN(wide) && !math.IsInf(wide, 0); AllFiniteBF16(x) != want || AllFinite(y) != want {
				t.Fatalf("%#04x (%g) as value %d of %d: finite is %v and, as float32, %v, want %v", v, wide, v%size, size,
					AllFiniteBF16(x), AllFinite(y), want)
			}
		}
	}
	least := math.Float32frombits(0x7f80_0001) // a NaN that bf16 has not
	if x := []float32{1, math.MaxFloat32, least}; AllFinite(x) || AllFinite(x[2:]) || AllFinite(x[1:]) || !AllFinite(x[:2]) {
		t.Error("a NaN whose upper half is infinity's")
	}
	if !AllFiniteBF16(nil) || !AllFinite(nil) {
		t.Error("nothing is not finite")
	}
}

func TestBF16RoundsToNearestEvenAndKeepsWhatIsSpecial(t *testing.T) {
	inf := float32(math.Inf(1))
	in := []float32{0, 1, -1, 1 + 1.0/256, 1 + 3.0/256, inf, -inf, float32(math.NaN()), 3.3e38, 1e-40, math.Float32frombits(0x7f800001)}
	in = append(in, normals(1000, 1)...)
	eachVariant(t, func(t *testing.T) {
		got, want := make([]BF16, len(in)), make([]BF16, len(in))
		ToBF16(got, in)
		plainToBF16(want, in)
		wide := make([]float32, len(in))
		FromBF16(wide, got)
		for i, v := range in {
			nan := v != v
			if got[i] != want[i] && !nan {
				t.Errorf("%g becomes %#x, want %#x", v, got[i], want[i])
			}
			if nan != (wide[i] != wide[i]) {
				t.Errorf("%g becomes %g", v, wide[i])
			}
		}
		if want[3] != 0x3f80 || want[4] != 0x3f82 {
			t.Errorf("ties: %#x and %#x, want 0x3f80 and 0x3f82", want[3], want[4])
		}
	})
}

func TestElementwiseKernelsEqualTheGoOnes(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		for _, s := range [][2]int{{1, 1}, {3, 7}, {5, 16}, {17, 33}, {64, 576}, {130, 1536}} {
			rows, cols := s[0], s[1]
			n := rows * cols
			name := func(k string) string { return fmt.Sprintf("%s %dx%d", k, rows, cols) }
			x, dy, w := normals(n, 1), normals(n, 2), normals(cols, 3)
			got, want := make([]float32, n), make([]float32, n)

			Add(got, x, dy)
			plainAdd(want, x, dy)
			same(t, name("add"), got, want, 0)
			AddRow(got, x, w, rows, cols)
			plainAddRow(want, x, w, rows, cols)
			same(t, name("add row"), got, want, 0)
			Copy(got, x)
			same(t, name("copy"), got, x, 0)
			Scale(got, x, 0.3)
			plainScale(want, x, 0.3)
			same(t, name("scale"), got, want, 0)
			if got, want := SumSquares(x), plainSumSquares(x); math.Abs(got-want) > 1e-9*want {
				t.Errorf("%s: %g, want %g", name("sum of squares"), got, want)
			}

			Center(got, x, rows, cols)
			plainCenter(want, x, rows, cols)
			same(t, name("center"), got, want, 1e-6)
			RMSNorm(got, x, w, rows, cols, 1e-5)
			plainRMSNorm(want, x, w, rows, cols, 1e-5)
			same(t, name("norm"), got, want, 1e-6)
			for _, add := range []bool{false, true} {
				g, h := normals(n, 4), normals(n, 4)
				RMSNormGrad(g, x, w, dy, rows, cols, 1e-5, add)
				plainRMSNormGrad(h, x, w, dy, rows, cols, 1e-5, add)
				same(t, name("norm's gradient"), g, h, 1e-5)
				g, h = normals(cols, 5), normals(cols, 5)
				RMSNormGradWeight(g, x, dy, rows, cols, 1e-5, add)
				plainRMSNormGradWeight(h, x, dy, rows, cols, 1e-5, add)
				same(t, name("norm's weight gradient"), g, h, 1e-5)
				g, h = normals(cols, 6), normals(cols, 6)
				SumRows(g, x, rows, cols, add)
				plainSumRows(h, x, rows, cols, add)
				same(t, name("sum of rows"), g, h, 1e-5)
			}

			for _, of := range []Groups{{3, cols, 2, cols, 2 * cols}, {1, 3 * cols, 1, 2 * cols, 2 * cols}} {
				if cols >= 600 {
					continue
				}
				weights := of.QDim + of.KDim
				wide, g, w := normals(7*n, 8), normals(7*n, 9), normals(weights, 10)
				got, want := make([]float32, 7*n), make([]float32, 7*n)
				HeadNorm(got, wide, w, rows, of, 1e-5)
				plainHeadNorm(want, wide, w, rows, of, 1e-5)
				same(t, name("head norm"), got, want, 1e-6)
				HeadNormGrad(got, wide, w, g, rows, of, 1e-5)
				plainHeadNormGrad(want, wide, w, g, rows, of, 1e-5)
				same(t, name("head norm's gradient"), got, want, 1e-5)
				over := slices.Clone(g) // in place
				HeadNormGrad(over, wide, w, over, rows, of, 1e-5)
				same(t, name("head norm's gradient in place"), over, got, 0)
				for _, add := range []bool{false, true} {
					got, want := normals(weights, 11), normals(weights, 11)
					HeadNormGradWeight(got, wide, g, rows, of, 1e-5, add)
					plainHeadNormGradWeight(want, wide, g, rows, of, 1e-5, add)
					same(t, name("head norm's weight gradient"), got, want, 1e-5)
				}
			}

			gu := normals(2*n, 7)
			gu[0], gu[cols/2] = 100, -100 // far into the tails of the sigmoid
			for _, gelu := range []bool{false, true} {
				Gated(got, gu, rows, cols, gelu)
				plainGated(want, gu, rows, cols, gelu)
				same(t, name("gate"), got, want, 1e-6)
				dgu, dguWant := make([]float32, 2*n), make([]float32, 2*n)
				GatedGrad(dgu, gu, dy, rows, cols, gelu)
				plainGatedGrad(dguWant, gu, dy, rows, cols, gelu)
				same(t, name("gate's gradient"), dgu, dguWant, 1e-6)
			}

			ids := make([]int32, 2*rows)
			for i := range ids {
				ids[i] = int32(i * i % rows)
			}
			got, want = make([]float32, 2*n), make([]float32, 2*n)
			Embedding(got, x, ids, cols)
			plainEmbedding(want, x, ids, cols)
			same(t, name("embedding"), got, want, 0)
			g, h := normals(n, 8), normals(n, 8)
			EmbeddingGrad(g, ids, got, cols)
			plainEmbeddingGrad(h, ids, got, cols)
			same(t, name("embedding's gradient"), g, h, 1e-6)
		}
	})
}

func TestCrossEntropyEqualsTheGoOneAndIsExactForLargeLogits(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		for _, v := range []int{1, 5, 33, 1000, 49152} {
			const rows = 6
			logits := normals(rows*v, 1)
			for c := range v {
				logits[v+c] += 1000 // softmax does not overflow
				logits[2*v+c] = 0
			}
			targets := []int32{int32(v - 1), 0, int32(v / 2), -1, 0, int32(v - 1)}
			weights := []float32{1, 0.5, 2, 1, 0, 1e-3}
			got, want := slices.Clone(logits), slices.Clone(logits)
			nll, nllWant := make([]float64, rows), make([]float64, rows)
			CrossEntropy(got, rows, v, targets, weights, nll, true)
			plainCrossEntropy(want, rows, v, targets, weights, nllWant, true)
			for r := range rows {
				same(t, fmt.Sprintf("gradient of row %d of %d", r, v), got[r*v:(r+1)*v], want[r*v:(r+1)*v], 2e-6)
				if math.Abs(nll[r]-nllWant[r]) > 1e-5*(1+nllWant[r]) {
					t.Errorf("loss of row %d of %d: %g, want %g", r, v, nll[r], nllWant[r])
				}
			}
			if math.Abs(nll[2]-math.Log(float64(v))) > 1e-6 {
				t.Errorf("equal logits: %g, want ln %d", nll[2], v)
			}
		}
	})
}

func TestRotationEqualsTheGoOneAndGoesBack(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		for _, s := range []struct {
			rows, heads, dim, half int
			interleaved            bool
		}{{1, 1, 2, 1, false}, {50, 3, 16, 8, false}, {33, 2, 64, 32, false}, {33, 2, 64, 16, true}, {20, 5, 10, 3, true}} {
			freqs := make([]float32, s.half)
			for i := range freqs {
				freqs[i] = float32(math.Pow(10000, -float64(i)/float64(s.half)))
			}
			ld := s.heads*s.dim + 5
			positions := make([]int32, s.rows)
			for i := range positions {
				positions[i] = int32(i % 37)
			}
			x := normals(s.rows*ld, 1)
			got, want := slices.Clone(x), slices.Clone(x)
			r := Rotation{Freqs: freqs, Interleaved: s.interleaved}
			Rotate(got, ld, s.rows, positions, nil, s.heads, 0, s.dim, r, false)
			table := angles(freqs, 0, s.rows)
			plainRotate(want, ld, s.rows, positions, s.heads, s.dim, table.cos, table.sin, s.half, s.interleaved, false)
			same(t, fmt.Sprintf("%+v", s), got, want, 1e-6)
			Rotate(got, ld, s.rows, positions, nil, s.heads, 0, s.dim, r, true)
			same(t, fmt.Sprintf("and back, %+v", s), got, x, 1e-6)
			// Turned values are multiplied, and of queries all from a position on.
			r.Factor, r.Beta, r.Original = 1.5, 0.5, 11
			copy(got, x)
			Rotate(got, ld, s.rows, positions, nil, 1, s.heads-1, s.dim, r, false)
			for i := range want {
				row, column := i/ld, i%ld
				if column < s.heads*s.dim && column%s.dim < 2*s.half {
					want[i] *= 1.5
				}
				if column < s.dim {
					want[i] *= float32(1 + 0.5*math.Log(1+math.Floor(float64(positions[row])/11)))
				}
			}
			same(t, fmt.Sprintf("multiplied, %+v", s), got, want, 1e-6)
			// Texts of more than 11 tokens have frequencies of their own.
			r = Rotation{Freqs: freqs, Long: make([]float32, s.half), Interleaved: s.interleaved, Original: 11}
			lengths := make([]int32, s.rows)
			Lengths(lengths, positions)
			copy(got, x)
			copy(want, x)
			Rotate(got, ld, s.rows, positions, lengths, s.heads, 0, s.dim, r, false)
			plainRotate(want, ld, s.rows, positions, s.heads, s.dim, table.cos, table.sin, s.half, s.interleaved, false)
			for row := range s.rows {
				if n := min(37, s.rows-row/37*37); n > 11 {
					copy(want[row*ld:(row+1)*ld], x[row*ld:]) // they are 0
				}
			}
			same(t, fmt.Sprintf("long, %+v", s), got, want, 1e-6)
		}
	})
}

func TestAdamWEqualsTheGoOne(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		const n = 1003
		type state struct {
			p, m, v []float32
			half    []BF16
		}
		fresh := func() state { return state{normals(n, 1), make([]float32, n), make([]float32, n), make([]BF16, n)} }
		got, want := fresh(), fresh()
		for step := 1; step <= 5; step++ {
			g := normals(n, uint64(10+step))
			how := AdamWStep{Rate: 1e-2, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Decay: 0.1, GradScale: 0.3, Step: step}
			mine := slices.Clone(g)
			AdamW(got.p, mine, got.m, got.v, got.half, how)
			if slices.ContainsFunc(mine, func(x float32) bool { return x != 0 }) {
				t.Error("the gradient is not zeroed")
			}
			plainAdamW(want.p, slices.Clone(g), want.m, want.v, want.half, how)
		}
		same(t, "weights", got.p, want.p, 1e-6)
		same(t, "first moments", got.m, want.m, 1e-6)
		same(t, "second moments", got.v, want.v, 1e-6)
		rounded := make([]BF16, n)
		plainToBF16(rounded, got.p)
		if !slices.Equal(got.half, rounded) {
			t.Error("the bf16 copy is not the rounded weights")
		}
	})
}
