package syntax

import (
	"slices"
	"strconv"
	"strings"
)

// tuple reads an expression, or several with commas, which make a tuple.
func (p *parser) tuple(ternary bool) Expr {
	read := p.or
	if ternary {
		read = p.expression
	}
	first := read()
	if !p.isOp(",") {
		return first
	}
	items := []Expr{first}
	for p.takeOp(",") {
		if p.endsTuple() {
			break
		}
		items = append(items, read())
	}
	return &List{items, true}
}

func (p *parser) endsTuple() bool {
	t := p.peek()
	return t.kind == tokVarEnd || t.kind == tokBlockEnd || p.isOp(")") || p.isOp("]")
}

// expression reads a full expression: the conditional one binds weakest.
func (p *parser) expression() Expr {
	p.enter()
	defer p.leave()
	line := p.peek().line
	e := p.or()
	for p.takeName("if") {
		t := &Ternary{Then: e, Cond: p.or(), Line: line}
		if p.takeName("else") {
			t.Otherwise = p.expression()
		}
		e = t
	}
	return e
}

func (p *parser) or() Expr {
	left := p.and()
	for p.takeName("or") {
		left = &Or{left, p.and()}
	}
	return left
}

func (p *parser) and() Expr {
	left := p.not()
	for p.takeName("and") {
		left = &And{left, p.not()}
	}
	return left
}

func (p *parser) not() Expr {
	if line := p.peek().line; p.takeName("not") {
		p.enter()
		defer p.leave()
		return &Unary{"not", p.not(), line}
	}
	return p.compare()
}

func (p *parser) compare() Expr {
	c := &Compare{First: p.sum(), Line: p.peek().line}
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
		c.Ops = append(c.Ops, op)
		c.Rest = append(c.Rest, p.sum())
	}
	if c.Ops == nil {
		return c.First
	}
	return c
}

// binary reads a chain of operators of one strength.
func (p *parser) binary(operand func() Expr, ops ...string) Expr {
	left := operand()
	for {
		t := p.peek()
		if t.kind != tokOp || !slices.Contains(ops, t.text) {
			return left
		}
		p.pos++
		left = &Binary{t.text, left, operand(), t.line}
	}
}

func (p *parser) sum() Expr { return p.binary(p.concat, "+", "-") }

func (p *parser) concat() Expr {
	parts := []Expr{p.product()}
	for p.takeOp("~") {
		parts = append(parts, p.product())
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return &Concat{parts}
}

func (p *parser) product() Expr { return p.binary(p.power, "*", "/", "//", "%") }

func (p *parser) power() Expr { return p.binary(p.unary, "**") }

func (p *parser) unary() Expr { return p.filters(p.sign()) }

// sign reads an operand with its signs; filters and tests bind weaker than
// these.
func (p *parser) sign() Expr {
	t := p.peek()
	if p.isOp("-") || p.isOp("+") {
		p.enter()
		defer p.leave()
		p.pos++
		return p.postfix(&Unary{t.text, p.sign(), t.line})
	}
	return p.postfix(p.primary())
}

func (p *parser) primary() Expr {
	p.enter()
	defer p.leave()
	t := p.next()
	switch t.kind {
	case tokName:
		return p.variable(t)
	case tokString:
		texts := []string{t.text}
		for p.peek().kind == tokString {
			texts = append(texts, p.next().text)
		}
		return p.literal(strings.Join(texts, ""))
	case tokInt:
		n, err := strconv.ParseInt(strings.ReplaceAll(t.text, "_", ""), intBase(t.text), 64)
		if err != nil {
			p.fail(t.line, "%s is not an integer of 64 bits", t.text)
		}
		return p.literal(n)
	case tokFloat:
		f, _ := strconv.ParseFloat(t.text, 64)
		return p.literal(f)
	case tokOp:
		switch t.text {
		case "(":
			return p.parenthesis()
		case "[":
			return &List{p.items("]"), false}
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

func (p *parser) literal(v any) *Const {
	if s, ok := v.(string); ok {
		p.names.Keys[s] = true
	}
	return &Const{p.constant(v)}
}

// variable reads a name: a variable's, or a constant's.
func (p *parser) variable(t token) Expr {
	switch t.text {
	case "true", "True":
		return p.literal(true)
	case "false", "False":
		return p.literal(false)
	case "none", "None":
		return p.literal(nil)
	}
	for _, free := range p.macros {
		free[t.text] = true
	}
	p.names.Variables[t.text] = true
	return &Name{t.text, t.line}
}

// parenthesis reads what follows an opening one: an expression or a tuple.
func (p *parser) parenthesis() Expr {
	if p.takeOp(")") {
		return &List{nil, true}
	}
	e := p.tuple(true)
	p.wantOp(")")
	return e
}

// items reads expressions with commas up to the closing bracket.
func (p *parser) items(closing string) []Expr {
	var items []Expr
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

func (p *parser) dict(line int) Expr {
	d := &Dict{Line: line}
	for !p.takeOp("}") {
		if len(d.Keys) > 0 {
			p.wantOp(",")
			if p.takeOp("}") {
				break
			}
		}
		d.Keys = append(d.Keys, p.expression())
		p.wantOp(":")
		d.Values = append(d.Values, p.expression())
	}
	return d
}

// postfix reads attributes, indices and calls.
func (p *parser) postfix(e Expr) Expr {
	for {
		line := p.peek().line
		switch {
		case p.takeOp("."):
			if t := p.next(); t.kind == tokInt {
				n, err := strconv.ParseInt(t.text, 10, 64)
				if err != nil {
					p.fail(t.line, "%s is no index", t)
				}
				e = &Index{e, p.literal(n), line}
			} else if t.kind == tokName {
				p.names.Keys[t.text] = true
				e = &Attr{e, t.text, line}
			} else {
				p.fail(t.line, "%s, want a name", t)
			}
		case p.takeOp("["):
			e = p.subscript(e, line)
		case p.isOp("("):
			e = &Call{e, p.arguments(), line}
		default:
			return e
		}
	}
}

func (p *parser) subscript(object Expr, line int) Expr {
	s := &Slice{Object: object, Line: line}
	if !p.isOp(":") {
		s.Start = p.expression()
		if p.takeOp("]") {
			return &Index{object, s.Start, line}
		}
	}
	p.wantOp(":")
	if !p.isOp("]") && !p.isOp(":") {
		s.Stop = p.expression()
	}
	if p.takeOp(":") && !p.isOp("]") {
		s.Step = p.expression()
	}
	p.wantOp("]")
	return s
}

// filters reads what follows an operand: filters, tests and calls of these.
func (p *parser) filters(e Expr) Expr {
	for {
		line := p.peek().line
		switch {
		case p.takeOp("|"):
			e = p.filter(e)
		case p.takeName("is"):
			e = p.test(e, line)
		case p.isOp("("):
			e = &Call{e, p.arguments(), line}
		default:
			return e
		}
	}
}

func (p *parser) dotted() string {
	parts := []string{p.wantName()}
	for p.takeOp(".") {
		parts = append(parts, p.wantName())
	}
	return strings.Join(parts, ".")
}

func (p *parser) filter(input Expr) *Filter {
	f := &Filter{Input: input, Line: p.peek().line, Name: p.dotted()}
	if p.isOp("(") {
		f.Args = p.arguments()
	}
	return f
}

func (p *parser) test(input Expr, line int) Expr {
	t := &Test{Input: input, Line: line, Not: p.takeName("not")}
	t.Name = p.dotted()
	next := p.peek()
	switch {
	case p.isOp("("):
		t.Args = p.arguments()
	case next.kind == tokName && !p.isName("else", "or", "and", "is", "if"),
		next.kind == tokString, next.kind == tokInt, next.kind == tokFloat, p.isOp("["), p.isOp("{"):
		t.Args.Pos = []Expr{p.postfix(p.primary())}
	case p.isName("is"):
		p.fail(next.line, "a test of a test")
	}
	return t
}

func (p *parser) arguments() Args {
	p.enter()
	defer p.leave()
	var a Args
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
			a.Star = p.expression()
		case p.takeOp("**"):
			a.Dict = p.expression()
		case p.peek().kind == tokName && p.tokens[p.pos+1].kind == tokOp && p.tokens[p.pos+1].text == "=":
			a.Names = append(a.Names, p.wantName())
			p.pos++
			a.Named = append(a.Named, p.expression())
		default:
			if a.Names != nil || a.Star != nil || a.Dict != nil {
				p.fail(line, "a positional argument behind a named one")
			}
			a.Pos = append(a.Pos, p.expression())
		}
	}
	return a
}
