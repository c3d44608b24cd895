// Package train runs fine-tuning. [SFT] trains on conversations, [DPO] on
// preference pairs: each is a method that computes a step and an evaluation; the
// trainer has the loop, top to bottom, and all that they share: the [Schedule],
// [AdamW], the metrics file, saving and resuming.
//
// A run is a function of its configuration, its data and its seed. It can be
// stopped at any moment and goes on from its last complete checkpoint with the
// same bytes as if it had never stopped.
//
// The package knows nothing of YAML, flags or terminals: what happens is told
// through [Events].
package train

import (
	"context"
	"fmt"

	"lwtrain/data"
	"lwtrain/internal/graph"
	"lwtrain/packing"
)

// SFT fine-tunes job.Model on job.Data: next-token cross-entropy on the target
// tokens, weighted as job.Packing says. It resumes by itself from the newest
// complete checkpoint in job.Dir.
//
// When ctx is cancelled, SFT drops the step that it is in, saves a checkpoint
// of the last update unless there is one, and returns [ErrInterrupted].
func SFT(ctx context.Context, job Job) (Result, error) {
	t, err := newSFT(job)
	if err != nil {
		return Result{}, err
	}
	return t.do(ctx)
}

// sft is the method of [SFT].
type sft struct {
	*trainer
	batches     *batches
	graph       *graph.Graph
	train, eval *graph.Program
	pack        packing.Pack
}

func newSFT(job Job) (*sft, error) {
	b, err := newBatches(job.Data, job.Packing, job.Options, job.Seed)
	if err != nil {
		return nil, err
	}
	plan, err := b.summary(job.Options)
	if err != nil {
		return nil, err
	}
	memory, err := PlanMemory(job.Model, job.Packing.Capacity, job.Options)
	if err != nil {
		return nil, err
	}
	t, err := newTrainer(job, plan, memory)
	if err != nil {
		return nil, err
	}
	s := &sft{trainer: t, batches: b, graph: memory.graph, train: memory.train, eval: memory.eval}
	s.train.Interrupt, s.eval.Interrupt = t.interrupted, t.interrupted
	t.method = s
	return s, nil
}

// forwardBackward runs the packs of the step after step updates.
func (t *sft) forwardBackward(step int) (sums, error) {
	batch, err := t.batches.at(step)
	if err != nil {
		return sums{}, err
	}
	return t.runPacks(batch)
}

func (t *sft) prepare() error { return nil }

func (t *sft) epoch(step int) float64 { return t.batches.epoch(step) }

func (t *sft) free() { t.graph.Free() }

// runPacks runs every pack of the step and adds up loss and gradients.
// Packs run one at a time, whatever per_device_train_batch_size says, so the
// gradient of 1 x 8, 2 x 4 and 4 x 2 packs is the same to the byte, and a
// larger micro-batch costs no memory.
func (t *sft) runPacks(batch []packed) (sums, error) {
	var s sums
	for _, b := range batch {
		s.samples = append(s.samples, b.docs...)
		if err := t.layToTrain(b); err != nil {
			return s, err
		}
		if err := t.train.RunAll(); err != nil {
			return s, err
		}
		s.loss += t.graph.Loss()
		s.divisor += t.pack.Divisor
		s.tokens += t.pack.Tokens
		s.targets += t.pack.TargetTokens
		for _, v := range t.graph.NLL() {
			s.nll += v
		}
	}
	if s.divisor == 0 {
		return s, fmt.Errorf("no token of the step carries loss: %s", t.names(s.samples))
	}
	return s, nil
}

// lay puts a pack's documents into the graph's inputs.
func (t *sft) lay(samples []int, weighting string, factor func(data.Sample) float64) error {
	docs := make([]packing.Doc, len(samples))
	for i, id := range samples {
		s, err := t.Data.Sample(id)
		if err != nil {
			return err
		}
		docs[i] = packing.Doc{IDs: s.IDs, Target: s.Target, Factor: factor(s)}
	}
	if err := packing.Lay(&t.pack, t.graph.Capacity, docs, weighting); err != nil {
		return err
	}
	in := t.graph.Inputs()
	copy(in.IDs, t.pack.IDs)
	copy(in.Targets, t.pack.Targets)
	copy(in.Starts, t.pack.Starts)
	copy(in.Weights, t.pack.Weights)
	return nil
}

// layToTrain lays a pack with the weights that the run asks for.
func (t *sft) layToTrain(b packed) error {
	return t.lay(b.docs, t.Packing.Weighting, func(s data.Sample) float64 { return t.Data.Sources()[s.Source].LossFactor })
}

// evaluate measures the held-out loss: the plain mean over target tokens, of
// all and by source, whatever the training's weighting.
func (t *sft) evaluate() (EvalMetrics, error) {
	held := t.Data.HeldOut()
	names := t.Data.Sources()
	loss := make([]float64, len(names))
	targets := make([]float64, len(names))
	for _, samples := range t.batches.heldOut {
		if err := t.lay(samples, "token", func(data.Sample) float64 { return 1 }); err != nil {
			return EvalMetrics{}, err
		}
		if err := t.eval.RunAll(); err != nil {
			return EvalMetrics{}, err
		}
		at := 0
		for _, id := range samples {
			end := at + t.Data.Tokens(id)
			for i := at; i < end; i++ {
				loss[t.Data.Source(id)] += t.graph.NLL()[i]
			}
			targets[t.Data.Source(id)] += float64(t.Data.Targets(id))
			at = end
		}
	}
	m := EvalMetrics{}
	var sum, n float64
	for i, s := range names {
		if targets[i] > 0 {
			m.Sources = append(m.Sources, SourceLoss{s.Name, loss[i] / targets[i]})
			sum, n = sum+loss[i], n+targets[i]
		}
	}
	m.Loss = sum / n
	if n == 0 {
		return EvalMetrics{}, fmt.Errorf("none of the %d held-out samples has a target", len(held))
	}
	return m, nil
}
