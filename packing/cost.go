package packing

import (
	"cmp"
	"slices"
)

// Cost is what a pack's documents take to compute: so much for each token, and so much for
// the square of each document's length, since its tokens look at each other.
type Cost struct{ Token, Square float64 }

// Attention is the cost by which hierarchical balance packing compares packs (HBP,
// arXiv:2503.07680): the sum of squared lengths.
var Attention = Cost{Square: 1}

// Of is the cost of documents of the given lengths.
func (c Cost) Of(lengths []int32) (sum float64) {
	for _, n := range lengths {
		sum += c.Token*float64(n) + c.Square*float64(n)*float64(n)
	}
	return sum
}

// Branches is the cost of documents that begin with the same shared tokens, which are computed once: each but the first is a
// branch of it ([Doc]). rows are how many tokens each has in the pack.
func (c Cost) Branches(shared int, rows []int32) float64 {
	sum := c.Of(rows)
	for _, n := range rows[1:] {
		sum += c.Square * 2 * float64(n) * float64(shared-1) // n tokens look at all of the prefix, which does not look back
	}
	return sum
}

// imbalance is the share of the time that those who compute packs side by side wait for the
// slowest of them: the mean over the packs of (most - cost) / most. With the cost
// [Attention] it is HBP's attention balance ratio, which is better the smaller it is.
func imbalance(costs []float64) float64 {
	if len(costs) == 0 {
		return 0
	}
	most, waited := slices.Max(costs), 0.0
	for _, c := range costs {
		waited += most - c
	}
	if most == 0 {
		return 0
	}
	return waited / most / float64(len(costs))
}

// AttentionBalance is the mean over an epoch's steps of the [imbalance] of their packs'
// [Attention], if each of the perStep packs of a step has a device of its own. A last
// step that has fewer packs counts with those that it has.
func AttentionBalance(packs [][]int32, perStep int, lengths []int32) (mean float64) {
	steps := 0.0
	for step := range slices.Chunk(packs, perStep) {
		costs := make([]float64, len(step))
		for i, p := range step {
			costs[i] = Attention.Of(at(lengths, p))
		}
		steps++
		mean += (imbalance(costs) - mean) / steps
	}
	return mean
}

// at are the values at indices.
func at[T any, I int | int32](values []T, indices []I) []T {
	out := make([]T, len(indices))
	for i, k := range indices {
		out[i] = values[k]
	}
	return out
}

// None stands in a row of [Deal] where there is no pack.
const None = -1

// Deal puts the packs of a step into rows of one for each of those who compute side by side,
// packs of like cost in a row: all wait for the slowest of it. Places without a pack are
// None, in the last row.
func Deal(costs []float64, ranks int) (rows [][]int) {
	order := identity[int](len(costs))
	if ranks > 1 {
		order = dearestFirst(costs)
	}
	for of := range slices.Chunk(order, ranks) {
		row := slices.Repeat([]int{None}, ranks)
		copy(row, of)
		rows = append(rows, row)
	}
	return rows
}

// dearestFirst are the indices of costs, from the highest; of the same they keep their order.
func dearestFirst(costs []float64) []int {
	order := identity[int](len(costs))
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(costs[b], costs[a]) })
	return order
}

func identity[I int | int32](n int) []I {
	out := make([]I, n)
	for i := range out {
		out[i] = I(i)
	}
	return out
}
