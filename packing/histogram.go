package packing

import "slices"

// pattern is a number of packs that hold samples of the same lengths: some of one
// length beside those of the pattern before.
type pattern struct {
	length, samples int // in each pack
	before          *pattern
}

// alike are packs of one pattern.
type alike struct {
	packs int
	of    *pattern
}

// fromHistogram packs lengths instead of samples: longest-pack-first histogram packing
// (Krell et al. 2021, arXiv:2107.02027, LPFHP). All samples of a length are put at
// once where the least room is left, as many into each pack as it takes, and packs of the same
// pattern stay together. It leaves the rooms that best fit decreasing leaves; its time
// grows with the number of different lengths, and with that of the samples
// only to count them and to hand them out.
func fromHistogram(capacity int, lengths []int32) [][]int32 {
	samples := make([][]int32, capacity+1) // by length
	for order := longestFirst(lengths); len(order) > 0; {
		n, to := lengths[order[0]], 1
		for to < len(order) && lengths[order[to]] == n {
			to++
		}
		samples[n], order = order[:to], order[to:]
	}
	var full []alike
	open := make([][]alike, capacity+1) // by the room left
	rooms := newIntSet(uint(capacity) + 1)
	put := func(a alike, room int) {
		switch {
		case a.packs == 0:
		case room == 0:
			full = append(full, a)
		default:
			open[room] = append(open[room], a)
			rooms.add(uint(room))
		}
	}
	for n := capacity; n > 0; n-- {
		for left := len(samples[n]); left > 0; {
			at, ok := rooms.from(uint(n))
			room := int(at)
			var a alike
			if ok {
				last := len(open[room]) - 1
				a, open[room] = open[room][last], open[room][:last]
				if last == 0 {
					rooms.remove(at)
				}
			} else {
				room = capacity
				a.packs = (left + room/n - 1) / (room / n)
			}
			each := room / n
			whole := min(a.packs, left/each)
			put(alike{whole, &pattern{n, each, a.of}}, room-each*n)
			left -= whole * each
			a.packs -= whole
			if rest := min(left, each-1); a.packs > 0 && rest > 0 {
				put(alike{1, &pattern{n, rest, a.of}}, room-rest*n)
				left -= rest
				a.packs--
			}
			put(a, room)
		}
	}
	return handOut(append(full, slices.Concat(open...)...), samples)
}

// handOut gives the packs their samples, those of a length in their order.
func handOut(all []alike, samples [][]int32) (packs [][]int32) {
	for _, a := range all {
		for range a.packs {
			size := 0
			for p := a.of; p != nil; p = p.before {
				size += p.samples
			}
			pack := make([]int32, 0, size)
			for p := a.of; p != nil; p = p.before {
				pack = append(pack, samples[p.length][:p.samples]...)
				samples[p.length] = samples[p.length][p.samples:]
			}
			packs = append(packs, pack)
		}
	}
	return packs
}
