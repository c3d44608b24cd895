package train

import (
	"fmt"
	"slices"

	"lwtrain/internal/fault"
)

// Batches say which packs each step of fine-tuning takes, whatever step they are asked
// for.
type Batches struct {
	*Epochs
	calendar
	opt Options

	next     func(sum float64) float64 // [packing.Options.Divisors]
	divisors []float64                 // of the first steps, where they depend on those before
}

// NewBatches plans the steps of a run.
func NewBatches(e *Epochs, opt Options) (*Batches, error) {
	b := &Batches{Epochs: e, opt: opt, next: e.packing.Divisors()}
	steps := b.stepsOf(e.first)
	var err error
	b.calendar, err = newCalendar(opt.NumTrainEpochs, opt.MaxSteps, func(number int) (int, error) {
		if number > 0 && e.vary() {
			epoch, err := e.pack(number)
			if err != nil {
				return 0, err
			}
			steps = b.stepsOf(epoch)
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

// stepsOf is how many steps an epoch takes.
func (b *Batches) stepsOf(e packedEpoch) int { return (len(e.packs) + b.perStep - 1) / b.perStep }

// at returns the packs of the step after step updates, each the samples in it by their
// index in the set. The last step of an epoch may have fewer.
func (b *Batches) at(step int) ([][]int, error) {
	number, start := b.epochOf(step)
	epoch, err := b.Epochs.at(number)
	if err != nil {
		return nil, err
	}
	first := (step - start) * b.perStep
	var out [][]int
	for i := first; i < min(first+b.perStep, len(epoch.packs)); i++ {
		out = append(out, epoch.pack(i))
	}
	return out, nil
}

// divisor is that of the loss of the step after step updates, whose packs have divisors that
// add up to sum. Where it depends on the steps before, it is taken from all of them, so a run
// that goes on needs no state.
func (b *Batches) divisor(step int, sum float64) (float64, error) {
	if !b.packing.Smoothed() {
		return sum, nil
	}
	for len(b.divisors) <= step {
		batch, err := b.at(len(b.divisors))
		if err != nil {
			return 0, err
		}
		targets := 0.0
		for _, id := range slices.Concat(batch...) {
			c := b.carrier(id)
			targets += c.Factor * float64(c.Targets)
		}
		b.divisors = append(b.divisors, b.next(targets))
	}
	return b.divisors[step], nil
}

// Work is what comes after a step.
func (b *Batches) Work(step int) (Work, error) {
	held, err := b.heldOut()
	if err != nil {
		return Work{}, err
	}
	scored := int64(0)
	for _, samples := range held {
		scored += computedFor(b.heldOutSize(samples), b.packing.Capacity)
	}
	scored *= int64(b.opt.evaluations(step, b.total))
	return Work{
		Learned: int64(b.packsBefore(b.total)-b.packsBefore(min(step, b.total))) * int64(b.packing.Capacity),
		Scored:  scored,
		HeldOut: scored,
		Updates: b.total - step, Saves: b.opt.Saves(step, b.total),
	}, nil
}

// heldOut packs the held-out samples, by their index in the set.
func (e *Epochs) heldOut() (packs [][]int, err error) {
	held := e.data.HeldOut()
	assigned, err := scoredPacks(e.packing.Capacity, lengths(e.data, held))
	if err != nil {
		return nil, fmt.Errorf("packing the held-out samples: %w", err)
	}
	for _, p := range assigned {
		packs = append(packs, ints(pick(held, p)))
	}
	return packs, nil
}

// heldOutSize is how many tokens a pack of held-out samples has.
func (e *Epochs) heldOutSize(samples []int) int {
	return max(e.packing.Capacity, e.data.Tokens(samples[0]))
}

// packsBefore is how many packs the first steps take, if all epochs have as many as the first.
func (b *Batches) packsBefore(steps int) (n int) {
	start := 0
	for _, end := range b.ends {
		n += min(max(0, steps-start)*b.perStep, len(b.first.packs))
		start = end
	}
	return n
}
