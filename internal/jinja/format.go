package jinja

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// spec is how a value is to be formatted, in either of Python's two languages.
type spec struct {
	fill      rune
	align     byte // '<', '>', '^', '=' or 0
	sign      byte // '+', ' ' or 0
	alternate bool // #
	comma     bool
	width     int
	precision int // -1: none
	verb      byte
}

// digitsOf reads a number of at most 6 digits at s[i:].
func digitsOf(s string, i int) (n, next int) {
	for next = i; next < len(s) && next < i+6 && s[next] >= '0' && s[next] <= '9'; next++ {
		n = 10*n + int(s[next]-'0')
	}
	return n, next
}

func (r *run) checkSpec(f spec) {
	if f.width > maxPadding || f.precision > maxPadding {
		r.fail("a width or precision beyond %d", maxPadding)
	}
}

// percent is format % v: v is a tuple, a dict for %(name)s, or one value.
func (r *run) percent(format String, v Value) Value {
	var b builder
	values := []Value{v}
	if t, ok := v.(*List); ok && t.kind == tuple {
		values = t.items
	}
	used := 0
	r.scan(format.size())
	next := func() Value {
		if used == len(values) {
			r.fail("not enough values for the format")
		}
		used++
		return values[used-1]
	}
	s := format.s
	for i := 0; i < len(s); {
		n := strings.IndexByte(s[i:], '%')
		if n < 0 {
			n = len(s) - i
		}
		b.add(format.cut(i, i+n))
		if i += n + 1; i > len(s) {
			break
		}
		r.step(2)
		f := spec{precision: -1, fill: ' ', align: '>'}
		value := next
		if i < len(s) && s[i] == '(' {
			end := strings.IndexByte(s[i:], ')')
			if end < 0 {
				r.fail("a format key that is not closed")
			}
			item := r.item(v, lit(s[i+1:i+end]))
			i += end + 1
			used = len(values)
			value = func() Value { return item }
		}
		i = r.percentSpec(s, i, &f, value)
		if f.verb == '%' {
			b.lit("%")
			continue
		}
		text := r.percentValue(f, value())
		r.alloc(len(text.s) + f.width)
		b.add(f.pad(text))
	}
	if _, isDict := v.(*Dict); used < len(values) && !isDict {
		r.fail("not all values are used by the format")
	}
	r.alloc(b.size())
	return b.string()
}

// percentSpec reads flags, width, precision and verb at s[i:] and returns where
// they end.
func (r *run) percentSpec(s string, i int, f *spec, next func() Value) int {
	for ; i < len(s) && strings.IndexByte("-+ #0", s[i]) >= 0; i++ {
		switch s[i] {
		case '-':
			f.align, f.fill = '<', ' '
		case '0':
			if f.align != '<' {
				f.align, f.fill = '=', '0'
			}
		case '#':
			f.alternate = true
		default:
			f.sign = s[i]
		}
	}
	number := func() (n int) {
		if i < len(s) && s[i] == '*' {
			i++
			return int(max(0, min(maxPadding, r.intArg(next(), 0))))
		}
		n, i = digitsOf(s, i)
		return n
	}
	f.width = number()
	if i < len(s) && s[i] == '.' {
		i++
		f.precision = number()
	}
	if i == len(s) {
		r.fail("a format that is not complete")
	}
	r.checkSpec(*f)
	f.verb = s[i]
	return i + 1
}

// percentValue formats one value, without its padding.
func (r *run) percentValue(f spec, v Value) String {
	switch f.verb {
	case 's', 'r', 'a':
		text := r.str(v)
		if f.verb != 's' {
			var b builder
			r.repr(&b, v, 0)
			text = b.string()
		}
		r.scan(text.size())
		if f.precision >= 0 && f.precision < text.runes() {
			text = text.cut(0, text.at(f.precision))
		}
		return text
	case 'c':
		if s, ok := v.(String); ok && s.runes() == 1 {
			return s
		}
		return lit(string(rune(r.intArg(v, 0))))
	case 'd', 'i', 'u':
		x, ok := number(v)
		if !ok {
			r.fail("%%%c of a %s", f.verb, typeName(v))
		}
		if _, ok := integer(v); !ok {
			v = truncate(x, None{})
		}
		f.verb = 'd'
		return lit(r.formatInt(f, r.intArg(v, 0)))
	case 'x', 'X', 'o':
		return lit(r.formatInt(f, r.intArg(v, 0)))
	case 'e', 'E', 'f', 'F', 'g', 'G':
		x, ok := number(v)
		if !ok {
			r.fail("%%%c of a %s", f.verb, typeName(v))
		}
		return lit(f.formatFloat(x))
	}
	r.fail("the format %%%c is not supported", f.verb)
	return String{}
}

func (f spec) signed(negative bool, digits string) string {
	switch {
	case negative:
		return "-" + digits
	case f.sign == '+' || f.sign == ' ':
		return string(f.sign) + digits
	}
	return digits
}

func (r *run) formatInt(f spec, n int64) string {
	base := map[byte]int{'x': 16, 'X': 16, 'o': 8, 'b': 2}[f.verb]
	if base == 0 {
		base = 10
	}
	digits := strings.TrimPrefix(strconv.FormatInt(n, base), "-")
	if f.precision > len(digits) {
		digits = strings.Repeat("0", f.precision-len(digits)) + digits
	}
	if f.alternate && base != 10 {
		digits = map[int]string{16: "0x", 8: "0o", 2: "0b"}[base] + digits
	}
	if f.verb == 'X' {
		digits = strings.ToUpper(digits)
	}
	if f.comma {
		digits = thousands(digits)
	}
	return f.signed(n < 0, digits)
}

func thousands(digits string) string {
	whole := len(digits)
	if n := strings.IndexAny(digits, ".e%"); n >= 0 {
		whole = n
	}
	var b strings.Builder
	for i := range whole {
		if i > 0 && (whole-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteByte(digits[i])
	}
	return b.String() + digits[whole:]
}

func (f spec) formatFloat(x float64) string {
	verb, precision := f.verb, f.precision
	if precision < 0 {
		precision = 6
	}
	lower := verb | 0x20
	var digits string
	switch {
	case math.IsNaN(x):
		digits = "nan"
	case math.IsInf(x, 0):
		digits = "inf"
	case lower == 'g':
		digits = generalFloat(math.Abs(x), max(1, precision), f.alternate)
	case lower == '%':
		digits = strconv.FormatFloat(math.Abs(x)*100, 'f', precision, 64) + "%"
	default:
		digits = strconv.FormatFloat(math.Abs(x), lower, precision, 64)
	}
	if verb >= 'A' && verb <= 'Z' {
		digits = strings.ToUpper(digits)
	}
	if f.comma {
		digits = thousands(digits)
	}
	return f.signed(math.Signbit(x) && !math.IsNaN(x), digits)
}

// generalFloat is C's %g: precision significant digits, without trailing zeros.
func generalFloat(x float64, precision int, keep bool) string {
	s := strconv.FormatFloat(x, 'e', precision-1, 64)
	at := strings.IndexByte(s, 'e')
	exp, _ := strconv.Atoi(s[at+1:])
	mantissa, tail := s[:at], s[at:]
	if exp >= -4 && exp < precision {
		mantissa, tail = strconv.FormatFloat(x, 'f', precision-1-exp, 64), ""
	}
	if strings.Contains(mantissa, ".") && !keep {
		mantissa = strings.TrimSuffix(strings.TrimRight(mantissa, "0"), ".")
	}
	return mantissa + tail
}

// pad brings a formatted value to its width.
func (f spec) pad(s String) String {
	missing := f.width - s.runes()
	if missing <= 0 {
		return s
	}
	fill := strings.Repeat(string(f.fill), missing)
	var b builder
	switch f.align {
	case '<':
		b.add(s)
		b.lit(fill)
	case '^':
		half := missing / 2 * utf8.RuneLen(f.fill)
		b.lit(fill[:half])
		b.add(s)
		b.lit(fill[half:])
	case '=':
		sign := 0
		if s.s != "" && strings.IndexByte("+- ", s.s[0]) >= 0 && f.verb != 's' {
			sign = 1
		}
		b.add(s.cut(0, sign))
		b.lit(fill)
		b.add(s.cut(sign, len(s.s)))
	default:
		b.lit(fill)
		b.add(s)
	}
	return b.string()
}

// formatMethod is str.format: {}, {0}, {name}, {0.attribute[index]!r:spec}.
func (r *run) formatMethod(format String, a args) Value {
	var b builder
	auto := 0
	r.scan(format.size())
	s := format.s
	for i := 0; i < len(s); {
		n := strings.IndexAny(s[i:], "{}")
		if n < 0 {
			b.add(format.cut(i, len(s)))
			break
		}
		b.add(format.cut(i, i+n))
		i += n
		r.step(2)
		if i+1 < len(s) && s[i+1] == s[i] {
			b.add(format.cut(i, i+1))
			i += 2
			continue
		}
		end := strings.IndexByte(s[i:], '}')
		if s[i] == '}' || end < 0 {
			r.fail("a lone %q in a format", s[i])
		}
		text := r.field(s[i+1:i+end], a, &auto)
		r.alloc(len(text.s))
		b.add(text)
		i += end + 1
	}
	r.alloc(b.size())
	return b.string()
}

// field is one replacement field of str.format.
func (r *run) field(field string, a args, auto *int) String {
	field, format, _ := strings.Cut(field, ":")
	if strings.Contains(format, "{") {
		r.fail("a field inside a field's format is not supported")
	}
	field, conversion, _ := strings.Cut(field, "!")
	name := field
	if n := strings.IndexAny(field, ".["); n >= 0 {
		name = field[:n]
	}
	v := r.fieldValue(name, a, auto)
	for rest := field[len(name):]; rest != ""; {
		n := strings.IndexAny(rest[1:], ".[") + 1
		if n == 0 {
			n = len(rest)
		}
		if rest[0] == '.' {
			v = r.attr(v, rest[1:n])
		} else {
			inner := strings.TrimSuffix(rest[1:n], "]")
			var index Value = lit(inner)
			if i, err := strconv.ParseInt(inner, 10, 64); err == nil {
				index = i
			}
			v = r.item(v, index)
		}
		rest = rest[n:]
	}
	switch conversion {
	case "r", "a":
		var b builder
		r.repr(&b, v, 0)
		v = b.string()
	case "s":
		v = r.str(v)
	}
	return r.formatSpec(v, format)
}

func (r *run) fieldValue(name string, a args, auto *int) Value {
	i, err := strconv.Atoi(name)
	if name == "" {
		i, err = *auto, nil
		*auto++
	}
	if err == nil {
		if i < 0 || i >= len(a.pos) {
			r.fail("the format has no value %d", i)
		}
		return a.pos[i]
	}
	for i, n := range a.names {
		if n == name {
			return a.named[i]
		}
	}
	r.fail("the format has no value %q", name)
	return nil
}

// formatSpec is format(v, spec).
func (r *run) formatSpec(v Value, text string) String {
	if text == "" {
		return r.str(v)
	}
	f := r.parseSpec(text)
	_, isFloat := v.(float64)
	i, isInt := integer(v)
	switch {
	case isInt && strings.IndexByte("\x00dxXob", f.verb) >= 0:
		f.align = defaultAlign(f.align, '>')
		s := lit(r.formatInt(f, i))
		f.verb = 'd'
		return r.padded(f, s)
	case isInt || isFloat:
		f.align = defaultAlign(f.align, '>')
		x, _ := number(v)
		if f.verb == 0 && f.precision < 0 {
			s := formatFloat(math.Abs(x))
			if f.comma {
				s = thousands(s)
			}
			f.verb = 'd'
			return r.padded(f, lit(f.signed(math.Signbit(x), s)))
		}
		if f.verb == 0 {
			f.verb = 'g'
		}
		if strings.IndexByte("eEfFgG%", f.verb) < 0 {
			r.fail("the format %q for a %s", text, typeName(v))
		}
		return r.padded(f, lit(f.formatFloat(x)))
	case f.verb != 0 && f.verb != 's':
		r.fail("the format %q for a %s", text, typeName(v))
	}
	s := r.str(v)
	r.scan(s.size())
	if f.precision >= 0 && f.precision < s.runes() {
		s = s.cut(0, s.at(f.precision))
	}
	f.verb, f.align = 's', defaultAlign(f.align, '<')
	return r.padded(f, s)
}

func (r *run) padded(f spec, s String) String {
	r.alloc(len(s.s) + 4*f.width)
	return f.pad(s)
}

func defaultAlign(align, missing byte) byte {
	if align == 0 {
		return missing
	}
	return align
}

// parseSpec reads [[fill]align][sign][#][0][width][,][.precision][type].
func (r *run) parseSpec(text string) spec {
	f := spec{precision: -1, fill: ' '}
	isAlign := func(i int) bool { return i < len(text) && strings.IndexByte("<>^=", text[i]) >= 0 }
	i := 0
	c, size := utf8.DecodeRuneInString(text)
	if isAlign(size) {
		f.fill, f.align, i = c, text[size], size+1
	} else if isAlign(0) {
		f.align, i = text[0], 1
	}
	take := func(c byte) bool {
		if i < len(text) && text[i] == c {
			i++
			return true
		}
		return false
	}
	for _, sign := range []byte("+- ") {
		if take(sign) && sign != '-' {
			f.sign = sign
		}
	}
	f.alternate = take('#')
	if take('0') && f.align == 0 {
		f.align, f.fill = '=', '0'
	}
	f.width, i = digitsOf(text, i)
	f.comma = take(',')
	if take('.') {
		f.precision, i = digitsOf(text, i)
	}
	if i < len(text) {
		f.verb = text[i]
		i++
	}
	if i != len(text) {
		r.fail("the format %q is not supported", text)
	}
	r.checkSpec(f)
	return f
}
