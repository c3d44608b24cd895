package packing

// packer is a way to put samples of the given lengths into packs of a capacity. It
// gets lengths of 1 to capacity.
type packer struct {
	name   string
	assign func(capacity int, lengths []int) [][]int
	// ordered: samples keep their order, which is another one in each epoch, and so
	// may be the number of packs. Else the packs come out by size, depend on the
	// lengths alone, and are shuffled as a whole.
	ordered bool
}

// BestFit is the packer that makes the fewest packs.
const BestFit = "best_fit_decreasing"

// packers are the values of [Options].Strategy.
var packers = []packer{
	{BestFit, bestFitDecreasing, false},
	{"next_fit", nextFit, true},
}

// Strategies are the names of the packers.
func Strategies() []string { return names(packers, func(p packer) string { return p.name }) }

func packerOf(strategy string) (packer, error) {
	return find(packers, "packing strategy", strategy, func(p packer) string { return p.name })
}
