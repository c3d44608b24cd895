package kernels

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Check compares the kernels in use with plain Go on small inputs: products in
// all layouts with float32 and bf16 inputs, attention and the loss with their
// gradients, a norm. The error names the first that differs by more than 1e-4
// (bf16: 2e-2) of the largest value.
func Check() (err error) {
	Run(func() { err = check() })
	return err
}

func check() error {
	const m, n, k = 37, 52, 71
	a, b := wave(m*k, 1), wave(k*n, 0.7)
	for _, layout := range []string{"NN", "NT", "TN"} {
		ta, tb := layout[0] == 'T', layout[1] == 'T'
		_, lda := stored(ta, m, k)
		_, ldb := stored(tb, k, n)
		at := func(x []float32, ld, i, j int, trans bool) float64 {
			if trans {
				i, j = j, i
			}
			return float64(x[i*ld+j])
		}
		want := make([]float32, m*n)
		for i := range m {
			for j := range n {
				sum := 0.0
				for p := range k {
					sum += at(a, lda, i, p, ta) * at(b, ldb, p, j, tb)
				}
				want[i*n+j] = float32(sum)
			}
		}
		got := make([]float32, m*n)
		Gemm(ta, tb, m, n, k, a, lda, b, ldb, 0, got, n)
		if err := differ("the float32 product "+layout, got, want, 1e-4); err != nil {
			return err
		}
		ha, hb := make([]BF16, len(a)), make([]BF16, len(b))
		ToBF16(ha, a)
		ToBF16(hb, b)
		GemmBF16(ta, tb, m, n, k, ha, lda, hb, ldb, 0, got, n)
		if err := differ("the bf16 product "+layout, got, want, 2e-2); err != nil {
			return err
		}
	}

	const t, hq, hkv, dim, scale = 70, 4, 2, 16, 0.25
	qkv, dout := wave(t*(hq+2*hkv)*dim, 1.3), wave(t*hq*dim, 0.9)
	starts, hidden := make([]int32, t), make([]Gap, t)
	for i := 20; i < t; i++ {
		if hidden[i] = (Gap{5, 20}); i >= 40 {
			starts[i], hidden[i] = 40, Gap{}
		}
	}
	out, lse, dqkv := make([]float32, t*hq*dim), make([]float32, hq*t), make([]float32, len(qkv))
	wantOut, wantLSE, wantGrad := slices.Clone(out), slices.Clone(lse), slices.Clone(dqkv)
	plainAttention(wantOut, wantLSE, qkv, starts, hidden, t, hq, hkv, dim, scale)
	plainAttentionGrad(wantGrad, qkv, wantOut, wantLSE, dout, starts, hidden, t, hq, hkv, dim, scale)
	for _, bf16 := range []bool{false, inUse.NativeBF16} {
		tolerance := 1e-4
		if bf16 {
			tolerance = 2e-2
		}
		Attention(out, lse, qkv, starts, hidden, t, hq, hkv, dim, scale, bf16)
		AttentionGrad(dqkv, qkv, out, lse, dout, starts, hidden, t, hq, hkv, dim, scale, bf16)
		if err := differ("attention", out, wantOut, tolerance); err != nil {
			return err
		}
		if err := differ("the gradient of attention", dqkv, wantGrad, tolerance); err != nil {
			return err
		}
	}

	y, wantY := make([]float32, m*k), make([]float32, m*k)
	RMSNorm(y, a, wave(k, 2), m, k, 1e-5)
	plainRMSNorm(wantY, a, wave(k, 2), m, k, 1e-5)
	if err := differ("the norm", y, wantY, 1e-4); err != nil {
		return err
	}
	targets, weights := make([]int32, m), wave(m, 0.3)
	logits, wantLogits := slices.Clone(a), slices.Clone(a)
	nll, wantNLL := make([]float64, m), make([]float64, m)
	CrossEntropy(logits, m, k, targets, weights, nll, true)
	plainCrossEntropy(wantLogits, m, k, targets, weights, wantNLL, true)
	if d := math.Abs(nll[m-1] - wantNLL[m-1]); !(d <= 1e-4) {
		return fmt.Errorf("the loss is %g, want %g", nll[m-1], wantNLL[m-1])
	}
	return differ("the gradient of the loss", logits, wantLogits, 1e-4)
}

func wave(n int, f float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Sin(f * float64(i)))
	}
	return x
}

func differ(what string, got, want []float32, tolerance float64) error {
	largest := 0.0
	for _, v := range want {
		largest = max(largest, math.Abs(float64(v)))
	}
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= tolerance*largest) {
			return fmt.Errorf("%s: value %d is %g, want %g", what, i, got[i], want[i])
		}
	}
	return nil
}

// PeakGFLOPs measures what a large matrix product reaches, in 10^9 operations a
// second: the best of a few runs on each of several shapes, with bf16 inputs or
// float32 ones. It takes about a second.
func PeakGFLOPs(bf16 bool) float64 {
	best := 0.0
	for _, s := range [][3]int{{2048, 2048, 2048}, {2048, 3072, 576}, {1024, 4096, 1024}} {
		best = max(best, productSpeed(bf16, s, 8, time.Hour))
	}
	return best
}

// QuickGFLOPs is PeakGFLOPs on one smaller shape, in less than half a second.
func QuickGFLOPs(bf16 bool) float64 {
	return productSpeed(bf16, [3]int{1024, 1024, 768}, 20, 300*time.Millisecond)
}

// productSpeed is the best of a few runs; after a while no more are begun.
func productSpeed(bf16 bool, shape [3]int, runs int, while time.Duration) float64 {
	m, n, k := shape[0], shape[1], shape[2]
	a, b, c := Alloc(m*k), Alloc(n*k), Alloc(m*n)
	ha, hb := AllocBF16(m*k), AllocBF16(n*k)
	defer func() {
		for _, x := range [][]float32{a, b, c} {
			Free(x)
		}
		FreeBF16(ha)
		FreeBF16(hb)
	}()
	best, start := 0.0, time.Now()
	for i := 0; i < runs && (i < 2 || time.Since(start) < while); i++ {
		began := time.Now()
		Run(func() {
			if bf16 {
				GemmBF16(false, true, m, n, k, ha, k, hb, k, 0, c, n)
			} else {
				Gemm(false, true, m, n, k, a, k, b, k, 0, c, n)
			}
		})
		if i > 0 { // the first run compiles and touches the memory
			best = max(best, 2*float64(m)*float64(n)*float64(k)/float64(time.Since(began).Nanoseconds()))
		}
	}
	return best
}
