package packing

// sortedNextFit takes the samples from the longest to the shortest and closes a pack when the
// next one does not fit: LongAlign's sorted batching (arXiv:2401.18058, section 3.2), a
// step of which takes samples of like length, for packs instead of single samples.
func sortedNextFit(capacity int, lengths []int32) [][]int32 {
	order := longestFirst(lengths)
	packs := nextFit(capacity, at(lengths, order))
	for _, p := range packs {
		for i, k := range p {
			p[i] = order[k]
		}
	}
	return packs
}
