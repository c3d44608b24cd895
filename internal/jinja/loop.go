package jinja

import (
	"slices"

	"lwtrain/internal/jinja/syntax"
)

// loop is the variable of that name inside a for statement.
type loop struct {
	stmt    *syntax.For
	items   []Value
	at      int
	depth   int
	outer   *scope
	changed Value // what changed() saw last
}

func (r *run) execFor(s *syntax.For) control {
	r.enter(s.Line)
	defer r.leave()
	r.loop(s, r.eval(s.List), r.scope, 0)
	return flowNext
}

// loop runs a for statement over list.
func (r *run) loop(s *syntax.For, list Value, outer *scope, depth int) {
	items := r.items(list)
	r.step(len(items) / 8)
	if s.Cond != nil {
		items = r.filtered(s, items, outer)
	}
	if len(items) == 0 {
		r.within(outer, func() { r.exec(s.None) })
		return
	}
	l := &loop{stmt: s, items: items, depth: depth, outer: outer}
	for i := range items {
		l.at = i
		flow := flowNext
		r.enter(s.Line)
		r.within(outer, func() {
			r.scope.set("loop", l)
			r.assign(s.Target, items[i])
			flow = r.exec(s.Body)
		})
		r.leave()
		if flow == flowBreak {
			return
		}
	}
}

// filtered returns the items that a for statement's if holds for.
func (r *run) filtered(s *syntax.For, items []Value, outer *scope) []Value {
	r.alloc(16 * len(items))
	kept := make([]Value, 0, len(items))
	for _, item := range items {
		r.within(outer, func() {
			r.assign(s.Target, item)
			if truth(r.eval(s.Cond)) {
				kept = append(kept, item)
			}
		})
	}
	return kept
}

func (l *loop) attr(r *run, name string) (Value, bool) {
	n := len(l.items)
	neighbour := func(i int) Value {
		if i < 0 || i >= n {
			return &Undefined{"the loop has no item there"}
		}
		return l.items[i]
	}
	switch name {
	case "index":
		return int64(l.at + 1), true
	case "index0":
		return int64(l.at), true
	case "revindex":
		return int64(n - l.at), true
	case "revindex0":
		return int64(n - l.at - 1), true
	case "first":
		return l.at == 0, true
	case "last":
		return l.at == n-1, true
	case "length":
		return int64(n), true
	case "depth":
		return int64(l.depth + 1), true
	case "depth0":
		return int64(l.depth), true
	case "previtem":
		return neighbour(l.at - 1), true
	case "nextitem":
		return neighbour(l.at + 1), true
	case "cycle":
		return &function{"cycle", func(r *run, a args) Value {
			if len(a.pos) == 0 {
				r.fail("cycle() of nothing")
			}
			return a.pos[l.at%len(a.pos)]
		}}, true
	case "changed":
		return &function{"changed", func(r *run, a args) Value {
			now := &List{items: a.pos, kind: tuple}
			changed := l.changed == nil || !r.equal(l.changed, now, 0)
			l.changed = now
			return changed
		}}, true
	}
	return nil, false
}

// again renders the body of a recursive loop over another list.
func (l *loop) again(r *run, a args) Value {
	if !l.stmt.Recursive {
		r.fail("a loop that is called must be recursive")
	}
	list := a.bind(r, "iterable")[0]
	if list == nil {
		r.fail("loop() of nothing")
	}
	saved := r.out
	r.out = &builder{}
	r.loop(l.stmt, list, l.outer, l.depth+1)
	text := r.out.string()
	r.out = saved
	return text
}

// macro is a macro with the scope that it was defined in.
type macro struct {
	stmt  *syntax.Macro
	scope *scope
}

func (r *run) execMacro(s *syntax.Macro) control {
	r.scope.set(s.Name, &macro{s, r.scope})
	return flowNext
}

func (r *run) execCallBlock(s *syntax.CallBlock) control {
	r.enter(s.Line)
	defer r.leave()
	callee := r.eval(s.Call.Callee)
	a := r.args(s.Call.Args)
	a.names = append(a.names, "caller")
	a.named = append(a.named, &macro{s.Caller, r.scope})
	r.print(r.str(r.call(callee, a)))
	return flowNext
}

func (m *macro) call(r *run, a args) Value {
	s := m.stmt
	var text String
	r.within(m.scope, func() {
		m.bind(r, a)
		text, _ = r.capture(s.Body)
	})
	return text
}

// bind sets the parameters of a macro from the arguments of a call.
func (m *macro) bind(r *run, a args) {
	s := m.stmt
	for i, name := range s.Params {
		if i < len(a.pos) {
			r.scope.set(name, a.pos[i])
		}
	}
	var rest []Value
	if len(a.pos) > len(s.Params) {
		rest = a.pos[len(s.Params):]
	}
	if s.Free["varargs"] {
		r.scope.set("varargs", &List{items: rest, kind: tuple})
	} else if len(rest) > 0 {
		r.fail("macro %q: %d arguments, want at most %d", s.Name, len(a.pos), len(s.Params))
	}
	extra := newDict(0)
	for i, name := range a.names {
		r.step(len(s.Params) / 8)
		at := slices.Index(s.Params, name)
		switch {
		case at >= 0 && at < len(a.pos):
			r.fail("macro %q: two values for %q", s.Name, name)
		case at >= 0, name == "caller" && s.Free["caller"]:
			r.scope.set(name, a.named[i])
		case s.Free["kwargs"]:
			extra.set(lit(name), a.named[i])
		default:
			r.fail("macro %q has no parameter %q", s.Name, name)
		}
	}
	if s.Free["kwargs"] {
		r.scope.set("kwargs", extra)
	}
	m.defaults(r, a)
}

// defaults sets the parameters that a call left out.
func (m *macro) defaults(r *run, a args) {
	s := m.stmt
	first := len(s.Params) - len(s.Defaults)
	for i := len(a.pos); i < len(s.Params); i++ {
		r.step(len(a.names) / 8)
		switch {
		case slices.Contains(a.names, s.Params[i]):
		case i >= first:
			r.scope.set(s.Params[i], r.eval(s.Defaults[i-first]))
		default:
			r.scope.set(s.Params[i], &Undefined{"parameter '" + s.Params[i] + "' was not given"})
		}
	}
	if s.Free["caller"] && !slices.Contains(a.names, "caller") {
		r.scope.set("caller", &Undefined{"the macro was called without a call block"})
	}
}
