package kernels

import (
	"fmt"
	"slices"
	"testing"
)

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
			if inUse.NativeBF16 {
				rounded := make([]BF16, len(x))
				ToBF16(rounded, x)
				FromBF16(x, rounded)
			}
			Gemm(false, true, rows, n, k, x, k, w, k, 0, want, n)
			same(t, fmt.Sprint("few rows in bf16: ", rows), got, want, 1e-5)
		}
	})
}

func TestARowOfAFewIsTheSameBytesWhateverIsBesideIt(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		for _, s := range [][2]int{{67, 131}, {48, 1600}, {17, 32}, {129, 768}, {5, 801}} {
			const most = 2*FewRows + 1
			n, k := s[0], s[1]
			x, w := normals(most*k, 4), normals(n*k, 5)
			half := make([]BF16, len(w))
			ToBF16(half, w)
			for name, linear := range map[string]func(y, x []float32, rows int){
				"float32": func(y, x []float32, rows int) { LinearFew(y, x, w, nil, rows, n, k) },
				"bf16":    func(y, x []float32, rows int) { LinearFew(y, x, nil, half, rows, n, k) },
			} {
				alone, together := make([]float32, most*n), make([]float32, most*n)
				for r := range most {
					linear(alone[r*n:], x[r*k:], 1)
				}
				for rows := 2; rows <= most; rows++ {
					linear(together, x, rows)
					if !slices.Equal(together[:rows*n], alone[:rows*n]) {
						t.Errorf("%s, %d outputs of %d inputs: %d rows are not the rows alone", name, n, k, rows)
					}
				}
			}
		}
	})
}
