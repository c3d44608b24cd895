package packing

// nextFit keeps the order: a pack is closed for good when the next sample does not
// fit, as LongWriter's released code does.
func nextFit(capacity int, lengths []int) [][]int {
	var packs [][]int
	room := 0
	for i, n := range lengths {
		if n > room {
			packs = append(packs, nil)
			room = capacity
		}
		last := len(packs) - 1
		packs[last] = append(packs[last], i)
		room -= n
	}
	return packs
}
