package packing

import "lwtrain/internal/rng"

// packer is a way to put samples of the given lengths into packs of a capacity. It
// gets lengths of 1 to capacity.
type packer struct {
	name   string
	assign func(capacity int, lengths []int32) [][]int32
	// varies: how many packs there are depends on the order of the samples, which is
	// another one in each epoch. Else it depends on the lengths alone.
	varies  bool
	arrange arrangement
}

// arrangement says how an epoch takes the packs of a packer.
type arrangement int

const (
	shuffled   arrangement = iota // they come out by size
	asTheyCome                    // in the order of the samples, which is shuffled
	neighbours                    // those beside each other make a step; the steps are shuffled
)

// BestFit is the packer that makes the fewest packs.
const BestFit = "best_fit_decreasing"

// packers are the values of [Options].Strategy.
var packers = []packer{
	{BestFit, bestFitDecreasing, false, shuffled},
	{"next_fit", nextFit, true, asTheyCome},
	{"first_fit", firstFit, true, asTheyCome},
	{"histogram", fromHistogram, false, shuffled},
	{"sorted", sortedNextFit, false, neighbours},
	{"hbp", balanced, false, neighbours},
}

// Strategies are the names of the packers.
func Strategies() []string { return names(packers, func(p packer) string { return p.name }) }

func packerOf(strategy string) (packer, error) {
	return find(packers, "packing strategy", strategy, func(p packer) string { return p.name })
}

// order is that in which epoch number epoch takes n packs, perStep of them in a step.
func (a arrangement) order(n, perStep int, seed uint64, epoch int) []int {
	switch a {
	case asTheyCome:
		return identity[int](n)
	case shuffled:
		return rng.Perm(rng.New(seed, "packs", uint64(epoch)), n)
	}
	// A step that has fewer packs is the last one, and may be cut from anywhere.
	steps, rest := n/perStep, n%perStep
	r := rng.New(seed, "packs", uint64(epoch))
	cut := rng.Perm(r, steps+1)[0]
	var out []int
	for _, s := range rng.Perm(r, steps) {
		first := s * perStep
		if s >= cut {
			first += rest
		}
		for k := range perStep {
			out = append(out, first+k)
		}
	}
	for k := range rest {
		out = append(out, cut*perStep+k)
	}
	return out
}
