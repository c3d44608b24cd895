package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"testing"
)

// eachVariant runs a test with every implementation that this machine has, on
// one thread and on two, on the native thread as training does.
func eachVariant(t *testing.T, f func(t *testing.T)) {
	for name, use := range variants() {
		for _, threads := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, %d threads", name, threads), func(t *testing.T) {
				before := inUse
				SetThreads(threads)
				defer func() { SetThreads(before.Threads); inUse = before }()
				use()
				Run(func() { f(t) })
			})
		}
	}
	if use, ok := variants()["library"]; ok { // leave the best one chosen
		use()
	}
}

func normals(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 0))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// same wants got within tolerance of want, relative to the largest value or to
// 1, the size of the inputs.
func same(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	scale := 1.0
	for _, v := range want {
		scale = max(scale, math.Abs(float64(v)))
	}
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= tolerance*scale) {
			t.Errorf("%s: value %d is %g, want %g (largest %g)", what, i, got[i], want[i], scale)
			return
		}
	}
}

func TestProductsEqualTheirDefinition(t *testing.T) {
	shapes := [][3]int{{1, 1, 1}, {1, 7, 5}, {5, 1, 9}, {3, 17, 33}, {31, 33, 65}, {64, 64, 64}, {97, 130, 257}, {200, 300, 129}}
	eachVariant(t, func(t *testing.T) {
		for _, s := range shapes {
			m, n, k := s[0], s[1], s[2]
			for layout := range 4 {
				ta, tb := layout&1 != 0, layout&2 != 0
				if ta && tb {
					continue // no layer needs it
				}
				ra, ca := stored(ta, m, k)
				rb, cb := stored(tb, k, n)
				lda, ldb, ldc := ca+3, cb+1, n+2
				a, b := normals(ra*lda, 1), normals(rb*ldb, 2)
				at := func(i, p int) float64 {
					if ta {
						i, p = p, i
					}
					return float64(a[i*lda+p])
				}
				bt := func(p, j int) float64 {
					if tb {
						p, j = j, p
					}
					return float64(b[p*ldb+j])
				}
				for _, beta := range []float32{0, 1} {
					got := normals(m*ldc, 3)
					want := slices.Clone(got)
					for i := range m {
						for j := range n {
							sum := float64(beta) * float64(want[i*ldc+j])
							for p := range k {
								sum += at(i, p) * bt(p, j)
							}
							want[i*ldc+j] = float32(sum)
						}
					}
					what := fmt.Sprintf("%dx%dx%d, transposed %v %v, beta %g", m, n, k, ta, tb, beta)
					start := slices.Clone(got)
					Gemm(ta, tb, m, n, k, a, lda, b, ldb, beta, got, ldc)
					same(t, what, got, want, 1e-5)

					ha, hb := make([]BF16, len(a)), make([]BF16, len(b))
					ToBF16(ha, a)
					ToBF16(hb, b)
					rounded := slices.Clone(start)
					ra, rb := make([]float32, len(a)), make([]float32, len(b))
					FromBF16(ra, ha)
					FromBF16(rb, hb)
					Gemm(ta, tb, m, n, k, ra, lda, rb, ldb, beta, rounded, ldc)
					GemmBF16(ta, tb, m, n, k, ha, lda, hb, ldb, beta, start, ldc)
					same(t, "bf16 "+what, start, rounded, 1e-5) // only the inputs are rounded
				}
			}
		}
		for rows := 1; rows <= FewRows; rows++ {
			n, k := 67, 131
			if rows%2 == 0 {
				n, k = 48, 1600
			}
			x, w := normals(rows*k, 4), normals(n*k, 5)
			got, want := make([]float32, rows*n), make([]float32, rows*n)
			LinearFew(got, x, w, nil, rows, n, k)
			Gemm(false, true, rows, n, k, x, k, w, k, 0, want, n)
			same(t, fmt.Sprint("few rows: ", rows), got, want, 1e-5)
			half := make([]BF16, len(w))
			ToBF16(half, w)
			FromBF16(w, half)
			LinearFew(got, x, nil, half, rows, n, k)
			if inUse.NativeBF16 && rows >= roundedRows {
				rounded := make([]BF16, len(x))
				ToBF16(rounded, x)
				FromBF16(x, rounded)
			}
			Gemm(false, true, rows, n, k, x, k, w, k, 0, want, n)
			same(t, fmt.Sprint("few rows in bf16: ", rows), got, want, 1e-5)
		}
	})
}

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
			if got, want := SumSquares(x), plainSumSquares(x); math.Abs(got-want) > 1e-9*want {
				t.Errorf("%s: %g, want %g", name("sum of squares"), got, want)
			}

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

			if hq, hkv, dim := 3, 2, cols; cols < 600 {
				wide, g, w := normals(7*n, 8), normals(7*n, 9), normals(2*dim, 10)
				got, want := make([]float32, 7*n), make([]float32, 7*n)
				HeadNorm(got, wide, w, rows, hq, hkv, dim, 1e-5)
				plainHeadNorm(want, wide, w, rows, hq, hkv, dim, 1e-5)
				same(t, name("head norm"), got, want, 1e-6)
				HeadNormGrad(got, wide, w, g, rows, hq, hkv, dim, 1e-5)
				plainHeadNormGrad(want, wide, w, g, rows, hq, hkv, dim, 1e-5)
				same(t, name("head norm's gradient"), got, want, 1e-5)
				over := slices.Clone(g) // in place
				HeadNormGrad(over, wide, w, over, rows, hq, hkv, dim, 1e-5)
				same(t, name("head norm's gradient in place"), over, got, 0)
				for _, add := range []bool{false, true} {
					got, want := normals(2*dim, 11), normals(2*dim, 11)
					HeadNormGradWeight(got, wide, g, rows, hq, hkv, dim, 1e-5, add)
					plainHeadNormGradWeight(want, wide, g, rows, hq, hkv, dim, 1e-5, add)
					same(t, name("head norm's weight gradient"), got, want, 1e-5)
				}
			}

			gu := normals(2*n, 7)
			gu[0], gu[cols/2] = 100, -100 // far into the tails of the sigmoid
			SwiGLU(got, gu, rows, cols)
			plainSwiGLU(want, gu, rows, cols)
			same(t, name("swiglu"), got, want, 1e-6)
			dgu, dguWant := make([]float32, 2*n), make([]float32, 2*n)
			SwiGLUGrad(dgu, gu, dy, rows, cols)
			plainSwiGLUGrad(dguWant, gu, dy, rows, cols)
			same(t, name("swiglu's gradient"), dgu, dguWant, 1e-6)

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

// packs are the starts of documents in packs of odd shapes.
var packs = map[string]func(t int) []int32{
	"one document":     func(t int) []int32 { return make([]int32, t) },
	"documents of 37":  func(t int) []int32 { return startsOf(t, func(i int) bool { return i%37 == 0 }) },
	"single tokens":    func(t int) []int32 { return startsOf(t, func(int) bool { return true }) },
	"a long, then few": func(t int) []int32 { return startsOf(t, func(i int) bool { return i == 0 || i > t*3/4 && i%5 == 0 }) },
	"windows of 20 in documents of 70": func(t int) []int32 {
		starts := startsOf(t, func(i int) bool { return i%70 == 0 })
		for i, s := range starts {
			starts[i] = max(s, int32(i-19))
		}
		return starts
	},
}

func startsOf(t int, begins func(i int) bool) []int32 {
	out := make([]int32, t)
	for i := range out {
		if i > 0 {
			out[i] = out[i-1]
		}
		if begins(i) {
			out[i] = int32(i)
		}
	}
	return out
}

func TestAttentionAndItsGradientEqualTheGoOnes(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		for _, s := range [][4]int{{1, 1, 1, 16}, {65, 4, 2, 16}, {130, 3, 1, 64}, {200, 2, 2, 128}, {300, 7, 1, 64}, {77, 2, 1, 24}} {
			n, hq, hkv, dim := s[0], s[1], s[2], s[3]
			scale := float32(1 / math.Sqrt(float64(dim)))
			qkv := normals(n*(hq+2*hkv)*dim, 1)
			for name, starts := range packs {
				dout := normals(n*hq*dim, 2)
				st := starts(n)
				out, outWant := make([]float32, n*hq*dim), make([]float32, n*hq*dim)
				lse, lseWant := make([]float32, hq*n), make([]float32, hq*n)
				plainAttention(outWant, lseWant, qkv, st, n, hq, hkv, dim, scale)
				dqkv, want := normals(len(qkv), 3), make([]float32, len(qkv))
				plainAttentionGrad(want, qkv, outWant, lseWant, dout, st, n, hq, hkv, dim, scale)
				for _, bf16 := range []bool{false, true} {
					loose := 1.0
					if bf16 && Describe().NativeBF16 {
						loose = 4000 // half a unit of bf16 is 2^-9, of float32 2^-24
					}
					Attention(out, lse, qkv, st, n, hq, hkv, dim, scale, bf16)
					what := fmt.Sprintf("%v, %s, bf16 %t", s, name, bf16)
					same(t, "output, "+what, out, outWant, 2e-6*loose)
					same(t, "lse, "+what, lse, lseWant, 2e-6*loose)
					AttentionGrad(dqkv, qkv, outWant, lseWant, dout, st, n, hq, hkv, dim, scale, bf16)
					same(t, "gradient, "+what, dqkv, want, 5e-6*loose)
				}
			}
			// Two texts whose last token is stored as it is asked for: the second
			// has seen nothing else.
			width, kv := (hq+2*hkv)*dim, hkv*dim
			keys, values := make([]float32, n*kv), make([]float32, n*kv)
			for i := range n {
				copy(keys[i*kv:], qkv[i*width+hq*dim:][:kv])
				copy(values[i*kv:], qkv[i*width+hq*dim+kv:][:kv])
			}
			last := qkv[(n-1)*width:]
			first, want := make([]float32, hq*dim), make([]float32, hq*dim)
			plainAttendOne(want, last, keys, values, n, hq, hkv, dim, scale)
			plainAttendOne(first, last, keys[(n-1)*kv:], values[(n-1)*kv:], 1, hq, hkv, dim, scale)
			for _, half := range []bool{false, true} {
				full, fresh := NewCache(n, hkv, dim, half), NewCache(n+1, hkv, dim, half)
				full.Put(0, qkv[hq*dim:], width, n-1)
				tolerance := 2e-6
				if half {
					tolerance = 8e-3
				}
				got := make([]float32, 2*hq*dim)
				AttendCached(got, slices.Concat(last, last), width, []Cached{{full, n}, {fresh, 1}}, hq, hkv, dim, scale)
				same(t, fmt.Sprintf("a text, %v, half %t", s, half), got[:hq*dim], want, tolerance)
				same(t, fmt.Sprintf("a first token, %v, half %t", s, half), got[hq*dim:], first, tolerance)
				full.Free()
				fresh.Free()
			}
		}
	})
}

// halve rounds x times scale to bf16, and divides it again.
func halve(x []float32, scale float32) {
	for i, v := range x {
		x[i] = toFloat(toHalf(v*scale)) / scale
	}
}

// TestAttentionOverCachesThatGrow: texts of several lengths, whose prompts are stored in
// two pieces, go on together token by token.
func TestAttentionOverCachesThatGrow(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		for _, s := range []struct{ hq, hkv, dim int }{{1, 1, 16}, {3, 3, 48}, {9, 3, 64}, {5, 1, 80}, {12, 2, 96}, {8, 1, 128}, {2, 1, 256}, {4, 2, 10}} {
			width, kv, scale := (s.hq+2*s.hkv)*s.dim, s.hkv*s.dim, float32(1/math.Sqrt(float64(s.dim)))
			for _, half := range []bool{false, true} {
				tolerance := 2e-6
				pairs := half && inUse.NativeBF16 && s.dim%16 == 0
				if pairs {
					tolerance = 3e-3 // of the softmax's weights, which have 8 bits
				}
				lengths, steps := []int{1, 40, 300, 127, 129}, 4
				texts := make([]Cached, len(lengths))
				rows := make([][]float32, len(lengths)) // qkv of all tokens of a text
				for i, n := range lengths {
					texts[i] = Cached{NewCache(n+steps, s.hkv, s.dim, half), n}
					defer texts[i].Free()
					rows[i] = normals((n+steps)*width, uint64(i))
					first := n / 3
					texts[i].Put(0, rows[i][s.hq*s.dim:], width, first)
					texts[i].Put(first, rows[i][first*width+s.hq*s.dim:], width, n-first)
				}
				for step := range steps {
					var qkv []float32
					for i, n := range lengths {
						texts[i].Tokens = n + step + 1
						qkv = append(qkv, rows[i][(n+step)*width:][:width]...)
					}
					got := make([]float32, len(lengths)*s.hq*s.dim)
					AttendCached(got, normals(len(qkv), 9), width, texts, s.hq, s.hkv, s.dim, scale) // is stored over
					AttendCached(got, qkv, width, texts, s.hq, s.hkv, s.dim, scale)
					for i, n := range lengths {
						var keys, values []float32
						for r := range n + step + 1 {
							at := rows[i][r*width+s.hq*s.dim:]
							keys, values = append(keys, at[:kv]...), append(values, at[kv:2*kv]...)
						}
						query := slices.Clone(rows[i][(n+step)*width:][:s.hq*s.dim])
						if half {
							halve(keys, 1)
							halve(values, 1)
						}
						if pairs {
							halve(query, scale)
						}
						want := make([]float32, s.hq*s.dim)
						plainAttendOne(want, query, keys, values, n+step+1, s.hq, s.hkv, s.dim, scale)
						same(t, fmt.Sprintf("%+v, half %t, text %d, step %d", s, half, i, step), got[i*s.hq*s.dim:][:s.hq*s.dim], want, tolerance)
					}
				}
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
			Rotate(got, ld, s.rows, positions, s.heads, s.dim, freqs, s.interleaved, false)
			table := angles(freqs, s.rows)
			plainRotate(want, ld, s.rows, positions, s.heads, s.dim, table.cos, table.sin, s.half, s.interleaved, false)
			same(t, fmt.Sprintf("%+v", s), got, want, 1e-6)
			Rotate(got, ld, s.rows, positions, s.heads, s.dim, freqs, s.interleaved, true)
			same(t, fmt.Sprintf("and back, %+v", s), got, x, 1e-6)
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

func TestTheSameCallGivesTheSameBytes(t *testing.T) {
	const n, hq, hkv, dim = 300, 3, 1, 64
	qkv, dout := normals(n*(hq+2*hkv)*dim, 1), normals(n*hq*dim, 2)
	starts := packs["documents of 37"](n)
	once := func(bf16 bool) []float32 {
		out, lse, dqkv := make([]float32, n*hq*dim), make([]float32, hq*n), make([]float32, len(qkv))
		c := make([]float32, 300*400)
		dw := make([]float32, 576)
		Run(func() {
			Attention(out, lse, qkv, starts, n, hq, hkv, dim, 0.125, bf16)
			AttentionGrad(dqkv, qkv, out, lse, dout, starts, n, hq, hkv, dim, 0.125, bf16)
			Gemm(false, true, 300, 400, 150, normals(300*150, 3), 150, normals(400*150, 4), 150, 0, c, 400)
			RMSNormGradWeight(dw, normals(100*576, 5), normals(100*576, 6), 100, 576, 1e-5, false)
		})
		return slices.Concat(out, lse, dqkv, c, dw)
	}
	for _, bf16 := range []bool{false, true} {
		first := once(bf16)
		for range 5 {
			if !slices.Equal(first, once(bf16)) {
				t.Fatalf("the same call gave other bytes (bf16 %t)", bf16)
			}
		}
	}
}

func TestMistakesOfTheCallerAreNamed(t *testing.T) {
	for _, c := range []struct {
		name, want string
		f          func()
	}{
		{"a short slice", "kernels: C has 3 values, want 4", func() {
			Gemm(false, false, 2, 2, 1, make([]float32, 2), 1, make([]float32, 2), 2, 0, make([]float32, 3), 2)
		}},
		{"an id outside", "kernels: id 5 at position 1, want 0 to 4", func() { Embedding(make([]float32, 4), make([]float32, 10), []int32{0, 5}, 2) }},
		{"a target outside", "kernels: target 3 of row 0, want below 3", func() {
			CrossEntropy(make([]float32, 3), 1, 3, []int32{3}, []float32{1}, make([]float64, 1), false)
		}},
		{"starts that decrease", "kernels: starts[2] is 0, want 1 to 2", func() {
			Attention(make([]float32, 48), make([]float32, 3), make([]float32, 144), []int32{0, 1, 0}, 3, 1, 1, 16, 1, false)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if got := recover(); got != c.want {
					t.Errorf("got %v, want %s", got, c.want)
				}
			}()
			c.f()
		})
	}
}

// TestAnEnvironmentThatLimitsThreadsChangesNothing runs the comparison with the
// Go kernels under settings that schedulers make: fewer or more threads than the
// kernels ask for.
func TestAnEnvironmentThatLimitsThreadsChangesNothing(t *testing.T) {
	if os.Getenv("LWTRAIN_TEST_CHILD") != "" {
		t.Skip("this is the child")
	}
	if testing.Short() {
		t.Skip("runs the kernels' tests again")
	}
	for _, set := range []string{"OMP_THREAD_LIMIT=1", "OMP_NUM_THREADS=7"} {
		cmd := exec.Command(os.Args[0], "-test.run", "Attention|SameBytes")
		cmd.Env = append(os.Environ(), set, "LWTRAIN_TEST_CHILD=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("with %s: %v\n%s", set, err, out)
		}
	}
}
