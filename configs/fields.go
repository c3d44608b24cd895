package configs

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"lwtrain/data"
)

// kind says how the YAML of a key is read.
type kind int

const (
	section kind = iota // a map of known keys
	text
	whole // int, uint64
	number
	boolean
	coded   // text with a meaning of its own (encoding.TextUnmarshaler)
	free    // a map of any keys: a config.json
	several // a list of text or numbers; one alone needs no brackets
	list    // a list of sections
	heldOut // data.held_out's union
)

// field is one key of the schema. Fields are made by reflection from the
// packages' Options and their tags, and what is said of a key is the comment of
// its field (docs.json), so a key is written in one place only.
type field struct {
	name, path, doc string
	kind            kind
	typ             reflect.Type
	index           []int    // from Config, or from the element of a list
	keys            []*field // of a section, or of the elements of a list
	optional        bool     // a section behind a pointer: nil unless a key of it is given

	enum                   []string
	min, max, above, below *float64
	def                    string // default of a key in a list's element

	identity []string // the kinds of run that the value is a setting of; nil: all
	words    []string // values of a place that are none
	later    bool     // folders of earlier runs do not have it
	before   string   // and did as this value of it says; "": as its default
}

// schema is the field table: the root section and all leaves by path.
type schema struct {
	root   *field
	leaves []*field // in the order of the file
	byPath map[string]*field
}

// table returns the schema, made once.
var table = sync.OnceValue(func() *schema {
	s := &schema{root: &field{}, byPath: map[string]*field{}}
	s.root.keys = fieldsOf(reflect.TypeFor[Config](), s.root)
	var walk func(f *field)
	walk = func(f *field) {
		s.byPath[f.path] = f
		if f.kind != section {
			s.leaves = append(s.leaves, f)
			return
		}
		for _, k := range f.keys {
			walk(k)
		}
	}
	walk(s.root)
	texts := docs()
	eachKey(s.root.keys, "", func(key string, f *field) { f.doc = texts[key] })
	delete(s.byPath, "")
	return s
})

// fieldsOf makes the fields of a section's struct.
func fieldsOf(t reflect.Type, in *field) []*field {
	var out []*field
	enums := enumsOf(t)
	for i := range t.NumField() {
		sf := t.Field(i)
		name := sf.Tag.Get("yaml")
		if name == "" {
			continue
		}
		if name == ",inline" {
			inner := &field{path: in.path, index: append(slices.Clone(in.index), i), identity: in.identity, later: in.later}
			out = append(out, fieldsOf(sf.Type, inner)...)
			continue
		}
		f := &field{
			name: name, path: join(in.path, name), typ: sf.Type,
			index: append(slices.Clone(in.index), i), identity: in.identity, later: in.later || sf.Tag.Get("later") != "",
			before: sf.Tag.Get("before"), min: bound(sf.Tag, "min"), max: bound(sf.Tag, "max"),
			above: bound(sf.Tag, "above"), below: bound(sf.Tag, "below"),
			def: sf.Tag.Get("default"),
		}
		if e := sf.Tag.Get("enum"); e != "" {
			f.enum = strings.Split(e, "|")
		} else {
			f.enum = enums[name]
			delete(enums, name)
		}
		if w := sf.Tag.Get("words"); w != "" {
			f.words = strings.Split(w, "|")
		}
		if kinds, ok := sf.Tag.Lookup("identity"); ok {
			f.identity = strings.Fields(kinds)
		}
		f.kind = kindOf(sf.Type)
		if sf.Type.Kind() == reflect.Uint64 && f.min == nil {
			f.min = new(float64)
		}
		switch f.kind {
		case section:
			if f.typ.Kind() == reflect.Pointer {
				f.typ, f.optional = f.typ.Elem(), true
			}
			f.keys = fieldsOf(f.typ, f)
		case list:
			f.keys = fieldsOf(f.typ.Elem(), &field{})
		case heldOut:
			f.keys = fieldsOf(reflect.TypeFor[data.Source](), &field{})
		}
		out = append(out, f)
	}
	for name := range enums {
		panic(fmt.Sprintf("configs: Enums of %v name %s, want a key without a tag enum", t, name))
	}
	return out
}

// enumsOf are the values of a section's keys that name the rows of a table, which is
// their only list: the struct's method Enums gives them by key. Others have a tag.
func enumsOf(t reflect.Type) map[string][]string {
	if o, ok := reflect.Zero(t).Interface().(interface{ Enums() map[string][]string }); ok {
		return o.Enums()
	}
	return nil
}

// leavesOf lists the keys that take a value, those of sections too.
func leavesOf(keys []*field) (out []*field) {
	for _, k := range keys {
		if k.kind == section {
			out = append(out, leavesOf(k.keys)...)
		} else {
			out = append(out, k)
		}
	}
	return out
}

func kindOf(t reflect.Type) kind {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return coded
	}
	if t == reflect.TypeFor[data.HeldOut]() {
		return heldOut
	}
	switch t.Kind() {
	case reflect.String:
		return text
	case reflect.Int, reflect.Uint64:
		return whole
	case reflect.Float64:
		return number
	case reflect.Bool:
		return boolean
	case reflect.Map:
		return free
	case reflect.Slice:
		if t.Elem().Kind() != reflect.Struct {
			return several
		}
		return list
	case reflect.Struct, reflect.Pointer:
		return section
	}
	panic("configs: no kind for " + t.String())
}

func bound(tag reflect.StructTag, key string) *float64 {
	s, ok := tag.Lookup(key)
	if !ok {
		return nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(fmt.Sprintf("configs: tag %s:%q is not a number", key, s))
	}
	return &v
}

// item is the field of one value of several.
func (f *field) item() *field {
	one := *f
	one.typ = f.typ.Elem()
	one.kind = kindOf(one.typ)
	return &one
}

// want says in words what a value of the field must be.
func (f *field) want() string {
	if f.kind == several {
		return f.item().want() + ", or a list of such"
	}
	if len(f.enum) > 0 {
		return oneOf(f.enum)
	}
	switch f.kind {
	case section:
		return "the keys " + strings.Join(names(f.keys), ", ") + " under it"
	case whole:
		return "a whole number" + f.bounds()
	case number:
		return "a number" + f.bounds()
	case boolean:
		return "true or false"
	case coded:
		return "text such as 8GiB, or a number of bytes"
	case free:
		if f.typ == reflect.TypeFor[map[string]string]() {
			return "a map of names, such as {human: user}"
		}
		return "a map of keys as in a config.json"
	case list:
		return "a list of {name: ..., path: ...}"
	case heldOut:
		return "a fraction such as 0.02, a count such as 200, or a list of sources"
	}
	return "text"
}

func (f *field) bounds() string {
	s := ""
	for _, b := range []struct {
		word string
		v    *float64
	}{{"at least", f.min}, {"above", f.above}, {"at most", f.max}, {"below", f.below}} {
		if b.v == nil {
			continue
		}
		if s != "" {
			s += " and"
		}
		s += " " + b.word + " " + strconv.FormatFloat(*b.v, 'f', -1, 64)
	}
	return s
}

// within reports whether v keeps the field's bounds.
func (f *field) within(v float64) bool {
	return (f.min == nil || v >= *f.min) && (f.max == nil || v <= *f.max) &&
		(f.above == nil || v > *f.above) && (f.below == nil || v < *f.below)
}

func names(fs []*field) []string {
	out := make([]string, len(fs))
	for i, f := range fs {
		out[i] = f.name
	}
	return out
}

func find(fs []*field, name string) *field {
	for _, f := range fs {
		if f.name == name {
			return f
		}
	}
	return nil
}

// eachKey visits keys, and all below them, in the order of the file. Held-out sources
// have the keys of the others.
func eachKey(keys []*field, prefix string, visit func(key string, f *field)) {
	for _, f := range keys {
		visit(prefix+f.name, f)
		switch f.kind {
		case section:
			eachKey(f.keys, prefix+f.name+".", visit)
		case list:
			eachKey(f.keys, prefix+f.name+"[].", visit)
		case heldOut:
			eachKey(f.keys, "data.sources[].", visit)
		}
	}
}

// leaf returns the reflect.Value of a key of c; ok is false inside an optional
// section that is not there.
func (c *Config) leaf(f *field) (v reflect.Value, ok bool) {
	v = reflect.ValueOf(c).Elem()
	for _, i := range f.index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v, true
}

func join(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}

func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

func lastPart(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
