package jinja

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lwtrain/internal/jinja/syntax"
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
func (r *run) args(e syntax.Args) args {
	a := args{pos: make([]Value, 0, len(e.Pos)+1)}
	for _, arg := range e.Pos {
		a.pos = append(a.pos, r.eval(arg))
	}
	for i, arg := range e.Named {
		a.names = append(a.names, e.Names[i])
		a.named = append(a.named, r.eval(arg))
	}
	if e.Star != nil {
		more := r.items(r.eval(e.Star))
		r.alloc(16 * len(more))
		a.pos = append(a.pos, more...)
	}
	if e.Dict != nil {
		d, ok := r.eval(e.Dict).(*Dict)
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
		r.fail("%s: %d arguments, want at most %d", a.fn, len(a.pos), len(params))
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

func (r *run) evalCall(e *syntax.Call) Value {
	r.enter(e.Line)
	defer r.leave()
	callee := r.eval(e.Callee)
	a := r.args(e.Args)
	r.line = e.Line
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

func (r *run) evalFilter(e *syntax.Filter) Value {
	r.enter(e.Line)
	defer r.leave()
	return r.apply(e, r.eval(e.Input))
}

// apply is a filter of input.
func (r *run) apply(e *syntax.Filter, input Value) Value {
	a := r.args(e.Args)
	r.line = e.Line
	return r.filter(e.Name, input, a)
}

func (r *run) filter(name string, input Value, a args) Value {
	r.scan(len(name))
	f, ok := filters[name]
	if !ok {
		r.fail("there is no filter %.80q", name)
	}
	a.fn = name
	return f(r, input, a)
}

func (r *run) evalTest(e *syntax.Test) Value {
	r.enter(e.Line)
	defer r.leave()
	input := r.eval(e.Input)
	a := r.args(e.Args)
	r.line = e.Line
	return r.test(e.Name, input, a) != e.Not
}

func (r *run) test(name string, input Value, a args) bool {
	r.scan(len(name))
	f, ok := tests[name]
	if !ok {
		r.fail("there is no test %.80q", name)
	}
	a.fn = name
	return f(r, input, a)
}

// text is v, which must be a str.
func (r *run) text(v Value) String {
	s, ok := v.(String)
	if !ok {
		r.fail("a %s, want a str", typeName(v))
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
		r.fail("a %s, want an int", typeName(v))
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
	r.alloc(perPair * (1 + len(a.names)))
	d := newDict(len(a.names))
	for _, from := range a.pos {
		if source, ok := from.(*Dict); ok {
			r.alloc(perPair * len(source.keys))
			for i, k := range source.keys {
				r.key(k)
				d.set(k, source.values[i])
			}
			continue
		}
		for _, pair := range r.items(from) {
			kv := r.items(pair)
			r.alloc(perPair)
			if len(kv) == 2 {
				r.key(kv[0])
			}
			if len(kv) != 2 || !d.set(kv[0], kv[1]) {
				r.fail("dict: a %s, want a key and a value", typeName(pair))
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
		msg[i] = syntax.Excerpt(r.str(v).s)
	}
	panic(&Error{Name: r.name, Line: r.line, Msg: syntax.Excerpt(strings.Join(msg, " ")), Raised: true})
}

var strftimeLayouts = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan", 'B': "January", 'd': "02", 'e': "_2", 'm': "01",
	'y': "06", 'Y': "2006", 'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM",
	'F': "2006-01-02", 'T': "15:04:05", 'D': "01/02/06", 'R': "15:04",
	'c': "Mon Jan _2 15:04:05 2006", 'x': "01/02/06", 'X': "15:04:05",
}

// strftime formats a time as datetime.strftime does for a time without a zone.
func strftime(r *run, format string, now time.Time) string {
	r.alloc(len(format))
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		r.alloc(64)
		strip := format[i] == '-' && i+1 < len(format)
		if strip {
			i++
		}
		layout, known := strftimeLayouts[format[i]]
		var s string
		switch {
		case known:
			s = now.Format(layout)
		case format[i] == 'j':
			s = fmt.Sprintf("%03d", now.YearDay())
		case format[i] == 'f':
			s = fmt.Sprintf("%06d", now.Nanosecond()/1000)
		case format[i] == 'w':
			s = strconv.Itoa(int(now.Weekday()))
		case format[i] == 'u':
			s = strconv.Itoa((int(now.Weekday())+6)%7 + 1)
		case format[i] == '%':
			s = "%"
		case format[i] == 'Z' || format[i] == 'z':
		default:
			r.fail("strftime_now: the code %%%c is not supported", format[i])
		}
		if strip {
			s = strings.TrimLeft(s, "0 ")
			if s == "" {
				s = "0"
			}
		}
		b.WriteString(s)
	}
	return b.String()
}
