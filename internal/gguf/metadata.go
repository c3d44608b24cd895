package gguf

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// Names lists the tensors in the order of their names.
func (g *File) Names() []string { return slices.Sorted(maps.Keys(g.Tensors)) }

// Text returns a text, which must be there.
func (g *File) Text(key string) (string, error) {
	v, ok := g.Values[key]
	if !ok {
		return "", fmt.Errorf("no %s", key)
	}
	s, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("%s is %s, want a text", key, Show(v))
	}
	return s, nil
}

// Int returns an integer of least to most. One that is not there is fallback, or an
// error if that is below least.
func (g *File) Int(key string, least, fallback, most int) (int, error) {
	v, ok := g.Values[key]
	if !ok {
		if fallback < least {
			return 0, fmt.Errorf("no %s", key)
		}
		return fallback, nil
	}
	n, ok := whole(v, least, most)
	if !ok {
		return 0, fmt.Errorf("%s is %s, want %d to %d", key, Show(v), least, most)
	}
	return n, nil
}

// whole reports whether a value is an integer of least to most.
func whole(v any, least, most int) (int, bool) {
	n, ok := v.(int64)
	if u, is := v.(uint64); is && u <= math.MaxInt64 {
		n, ok = int64(u), true
	}
	if !ok || n < int64(least) || n > int64(most) {
		return 0, false
	}
	return int(n), true
}

// Ints returns an array of n integers of least to most; booleans are 0 and 1.
func (g *File) Ints(key string, n, least, most int) ([]int, error) {
	list, ok := g.Values[key].(Numbers)
	if !ok || list.Count != n {
		return nil, fmt.Errorf("%s is %s, want an array of %d numbers", key, Show(g.Values[key]), n)
	}
	out := make([]int, n)
	for i := range out {
		v := list.At(i)
		if b, is := v.(bool); is {
			v = int64(0)
			if b {
				v = int64(1)
			}
		}
		if out[i], ok = whole(v, least, most); !ok {
			return nil, fmt.Errorf("%s[%d] is %s, want %d to %d", key, i, Show(v), least, most)
		}
	}
	return out, nil
}

// Float returns a number above 0. One that is not there is fallback, or an
// error if that is 0.
func (g *File) Float(key string, fallback float64) (float64, error) {
	v, ok := g.Values[key]
	if !ok {
		if fallback == 0 {
			return 0, fmt.Errorf("no %s", key)
		}
		return fallback, nil
	}
	f, ok := v.(float64)
	if !ok || !(f > 0) || float32(f) == 0 || f > math.MaxFloat32 {
		return 0, fmt.Errorf("%s is %s, want a number above 0", key, Show(v))
	}
	return f, nil
}
