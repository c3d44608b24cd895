package packing

// firstFit takes the samples in their order and puts each into the first pack that has the
// room. It keeps the order, so that a pack mixes long and short as the data does, and
// fills nearly as well as best fit over sorted samples; sorted, it would give that
// packer's packs once more. A tree of the most room below each node finds the pack in
// O(log packs): all but one are more than half full, which bounds them.
func firstFit(capacity int, lengths []int32) [][]int32 {
	total := 0
	for _, n := range lengths {
		total += int(n)
	}
	leaves, most := 1, min(len(lengths), 2*total/capacity+1)
	for leaves < most {
		leaves *= 2
	}
	room := make([]int32, 2*leaves) // of pack k at leaves+k; above, the larger of two
	for i := range room {
		room[i] = int32(capacity)
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
	return gather(identity[int32](len(lengths)), in, packs)
}
