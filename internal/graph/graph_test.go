package graph

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"lwtrain/internal/kernels"
)

// toy is a two-layer decoder over packs of t tokens, small enough for finite
// differences, with every op of the package in it.
type toy struct {
	*Graph
	params []*Param
}

func newToy(t int, precision Precision) toy { return newAdaptedToy(t, precision, nil) }

// newAdaptedToy is a toy whose matrices of layers stay as they are and have the adapters that adapt gives them.
func newAdaptedToy(t int, precision Precision, adapt func(p *Param) []*Adapter) toy {
	const vocab, width, ffn, layers = 11, 16, 12, 2
	h := Heads{Q: 4, KV: 2, Dim: 4}
	r := rand.New(rand.NewPCG(1, 2))
	out := toy{Graph: New(t, precision, nil)}
	param := func(name string, rows, cols int) *Param {
		n := rows * cols
		p := &Param{Name: name, Rows: rows, Cols: cols, Data: make([]float32, n), Grad: make([]float32, n), Half: make([]uint16, n)}
		for i := range p.Data {
			p.Data[i] = float32(r.NormFloat64() * 0.3)
			if rows == 1 {
				p.Data[i]++
			}
		}
		p.RefreshHalf()
		out.params = append(out.params, p)
		if adapt != nil && rows > 1 && name != "embed" {
			p.Frozen, p.Adapters = true, adapt(p)
			for _, a := range p.Adapters {
				out.params = append(out.params, a.Params()...)
			}
		}
		return p
	}
	rotations := [layers]Rotation{{Freqs: []float32{1, 0.3}},
		{Freqs: []float32{0.7}, Interleaved: true, Factor: 1.3, Beta: 0.5, Original: 2}}
	attention := [layers]Attention{{Scale: 0.5}, {Layer: 1, Scale: 0.4, Window: 3}}
	heads := [layers]int{2 * h.Dim, (h.Q + h.KV) * h.Dim}
	embed := param("embed", vocab, width)
	x := out.Scale(out.Embed(embed), 1.5)
	for l := range layers {
		out.BeginBlock()
		in := func(s string) string { return fmt.Sprintf("%d.%s", l, s) }
		weights := param(in("norm"), 1, width)
		weights.Offset = float32(l)
		centred := x
		if l == 1 {
			centred = out.Center(x)
		}
		normed := out.Norm(centred, weights, 1e-5)
		qkv := out.Linear(normed, param(in("qkv"), h.Width(), width), param(in("bias"), 1, h.Width()))
		qkv = out.HeadNorm(qkv, h, param(in("heads"), 1, heads[l]), 1e-5)
		attended := out.Attend(out.Rotate(qkv, h, rotations[l]), h, attention[l])
		x = out.Add(x, out.Linear(attended, param(in("out"), width, h.Q*h.Dim), nil))
		gu := out.Linear(out.Norm(x, param(in("norm2"), 1, width), 1e-5), param(in("gu"), 2*ffn, width), nil)
		x = out.Add(x, out.Linear(out.Gated(gu, l == 1), param(in("down"), width, ffn), nil))
	}
	out.EndBlocks()
	out.CrossEntropy(out.Norm(x, param("final", 1, width), 1e-5), embed)
	in := out.Inputs()
	start := 0
	for i := range in.IDs {
		if r.IntN(4) == 0 {
			start = i
		}
		in.IDs[i], in.Targets[i], in.Starts[i], in.Positions[i] = r.Int32N(vocab), r.Int32N(vocab), int32(start), int32(i-start)
		if r.IntN(4) > 0 {
			in.Weights[i] = r.Float32()
		}
	}
	in.Targets[2] = -1
	return out
}

func (m toy) run(t *testing.T, opt Options) (float64, [][]float32) {
	t.Helper()
	for _, p := range m.params {
		clear(p.Grad)
	}
	prog, err := m.Compile(opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := prog.RunAll(); err != nil {
		t.Fatal(err)
	}
	var grads [][]float32
	for _, p := range m.params {
		grads = append(grads, slices.Clone(p.Grad))
	}
	return m.Loss(), grads
}

// differences is by what the loss grows with a value of a parameter: central differences of the fourth order.
func (m toy) differences(t *testing.T) func(p *Param, i int) float64 {
	t.Helper()
	eval, err := m.Compile(Options{})
	if err != nil {
		t.Fatal(err)
	}
	at := func(p *Param, i int, x float32) float64 {
		old := p.Data[i]
		defer func() { p.Data[i] = old }()
		p.Data[i] = x
		if err := eval.RunAll(); err != nil {
			t.Fatal(err)
		}
		return m.Loss()
	}
	return func(p *Param, i int) float64 {
		const h = 1e-2
		one, two := at(p, i, p.Data[i]+h)-at(p, i, p.Data[i]-h), at(p, i, p.Data[i]+2*h)-at(p, i, p.Data[i]-2*h)
		return (8*one - two) / (12 * h)
	}
}

func TestGradientsEqualFiniteDifferences(t *testing.T) {
	m := newToy(13, Float32)
	_, grads := m.run(t, Options{Train: true})
	difference := m.differences(t)
	for k, p := range m.params {
		for i := 0; i < len(p.Data); i += max(1, len(p.Data)/17) {
			want := difference(p, i)
			if diff := math.Abs(float64(grads[k][i]) - want); diff > 2e-3*math.Abs(want)+2e-4 {
				t.Errorf("d loss / d %s[%d] = %g, finite difference %g", p.Name, i, grads[k][i], want)
			}
		}
	}
}

// TestTheProgramAgreesWithGorgoniasTapeMachine runs the same graph on gorgonia's own machine.
func TestTheProgramAgreesWithGorgoniasTapeMachine(t *testing.T) {
	m := newToy(13, Float32)
	loss, grads := m.run(t, Options{Train: true})
	m.loss.deferred = false
	seen := map[uint32]*gorgonia.Node{}
	for _, n := range m.g.AllNodes() {
		if other, ok := seen[n.Hashcode()]; ok {
			t.Fatalf("nodes %v and %v have the same hash, so the oracle would merge them", n, other)
		}
		seen[n.Hashcode()] = n
	}
	values := make([]gorgonia.Value, len(m.grads))
	for i, n := range m.grads {
		gorgonia.Read(n, &values[i])
	}
	vm := gorgonia.NewTapeMachine(m.g)
	defer vm.Close()
	if err := vm.RunAll(); err != nil {
		t.Fatal(err)
	}
	if got := m.Loss(); got != loss {
		t.Errorf("loss on the tape machine = %v, want %v", got, loss)
	}
	for i, p := range m.Graph.params {
		want := grads[slices.Index(m.params, p)]
		got := f32(values[i])
		for k := range want {
			if math.Abs(float64(got[k]-want[k])) > 1e-5*(1+math.Abs(float64(want[k]))) {
				t.Fatalf("d loss / d %s[%d] on the tape machine = %v, want %v", p.Name, k, got[k], want[k])
			}
		}
	}
}

func TestRecomputingLayersChangesNoByteAndSavesMemory(t *testing.T) {
	for _, precision := range []Precision{Float32, BFloat16} {
		m := newToy(40, precision)
		loss, grads := m.run(t, Options{Train: true})
		full, _ := m.Compile(Options{Train: true})
		before := full.floats
		for steps := 1; steps <= 6; steps++ { // three for each of two layers
			opt := Options{Train: true, Recompute: steps}
			l, g := m.run(t, opt)
			if l != loss {
				t.Errorf("%v: loss with %+v = %v, want %v", precision, opt, l, loss)
			}
			for i := range g {
				if !slices.Equal(g[i], grads[i]) {
					t.Errorf("%v: gradient of %s differs with %+v", precision, m.params[i].Name, opt)
				}
			}
			less, _ := m.Compile(opt)
			if less.floats > before {
				t.Errorf("%v: arena with %+v is %d floats, want at most %d", precision, opt, less.floats, before)
			}
			before = less.floats
		}
		if before >= full.floats {
			t.Errorf("%v: arena with all recomputed is %d floats, want less than %d", precision, before, full.floats)
		}
	}
}

// TestWeightsMayFollowFromTheLosses: the gradient of the squared sum of losses
// is twice the sum times that of the sum.
func TestWeightsMayFollowFromTheLosses(t *testing.T) {
	m := newToy(13, Float32)
	in := m.Inputs()
	for i := range in.Weights {
		if in.Weights[i] != 0 {
			in.Weights[i] = 1
		}
	}
	sum, grads := m.run(t, Options{Train: true})
	m.WeighBy(func(nll []float64, weights []float32) {
		var s float64
		for i, w := range weights {
			if w != 0 {
				s += nll[i]
			}
		}
		for i := range weights {
			if weights[i] != 0 {
				weights[i] = float32(2 * s)
			}
		}
	})
	_, squared := m.run(t, Options{Train: true})
	for i, p := range m.params {
		for k, g := range squared[i] {
			if want := 2 * sum * float64(grads[i][k]); math.Abs(float64(g)-want) > 1e-4*(1+math.Abs(want)) {
				t.Fatalf("gradient of %s[%d] = %g, want %g", p.Name, k, g, want)
			}
		}
	}
}

func TestGraphsThatShareMemoryGiveTheSameBytes(t *testing.T) {
	alone := newToy(13, Float32)
	loss, grads := alone.run(t, Options{Train: true})
	small, large := newToy(13, Float32), newToy(40, Float32)
	large.mem = small.mem
	for range 2 {
		large.run(t, Options{Train: true})
		l, g := small.run(t, Options{Train: true})
		if l != loss || !slices.Equal(g[0], grads[0]) || !slices.Equal(g[len(g)-1], grads[len(grads)-1]) {
			t.Errorf("loss %v, want %v, or other gradients", l, loss)
		}
	}
}

func TestGradientsAddUpOverRuns(t *testing.T) {
	m := newToy(13, Float32)
	_, once := m.run(t, Options{Train: true})
	prog, _ := m.Compile(Options{Train: true})
	for _, p := range m.params {
		clear(p.Grad)
	}
	for range 3 {
		if err := prog.RunAll(); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range m.params {
		for k, g := range p.Grad {
			if want := 3 * once[i][k]; math.Abs(float64(g-want)) > 1e-5*(1+math.Abs(float64(want))) {
				t.Fatalf("gradient of %s[%d] after three runs = %v, want %v", p.Name, k, g, want)
			}
		}
	}
}

func TestNoTwoLiveBuffersOverlap(t *testing.T) {
	for steps := range 7 {
		m := newToy(24, Float32)
		prog, err := m.Compile(Options{Train: true, Recompute: steps})
		if err != nil {
			t.Fatal(err)
		}
		var all []*storage
		for _, ins := range prog.instrs {
			if ins.out != nil && !slices.Contains(all, ins.out.store) {
				all = append(all, ins.out.store)
			}
		}
		for i, a := range all {
			for _, b := range all[:i] {
				apart := a.last < b.first || b.last < a.first || a.offset+a.size <= b.offset || b.offset+b.size <= a.offset
				if !apart {
					t.Errorf("buffers %+v and %+v overlap", *a, *b)
				}
			}
		}
	}
}

func TestAPanicInsideAnOpBecomesAnErrorThatNamesIt(t *testing.T) {
	m := newToy(13, Float32)
	prog, _ := m.Compile(Options{})
	m.Inputs().IDs[3] = 1 << 20 // outside of the table
	err := prog.RunAll()
	if err == nil || !slices.Contains([]string{"embed"}, err.Error()[:5]) {
		t.Errorf("error = %v, want one that names embed", err)
	}
}

func TestARunAllocatesNothingForItsOps(t *testing.T) {
	if kernels.Describe().ISA == "go" {
		t.Skip("the plain Go kernels allocate")
	}
	m := newToy(32, Float32)
	prog, _ := m.Compile(Options{Train: true})
	if err := prog.RunAll(); err != nil {
		t.Fatal(err)
	}
	per := testing.AllocsPerRun(20, func() {
		if err := prog.RunAll(); err != nil {
			t.Fatal(err)
		}
	})
	// The hand-over to the native thread and the loss's scalar make a few.
	if most := float64(len(prog.instrs) / 4); per > most {
		t.Errorf("a run of %d ops makes %v allocations, want at most %v", len(prog.instrs), per, most)
	}
}

func TestFrozenParametersGetNoGradientAndChangeNoOther(t *testing.T) {
	for name, frozen := range map[string]func(name string) bool{
		"the embedding, which is the head too": func(n string) bool { return n == "embed" },
		"the first layer":                      func(n string) bool { return strings.HasPrefix(n, "0.") },
		"all but the last norm":                func(n string) bool { return n != "final" },
		"all but the head":                     func(n string) bool { return n != "embed" },
		"norms and biases":                     func(n string) bool { return strings.Contains(n, "norm") || strings.Contains(n, "bias") },
	} {
		t.Run(name, func(t *testing.T) {
			for _, recompute := range []int{0, 3, 6} {
				whole := newToy(13, Float32)
				loss, want := whole.run(t, Options{Train: true, Recompute: recompute})
				m := newToy(13, Float32)
				for _, p := range m.params {
					if p.Frozen = frozen(p.Name); p.Frozen {
						p.Grad = nil
					}
				}
				got, grads := m.run(t, Options{Train: true, Recompute: recompute})
				if got != loss {
					t.Errorf("loss %v, without frozen parameters %v", got, loss)
				}
				for i, p := range m.params {
					if !p.Frozen && !slices.Equal(grads[i], want[i]) {
						t.Errorf("recompute %d: the gradient of %s is %v, without frozen parameters %v",
							recompute, p.Name, grads[i], want[i])
					}
				}
			}
		})
	}
	m := newToy(13, Float32)
	for _, p := range m.params {
		p.Frozen = true
	}
	if _, err := m.Compile(Options{Train: true}); err == nil || !strings.Contains(err.Error(), "frozen") {
		t.Errorf("nothing to train: %v", err)
	}
}
