package prose

import (
	"slices"
	"unicode"
)

// A loop is a period of at most longestPeriod units that a text ends in, at least four times
// and leastLoop units long together; or a tail, of loopTail units or twice as many and so on, in
// which windows of eight come again: more than looping of it, and of its last loopTail units, end
// windows that came before in the tail. What stands further up is no loop where it comes again: a
// refrain, the heads of chapters, an ending that takes up the beginning.
const (
	longestPeriod = 64
	leastLoop     = 32
	loopTail      = 400
	looping       = 0.3
)

// LoopStart is the unit of a text at which the loop begins that it ends in; -1: it ends in none.
// Time and memory are linear.
func LoopStart(text string) int {
	units, _ := appendUnits(nil, text)
	return loopStart(units)
}

// LoopStartIDs is [LoopStart] of tokens: a loop of what has no letters has no units.
func LoopStartIDs(ids []int32) int {
	units := make([]uint64, len(ids))
	for i, id := range ids {
		units[i] = (uint64(uint32(id)) + 1) * hashBase
	}
	return loopStart(units)
}

func loopStart(units []uint64) int {
	start := -1
	n := len(units)
	for period := 1; period <= longestPeriod && 4*period <= n; period++ {
		i := n - 1
		for i >= period && units[i] == units[i-period] {
			i--
		}
		from := i + 1 - period // the first of the units that come again
		if n-from >= max(4*period, leastLoop) && (start < 0 || from < start) {
			start = from
		}
	}
	if from := blurredLoop(units); from >= 0 && (start < 0 || from < start) {
		start = from
	}
	return start
}

// blurredLoop finds an end that repeats itself without a period.
func blurredLoop(units []uint64) int {
	n, start := len(units), -1
	if n < loopTail {
		return -1
	}
	if _, within := tailLoop(units); !within { // what does not come again in all of it does in no tail
		return -1
	}
	for tail := loopTail; ; tail = min(2*tail, n) {
		if from, _ := tailLoop(units[n-tail:]); from >= 0 {
			start = n - tail + from
		}
		if tail == n {
			return start
		}
	}
}

// tailLoop finds where in a tail its loop begins, -1 if less than looping of it comes again; within
// says whether that holds of its last loopTail units.
func tailLoop(tail []uint64) (from int, within bool) {
	n := len(tail)
	again := repeats(tail)
	sum := make([]int, n+1) // of the repeats from each unit to the end
	for i := n - 1; i >= 0; i-- {
		sum[i] = sum[i+1]
		if again[i] {
			sum[i]++
		}
	}
	within = float64(sum[n-loopTail]) > looping*loopTail
	if !within || float64(sum[0]) <= looping*float64(n) {
		return -1, within
	}
	at := slices.IndexFunc(again, func(b bool) bool { return b })
	for ; at < n-loopTail; at++ {
		if again[at] && float64(sum[at]) > looping*float64(n-at) {
			break
		}
	}
	return max(0, at-gram+1), within
}

// repeats says of each unit whether the window of eight that ends with it came before.
func repeats(units []uint64) []bool {
	again := make([]bool, len(units))
	seen := make(map[uint64]bool, len(units))
	sum := uint64(0)
	for i, u := range units {
		sum += u
		if i >= gram-1 {
			again[i] = seen[sum]
			seen[sum] = true
			sum -= units[i-gram+1] * oldest
		}
		sum *= hashBase
	}
	return again
}

// LongestRun is the character that a text has most often in a row, blanks between them aside, and
// how often: of "no!! ! no" the exclamation mark, 3 times. Time is linear.
func LongestRun(text string) (of rune, n int) {
	var last rune
	run := 0
	for _, r := range text {
		switch {
		case unicode.IsSpace(r):
			continue
		case r == last:
			run++
		default:
			last, run = r, 1
		}
		if run > n {
			of, n = r, run
		}
	}
	return of, n
}
