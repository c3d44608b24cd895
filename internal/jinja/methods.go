package jinja

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"lwtrain/internal/jinja/syntax"
)

// stringMethods are the methods of str; all take and keep marks.
var stringMethods map[string]func(r *run, s String, a args) Value

func init() {
	stringMethods = map[string]func(r *run, s String, a args) Value{
		"upper":      func(r *run, s String, a args) Value { a.bind(r); return r.toUpper(s) },
		"lower":      func(r *run, s String, a args) Value { a.bind(r); return r.toLower(s) },
		"casefold":   func(r *run, s String, a args) Value { a.bind(r); return r.toLower(s) },
		"capitalize": func(r *run, s String, a args) Value { a.bind(r); return r.capitalize(s) },
		"swapcase":   func(r *run, s String, a args) Value { a.bind(r); return r.swapCase(s) },
		"title": func(r *run, s String, a args) Value {
			a.bind(r)
			return r.toTitle(s, title, func(c rune) bool { return !unicode.IsLetter(c) })
		},
		"strip":        func(r *run, s String, a args) Value { return r.strip(s, a, true, true) },
		"lstrip":       func(r *run, s String, a args) Value { return r.strip(s, a, true, false) },
		"rstrip":       func(r *run, s String, a args) Value { return r.strip(s, a, false, true) },
		"split":        func(r *run, s String, a args) Value { return r.split(s, a, false) },
		"rsplit":       func(r *run, s String, a args) Value { return r.split(s, a, true) },
		"splitlines":   splitLines,
		"partition":    func(r *run, s String, a args) Value { return r.partition(s, a, strings.Index) },
		"rpartition":   func(r *run, s String, a args) Value { return r.partition(s, a, strings.LastIndex) },
		"replace":      replaceMethod,
		"join":         func(r *run, s String, a args) Value { return r.joinItems(s, r.items(r.one(a)), false) },
		"startswith":   func(r *run, s String, a args) Value { return r.affix(s, a, strings.HasPrefix) },
		"endswith":     func(r *run, s String, a args) Value { return r.affix(s, a, strings.HasSuffix) },
		"removeprefix": func(r *run, s String, a args) Value { return r.cutPrefix(s, r.text(r.one(a)).s) },
		"removesuffix": func(r *run, s String, a args) Value { return r.cutSuffix(s, r.text(r.one(a)).s) },
		"find":         func(r *run, s String, a args) Value { return r.find(s, a, strings.Index) },
		"rfind":        func(r *run, s String, a args) Value { return r.find(s, a, strings.LastIndex) },
		"index":        func(r *run, s String, a args) Value { return r.found(r.find(s, a, strings.Index)) },
		"rindex":       func(r *run, s String, a args) Value { return r.found(r.find(s, a, strings.LastIndex)) },
		"count": func(r *run, s String, a args) Value {
			r.scan(len(s.s))
			p := a.bind(r, "sub", "start", "end")
			part, _ := r.window(s, p[1], p[2])
			return int64(strings.Count(part, r.text(p[0]).s))
		},
		"center": func(r *run, s String, a args) Value { return r.pad(s, a, 'c') },
		"ljust":  func(r *run, s String, a args) Value { return r.pad(s, a, 'l') },
		"rjust":  func(r *run, s String, a args) Value { return r.pad(s, a, 'r') },
		"zfill":  zfill,
		"format": func(r *run, s String, a args) Value { return r.formatMethod(s, a) },
	}
	for name, is := range map[string]func(c rune) bool{
		"isalpha":   unicode.IsLetter,
		"isdigit":   unicode.IsDigit,
		"isdecimal": unicode.IsDigit,
		"isnumeric": unicode.IsNumber,
		"isalnum":   func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) },
		"isspace":   syntax.IsSpace,
	} {
		stringMethods[name] = func(r *run, s String, a args) Value {
			a.bind(r)
			r.step(len(s.s) / 8)
			return s.s != "" && strings.IndexFunc(s.s, func(c rune) bool { return !is(c) }) < 0
		}
	}
	stringMethods["isascii"] = func(r *run, s String, a args) Value {
		r.scan(len(s.s))
		return strings.IndexFunc(s.s, func(c rune) bool { return c >= utf8.RuneSelf }) < 0
	}
	stringMethods["islower"] = func(r *run, s String, a args) Value { return r.isCased(s, unicode.IsLower, unicode.IsUpper) }
	stringMethods["isupper"] = func(r *run, s String, a args) Value { return r.isCased(s, unicode.IsUpper, unicode.IsLower) }
}

// What a template may not call: these change their object.
var changing = map[string]bool{
	"append": true, "clear": true, "extend": true, "insert": true, "pop": true, "popitem": true,
	"remove": true, "reverse": true, "setdefault": true, "sort": true, "update": true,
}

// hasMethod reports whether Python's type of v has a method of that name.
func hasMethod(v Value, name string) bool {
	switch v := v.(type) {
	case String:
		_, ok := stringMethods[name]
		return ok || slices.Contains([]string{"encode", "expandtabs", "format_map", "isidentifier", "isprintable", "istitle", "maketrans",
			"translate"}, name)
	case *List:
		return name == "index" || name == "count" || v.kind == plainList && (name == "copy" || changing[name] &&
			!slices.Contains([]string{"popitem", "setdefault", "update"}, name))
	case *Dict:
		return slices.Contains([]string{"get", "items", "keys", "values", "copy", "fromkeys", "clear", "pop", "popitem", "setdefault",
			"update"}, name)
	}
	return false
}

func (m *method) call(r *run, a args) Value {
	switch o := m.object.(type) {
	case String:
		if f, ok := stringMethods[m.name]; ok {
			return f(r, o, a)
		}
	case *List:
		if v := r.listMethod(o, m.name, a); v != nil {
			return v
		}
	case *Dict:
		if v := r.dictMethod(o, m.name, a); v != nil {
			return v
		}
	}
	if changing[m.name] {
		r.fail("%s is not safe: a template can't change its values", a.fn)
	}
	r.fail("the method %s is not supported", a.fn)
	return nil
}

func (r *run) listMethod(l *List, name string, a args) Value {
	switch name {
	case "copy":
		r.alloc(16 * len(l.items))
		return &List{items: slices.Clone(l.items)}
	case "index":
		i := slices.IndexFunc(l.items, func(v Value) bool { return r.equal(v, r.one(a), 0) })
		return r.found(int64(i))
	case "count":
		n := int64(0)
		for _, v := range l.items {
			if r.equal(v, r.one(a), 0) {
				n++
			}
		}
		return n
	}
	return nil
}

func (r *run) dictMethod(d *Dict, name string, a args) Value {
	switch name {
	case "get":
		p := a.bind(r, "key", "default")
		if p[0] == nil {
			r.fail("get of nothing")
		}
		k, ok := r.key(p[0])
		if !ok {
			r.fail("a %s can't be a key", typeName(p[0]))
		}
		if v, ok := d.get(k); ok {
			return v
		}
		if p[1] != nil {
			return p[1]
		}
		return None{}
	case "items", "keys", "values":
		a.bind(r)
		r.alloc(perItem * len(d.keys))
		items := slices.Clone(d.keys)
		if name == "items" {
			items = d.pairs()
		} else if name == "values" {
			items = slices.Clone(d.values)
		}
		return &List{items: items, kind: view}
	case "copy":
		return dictOf(r, args{fn: "copy", pos: []Value{d}})
	}
	return nil
}

// one is the only argument.
func (r *run) one(a args) Value {
	if len(a.pos) != 1 || a.names != nil {
		r.fail("%s: %d arguments, want 1", a.fn, len(a.pos)+len(a.names))
	}
	return a.pos[0]
}

func (r *run) found(v Value) Value {
	if v == int64(-1) {
		r.fail("what was looked for is not there")
	}
	return v
}

// strip is str.strip and its kin: white space, or the characters given.
func (r *run) strip(s String, a args, left, right bool) String {
	r.scan(s.size())
	in := syntax.IsSpace
	switch chars := a.bind(r, "chars")[0].(type) {
	case nil, None:
	default:
		set := r.text(chars).s
		in = func(c rune) bool {
			r.scan(len(set))
			return strings.ContainsRune(set, c)
		}
	}
	return s.strip(in, left, right)
}

func (r *run) split(s String, a args, fromRight bool) Value {
	p := a.bind(r, "sep", "maxsplit")
	most := r.intArg(p[1], -1)
	if most < 0 {
		most = int64(len(s.s)) + 1
	}
	r.scan(s.size())
	out := &List{}
	switch sep := p[0].(type) {
	case nil, None:
		out.items = r.splitSpace(s, int(most), fromRight)
	default:
		by := r.text(sep).s
		if by == "" {
			r.fail("split at an empty text")
		}
		out.items = r.splitAt(s, by, int(most), fromRight)
	}
	return out
}

func splitLines(r *run, s String, a args) Value {
	keep := a.bind(r, "keepends")[0]
	return &List{items: r.lines(s, keep != nil && truth(keep))}
}

func (r *run) partition(s String, a args, index func(s, sep string) int) Value {
	sep := r.text(r.one(a))
	if sep.s == "" {
		r.fail("split at an empty text")
	}
	r.scan(s.size())
	parts := []Value{s, String{}, String{}}
	if n := index(s.s, sep.s); n >= 0 {
		parts = []Value{s.cut(0, n), sep, s.cut(n+len(sep.s), len(s.s))}
	} else if a.fn == "str.rpartition" {
		parts = []Value{String{}, String{}, s}
	}
	return &List{items: parts, kind: tuple}
}

func replaceMethod(r *run, s String, a args) Value {
	p := a.bind(r, "old", "new", "count")
	if p[0] == nil || p[1] == nil {
		r.fail("replace: want two texts")
	}
	return r.replace(s, r.text(p[0]), r.text(p[1]), r.intArg(p[2], -1))
}

// replace puts fresh for up to most (all if negative) places of old.
func (r *run) replace(s, old, fresh String, most int64) String {
	r.scan(s.size())
	n := strings.Count(s.s, old.s)
	if most >= 0 {
		n = int(min(most, int64(n)))
	}
	if fresh.s != "" && n > r.opts.Limits.Bytes/fresh.size() {
		r.bound(r.opts.Limits.Bytes + 1)
	}
	r.alloc(s.size() + n*fresh.size())
	r.step(n / 8)
	var b builder
	pos := 0
	for range n {
		at := strings.Index(s.s[pos:], old.s)
		if old.s == "" && b.size() > 0 {
			_, at = utf8.DecodeRuneInString(s.s[pos:])
		}
		b.add(s.cut(pos, pos+at))
		b.add(fresh)
		pos += at + len(old.s)
		if old.s == "" && fresh.s == "" {
			return s
		}
	}
	b.add(s.cut(pos, len(s.s)))
	return b.string()
}

// joinItems is separator.join(items); with convert, of anything.
func (r *run) joinItems(separator String, items []Value, convert bool) String {
	var b builder
	for i, item := range items {
		if i > 0 {
			b.add(separator)
		}
		s, ok := item.(String)
		if !ok && !convert {
			r.fail("join of a %s, want a str", typeName(item))
		} else if !ok {
			s = r.str(item)
		}
		r.step(1)
		r.alloc(s.size() + separator.size())
		b.add(s)
	}
	return b.string()
}

// affix is startswith or endswith, of one text or a tuple of them.
func (r *run) affix(s String, a args, has func(s, affix string) bool) Value {
	p := a.bind(r, "affix", "start", "end")
	part, start := r.window(s, p[1], p[2])
	if start < 0 {
		return false
	}
	affixes := []Value{p[0]}
	if list, ok := p[0].(*List); ok && list.kind == tuple {
		affixes = list.items
	} else if p[0] == nil {
		r.fail("%s of nothing", a.fn)
	}
	for _, affix := range affixes {
		text := r.text(affix).s
		r.step(1)
		r.scan(min(len(part), len(text)))
		if has(part, text) {
			return true
		}
	}
	return false
}

// window returns the text between two character positions, and the byte it
// starts at; -1 if the start lies behind the text.
func (r *run) window(s String, start, end Value) (string, int) {
	if start == nil && end == nil {
		return s.s, 0
	}
	bound := func(v Value) *int64 {
		if _, none := v.(None); v == nil || none {
			return nil
		}
		i := r.intArg(v, 0)
		return &i
	}
	r.scan(len(s.s))
	n := s.runes()
	first := bound(start)
	if first != nil && *first > int64(n) {
		return "", -1
	}
	from, to, _ := r.slice(first, bound(end), nil, n)
	if from > to {
		return "", -1
	}
	at := s.at(from)
	return s.s[at:s.at(to)], at
}

func (r *run) find(s String, a args, index func(s, sub string) int) Value {
	p := a.bind(r, "sub", "start", "end")
	r.scan(len(s.s))
	if p[0] == nil {
		r.fail("%s of nothing", a.fn)
	}
	part, start := r.window(s, p[1], p[2])
	n := index(part, r.text(p[0]).s)
	if start < 0 || n < 0 {
		return int64(-1)
	}
	return int64(utf8.RuneCountInString(s.s[:start+n]))
}

func (r *run) cutPrefix(s String, prefix string) String {
	r.scan(len(prefix) + s.size()/8)
	if strings.HasPrefix(s.s, prefix) {
		return s.cut(len(prefix), len(s.s))
	}
	return s
}

func (r *run) cutSuffix(s String, suffix string) String {
	r.scan(len(suffix) + s.size()/8)
	if strings.HasSuffix(s.s, suffix) {
		return s.cut(0, len(s.s)-len(suffix))
	}
	return s
}

func (r *run) isCased(s String, wanted, other func(c rune) bool) bool {
	r.step(len(s.s) / 8)
	return strings.IndexFunc(s.s, wanted) >= 0 && strings.IndexFunc(s.s, other) < 0
}

// pad is center (side 'c'), ljust ('l') or rjust ('r').
func (r *run) pad(s String, a args, side byte) Value {
	p := a.bind(r, "width", "fillchar")
	fill := " "
	if p[1] != nil {
		if fill = r.text(p[1]).s; utf8.RuneCountInString(fill) != 1 {
			r.fail("%s: want a fill of one character", a.fn)
		}
	}
	width := r.intArg(p[0], 0)
	r.scan(len(s.s))
	missing := width - int64(s.runes())
	if width > maxPadding {
		r.fail("a width of %d, want at most %d", width, maxPadding)
	}
	if missing <= 0 {
		return s
	}
	left := int64(0)
	switch side {
	case 'r':
		left = missing
	case 'c': // the odd one goes where CPython puts it
		left = missing/2 + missing&width&1
	}
	r.alloc(len(s.s) + len(fill)*int(missing))
	var b builder
	b.lit(strings.Repeat(fill, int(left)))
	b.add(s)
	b.lit(strings.Repeat(fill, int(missing-left)))
	return b.string()
}

func zfill(r *run, s String, a args) Value {
	width := r.intArg(r.one(a), 0)
	if width > maxPadding {
		r.fail("a width of %d, want at most %d", width, maxPadding)
	}
	r.alloc(s.size() + int(max(0, width)))
	var b builder
	sign := 0
	if s.s != "" && (s.s[0] == '-' || s.s[0] == '+') {
		sign = 1
	}
	b.add(s.cut(0, sign))
	b.lit(strings.Repeat("0", int(max(0, width-int64(s.runes())))))
	b.add(s.cut(sign, len(s.s)))
	return b.string()
}
