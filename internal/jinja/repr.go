package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// str is str(v).
func (r *run) str(v Value) String {
	switch v := v.(type) {
	case String:
		return v
	case *Undefined:
		return String{}
	}
	var b builder
	r.repr(&b, v, 0)
	r.alloc(b.size())
	return b.string()
}

// repr appends repr(v). Strings inside keep their marks as a whole.
func (r *run) repr(b *builder, v Value, depth int) {
	r.deep(depth)
	switch v := v.(type) {
	case None:
		b.lit("None")
	case bool:
		if v {
			b.lit("True")
		} else {
			b.lit("False")
		}
	case int64:
		b.lit(strconv.FormatInt(v, 10))
	case float64:
		b.lit(formatFloat(v))
	case String:
		r.step(v.size() / 8)
		r.bound(b.size() + len(v.s))
		at := b.size()
		writeRepr(&b.text, v.s)
		b.from(v.origin(), at)
	case *List:
		r.reprList(b, v, depth)
	case *Dict:
		r.reprDict(b, v, depth)
	case *Namespace:
		b.lit("<Namespace ")
		r.reprDict(b, v.vars, depth)
		b.lit(">")
	case *Undefined:
		b.lit("Undefined")
	default:
		r.fail("a %s can't be printed", typeName(v))
	}
	r.bound(b.size())
}

func (r *run) reprList(b *builder, v *List, depth int) {
	brackets := [][2]string{{"[", "]"}, {"(", ")"}, {"dict_items([", "])"}}[v.kind]
	b.lit(brackets[0])
	for i, item := range v.items {
		if i > 0 {
			b.lit(", ")
		}
		r.repr(b, item, depth+1)
	}
	if v.kind == tuple && len(v.items) == 1 {
		b.lit(",")
	}
	b.lit(brackets[1])
}

func (r *run) reprDict(b *builder, v *Dict, depth int) {
	b.lit("{")
	for i, k := range v.keys {
		if i > 0 {
			b.lit(", ")
		}
		r.repr(b, k, depth+1)
		b.lit(": ")
		r.repr(b, v.values[i], depth+1)
	}
	b.lit("}")
}

// writeRepr is repr of a string.
func writeRepr(b *strings.Builder, s string) {
	q := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = '"'
	}
	b.WriteRune(q)
	for _, c := range s {
		switch {
		case c == q || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(c):
			b.WriteRune(c)
		case c < 0x100:
			fmt.Fprintf(b, `\x%02x`, c)
		case c < 0x10000:
			fmt.Fprintf(b, `\u%04x`, c)
		default:
			fmt.Fprintf(b, `\U%08x`, c)
		}
	}
	b.WriteRune(q)
}

// formatFloat is repr(f): the shortest digits that give f back, as 1.0 or 1e+16.
func formatFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 0):
		return strings.TrimPrefix(strings.ToLower(strconv.FormatFloat(f, 'g', -1, 64)), "+")
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	exp, _ := strconv.Atoi(s[strings.IndexByte(s, 'e')+1:])
	if f != 0 && (exp < -4 || exp >= 16) {
		return s
	}
	s = strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

func runeLen(s string, c rune) int {
	if c == utf8.RuneError {
		_, size := utf8.DecodeRuneInString(s)
		return size
	}
	return utf8.RuneLen(c)
}
