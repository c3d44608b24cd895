package kernels

import (
	"math"
	"runtime"
	"sync"
)

// The kernels in plain Go: all of them where cgo is off, and what the tests
// compare the C ones with. Sums are float64.

// parallel splits 0..n into one run for each processor, the same for the same
// number of processors.
func parallel(n int, f func(lo, hi int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	if workers <= 1 {
		f(0, n)
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { f(n*w/workers, n*(w+1)/workers) })
	}
	wg.Wait()
}

func plainAdd(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

func plainScale(dst, a []float32, factor float32) {
	for i := range dst {
		dst[i] = a[i] * factor
	}
}

func plainToBF16(dst []BF16, src []float32) {
	for i, v := range src {
		dst[i] = toHalf(v)
	}
}

func toHalf(x float32) BF16 {
	u := math.Float32bits(x)
	if u&0x7fffffff > 0x7f800000 {
		return BF16(u>>16) | 0x40
	}
	return BF16((u + 0x7fff + u>>16&1) >> 16)
}

func plainFromBF16(dst []float32, src []BF16) {
	for i, v := range src {
		dst[i] = toFloat(v)
	}
}

func toFloat(x BF16) float32 { return math.Float32frombits(uint32(x) << 16) }

func plainSumSquares(x []float32) float64 {
	var s float64
	for _, v := range x {
		s += float64(v) * float64(v)
	}
	return s
}

func plainAddRow(dst, a, b []float32, rows, cols int) {
	for i := range rows * cols {
		dst[i] = a[i] + b[i%cols]
	}
}

func plainSumRows(dst, a []float32, rows, cols int, accumulate bool) {
	sum := make([]float64, cols)
	for i := range rows * cols {
		sum[i%cols] += float64(a[i])
	}
	putSum(dst, sum, accumulate)
}

func putSum(dst []float32, sum []float64, accumulate bool) {
	for i, v := range sum {
		if accumulate {
			v += float64(dst[i])
		}
		dst[i] = float32(v)
	}
}

func plainEmbedding(dst, table []float32, ids []int32, dim int) {
	for i, id := range ids {
		copy(dst[i*dim:(i+1)*dim], table[int(id)*dim:])
	}
}

func plainEmbeddingGrad(dTable []float32, ids []int32, g []float32, dim int) {
	for i, id := range ids {
		to := dTable[int(id)*dim:]
		for c := range dim {
			to[c] += g[i*dim+c]
		}
	}
}

func inverseRMS(x []float32, eps float32) float64 {
	return 1 / math.Sqrt(plainSumSquares(x)/float64(len(x))+float64(eps))
}

func plainCenter(y, x []float32, rows, cols int) {
	for r := range rows {
		row := x[r*cols : (r+1)*cols]
		mean := 0.0
		for _, v := range row {
			mean += float64(v)
		}
		mean /= float64(cols)
		for c, v := range row {
			y[r*cols+c] = float32(float64(v) - mean)
		}
	}
}

func plainRMSNorm(y, x, w []float32, rows, cols int, eps float32) {
	parallel(rows, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			row := x[r*cols : (r+1)*cols]
			s := inverseRMS(row, eps)
			for c, v := range row {
				y[r*cols+c] = float32(float64(v) * s * float64(w[c]))
			}
		}
	})
}

func plainRMSNormGrad(dx, x, w, dy []float32, rows, cols int, eps float32, accumulate bool) {
	parallel(rows, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			row, g := x[r*cols:(r+1)*cols], dy[r*cols:(r+1)*cols]
			s := inverseRMS(row, eps)
			var inner float64
			for c, v := range row {
				inner += float64(g[c]) * float64(w[c]) * float64(v)
			}
			inner *= s * s * s / float64(cols)
			for c, v := range row {
				d := float64(g[c])*float64(w[c])*s - float64(v)*inner
				if accumulate {
					d += float64(dx[r*cols+c])
				}
				dx[r*cols+c] = float32(d)
			}
		}
	})
}

func plainRMSNormGradWeight(dw, x, dy []float32, rows, cols int, eps float32, accumulate bool) {
	sum := make([]float64, cols)
	for r := range rows {
		row := x[r*cols : (r+1)*cols]
		s := inverseRMS(row, eps)
		for c, v := range row {
			sum[c] += float64(dy[r*cols+c]) * float64(v) * s
		}
	}
	putSum(dw, sum, accumulate)
}

func plainHeadNorm(y, x, w []float32, rows int, g Groups, eps float32) {
	width, first, normed := g.Width(), g.Q*g.QDim, g.Q*g.QDim+g.K*g.KDim
	for r := range rows {
		in, out := x[r*width:(r+1)*width], y[r*width:(r+1)*width]
		plainRMSNorm(out[:first], in[:first], w[:g.QDim], g.Q, g.QDim, eps)
		plainRMSNorm(out[first:normed], in[first:normed], w[g.QDim:], g.K, g.KDim, eps)
		copy(out[normed:], in[normed:])
	}
}

func plainHeadNormGrad(dx, x, w, dy []float32, rows int, g Groups, eps float32) {
	width, first, normed := g.Width(), g.Q*g.QDim, g.Q*g.QDim+g.K*g.KDim
	for r := range rows {
		in, from, out := x[r*width:(r+1)*width], dy[r*width:(r+1)*width], dx[r*width:(r+1)*width]
		plainRMSNormGrad(out[:first], in[:first], w[:g.QDim], from[:first], g.Q, g.QDim, eps, false)
		plainRMSNormGrad(out[first:normed], in[first:normed], w[g.QDim:], from[first:normed], g.K, g.KDim, eps, false)
		copy(out[normed:], from[normed:])
	}
}

func plainHeadNormGradWeight(dw, x, dy []float32, rows int, g Groups, eps float32, accumulate bool) {
	sum := make([]float64, g.QDim+g.KDim)
	for r := range rows {
		at := r * g.Width()
		for h := range g.Q + g.K {
			dim, to := g.QDim, sum
			if h >= g.Q {
				dim, to = g.KDim, sum[g.QDim:]
			}
			s := inverseRMS(x[at:at+dim], eps)
			for c := range dim {
				to[c] += float64(dy[at+c]) * float64(x[at+c]) * s
			}
			at += dim
		}
	}
	putSum(dw, sum, accumulate)
}

func plainRotate(x []float32, ld, rows int, positions []int32, heads, dim int, cos, sin []float32, half int, interleaved, inverse bool) {
	sign := 1.0
	if inverse {
		sign = -1
	}
	parallel(rows, func(lo, hi int) {
		for t := lo; t < hi; t++ {
			at := int(positions[t]) * half
			for h := range heads {
				head := x[t*ld+h*dim:]
				for i := range half {
					a, b := i, i+half
					if interleaved {
						a, b = 2*i, 2*i+1
					}
					c, s := float64(cos[at+i]), sign*float64(sin[at+i])
					u, v := float64(head[a]), float64(head[b])
					head[a], head[b] = float32(u*c-v*s), float32(v*c+u*s)
				}
			}
		}
	})
}

// heads addresses a fused query-key-value tensor.
type heads struct {
	qkv         []float32
	hq, hkv, dm int
}

func (a heads) at(t, head int) []float32 {
	i := (t*(a.hq+2*a.hkv) + head) * a.dm
	return a.qkv[i : i+a.dm]
}
func (a heads) query(t, h int) []float32 { return a.at(t, h) }
func (a heads) key(t, h int) []float32   { return a.at(t, a.hq+h*a.hkv/a.hq) }
func (a heads) value(t, h int) []float32 { return a.at(t, a.hq+a.hkv+h*a.hkv/a.hq) }

func dot64(a, b []float32) float64 {
	var s float64
	for i, v := range a {
		s += float64(v) * float64(b[i])
	}
	return s
}

// hides reports whether row k lies in row r's gap.
func hides(hidden []Gap, r, k int) bool {
	return hidden != nil && k >= int(hidden[r][0]) && k < int(hidden[r][1])
}

func plainAttention(out, lse, qkv []float32, starts []int32, hidden []Gap, t, hq, hkv, dim int, scale float32) {
	in := heads{qkv, hq, hkv, dim}
	parallel(t*hq, func(lo, hi int) {
		scores, sum := make([]float64, t), make([]float64, dim)
		for unit := lo; unit < hi; unit++ {
			r, h := unit/hq, unit%hq
			first := int(starts[r])
			peak := math.Inf(-1)
			for k := first; k <= r; k++ {
				if scores[k] = math.Inf(-1); hides(hidden, r, k) {
					continue
				}
				scores[k] = dot64(in.query(r, h), in.key(k, h)) * float64(scale)
				peak = math.Max(peak, scores[k])
			}
			var total float64
			clear(sum)
			for k := first; k <= r; k++ {
				p := math.Exp(scores[k] - peak)
				total += p
				for d, v := range in.value(k, h) {
					sum[d] += p * float64(v)
				}
			}
			for d, v := range sum {
				out[(r*hq+h)*dim+d] = float32(v / total)
			}
			lse[h*t+r] = float32(peak + math.Log(total))
		}
	})
}

func plainAttentionGrad(dqkv, qkv, out, lse, dout []float32, starts []int32, hidden []Gap, t, hq, hkv, dim int, scale float32) {
	in, to := heads{qkv, hq, hkv, dim}, heads{dqkv, hq, hkv, dim}
	clear(dqkv[:t*(hq+2*hkv)*dim])
	group := hq / hkv
	parallel(hkv, func(lo, hi int) {
		dk, dv := make([]float64, t*dim), make([]float64, t*dim)
		dq := make([]float64, dim)
		for g := lo; g < hi; g++ {
			clear(dk)
			clear(dv)
			for r := range t {
				for h := g * group; h < (g+1)*group; h++ {
					o, grad := out[(r*hq+h)*dim:][:dim], dout[(r*hq+h)*dim:][:dim]
					delta := dot64(o, grad)
					clear(dq)
					for k := int(starts[r]); k <= r; k++ {
						if hides(hidden, r, k) {
							continue
						}
						p := math.Exp(dot64(in.query(r, h), in.key(k, h))*float64(scale) - float64(lse[h*t+r]))
						ds := p * (dot64(grad, in.value(k, h)) - delta) * float64(scale)
						q, key := in.query(r, h), in.key(k, h)
						for d := range dim {
							dq[d] += ds * float64(key[d])
							dk[k*dim+d] += ds * float64(q[d])
							dv[k*dim+d] += p * float64(grad[d])
						}
					}
					for d, v := range dq {
						to.query(r, h)[d] = float32(v)
					}
				}
			}
			for r := range t {
				for d := range dim {
					to.key(r, g*group)[d] = float32(dk[r*dim+d])
					to.value(r, g*group)[d] = float32(dv[r*dim+d])
				}
			}
		}
	})
}

func plainAttendOne(out, q, keys, values []float32, n, hq, hkv, dim int, scale float32) {
	scores, sum := make([]float64, n), make([]float64, dim)
	for h := range hq {
		at := func(x []float32, j int) []float32 { return x[(j*hkv+h*hkv/hq)*dim:][:dim] }
		peak := math.Inf(-1)
		for j := range n {
			scores[j] = dot64(q[h*dim:(h+1)*dim], at(keys, j)) * float64(scale)
			peak = math.Max(peak, scores[j])
		}
		var total float64
		clear(sum)
		for j := range n {
			p := math.Exp(scores[j] - peak)
			total += p
			for d, v := range at(values, j) {
				sum[d] += p * float64(v)
			}
		}
		for d, v := range sum {
			out[h*dim+d] = float32(v / total)
		}
	}
}

func plainHighest(at []int32, x []float32, cols int) {
	for r := range at {
		row := x[r*cols : (r+1)*cols]
		best := 0
		for i, v := range row {
			if v > row[best] {
				best = i
			}
			if v-v != 0 {
				best = -1
				break
			}
		}
		at[r] = int32(best)
	}
}

// gate is sigmoid(z) and x z'(x) for the gate x, see [Gated].
func gate(x float64, gelu bool) (s, slope float64) {
	z, slope := x, x
	if gelu {
		z = 2 * math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x)
		slope = 2 * math.Sqrt(2/math.Pi) * (x + 3*0.044715*x*x*x)
	}
	return 1 / (1 + math.Exp(-z)), slope
}

func plainGated(y, gu []float32, rows, f int, gelu bool) {
	parallel(rows, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			for c := range f {
				g := float64(gu[r*2*f+c])
				s, _ := gate(g, gelu)
				y[r*f+c] = float32(g * s * float64(gu[r*2*f+f+c]))
			}
		}
	})
}

func plainGatedGrad(dgu, gu, dy []float32, rows, f int, gelu bool) {
	parallel(rows, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			for c := range f {
				g, u, y := float64(gu[r*2*f+c]), float64(gu[r*2*f+f+c]), float64(dy[r*f+c])
				s, slope := gate(g, gelu)
				dgu[r*2*f+c] = float32(y * u * s * (1 + slope*(1-s)))
				dgu[r*2*f+f+c] = float32(y * g * s)
			}
		}
	})
}

func plainCrossEntropy(logits []float32, rows, v int, targets []int32, weights []float32, nll []float64, grad bool) {
	parallel(rows, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			x := logits[r*v : (r+1)*v]
			if targets[r] < 0 || weights[r] == 0 {
				nll[r] = 0
				clear(x)
				continue
			}
			peak := math.Inf(-1)
			for _, l := range x {
				peak = math.Max(peak, float64(l))
			}
			var sum float64
			for _, l := range x {
				sum += math.Exp(float64(l) - peak)
			}
			nll[r] = peak + math.Log(sum) - float64(x[targets[r]])
			if grad {
				w := float64(weights[r])
				for c, l := range x {
					x[c] = float32(w * math.Exp(float64(l)-peak) / sum)
				}
				x[targets[r]] -= weights[r]
			}
		}
	})
}

func plainAdamW(p, g, m, v []float32, half []BF16, s AdamWStep) {
	bias1 := 1 - math.Pow(s.Beta1, float64(s.Step))
	bias2 := 1 - math.Pow(s.Beta2, float64(s.Step))
	parallel(len(p), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			x := float64(g[i]) * s.GradScale
			g[i] = 0
			mean := float64(m[i]) + (1-s.Beta1)*(x-float64(m[i]))
			square := s.Beta2*float64(v[i]) + (1-s.Beta2)*x*x
			m[i], v[i] = float32(mean), float32(square)
			p[i] = float32(float64(p[i])*(1-s.Rate*s.Decay) - s.Rate/bias1*mean/(math.Sqrt(square/bias2)+s.Eps))
		}
		if half != nil {
			plainToBF16(half[lo:hi], p[lo:hi])
		}
	})
}
