package train

import (
	"fmt"

	"lwtrain/data"
	"lwtrain/internal/fault"
	"lwtrain/packing"
)

// Batches says which packs each step of fine-tuning takes: a pure function of the data,
// the options and the seed, whatever step it is asked for. It needs no model.
type Batches struct {
	data    *data.Store
	packing packing.Options
	opt     Options
	seed    uint64
	perStep int // packs

	calendar

	first   packedEpoch // which is packed once
	current packedEpoch // the one that was asked for last
}

// packedEpoch is an epoch's samples, by their index in the store, and its packs in the order of
// training, by their place in samples.
type packedEpoch struct {
	number  int // from 0
	samples []int
	packs   [][]int
}

// NewBatches packs the first epoch and plans the steps of all of them.
func NewBatches(store *data.Store, pack packing.Options, opt Options, seed uint64) (*Batches, error) {
	b := &Batches{data: store, packing: pack, opt: opt, seed: seed, perStep: opt.PerDeviceTrainBatchSize * opt.GradientAccumulationSteps}
	if len(store.Train()) == 0 {
		return nil, fault.Usage(fmt.Errorf("no sample is left to train on: %d in all, %d held out", store.Len(), len(store.HeldOut())))
	}
	var err error
	if b.first, err = b.pack(0); err != nil {
		return nil, err
	}
	b.current = b.first
	steps := b.steps(b.first)
	b.calendar, err = newCalendar(opt, func(number int) (int, error) {
		if number > 0 && (pack.PacksVary() || store.Redraws()) { // else there are as many in every epoch
			e, err := b.pack(number)
			if err != nil {
				return 0, err
			}
			steps = b.steps(e)
		}
		return steps, nil
	})
	if err != nil {
		return nil, err
	}
	if opt.WarmupSteps > b.total {
		return nil, fault.Usage(fmt.Errorf("train.warmup_steps is %d, want at most the %d steps of the run", opt.WarmupSteps, b.total))
	}
	return b, nil
}

// steps is how many an epoch has.
func (b *Batches) steps(e packedEpoch) int { return (len(e.packs) + b.perStep - 1) / b.perStep }

// lengths are those of samples, in tokens.
func lengths(store *data.Store, samples []int) []int {
	out := make([]int, len(samples))
	for i, id := range samples {
		out[i] = store.Tokens(id)
	}
	return out
}

func pick[T any](from []T, at []int) []T {
	out := make([]T, len(at))
	for i, k := range at {
		out[i] = from[k]
	}
	return out
}

// pack draws and packs an epoch.
func (b *Batches) pack(number int) (packedEpoch, error) {
	samples, err := b.data.Epoch(number)
	if err != nil {
		return packedEpoch{}, err
	}
	packs, err := packing.Epoch(b.packing, lengths(b.data, samples), b.seed, number)
	return packedEpoch{number, samples, packs}, err
}

// at returns the packs of the step after step updates, each the samples in it by their
// index in the store. The last step of an epoch may have fewer.
func (b *Batches) at(step int) ([][]int, error) {
	number, start := b.epochOf(step)
	if number == 0 {
		b.current = b.first
	}
	if number != b.current.number {
		var err error
		if b.current, err = b.pack(number); err != nil {
			return nil, err
		}
	}
	first := (step - start) * b.perStep
	var out [][]int
	for _, p := range b.current.packs[first:min(first+b.perStep, len(b.current.packs))] {
		out = append(out, pick(b.current.samples, p))
	}
	return out, nil
}

// documents reads samples, with the factors of their sources.
func (b *Batches) documents(samples []int) ([]packing.Doc, error) {
	docs := make([]packing.Doc, len(samples))
	for i, id := range samples {
		s, err := b.data.Sample(id)
		if err != nil {
			return nil, err
		}
		docs[i] = packing.Doc{IDs: s.IDs, Target: s.Target, Factor: b.data.Sources()[s.Source].LossFactor}
	}
	return docs, nil
}
