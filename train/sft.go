package train

import (
	"context"
	"fmt"
	"math"
	"slices"

	"lwtrain/data"
	"lwtrain/engine"
	"lwtrain/packing"
)

// sft is the method of [SFT].
type sft struct {
	data    *data.Set
	engine  engine.Engine
	batches *Batches
	heldOut [][]int // packs of the held-out samples
	stop    []int32 // ids that end an answer
}

func newSFT(job Job) (*sft, error) {
	b, err := NewBatches(job.Epochs, job.Options)
	if err != nil {
		return nil, err
	}
	s := &sft{data: job.Data, engine: job.Engine, batches: b, stop: job.Stop}
	s.heldOut, err = b.heldOut()
	return s, err
}

// open implements method: there is nothing else to read.
func (s *sft) open() (map[string]string, error) { return nil, nil }

// prepare implements method.
func (s *sft) prepare(context.Context) error { return nil }

func (s *sft) epoch(step int) float64 { return s.batches.epoch(step) }

func (s *sft) close() {}

// learn runs the packs of the step after step updates.
func (s *sft) learn(ctx context.Context, step int) (sums, error) {
	batch, err := s.batches.at(step)
	if err != nil {
		return sums{}, err
	}
	out, err := s.learnPacks(ctx, step+1, batch)
	if err == nil {
		out.divisor, err = s.batches.divisor(step, out.divisor)
	}
	return out, err
}

// learnPacks adds up loss and gradients of the packs of samples of a step. How many packs make a
// micro-batch does not matter to it: the gradient of 1 x 8, 2 x 4 and 4 x 2 packs is the
// same to the byte.
func (s *sft) learnPacks(ctx context.Context, step int, batch [][]int) (sums, error) {
	out := sums{step: step}
	packs := make([]packing.Pack, len(batch))
	for i, samples := range batch {
		out.samples = append(out.samples, samples...)
		var err error
		if packs[i], err = s.lay(samples); err != nil {
			return out, err
		}
	}
	if err := out.learnWeighted(ctx, s.engine, packs, s.batches.packing.Weigh()); err != nil {
		return out, err
	}
	if out.divisor == 0 {
		return out, fmt.Errorf("no token of the step carries loss: %s", names(s.data, out.samples))
	}
	return out, nil
}

// lay lays a pack with the weights that the run asks for.
func (s *sft) lay(samples []int) (packing.Pack, error) {
	docs, err := s.batches.documents(samples)
	if err != nil {
		return packing.Pack{}, err
	}
	return s.batches.packing.Lay(docs)
}

// evaluate measures the held-out loss: the plain mean over target tokens, of
// all and by source, whatever the training's weighting; and how probable the model finds
// it that the held-out answers end where they do.
func (s *sft) evaluate(ctx context.Context, _ int) (EvalMetrics, error) {
	sources := s.data.Sources()
	loss := make([]float64, len(sources))
	targets := make([]float64, len(sources))
	packs := func(yield func(packing.Pack, error) bool) {
		for _, samples := range s.heldOut {
			if !yield(s.layHeldOut(samples)) {
				return
			}
		}
	}
	var ends endings
	err := s.engine.Score(ctx, packs, engine.ScoreOptions{}, func(pack int, nll []float64) error {
		for _, id := range s.heldOut[pack] {
			source, n := s.data.Source(id), s.data.Tokens(id)
			for _, v := range nll[:n] {
				loss[source] += v
			}
			targets[source] += float64(s.data.Targets(id))
			if err := s.addEnds(&ends, id, nll[:n]); err != nil {
				return err
			}
			nll = nll[n:]
		}
		return nil
	})
	if err != nil {
		return EvalMetrics{}, err
	}
	m := EvalMetrics{Values: ends.values()}
	var sum, n float64
	for i, source := range sources {
		if targets[i] > 0 {
			m.Sources = append(m.Sources, SourceLoss{source.Name, loss[i] / targets[i]})
			sum, n = sum+loss[i], n+targets[i]
		}
	}
	m.Loss = sum / n
	if n == 0 {
		return EvalMetrics{}, fmt.Errorf("none of the %d held-out samples has a target", len(s.data.HeldOut()))
	}
	return m, nil
}

// layHeldOut lays a pack of held-out samples, each target of which weighs 1.
func (s *sft) layHeldOut(samples []int) (packing.Pack, error) {
	docs, err := s.batches.documents(samples)
	if err != nil {
		return packing.Pack{}, err
	}
	for i := range docs {
		docs[i].Factor = 1
	}
	return packing.Lay(s.batches.heldOutSize(samples), docs, packing.ByToken)
}

// endings adds up the probabilities of the tokens that end held-out answers, each after the
// whole answer before it.
type endings struct{ n, probability, likely float64 }

// addEnds adds those of a sample: of each answer that ends in a token at which the model would stop. A piece of a
// sample that was split need not have one.
func (s *sft) addEnds(e *endings, id int, nll []float64) error {
	sample, err := s.data.Sample(id)
	if err != nil {
		return err
	}
	for _, t := range sample.Target {
		k := t[1] - 1
		if k < 1 || !slices.Contains(s.stop, sample.IDs[k]) {
			continue
		}
		p := math.Exp(-nll[k-1])
		e.n, e.probability = e.n+1, e.probability+p
		if p > 0.5 {
			e.likely++
		}
	}
	return nil
}

// values are the mean probability, and the share of ends that are more probable than all other tokens together: so
// greedy decoding would end there. nil: no answer has an end.
func (e endings) values() map[string]float64 {
	if e.n == 0 {
		return nil
	}
	return map[string]float64{"end/probability": e.probability / e.n, "end/likely": e.likely / e.n}
}
