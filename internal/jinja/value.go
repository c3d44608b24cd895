package jinja

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Value is a value of the template language: None, bool, int64, float64,
// String, *List, *Dict, *Iter, *Undefined, *Namespace, *loop, *macro, *function
// or *method.
type Value any

// None is Python's None.
type None struct{}

// List is a list, a tuple, or a dict's view of its keys, values or items.
type List struct {
	items []Value
	kind  listKind
}

type listKind uint8

const (
	plainList listKind = iota
	tuple
	view
)

// Iter is what Python's generators and iterators are: true even when empty,
// without a length, and used up by one walk.
type Iter struct{ items []Value }

// Undefined is the value of a name that is not set. It prints as nothing, and
// fails with msg where a value is needed.
type Undefined struct{ msg string }

// Namespace is what namespace() makes: the one thing whose attributes a
// template may set.
type Namespace struct{ vars *Dict }

// Dict is a mapping in the order of insertion. Most have a few keys, and a walk is
// fastest; from manyKeys on they are found by an index.
type Dict struct {
	keys   []Value
	values []Value
	index  map[dictKey]int // nil below manyKeys
}

const manyKeys = 12

// perPair is what a key and its value take of memory in a large Dict, the key a text.
const perPair = 256

// dictKey is what keys that are equal have in common.
type dictKey struct {
	kind byte
	text string
	num  float64
}

func newDict(size int) *Dict {
	return &Dict{keys: make([]Value, 0, size), values: make([]Value, 0, size)}
}

// key maps a value to what it is found by; false if it can't be a key.
func key(v Value) (dictKey, bool) {
	switch v := v.(type) {
	case String:
		return dictKey{kind: 's', text: v.s}, true
	case None:
		return dictKey{kind: 'n'}, true
	case bool, int64, float64:
		f, _ := number(v)
		return dictKey{kind: 'f', num: f}, true
	case *List:
		if v.kind != tuple {
			return dictKey{}, false
		}
		var b strings.Builder
		for _, item := range v.items {
			if _, nested := item.(*List); nested {
				return dictKey{}, false // Python could; nobody does
			}
			k, ok := key(item)
			if !ok {
				return k, false
			}
			fmt.Fprintf(&b, "%c%q%v,", k.kind, k.text, k.num)
		}
		return dictKey{kind: 't', text: b.String()}, true
	}
	return dictKey{}, false
}

// key is [key], counted as work.
func (r *run) key(v Value) (dictKey, bool) {
	r.step(1)
	switch v := v.(type) {
	case String:
		r.scan(len(v.s))
	case *List:
		for _, item := range v.items {
			r.alloc(16)
			if s, ok := item.(String); ok {
				r.alloc(len(s.s))
			}
		}
	}
	return key(v)
}

// find is the place of a key, -1 if it is not there.
func (d *Dict) find(k dictKey) int {
	if d.index != nil {
		if i, ok := d.index[k]; ok {
			return i
		}
		return -1
	}
	for i := range d.keys {
		if known, _ := key(d.keys[i]); known == k {
			return i
		}
	}
	return -1
}

func (d *Dict) get(k dictKey) (Value, bool) {
	if i := d.find(k); i >= 0 {
		return d.values[i], true
	}
	return nil, false
}

func (d *Dict) text(name string) (Value, bool) { return d.get(dictKey{kind: 's', text: name}) }

func (d *Dict) set(k Value, v Value) bool {
	hashed, ok := key(k)
	if !ok {
		return false
	}
	if i := d.find(hashed); i >= 0 {
		d.values[i] = v
		return true
	}
	d.keys = append(d.keys, k)
	d.values = append(d.values, v)
	switch {
	case d.index != nil:
		d.index[hashed] = len(d.keys) - 1
	case len(d.keys) > manyKeys:
		d.index = make(map[dictKey]int, 2*len(d.keys))
		for i := range d.keys {
			known, _ := key(d.keys[i])
			d.index[known] = i
		}
	}
	return true
}

func (d *Dict) pairs() []Value {
	out := make([]Value, len(d.keys))
	for i, k := range d.keys {
		out[i] = &List{items: []Value{k, d.values[i]}, kind: tuple}
	}
	return out
}

// typeName is the type's name in Python.
func typeName(v Value) string {
	switch v := v.(type) {
	case None:
		return "NoneType"
	case bool:
		return "bool"
	case int64:
		return "int"
	case float64:
		return "float"
	case String:
		return "str"
	case *List:
		return []string{"list", "tuple", "dict_items"}[v.kind]
	case *Dict:
		return "dict"
	case *Iter:
		return "generator"
	case *Undefined:
		return "Undefined"
	case *Namespace:
		return "Namespace"
	case *loop:
		return "LoopContext"
	case *macro:
		return "Macro"
	}
	return "function"
}

// truth is bool(v).
func truth(v Value) bool {
	switch v := v.(type) {
	case None, *Undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case String:
		return v.s != ""
	case *List:
		return len(v.items) > 0
	case *Dict:
		return len(v.keys) > 0
	}
	return true
}

// number returns the value of a number; a bool is one.
func number(v Value) (float64, bool) {
	if f, ok := v.(float64); ok {
		return f, true
	}
	n, ok := integer(v)
	return float64(n), ok
}

// integer returns the value of an int; a bool is one.
func integer(v Value) (int64, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int64:
		return v, true
	}
	return 0, false
}

// equal is a == b.
func (r *run) equal(a, b Value, depth int) bool {
	r.deep(depth)
	switch x := a.(type) {
	case String:
		y, ok := b.(String)
		r.scan(len(x.s))
		return ok && x.s == y.s
	case None:
		_, ok := b.(None)
		return ok
	case *Undefined:
		_, ok := b.(*Undefined)
		return ok
	case bool, int64, float64:
		if i, ok := integer(a); ok {
			if j, ok := integer(b); ok {
				return i == j
			}
		}
		f, _ := number(a)
		g, ok := number(b)
		return ok && f == g
	case *List:
		y, ok := b.(*List)
		if !ok || x.kind != y.kind || len(x.items) != len(y.items) {
			return false
		}
		for i := range x.items {
			if !r.equal(x.items[i], y.items[i], depth+1) {
				return false
			}
		}
		return true
	case *Dict:
		y, ok := b.(*Dict)
		if !ok || len(x.keys) != len(y.keys) {
			return false
		}
		for i := range x.keys {
			k, _ := r.key(x.keys[i])
			other, ok := y.get(k)
			if !ok || !r.equal(x.values[i], other, depth+1) {
				return false
			}
		}
		return true
	}
	return a == b // all the rest are pointers
}

// order is -1, 0 or 1 as a is less than, equal to or greater than b; it fails
// for what Python does not compare. NaN is taken as equal to everything.
func (r *run) order(a, b Value, depth int) int {
	r.deep(depth)
	switch x := a.(type) {
	case String:
		if y, ok := b.(String); ok {
			r.scan(min(len(x.s), len(y.s)))
			return strings.Compare(x.s, y.s)
		}
	case bool, int64, float64:
		if i, ok := integer(a); ok {
			if j, ok := integer(b); ok {
				return int(max(-1, min(1, compareInts(i, j))))
			}
		}
		f, _ := number(a)
		if g, ok := number(b); ok {
			switch {
			case f < g:
				return -1
			case f > g:
				return 1
			}
			return 0
		}
	case *List:
		if y, ok := b.(*List); ok && x.kind == y.kind && x.kind != view {
			for i := range min(len(x.items), len(y.items)) {
				if !r.equal(x.items[i], y.items[i], depth+1) {
					return r.order(x.items[i], y.items[i], depth+1)
				}
			}
			return compareInts(int64(len(x.items)), int64(len(y.items)))
		}
	case *Undefined:
		r.undefined(x)
	}
	if u, ok := b.(*Undefined); ok {
		r.undefined(u)
	}
	r.fail("a %s and a %s can't be compared", typeName(a), typeName(b))
	return 0
}

func compareInts(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// isNaN tells the one number that no comparison holds for.
func isNaN(v Value) bool {
	f, ok := v.(float64)
	return ok && math.IsNaN(f)
}

// deep bounds walks into nested values.
func (r *run) deep(depth int) {
	r.step(1)
	if depth > maxValue {
		r.fail("a value nested more than %d deep", maxValue)
	}
}

// items is what a walk over v yields.
func (r *run) items(v Value) []Value {
	switch v := v.(type) {
	case *List:
		return v.items
	case *Dict:
		r.alloc(16 * len(v.keys))
		return slices.Clone(v.keys)
	case *Iter:
		items := v.items
		v.items = nil
		return items
	case String:
		return r.chars(v)
	case *Undefined:
		return nil
	case *loop:
		r.fail("a loop can't be walked over here")
	}
	r.fail("a %s can't be walked over", typeName(v))
	return nil
}

func (r *run) chars(s String) []Value {
	n := s.runes()
	r.scan(len(s.s))
	r.alloc(perItem * n)
	out := make([]Value, 0, n)
	for i, c := range s.s {
		out = append(out, s.cut(i, i+runeLen(s.s[i:], c)))
	}
	return out
}

// length is len(v).
func (r *run) length(v Value) int {
	switch v := v.(type) {
	case String:
		r.scan(len(v.s))
		return v.runes()
	case *List:
		return len(v.items)
	case *Dict:
		return len(v.keys)
	case *Undefined:
		return 0
	case *loop:
		return len(v.items)
	}
	r.fail("a %s has no length", typeName(v))
	return 0
}
