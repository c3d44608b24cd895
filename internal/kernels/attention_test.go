package kernels

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

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
	"branches in documents of 90":   func(t int) []int32 { return startsOf(t, func(i int) bool { return i%90 == 0 }) },
	"a branch behind a long answer": func(t int) []int32 { return make([]int32, t) },
}

// gaps are what rows of packs with branches do not see.
var gaps = map[string]func(row int) Gap{
	"branches in documents of 90": func(row int) Gap {
		start, in := int32(row/90*90), row%90
		switch {
		case in >= 60:
			return Gap{start + 7, start + 60}
		case in >= 31:
			return Gap{start + 7, start + 31}
		}
		return Gap{}
	},
	"a branch behind a long answer": func(row int) Gap {
		if row < 215 {
			return Gap{}
		}
		return Gap{5, 215} // whole tiles of it
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
				st, hidden := starts(n), []Gap(nil)
				if gap := gaps[name]; gap != nil {
					hidden = make([]Gap, n)
					for i := range hidden {
						hidden[i] = gap(i)
					}
				}
				out, outWant := make([]float32, n*hq*dim), make([]float32, n*hq*dim)
				lse, lseWant := make([]float32, hq*n), make([]float32, hq*n)
				plainAttention(outWant, lseWant, qkv, st, hidden, n, hq, hkv, dim, scale)
				dqkv, want := normals(len(qkv), 3), make([]float32, len(qkv))
				plainAttentionGrad(want, qkv, outWant, lseWant, dout, st, hidden, n, hq, hkv, dim, scale)
				for _, bf16 := range []bool{false, true} {
					loose := 1.0
					if bf16 && Describe().NativeBF16 {
						loose = 4000 // half a unit of bf16 is 2^-9, of float32 2^-24
					}
					Attention(out, lse, qkv, st, hidden, n, hq, hkv, dim, scale, bf16)
					what := fmt.Sprintf("%v, %s, bf16 %t", s, name, bf16)
					same(t, "output, "+what, out, outWant, 2e-6*loose)
					same(t, "lse, "+what, lse, lseWant, 2e-6*loose)
					AttentionGrad(dqkv, qkv, outWant, lseWant, dout, st, hidden, n, hq, hkv, dim, scale, bf16)
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
				AttendCached(got, slices.Concat(last, last), width, []Cached{{full, n, 0}, {fresh, 1, 0}}, hq, hkv, dim, scale)
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

// Texts of several lengths, whose prompts are stored in two pieces, go on together
// token by token.
func TestAttentionOverCachesThatGrowEqualsTheGoOne(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		for _, s := range []struct{ hq, hkv, dim int }{
			{1, 1, 16}, {3, 3, 48}, {9, 3, 64}, {5, 1, 80}, {12, 2, 96}, {8, 1, 128}, {2, 1, 256}, {4, 2, 10},
		} {
			width, kv, scale := (s.hq+2*s.hkv)*s.dim, s.hkv*s.dim, float32(1/math.Sqrt(float64(s.dim)))
			for i := range 8 {
				half, window := i%2 == 1, []int{1 << 20, 1, 33, 150}[i/2]
				tolerance := 2e-6
				pairs := half && inUse.NativeBF16 && s.dim%16 == 0
				if pairs {
					tolerance = 3e-3 // of the softmax's weights, which have 8 bits
				}
				lengths, steps := []int{1, 40, 300, 127, 129}, 4 // windows begin within blocks and chunks, and at their ends
				texts := make([]Cached, len(lengths))
				rows := make([][]float32, len(lengths)) // qkv of all tokens of a text
				for i, n := range lengths {
					texts[i] = Cached{Cache: NewCache(n+steps, s.hkv, s.dim, half)}
					defer texts[i].Free()
					rows[i] = normals((n+steps)*width, uint64(i))
					first := n / 3
					texts[i].Put(0, rows[i][s.hq*s.dim:], width, first)
					texts[i].Put(first, rows[i][first*width+s.hq*s.dim:], width, n-first)
				}
				for step := range steps {
					var qkv []float32
					for i, n := range lengths {
						texts[i].Tokens, texts[i].First = n+step+1, max(0, n+step+1-window)
						qkv = append(qkv, rows[i][(n+step)*width:][:width]...)
					}
					got := make([]float32, len(lengths)*s.hq*s.dim)
					AttendCached(got, normals(len(qkv), 9), width, texts, s.hq, s.hkv, s.dim, scale) // is stored over
					AttendCached(got, qkv, width, texts, s.hq, s.hkv, s.dim, scale)
					for i, n := range lengths {
						var keys, values []float32
						for r := texts[i].First; r < texts[i].Tokens; r++ {
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
						plainAttendOne(want, query, keys, values, texts[i].Tokens-texts[i].First, s.hq, s.hkv, s.dim, scale)
						what := fmt.Sprintf("%+v, half %t, window %d, text %d, step %d", s, half, window, i, step)
						same(t, what, got[i*s.hq*s.dim:][:s.hq*s.dim], want, tolerance)
					}
				}
			}
		}
	})
}
