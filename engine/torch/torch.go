// Package torch is the [engine.Engine] on PyTorch's distributed stack: on GPUs, or on the
// processor through gloo. This side conducts: it deals packs to the ranks, checks what
// they say, and keeps checkpoints in the common layout. The other side is worker/, a few
// files of Python that know forward, backward, update, save and load.
//
// The workers start at the first call that computes. One that fails ends the engine: the
// call returns an error that names the rank, and so do all later ones.
package torch

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"lwtrain/engine"
	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/model"
	"lwtrain/packing"
)

// Options say how a model is computed and updated. Names are those of the config's engine
// and train sections.
type Options struct {
	Dir           string // for the worker's files and logs; "": a temporary one
	Fresh         bool   // the model's folder is a temporary one of this machine
	Cluster       Cluster
	Processes     int // on each machine; 0: what Cluster says, else one for each GPU, or 1
	Shard         int // processes that share a copy of the weights; 0: all
	Deterministic bool
	Compile       string // auto | true | false
	Threads       int    // of the processor, for all processes

	Capacity              int    // tokens of the largest pack
	HeldOut               int    // tokens of the longest pack that is only scored, where that is more; 0: none is
	Precision             string // auto | bf16 | float32
	GradientCheckpointing string // auto | true | false
	MemoryLimit           int64  // bytes that auto keeps below; 0: what is free
	AdamW                 AdamW
	Reference             *model.Config // of what [Engine.Reference] will be asked for; nil: nothing
}

// AdamW are the settings of torch.optim.AdamW; decay is for matrices.
type AdamW struct{ Beta1, Beta2, Epsilon, Decay float64 }

// Engine trains a model in worker processes.
type Engine struct {
	in        *Installation
	o         Options
	config    model.Config
	outline   *model.Model // what of it is trained, without memory
	model     string       // the folder of the weights that the run begins with
	plan      plan
	hash      string
	peak      int64
	attention string     // by what it is computed, once the workers have begun
	twin      model.Twin // of the outline

	work    string // the folder of worker files and logs
	temp    bool   // it goes with the engine
	process *process
	broken  error // why no call works any more
}

var _ engine.Engine = (*Engine)(nil)

// New plans how the model of a folder is trained, as its outline says ([model.Outline]); without a folder its weights are random, to
// measure with. It starts nothing.
func New(outline *model.Model, dir string, in *Installation, o Options) (*Engine, error) {
	p, twin, err := newPlan(outline, in, o)
	if err != nil {
		return nil, err
	}
	return &Engine{in: in, o: o, config: outline.Config, outline: outline, model: dir, plan: p, work: o.Dir, twin: twin}, nil
}

// begin starts the workers and opens the model in them.
func (e *Engine) begin(ctx context.Context) error {
	if e.process != nil || e.broken != nil {
		return e.broken
	}
	var err error
	if e.work == "" {
		if e.work, err = os.MkdirTemp("", "lwtrain-torch-"); err != nil {
			return fault.Temp(err)
		}
		e.temp = true
	}
	if err := os.MkdirAll(e.work, 0o755); err != nil {
		return err
	}
	e.process, err = launch(ctx, e.in, e.work, e.plan, e.o)
	if err != nil {
		e.process = nil
		return err
	}
	if !e.o.Cluster.Alone() {
		if err := e.share(); err != nil {
			return err
		}
	}
	return e.open()
}

// open opens the model in the workers.
func (e *Engine) open() error {
	head, err := e.opening()
	if err != nil {
		return err
	}
	opened, err := e.ask(head)
	if err == nil {
		err = os.RemoveAll(filepath.Join(e.work, freshFolder))
	}
	if err != nil {
		return err
	}
	e.attention = opened.Attention
	return atomicfile.WriteBytes(filepath.Join(e.work, "about.txt"), fmt.Appendf(nil,
		"torch %s, transformers %s, %d ranks on %s %s\nattention: %s\nmaster weights, gradients, moments: float32; products: %s\n",
		e.process.hello.Torch, e.process.hello.Transformers, e.plan.ranks, e.process.hello.Device, e.process.hello.GPU,
		opened.Attention, e.plan.Precision))
}

// freshFolder is where weights lie among the worker's files that other machines would not see where they are, until they are read.
const freshFolder = "fresh"

// seen is a folder of the model's weights that all machines see.
func (e *Engine) seen() (string, error) {
	if !e.o.Fresh || e.o.Cluster.Alone() {
		return e.model, nil
	}
	dir := filepath.Join(e.work, freshFolder)
	return dir, fault.Disk(errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(e.model))))
}

// opening writes what the workers read of the model beside its weights, and says how they are to open it.
func (e *Engine) opening() (map[string]any, error) {
	dir, err := e.seen()
	if err != nil {
		return nil, err
	}
	tensors, config, err := e.place(e.twin, dir, "model")
	if err == nil && e.outline.Adapted() && e.model != "" {
		err = e.placeAdapters(tensors)
	}
	if err != nil {
		return nil, err
	}
	a, frozen, halves, adapters := e.o.AdamW, []string{}, []string{}, append([]model.Adapting{}, e.twin.Adapters...)
	for _, t := range e.twin.Tensors {
		if t.Frozen {
			frozen = append(frozen, t.Name)
		}
		if e.plan.half(t) {
			halves = append(halves, t.Name)
		}
	}
	return map[string]any{
		"op": "open", "config": config, "tensors": tensors, "capacity": e.o.Capacity, "precision": e.plan.Precision,
		"recompute": e.plan.recompute, "compile": e.plan.compile, "shard": e.o.Shard, "deterministic": e.o.Deterministic,
		"frozen": frozen, "half": halves, "adapters": adapters,
		"beta1": a.Beta1, "beta2": a.Beta2, "epsilon": a.Epsilon, "decay": a.Decay,
	}, nil
}

// start is begin for calls that cannot be interrupted.
func (e *Engine) start() error { return e.begin(context.Background()) }

// fail keeps what ended the workers.
func (e *Engine) fail(err error) error {
	if err == nil {
		return nil
	}
	e.broken = e.process.died(err)
	e.process.kill()
	return e.broken
}

// ask sends a message and waits for its end, "done".
func (e *Engine) ask(head map[string]any, arrays ...array) (said, error) {
	if e.broken != nil {
		return said{}, e.broken
	}
	if err := e.process.send(head, arrays...); err != nil {
		return said{}, e.fail(err)
	}
	return e.hear("done")
}

// hear waits for a message, which must be one of ops.
func (e *Engine) hear(ops ...string) (said, error) {
	s, err := e.process.hear()
	if err == nil && !slices.Contains(ops, s.Op) {
		err = fmt.Errorf("the worker says %.40q, want %v", s.Op, ops)
	}
	return s, e.fail(err)
}

// Learn implements [engine.Engine]. A row of packs, one for each rank, is run at a time.
// With several ranks packs are dealt by what they cost, and their order is another one.
func (e *Engine) Learn(ctx context.Context, step int, packs []packing.Pack, weigh engine.Weigh) ([]engine.Learned, error) {
	out := make([]engine.Learned, len(packs))
	for _, of := range packing.Deal(e.costs(packs), e.plan.ranks) {
		how := map[string]any{"op": "learn", "what": "forward and backward pass", "weigh": weigh != nil}
		r, err := e.run(ctx, how, packs, of, e.o.Capacity, engine.ScoreOptions{Step: step})
		if err != nil {
			return nil, err
		}
		weights := r.weights()
		if weigh != nil {
			if err := e.weigh(r, of, weights, weigh); err != nil {
				return nil, err
			}
		}
		for place, i := range of {
			if i != packing.None {
				out[i] = engine.Learned{NLL: r.losses(place, len(packs[i].IDs))}
				for t, v := range out[i].NLL {
					if w := weights[place][t]; w != 0 {
						out[i].Loss += float64(w) * v
					}
				}
			}
		}
	}
	return out, nil
}

// weigh lets a row's weights follow from its losses, between forward and backward.
func (e *Engine) weigh(r row, of []int, weights [][]float32, weigh engine.Weigh) error {
	all := make([]float32, len(r.nll))
	for place, i := range of {
		if i != packing.None {
			weigh(i, r.losses(place, len(r.packs[place].IDs)), weights[place])
			copy(all[place*r.most:], weights[place][:r.packs[place].Tokens])
		}
	}
	if err := e.fail(e.process.send(map[string]any{"op": "weights"}, array{name: "weights", reals: all})); err != nil {
		return err
	}
	_, err := e.hear("done")
	return err
}

// Score implements [engine.Scorer].
func (e *Engine) Score(ctx context.Context, packs iter.Seq2[packing.Pack, error], by engine.ScoreOptions,
	done func(pack int, nll []float64) error) error {
	if by.Base && e.outline.Replaced() {
		return engine.ErrNoBase
	}
	return e.score(ctx, false, by, packs, done)
}

// score runs packs through the model, or the reference, a row at a time in their order.
func (e *Engine) score(
	ctx context.Context, reference bool, by engine.ScoreOptions, packs iter.Seq2[packing.Pack, error],
	done func(pack int, nll []float64) error,
) error {
	var waiting []packing.Pack
	first := 0
	flush := func() error {
		of := make([]int, len(waiting))
		for i := range of {
			of[i] = i
		}
		how := map[string]any{"op": "score", "what": "forward pass", "reference": reference}
		r, err := e.run(ctx, how, waiting, of, max(e.o.Capacity, e.o.HeldOut), by)
		if err != nil {
			return err
		}
		for i, p := range waiting {
			if err := done(first+i, r.losses(i, len(p.IDs))); err != nil {
				return err
			}
		}
		first += len(waiting)
		waiting = waiting[:0]
		return nil
	}
	for p, err := range packs {
		if err != nil {
			return err
		}
		if waiting = append(waiting, p); len(waiting) == e.plan.ranks {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	return flush()
}

// Gradients implements [engine.Engine].
func (e *Engine) Gradients(each func(name string, values []float32)) error {
	if err := e.start(); err != nil {
		return err
	}
	sizes := map[string]int{}
	for _, t := range e.twin.Tensors {
		sizes[t.Name] = product(t.Shape)
	}
	if err := e.fail(e.process.send(map[string]any{"op": "gradients"})); err != nil {
		return err
	}
	got := map[string][]float32{}
	for {
		s, err := e.hear("gradient", "done")
		if err != nil || s.Op == "done" {
			if err != nil {
				return err
			}
			break
		}
		if got[s.Name], err = e.process.reals(s, sizes[s.Name]); err != nil {
			return e.fail(err)
		}
	}
	whole := map[string]func(int, []float32) error{}
	shapes := map[string][]int{}
	for _, t := range e.twin.Tensors {
		if t.Frozen {
			continue
		}
		if got[t.Name] == nil {
			return e.fail(fmt.Errorf("the worker told no gradient of %s", t.Name))
		}
		shapes[t.Name] = t.Shape
		whole[t.Name] = func(offset int, dst []float32) error {
			copy(dst, got[t.Name][offset:])
			return nil
		}
	}
	for _, f := range e.twin.Files {
		if f.Frozen {
			continue
		}
		values := make([]float32, product(f.Shape))
		if err := pieced(f, shapes, whole)(0, values); err != nil {
			return err
		}
		each(f.Name, values)
	}
	return nil
}

// Update implements [engine.Engine].
func (e *Engine) Update(step int, rate, divisor, maxNorm float64) (float64, error) {
	if err := e.start(); err != nil {
		return 0, err
	}
	s, err := e.ask(map[string]any{"op": "update", "step": step, "rate": rate, "divisor": divisor, "max_norm": maxNorm})
	if err != nil {
		return 0, err
	}
	norm, err := strconv.ParseFloat(s.Norm, 64)
	if err != nil || norm < 0 {
		return 0, e.fail(fmt.Errorf("the worker's norm is %.40q, want a number", s.Norm))
	}
	e.peak = s.Peak
	return norm, nil
}

// Drop implements [engine.Engine]. Workers that have ended have nothing to drop.
func (e *Engine) Drop() {
	if e.process != nil && e.broken == nil {
		e.ask(map[string]any{"op": "drop"}) // what goes wrong is kept for the next call
	}
}

// Needs implements [engine.Engine].
func (e *Engine) Needs() engine.Needs { return e.plan.Needs }

// Peak implements [engine.Engine]: of all workers together, at the last update.
func (e *Engine) Peak() int64 { return e.peak }

// PeakGFLOPs is what matrix products in the run's precision reach here on all ranks, measured now; 0: not known.
func (e *Engine) PeakGFLOPs() float64 {
	if e.start() != nil {
		return 0
	}
	s, _ := e.ask(map[string]any{"op": "speed"})
	return s.GFLOPs
}

// Attention says by what it is computed, and on GPUs what was measured of it, once the workers have begun.
func (e *Engine) Attention() string { return e.attention }

// Ranks is how many workers compute.
func (e *Engine) Ranks() int { return e.plan.ranks }

// Model implements [engine.Scorer].
func (e *Engine) Model() (string, error) {
	var err error
	if e.hash == "" {
		e.hash, err = e.outline.FingerprintOf(e.model)
	}
	return e.hash, err
}

// Close ends the workers.
func (e *Engine) Close() error {
	if e.process != nil && e.broken == nil {
		e.process.quit()
		e.broken = errors.New("the engine is closed")
	}
	if e.temp {
		return os.RemoveAll(e.work)
	}
	return nil
}

// reference is a model beside the one in training, sharded as that is.
type reference struct {
	engine *Engine
	twin   model.Twin
	dir    string
	hash   string
	opened bool
}

// Reference implements [engine.Engine]. The workers read it when it is asked.
func (e *Engine) Reference(dir string) (engine.Scorer, error) {
	c, err := model.Check(dir)
	if err != nil {
		return nil, err
	}
	if a, b := c.Vocab, e.config.Vocab; a != b {
		return nil, fmt.Errorf("%s has %d tokens, want the %d of the model in training", dir, a, b)
	}
	hash, err := model.FingerprintWeights(dir)
	if err != nil {
		return nil, err
	}
	twin, err := model.Empty(c).Twin()
	return &reference{engine: e, twin: twin, dir: dir, hash: hash}, err
}

// Score implements [engine.Scorer].
func (r *reference) Score(ctx context.Context, packs iter.Seq2[packing.Pack, error], _ engine.ScoreOptions,
	done func(pack int, nll []float64) error) error {
	if !r.opened {
		now, err := model.FingerprintWeights(r.dir) // the files may have been changed since they were hashed
		if err == nil && now != r.hash {
			err = fmt.Errorf("%s: changed since the run began: its weights are %.12s, and were %.12s", r.dir, now, r.hash)
		}
		if err == nil {
			err = r.engine.begin(ctx)
		}
		if err != nil {
			return err
		}
		tensors, config, err := r.engine.place(r.twin, r.dir, "reference")
		if err != nil {
			return err
		}
		if _, err := r.engine.ask(map[string]any{"op": "reference", "config": config, "tensors": tensors}); err != nil {
			return err
		}
		r.opened = true
	}
	return r.engine.score(ctx, true, engine.ScoreOptions{}, packs, done)
}

// Model implements [engine.Scorer].
func (r *reference) Model() (string, error) { return r.hash, nil }

// Close gives the memory back.
func (r *reference) Close() error {
	if !r.opened || r.engine.broken != nil {
		return nil
	}
	r.opened = false
	_, err := r.engine.ask(map[string]any{"op": "close_reference"})
	return err
}

// product is the number of values of a shape.
func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
