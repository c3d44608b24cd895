package jinja

import (
	"math"
	"math/big"

	"lwtrain/internal/jinja/syntax"
)

func (r *run) overflow() { r.fail("an integer beyond 64 bits") }

func (r *run) evalBinary(e *syntax.Binary) Value {
	r.enter(e.Line)
	defer r.leave()
	a, b := r.eval(e.Left), r.eval(e.Right)
	r.line = e.Line
	return r.binary(e.Op, a, b)
}

// binary is a op b.
func (r *run) binary(op string, a, b Value) Value {
	for _, v := range []Value{a, b} {
		if u, ok := v.(*Undefined); ok && (op != "%" || !isString(a)) {
			r.undefined(u)
		}
	}
	if i, ok := integer(a); ok {
		if j, ok := integer(b); ok {
			return r.integers(op, i, j)
		}
	}
	if f, ok := number(a); ok {
		if g, ok := number(b); ok {
			return r.floats(op, f, g)
		}
	}
	switch op {
	case "+":
		if v := r.join(a, b); v != nil {
			return v
		}
	case "*":
		if v := r.repeat(a, b); v != nil {
			return v
		}
		if v := r.repeat(b, a); v != nil {
			return v
		}
	case "%":
		if s, ok := a.(String); ok {
			return r.percent(s, b)
		}
	}
	r.fail("%s of a %s and a %s", op, typeName(a), typeName(b))
	return nil
}

func isString(v Value) bool {
	_, ok := v.(String)
	return ok
}

// join is a + b of two strings or two lists of a kind, else nil.
func (r *run) join(a, b Value) Value {
	switch x := a.(type) {
	case String:
		y, ok := b.(String)
		if !ok {
			return nil
		}
		if x.safe || y.safe { // Markup escapes what is not
			x, y = escape(r, x), escape(r, y)
		}
		r.alloc(x.size() + y.size())
		var sum builder
		sum.text.Grow(len(x.s) + len(y.s))
		sum.add(x)
		sum.add(y)
		out := sum.string()
		out.safe = x.safe
		return out
	case *List:
		y, ok := b.(*List)
		if !ok || x.kind != y.kind || x.kind == view {
			return nil
		}
		r.alloc(16 * (len(x.items) + len(y.items)))
		items := append(append(make([]Value, 0, len(x.items)+len(y.items)), x.items...), y.items...)
		return &List{items: items, kind: x.kind}
	}
	return nil
}

// repeat is v * times of a string or list, else nil.
func (r *run) repeat(v, times Value) Value {
	n, ok := integer(times)
	if !ok {
		return nil
	}
	n = max(0, n)
	fits := func(size int) {
		if size > 0 && n > int64(r.opts.Limits.Bytes/size) {
			r.fail("%d repetitions of %d bytes", n, size)
		}
		r.alloc(size * int(n))
	}
	switch v := v.(type) {
	case String:
		fits(v.size())
		var b builder
		for range n {
			if v.s == "" {
				break
			}
			b.add(v)
		}
		return b.string()
	case *List:
		if v.kind == view {
			return nil
		}
		fits(16 * len(v.items))
		out := &List{kind: v.kind}
		for range n {
			if len(v.items) == 0 {
				break
			}
			out.items = append(out.items, v.items...)
		}
		return out
	}
	return nil
}

// integers is an operator on two ints.
func (r *run) integers(op string, a, b int64) Value {
	x, y := big.NewInt(a), big.NewInt(b)
	switch op {
	case "+":
		x.Add(x, y)
	case "-":
		x.Sub(x, y)
	case "*":
		x.Mul(x, y)
	case "**":
		return r.power(a, b)
	default:
		if b == 0 {
			r.fail("division by zero")
		}
		if op == "/" {
			return float64(a) / float64(b)
		}
		quotient, rest := new(big.Int).QuoRem(x, y, new(big.Int))
		if rest.Sign() != 0 && (rest.Sign() < 0) != (b < 0) { // Python rounds down
			quotient.Sub(quotient, big.NewInt(1))
			rest.Add(rest, y)
		}
		x = quotient
		if op == "%" {
			x = rest
		}
	}
	if !x.IsInt64() {
		r.overflow()
	}
	return x.Int64()
}

func (r *run) power(a, b int64) Value {
	if b < 0 {
		if a == 0 {
			r.fail("division by zero")
		}
		return math.Pow(float64(a), float64(b))
	}
	if a != 0 && a != 1 && a != -1 && b > 63 {
		r.overflow()
	}
	if a == -1 {
		b %= 2
	}
	x := big.NewInt(1)
	for range min(b, 64) {
		x.Mul(x, big.NewInt(a))
	}
	if !x.IsInt64() {
		r.overflow()
	}
	return x.Int64()
}

func (r *run) floats(op string, a, b float64) Value {
	switch op {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	case "**":
		return math.Pow(a, b)
	}
	if b == 0 {
		r.fail("division by zero")
	}
	if op == "/" {
		return a / b
	}
	rest := math.Mod(a, b)
	if rest != 0 && (rest < 0) != (b < 0) {
		rest += b
	}
	if op == "%" {
		return rest
	}
	return math.Floor((a-rest)/b + 0.5)
}
