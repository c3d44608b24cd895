package data

import (
	"slices"
)

// top keeps the n largest of a stream by a key, the first of equal ones.
type top[T any] struct {
	n    int
	less func(a, b T) int // below 0: a comes before b
	list []T
}

func (t *top[T]) add(v T) {
	at, _ := slices.BinarySearchFunc(t.list, v, func(old, v T) int {
		if c := t.less(old, v); c != 0 {
			return c
		}
		return -1
	})
	if at < t.n {
		t.list = slices.Insert(t.list, at, v)
		t.list = t.list[:min(len(t.list), t.n)]
	}
}
