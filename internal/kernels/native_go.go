//go:build !cgo

package kernels

import (
	"runtime"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

var inUse = Info{ISA: "go", Product: "gonum", Threads: runtime.GOMAXPROCS(0)}

func home() {}

// Describe says what the kernels run on.
func Describe() Info { return inUse }

// SetThreads sets the number of processors that Go code uses; 0 means all.
func SetThreads(n int) {
	if n <= 0 {
		n = runtime.NumCPU()
	}
	runtime.GOMAXPROCS(n)
	inUse.Threads = n
}

func gemm(ta, tb bool, m, n, k int, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	gonum.Implementation{}.Sgemm(trans(ta), trans(tb), m, n, k, 1, a, lda, b, ldb, beta, c, ldc)
}

func trans(t bool) blas.Transpose {
	if t {
		return blas.Trans
	}
	return blas.NoTrans
}

func gemmBF16(ta, tb bool, m, n, k int, a []BF16, lda int, b []BF16, ldb int, beta float32, c []float32, ldc int) {
	fa, fb := make([]float32, len(a)), make([]float32, len(b))
	fromBF16(fa, a)
	fromBF16(fb, b)
	gemm(ta, tb, m, n, k, fa, lda, fb, ldb, beta, c, ldc)
}

func linearFew(y, x, w []float32, half []BF16, rows, n, k int) {
	if half != nil {
		w = make([]float32, n*k)
		fromBF16(w, half[:n*k])
	}
	gemm(false, true, rows, n, k, x, k, w, k, 0, y, n)
}

func attention(out, lse, qkv []float32, starts []int32, hidden []Gap, t, hq, hkv, dim int, scale float32, _ bool) {
	plainAttention(out, lse, qkv, starts, hidden, t, hq, hkv, dim, scale)
}
func attentionGrad(dqkv, qkv, out, lse, dout []float32, starts []int32, hidden []Gap, t, hq, hkv, dim int, scale float32, _ bool) {
	plainAttentionGrad(dqkv, qkv, out, lse, dout, starts, hidden, t, hq, hkv, dim, scale)
}

func copyFloats(dst, src []float32) { copy(dst, src) }
func zero(dst []float32)            { clear(dst) }

var (
	toBF16             = plainToBF16
	fromBF16           = plainFromBF16
	add                = plainAdd
	addRow             = plainAddRow
	sumRows            = plainSumRows
	sumSquares         = plainSumSquares
	embedding          = plainEmbedding
	embeddingGrad      = plainEmbeddingGrad
	center             = plainCenter
	rmsNorm            = plainRMSNorm
	rmsNormGrad        = plainRMSNormGrad
	rmsNormGradWeight  = plainRMSNormGradWeight
	headNorm           = plainHeadNorm
	headNormGrad       = plainHeadNormGrad
	headNormGradWeight = plainHeadNormGradWeight
	rotate             = plainRotate
	attendCached       = plainAttendCached
	cachePut           = plainCachePut
	highest            = plainHighest
	gated              = plainGated
	gatedGrad          = plainGatedGrad
	scaleFloats        = plainScale
	crossEntropy       = plainCrossEntropy
	convolve           = plainConvolve
	convolveGrad       = plainConvolveGrad
	convolveGradWeight = plainConvolveGradWeight
	deltaRule          = plainDeltaRule
	deltaRuleGrad      = plainDeltaRuleGrad
	deltaStep          = plainDeltaStep
	splitHeads         = plainSplitHeads
	gateHeads          = plainGateHeads
	gateHeadsGrad      = plainGateHeadsGrad
	adamW              = plainAdamW
	adamW8             = plainAdamW8
	fromFloat24        = plainFromFloat24
)

// Scratch and ScratchGrad are the floats that [DeltaRule] and [DeltaRuleGrad] work in.
func (d Delta) Scratch(int) int     { return 0 }
func (d Delta) ScratchGrad(int) int { return 0 }

// variants are the implementations that this machine can run, for tests.
func variants() map[string]func() { return map[string]func(){"go": func() {}} }
