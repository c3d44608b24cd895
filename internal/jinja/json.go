package jinja

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
)

// decodeJSON reads a JSON text, keeping the order of keys and the kinds of
// numbers. It is input, and counted like it.
func (r *run) decodeJSON(data []byte, o origin) Value {
	r.alloc(len(data))
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v := r.decodeValue(d, o, 0)
	if d.More() {
		r.fail("JSON with something behind its value")
	}
	return v
}

func (r *run) jsonToken(d *json.Decoder) json.Token {
	t, err := d.Token()
	if err != nil {
		r.fail("JSON that can't be read") // it was read before
	}
	return t
}

func (r *run) decodeValue(d *json.Decoder, o origin, depth int) Value {
	r.deep(depth)
	r.alloc(perItem)
	switch t := r.jsonToken(d).(type) {
	case json.Delim:
		if t == '[' {
			list := &List{}
			for d.More() {
				list.items = append(list.items, r.decodeValue(d, o, depth+1))
			}
			r.jsonToken(d)
			return list
		}
		dict := newDict(0)
		for d.More() {
			r.alloc(perItem)
			k, _ := r.jsonToken(d).(string)
			dict.set(o.text(k), r.decodeValue(d, o.under(k), depth+1))
		}
		r.jsonToken(d)
		return dict
	case string:
		return o.text(t)
	case json.Number:
		return r.jsonNumber(t)
	case bool:
		return t
	}
	return None{}
}

func (r *run) jsonNumber(n json.Number) Value {
	if !strings.ContainsAny(n.String(), ".eE") {
		i, err := strconv.ParseInt(n.String(), 10, 64)
		if err != nil {
			r.fail("%.40s is not an integer of 64 bits", n)
		}
		return i
	}
	f, err := strconv.ParseFloat(n.String(), 64)
	if err != nil && !math.IsInf(f, 0) {
		r.fail("%.40s is no number", n)
	}
	return f
}

// jsonWriter is json.dumps.
type jsonWriter struct {
	r           *run
	b           builder
	ascii, sort bool
	indented    bool
	indent      string
	comma       string // between items
	colon       string
}

// tojson is transformers' filter of that name.
func tojson(r *run, v Value, a args) Value {
	p := a.bind(r, "ensure_ascii", "indent", "separators", "sort_keys")
	w := jsonWriter{r: r, comma: ", ", colon: ": "}
	w.ascii = p[0] != nil && truth(p[0])
	w.sort = p[3] != nil && truth(p[3])
	switch indent := p[1].(type) {
	case nil, None:
	case String:
		w.indented, w.indent, w.comma = true, indent.s, ","
	default:
		n, ok := integer(indent)
		if !ok || n > maxPadding {
			r.fail("tojson: an indent of %s", r.str(indent).s)
		}
		w.indented, w.indent, w.comma = true, strings.Repeat(" ", int(max(0, n))), ","
	}
	if list, ok := p[2].(*List); ok {
		if len(list.items) != 2 {
			r.fail("tojson: %d separators, want 2", len(list.items))
		}
		w.comma, w.colon = r.text(list.items[0]).s, r.text(list.items[1]).s
	}
	w.value(v, 0)
	r.alloc(w.b.size())
	return w.finish()
}

// finish returns the text. If all that is marked in it came from one source,
// then so did its brackets and commas.
func (w *jsonWriter) finish() String {
	s := w.b.string()
	if source := s.origin(); source != noSource {
		return sourced(s.s, source)
	}
	return s
}

func (w *jsonWriter) value(v Value, depth int) {
	r := w.r
	r.deep(depth)
	switch v := v.(type) {
	case None:
		w.b.lit("null")
	case bool:
		w.b.lit(strconv.FormatBool(v))
	case int64:
		w.b.lit(strconv.FormatInt(v, 10))
	case float64:
		w.b.lit(jsonFloat(v))
	case String:
		w.text(v)
	case *List:
		if v.kind == view {
			r.fail("tojson: a %s is not JSON", typeName(v))
		}
		w.list(v, depth)
	case *Dict:
		w.dict(v, depth)
	default:
		r.fail("tojson: a %s is not JSON", typeName(v))
	}
	r.bound(w.b.size())
}

func (w *jsonWriter) newline(depth int) {
	if w.indented {
		w.r.scan(depth * len(w.indent))
		w.r.bound(w.b.size() + depth*len(w.indent))
		w.b.lit("\n")
		for range depth {
			w.b.lit(w.indent)
		}
	}
}

func (w *jsonWriter) list(v *List, depth int) {
	if len(v.items) == 0 {
		w.b.lit("[]")
		return
	}
	w.b.lit("[")
	for i, item := range v.items {
		if i > 0 {
			w.b.lit(w.comma)
		}
		w.newline(depth + 1)
		w.value(item, depth+1)
	}
	w.newline(depth)
	w.b.lit("]")
}

func (w *jsonWriter) dict(v *Dict, depth int) {
	if len(v.keys) == 0 {
		w.b.lit("{}")
		return
	}
	order := make([]int, len(v.keys))
	for i := range order {
		order[i] = i
	}
	if w.sort {
		slices.SortStableFunc(order, func(a, b int) int { return w.r.order(v.keys[a], v.keys[b], 0) })
	}
	w.b.lit("{")
	for i, at := range order {
		if i > 0 {
			w.b.lit(w.comma)
		}
		w.newline(depth + 1)
		w.key(v.keys[at])
		w.b.lit(w.colon)
		w.value(v.values[at], depth+1)
	}
	w.newline(depth)
	w.b.lit("}")
}

// text quotes a text, which may become six times as long.
func (w *jsonWriter) text(s String) {
	w.r.step(s.size() / 8)
	w.r.bound(w.b.size() + len(s.s))
	at := w.b.size()
	writeJSON(&w.b.text, s.s, w.ascii)
	w.b.from(s.origin(), at)
}

func (w *jsonWriter) key(k Value) {
	text := String{}
	switch k := k.(type) {
	case String:
		text = k
	case None:
		text.s = "null"
	case bool:
		text.s = strconv.FormatBool(k)
	case int64:
		text.s = strconv.FormatInt(k, 10)
	case float64:
		text.s = jsonFloat(k)
	default:
		w.r.fail("tojson: a %s is no key", typeName(k))
	}
	w.text(text)
}

func jsonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return formatFloat(f)
}

const hex = "0123456789abcdef"

// writeJSON quotes s as Python's json does: with ascii everything else as \u.
func writeJSON(b *strings.Builder, s string, ascii bool) {
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(byte(c))
		case c < 0x20:
			writeControl(b, byte(c))
		case ascii && c > 0x7e && c < 0x10000:
			writeUnit(b, uint16(c))
		case ascii && c >= 0x10000:
			c -= 0x10000
			writeUnit(b, uint16(0xd800+c>>10))
			writeUnit(b, uint16(0xdc00+c&0x3ff))
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
}

func writeControl(b *strings.Builder, c byte) {
	if short := strings.IndexByte("\n\r\t\b\f", c); short >= 0 {
		b.WriteByte('\\')
		b.WriteByte("nrtbf"[short])
		return
	}
	writeUnit(b, uint16(c))
}

func writeUnit(b *strings.Builder, u uint16) {
	b.Write([]byte{'\\', 'u', hex[u>>12], hex[u>>8&15], hex[u>>4&15], hex[u&15]})
}
