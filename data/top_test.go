package data

import (
	"slices"
	"testing"
)

func TestTheTopKeepsTheLargestAndOfEqualOnesTheFirst(t *testing.T) {
	type item struct{ key, order int }
	kept := top[item]{n: 3, less: func(a, b item) int { return b.key - a.key }}
	for i, key := range []int{1, 5, 5, 2, 9, 5, 0} {
		kept.add(item{key, i})
	}
	if want := []item{{9, 4}, {5, 1}, {5, 2}}; !slices.Equal(kept.list, want) {
		t.Errorf("%v, want %v", kept.list, want)
	}
}
