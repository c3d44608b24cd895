// Package kernels does the arithmetic: matrix products, packed attention,
// norms, softmax and the optimiser's update, on plain float32 slices.
//
// The same functions exist three times: in C for AVX-512, AVX2 and other
// processors, chosen at run time ([Describe] tells which); with oneDNN for the
// matrix products where that library is installed and passes a check at start;
// and in plain Go where cgo is off.
//
// All matrices are row-major, and a product's ld is the distance between rows.
// Lengths are checked on entry; a mistake is a panic, since it is one of the
// calling code. The same inputs on the same kind of processor with the same
// number of threads give the same bytes.
//
// Calls are fastest inside [Run]: the threads that C code works on belong to
// the one operating-system thread that runs there.
package kernels

import (
	"fmt"
	"math"
	"unsafe"
)

// BF16 holds the upper half of a float32: 8 bits of exponent, 7 of mantissa.
type BF16 = uint16

// Info says what the kernels run on.
type Info struct {
	ISA        string // "avx512", "avx2", "base", or "go"
	Product    string // what does matrix products: "oneDNN 2.6.3", "own C kernels", "gonum"
	NativeBF16 bool   // the processor multiplies bf16
	FastBF16   bool   // products with bf16 inputs are faster than float32 ones
	Threads    int
	Refused    string // why an installed library is not used, or ""
}

// FewRows is the most rows for which [LinearFew] is faster than a product.
const FewRows = 24

func need(name string, have, want int) {
	if have < want {
		panic(fmt.Sprintf("kernels: %s has %d values, want %d", name, have, want))
	}
}

func needMatrix(name string, have, rows, cols, ld int) {
	if rows > 0 && cols > 0 {
		need(name, have, (rows-1)*ld+cols)
	}
}

// stored is the shape that op(X) [rows, cols] has in memory.
func stored(trans bool, rows, cols int) (int, int) {
	if trans {
		return cols, rows
	}
	return rows, cols
}

// Gemm is C = op(A) op(B) + beta C for op(A) [m, k], op(B) [k, n], C [m, n].
func Gemm(transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	checkGemm(transA, transB, m, n, k, len(a), lda, len(b), ldb, len(c), ldc)
	gemm(transA, transB, m, n, k, a, lda, b, ldb, beta, c, ldc)
}

// GemmBF16 is [Gemm] for bf16 inputs, with float32 sums. beta is 0 or 1.
func GemmBF16(transA, transB bool, m, n, k int, a []BF16, lda int, b []BF16, ldb int, beta float32, c []float32, ldc int) {
	checkGemm(transA, transB, m, n, k, len(a), lda, len(b), ldb, len(c), ldc)
	gemmBF16(transA, transB, m, n, k, a, lda, b, ldb, beta, c, ldc)
}

func checkGemm(transA, transB bool, m, n, k, a, lda, b, ldb, c, ldc int) {
	r, w := stored(transA, m, k)
	needMatrix("A", a, r, w, lda)
	r, w = stored(transB, k, n)
	needMatrix("B", b, r, w, ldb)
	needMatrix("C", c, m, n, ldc)
}

// LinearFew is y[rows, n] = x[rows, k] W[n, k]^T for a few rows, at the speed of
// reading W once. W is float32, or bf16 where half is not nil; sums are float32. With
// half and [Info].NativeBF16 the rows are rounded to bf16, as [GemmBF16] takes them. A
// row of y is the same bytes however many there are.
func LinearFew(y, x, w []float32, half []BF16, rows, n, k int) {
	need("y", len(y), rows*n)
	need("x", len(x), rows*k)
	if half != nil {
		need("half", len(half), n*k)
	} else {
		need("w", len(w), n*k)
	}
	linearFew(y, x, w, half, rows, n, k)
}

// ToBF16 rounds src to nearest even; a NaN stays one.
func ToBF16(dst []BF16, src []float32) {
	need("dst", len(dst), len(src))
	toBF16(dst, src)
}

// FromBF16 widens src, exactly.
func FromBF16(dst []float32, src []BF16) {
	need("dst", len(dst), len(src))
	fromBF16(dst, src)
}

// Add is dst = a + b; dst may be a or b.
func Add(dst, a, b []float32) {
	need("a", len(a), len(dst))
	need("b", len(b), len(dst))
	add(dst, a, b)
}

// Scale is dst = a times factor; dst may be a.
func Scale(dst, a []float32, factor float32) {
	need("a", len(a), len(dst))
	scaleFloats(dst, a, factor)
}

// AddRow is dst = a + b for a [rows, cols] and b [cols]; dst may be a.
func AddRow(dst, a, b []float32, rows, cols int) {
	need("dst", len(dst), rows*cols)
	need("a", len(a), rows*cols)
	need("b", len(b), cols)
	addRow(dst, a, b, rows, cols)
}

// SumRows is dst [cols] = the sum of the rows of a [rows, cols], added to what
// is there with accumulate.
func SumRows(dst, a []float32, rows, cols int, accumulate bool) {
	need("dst", len(dst), cols)
	need("a", len(a), rows*cols)
	sumRows(dst, a, rows, cols, accumulate)
}

// Copy is dst = src.
func Copy(dst, src []float32) {
	need("src", len(src), len(dst))
	copyFloats(dst, src)
}

// Zero is dst = 0.
func Zero(dst []float32) { zero(dst) }

// SumSquares is the sum of x*x in float64.
func SumSquares(x []float32) float64 { return sumSquares(x) }

// AllFinite reports whether x has neither NaN nor infinity. It takes no threads: files are read by several, each of which would get
// some of its own.
func AllFinite(x []float32) bool {
	const exponents, lowest = 0x7f80_0000_7f80_0000, 0x0080_0000_0080_0000
	var carries uint64 // into the sign of a value whose exponent is all ones
	for _, two := range unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(x))), len(x)/2) {
		carries |= two&exponents + lowest
	}
	for _, v := range x[len(x)/2*2:] {
		carries |= uint64(math.Float32bits(v)&0x7f80_0000 + 0x80_0000)
	}
	return carries&0x8000_0000_8000_0000 == 0
}

// AllFiniteBF16 is [AllFinite] for bf16 values.
func AllFiniteBF16(x []BF16) bool {
	const exponents, lowest = 0x7f80_7f80_7f80_7f80, 0x0080_0080_0080_0080
	var carries uint64 // into the sign of a value whose exponent is all ones
	for _, four := range unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(x))), len(x)/4) {
		carries |= four&exponents + lowest
	}
	for _, v := range x[len(x)/4*4:] {
		carries |= uint64(v&0x7f80 + 0x80)
	}
	return carries&0x8000_8000_8000_8000 == 0
}

// Highest gives for each row of x [len(at), cols] the position of its highest
// value, the first of equal ones, or -1 for a row with a NaN or infinity.
func Highest(at []int32, x []float32, cols int) {
	need("x", len(x), len(at)*cols)
	if len(at) > 0 {
		highest(at, x, cols)
	}
}

// Embedding is dst [rows, dim] = the rows of table at ids.
func Embedding(dst, table []float32, ids []int32, dim int) {
	need("dst", len(dst), len(ids)*dim)
	checkIDs(len(table)/dim, ids)
	embedding(dst, table, ids, dim)
}

// EmbeddingGrad adds the rows of g [len(ids), dim] to those of dTable at ids,
// in order.
func EmbeddingGrad(dTable []float32, ids []int32, g []float32, dim int) {
	need("g", len(g), len(ids)*dim)
	checkIDs(len(dTable)/dim, ids)
	embeddingGrad(dTable, ids, g, dim)
}

func checkIDs(rows int, ids []int32) {
	for i, id := range ids {
		if id < 0 || int(id) >= rows {
			panic(fmt.Sprintf("kernels: id %d at position %d, want 0 to %d", id, i, rows-1))
		}
	}
}

// Center is y = x - mean(x) for each row of x, y [rows, cols]; y may be x.
func Center(y, x []float32, rows, cols int) {
	need("y", len(y), rows*cols)
	need("x", len(x), rows*cols)
	center(y, x, rows, cols)
}

// RMSNorm is y = x / sqrt(mean(x^2) + eps) * w for x, y [rows, cols], w [cols].
func RMSNorm(y, x, w []float32, rows, cols int, eps float32) {
	need("y", len(y), rows*cols)
	need("x", len(x), rows*cols)
	need("w", len(w), cols)
	rmsNorm(y, x, w, rows, cols, eps)
}

// RMSNormGrad is the gradient of [RMSNorm] with regard to x, given dy; dx may
// be dy. With accumulate it is added to dx.
func RMSNormGrad(dx, x, w, dy []float32, rows, cols int, eps float32, accumulate bool) {
	need("dx", len(dx), rows*cols)
	need("x", len(x), rows*cols)
	need("w", len(w), cols)
	need("dy", len(dy), rows*cols)
	rmsNormGrad(dx, x, w, dy, rows, cols, eps, accumulate)
}

// RMSNormGradWeight is the gradient of [RMSNorm] with regard to w.
func RMSNormGradWeight(dw, x, dy []float32, rows, cols int, eps float32, accumulate bool) {
	need("dw", len(dw), cols)
	need("x", len(x), rows*cols)
	need("dy", len(dy), rows*cols)
	rmsNormGradWeight(dw, x, dy, rows, cols, eps, accumulate)
}

// Groups are the values of a row that are normed together: Q times QDim values with
// one set of weights, then K times KDim with another. Rest values behind them stay.
type Groups struct{ Q, QDim, K, KDim, Rest int }

// Width is the values of a row.
func (g Groups) Width() int { return g.Q*g.QDim + g.K*g.KDim + g.Rest }

// HeadNorm is [RMSNorm] over each group of x [rows, g.Width()], with weights w
// [QDim+KDim]. y may be x.
func HeadNorm(y, x, w []float32, rows int, g Groups, eps float32) {
	need("y", len(y), rows*g.Width())
	need("x", len(x), rows*g.Width())
	need("w", len(w), g.QDim+g.KDim)
	headNorm(y, x, w, rows, g, eps)
}

// HeadNormGrad is the gradient of [HeadNorm] with regard to x; dx may be dy.
func HeadNormGrad(dx, x, w, dy []float32, rows int, g Groups, eps float32) {
	need("dx", len(dx), rows*g.Width())
	need("x", len(x), rows*g.Width())
	need("dy", len(dy), rows*g.Width())
	need("w", len(w), g.QDim+g.KDim)
	headNormGrad(dx, x, w, dy, rows, g, eps)
}

// HeadNormGradWeight is the gradient of [HeadNorm] with regard to w.
func HeadNormGradWeight(dw, x, dy []float32, rows int, g Groups, eps float32, accumulate bool) {
	need("dw", len(dw), g.QDim+g.KDim)
	need("x", len(x), rows*g.Width())
	need("dy", len(dy), rows*g.Width())
	headNormGradWeight(dw, x, dy, rows, g, eps, accumulate)
}

// tileRows is t rounded up to whole tiles of attention.
func tileRows(t int) int { return (t + 63) / 64 * 64 }

// Gap is a run of rows: the first of them, and the one behind the last.
type Gap = [2]int32

// Attention is packed causal attention: row t of out [T, hq*dim] is the mean of
// the value rows starts[t]..t weighted by softmax(scale q.k), head by head; lse
// [hq, T] receives the log of the softmax's denominator. qkv [T, (hq+2*hkv)*dim]
// holds query heads, key heads, value heads. starts must not decrease: where a
// document begins, or a window's first row if that lies further on. hidden, unless it is
// nil, says of each row which of those behind its start it does not see. With
// bf16 the inputs of products are rounded where the processor multiplies bf16
// natively; softmax and sums are float32.
func Attention(out, lse, qkv []float32, starts []int32, hidden []Gap, t, hq, hkv, dim int, scale float32, bf16 bool) {
	checkAttention(len(out), len(lse), len(qkv), starts, hidden, t, hq, hkv, dim)
	attention(out, lse, qkv, starts, hidden, t, hq, hkv, dim, scale, bf16)
}

// Windowed is dst = the first rows that rows see whose documents begin at starts, and
// that see window rows at most, their own included.
func Windowed(dst, starts []int32, window int) {
	need("dst", len(dst), len(starts))
	for i, s := range starts {
		dst[i] = max(s, int32(i-window+1))
	}
}

// AttentionGrad overwrites dqkv with the gradient of [Attention] with regard to
// qkv, given its results and dout [T, hq*dim].
func AttentionGrad(dqkv, qkv, out, lse, dout []float32, starts []int32, hidden []Gap, t, hq, hkv, dim int, scale float32, bf16 bool) {
	checkAttention(len(out), len(lse), len(qkv), starts, hidden, t, hq, hkv, dim)
	need("dqkv", len(dqkv), t*(hq+2*hkv)*dim)
	need("dout", len(dout), t*hq*dim)
	attentionGrad(dqkv, qkv, out, lse, dout, starts, hidden, t, hq, hkv, dim, scale, bf16)
}

// Scratch is the floats of memory that kernels keep for themselves once they have
// run with these sizes: attention over t tokens, and products with bf16 inputs of
// at most widened values, where the processor has none.
func Scratch(t, hkv, dim, widened int) int {
	n := max(hkv, 2*inUse.Threads+2) * tileRows(t) * dim
	if !inUse.NativeBF16 {
		n += widened
	}
	return n
}

func checkAttention(out, lse, qkv int, starts []int32, hidden []Gap, t, hq, hkv, dim int) {
	need("out", out, t*hq*dim)
	need("lse", lse, hq*t)
	need("qkv", qkv, t*(hq+2*hkv)*dim)
	need("starts", len(starts), t)
	last := int32(0)
	for i, s := range starts[:t] {
		if s < last || int(s) > i {
			panic(fmt.Sprintf("kernels: starts[%d] is %d, want %d to %d", i, s, last, i))
		}
		last = s
	}
	if hidden == nil {
		return
	}
	need("hidden", len(hidden), t)
	for i, g := range hidden[:t] {
		if g != (Gap{}) && (g[0] < starts[i] || g[1] < g[0] || int(g[1]) > i) {
			panic(fmt.Sprintf("kernels: hidden[%d] is %v, want rows from %d on and before %d", i, g, starts[i], i))
		}
	}
}

// Gated is y [rows, f] = act(gate) * up, the halves of gu [rows, 2f]. act(x) is x
// sigmoid(x) (SiLU), or with gelu x sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)), which is
// 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
func Gated(y, gu []float32, rows, f int, gelu bool) {
	need("y", len(y), rows*f)
	need("gu", len(gu), rows*2*f)
	gated(y, gu, rows, f, gelu)
}

// GatedGrad is the gradient of [Gated]; dgu may be gu.
func GatedGrad(dgu, gu, dy []float32, rows, f int, gelu bool) {
	need("dgu", len(dgu), rows*2*f)
	need("gu", len(gu), rows*2*f)
	need("dy", len(dy), rows*f)
	gatedGrad(dgu, gu, dy, rows, f, gelu)
}

// CrossEntropy sets nll [rows] to -ln softmax(logits)[target] for each row of
// logits [rows, v] and, with grad, overwrites the logits with weights times its
// gradient. A row with target -1 or weight 0 gets 0 throughout.
func CrossEntropy(logits []float32, rows, v int, targets []int32, weights []float32, nll []float64, grad bool) {
	need("logits", len(logits), rows*v)
	need("weights", len(weights), rows)
	need("nll", len(nll), rows)
	need("targets", len(targets), rows)
	for i, id := range targets[:rows] {
		if int(id) >= v {
			panic(fmt.Sprintf("kernels: target %d of row %d, want below %d", id, i, v))
		}
	}
	crossEntropy(logits, rows, v, targets, weights, nll, grad)
}

// AdamWStep are the numbers of one update.
type AdamWStep struct {
	Rate, Beta1, Beta2, Eps, Decay float64
	GradScale                      float64 // multiplies the gradient first
	Step                           int     // from 1
}

// AdamW updates weights p and moments m, v with gradient g, as torch.optim.AdamW
// does, and zeroes g; half, unless nil, receives the new weights in bf16.
func AdamW(p, g, m, v []float32, half []BF16, s AdamWStep) {
	need("g", len(g), len(p))
	need("m", len(m), len(p))
	need("v", len(v), len(p))
	if half != nil {
		need("half", len(half), len(p))
	}
	adamW(p, g, m, v, half, s)
}
