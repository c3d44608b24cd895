package jinja

import (
	"math"
	"slices"
	"strings"
)

func (e *constExpr) eval(*run) Value { return e.value }

func (e *nameExpr) eval(r *run) Value {
	r.line = e.line
	r.step(1)
	if v, ok := r.scope.get(e.name); ok {
		return v
	}
	if f, ok := globals[e.name]; ok {
		return f
	}
	return &Undefined{"'" + e.name + "' is undefined"}
}

func (e *listExpr) eval(r *run) Value {
	r.alloc(16 * len(e.items))
	list := &List{items: make([]Value, len(e.items))}
	if e.tuple {
		list.kind = tuple
	}
	for i, item := range e.items {
		list.items[i] = item.eval(r)
	}
	return list
}

func (e *dictExpr) eval(r *run) Value {
	r.alloc(64 * len(e.keys))
	d := newDict(len(e.keys))
	for i, k := range e.keys {
		v := k.eval(r)
		if _, ok := r.key(v); !ok {
			r.line = e.line
			r.fail("a %s can't be a key", typeName(v))
		}
		d.set(v, e.values[i].eval(r))
	}
	return d
}

func (e *attrExpr) eval(r *run) Value {
	r.enter(e.line)
	defer r.leave()
	object := e.object.eval(r)
	r.line = e.line
	return r.attr(object, e.name)
}

// attr is object.name: an attribute if there is one, else an item.
func (r *run) attr(object Value, name string) Value {
	if u, ok := object.(*Undefined); ok {
		r.undefined(u)
	}
	if v, ok := r.ownAttr(object, name); ok {
		return v
	}
	if d, ok := object.(*Dict); ok {
		if v, ok := d.text(name); ok {
			return v
		}
	}
	return r.missing(object, name)
}

// ownAttr is what Python's getattr finds.
func (r *run) ownAttr(object Value, name string) (Value, bool) {
	if strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__") {
		return &Undefined{"access to attribute '" + name + "' of '" + typeName(object) + "' object is unsafe"}, true
	}
	switch o := object.(type) {
	case *loop:
		return o.attr(r, name)
	case *Namespace:
		return o.vars.text(name)
	}
	if hasMethod(object, name) {
		return &method{object, name}, true
	}
	return nil, false
}

func (r *run) missing(object Value, name string) Value {
	return &Undefined{"'" + typeName(object) + " object' has no attribute '" + name + "'"}
}

func (e *indexExpr) eval(r *run) Value {
	r.enter(e.line)
	defer r.leave()
	object := e.object.eval(r)
	index := e.index.eval(r)
	r.line = e.line
	return r.item(object, index)
}

// item is object[index]: an item if there is one, else an attribute.
func (r *run) item(object, index Value) Value {
	if u, ok := object.(*Undefined); ok {
		r.undefined(u)
	}
	switch o := object.(type) {
	case *Dict:
		if k, ok := r.key(index); ok {
			if v, ok := o.get(k); ok {
				return v
			}
		}
	case *List:
		if i, ok := integer(index); ok && o.kind != view {
			if i < 0 {
				i += int64(len(o.items))
			}
			if i >= 0 && i < int64(len(o.items)) {
				return o.items[i]
			}
		}
	case String:
		if i, ok := integer(index); ok {
			r.scan(len(o.s))
			n := int64(o.runes())
			if i < 0 {
				i += n
			}
			if i >= 0 && i < n {
				return o.cut(o.at(int(i)), o.at(int(i)+1))
			}
		}
	}
	if name, ok := index.(String); ok {
		if v, ok := r.ownAttr(object, name.s); ok {
			return v
		}
		return r.missing(object, name.s)
	}
	return &Undefined{typeName(object) + " object has no element " + r.str(index).s}
}

func (e *sliceExpr) eval(r *run) Value {
	r.enter(e.line)
	defer r.leave()
	object := e.object.eval(r)
	part := func(e expr) *int64 {
		if e == nil {
			return nil
		}
		v := e.eval(r)
		if _, ok := v.(None); ok {
			return nil
		}
		i, ok := integer(v)
		if !ok {
			r.fail("a slice by a %s", typeName(v))
		}
		return &i
	}
	start, stop, step := part(e.start), part(e.stop), part(e.step)
	r.line = e.line
	switch o := object.(type) {
	case *List:
		if o.kind != view {
			from, to, by := r.slice(start, stop, step, len(o.items))
			out := &List{kind: o.kind}
			r.walk(from, to, by, func(i int) { out.items = append(out.items, o.items[i]) })
			r.alloc(16 * len(out.items))
			return out
		}
	case String:
		return r.sliceString(o, start, stop, step)
	case *Undefined:
		r.undefined(o)
	}
	return &Undefined{typeName(object) + " object can't be sliced"}
}

func (r *run) sliceString(s String, start, stop, step *int64) String {
	r.scan(len(s.s))
	from, to, by := r.slice(start, stop, step, s.runes())
	if by == 1 {
		if from >= to {
			return String{}
		}
		return s.cut(s.at(from), s.at(to))
	}
	chars := r.chars(s)
	var b builder
	r.walk(from, to, by, func(i int) { b.add(chars[i].(String)) })
	return b.string()
}

func (r *run) walk(from, to, by int, visit func(i int)) {
	for i := from; by > 0 && i < to || by < 0 && i > to; i += by {
		r.step(1)
		visit(i)
	}
}

// slice resolves the bounds of a slice of n items as Python does.
func (r *run) slice(start, stop, step *int64, n int) (from, to, by int) {
	by = 1
	if step != nil {
		if *step == 0 {
			r.fail("a slice with step 0")
		}
		by = int(max(-int64(n)-1, min(int64(n)+1, *step)))
	}
	low, high := int64(0), int64(n)
	if by < 0 {
		low, high = -1, int64(n)-1
	}
	clip := func(v *int64, missing int64) int {
		if v == nil {
			return int(missing)
		}
		i := *v
		if i < 0 {
			i += int64(n)
		}
		return int(max(low, min(high, i)))
	}
	if by < 0 {
		return clip(start, high), clip(stop, low), by
	}
	return clip(start, low), clip(stop, high), by
}

func (e *unaryExpr) eval(r *run) Value {
	r.enter(e.line)
	defer r.leave()
	v := e.operand.eval(r)
	r.line = e.line
	if e.op == "not" {
		return !truth(v)
	}
	if u, ok := v.(*Undefined); ok {
		r.undefined(u)
	}
	if i, ok := integer(v); ok {
		if e.op == "+" {
			return i
		}
		if i == math.MinInt64 {
			r.overflow()
		}
		return -i
	}
	f, ok := v.(float64)
	if !ok {
		r.fail("a sign before a %s", typeName(v))
	}
	if e.op == "-" {
		f = -f
	}
	return f
}

func (e *andExpr) eval(r *run) Value {
	r.enter(r.line)
	defer r.leave()
	if v := e.left.eval(r); !truth(v) {
		return v
	}
	return e.right.eval(r)
}

func (e *orExpr) eval(r *run) Value {
	r.enter(r.line)
	defer r.leave()
	if v := e.left.eval(r); truth(v) {
		return v
	}
	return e.right.eval(r)
}

func (e *ternaryExpr) eval(r *run) Value {
	r.enter(e.line)
	defer r.leave()
	switch {
	case truth(e.cond.eval(r)):
		return e.then.eval(r)
	case e.otherwise != nil:
		return e.otherwise.eval(r)
	}
	return &Undefined{"the condition is false and there is no else"}
}

func (e *compareExpr) eval(r *run) Value {
	r.enter(e.line)
	defer r.leave()
	left := e.first.eval(r)
	for i, op := range e.ops {
		right := e.rest[i].eval(r)
		r.line = e.line
		if !r.compare(op, left, right) {
			return false
		}
		left = right
	}
	return true
}

func (r *run) compare(op string, a, b Value) bool {
	switch op {
	case "==":
		return r.equal(a, b, 0)
	case "!=":
		return !r.equal(a, b, 0)
	case "in":
		return r.contains(b, a)
	case "not in":
		return !r.contains(b, a)
	}
	n := r.order(a, b, 0)
	switch {
	case isNaN(a) || isNaN(b):
		return false
	case op == "<":
		return n < 0
	case op == "<=":
		return n <= 0
	case op == ">":
		return n > 0
	}
	return n >= 0
}

// contains is item in container.
func (r *run) contains(container, item Value) bool {
	switch c := container.(type) {
	case String:
		s, ok := item.(String)
		if !ok {
			r.fail("a %s in a str", typeName(item))
		}
		r.scan(len(c.s))
		return strings.Contains(c.s, s.s)
	case *Dict:
		k, ok := r.key(item)
		if !ok {
			r.fail("a %s can't be a key", typeName(item))
		}
		_, found := c.get(k)
		return found
	case *loop:
		return slices.ContainsFunc(c.items, func(v Value) bool { return r.equal(v, item, 0) })
	}
	return slices.ContainsFunc(r.items(container), func(v Value) bool { return r.equal(v, item, 0) })
}

func (e *concatExpr) eval(r *run) Value {
	var b builder
	for _, part := range e.parts {
		s := r.str(part.eval(r))
		r.alloc(s.size())
		b.add(s)
	}
	return b.string()
}
