package graph

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// twoAdapters are one on the first rows of a matrix and one on the others.
func twoAdapters(dropout float64, magnitudes bool) func(p *Param) []*Adapter {
	r := rand.New(rand.NewPCG(3, 4))
	return func(p *Param) []*Adapter {
		param := func(name string, rows, cols int, matrix bool) *Param {
			x := &Param{Name: p.Name + name, Rows: rows, Cols: cols, Data: make([]float32, rows*cols), Grad: make([]float32, rows*cols),
				Decay: matrix}
			for i := range x.Data {
				x.Data[i] = float32(r.NormFloat64() * 0.3)
			}
			return x
		}
		var out []*Adapter
		for i, part := range [][2]int{{0, p.Rows / 3}, {p.Rows / 3, p.Rows - p.Rows/3}} {
			a := &Adapter{Row: part[0], Rows: part[1], Scale: 1.5, Dropout: dropout}
			rank, ending := 1+2*i, []string{".first", ".second"}[i]
			a.A, a.B = param(ending+".A", rank, p.Cols, true), param(ending+".B", a.Rows, rank, true)
			if magnitudes {
				a.Magnitude = param(ending+".m", 1, a.Rows, false)
				for c := range a.Magnitude.Data {
					a.Magnitude.Data[c] += 1
				}
			}
			out = append(out, a)
		}
		return out
	}
}

// drop gives every position of a toy dropout.
func (m toy) drop() {
	for t := range m.Inputs().Keys {
		m.Inputs().Keys[t] = uint64(t + 1)
	}
}

func TestGradientsOfAdaptersEqualFiniteDifferences(t *testing.T) {
	for _, c := range []struct {
		name       string
		dropout    float64
		magnitudes bool
	}{
		{"adapters", 0, false}, {"adapters with dropout", 0.3, false}, {"adapters with magnitudes", 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newAdaptedToy(13, Float32, twoAdapters(c.dropout, c.magnitudes))
			m.drop()
			_, grads := m.run(t, Options{Train: true})
			difference := m.differences(t)
			for k, p := range m.params {
				// The length of a row is a constant to the gradient, which differences know nothing of.
				moves := c.magnitudes && (strings.HasSuffix(p.Name, ".A") || strings.HasSuffix(p.Name, ".B"))
				if p.Frozen || moves {
					continue
				}
				for i := 0; i < len(p.Data); i += max(1, len(p.Data)/7) {
					want := difference(p, i)
					if diff := math.Abs(float64(grads[k][i]) - want); diff > 3e-3*math.Abs(want)+3e-4 {
						t.Errorf("d loss / d %s[%d] = %g, finite difference %g", p.Name, i, grads[k][i], want)
					}
				}
			}
		})
	}
}

func TestAdaptersAreWhatTheyAreWhenMerged(t *testing.T) {
	for _, magnitudes := range []bool{false, true} {
		m := newAdaptedToy(13, Float32, twoAdapters(0.5, magnitudes))
		loss, _ := m.run(t, Options{}) // no position has a key: no dropout
		m.Base = true
		base, _ := m.run(t, Options{})
		m.Base = false
		for _, p := range m.params {
			for _, a := range p.Adapters {
				a.Merge(p)
			}
		}
		m.Base = true
		merged, _ := m.run(t, Options{})
		if math.Abs(merged-loss) > 1e-5*math.Abs(loss) || math.Abs(base-loss) < 1e-2 {
			t.Errorf("loss %v with adapters, %v when they are merged, %v without", loss, merged, base)
		}
	}
}

func TestRecomputingAdaptersChangesNoByte(t *testing.T) {
	for _, precision := range []Precision{Float32, BFloat16} {
		m := newAdaptedToy(40, precision, twoAdapters(0.2, true))
		m.drop()
		loss, grads := m.run(t, Options{Train: true})
		for steps := 1; steps <= 6; steps++ {
			l, g := m.run(t, Options{Train: true, Recompute: steps})
			if l != loss {
				t.Errorf("%v: loss with %d steps recomputed = %v, want %v", precision, steps, l, loss)
			}
			for i := range g {
				if !slices.Equal(g[i], grads[i]) {
					t.Errorf("%v: gradient of %s differs with %d steps recomputed", precision, m.params[i].Name, steps)
				}
			}
		}
	}
}

func TestAPackedMatrixIsTheSameAsItsValues(t *testing.T) {
	whole := newAdaptedToy(13, Float32, twoAdapters(0, true))
	packed := newAdaptedToy(13, Float32, twoAdapters(0, true))
	for i, p := range packed.params {
		if p.Frozen {
			for k, h := range p.Half {
				whole.params[i].Data[k] = math.Float32frombits(uint32(h) << 16)
			}
			p.Packed, p.Data = true, nil
		}
	}
	want, wantGrads := whole.run(t, Options{Train: true})
	got, grads := packed.run(t, Options{Train: true})
	if math.Abs(got-want) > 1e-6*math.Abs(want) {
		t.Errorf("loss %v, want %v", got, want)
	}
	for i := range grads {
		for k := range grads[i] {
			if a, b := float64(grads[i][k]), float64(wantGrads[i][k]); math.Abs(a-b) > 1e-5*(1+math.Abs(b)) {
				t.Fatalf("d loss / d %s[%d] = %v, want %v", packed.params[i].Name, k, a, b)
			}
		}
	}
}

func TestDropoutDropsItsShareAndFollowsFromTheKey(t *testing.T) {
	a := &Adapter{A: &Param{Name: "a"}, Dropout: 0.25}
	d := newDropout(a)
	const k = 1 << 12
	x := make([]float32, 4*k)
	for i := range x {
		x[i] = 1
	}
	out := slices.Clone(d.apply(make([]float32, 4*k), x, []uint64{7, 8, 7, 9}, k))
	zeros := 0
	for _, v := range out {
		if v == 0 {
			zeros++
		} else if math.Abs(float64(v)-4.0/3) > 1e-6 {
			t.Fatalf("a value that stays is %v, want 4/3", v)
		}
	}
	if share := float64(zeros) / float64(len(out)); math.Abs(share-0.25) > 0.01 {
		t.Errorf("%.3f are dropped, want 0.25", share)
	}
	if !slices.Equal(out[:k], out[2*k:3*k]) || slices.Equal(out[:k], out[k:2*k]) {
		t.Error("rows of one key are to be the same, others not")
	}
	if got := d.apply(nil, x, make([]uint64, 4), k); &got[0] != &x[0] {
		t.Error("without keys there is no dropout")
	}
}
