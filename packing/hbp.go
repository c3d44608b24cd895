package packing

// balanced is the packing of hierarchical balance packing (HBP, arXiv:2503.07680, section
// 3.2): samples are put into packs from the group of the longest to that of the shortest,
// each into the least room that longer ones have left (there GreedyFill), then packs are
// sorted by the cost of their attention, so that a step takes packs of like cost. HBP
// packs its groups to several lengths, for which it has settings of their own; here all packs
// have one capacity, and groups in the order of their lengths that fill what is left are
// what best fit decreasing does.
func balanced(capacity int, lengths []int32) [][]int32 {
	packs := bestFitDecreasing(capacity, lengths)
	costs := make([]float64, len(packs))
	for i, p := range packs {
		costs[i] = Attention.Of(at(lengths, p))
	}
	return at(packs, dearestFirst(costs))
}
