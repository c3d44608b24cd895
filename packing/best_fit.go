package packing

import "slices"

// bestFitDecreasing takes the longest sample first and puts each where the least
// room is left (Ding et al. 2024, arXiv:2404.10830), over all samples at once.
// Samples of equal length keep their order.
//
// It needs time O(N log N + N log C) and memory O(N + C): packs
// with the same room left are a linked list, and a tree of bit sets finds the
// smallest room that is enough.
func bestFitDecreasing(capacity int, lengths []int32) [][]int32 {
	order := longestFirst(lengths)
	var (
		in    = make([]int32, len(lengths))   // which pack
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
	for _, i := range order {
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
			pack, room = int32(len(next)), uint(capacity)
			next = append(next, -1)
		}
		in[i] = pack
		if left := int(room) - int(n); left > 0 {
			push(left, pack)
		}
	}
	return gather(order, in, len(next))
}

// gather are packs of samples, in an order: in says which pack each lies in.
func gather(order, in []int32, packs int) [][]int32 {
	sizes := make([]int, packs)
	for _, k := range in {
		sizes[k]++
	}
	all, out := make([]int32, len(order)), make([][]int32, packs)
	for k, n := range sizes {
		out[k], all = all[:0:n], all[n:]
	}
	for _, i := range order {
		out[in[i]] = append(out[in[i]], i)
	}
	return out
}

// longestFirst are the indices of lengths, from the longest; those of equal length keep their
// order. It counts: lengths are at most a pack's capacity.
func longestFirst(lengths []int32) []int32 {
	if len(lengths) == 0 {
		return nil
	}
	begin := make([]int32, slices.Max(lengths)+2) // of each length in the order; first how many there are, one further
	longest := int32(len(begin) - 2)
	for _, n := range lengths {
		begin[longest-n+1]++
	}
	for i := 1; i < len(begin); i++ {
		begin[i] += begin[i-1]
	}
	order := make([]int32, len(lengths))
	for i, n := range lengths {
		order[begin[longest-n]] = int32(i)
		begin[longest-n]++
	}
	return order
}
