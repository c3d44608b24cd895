package graph

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// newRecurrentToy is a toy of the other kinds of layers: the gated delta rule behind a convolution, a convolution
// between gates, attention with gates.
func newRecurrentToy(t int, precision Precision) toy {
	const vocab, width = 11, 16
	h := Heads{Q: 4, KV: 2, Dim: 4}
	d := Delta{Keys: 1, Values: 2, KeyDim: 16, ValueDim: 16, Eps: 1e-3}
	r := rand.New(rand.NewPCG(3, 4))
	out := toy{Graph: New(t, precision, nil)}
	param := func(name string, rows, cols int, around float64) *Param {
		n := rows * cols
		p := &Param{Name: name, Rows: rows, Cols: cols, Data: make([]float32, n), Grad: make([]float32, n), Half: make([]uint16, n)}
		for i := range p.Data {
			p.Data[i] = float32(around + r.NormFloat64()*0.3)
		}
		p.RefreshHalf()
		out.params = append(out.params, p)
		return p
	}
	embed := param("embed", vocab, width, 0)
	x := out.Embed(embed)
	for layer := range 3 {
		in := func(s string) string { return fmt.Sprintf("%d.%s", layer, s) }
		matrix := func(s string, rows, cols int) *Param { return param(in(s), rows, cols, 0) }
		out.BeginBlock()
		normed := out.Norm(x, param(in("norm"), 1, width, 1), 1e-5)
		var mixed *Node
		switch layer {
		case 0:
			conv := param(in("conv"), 1, d.Mixed()*4, 0)
			conv.Decay = true
			qkv := out.Convolve(out.Linear(normed, matrix("qkv", d.Mixed(), width), nil), conv, Taps{Dim: d.Mixed(), Taps: 4}, layer)
			gates := out.Linear(normed, matrix("gates", d.Gates(), width), nil)
			p := DeltaParams{param(in("a"), 1, d.Values, 0.5), param(in("dt"), 1, d.Values, 1), param(in("out_norm"), 1, d.ValueDim, 1)}
			mixed = out.DeltaRule(qkv, gates, p, d, layer)
		case 1:
			mixed = out.Convolve(out.Linear(normed, matrix("bcz", 3*width, width), nil), param(in("conv"), 1, width*3, 0),
				Taps{Dim: width, Taps: 3, Gated: true}, layer)
		default:
			x := out.Linear(normed, matrix("x", h.Gated().Width(), width), nil)
			mixed = out.GateHeads(out.Attend(out.SplitHeads(x, h), h, Attention{Layer: layer, Scale: 0.5}), x, h)
		}
		x = out.Add(x, out.Linear(mixed, matrix("out", width, cols(mixed)), nil))
	}
	out.EndBlocks()
	out.CrossEntropy(out.Norm(x, param("final", 1, width, 1), 1e-5), embed)
	in := out.Inputs()
	start := 0
	for i := range in.IDs {
		if r.IntN(9) == 0 {
			start = i
		}
		in.IDs[i], in.Targets[i], in.Starts[i], in.Positions[i] = r.Int32N(vocab), r.Int32N(vocab), int32(start), int32(i-start)
		in.Weights[i] = r.Float32()
	}
	return out
}

func TestGradientsOfRecurrentLayersEqualFiniteDifferences(t *testing.T) {
	m := newRecurrentToy(21, Float32)
	_, grads := m.run(t, Options{Train: true})
	difference := m.differences(t)
	for k, p := range m.params {
		for i := 0; i < len(p.Data); i += max(1, len(p.Data)/17) {
			want := difference(p, i)
			if diff := math.Abs(float64(grads[k][i]) - want); diff > 2e-3*math.Abs(want)+3e-4 {
				t.Errorf("d loss / d %s[%d] = %g, finite difference %g", p.Name, i, grads[k][i], want)
			}
		}
	}
}

func TestRecomputingRecurrentLayersChangesNoByte(t *testing.T) {
	for _, precision := range []Precision{Float32, BFloat16} {
		m := newRecurrentToy(150, precision)
		loss, grads := m.run(t, Options{Train: true})
		for steps := 1; steps <= 9; steps++ { // three for each of three layers
			l, g := m.run(t, Options{Train: true, Recompute: steps})
			for i := range g {
				if l != loss || !slices.Equal(g[i], grads[i]) {
					t.Fatalf("%v, %d steps: loss %v, want %v, or the gradient of %s differs", precision, steps, l, loss, m.params[i].Name)
				}
			}
		}
	}
}

func TestGradientsOfRecurrentLayersAddUpAndLeaveFrozenOnesOut(t *testing.T) {
	once := newRecurrentToy(40, Float32)
	_, want := once.run(t, Options{Train: true})
	for _, frozen := range []string{"0.conv", "0.a", "0.qkv", "0.gates", "1.conv", "2.x", "0.out_norm"} {
		m := newRecurrentToy(40, Float32)
		for _, p := range m.params {
			if p.Frozen = p.Name == frozen; p.Frozen {
				p.Grad = nil
			}
		}
		prog, err := m.Compile(Options{Train: true})
		for range 2 {
			if err == nil {
				err = prog.RunAll()
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range m.params {
			for k, g := range p.Grad {
				if twice := 2 * want[i][k]; math.Abs(float64(g-twice)) > 1e-5*(1+math.Abs(float64(twice))) {
					t.Fatalf("with %s frozen the gradient of %s[%d] after two runs is %v, want %v", frozen, p.Name, k, g, twice)
				}
			}
		}
	}
}
