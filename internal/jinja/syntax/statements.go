package syntax

import (
	"fmt"
	"slices"
)

type parser struct {
	name    string
	tokens  []token
	pos     int
	nesting int
	loops   int
	macros  []map[string]bool // names that the macros around read
	names   Names

	constant func(any) any
}

func (p *parser) fail(line int, format string, args ...any) {
	panic(&Error{Name: p.name, Line: line, Msg: Excerpt(fmt.Sprintf(format, args...))})
}

func (p *parser) peek() token { return p.tokens[p.pos] }

func (p *parser) next() token {
	t := p.tokens[p.pos]
	if t.kind != tokEOF {
		p.pos++
	}
	return t
}

func (p *parser) isOp(op string) bool { t := p.peek(); return t.kind == tokOp && t.text == op }

func (p *parser) isName(names ...string) bool {
	t := p.peek()
	return t.kind == tokName && slices.Contains(names, t.text)
}

func (p *parser) takeOp(op string) bool {
	if p.isOp(op) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) takeName(name string) bool {
	if p.isName(name) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) wantOp(op string) {
	if !p.takeOp(op) {
		p.fail(p.peek().line, "%s, want %q", p.peek(), op)
	}
}

func (p *parser) wantName() string {
	t := p.next()
	if t.kind != tokName {
		p.fail(t.line, "%s, want a name", t)
	}
	return t.text
}

func (p *parser) want(k kind) {
	if t := p.next(); t.kind != k {
		p.fail(t.line, "%s, want %s", t, token{kind: k})
	}
}

// enter guards against deep nesting; the caller must leave.
func (p *parser) enter() {
	if p.nesting++; p.nesting > maxNesting {
		p.fail(p.peek().line, "nested more than %d deep", maxNesting)
	}
}

func (p *parser) leave() { p.nesting-- }

func (p *parser) template() []Stmt {
	body, _ := p.body()
	return body
}

// body reads statements up to a tag whose name is in ends, and that name; with
// no ends, up to the end of the template. What follows the name in that tag is
// left to the caller.
func (p *parser) body(ends ...string) ([]Stmt, string) {
	p.enter()
	defer p.leave()
	var body []Stmt
	begin := p.peek().line
	for {
		switch t := p.next(); t.kind {
		case tokEOF:
			if len(ends) > 0 {
				p.fail(begin, "a block that is not closed, want {%% %s %%}", ends[len(ends)-1])
			}
			return body, ""
		case tokData:
			body = append(body, &Text{t.text})
		case tokVarBegin:
			value := p.tuple(true)
			p.want(tokVarEnd)
			body = append(body, &Print{value, t.line})
		case tokBlockBegin:
			if name := p.peek(); name.kind == tokName && slices.Contains(ends, name.text) {
				p.pos++
				return body, name.text
			}
			body = append(body, p.statement())
		}
	}
}

// block reads the body of a block with one possible end.
func (p *parser) block(end string) []Stmt {
	p.want(tokBlockEnd)
	body, _ := p.body(end)
	p.want(tokBlockEnd)
	return body
}

func (p *parser) statement() Stmt {
	line := p.peek().line
	name := p.wantName()
	switch name {
	case "if":
		return p.ifStatement(line)
	case "for":
		return p.forStatement(line)
	case "set":
		return p.setStatement(line)
	case "macro":
		return p.macroStatement(line)
	case "call":
		return p.callStatement(line)
	case "with":
		return p.withStatement(line)
	case "filter":
		filters := p.filterChain()
		return &FilterBlock{filters, p.block("endfilter"), line}
	case "generation":
		return &Generation{p.block("endgeneration"), line}
	case "break", "continue":
		if p.loops == 0 {
			p.fail(line, "%s outside of a loop", name)
		}
		p.want(tokBlockEnd)
		return &Flow{name == "break"}
	case "include", "import", "from", "extends", "block":
		p.fail(line, "{%% %s %%} is not supported: a chat template stands alone", name)
	}
	p.fail(line, "unknown tag %q", name)
	return nil
}

func (p *parser) ifStatement(line int) Stmt {
	s := &If{Line: line}
	for {
		s.Conds = append(s.Conds, p.tuple(false))
		p.want(tokBlockEnd)
		body, end := p.body("elif", "else", "endif")
		s.Bodies = append(s.Bodies, body)
		switch end {
		case "else":
			s.Bodies = append(s.Bodies, p.block("endif"))
			return s
		case "endif":
			p.want(tokBlockEnd)
			return s
		}
	}
}

func (p *parser) forStatement(line int) Stmt {
	s := &For{Line: line, Target: p.targets(false)}
	if !p.takeName("in") {
		p.fail(p.peek().line, "%s, want \"in\"", p.peek())
	}
	s.List = p.tuple(false)
	if p.takeName("if") {
		s.Cond = p.expression()
	}
	s.Recursive = p.takeName("recursive")
	p.want(tokBlockEnd)
	p.loops++
	body, end := p.body("else", "endfor")
	p.loops--
	s.Body = body
	if end == "else" {
		s.None = p.block("endfor")
	} else {
		p.want(tokBlockEnd)
	}
	return s
}

func (p *parser) setStatement(line int) Stmt {
	to := p.targets(true)
	if p.takeOp("=") {
		value := p.tuple(true)
		p.want(tokBlockEnd)
		return &Set{to, value, line}
	}
	if to.Parts != nil {
		p.fail(line, "set of several names without a value, want \"=\"")
	}
	var filters []*Filter
	if p.isOp("|") {
		p.pos++
		filters = p.filterChain()
	}
	return &SetBlock{to, filters, p.block("endset"), line}
}

// targets reads what is assigned to: one name, or several with commas.
func (p *parser) targets(attributes bool) Target {
	p.enter()
	defer p.leave()
	first := p.target(attributes)
	if !p.isOp(",") {
		return first
	}
	all := Target{Parts: []Target{first}}
	for p.takeOp(",") {
		if t := p.peek(); t.kind != tokName && !p.isOp("(") || p.isName("in") {
			break
		}
		all.Parts = append(all.Parts, p.target(attributes))
	}
	return all
}

func (p *parser) target(attributes bool) Target {
	if p.takeOp("(") {
		t := p.targets(attributes)
		p.wantOp(")")
		return t
	}
	line := p.peek().line
	t := Target{Name: p.wantName()}
	if slices.Contains([]string{"true", "false", "none", "True", "False", "None", "not", "in"}, t.Name) {
		p.fail(line, "can't assign to %q", t.Name)
	}
	if attributes && p.takeOp(".") {
		t.Attr = p.wantName()
	}
	return t
}

func (p *parser) macroStatement(line int) Stmt {
	m := &Macro{Name: p.wantName(), Line: line}
	p.params(m)
	p.macroBody(m, "endmacro")
	return m
}

func (p *parser) macroBody(m *Macro, end string) {
	m.Free = map[string]bool{}
	p.macros = append(p.macros, m.Free)
	loops := p.loops
	p.loops = 0
	m.Body = p.block(end)
	p.loops = loops
	p.macros = p.macros[:len(p.macros)-1]
}

func (p *parser) params(m *Macro) {
	p.wantOp("(")
	for !p.takeOp(")") {
		if len(m.Params) > 0 {
			p.wantOp(",")
			if p.takeOp(")") {
				return
			}
		}
		line := p.peek().line
		m.Params = append(m.Params, p.wantName())
		if p.takeOp("=") {
			m.Defaults = append(m.Defaults, p.expression())
		} else if len(m.Defaults) > 0 {
			p.fail(line, "a parameter without a default behind one with a default")
		}
	}
}

func (p *parser) callStatement(line int) Stmt {
	caller := &Macro{Name: "caller", Line: line}
	if p.isOp("(") {
		p.params(caller)
	}
	call, ok := p.expression().(*Call)
	if !ok {
		p.fail(line, "{%% call %%} without a call")
	}
	p.macroBody(caller, "endcall")
	return &CallBlock{call, caller, line}
}

func (p *parser) withStatement(line int) Stmt {
	s := &With{Line: line}
	for p.peek().kind != tokBlockEnd {
		if len(s.Targets) > 0 {
			p.wantOp(",")
		}
		s.Targets = append(s.Targets, p.target(false))
		p.wantOp("=")
		s.Values = append(s.Values, p.expression())
	}
	s.Body = p.block("endwith")
	return s
}

// filterChain reads name(args)|name(args)... without an input.
func (p *parser) filterChain() []*Filter {
	filters := []*Filter{p.filter(nil)}
	for p.takeOp("|") {
		filters = append(filters, p.filter(nil))
	}
	return filters
}
