package jinja

import (
	"slices"
	"strconv"
	"strings"
)

// tuple reads an expression, or several with commas, which make a tuple.
func (p *parser) tuple(ternary bool) expr {
	read := p.or
	if ternary {
		read = p.expression
	}
	first := read()
	if !p.isOp(",") {
		return first
	}
	items := []expr{first}
	for p.takeOp(",") {
		if p.endsTuple() {
			break
		}
		items = append(items, read())
	}
	return &listExpr{items, true}
}

func (p *parser) endsTuple() bool {
	t := p.peek()
	return t.kind == tokVarEnd || t.kind == tokBlockEnd || p.isOp(")") || p.isOp("]")
}

// expression reads a full expression: the conditional one binds weakest.
func (p *parser) expression() expr {
	p.enter()
	defer p.leave()
	line := p.peek().line
	e := p.or()
	for p.takeName("if") {
		t := &ternaryExpr{then: e, cond: p.or(), line: line}
		if p.takeName("else") {
			t.otherwise = p.expression()
		}
		e = t
	}
	return e
}

func (p *parser) or() expr {
	left := p.and()
	for p.takeName("or") {
		left = &orExpr{left, p.and()}
	}
	return left
}

func (p *parser) and() expr {
	left := p.not()
	for p.takeName("and") {
		left = &andExpr{left, p.not()}
	}
	return left
}

func (p *parser) not() expr {
	if line := p.peek().line; p.takeName("not") {
		p.enter()
		defer p.leave()
		return &unaryExpr{"not", p.not(), line}
	}
	return p.compare()
}

func (p *parser) compare() expr {
	c := &compareExpr{first: p.sum(), line: p.peek().line}
	for {
		t := p.peek()
		op := ""
		switch {
		case t.kind == tokOp && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, t.text):
			op = t.text
		case p.isName("in"):
			op = "in"
		case p.isName("not") && p.tokens[p.pos+1].kind == tokName && p.tokens[p.pos+1].text == "in":
			op = "not in"
			p.pos++
		}
		if op == "" {
			break
		}
		p.pos++
		c.ops = append(c.ops, op)
		c.rest = append(c.rest, p.sum())
	}
	if c.ops == nil {
		return c.first
	}
	return c
}

// binary reads a chain of operators of one strength.
func (p *parser) binary(operand func() expr, ops ...string) expr {
	left := operand()
	for {
		t := p.peek()
		if t.kind != tokOp || !slices.Contains(ops, t.text) {
			return left
		}
		p.pos++
		left = &binaryExpr{t.text, left, operand(), t.line}
	}
}

func (p *parser) sum() expr { return p.binary(p.concat, "+", "-") }

func (p *parser) concat() expr {
	parts := []expr{p.product()}
	for p.takeOp("~") {
		parts = append(parts, p.product())
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return &concatExpr{parts}
}

func (p *parser) product() expr { return p.binary(p.power, "*", "/", "//", "%") }

func (p *parser) power() expr { return p.binary(p.unary, "**") }

func (p *parser) unary() expr { return p.filters(p.sign()) }

// sign reads an operand with its signs; filters and tests bind weaker than
// these.
func (p *parser) sign() expr {
	t := p.peek()
	if p.isOp("-") || p.isOp("+") {
		p.enter()
		defer p.leave()
		p.pos++
		return p.postfix(&unaryExpr{t.text, p.sign(), t.line})
	}
	return p.postfix(p.primary())
}

func (p *parser) primary() expr {
	p.enter()
	defer p.leave()
	t := p.next()
	switch t.kind {
	case tokName:
		return p.constant(t)
	case tokString:
		text := t.text
		for p.peek().kind == tokString {
			text += p.next().text
		}
		return &constExpr{lit(text)}
	case tokInt:
		n, err := strconv.ParseInt(strings.ReplaceAll(t.text, "_", ""), intBase(t.text), 64)
		if err != nil {
			p.fail(t.line, "%s is not an integer of 64 bits", t.text)
		}
		return &constExpr{n}
	case tokFloat:
		f, _ := strconv.ParseFloat(t.text, 64)
		return &constExpr{f}
	case tokOp:
		switch t.text {
		case "(":
			return p.parenthesis()
		case "[":
			return &listExpr{p.items("]"), false}
		case "{":
			return p.dict(t.line)
		}
	}
	p.fail(t.line, "unexpected %s", t)
	return nil
}

// intBase is 0, which reads the prefix, but 10 where a leading zero is just that.
func intBase(s string) int {
	if len(s) > 1 && s[0] == '0' && strings.ContainsAny(s[1:2], "xXoObB") {
		return 0
	}
	return 10
}

func (p *parser) constant(t token) expr {
	switch t.text {
	case "true", "True":
		return &constExpr{true}
	case "false", "False":
		return &constExpr{false}
	case "none", "None":
		return &constExpr{None{}}
	}
	for _, free := range p.macros {
		free[t.text] = true
	}
	return &nameExpr{t.text, t.line}
}

// parenthesis reads what follows an opening one: an expression or a tuple.
func (p *parser) parenthesis() expr {
	if p.takeOp(")") {
		return &listExpr{nil, true}
	}
	e := p.tuple(true)
	p.wantOp(")")
	return e
}

// items reads expressions with commas up to the closing bracket.
func (p *parser) items(closing string) []expr {
	var items []expr
	for !p.takeOp(closing) {
		if len(items) > 0 {
			p.wantOp(",")
			if p.takeOp(closing) {
				break
			}
		}
		items = append(items, p.expression())
	}
	return items
}

func (p *parser) dict(line int) expr {
	d := &dictExpr{line: line}
	for !p.takeOp("}") {
		if len(d.keys) > 0 {
			p.wantOp(",")
			if p.takeOp("}") {
				break
			}
		}
		d.keys = append(d.keys, p.expression())
		p.wantOp(":")
		d.values = append(d.values, p.expression())
	}
	return d
}

// postfix reads attributes, indices and calls.
func (p *parser) postfix(e expr) expr {
	for {
		line := p.peek().line
		switch {
		case p.takeOp("."):
			if t := p.next(); t.kind == tokInt {
				n, err := strconv.ParseInt(t.text, 10, 64)
				if err != nil {
					p.fail(t.line, "%s is no index", t)
				}
				e = &indexExpr{e, &constExpr{n}, line}
			} else if t.kind == tokName {
				e = &attrExpr{e, t.text, line}
			} else {
				p.fail(t.line, "%s, a name wanted", t)
			}
		case p.takeOp("["):
			e = p.subscript(e, line)
		case p.isOp("("):
			e = &callExpr{e, p.arguments(), line}
		default:
			return e
		}
	}
}

func (p *parser) subscript(object expr, line int) expr {
	s := &sliceExpr{object: object, line: line}
	if !p.isOp(":") {
		s.start = p.expression()
		if p.takeOp("]") {
			return &indexExpr{object, s.start, line}
		}
	}
	p.wantOp(":")
	if !p.isOp("]") && !p.isOp(":") {
		s.stop = p.expression()
	}
	if p.takeOp(":") && !p.isOp("]") {
		s.step = p.expression()
	}
	p.wantOp("]")
	return s
}

// filters reads what follows an operand: filters, tests and calls of these.
func (p *parser) filters(e expr) expr {
	for {
		line := p.peek().line
		switch {
		case p.takeOp("|"):
			e = p.filter(e)
		case p.takeName("is"):
			e = p.test(e, line)
		case p.isOp("("):
			e = &callExpr{e, p.arguments(), line}
		default:
			return e
		}
	}
}

func (p *parser) dotted() string {
	name := p.wantName()
	for p.takeOp(".") {
		name += "." + p.wantName()
	}
	return name
}

func (p *parser) filter(input expr) *filterExpr {
	f := &filterExpr{input: input, line: p.peek().line, name: p.dotted()}
	if p.isOp("(") {
		f.args = p.arguments()
	}
	return f
}

func (p *parser) test(input expr, line int) expr {
	t := &testExpr{input: input, line: line, not: p.takeName("not")}
	t.name = p.dotted()
	next := p.peek()
	switch {
	case p.isOp("("):
		t.args = p.arguments()
	case next.kind == tokName && !p.isName("else", "or", "and", "is", "if"),
		next.kind == tokString, next.kind == tokInt, next.kind == tokFloat, p.isOp("["), p.isOp("{"):
		t.args.pos = []expr{p.postfix(p.primary())}
	case p.isName("is"):
		p.fail(next.line, "a test of a test")
	}
	return t
}

func (p *parser) arguments() argExprs {
	p.enter()
	defer p.leave()
	var a argExprs
	p.wantOp("(")
	for n := 0; !p.takeOp(")"); n++ {
		if n > 0 {
			p.wantOp(",")
			if p.takeOp(")") {
				break
			}
		}
		line := p.peek().line
		switch {
		case p.takeOp("*"):
			a.star = p.expression()
		case p.takeOp("**"):
			a.dict = p.expression()
		case p.peek().kind == tokName && p.tokens[p.pos+1].kind == tokOp && p.tokens[p.pos+1].text == "=":
			a.names = append(a.names, p.wantName())
			p.pos++
			a.named = append(a.named, p.expression())
		default:
			if a.names != nil || a.star != nil || a.dict != nil {
				p.fail(line, "a positional argument behind a named one")
			}
			a.pos = append(a.pos, p.expression())
		}
	}
	return a
}
