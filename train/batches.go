package train

import (
	"fmt"

	"lwtrain/internal/fault"
)

// Batches say which packs each step of fine-tuning takes, whatever step they are asked
// for.
type Batches struct {
	*Epochs
	calendar
	opt     Options
	perStep int // packs
}

// NewBatches plans the steps of a run.
func NewBatches(e *Epochs, opt Options) (*Batches, error) {
	b := &Batches{Epochs: e, opt: opt, perStep: opt.PerDeviceTrainBatchSize * opt.GradientAccumulationSteps}
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
	for _, p := range epoch.packs[first:min(first+b.perStep, len(epoch.packs))] {
		out = append(out, pick(epoch.samples, p))
	}
	return out, nil
}
