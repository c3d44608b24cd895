package kernels

import (
	"math"
	"slices"
	"sync"
)

// angleTable holds the cosines and sines of position*freq, [positions, freqs].
type angleTable struct {
	freqs     []float32
	positions int
	cos, sin  []float32
}

// tables are those of the frequencies seen so far: one for each model in use.
var tables struct {
	sync.Mutex
	all []*angleTable
}

// angles returns the table of freqs for at least n positions. The angle is a
// float32 product, as in the reference implementation; cosine and sine are
// rounded once.
func angles(freqs []float32, n int) *angleTable {
	tables.Lock()
	defer tables.Unlock()
	var t *angleTable
	for _, known := range tables.all {
		if slices.Equal(known.freqs, freqs) {
			t = known
		}
	}
	if t == nil {
		t = &angleTable{freqs: slices.Clone(freqs)}
		tables.all = append(tables.all, t)
	}
	if n > t.positions {
		n = max(n, 2*t.positions, 2048)
		for p := t.positions; p < n; p++ {
			for _, f := range freqs {
				s, c := math.Sincos(float64(float32(p) * f))
				t.cos = append(t.cos, float32(c))
				t.sin = append(t.sin, float32(s))
			}
		}
		t.positions = n
	}
	return t
}
