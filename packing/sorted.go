package packing

// sortedNextFit takes the samples from the longest to the shortest and closes a pack when the
// next one does not fit: LongAlign's sorted batching (arXiv:2401.18058, section 3.2), a
// step of which takes samples of like length, for packs instead of single samples.
func sortedNextFit(capacity int, lengths []int) [][]int {
	order := longestFirst(lengths)
	sorted := make([]int, len(order))
	for i, k := range order {
		sorted[i] = lengths[k]
	}
	packs := nextFit(capacity, sorted)
	for _, p := range packs {
		for i, k := range p {
			p[i] = order[k]
		}
	}
	return packs
}
