package data

import (
	"cmp"
	"encoding/json"
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

// Point is a length that a prompt asks for, and what the answer has, in words.
type Point struct{ Required, Real int }

// MarshalJSON writes a point as [required, real].
func (p Point) MarshalJSON() ([]byte, error) { return json.Marshal([2]int{p.Required, p.Real}) }

// UnmarshalJSON reads it.
func (p *Point) UnmarshalJSON(raw []byte) error {
	var v [2]int
	err := json.Unmarshal(raw, &v)
	p.Required, p.Real = v[0], v[1]
	return err
}

// drawn is a point on its way into a sample of points: those with the smallest
// hashes are a fair draw, and the same in whatever order they come.
type drawn struct {
	hash uint64
	Point
}

func byHash(a, b drawn) int {
	return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.Required, b.Required), cmp.Compare(a.Real, b.Real))
}
