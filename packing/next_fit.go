package packing

// nextFit keeps the order: a pack is closed for good when the next sample does not
// fit, as LongWriter's released code does.
func nextFit(capacity int, lengths []int32) [][]int32 {
	var packs [][]int32
	room := int32(0)
	for i, n := range lengths {
		if n > room {
			packs = append(packs, nil)
			room = int32(capacity)
		}
		last := len(packs) - 1
		packs[last] = append(packs[last], int32(i))
		room -= n
	}
	return packs
}
