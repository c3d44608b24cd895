package train

import (
	"lwtrain/data"
	"lwtrain/packing"
)

// Epochs are the packs of each epoch of fine-tuning: a pure function of the data, how
// they are packed and the seed. They need no model.
type Epochs struct {
	data    *data.Set
	packing packing.Options
	perStep int // packs
	seed    uint64
	first   packedEpoch // which is packed once
	current packedEpoch // the one that was asked for last
}

// packedEpoch is an epoch's samples, by their index in the set, and its packs in the
// order of training, by their place in samples.
type packedEpoch struct {
	number  int // from 0
	samples []int32
	packs   [][]int32
}

// pack are the samples of pack i, by their index in the set.
func (p packedEpoch) pack(i int) []int { return ints(pick(p.samples, p.packs[i])) }

// ints are samples, by their index in the set.
func ints(samples []int32) []int {
	out := make([]int, len(samples))
	for i, id := range samples {
		out[i] = int(id)
	}
	return out
}

// NewEpochs packs the first epoch of a set for steps of perStep packs ([Options.PacksPerStep]).
func NewEpochs(set *data.Set, how packing.Options, perStep int, seed uint64) (*Epochs, error) {
	if len(set.Train()) == 0 {
		return nil, set.NothingLeft("sample")
	}
	e := &Epochs{data: set, packing: how, perStep: perStep, seed: seed}
	var err error
	if e.first, err = e.pack(0); err != nil {
		return nil, err
	}
	e.current = e.first
	return e, nil
}

// pack draws and packs an epoch.
func (e *Epochs) pack(number int) (packedEpoch, error) {
	samples, err := e.data.Epoch(number)
	if err != nil {
		return packedEpoch{}, err
	}
	packs, err := packing.Epoch(e.packing, lengths(e.data, samples), e.perStep, e.seed, number)
	return packedEpoch{number, samples, packs}, err
}

// at returns an epoch.
func (e *Epochs) at(number int) (packedEpoch, error) {
	if number == 0 {
		e.current = e.first
	}
	if number != e.current.number {
		packed, err := e.pack(number)
		if err != nil {
			return packedEpoch{}, err
		}
		e.current = packed
	}
	return e.current, nil
}

// vary reports whether epochs may have different numbers of packs.
func (e *Epochs) vary() bool { return e.packing.PacksVary() || e.data.Redraws() }

// documents reads samples, with the factors of their sources.
func (e *Epochs) documents(samples []int) ([]packing.Doc, error) {
	docs := make([]packing.Doc, len(samples))
	for i, id := range samples {
		s, err := e.data.Sample(id)
		if err != nil {
			return nil, err
		}
		docs[i] = packing.Doc{IDs: s.IDs, Target: s.Target, Factor: e.data.Sources()[s.Source].LossFactor}
	}
	return docs, nil
}

// carrier is a sample as shares of the loss see it, but for its answers.
func (e *Epochs) carrier(id int) packing.Carrier {
	return packing.Carrier{Targets: e.data.Targets(id), Factor: e.data.Sources()[e.data.Source(id)].LossFactor}
}

// scoredPacks packs what is only scored, by its place: what fits into packs of the capacity, then each longer one by itself.
func scoredPacks(capacity int, sizes []int32) ([][]int32, error) {
	var fit []int32
	var longer [][]int32
	for i, n := range sizes {
		if int(n) <= capacity {
			fit = append(fit, int32(i))
		} else {
			longer = append(longer, []int32{int32(i)})
		}
	}
	packs, err := packing.Assign(packing.BestFit, capacity, pick(sizes, fit))
	for i, p := range packs {
		packs[i] = pick(fit, p)
	}
	return append(packs, longer...), err
}

// packSteps is what the sizes of packs are computed in multiples of.
const packSteps = 128

// computedFor is how many tokens are computed for a pack of so many, of which the larger than the capacity are held-out samples.
func computedFor(tokens, capacity int) int64 {
	n := (tokens + packSteps - 1) / packSteps * packSteps
	if tokens <= capacity {
		n = min(capacity, n)
	}
	return int64(n)
}

// lengths are those of samples, in tokens.
func lengths[I int | int32](set *data.Set, samples []I) []int32 {
	out := make([]int32, len(samples))
	for i, id := range samples {
		out[i] = int32(set.Tokens(int(id)))
	}
	return out
}

func pick[T any, I int | int32](from []T, at []I) []T {
	out := make([]T, len(at))
	for i, k := range at {
		out[i] = from[k]
	}
	return out
}
