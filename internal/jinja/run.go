package jinja

import (
	"fmt"

	"lwtrain/internal/jinja/syntax"
)

// run is the state of one rendering.
type run struct {
	name   string
	opts   Options
	line   int // of what is being evaluated
	steps  int
	bytes  int
	depth  int
	blocks int // generation blocks so far
	scope  *scope
	out    *builder
}

func newRun(name string, opts Options) *run {
	if opts.Limits.Steps <= 0 {
		opts.Limits.Steps = 20_000_000
	}
	if opts.Limits.Bytes <= 0 {
		opts.Limits.Bytes = 256 << 20
	}
	return &run{name: name, opts: opts, line: 1, scope: &scope{}, out: &builder{}}
}

// scope holds the variables of the template, a loop's turn or a macro's call. Most
// have few, and a walk is fastest; a template can make many, so from manyVars on
// they are found by an index.
type scope struct {
	outer *scope
	vars  []variable
	index map[string]int // nil below manyVars
}

type variable struct {
	name  string
	value Value
}

const manyVars = 16

func (s *scope) find(name string) (int, bool) {
	if s.index != nil {
		i, ok := s.index[name]
		return i, ok
	}
	for i := range s.vars {
		if s.vars[i].name == name {
			return i, true
		}
	}
	return 0, false
}

func (s *scope) set(name string, v Value) {
	if i, ok := s.find(name); ok {
		s.vars[i].value = v
		return
	}
	s.vars = append(s.vars, variable{name, v})
	switch {
	case s.index != nil:
		s.index[name] = len(s.vars) - 1
	case len(s.vars) > manyVars:
		s.index = map[string]int{}
		for i, known := range s.vars {
			s.index[known.name] = i
		}
	}
}

func (s *scope) get(name string) (Value, bool) {
	for ; s != nil; s = s.outer {
		if i, ok := s.find(name); ok {
			return s.vars[i].value, true
		}
	}
	return nil, false
}

func (r *run) fail(format string, args ...any) {
	panic(&Error{Name: r.name, Line: r.line, Msg: syntax.Excerpt(fmt.Sprintf(format, args...))})
}

func (r *run) undefined(u *Undefined) { r.fail("%s", u.msg) }

// step counts work done.
func (r *run) step(n int) {
	if r.steps += n; r.steps > r.opts.Limits.Steps {
		r.fail("more than %d steps", r.opts.Limits.Steps)
	}
}

// scan counts a walk through n bytes. Whoever looks at a text or a list as a whole counts
// it, before it does: what a step may cost is bounded by that.
func (r *run) scan(n int) { r.step(n / 64) }

// perItem is what a value in a list takes of memory: itself, a text's head and its mark.
const perItem = 112

// alloc counts n bytes of new text or lists, before they are made.
func (r *run) alloc(n int) {
	r.bound(n)
	r.bytes += n
	r.step(n / 64)
}

// bound fails if n bytes more were too many.
func (r *run) bound(n int) {
	if n > r.opts.Limits.Bytes-r.bytes {
		r.fail("more than %d bytes of text and lists", r.opts.Limits.Bytes)
	}
}

// enter counts nested evaluation; the caller must leave. It makes line the
// current one.
func (r *run) enter(line int) {
	r.line = line
	r.step(1)
	if r.depth++; r.depth > maxDepth {
		r.fail("evaluation nested more than %d deep", maxDepth)
	}
}

func (r *run) leave() { r.depth-- }

// control tells a loop how its body ended.
type control uint8

const (
	flowNext control = iota
	flowBreak
	flowContinue
)

// exec runs statements up to the first that leaves the loop's turn.
func (r *run) exec(body []syntax.Stmt) control {
	for _, s := range body {
		if flow := r.execOne(s); flow != flowNext {
			return flow
		}
	}
	return flowNext
}

func (r *run) execOne(s syntax.Stmt) control {
	switch s := s.(type) {
	case *syntax.Text:
		return r.execText(s)
	case *syntax.Print:
		return r.execPrint(s)
	case *syntax.If:
		return r.execIf(s)
	case *syntax.For:
		return r.execFor(s)
	case *syntax.Set:
		return r.execSet(s)
	case *syntax.SetBlock:
		return r.execSetBlock(s)
	case *syntax.With:
		return r.execWith(s)
	case *syntax.FilterBlock:
		return r.execFilterBlock(s)
	case *syntax.Macro:
		return r.execMacro(s)
	case *syntax.CallBlock:
		return r.execCallBlock(s)
	case *syntax.Generation:
		return r.execGeneration(s)
	case *syntax.Flow:
		if s.Break {
			return flowBreak
		}
		return flowContinue
	}
	panic(fmt.Sprintf("a statement of type %T", s))
}

// capture runs statements and returns what they print.
func (r *run) capture(body []syntax.Stmt) (String, control) {
	saved := r.out
	r.out = &builder{}
	flow := r.exec(body)
	text := r.out.string()
	r.out = saved
	return text, flow
}

// within runs f in a scope of its own.
func (r *run) within(outer *scope, f func()) {
	saved := r.scope
	r.scope = &scope{outer: outer}
	f()
	r.scope = saved
}

func (r *run) print(s String) {
	r.alloc(s.size())
	r.out.add(s)
}

func (r *run) execText(s *syntax.Text) control {
	r.print(lit(s.Text))
	return flowNext
}

func (r *run) execPrint(s *syntax.Print) control {
	r.line = s.Line
	r.print(r.str(r.eval(s.Value)))
	return flowNext
}

func (r *run) execIf(s *syntax.If) control {
	r.enter(s.Line)
	defer r.leave()
	for i, cond := range s.Conds {
		if truth(r.eval(cond)) {
			return r.exec(s.Bodies[i])
		}
	}
	if len(s.Bodies) > len(s.Conds) {
		return r.exec(s.Bodies[len(s.Conds)])
	}
	return flowNext
}

func (r *run) execSet(s *syntax.Set) control {
	r.enter(s.Line)
	defer r.leave()
	r.assign(s.Target, r.eval(s.Value))
	return flowNext
}

func (r *run) assign(to syntax.Target, v Value) {
	switch {
	case to.Parts != nil:
		items := r.items(v)
		if len(items) != len(to.Parts) {
			r.fail("%d values, want %d", len(items), len(to.Parts))
		}
		for i, part := range to.Parts {
			r.assign(part, items[i])
		}
	case to.Attr != "":
		object, _ := r.scope.get(to.Name)
		ns, ok := object.(*Namespace)
		if !ok {
			r.fail("%q is no namespace, so its attribute %q can't be set", to.Name, to.Attr)
		}
		r.alloc(16)
		ns.vars.set(lit(to.Attr), v)
	default:
		r.scope.set(to.Name, v)
	}
}

func (r *run) execSetBlock(s *syntax.SetBlock) control {
	r.enter(s.Line)
	defer r.leave()
	var text String
	var flow control
	r.within(r.scope, func() { text, flow = r.capture(s.Body) })
	r.assign(s.Target, r.chain(text, s.Filters))
	return flow
}

func (r *run) execFilterBlock(s *syntax.FilterBlock) control {
	r.enter(s.Line)
	defer r.leave()
	var text String
	var flow control
	r.within(r.scope, func() { text, flow = r.capture(s.Body) })
	r.print(r.str(r.chain(text, s.Filters)))
	return flow
}

// chain passes a block's text through filters.
func (r *run) chain(text String, filters []*syntax.Filter) Value {
	var v Value = text
	for _, f := range filters {
		v = r.apply(f, v)
	}
	return v
}

func (r *run) execWith(s *syntax.With) control {
	r.enter(s.Line)
	defer r.leave()
	values := make([]Value, len(s.Values))
	for i, e := range s.Values {
		values[i] = r.eval(e)
	}
	flow := flowNext
	r.within(r.scope, func() {
		for i, to := range s.Targets {
			r.assign(to, values[i])
		}
		flow = r.exec(s.Body)
	})
	return flow
}

func (r *run) execGeneration(s *syntax.Generation) control {
	r.enter(s.Line)
	defer r.leave()
	r.blocks++
	block := r.blocks
	var text String
	var flow control
	r.within(r.scope, func() { text, flow = r.capture(s.Body) })
	r.print(text.inBlock(block))
	return flow
}
