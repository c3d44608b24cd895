package packing

import (
	"cmp"
	"slices"
)

// bestFitDecreasing takes the longest sample first and puts each where the least
// room is left (Ding et al. 2024, arXiv:2404.10830), over all samples at once.
// Samples of equal length keep their order.
//
// It needs time O(N log N + N log C) and memory O(N + C): packs
// with the same room left are a linked list, and a tree of bit sets finds the
// smallest room that is enough.
func bestFitDecreasing(capacity int, lengths []int) [][]int {
	order := make([]int32, len(lengths))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(lengths[b], lengths[a]) })
	var (
		packs [][]int
		next  []int32                         // pack after this one in the list of its room, -1: none
		head  = make([]int32, capacity+1)     // first pack with this room left
		rooms = newIntSet(uint(capacity) + 1) // rooms that have a pack
	)
	push := func(room int, pack int32) {
		if rooms.has(uint(room)) {
			next[pack] = head[room]
		} else {
			next[pack] = -1
			rooms.add(uint(room))
		}
		head[room] = pack
	}
	for _, k := range order {
		i := int(k)
		n := lengths[i]
		room, ok := rooms.from(uint(n))
		var pack int32
		if ok {
			if pack = head[room]; next[pack] < 0 {
				rooms.remove(room)
			} else {
				head[room] = next[pack]
			}
		} else {
			pack, room = int32(len(packs)), uint(capacity)
			packs, next = append(packs, nil), append(next, -1)
		}
		packs[pack] = append(packs[pack], i)
		if left := int(room) - n; left > 0 {
			push(left, pack)
		}
	}
	return packs
}
