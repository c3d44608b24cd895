package train

import (
	"fmt"
	"strings"

	"lwtrain/data"
	"lwtrain/internal/fault"
	"lwtrain/packing"
)

// packed is one pack of a step: the samples in it, by their index in the store.
type packed struct{ docs []int }

// batches says which packs each step takes: a pure function of the data, the
// options and the seed, whatever step it is asked for.
type batches struct {
	data    *data.Set
	packing packing.Options
	seed    uint64
	perStep int // packs

	calendar

	epochNow int // the epoch whose packs are at hand
	packs    [][]int

	heldOut [][]int // packs of the held-out samples
}

func newBatches(store *data.Set, pack packing.Options, opt Options, seed uint64) (*batches, error) {
	b := &batches{data: store, packing: pack, seed: seed, epochNow: -1,
		perStep: opt.PerDeviceTrainBatchSize * opt.GradientAccumulationSteps}
	if len(store.Train()) == 0 {
		return nil, fault.Usage(fmt.Errorf("no sample is left to train on: %d in all, %d held out", store.Len(), len(store.HeldOut())))
	}
	var err error
	steps := 0
	b.calendar, err = newCalendar(opt, func(epoch int) (int, error) {
		if epoch == 0 || pack.Strategy == "next_fit" || store.Redraws() { // else the packs have the same sizes in every epoch
			packs, err := b.plan(epoch)
			if err != nil {
				return 0, err
			}
			steps = (len(packs) + b.perStep - 1) / b.perStep
		}
		return steps, nil
	})
	if err != nil {
		return nil, err
	}
	if opt.WarmupSteps > b.total {
		return nil, fault.Usage(fmt.Errorf("train.warmup_steps is %d, want at most the %d steps of the run", opt.WarmupSteps, b.total))
	}
	lengths := b.lengths(store.HeldOut())
	plan, err := packing.Plan("best_fit_decreasing", pack.Capacity, lengths)
	if err != nil {
		return nil, fmt.Errorf("packing the held-out samples: %w", err)
	}
	for _, p := range plan {
		b.heldOut = append(b.heldOut, pick(store.HeldOut(), p))
	}
	return b, nil
}

func (b *batches) lengths(ids []int) []int {
	out := make([]int, len(ids))
	for i, id := range ids {
		out[i] = b.data.Tokens(id)
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

// plan returns the packs of an epoch in the order of training.
func (b *batches) plan(epoch int) ([][]int, error) {
	ids, err := b.data.Epoch(epoch)
	if err != nil {
		return nil, err
	}
	packs, err := packing.Epoch(b.packing, b.lengths(ids), b.seed, epoch)
	if err != nil {
		return nil, err
	}
	out := make([][]int, len(packs))
	for i, p := range packs {
		out[i] = pick(ids, p)
	}
	return out, nil
}

// at returns the packs of the step after step updates. The last step of an
// epoch may have fewer.
func (b *batches) at(step int) ([]packed, error) {
	epoch, start := b.epochOf(step)
	if epoch != b.epochNow {
		packs, err := b.plan(epoch)
		if err != nil {
			return nil, err
		}
		b.packs, b.epochNow = packs, epoch
	}
	first := (step - start) * b.perStep
	var out []packed
	for _, docs := range b.packs[first:min(first+b.perStep, len(b.packs))] {
		out = append(out, packed{docs})
	}
	return out, nil
}

// origins lists where the samples of a step come from, as file:line.
func (t *trainer) origins(samples []int) []string {
	var out []string
	for _, id := range samples {
		out = append(out, t.Data.Origin(id))
	}
	return out
}

// names is origins, shortened for a message.
func (t *trainer) names(samples []int) string {
	const most = 8
	all := t.origins(samples)
	if len(all) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
	}
	return strings.Join(all, ", ")
}
