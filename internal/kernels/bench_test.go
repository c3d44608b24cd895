package kernels

import (
	"fmt"
	"syscall"
	"testing"
)

// BenchmarkAttention is a layer of SmolLM2-135M's attention on one document,
// forward and backward, in the operations that a causal mask leaves.
func BenchmarkAttention(b *testing.B) {
	const hq, hkv, dim = 9, 3, 64
	for _, n := range []int{2048, 8192} {
		for _, bf16 := range []bool{false, true} {
			qkv, dout := normals(n*(hq+2*hkv)*dim, 1), normals(n*hq*dim, 2)
			out, lse, dqkv, starts := make([]float32, n*hq*dim), make([]float32, hq*n), make([]float32, len(qkv)), make([]int32, n)
			flops := 2 * float64(n) * float64(n) * hq * dim
			run := func(name string, times float64, f func()) {
				b.Run(fmt.Sprintf("%s/tokens=%d/bf16=%t", name, n, bf16), func(b *testing.B) {
					Run(func() {
						f()
						b.ResetTimer()
						for range b.N {
							f()
						}
					})
					b.ReportMetric(times*flops*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
				})
			}
			run("forward", 1, func() { Attention(out, lse, qkv, starts, nil, n, hq, hkv, dim, 0.125, bf16) })
			run("backward", 2.5, func() { AttentionGrad(dqkv, qkv, out, lse, dout, starts, nil, n, hq, hkv, dim, 0.125, bf16) })
		}
	}
}

// BenchmarkLinearFew is the product with SmolLM2-135M's head, which does not fit
// into any cache, for a few rows.
func BenchmarkLinearFew(b *testing.B) {
	const n, k = 49152, 576
	w := Alloc(n * k)
	half := AllocBF16(n * k)
	defer Free(w)
	defer FreeBF16(half)
	copy(w, normals(n*k, 1))
	ToBF16(half, w)
	for _, rows := range []int{1, 2, 4, 8, 12, 16, 24, 32} {
		x, y := normals(rows*k, 2), make([]float32, rows*n)
		for _, bf16 := range []bool{false, true} {
			b.Run(fmt.Sprintf("rows=%d/bf16=%t", rows, bf16), func(b *testing.B) {
				h, bytes := half, 2
				if !bf16 {
					h, bytes = nil, 4
				}
				Run(func() {
					LinearFew(y, x, w, h, rows, n, k)
					b.ResetTimer()
					for range b.N {
						LinearFew(y, x, w, h, rows, n, k)
					}
				})
				b.ReportMetric(float64(b.N)*float64(bytes*n*k)/float64(b.Elapsed().Nanoseconds()), "GB/s")
			})
		}
	}
}

// BenchmarkAttendCached is the attention of a token of 16 texts in 30 layers, whose
// caches do not fit into the processor's: SmolLM2-135M's heads, 256 tokens each.
func BenchmarkAttendCached(b *testing.B) {
	const texts, layers, tokens, hq, hkv, dim = 16, 30, 256, 9, 3, 64
	for _, half := range []bool{false, true} {
		b.Run(fmt.Sprintf("bf16=%t", half), func(b *testing.B) {
			all := make([][]Cached, layers)
			for l := range all {
				for range texts {
					c := NewCache(tokens, hkv, dim, half)
					defer c.Free()
					all[l] = append(all[l], Cached{c, tokens, 0})
				}
			}
			kv := normals(tokens*2*hkv*dim, 1)
			for _, layer := range all {
				for _, c := range layer {
					c.Put(0, kv, 2*hkv*dim, tokens)
				}
			}
			qkv, out := normals(texts*(hq+2*hkv)*dim, 2), make([]float32, texts*hq*dim)
			Run(func() {
				b.ResetTimer()
				for range b.N {
					for _, c := range all {
						AttendCached(out, qkv, (hq+2*hkv)*dim, c, hq, hkv, dim, 0.125)
					}
				}
			})
			bytes := 2 * texts * layers * tokens * hkv * dim * 4
			if half {
				bytes /= 2
			}
			b.ReportMetric(float64(b.N)*float64(bytes)/float64(b.Elapsed().Nanoseconds()), "GB/s")
		})
	}
}

// BenchmarkWindow is attention on a text of 8,192 tokens by a window of 512, forward and backward on one thread, with the
// time that the processor works. Of the same without a window it is about an eighth.
func BenchmarkWindow(b *testing.B) {
	const n, hq, hkv, dim = 8192, 4, 1, 64
	before := Describe().Threads
	SetThreads(1)
	defer SetThreads(before)
	qkv, dout := normals(n*(hq+2*hkv)*dim, 1), normals(n*hq*dim, 2)
	out, lse, dqkv, starts := make([]float32, n*hq*dim), make([]float32, hq*n), make([]float32, len(qkv)), make([]int32, n)
	for _, window := range []int{n, 512} {
		for _, bf16 := range []bool{false, true} {
			b.Run(fmt.Sprintf("window=%d/bf16=%t", window, bf16), func(b *testing.B) {
				Windowed(starts, make([]int32, n), window)
				began := userTime(b)
				Run(func() {
					for range b.N {
						Attention(out, lse, qkv, starts, nil, n, hq, hkv, dim, 0.125, bf16)
						AttentionGrad(dqkv, qkv, out, lse, dout, starts, nil, n, hq, hkv, dim, 0.125, bf16)
					}
				})
				b.ReportMetric(float64(userTime(b)-began)/float64(b.N)/1e6, "user-ms/op")
			})
		}
	}
}

// userTime is how long the program has worked, in nanoseconds.
func userTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano()
}
