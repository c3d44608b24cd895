package graph

import (
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"lwtrain/internal/kernels"
)

// Program is a planned computation, a [gorgonia.VM]. The programs of one graph
// share its memory and must not run at the same time.
type Program struct {
	g      *Graph
	opt    Options
	instrs []*instr
	floats int
	joint  bool // loss and its gradients come from one set of logits

	bound *float32 // the arena that the instructions point into

	// Profile, when not nil, receives the time spent in each kind of op.
	Profile map[string]time.Duration

	// Interrupt, when not nil, is asked before each op. Its error ends the run,
	// and leaves the gradients undefined.
	Interrupt func() error
}

var _ gorgonia.VM = (*Program)(nil)

// Bytes is the memory that running the program takes besides the parameters
// and their gradients: the arena, the scratch memory of single ops and kernels,
// and what ops keep for the backward pass.
func (p *Program) Bytes() int64 { return Together(p) }

// Together is the same of programs that work in one [Workspace] one after the other: each part of it is as large as the
// largest of theirs.
func Together(programs ...*Program) int64 {
	var arena, scratch, side, kept int
	for _, p := range programs {
		widened := 0
		if p.g.precision == BFloat16 {
			widened = p.g.widest
		}
		arena, scratch, side = max(arena, p.floats), max(scratch, p.g.scratch), max(side, p.g.side)
		kept = max(kept, kernels.Scratch(p.g.Capacity, p.g.heads.KV, p.g.heads.Dim, widened))
	}
	return 4 * int64(arena+scratch+side+kept)
}

// RunAll runs the program on what [Graph.Inputs] holds. Afterwards
// [Graph.Loss] and [Graph.NLL] are set, and when training, each trained parameter's
// gradient has been added to its Grad. An error names the op; the gradients
// are then undefined.
func (p *Program) RunAll() (err error) {
	kernels.Run(func() { err = p.run() })
	return err
}

func (p *Program) run() (err error) {
	p.bind()
	p.g.loss.deferred = p.joint
	at := 0
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v: %v\n%s", p.instrs[at].op, r, debug.Stack())
		}
	}()
	start := time.Now()
	for i, ins := range p.instrs {
		at = i
		if p.Interrupt != nil {
			if err := p.Interrupt(); err != nil {
				return err
			}
		}
		if err := ins.do(); err != nil {
			return fmt.Errorf("%v: %w", ins.op, err)
		}
		if p.Profile != nil {
			now := time.Now()
			kind, _, _ := strings.Cut(ins.op.String(), " ")
			p.Profile[kind] += now.Sub(start)
			start = now
		}
	}
	return nil
}

func (ins *instr) do() error {
	switch {
	case ins.dst == nil: // the loss: its value is kept by the op itself
		_, err := ins.op.Do(ins.args...)
		return err
	case ins.add:
		return ins.op.(gorgonia.IncrDoer).IncrDo(ins.dst, ins.args...)
	default:
		_, err := ins.op.(gorgonia.UsePreallocDoer).UsePreallocDo(ins.dst, ins.args...)
		return err
	}
}

// bind points every instruction at its memory, unless that is already so.
func (p *Program) bind() {
	g := p.g
	arena := grow(&g.mem.arena, p.floats)
	if p.bound != nil && p.bound == &arena[0] {
		return
	}
	p.bound = &arena[0]
	headers := map[*value]gorgonia.Value{}
	header := func(v *value) gorgonia.Value {
		if headers[v] == nil {
			mem := arena[v.store.offset : v.store.offset+v.size : v.store.offset+v.size]
			headers[v] = tensor.New(tensor.WithShape(v.node.Shape()...), tensor.WithBacking(mem))
		}
		return headers[v]
	}
	sinks := map[*Param]gorgonia.Value{}
	for _, ins := range p.instrs {
		ins.args = ins.args[:0]
		i := 0
		for it := g.g.From(ins.node.ID()); it.Next(); i++ {
			if v := ins.in[i]; v != nil {
				ins.args = append(ins.args, header(v))
			} else {
				ins.args = append(ins.args, it.Node().(*gorgonia.Node).Value())
			}
		}
		switch {
		case ins.sink != nil:
			if sinks[ins.sink] == nil {
				sinks[ins.sink] = tensor.New(tensor.WithShape(ins.sink.shape()...), tensor.WithBacking(ins.sink.Grad))
			}
			ins.dst = sinks[ins.sink]
		case ins.out != nil:
			ins.dst = header(ins.out)
		}
	}
}

// Reset does nothing: a run starts from the inputs alone.
func (p *Program) Reset() {}

// Close does nothing: memory belongs to the graph, see [Workspace.Free].
func (p *Program) Close() error { return nil }

// Loss is the weighted sum of the last run, in nats.
func (g *Graph) Loss() float64 { return g.loss.Loss }

// NLL is -ln p of each position's target in the last run [T], 0 where the
// position has no weight. The slice is overwritten by the next run.
func (g *Graph) NLL() []float64 { return g.loss.NLL }

// WeighBy makes training runs ask f for the positions' weights once their losses
// are known: a loss that is not a sum over tokens, such as one of pairs of
// answers, gives each token its derivative with regard to that token's loss. The
// weights that the inputs hold then only say which positions matter. f gets -ln p
// of each position [T] and overwrites the weights [T]; a position whose weight was
// 0 must stay so. It costs the head's logits a second time. nil switches it off.
func (g *Graph) WeighBy(f func(nll []float64, weights []float32)) { g.loss.weigh = f }
