package jinja

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"lwtrain/internal/jinja/syntax"
)

// eval is the value of an expression; it panics with an *Error when it fails.
func (r *run) eval(e syntax.Expr) Value {
	switch e := e.(type) {
	case *syntax.Const:
		return e.Value
	case *syntax.Name:
		return r.evalName(e)
	case *syntax.List:
		return r.evalList(e)
	case *syntax.Dict:
		return r.evalDict(e)
	case *syntax.Attr:
		return r.evalAttr(e)
	case *syntax.Index:
		return r.evalIndex(e)
	case *syntax.Slice:
		return r.evalSlice(e)
	case *syntax.Call:
		return r.evalCall(e)
	case *syntax.Filter:
		return r.evalFilter(e)
	case *syntax.Test:
		return r.evalTest(e)
	case *syntax.Unary:
		return r.evalUnary(e)
	case *syntax.Binary:
		return r.evalBinary(e)
	case *syntax.Concat:
		return r.evalConcat(e)
	case *syntax.And:
		return r.evalAnd(e)
	case *syntax.Or:
		return r.evalOr(e)
	case *syntax.Compare:
		return r.evalCompare(e)
	case *syntax.Ternary:
		return r.evalTernary(e)
	}
	panic(fmt.Sprintf("an expression of type %T", e))
}

// constant is the value of a constant of the template.
func constant(v any) any {
	switch v := v.(type) {
	case nil:
		return None{}
	case string:
		return lit(v)
	}
	return v
}

func (r *run) evalName(e *syntax.Name) Value {
	r.line = e.Line
	r.step(1)
	r.scan(len(e.Name))
	if v, ok := r.scope.get(e.Name); ok {
		return v
	}
	if f, ok := globals[e.Name]; ok {
		return f
	}
	return &Undefined{"'" + syntax.Excerpt(e.Name) + "' is undefined"}
}

func (r *run) evalList(e *syntax.List) Value {
	r.alloc(perItem * len(e.Items))
	list := &List{items: make([]Value, len(e.Items))}
	if e.Tuple {
		list.kind = tuple
	}
	for i, item := range e.Items {
		list.items[i] = r.eval(item)
	}
	return list
}

func (r *run) evalDict(e *syntax.Dict) Value {
	r.alloc(perPair * len(e.Keys))
	d := newDict(len(e.Keys))
	for i, k := range e.Keys {
		v := r.eval(k)
		if _, ok := r.key(v); !ok {
			r.line = e.Line
			r.fail("a %s can't be a key", typeName(v))
		}
		d.set(v, r.eval(e.Values[i]))
	}
	return d
}

func (r *run) evalAttr(e *syntax.Attr) Value {
	r.enter(e.Line)
	defer r.leave()
	object := r.eval(e.Object)
	r.line = e.Line
	return r.attr(object, e.Name)
}

// attr is object.name: an attribute if there is one, else an item.
func (r *run) attr(object Value, name string) Value {
	if u, ok := object.(*Undefined); ok {
		r.undefined(u)
	}
	r.scan(len(name))
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

// ownAttr is what Python's getattr finds. The name's length is counted by the caller.
func (r *run) ownAttr(object Value, name string) (Value, bool) {
	if strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__") {
		return &Undefined{"access to attribute '" + syntax.Excerpt(name) + "' of '" + typeName(object) + "' object is unsafe"}, true
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
	return &Undefined{"'" + typeName(object) + " object' has no attribute '" + syntax.Excerpt(name) + "'"}
}

func (r *run) evalIndex(e *syntax.Index) Value {
	r.enter(e.Line)
	defer r.leave()
	object := r.eval(e.Object)
	index := r.eval(e.Index)
	r.line = e.Line
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
			if from, to, ok := r.char(o, i); ok {
				return o.cut(from, to)
			}
		}
	}
	if name, ok := index.(String); ok {
		r.scan(len(name.s))
		if v, ok := r.ownAttr(object, name.s); ok {
			return v
		}
		return r.missing(object, name.s)
	}
	return &Undefined{typeName(object) + " object has no element " + syntax.Excerpt(r.str(index).s)}
}

func (r *run) evalSlice(e *syntax.Slice) Value {
	r.enter(e.Line)
	defer r.leave()
	object := r.eval(e.Object)
	part := func(e syntax.Expr) *int64 {
		if e == nil {
			return nil
		}
		v := r.eval(e)
		if _, ok := v.(None); ok {
			return nil
		}
		i, ok := integer(v)
		if !ok {
			r.fail("a slice by a %s", typeName(v))
		}
		return &i
	}
	start, stop, step := part(e.Start), part(e.Stop), part(e.Step)
	r.line = e.Line
	switch o := object.(type) {
	case *List:
		if o.kind != view {
			from, to, by := r.slice(start, stop, step, len(o.items))
			out := &List{kind: o.kind}
			r.walk(from, to, by, func(i int) {
				r.alloc(32)
				out.items = append(out.items, o.items[i])
			})
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
	r.scan(s.size())
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

// char is where character n of s lies, counted from the end where it is negative.
func (r *run) char(s String, n int64) (from, to int, ok bool) {
	switch {
	case s.s == "":
		return 0, 0, false
	case n == 0:
		_, size := utf8.DecodeRuneInString(s.s)
		return 0, size, true
	case n == -1:
		_, size := utf8.DecodeLastRuneInString(s.s)
		return len(s.s) - size, len(s.s), true
	}
	r.scan(len(s.s))
	count := int64(s.runes())
	if n < 0 {
		n += count
	}
	if n < 0 || n >= count {
		return 0, 0, false
	}
	from = s.at(int(n))
	_, size := utf8.DecodeRuneInString(s.s[from:])
	return from, from + size, true
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

func (r *run) evalUnary(e *syntax.Unary) Value {
	r.enter(e.Line)
	defer r.leave()
	v := r.eval(e.Operand)
	r.line = e.Line
	if e.Op == "not" {
		return !truth(v)
	}
	if u, ok := v.(*Undefined); ok {
		r.undefined(u)
	}
	if i, ok := integer(v); ok {
		if e.Op == "+" {
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
	if e.Op == "-" {
		f = -f
	}
	return f
}

func (r *run) evalAnd(e *syntax.And) Value {
	r.enter(r.line)
	defer r.leave()
	if v := r.eval(e.Left); !truth(v) {
		return v
	}
	return r.eval(e.Right)
}

func (r *run) evalOr(e *syntax.Or) Value {
	r.enter(r.line)
	defer r.leave()
	if v := r.eval(e.Left); truth(v) {
		return v
	}
	return r.eval(e.Right)
}

func (r *run) evalTernary(e *syntax.Ternary) Value {
	r.enter(e.Line)
	defer r.leave()
	switch {
	case truth(r.eval(e.Cond)):
		return r.eval(e.Then)
	case e.Otherwise != nil:
		return r.eval(e.Otherwise)
	}
	return &Undefined{"the condition is false and there is no else"}
}

func (r *run) evalCompare(e *syntax.Compare) Value {
	r.enter(e.Line)
	defer r.leave()
	left := r.eval(e.First)
	for i, op := range e.Ops {
		right := r.eval(e.Rest[i])
		r.line = e.Line
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

func (r *run) evalConcat(e *syntax.Concat) Value {
	var b builder
	for _, part := range e.Parts {
		s := r.str(r.eval(part))
		r.alloc(s.size())
		b.add(s)
	}
	return b.string()
}
