package jinja

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
}

func (p *parser) fail(line int, format string, args ...any) {
	panic(&Error{Name: p.name, Line: line, Msg: fmt.Sprintf(format, args...)})
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
		p.fail(p.peek().line, "%s, %q wanted", p.peek(), op)
	}
}

func (p *parser) wantName() string {
	t := p.next()
	if t.kind != tokName {
		p.fail(t.line, "%s, a name wanted", t)
	}
	return t.text
}

func (p *parser) want(k kind) {
	if t := p.next(); t.kind != k {
		p.fail(t.line, "%s, %s wanted", t, token{kind: k})
	}
}

// enter guards against deep nesting; the caller must leave.
func (p *parser) enter() {
	if p.nesting++; p.nesting > maxNesting {
		p.fail(p.peek().line, "nested more than %d deep", maxNesting)
	}
}

func (p *parser) leave() { p.nesting-- }

func (p *parser) template() []stmt {
	body, _ := p.body()
	return body
}

// body reads statements up to a tag whose name is in ends, and that name; with
// no ends, up to the end of the template. What follows the name in that tag is
// left to the caller.
func (p *parser) body(ends ...string) ([]stmt, string) {
	p.enter()
	defer p.leave()
	var body []stmt
	begin := p.peek().line
	for {
		switch t := p.next(); t.kind {
		case tokEOF:
			if len(ends) > 0 {
				p.fail(begin, "a block that is not closed, {%% %s %%} wanted", ends[len(ends)-1])
			}
			return body, ""
		case tokData:
			body = append(body, &textStmt{t.text})
		case tokVarBegin:
			value := p.tuple(true)
			p.want(tokVarEnd)
			body = append(body, &outputStmt{value, t.line})
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
func (p *parser) block(end string) []stmt {
	p.want(tokBlockEnd)
	body, _ := p.body(end)
	p.want(tokBlockEnd)
	return body
}

func (p *parser) statement() stmt {
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
		return &filterStmt{filters, p.block("endfilter"), line}
	case "generation":
		return &generationStmt{p.block("endgeneration"), line}
	case "break", "continue":
		if p.loops == 0 {
			p.fail(line, "%s outside of a loop", name)
		}
		p.want(tokBlockEnd)
		return &flowStmt{map[string]control{"break": flowBreak, "continue": flowContinue}[name]}
	case "include", "import", "from", "extends", "block":
		p.fail(line, "{%% %s %%} is not supported: a chat template stands alone", name)
	}
	p.fail(line, "unknown tag %q", name)
	return nil
}

func (p *parser) ifStatement(line int) stmt {
	s := &ifStmt{line: line}
	for {
		s.conds = append(s.conds, p.tuple(false))
		p.want(tokBlockEnd)
		body, end := p.body("elif", "else", "endif")
		s.bodies = append(s.bodies, body)
		switch end {
		case "else":
			s.bodies = append(s.bodies, p.block("endif"))
			return s
		case "endif":
			p.want(tokBlockEnd)
			return s
		}
	}
}

func (p *parser) forStatement(line int) stmt {
	s := &forStmt{line: line, target: p.targets(false)}
	if !p.takeName("in") {
		p.fail(p.peek().line, "%s, \"in\" wanted", p.peek())
	}
	s.list = p.tuple(false)
	if p.takeName("if") {
		s.cond = p.expression()
	}
	s.recursive = p.takeName("recursive")
	p.want(tokBlockEnd)
	p.loops++
	body, end := p.body("else", "endfor")
	p.loops--
	s.body = body
	if end == "else" {
		s.none = p.block("endfor")
	} else {
		p.want(tokBlockEnd)
	}
	return s
}

func (p *parser) setStatement(line int) stmt {
	to := p.targets(true)
	if p.takeOp("=") {
		value := p.tuple(true)
		p.want(tokBlockEnd)
		return &setStmt{to, value, line}
	}
	if to.parts != nil {
		p.fail(line, "set of several names without a value, \"=\" wanted")
	}
	var filters []*filterExpr
	if p.isOp("|") {
		p.pos++
		filters = p.filterChain()
	}
	return &setBlockStmt{to, filters, p.block("endset"), line}
}

// targets reads what is assigned to: one name, or several with commas.
func (p *parser) targets(attributes bool) target {
	p.enter()
	defer p.leave()
	first := p.target(attributes)
	if !p.isOp(",") {
		return first
	}
	all := target{parts: []target{first}}
	for p.takeOp(",") {
		if t := p.peek(); t.kind != tokName && !p.isOp("(") || p.isName("in") {
			break
		}
		all.parts = append(all.parts, p.target(attributes))
	}
	return all
}

func (p *parser) target(attributes bool) target {
	if p.takeOp("(") {
		t := p.targets(attributes)
		p.wantOp(")")
		return t
	}
	line := p.peek().line
	t := target{name: p.wantName()}
	if slices.Contains([]string{"true", "false", "none", "True", "False", "None", "not", "in"}, t.name) {
		p.fail(line, "can't assign to %q", t.name)
	}
	if attributes && p.takeOp(".") {
		t.attr = p.wantName()
	}
	return t
}

func (p *parser) macroStatement(line int) stmt {
	m := &macroStmt{name: p.wantName(), line: line}
	p.params(m)
	p.macroBody(m, "endmacro")
	return m
}

func (p *parser) macroBody(m *macroStmt, end string) {
	m.free = map[string]bool{}
	p.macros = append(p.macros, m.free)
	loops := p.loops
	p.loops = 0
	m.body = p.block(end)
	p.loops = loops
	p.macros = p.macros[:len(p.macros)-1]
}

func (p *parser) params(m *macroStmt) {
	p.wantOp("(")
	for !p.takeOp(")") {
		if len(m.params) > 0 {
			p.wantOp(",")
			if p.takeOp(")") {
				return
			}
		}
		line := p.peek().line
		m.params = append(m.params, p.wantName())
		if p.takeOp("=") {
			m.defaults = append(m.defaults, p.expression())
		} else if len(m.defaults) > 0 {
			p.fail(line, "a parameter without a default behind one with a default")
		}
	}
}

func (p *parser) callStatement(line int) stmt {
	caller := &macroStmt{name: "caller", line: line}
	if p.isOp("(") {
		p.params(caller)
	}
	call, ok := p.expression().(*callExpr)
	if !ok {
		p.fail(line, "{%% call %%} without a call")
	}
	p.macroBody(caller, "endcall")
	return &callStmt{call, caller, line}
}

func (p *parser) withStatement(line int) stmt {
	s := &withStmt{line: line}
	for p.peek().kind != tokBlockEnd {
		if len(s.targets) > 0 {
			p.wantOp(",")
		}
		s.targets = append(s.targets, p.target(false))
		p.wantOp("=")
		s.values = append(s.values, p.expression())
	}
	s.body = p.block("endwith")
	return s
}

// filterChain reads name(args)|name(args)... without an input.
func (p *parser) filterChain() []*filterExpr {
	filters := []*filterExpr{p.filter(nil)}
	for p.takeOp("|") {
		filters = append(filters, p.filter(nil))
	}
	return filters
}
