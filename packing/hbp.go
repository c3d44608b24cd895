package packing

// balanced is the packing of hierarchical balance packing (HBP, arXiv:2503.07680, section
// 3.2): samples are put into packs from the group of the longest to that of the shortest,
// each into the least room that longer ones have left (there GreedyFill), then packs are
// sorted by the cost of their attention, so that a step takes packs of like cost. HBP
// packs its groups to several lengths, for which it has settings of their own; here all packs
// have one capacity, and groups in the order of their lengths that fill what is left are
// what best fit decreasing does.
func balanced(capacity int, lengths []int) [][]int {
	packs := bestFitDecreasing(capacity, lengths)
	costs := make([]float64, len(packs))
	var of []int
	for i, p := range packs {
		of = of[:0]
		for _, k := range p {
			of = append(of, lengths[k])
		}
		costs[i] = Attention.Of(of)
	}
	out := make([][]int, len(packs))
	for i, k := range dearestFirst(costs) {
		out[i] = packs[k]
	}
	return out
}
