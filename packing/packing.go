// Package packing puts samples of different lengths into packs of one fixed
// capacity, and says how much each of their tokens weighs in the loss.
//
// [Plan] decides which sample lies in which pack, [Epoch] does that for an
// epoch of training, [Lay] fills a pack with tokens, and [Shares] tells who gets
// how much of the loss. All are pure functions of their arguments.
//
// Samples of a pack never see each other: each keeps the position at which it
// starts, positions count from there, and its first token is nobody's target.
// The package knows nothing of files, models or text.
package packing

import (
	"cmp"
	"fmt"
	"slices"

	"lwtrain/internal/rng"
)

// Plan puts samples of the given lengths (in tokens) into packs and returns the
// samples of each pack by their index. Every sample lies in exactly one pack.
//
//   - next_fit keeps the order: a pack is closed when the next sample does not
//     fit (LongWriter's released code).
//   - best_fit_decreasing takes the longest sample first and puts each where
//     the least room is left (Ding et al. 2024, arXiv:2404.10830), over all
//     samples at once. Samples of equal length keep their order. Which packs
//     arise depends on the lengths alone.
//
// A sample that is empty or longer than capacity is an error.
func Plan(strategy string, capacity int, lengths []int) ([][]int, error) {
	for i, n := range lengths {
		if n < 1 || n > capacity {
			return nil, fmt.Errorf("sample %d has %d tokens, want 1 to %d, the capacity of a pack", i, n, capacity)
		}
	}
	switch strategy {
	case "next_fit":
		return nextFit(capacity, lengths), nil
	case "best_fit_decreasing":
		return bestFitDecreasing(capacity, lengths), nil
	}
	return nil, fmt.Errorf("packing strategy %q, want best_fit_decreasing or next_fit", strategy)
}

// Epoch plans one epoch of training: the samples are shuffled by the seed and
// the epoch's number, packed, and with best_fit_decreasing the packs are
// shuffled too, because they come out by size. Every epoch of
// best_fit_decreasing has the same number of packs.
func Epoch(opt Options, lengths []int, seed uint64, epoch int) ([][]int, error) {
	order := rng.Perm(rng.New(seed, "order", uint64(epoch)), len(lengths))
	shuffled := make([]int, len(order))
	for i, k := range order {
		shuffled[i] = lengths[k]
	}
	packs, err := Plan(opt.Strategy, opt.Capacity, shuffled)
	if err != nil {
		return nil, err
	}
	for _, pack := range packs {
		for i, k := range pack {
			pack[i] = order[k]
		}
	}
	if opt.Strategy == "next_fit" {
		return packs, nil
	}
	out := make([][]int, len(packs))
	for i, k := range rng.Perm(rng.New(seed, "packs", uint64(epoch)), len(packs)) {
		out[i] = packs[k]
	}
	return out, nil
}

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

// bestFitDecreasing needs time O(N log N + N log C) and memory O(N + C): packs
// with the same room left are a linked list, and a tree of bit sets finds the
// smallest room that is enough.
func bestFitDecreasing(capacity int, lengths []int) [][]int {
	order := make([]int, len(lengths))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(lengths[b], lengths[a]) })
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
