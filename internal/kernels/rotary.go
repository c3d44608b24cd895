package kernels

import (
	"fmt"
	"math"
	"slices"
	"sync"
)

// Rotation is how positions turn the heads of queries and keys.
type Rotation struct {
	Freqs       []float32 // by how much a pair is turned from one position to the next, in radians
	Interleaved bool      // pairs are neighbours (GLM) rather than halves (Llama)
	Factor      float32   // what turned values are multiplied by; 0: nothing is
	Long        []float32 // Freqs of texts of more than Original tokens; nil: the same
	// Queries from position Original on are multiplied by 1 + Beta ln(1 + floor(position / Original)); 0: none are.
	Beta     float64
	Original int
}

// Rotate turns the first 2*len(Freqs) values of each of the first hq+hk heads, hq of
// them of queries, of x [rows, ld], in place: pair i of row t by the angle
// positions[t]*Freqs[i] in float32, backwards with inverse. Pairs are (i,
// i+len(Freqs)), or neighbours. lengths are those of the rows' texts; they are looked at
// where there is Long.
func Rotate(x []float32, ld, rows int, positions, lengths []int32, hq, hk, dim int, r Rotation, inverse bool) {
	needMatrix("x", len(x), rows, (hq+hk)*dim, ld)
	need("positions", len(positions), rows)
	need("a head", dim, 2*len(r.Freqs))
	last := int32(0)
	for t, p := range positions[:rows] {
		if p < 0 {
			panic(fmt.Sprintf("kernels: positions[%d] is %d, want at least 0", t, p))
		}
		last = max(last, p)
	}
	turn := func(from, to int, freqs []float32) {
		table := angles(freqs, r.Factor, int(last)+1)
		rotate(x[from*ld:], ld, to-from, positions[from:to], hq+hk, dim, table.cos, table.sin, len(freqs), r.Interleaved, inverse)
	}
	if r.Long == nil {
		turn(0, rows, r.Freqs)
	} else {
		need("lengths", len(lengths), rows)
		need("the frequencies of long texts", len(r.Long), len(r.Freqs))
		long := func(t int) bool { return int(lengths[t]) > r.Original }
		for from, to := 0, 0; from < rows; from = to {
			for to = from + 1; to < rows && long(to) == long(from); to++ {
			}
			if long(from) {
				turn(from, to, r.Long)
			} else {
				turn(from, to, r.Freqs)
			}
		}
	}
	for t, p := range positions[:rows] {
		if r.Beta != 0 && int(p) >= r.Original {
			f := float32(1 + r.Beta*math.Log1p(float64(int(p)/r.Original)))
			for i := range hq * dim {
				x[t*ld+i] *= f
			}
		}
	}
}

// Lengths is dst = those of the documents of a pack, row by row: a document ends where
// the next position is no greater.
func Lengths(dst, positions []int32) {
	for t := len(dst) - 1; t >= 0; t-- {
		if dst[t] = positions[t] + 1; t+1 < len(dst) && positions[t+1] > positions[t] {
			dst[t] = dst[t+1]
		}
	}
}

// angleTable holds the cosines and sines of position*freq, [positions, freqs].
type angleTable struct {
	freqs     []float32
	factor    float32
	positions int
	cos, sin  []float32
}

// tables are those of the frequencies seen so far: one for each model in use.
var tables struct {
	sync.Mutex
	all []*angleTable
}

// angles returns the table of frequencies and a factor for at least n positions. The angle is a
// float32 product, as in the reference implementation; cosine and sine are
// rounded, and again when they are multiplied.
func angles(freqs []float32, factor float32, n int) *angleTable {
	if factor == 0 {
		factor = 1
	}
	tables.Lock()
	defer tables.Unlock()
	var t *angleTable
	for _, known := range tables.all {
		if known.factor == factor && slices.Equal(known.freqs, freqs) {
			t = known
		}
	}
	if t == nil {
		t = &angleTable{freqs: slices.Clone(freqs), factor: factor}
		tables.all = append(tables.all, t)
	}
	if n > t.positions {
		n = max(n, 2*t.positions, 2048)
		for p := t.positions; p < n; p++ {
			for _, f := range t.freqs {
				s, c := math.Sincos(float64(float32(p) * f))
				t.cos = append(t.cos, float32(c)*factor)
				t.sin = append(t.sin, float32(s)*factor)
			}
		}
		t.positions = n
	}
	return t
}
