// Package native is the embedded [engine.Engine]: our executor over gorgonia graphs, on
// the processor, in this process. The same packs, threads and precision give the same
// bytes, whatever memory there is and wherever a run was stopped.
package native

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"syscall"
	"time"

	"lwtrain/engine"
	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
	"lwtrain/model"
	"lwtrain/packing"
)

// Engine trains a model on this machine's processor.
type Engine struct {
	scorer
	plan      memoryPlan
	options   Options
	optimizer optimizer // once something was computed
}

var _ engine.Engine = (*Engine)(nil)

// New plans how a model with its weights is trained: the parameters that are not frozen, and adapters
// ([model.LoadToTrain], [model.Model.Freeze]). The engine owns it from then on,
// also where New fails. Until something is computed it takes no memory beside the
// weights, so that who asks for [Engine.Needs] can tell them before they are taken.
func New(m *model.Model, o Options) (*Engine, error) {
	plan, err := planMemory(m, o)
	if err != nil {
		m.Free()
		return nil, err
	}
	return &Engine{
		scorer: scorer{programs: programs{
			model: m, capacity: o.Capacity, heldOut: o.HeldOut, precision: plan.precision, recompute: plan.recompute, limit: plan.trained,
			workspace: &graph.Workspace{}, made: map[int]*program{},
		}},
		plan: plan, options: o,
	}, nil
}

// begin takes the memory for bf16 copies, gradients and moments, before the first
// operation.
func (e *Engine) begin() {
	if e.optimizer != nil {
		return
	}
	if e.precision == graph.BFloat16 {
		e.model.UseHalf()
	}
	e.model.UseGradients()
	e.optimizer = newOptimizer(e.model.All(), e.options)
}

// Learn implements [engine.Engine]. Packs run one at a time, so a step of more packs
// takes no more memory, and how many the caller hands over at once changes no byte.
func (e *Engine) Learn(ctx context.Context, step int, packs []packing.Pack, weigh engine.Weigh) ([]engine.Learned, error) {
	e.begin()
	out := make([]engine.Learned, len(packs))
	for i, p := range packs {
		made, err := e.of(p, e.capacity, engine.ScoreOptions{Step: step})
		if err != nil {
			return nil, err
		}
		run, err := e.backward(made)
		if err != nil {
			return nil, err
		}
		n := len(p.IDs)
		made.WeighBy(nil)
		if weigh != nil {
			made.WeighBy(func(nll []float64, weights []float32) { weigh(i, nll[:n], weights[:n]) })
		}
		run.Interrupt, run.Profile = ctx.Err, e.profile
		if err := run.RunAll(); err != nil {
			return nil, err
		}
		out[i] = engine.Learned{Loss: made.Loss(), NLL: slices.Clone(made.NLL()[:n])}
	}
	return out, nil
}

// Gradients implements [engine.Engine].
func (e *Engine) Gradients(each func(name string, values []float32)) error {
	e.begin()
	for _, t := range e.model.Tensors(func(p *graph.Param) []float32 { return p.Grad }) {
		each(t.Name, t.Data)
	}
	return nil
}

// Update implements [engine.Engine].
func (e *Engine) Update(step int, rate, divisor, maxNorm float64) (norm float64, err error) {
	e.begin()
	began := time.Now()
	kernels.Run(func() {
		norm = gradNorm(e.model.All(), 1/divisor)
		if !math.IsNaN(norm) && !math.IsInf(norm, 0) {
			e.optimizer.step(step, rate, clip(norm, maxNorm)/divisor)
		}
	})
	if e.profile != nil {
		e.profile["optimizer"] += time.Since(began)
	}
	return norm, nil
}

// Drop implements [engine.Engine].
func (e *Engine) Drop() {
	kernels.Run(func() {
		for _, p := range e.model.All() {
			if p.Grad != nil {
				kernels.Zero(p.Grad)
			}
		}
	})
}

// Needs implements [engine.Engine].
func (e *Engine) Needs() engine.Needs { return e.plan.Needs }

// Peak implements [engine.Engine]: it is that of this process.
func (e *Engine) Peak() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Maxrss << 10
}

// Profile makes steps from now on add the time that each kind of op takes, and the
// optimiser, to into; nil switches it off.
func (e *Engine) Profile(into map[string]time.Duration) { e.profile = into }

// PeakGFLOPs is what a matrix product in the run's precision reaches here, measured now.
func (e *Engine) PeakGFLOPs() float64 { return kernels.PeakGFLOPs(e.precision == graph.BFloat16) }

// Close gives all memory back.
func (e *Engine) Close() error {
	if e.optimizer != nil {
		e.optimizer.free()
	}
	return e.scorer.Close()
}

// scorer is a model that packs are run through: the one in training, or a reference.
type scorer struct {
	programs
	hash string // of the model, once it was asked for or other weights took its place
}

// Score implements [engine.Scorer].
func (e *Engine) Score(ctx context.Context, packs iter.Seq2[packing.Pack, error], how engine.ScoreOptions,
	done func(pack int, nll []float64) error) error {
	if how.Base && e.model.Replaced() {
		return engine.ErrNoBase
	}
	e.begin()
	return e.scorer.Score(ctx, packs, how, done)
}

// Score implements [engine.Scorer].
func (s *scorer) Score(ctx context.Context, packs iter.Seq2[packing.Pack, error], how engine.ScoreOptions,
	done func(pack int, nll []float64) error) error {
	i := 0
	for p, err := range packs {
		if err != nil {
			return err
		}
		made, err := s.of(p, max(s.capacity, s.heldOut), how)
		if err != nil {
			return err
		}
		run, err := s.forward(made)
		if err != nil {
			return err
		}
		run.Interrupt = ctx.Err
		if err := run.RunAll(); err != nil {
			return err
		}
		if err := done(i, made.NLL()[:len(p.IDs)]); err != nil {
			return err
		}
		i++
	}
	return nil
}

// Model implements [engine.Scorer].
func (s *scorer) Model() (string, error) {
	var err error
	if s.hash == "" {
		s.hash, err = s.model.Fingerprint()
	}
	return s.hash, err
}

// Close implements [engine.Scorer].
func (s *scorer) Close() error {
	s.workspace.Free()
	s.model.Free()
	return nil
}

// reference is a model beside the one in training, in the same workspace. Its weights are
// read when it is asked: it may never be, where what it says is known.
type reference struct {
	scorer
	dir string
}

// Reference implements [engine.Engine]. The model takes the engine's precision, and
// works in its memory.
func (e *Engine) Reference(dir string) (engine.Scorer, error) {
	c, err := model.ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	if a, b := c.Vocab, e.model.Config.Vocab; a != b {
		return nil, fmt.Errorf("%s has %d tokens, want the %d of the model in training", dir, a, b)
	}
	hash, err := model.FingerprintWeights(dir)
	if err != nil {
		return nil, err
	}
	r := &reference{scorer{programs: e.programs, hash: hash}, dir}
	r.model, r.made = nil, map[int]*program{}
	return r, nil
}

// Score implements [engine.Scorer].
func (r *reference) Score(ctx context.Context, packs iter.Seq2[packing.Pack, error], how engine.ScoreOptions,
	done func(pack int, nll []float64) error) error {
	if r.model == nil {
		m, err := model.Load(r.dir)
		if err != nil {
			return err
		}
		sum, err := m.Fingerprint() // the files may have been changed since they were hashed
		if err == nil && sum != r.hash {
			err = fmt.Errorf("%s: changed since the run began: its weights are %.12s, and were %.12s", r.dir, sum, r.hash)
		}
		if err != nil {
			m.Free()
			return err
		}
		if r.model = m; r.precision == graph.BFloat16 {
			m.UseHalf()
		}
	}
	return r.scorer.Score(ctx, packs, how, done)
}

// Close gives the weights back; the workspace is the engine's.
func (r *reference) Close() error {
	if r.model != nil {
		r.model.Free()
	}
	return nil
}
