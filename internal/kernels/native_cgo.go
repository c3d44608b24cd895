//go:build cgo

package kernels

/*
#cgo CFLAGS: -O3 -std=gnu11 -fopenmp -Wall
#cgo LDFLAGS: -fopenmp -ldl -lm
#include "native.h"
#include "onednn.h"
*/
import "C"

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"unsafe"
)

// inUse is found out on start, before any other code can call a kernel.
var inUse Info

func init() { inUse = detect() }

// home makes the calling thread the one whose OpenMP workers stay.
func home() { C.lw_home() }

func detect() Info {
	names := []string{"base", "avx2", "avx512"}
	level := int(C.lw_best())
	if want := slices.Index(names, os.Getenv("LWTRAIN_ISA")); want >= 0 {
		level = min(level, want)
	}
	C.lw_select(C.int(level))
	info := Info{ISA: names[level], Product: "own C kernels"}
	SetThreads(0)
	info.Threads = inUse.Threads
	if os.Getenv("LWTRAIN_NO_ONEDNN") != "" {
		info.Refused = "LWTRAIN_NO_ONEDNN is set"
		return info
	}
	var v C.int
	if C.lw_onednn_open(&v) == 0 {
		return info
	}
	name := fmt.Sprintf("oneDNN %d.%d.%d", v/10000, v/100%100, v%100)
	if err := checkLibrary(); err != nil {
		info.Refused = name + ": " + err.Error()
		return info
	}
	useLibrary, info.Product = true, name
	info.NativeBF16 = C.lw_has_bf16() != 0 && level == len(names)-1
	info.FastBF16 = info.NativeBF16 && C.lw_has_fast_bf16() != 0
	return info
}

// variants are the implementations that this machine can run, for tests, which can
// not use cgo themselves: one for each instruction set, and one whose products are
// oneDNN's. Each function switches to it.
func variants() map[string]func() {
	out := map[string]func(){}
	for level := 0; level <= int(C.lw_best()); level++ {
		out[[...]string{"base", "avx2", "avx512"}[level]] = func() {
			C.lw_select(C.int(level))
			useLibrary, inUse.NativeBF16 = false, false
		}
	}
	if useLibrary {
		bf16 := inUse.NativeBF16
		out["library"] = func() {
			C.lw_select(C.lw_best())
			useLibrary, inUse.NativeBF16 = true, bf16
		}
	}
	return out
}

// useLibrary: matrix products go to oneDNN.
var useLibrary bool

// Describe says what the kernels run on.
func Describe() Info { return inUse }

// SetThreads sets the number of threads of the kernels; 0 means all processors.
func SetThreads(n int) {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	inUse.Threads = n
	C.lw_threads(C.int(n))
}

// checkLibrary compares the library with our own product in all layouts, so
// that one that computes wrongly on this processor is refused.
func checkLibrary() error {
	const m, n, k = 33, 48, 65
	a, b := make([]float32, m*k), make([]float32, k*n)
	for i := range a {
		a[i] = float32(math.Sin(float64(i)))
	}
	for i := range b {
		b[i] = float32(math.Cos(float64(i) * 0.7))
	}
	ha, hb := make([]BF16, len(a)), make([]BF16, len(b))
	toBF16(ha, a)
	toBF16(hb, b)
	fromBF16(a, ha) // so that both formats have the same inputs, and products the same results
	fromBF16(b, hb)
	for _, layout := range []string{"NN", "NT", "TN"} {
		ta, tb := layout[0] == 'T', layout[1] == 'T'
		lda, ldb := k, n
		if ta {
			lda = m
		}
		if tb {
			ldb = k
		}
		got, want := make([]float32, m*n), make([]float32, m*n)
		ownGemm(ta, tb, m, n, k, a, lda, b, ldb, 0, want, n)
		if libraryGemm(ta, tb, m, n, k, a, lda, b, ldb, 0, got, n) != 0 || !near(got, want, 1e-5) {
			return fmt.Errorf("its float32 product (%s) is wrong on this processor", layout)
		}
		for _, beta := range []float32{0, 1} {
			if C.lw_has_bf16() == 0 {
				break // emulated there, and never used
			}
			if libraryBF16(ta, tb, m, n, k, ha, lda, hb, ldb, beta, got, n) != 0 || !near(got, want, 1e-5) {
				return fmt.Errorf("its bf16 product (%s) is wrong on this processor", layout)
			}
			for i := range want {
				want[i] *= 2
			}
		}
	}
	return nil
}

// near reports whether got is want to within tolerance of the largest value.
func near(got, want []float32, tolerance float64) bool {
	largest := 0.0
	for _, v := range want {
		largest = max(largest, math.Abs(float64(v)))
	}
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= tolerance*largest) {
			return false
		}
	}
	return true
}

func cf(x []float32) *C.float  { return (*C.float)(unsafe.Pointer(unsafe.SliceData(x))) }
func cd(x []float64) *C.double { return (*C.double)(unsafe.Pointer(unsafe.SliceData(x))) }
func ci(x []int32) *C.int32_t  { return (*C.int32_t)(unsafe.Pointer(unsafe.SliceData(x))) }
func cg(x []Gap) *C.int32_t    { return (*C.int32_t)(unsafe.Pointer(unsafe.SliceData(x))) }
func ch(x []BF16) *C.uint16_t  { return (*C.uint16_t)(unsafe.Pointer(unsafe.SliceData(x))) }
func n64(n int) C.int64_t      { return C.int64_t(n) }
func cb(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

// scratch is memory that kernels work in; one call at a time uses it.
var scratch []float32

func scratchOf(n int) []float32 {
	if len(scratch) < n {
		Free(scratch)
		scratch = Alloc(n)
	}
	return scratch
}

func gemm(ta, tb bool, m, n, k int, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	if useLibrary {
		if status := libraryGemm(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc); status != 0 {
			panic(fmt.Sprintf("kernels: %s: matrix product failed with status %d", inUse.Product, status))
		}
		return
	}
	ownGemm(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc)
}

func libraryGemm(ta, tb bool, m, n, k int, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) int {
	return int(C.lw_onednn_sgemm(cb(ta), cb(tb), n64(m), n64(n), n64(k), cf(a), n64(lda), cf(b), n64(ldb), C.float(beta), cf(c),
		n64(ldc)))
}

func libraryBF16(ta, tb bool, m, n, k int, a []BF16, lda int, b []BF16, ldb int, beta float32, c []float32, ldc int) int {
	return int(C.lw_onednn_bf16(cb(ta), cb(tb), n64(m), n64(n), n64(k), ch(a), n64(lda), ch(b), n64(ldb), C.float(beta), cf(c), n64(ldc)))
}

func ownGemm(ta, tb bool, m, n, k int, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	s := scratchOf(256*3072 + 96*256*inUse.Threads)
	C.lw_gemm(cb(ta), cb(tb), n64(m), n64(n), n64(k), cf(a), n64(lda), cf(b), n64(ldb), C.float(beta), cf(c), n64(ldc), cf(s))
}

func gemmBF16(ta, tb bool, m, n, k int, a []BF16, lda int, b []BF16, ldb int, beta float32, c []float32, ldc int) {
	if inUse.NativeBF16 {
		if status := libraryBF16(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc); status != 0 {
			panic(fmt.Sprintf("kernels: %s: bf16 matrix product failed with status %d", inUse.Product, status))
		}
		return
	}
	// Exact in float32: only the inputs were rounded.
	wide := widened(len(a) + len(b))
	fa, fb := wide[:len(a)], wide[len(a):]
	fromBF16(fa, a)
	fromBF16(fb, b)
	gemm(ta, tb, m, n, k, fa, lda, fb, ldb, beta, c, ldc)
}

// wide is memory for inputs that were widened.
var wide []float32

func widened(n int) []float32 {
	if len(wide) < n {
		Free(wide)
		wide = Alloc(n)
	}
	return wide[:n]
}

func linearFew(y, x, w []float32, half []BF16, rows, n, k int) {
	if half != nil && inUse.NativeBF16 {
		s := scratchOf((rows + 3) / 4 * 4 * (k + 31) / 2)
		C.lw_linear_few_bf16(cf(y), cf(x), ch(half), n64(rows), n64(n), n64(k), cf(s))
		return
	}
	C.lw_linear_few(cf(y), cf(x), cf(w), ch(half), n64(rows), n64(n), n64(k), cf(scratchOf(rows*k)))
}
func toBF16(dst []BF16, src []float32)   { C.lw_to_bf16(ch(dst), cf(src), n64(len(src))) }
func fromBF16(dst []float32, src []BF16) { C.lw_from_bf16(cf(dst), ch(src), n64(len(src))) }
func add(dst, a, b []float32)            { C.lw_add(cf(dst), cf(a), cf(b), n64(len(dst))) }
func scaleFloats(dst, src []float32, f float32) {
	C.lw_scale(cf(dst), cf(src), C.float(f), n64(len(dst)))
}
func copyFloats(dst, src []float32) { C.lw_copy(cf(dst), cf(src), n64(len(dst))) }
func zero(dst []float32)            { C.lw_zero(cf(dst), n64(len(dst))) }
func addRow(dst, a, b []float32, rows, cols int) {
	C.lw_add_row(cf(dst), cf(a), cf(b), n64(rows), n64(cols))
}
func sumRows(dst, a []float32, rows, cols int, accumulate bool) {
	C.lw_sum_rows(cf(dst), cf(a), n64(rows), n64(cols), cb(accumulate))
}
func sumSquares(x []float32) float64 {
	var out C.double
	C.lw_sum_squares(&out, cf(x), n64(len(x)))
	return float64(out)
}
func embedding(dst, table []float32, ids []int32, dim int) {
	C.lw_embedding(cf(dst), cf(table), ci(ids), n64(len(ids)), n64(dim))
}
func embeddingGrad(dTable []float32, ids []int32, g []float32, dim int) {
	C.lw_embedding_grad(cf(dTable), ci(ids), cf(g), n64(len(ids)), n64(dim))
}
func center(y, x []float32, rows, cols int) {
	C.lw_center(cf(y), cf(x), n64(rows), n64(cols))
}
func rmsNorm(y, x, w []float32, rows, cols int, eps float32) {
	C.lw_rms_norm(cf(y), cf(x), cf(w), n64(rows), n64(cols), C.float(eps))
}
func rmsNormGrad(dx, x, w, dy []float32, rows, cols int, eps float32, accumulate bool) {
	C.lw_rms_norm_grad(cf(dx), cf(x), cf(w), cf(dy), n64(rows), n64(cols), C.float(eps), cb(accumulate))
}
func rmsNormGradWeight(dw, x, dy []float32, rows, cols int, eps float32, accumulate bool) {
	C.lw_rms_norm_grad_weight(cf(dw), cf(x), cf(dy), n64(rows), n64(cols), C.float(eps), cb(accumulate))
}
func headNorm(y, x, w []float32, rows int, g Groups, eps float32) {
	C.lw_head_norm(cf(y), cf(x), cf(w), n64(rows), n64(g.Q), n64(g.QDim), n64(g.K), n64(g.KDim), n64(g.Rest), C.float(eps))
}
func headNormGrad(dx, x, w, dy []float32, rows int, g Groups, eps float32) {
	C.lw_head_norm_grad(cf(dx), cf(x), cf(w), cf(dy), n64(rows),
		n64(g.Q), n64(g.QDim), n64(g.K), n64(g.KDim), n64(g.Rest), C.float(eps))
}
func headNormGradWeight(dw, x, dy []float32, rows int, g Groups, eps float32, accumulate bool) {
	C.lw_head_norm_grad_weight(cf(dw), cf(x), cf(dy), n64(rows),
		n64(g.Q), n64(g.QDim), n64(g.K), n64(g.KDim), n64(g.Rest), C.float(eps), cb(accumulate))
}
func rotate(x []float32, ld, rows int, positions []int32, heads, dim int, cos, sin []float32, half int, interleaved, inverse bool) {
	C.lw_rotate(cf(x), n64(ld), n64(rows), ci(positions), n64(heads), n64(dim), cf(cos), cf(sin), n64(half), cb(interleaved), cb(inverse))
}

// tiled reports whether the tiled attention kernels take a head size.
func tiled(dim int) bool { return dim%16 == 0 && dim <= 256 }

func attention(out, lse, qkv []float32, starts []int32, hidden []Gap, t, hq, hkv, dim int, scale float32, bf16 bool) {
	if !tiled(dim) {
		plainAttention(out, lse, qkv, starts, hidden, t, hq, hkv, dim, scale)
		return
	}
	s := scratchOf(hkv * tileRows(t) * dim)
	if bf16 && inUse.NativeBF16 {
		C.lw_attention_bf16(cf(out), cf(lse), cf(qkv), ci(starts), cg(hidden), n64(t), n64(hq), n64(hkv), n64(dim), C.float(scale), cf(s))
		return
	}
	C.lw_attention(cf(out), cf(lse), cf(qkv), ci(starts), cg(hidden), n64(t), n64(hq), n64(hkv), n64(dim), C.float(scale), cf(s))
}
func attentionGrad(dqkv, qkv, out, lse, dout []float32, starts []int32, hidden []Gap, t, hq, hkv, dim int, scale float32, bf16 bool) {
	if !tiled(dim) {
		plainAttentionGrad(dqkv, qkv, out, lse, dout, starts, hidden, t, hq, hkv, dim, scale)
		return
	}
	if bf16 && inUse.NativeBF16 {
		s := scratchOf((4*inUse.Threads + 3) * tileRows(t) * dim / 2)
		C.lw_attention_grad_bf16(cf(dqkv), cf(qkv), cf(out), cf(lse), cf(dout), ci(starts), cg(hidden),
			n64(t), n64(hq), n64(hkv), n64(dim), C.float(scale), cf(s))
		return
	}
	s := scratchOf(2 * inUse.Threads * tileRows(t) * dim)
	C.lw_attention_grad(cf(dqkv), cf(qkv), cf(out), cf(lse), cf(dout), ci(starts), cg(hidden),
		n64(t), n64(hq), n64(hkv), n64(dim), C.float(scale), cf(s))
}
func highest(at []int32, x []float32, cols int) {
	C.lw_highest(ci(at), cf(x), n64(len(at)), n64(cols))
}

// cached is c for C, which sees pointers into memory outside of the Go heap only.
func cached(c Cache, tokens int) C.struct_lw_cached {
	keys, values := unsafe.Pointer(cf(c.keys)), unsafe.Pointer(cf(c.values))
	if c.keys == nil {
		keys, values = unsafe.Pointer(ch(c.halfKeys)), unsafe.Pointer(ch(c.halfValues))
	}
	return C.struct_lw_cached{keys: keys, values: values, tokens: n64(tokens), room: n64(c.room)}
}
func cachePut(c Cache, at int, kv []float32, ld, rows int) {
	C.lw_cache_put(cached(c, at), cf(kv), n64(ld), n64(rows), n64(c.heads), n64(c.dim), cb(c.keys == nil))
}
func attendCached(out, qkv []float32, ld int, texts []Cached, hq, hkv, dim int, scale float32) {
	if !tiled(dim) || hq%hkv != 0 {
		plainAttendCached(out, qkv, ld, texts, hq, hkv, dim, scale)
		return
	}
	in := make([]C.struct_lw_cached, len(texts))
	longest := 0
	for i, t := range texts {
		longest = max(longest, t.Tokens-t.First/(2*cacheBlock)*(2*cacheBlock)) // as base does
		in[i] = cached(t.Cache, t.Tokens)
		in[i].first = n64(t.First)
	}
	format := C.int(C.FLOATS)
	if texts[0].keys == nil {
		format = C.HALVES
		if inUse.NativeBF16 {
			format = C.PAIRS
		}
	}
	chunks := (longest + C.LW_CHUNK - 1) / C.LW_CHUNK
	s := scratchOf(len(texts) * chunks * hq * (dim + 2))
	C.lw_attend_cached(cf(out), cf(qkv), n64(ld), &in[0], n64(len(texts)), n64(longest), format,
		n64(hq), n64(hkv), n64(dim), C.float(scale), cf(s))
}
func gated(y, gu []float32, rows, f int, gelu bool) {
	C.lw_gated(cf(y), cf(gu), n64(rows), n64(f), cb(gelu))
}
func gatedGrad(dgu, gu, dy []float32, rows, f int, gelu bool) {
	C.lw_gated_grad(cf(dgu), cf(gu), cf(dy), n64(rows), n64(f), cb(gelu))
}
func crossEntropy(logits []float32, rows, v int, targets []int32, weights []float32, nll []float64, grad bool) {
	C.lw_cross_entropy(cf(logits), n64(rows), n64(v), ci(targets), cf(weights), cd(nll), cb(grad))
}
func adamW(p, g, m, v []float32, half []BF16, s AdamWStep) {
	C.lw_adamw(cf(p), cf(g), cf(m), cf(v), ch(half), n64(len(p)), C.double(s.Rate), C.double(s.Beta1), C.double(s.Beta2),
		C.double(s.Eps), C.double(s.Decay), C.double(s.GradScale), n64(s.Step))
}

func c8(x []int8) *C.int8_t    { return (*C.int8_t)(unsafe.Pointer(unsafe.SliceData(x))) }
func cu8(x []uint8) *C.uint8_t { return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(x))) }

func adamW8(w Weights, g []float32, m Moments8, k numbers8) {
	C.lw_adamw8(cf(w.Float), ch(w.Half), c8(w.Low), cf(g), c8(m.mean), cu8(m.square), ch(m.scales), n64(len(g)), C.struct_lw_adamw8{
		keep: C.float(k.keep), size: C.float(k.size), new1: C.float(k.new1), b2: C.float(k.b2), new2: C.float(k.new2),
		eps: C.float(k.eps), scale: C.float(k.scale), root: C.float(k.root), seed: C.uint32_t(k.seed),
	})
}
func fromFloat24(dst []float32, half []BF16, low []int8) {
	C.lw_from_float24(cf(dst), ch(half), c8(low), n64(len(dst)))
}
