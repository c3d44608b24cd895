package packing

// firstFit takes the samples in their order and puts each into the first pack that has the
// room. It keeps the order, so that a pack mixes long and short as the data does, and
// fills nearly as well as best fit over sorted samples; sorted, it would give that
// packer's packs once more. A tree of the most room below each node finds the pack in
// O(log N).
func firstFit(capacity int, lengths []int) [][]int {
	leaves := 1
	for leaves < len(lengths) {
		leaves *= 2
	}
	room := make([]int, 2*leaves) // of pack k at leaves+k; above, the larger of two
	for i := range room {
		room[i] = capacity
	}
	in, packs := make([]int32, len(lengths)), 0
	for i, n := range lengths {
		at := 1
		for at < leaves {
			if at *= 2; room[at] < n {
				at++
			}
		}
		k := at - leaves
		in[i], packs = int32(k), max(packs, k+1)
		room[at] -= n
		for at /= 2; at > 0; at /= 2 {
			room[at] = max(room[2*at], room[2*at+1])
		}
	}
	return gather(identity(len(lengths)), in, packs)
}
