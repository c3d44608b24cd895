package jinja

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"lwtrain/internal/jinja/syntax"
)

// filters by name. They are set in init, for some of them call others.
var filters map[string]func(r *run, v Value, a args) Value

func init() {
	filters = map[string]func(r *run, v Value, a args) Value{
		"tojson":  tojson,
		"trim":    func(r *run, v Value, a args) Value { return r.strip(r.str(v), a, true, true) },
		"string":  func(r *run, v Value, a args) Value { a.bind(r); return r.str(v) },
		"upper":   func(r *run, v Value, a args) Value { a.bind(r); return r.toUpper(r.str(v)) },
		"lower":   func(r *run, v Value, a args) Value { a.bind(r); return r.toLower(r.str(v)) },
		"replace": replaceFilter,
		"capitalize": func(r *run, v Value, a args) Value {
			a.bind(r)
			return r.capitalize(r.str(v))
		},
		"title": func(r *run, v Value, a args) Value {
			a.bind(r)
			return r.toTitle(r.str(v), upper, func(c rune) bool { return syntax.IsSpace(c) || strings.ContainsRune("-({[<", c) })
		},
		"center": func(r *run, v Value, a args) Value {
			p := a.bind(r, "width")
			if p[0] == nil {
				p[0] = int64(80)
			}
			return r.pad(r.str(v), args{pos: p}, 'c')
		},
		"indent": indent,
		"safe": func(r *run, v Value, a args) Value {
			s := r.str(v)
			s.safe = true
			return s
		},
		"escape":      func(r *run, v Value, a args) Value { return escape(r, r.str(v)) },
		"forceescape": func(r *run, v Value, a args) Value { return escape(r, lit(r.str(v).s)) },
		"format": func(r *run, v Value, a args) Value {
			if a.names == nil {
				return r.percent(r.str(v), &List{items: a.pos, kind: tuple})
			}
			return r.percent(r.str(v), dictOf(r, args{names: a.names, named: a.named}))
		},
		"wordcount": func(r *run, v Value, a args) Value {
			s := r.str(v).s
			r.step(len(s) / 8)
			n := int64(0)
			for range strings.FieldsFuncSeq(s, func(c rune) bool { return !syntax.IsWord(c) }) {
				n++
			}
			return n
		},
		"length":  func(r *run, v Value, a args) Value { a.bind(r); return int64(r.length(v)) },
		"default": defaultTo,
		"int":     toInt,
		"float":   toFloat,
		"abs":     absolute,
		"round":   round,
		"attr": func(r *run, v Value, a args) Value {
			name := r.text(r.one(a))
			r.scan(len(name.s))
			if own, ok := r.ownAttr(v, name.s); ok {
				return own
			}
			return r.missing(v, name.s)
		},
	}
	for name, alias := range map[string]string{"count": "length", "d": "default", "e": "escape"} {
		filters[name] = filters[alias]
	}
	listFilters(filters)
}

// defaultTo is v, or the default if v is undefined (or false, with the second
// argument).
func defaultTo(r *run, v Value, a args) Value {
	p := a.bind(r, "default_value", "boolean")
	_, missing := v.(*Undefined)
	if !missing && (p[1] == nil || !truth(p[1]) || truth(v)) {
		return v
	}
	if p[0] == nil {
		return String{}
	}
	return p[0]
}

func replaceFilter(r *run, v Value, a args) Value {
	p := a.bind(r, "old", "new", "count")
	if p[0] == nil || p[1] == nil {
		r.fail("replace: want two texts")
	}
	most := int64(-1)
	if _, none := p[2].(None); !none {
		most = r.intArg(p[2], -1)
	}
	return r.replace(r.str(v), r.str(p[0]), r.str(p[1]), most)
}

var htmlEscapes = map[rune]string{'&': "&amp;", '<': "&lt;", '>': "&gt;", '"': "&#34;", '\'': "&#39;"}

// escape makes Markup of s, its HTML characters replaced if it was none.
func escape(r *run, s String) String {
	if !s.safe {
		r.alloc(6 * len(s.s))
		s = r.mapCase(s, func(c rune, _ int) string {
			if e, ok := htmlEscapes[c]; ok {
				return e
			}
			return string(c)
		})
	}
	s.safe = true
	return s
}

func indent(r *run, v Value, a args) Value {
	p := a.bind(r, "width", "first", "blank")
	in := lit("    ")
	if s, ok := p[0].(String); ok {
		in = s
	} else if p[0] != nil {
		n := r.intArg(p[0], 4)
		if n > maxPadding {
			r.fail("an indentation of %d, want at most %d", n, maxPadding)
		}
		in = lit(strings.Repeat(" ", int(max(0, n))))
	}
	first, blank := p[1] != nil && truth(p[1]), p[2] != nil && truth(p[2])
	s := r.str(v)
	r.alloc(s.size())
	lines := r.lines(s, false)
	if s.s == "" || strings.HasSuffix(s.s, "\n") {
		lines = append(lines, String{})
	}
	var b builder
	for i, line := range lines {
		text := line.(String)
		if i > 0 {
			b.lit("\n")
		}
		if i == 0 && first || i > 0 && (blank || text.s != "") {
			r.alloc(len(in.s))
			b.add(in)
		}
		r.alloc(len(text.s) + 1)
		b.add(text)
	}
	return b.string()
}

// toInt is the filter int: what can't be read becomes the default.
func toInt(r *run, v Value, a args) Value {
	p := a.bind(r, "default", "base")
	var missing Value = int64(0)
	if p[0] != nil {
		missing = p[0]
	}
	base := int(r.intArg(p[1], 10))
	switch v := v.(type) {
	case *Undefined:
		r.undefined(v)
	case bool, int64:
		i, _ := integer(v)
		return i
	case float64:
		return truncate(v, missing)
	case String:
		r.step(len(v.s) / 8)
		text := strings.ReplaceAll(strings.TrimFunc(v.s, syntax.IsSpace), "_", "")
		if base == 16 || base == 8 || base == 2 {
			text = strings.TrimPrefix(strings.ToLower(text), map[int]string{16: "0x", 8: "0o", 2: "0b"}[base])
		}
		if base >= 2 && base <= 36 {
			if i, err := strconv.ParseInt(text, base, 64); err == nil {
				return i
			}
		}
		if f, ok := parseFloat(text); ok {
			return truncate(f, missing)
		}
	}
	return missing
}

func truncate(f float64, missing Value) Value {
	if math.IsNaN(f) || math.Abs(f) >= 1<<63 {
		return missing
	}
	return int64(f)
}

// parseFloat is Python's float of a text.
func parseFloat(s string) (float64, bool) {
	s = strings.TrimFunc(s, syntax.IsSpace)
	if strings.ContainsAny(s, "xXpP") {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil || math.IsInf(f, 0)
}

func toFloat(r *run, v Value, a args) Value {
	p := a.bind(r, "default")
	if u, ok := v.(*Undefined); ok {
		r.undefined(u)
	}
	if f, ok := number(v); ok {
		return f
	}
	if s, ok := v.(String); ok {
		r.step(len(s.s) / 8)
		if f, ok := parseFloat(s.s); ok {
			return f
		}
	}
	if p[0] != nil {
		return p[0]
	}
	return 0.0
}

func absolute(r *run, v Value, a args) Value {
	a.bind(r)
	if i, ok := integer(v); ok {
		if i == math.MinInt64 {
			r.overflow()
		}
		return max(i, -i)
	}
	f, ok := v.(float64)
	if !ok {
		r.fail("abs of a %s", typeName(v))
	}
	return math.Abs(f)
}

func round(r *run, v Value, a args) Value {
	p := a.bind(r, "precision", "method")
	digits := r.intArg(p[0], 0)
	how := "common"
	if p[1] != nil {
		how = r.text(p[1]).s
	}
	f, ok := number(v)
	if !ok {
		r.fail("round of a %s", typeName(v))
	}
	if digits > maxPrecision || digits < -maxPrecision {
		r.fail("round to %d digits", digits)
	}
	switch how {
	case "common":
		if i, ok := integer(v); ok && digits >= 0 {
			return i
		}
		if digits >= 0 { // exact, half to even, as Python does it
			f, _ = strconv.ParseFloat(strconv.FormatFloat(f, 'f', int(digits), 64), 64)
			return f
		}
		scale := math.Pow(10, float64(-digits))
		f = math.RoundToEven(f/scale) * scale
		if _, ok := integer(v); ok {
			return int64(f)
		}
		return f
	case "ceil", "floor":
		scale := math.Pow(10, float64(digits))
		if how == "ceil" {
			return math.Ceil(f*scale) / scale
		}
		return math.Floor(f*scale) / scale
	}
	r.fail("round by %q, want common, ceil or floor", how)
	return nil
}

// tests by name.
var tests map[string]func(r *run, v Value, a args) bool

func init() {
	compare := func(op string) func(r *run, v Value, a args) bool {
		return func(r *run, v Value, a args) bool { return r.compare(op, v, r.one(a)) }
	}
	is := func(f func(v Value) bool) func(r *run, v Value, a args) bool {
		return func(r *run, v Value, a args) bool { a.bind(r); return f(v) }
	}
	tests = map[string]func(r *run, v Value, a args) bool{
		"defined":   is(func(v Value) bool { _, ok := v.(*Undefined); return !ok }),
		"undefined": is(func(v Value) bool { _, ok := v.(*Undefined); return ok }),
		"none":      is(func(v Value) bool { return v == None{} }),
		"true":      is(func(v Value) bool { return v == true }),
		"false":     is(func(v Value) bool { return v == false }),
		"boolean":   is(func(v Value) bool { _, ok := v.(bool); return ok }),
		"string":    is(isString),
		"mapping":   is(func(v Value) bool { _, ok := v.(*Dict); return ok }),
		"number":    is(func(v Value) bool { _, ok := number(v); return ok }),
		"integer":   is(func(v Value) bool { _, ok := v.(int64); return ok }),
		"float":     is(func(v Value) bool { _, ok := v.(float64); return ok }),
		"callable":  is(isCallable),
		"iterable":  is(isIterable),
		"sequence":  is(isSequence),
		"odd":       func(r *run, v Value, a args) bool { return r.intArg(v, 0)%2 != 0 },
		"even":      func(r *run, v Value, a args) bool { return r.intArg(v, 0)%2 == 0 },
		"divisibleby": func(r *run, v Value, a args) bool {
			n := r.intArg(r.one(a), 0)
			if n == 0 {
				r.fail("division by zero")
			}
			return r.intArg(v, 0)%n == 0
		},
		"in":     func(r *run, v Value, a args) bool { return r.contains(r.one(a), v) },
		"sameas": func(r *run, v Value, a args) bool { return sameAs(r, v, r.one(a)) },
		"lower":  func(r *run, v Value, a args) bool { return r.isCased(r.str(v), unicode.IsLower, unicode.IsUpper) },
		"upper":  func(r *run, v Value, a args) bool { return r.isCased(r.str(v), unicode.IsUpper, unicode.IsLower) },
		"filter": func(r *run, v Value, a args) bool { _, ok := filters[r.looked(v)]; return ok },
		"test":   func(r *run, v Value, a args) bool { _, ok := tests[r.looked(v)]; return ok },
		"escaped": func(r *run, v Value, a args) bool {
			s, ok := v.(String)
			return ok && s.safe
		},
	}
	for op, names := range map[string][]string{
		"==": {"eq", "equalto"}, "!=": {"ne"}, "<": {"lt", "lessthan"}, "<=": {"le"},
		">": {"gt", "greaterthan"}, ">=": {"ge"},
	} {
		for _, name := range append(names, op) {
			tests[name] = compare(op)
		}
	}
}

// looked is v as a text that is looked for by its hash.
func (r *run) looked(v Value) string {
	s := r.str(v).s
	r.scan(len(s))
	return s
}

func isCallable(v Value) bool {
	switch v.(type) {
	case *function, *method, *macro, *loop:
		return true
	}
	return false
}

func isIterable(v Value) bool {
	switch v.(type) {
	case String, *List, *Dict, *Iter, *Undefined, *loop:
		return true
	}
	return false
}

func isSequence(v Value) bool {
	switch v := v.(type) {
	case String, *Dict:
		return true
	case *List:
		return v.kind != view
	}
	return false
}

// sameAs is Python's identity, as far as values have one here.
func sameAs(r *run, a, b Value) bool {
	switch a.(type) {
	case None, bool, int64, float64, String:
		return typeName(a) == typeName(b) && r.equal(a, b, 0)
	}
	return !slices.Contains([]string{"NoneType", "bool", "int", "float", "str"}, typeName(b)) && a == b
}
