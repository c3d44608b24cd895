// Package packing puts samples of different lengths into packs of one fixed
// capacity, and says how much each of their tokens weighs in the loss.
//
// [Assign] decides which sample lies in which pack, [Epoch] does that for an
// epoch of training, [Lay] fills a pack with tokens, and [Shares] tells who gets
// how much of the loss. All are pure functions of their arguments.
//
// Samples of a pack never see each other: each position says where it begins to
// see, positions count from there, and a sample's first token is nobody's target.
// The package knows nothing of files, models or text.
package packing

import (
	"fmt"

	"lwtrain/internal/rng"
)

// Enums are the names that a key takes, by the key.
func (Options) Enums() map[string][]string {
	return map[string][]string{"strategy": Strategies(), "weighting": Weightings()}
}

// Default is what holds where nothing else is said.
func Default() Options {
	return Options{
		Capacity: 32768, Strategy: BestFit, Weighting: ByToken, LongWriterSequences: longWriterSequences, LengthPower: 0.5,
	}
}

// Assign puts samples of the given lengths (in tokens) into packs by a strategy and
// returns the samples of each pack by their index. Every sample lies in exactly one
// pack. A sample that is empty or longer than capacity is an error. Of millions of samples
// lengths and places are the most of what a plan holds: they have 32 bits.
func Assign(strategy string, capacity int, lengths []int32) ([][]int32, error) {
	for i, n := range lengths {
		if n < 1 || int(n) > capacity {
			return nil, fmt.Errorf("sample %d has %d tokens, want 1 to %d, the capacity of a pack", i, n, capacity)
		}
	}
	p, err := packerOf(strategy)
	if err != nil {
		return nil, err
	}
	return p.assign(capacity, lengths), nil
}

// PacksVary reports whether the number of packs may differ from epoch to epoch,
// though the samples are the same.
func (o Options) PacksVary() bool {
	p, err := packerOf(o.Strategy)
	return err != nil || p.varies
}

// Epoch plans one epoch of training: the samples are shuffled by the seed and
// the epoch's number and packed, and the packs are put into the order of training, of which an
// optimiser step takes perStep.
func Epoch(opt Options, lengths []int32, perStep int, seed uint64, epoch int) ([][]int32, error) {
	order := rng.Perm32(rng.New(seed, "order", uint64(epoch)), len(lengths))
	packs, err := Assign(opt.Strategy, opt.Capacity, at(lengths, order))
	if err != nil {
		return nil, err
	}
	for _, pack := range packs {
		for i, k := range pack {
			pack[i] = order[k]
		}
	}
	p, err := packerOf(opt.Strategy)
	if err != nil {
		return nil, err
	}
	return at(packs, p.arrange.order(len(packs), perStep, seed, epoch)), nil
}
