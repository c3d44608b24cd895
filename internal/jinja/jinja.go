// Package jinja renders the chat templates of Hugging Face models: the part of
// Jinja2 that they use, set up as transformers sets it up (a sandbox, trim_blocks
// and lstrip_blocks on, {% break %} and {% continue %}, its own tojson,
// raise_exception, strftime_now, {% generation %} blocks).
//
// What it adds is provenance: every string remembers which of its bytes came
// from which input, through concatenation, slicing, stripping, splitting and the
// like, so that [Output] tells which bytes of the rendering are the content of
// which message. Training targets stand on that; nothing is searched for.
//
// Call [Parse] once, then [Template.Render], which may run concurrently. A
// template is hostile input: steps, memory, recursion and sizes are bounded by
// [Limits], it reaches nothing outside its variables, and no panic leaves the
// package. Every error is an [*Error] that names the template's line.
//
// It does not know what a message or a token is, and it does not load other
// templates: include, import and extends are refused.
package jinja

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"lwtrain/internal/jinja/syntax"
)

// Limits bound one rendering. A zero field means its default.
type Limits struct {
	Steps int // evaluated nodes, plus one for each 64 bytes or 8 items walked through (default 20 million)
	Bytes int // bytes of all strings and lists made on the way, input and output included (default 256 MiB)
}

// The bounds that no caller has needed to change.
const (
	maxDepth     = 1500    // nested evaluation, macro calls included
	maxValue     = 100     // lists and maps inside each other
	maxRange     = 100_000 // items of range(), as Jinja's sandbox has it
	maxPadding   = 100_000 // width of a padded or repeated string's unit, indentation
	maxPrecision = 300     // digits behind the point in a format
)

// Template is a parsed template. It is safe for concurrent use.
type Template struct {
	name  string
	body  []syntax.Stmt
	names syntax.Names
}

// Error says where a template failed, and why.
type Error = syntax.Error

// Pair is one entry of a [Map].
type Pair struct {
	Key   string
	Value any
}

// Map is a mapping given to a template, in the order in which it is iterated.
type Map []Pair

// From marks all strings inside Value, the keys of mappings included, as coming
// from the given source, a number from 0 on. What mappings in it hold under a
// key of Keys comes, as a whole, from the source given there.
type From struct {
	Source int
	Value  any
	Keys   map[string]int
}

// Span is a half-open range of bytes of the output.
type Span struct{ Start, End int }

// SourceSpan is a range of bytes that came from one source.
type SourceSpan struct {
	Start, End int
	Source     int
}

// Output is a rendering.
type Output struct {
	Text       string
	Sources    []SourceSpan // ascending, apart from each other
	Generation []Span       // what {% generation %} blocks rendered, ascending
}

// Options of one rendering.
type Options struct {
	Limits Limits
	Now    time.Time // what strftime_now formats
}

// Parse reads a template. The name stands in error messages.
func Parse(name, source string) (*Template, error) {
	body, names, err := syntax.Parse(name, source, constant)
	if err != nil {
		return nil, err
	}
	return &Template{name: name, body: body, names: names}, nil
}

// Reads reports whether the template speaks of a variable, whether or not it ever gets
// there.
func (t *Template) Reads(variable string) bool { return t.names.Variables[variable] }

// ReadsKey reports whether it speaks of a key of something, as an attribute or as a text.
func (t *Template) ReadsKey(key string) bool { return t.names.Keys[key] }

// Render runs the template. The variables are Go values as encoding/json
// decodes them (nil, bool, string, float64, json.Number, []any, map[string]any
// in the order of its sorted keys), int, json.RawMessage (which keeps the order
// of its keys and tells 1 from 1.0), [Map] and [From].
func (t *Template) Render(vars map[string]any, opts Options) (out Output, err error) {
	r := newRun(t.name, opts)
	defer func() { syntax.Rescue(recover(), t.name, r.line, &err) }()
	for name, v := range vars {
		r.scope.set(name, r.input(v, origin{noSource, nil}, 0))
	}
	r.exec(t.body)
	return r.out.output(), nil
}

// origin says where a value that is converted comes from, as [From] does.
type origin struct {
	source int
	keys   map[string]int
}

// under is the origin of what a mapping holds under a key.
func (o origin) under(key string) origin {
	if source, ok := o.keys[key]; ok {
		return origin{source, nil}
	}
	return o
}

func (o origin) text(s string) String {
	if !utf8.ValidString(s) { // nearly all are, and to know it is quick
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return sourced(s, o.source)
}

// input converts a Go value. Its texts stay where they are, and what is around them is
// counted.
func (r *run) input(v any, o origin, depth int) Value {
	r.deep(depth)
	r.alloc(perItem)
	switch v := v.(type) {
	case nil:
		return None{}
	case bool:
		return v
	case string:
		return o.text(v)
	case int:
		return int64(v)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v) // encoding/json makes a float64 of every number
		}
		return v
	case json.Number:
		return r.jsonNumber(v)
	case json.RawMessage:
		return r.decodeJSON(v, o)
	case From:
		return r.input(v.Value, origin{v.Source, v.Keys}, depth+1)
	case Map:
		r.alloc(perItem * len(v))
		d := newDict(len(v))
		for _, pair := range v {
			d.set(o.text(pair.Key), r.input(pair.Value, o.under(pair.Key), depth+1))
		}
		return d
	case map[string]any:
		r.alloc(perItem * len(v))
		d := newDict(len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			d.set(o.text(name), r.input(v[name], o.under(name), depth+1))
		}
		return d
	case []any:
		return inputList(r, v, o, depth)
	case []string:
		return inputList(r, v, o, depth)
	case []Map:
		return inputList(r, v, o, depth)
	}
	r.fail("a value that a template has no type for")
	return nil
}

func inputList[T any](r *run, v []T, o origin, depth int) *List {
	list := &List{items: make([]Value, len(v))}
	for i, item := range v {
		list.items[i] = r.input(item, o, depth+1)
	}
	return list
}
