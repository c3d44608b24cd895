package configs

import (
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"lwtrain/data"
	"lwtrain/hub"
)

// setting is a value of one leaf with its origin.
type setting struct {
	value  any // assignable to the leaf's type
	origin Origin
	inner  map[string]Origin // of the keys in a list, by path
}

// layer holds the settings of one file, of the environment or of the arguments.
type layer map[string]*setting

// decoder reads YAML nodes into settings and collects problems on the way.
type decoder struct {
	origin   Origin  // of the layer; line and column are those of the node at hand
	literal  *string // an argument or a variable for a text key, which is taken as it is
	budget   int     // values that may still be looked at
	problems Problems
	inner    map[string]Origin
}

func newDecoder(o Origin) *decoder { return &decoder{origin: o, budget: maxValues} }

// at is the origin of a node.
func (d *decoder) at(n *yaml.Node) Origin {
	o := d.origin
	if o.Kind == File || o.Kind == Recipe {
		o.Line, o.Column = n.Line, n.Column
	}
	return o
}

func (d *decoder) problem(n *yaml.Node, key, format string, args ...any) {
	d.problems = append(d.problems, Problem{Origin: d.at(n), Path: key, Text: fmt.Sprintf(format, args...)})
}

// spend counts a value; it reports false, and says so once, when there are too
// many or they lie too deep.
func (d *decoder) spend(n *yaml.Node, key string, depth int) bool {
	if d.budget < 0 {
		return false
	}
	d.budget--
	if d.budget < 0 {
		d.problem(n, key, "more than %d values once aliases are followed, want fewer", maxValues)
		return false
	}
	if depth > maxDepth {
		d.problem(n, key, "nested deeper than %d, want less", maxDepth)
		return false
	}
	return true
}

// pair is a key of a map with its value.
type pair struct{ key, value *yaml.Node }

// pairs lists the keys of a map. Keys merged in by `<<` come last and give way
// to the map's own; a key given twice is a problem.
func (d *decoder) pairs(n *yaml.Node, at string, depth int) []pair {
	var out, merged []pair
	first := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := deref(n.Content[i]), n.Content[i+1]
		if !d.spend(k, at, depth) {
			return nil
		}
		if k.Kind == yaml.ScalarNode && k.ShortTag() == "!!merge" {
			merged = append(merged, d.merged(v, at, depth+1)...)
			continue
		}
		if k.Kind != yaml.ScalarNode {
			d.problem(k, at, "%s as a key, want text", describe(k))
			continue
		}
		if f := first[k.Value]; f != nil {
			d.problem(k, join(at, k.Value), "given twice, want it once (it is on line %d too)", f.Line)
			continue
		}
		first[k.Value] = k
		out = append(out, pair{k, v})
	}
	for _, p := range merged {
		if first[p.key.Value] == nil {
			first[p.key.Value] = p.key
			out = append(out, p)
		}
	}
	return out
}

// merged lists the keys that `<<: v` brings in.
func (d *decoder) merged(v *yaml.Node, at string, depth int) []pair {
	if !d.spend(v, at, depth) {
		return nil
	}
	target := deref(v)
	switch target.Kind {
	case yaml.MappingNode:
		return d.pairs(target, at, depth)
	case yaml.SequenceNode:
		var out []pair
		for _, c := range target.Content {
			if deref(c).Kind != yaml.MappingNode {
				d.problem(c, at, "%s under <<, want maps", describe(c))
				continue
			}
			out = append(out, d.merged(c, at, depth+1)...)
		}
		return out
	}
	d.problem(v, at, "%s under <<, want a map", describe(v))
	return nil
}

// section reads a map of known keys into out, by path. at is the path of the
// map as it is shown, which inside a list has an index.
func (d *decoder) section(n *yaml.Node, f *field, at string, depth int, out layer) {
	if !d.spend(n, at, depth) {
		return
	}
	m := deref(n)
	if m.Kind == yaml.ScalarNode && m.ShortTag() == "!!null" {
		return // a section whose keys are all commented out
	}
	if m.Kind != yaml.MappingNode {
		d.problem(n, at, "%s, want %s%s", describe(n), f.want(), f.remark(m))
		return
	}
	for _, p := range d.pairs(m, at, depth) {
		key := find(f.keys, p.key.Value)
		here := join(at, p.key.Value)
		if key != nil && key.name == "path" && deref(p.value).Kind == yaml.SequenceNode {
			if list := find(f.keys, "paths"); list != nil { // path of a source may be a list
				key = list
			}
		}
		switch {
		case key == nil && at == "" && p.key.Value == "recipe" && d.origin.Kind == File:
			// read by Load
		case key == nil:
			text, meant := unknownKey(here, f)
			d.problems = append(d.problems, Problem{d.at(p.key), here, text, meant})
		case key.kind == section:
			d.section(p.value, key, here, depth+1, out)
		default:
			d.inner = map[string]Origin{}
			if v, ok := d.value(p.value, key, here, depth+1); ok {
				out[key.path] = &setting{v, d.at(p.value), d.inner}
			}
		}
	}
}

// value reads a leaf; ok is false when there was a problem.
func (d *decoder) value(n *yaml.Node, f *field, at string, depth int) (v any, ok bool) {
	if !d.spend(n, at, depth) {
		return nil, false
	}
	before := len(d.problems)
	switch f.kind {
	case several:
		v = d.several(n, f, at, depth)
	case list:
		v = d.list(n, f, at, depth)
	case heldOut:
		v = d.heldOut(n, f, at, depth)
	case free:
		v = d.freeMap(n, f, at, depth)
	default:
		v = d.scalar(n, f, at)
	}
	return v, len(d.problems) == before
}

// scalar reads a value that has no nodes below it; nil when there was a problem.
func (d *decoder) scalar(n *yaml.Node, f *field, at string) any {
	s := deref(n)
	if d.literal != nil {
		// The shell has taken the quotes off: 5 may well be meant as text.
		s = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: *d.literal}
	}
	v, problem := f.read(s)
	if problem != "" {
		d.problem(n, at, "%s", problem)
		return nil
	}
	return v
}

// several reads a list of text or numbers, or one alone. An empty list is nil.
func (d *decoder) several(n *yaml.Node, f *field, at string, depth int) any {
	seq := deref(n)
	if seq.Kind != yaml.SequenceNode {
		seq = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{n}}
	}
	out := reflect.Zero(f.typ)
	for _, c := range seq.Content {
		if !d.spend(c, at, depth+1) {
			return nil
		}
		if v := d.scalar(c, f.item(), at); v != nil {
			out = reflect.Append(out, reflect.ValueOf(v))
		}
	}
	return out.Interface()
}

// list reads a list of maps into a slice of structs.
func (d *decoder) list(n *yaml.Node, f *field, at string, depth int) any {
	seq := deref(n)
	if seq.Kind != yaml.SequenceNode {
		d.problem(n, at, "%s, want a list of {name: ..., path: ...}%s", describe(n), f.remark(seq))
		return nil
	}
	elem := f.typ
	if f.kind == list {
		elem = f.typ.Elem()
	}
	out := reflect.MakeSlice(reflect.SliceOf(elem), 0, len(seq.Content))
	for i, c := range seq.Content {
		here := fmt.Sprintf("%s[%d]", at, i)
		if deref(c).Kind != yaml.MappingNode {
			d.problem(c, here, "%s, want {name: ..., path: ...}%s", describe(c), asSource(deref(c), "; did you mean {path: %s}?"))
			continue
		}
		out = reflect.Append(out, d.element(c, f, elem, here, depth+1))
	}
	return out.Interface()
}

// element reads one map of a list; keys that it has not take the defaults of
// their tags.
func (d *decoder) element(n *yaml.Node, f *field, typ reflect.Type, at string, depth int) reflect.Value {
	inner := d.inner // the keys of an element are leaves of their own
	keys := layer{}
	before := len(d.problems)
	d.section(n, f, at, depth, keys)
	v := reflect.New(typ).Elem()
	inner[at] = d.at(n)
	for _, k := range leavesOf(f.keys) {
		s := keys[k.path]
		if s == nil && k.def != "" {
			def := &yaml.Node{}
			def.SetString(k.def)
			def.Tag = "" // plain: the value decides
			v, _ := k.read(def)
			s = &setting{v, Origin{}, nil}
		}
		if s != nil && s.value != nil {
			v.FieldByIndex(k.index).Set(reflect.ValueOf(s.value))
			inner[join(at, k.path)] = s.origin
		}
	}
	d.inner = inner
	if src, ok := v.Addr().Interface().(*data.Source); ok {
		if src.Path == "" && src.Paths == nil && len(d.problems) == before {
			d.problem(n, join(at, "path"), "missing, want the path of a file of conversations")
		}
		if src.Name == "" {
			src.Name = sourceName(src.AllPaths())
		}
	}
	return v
}

// sourceName names a source by its first path: a file without its endings, a folder,
// a dataset of the hub without its revision.
func sourceName(paths []string) string {
	if len(paths) == 0 {
		return ""
	}
	name := path.Base(strings.TrimRight(paths[0], "/"))
	if hub.HasScheme(paths[0]) {
		name, _, _ = strings.Cut(name, "@")
	}
	for _, packed := range []string{".gz", ".zst"} {
		name = strings.TrimSuffix(name, packed)
	}
	return strings.TrimSuffix(name, path.Ext(name))
}

// heldOut reads data.held_out: a whole number is a count, a number with a point
// a fraction, a list sources of its own.
func (d *decoder) heldOut(n *yaml.Node, f *field, at string, depth int) any {
	s := deref(n)
	if s.Kind == yaml.SequenceNode {
		fl := *f
		fl.typ = reflect.TypeFor[data.Source]()
		v, _ := d.list(n, &fl, at, depth).([]data.Source)
		return data.HeldOut{Sources: v}
	}
	if s.Kind == yaml.ScalarNode {
		if i, ok := asInt(s); ok && i >= 0 {
			return data.HeldOut{Count: int(i)}
		}
		if v, ok := asFloat(s); ok && s.ShortTag() == "!!float" {
			if v >= 0 && v < 1 {
				return data.HeldOut{Fraction: v}
			}
			d.problem(n, at, "the fraction %s, want at least 0 and below 1 (a whole number is a count of samples)", s.Value)
			return nil
		}
	}
	d.problem(n, at, "%s, want %s", describe(n), f.want())
	return nil
}

// freeMap reads a map with keys of any name, as JSON would have it.
func (d *decoder) freeMap(n *yaml.Node, f *field, at string, depth int) any {
	if deref(n).Kind != yaml.MappingNode {
		d.problem(n, at, "%s, want %s", describe(n), f.want())
		return nil
	}
	m, _ := d.anything(n, at, depth).(map[string]any)
	if f.typ != reflect.TypeFor[map[string]string]() {
		return m
	}
	texts := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		text, ok := m[key].(string)
		if !ok {
			d.problem(n, join(at, key), "%v, want text; put it in quotes", m[key])
		}
		texts[key] = text
	}
	return texts
}

// anything reads a node as JSON-like Go values: map[string]any, []any, string,
// int, float64, bool, nil.
func (d *decoder) anything(n *yaml.Node, at string, depth int) any {
	if !d.spend(n, at, depth) {
		return nil
	}
	s := deref(n)
	switch s.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for _, p := range d.pairs(s, at, depth) {
			m[p.key.Value] = d.anything(p.value, join(at, p.key.Value), depth+1)
		}
		return m
	case yaml.SequenceNode:
		out := []any{}
		for i, c := range s.Content {
			out = append(out, d.anything(c, fmt.Sprintf("%s[%d]", at, i), depth+1))
		}
		return out
	}
	switch s.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(s.Value, "true")
	case "!!str":
		return s.Value
	case "!!int":
		if v, ok := asInt(s); ok && int64(int(v)) == v {
			return int(v)
		}
	case "!!float":
		if v, ok := asFloat(s); ok {
			return v
		}
	}
	d.problem(n, at, "%s, want text, a finite number, true, false, a list or a map", describe(n))
	return nil
}
