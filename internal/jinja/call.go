package jinja

import (
	"slices"
	"strings"
)

// args are the values of a call's arguments.
type args struct {
	fn    string // who is called, for messages
	pos   []Value
	names []string
	named []Value
}

// function is a callable of the interpreter's own.
type function struct {
	name string
	f    func(r *run, a args) Value
}

// method is a method of a str, list or dict that was asked for by its name.
type method struct {
	object Value
	name   string
}

// args evaluates the arguments of a call.
func (r *run) args(e argExprs) args {
	a := args{pos: make([]Value, 0, len(e.pos)+1)}
	for _, arg := range e.pos {
		a.pos = append(a.pos, arg.eval(r))
	}
	for i, arg := range e.named {
		a.names = append(a.names, e.names[i])
		a.named = append(a.named, arg.eval(r))
	}
	if e.star != nil {
		more := r.items(e.star.eval(r))
		r.alloc(16 * len(more))
		a.pos = append(a.pos, more...)
	}
	if e.dict != nil {
		d, ok := e.dict.eval(r).(*Dict)
		if !ok {
			r.fail("** wants a dict")
		}
		r.alloc(32 * len(d.keys))
		for i, k := range d.keys {
			a.names = append(a.names, r.text(k).s)
			a.named = append(a.named, d.values[i])
		}
	}
	return a
}

// bind returns the values of parameters in their order, nil for those not
// given, and fails for arguments that are none of them.
func (a args) bind(r *run, params ...string) []Value {
	if len(a.pos) > len(params) {
		r.fail("%s: %d arguments, at most %d wanted", a.fn, len(a.pos), len(params))
	}
	out := make([]Value, len(params))
	copy(out, a.pos)
	for i, name := range a.names {
		at := slices.Index(params, name)
		if at < 0 {
			r.fail("%s has no parameter %q", a.fn, name)
		}
		if out[at] != nil {
			r.fail("%s: two values for %q", a.fn, name)
		}
		out[at] = a.named[i]
	}
	return out
}

func (e *callExpr) eval(r *run) Value {
	r.enter(e.line)
	defer r.leave()
	callee := e.callee.eval(r)
	a := r.args(e.args)
	r.line = e.line
	return r.call(callee, a)
}

func (r *run) call(callee Value, a args) Value {
	switch f := callee.(type) {
	case *function:
		a.fn = f.name
		return f.f(r, a)
	case *method:
		a.fn = typeName(f.object) + "." + f.name
		return f.call(r, a)
	case *macro:
		return f.call(r, a)
	case *loop:
		a.fn = "loop"
		return f.again(r, a)
	case *Undefined:
		r.undefined(f)
	}
	r.fail("a %s can't be called", typeName(callee))
	return nil
}

func (e *filterExpr) eval(r *run) Value {
	r.enter(e.line)
	defer r.leave()
	return e.apply(r, e.input.eval(r))
}

func (e *filterExpr) apply(r *run, input Value) Value {
	a := r.args(e.args)
	r.line = e.line
	return r.filter(e.name, input, a)
}

func (r *run) filter(name string, input Value, a args) Value {
	f, ok := filters[name]
	if !ok {
		r.fail("there is no filter %q", name)
	}
	a.fn = name
	return f(r, input, a)
}

func (e *testExpr) eval(r *run) Value {
	r.enter(e.line)
	defer r.leave()
	input := e.input.eval(r)
	a := r.args(e.args)
	r.line = e.line
	return r.test(e.name, input, a) != e.not
}

func (r *run) test(name string, input Value, a args) bool {
	f, ok := tests[name]
	if !ok {
		r.fail("there is no test %q", name)
	}
	a.fn = name
	return f(r, input, a)
}

// text is v, which must be a str.
func (r *run) text(v Value) String {
	s, ok := v.(String)
	if !ok {
		r.fail("a %s, a str wanted", typeName(v))
	}
	return s
}

// intArg is v as an int, or missing if it was not given.
func (r *run) intArg(v Value, missing int64) int64 {
	if v == nil {
		return missing
	}
	i, ok := integer(v)
	if !ok {
		r.fail("a %s, an int wanted", typeName(v))
	}
	return i
}

// globals are the functions that every template sees. They are set in init,
// for they reach back to the interpreter.
var globals map[string]*function

func init() {
	globals = map[string]*function{}
	for name, f := range map[string]func(r *run, a args) Value{
		"range":           rangeOf,
		"namespace":       newNamespace,
		"dict":            dictOf,
		"raise_exception": raise,
		"strftime_now": func(r *run, a args) Value {
			p := a.bind(r, "format")
			if p[0] == nil {
				r.fail("strftime_now without a format")
			}
			return lit(strftime(r, r.text(p[0]).s, r.opts.Now))
		},
	} {
		globals[name] = &function{name, f}
	}
}

func rangeOf(r *run, a args) Value {
	p := a.bind(r, "start", "stop", "step")
	start, stop, step := int64(0), int64(0), r.intArg(p[2], 1)
	switch {
	case p[0] == nil:
		r.fail("range of nothing")
	case p[1] == nil:
		stop = r.intArg(p[0], 0)
	default:
		start, stop = r.intArg(p[0], 0), r.intArg(p[1], 0)
	}
	if step == 0 {
		r.fail("range with step 0")
	}
	list := &List{}
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		if len(list.items) == maxRange {
			r.fail("a range of more than %d items", maxRange)
		}
		list.items = append(list.items, i)
		if next := i + step; (next > i) != (step > 0) {
			break
		}
	}
	r.alloc(24 * len(list.items))
	return list
}

// dictOf is dict(mapping or pairs, name=value ...).
func dictOf(r *run, a args) Value {
	d := newDict(len(a.names))
	r.alloc(64 * (1 + len(a.names)))
	for _, from := range a.pos {
		if source, ok := from.(*Dict); ok {
			r.alloc(64 * len(source.keys))
			for i, k := range source.keys {
				d.set(k, source.values[i])
			}
			continue
		}
		for _, pair := range r.items(from) {
			kv := r.items(pair)
			r.alloc(64)
			if len(kv) != 2 || !d.set(kv[0], kv[1]) {
				r.fail("dict: a %s, a key and a value wanted", typeName(pair))
			}
		}
	}
	for i, name := range a.names {
		d.set(lit(name), a.named[i])
	}
	return d
}

func newNamespace(r *run, a args) Value { return &Namespace{dictOf(r, a).(*Dict)} }

func raise(r *run, a args) Value {
	msg := make([]string, len(a.pos))
	for i, v := range a.pos {
		msg[i] = r.str(v).s
	}
	panic(&Error{Name: r.name, Line: r.line, Msg: strings.Join(msg, " "), Raised: true})
}
