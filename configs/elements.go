package configs

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"lwtrain/data"
)

// element is an argument that changes an element of a list, or a key of it:
// data.sources[0].samples=5, dpo.loss_type[1]=ipo. It is applied to the list that won.
type element struct {
	list   *field
	at     string // what stands in the brackets: an index, or the name of a source; "": no brackets
	rest   string // the key in the element; "": all of it
	value  string
	origin Origin
}

// elementOf recognises a key that lies in a list.
func elementOf(key string) (e element, ok bool) {
	head, rest, bracket := strings.Cut(key, "[")
	if e.list = table().byPath[head]; bracket && e.list != nil && e.list.kind != section {
		e.at, e.rest, ok = strings.Cut(rest, "]")
		if e.at == "" || e.rest != "" && (len(e.rest) < 2 || e.rest[0] != '.') {
			ok = false
		}
		e.rest = strings.TrimPrefix(e.rest, ".")
		return e, ok
	}
	// A key without brackets below a list: data.sources.samples, data.held_out.sources[0].path.
	for p := parent(head); p != ""; p = parent(p) {
		if f := table().byPath[p]; f != nil {
			e.list, e.rest = f, lastPart(key)
			return e, f.kind == list || f.kind == heldOut
		}
	}
	return e, false
}

func (e element) key() string { return join(fmt.Sprintf("%s[%s]", e.list.path, e.at), e.rest) }

func (e element) problem(format string, args ...any) Problems {
	return Problems{{Origin: e.origin, Path: strings.SplitN(e.origin.Name, "=", 2)[0], Text: fmt.Sprintf(format, args...)}}
}

// apply changes the list that won.
func (e element) apply(won layer) Problems {
	if e.at == "" {
		return e.problem("a key of a list's element, want its index before it: %s, from 0 on", join(e.list.path+"[0]", e.rest))
	}
	s := won[e.list.path]
	if s == nil {
		s = &setting{value: reflect.Zero(e.list.typ).Interface()}
	}
	s = &setting{s.value, s.origin, maps.Clone(s.inner)}
	if s.inner == nil {
		s.inner = map[string]Origin{}
	}
	var problems Problems
	switch held, isHeld := s.value.(data.HeldOut); {
	case e.list.kind == several:
		problems = e.item(s)
	case e.list.kind == list:
		s.value, problems = e.source(s, s.value.([]data.Source))
	case isHeld && len(held.Sources) > 0:
		held.Sources, problems = e.source(s, held.Sources)
		s.value = held
	default:
		text := e.list.render(reflect.ValueOf(s.value))
		return e.problem("%s is no list (%s), want %s=%s", e.list.path, text, e.list.path, map[bool]string{
			true: "[{path: ...}]", false: "..."}[isHeld])
	}
	if problems == nil {
		won[e.list.path] = s
	}
	return problems
}

// index is which of n elements is meant; n is a new one.
func (e element) index(n int, names []string) (int, Problems) {
	if i := slices.Index(names, e.at); i >= 0 {
		return i, nil
	}
	i, err := strconv.Atoi(e.at)
	switch {
	case err == nil && i >= 0 && i <= n:
		return i, nil
	case n == 0:
		return 0, e.problem("%s is empty, want %s", e.list.path, join(e.list.path+"[0]", e.rest))
	case err == nil:
		return 0, e.problem("%s has %d elements, want an index from 0 to %d, or %d for a new one", e.list.path, n, n-1, n)
	case names == nil:
		return 0, e.problem("%s in brackets, want an index from 0 to %d", quoted(e.at), n)
	}
	return 0, e.problem("%s in brackets, want an index from 0 to %d, or a name: %s%s", quoted(e.at), n, oneOf(names), nearest(e.at, names))
}

// item changes one value of a list of text or numbers.
func (e element) item(s *setting) Problems {
	all := reflect.ValueOf(s.value)
	i, problems := e.index(all.Len(), nil)
	if problems != nil {
		return problems
	}
	if e.rest != "" {
		return e.problem("a key of a value, want %s[%s]=...", e.list.path, e.at)
	}
	one := e.list.item()
	one.path = e.key()
	read, problems := readText(one, e.value, e.origin)
	if problems != nil {
		return problems
	}
	out := reflect.AppendSlice(reflect.MakeSlice(e.list.typ, 0, all.Len()+1), all)
	if i == all.Len() {
		out = reflect.Append(out, reflect.Zero(e.list.typ.Elem()))
	}
	out.Index(i).Set(reflect.ValueOf(read.value))
	s.value, s.origin = out.Interface(), e.origin
	return nil
}

// source changes a source, a key of it, or adds one.
func (e element) source(s *setting, sources []data.Source) ([]data.Source, Problems) {
	var names []string
	for _, src := range sources {
		names = append(names, src.Name)
	}
	i, problems := e.index(len(sources), names)
	if problems != nil {
		return sources, problems
	}
	here := fmt.Sprintf("%s[%d]", e.list.path, i)
	sources = slices.Clone(sources)
	if i == len(sources) {
		sources = append(sources, usualSource().Interface().(data.Source))
		s.inner[here] = e.origin
		if i == 0 {
			s.origin = e.origin
		}
	}
	src := &sources[i]
	if e.rest == "" {
		return sources, e.whole(s, src, here)
	}
	leaf, problems := e.leaf(here)
	if problems != nil {
		return sources, problems
	}
	read, problems := readText(leaf, e.value, e.origin)
	if problems != nil {
		return sources, problems
	}
	reflect.ValueOf(src).Elem().FieldByIndex(leaf.index).Set(reflect.ValueOf(read.value))
	s.inner[leaf.path] = e.origin
	if s.inner[here+".name"] == (Origin{}) {
		src.Name = sourceName(src.AllPaths())
	}
	return sources, nil
}

// whole reads all of a source.
func (e element) whole(s *setting, src *data.Source, here string) Problems {
	n, bad := parse([]byte(e.value))
	if bad != nil || n == nil || deref(n).Kind != yaml.MappingNode {
		return e.problem("%s, want {name: ..., path: ...}, or one of its keys: %s.path=...", quoted(e.value), here)
	}
	d := newDecoder(e.origin)
	d.inner = map[string]Origin{}
	*src = d.element(n, e.list, reflect.TypeFor[data.Source](), here, 0).Interface().(data.Source)
	maps.DeleteFunc(s.inner, func(key string, _ Origin) bool { return strings.HasPrefix(key, here+".") })
	maps.Copy(s.inner, d.inner)
	if len(d.problems) > 0 {
		return d.problems
	}
	return nil
}

// leaf is the key of a source that is changed, under its whole path.
func (e element) leaf(here string) (*field, Problems) {
	in, at := &field{keys: e.list.keys, path: here}, e.rest
	for {
		head, rest, deeper := strings.Cut(at, ".")
		f := find(in.keys, head)
		switch {
		case f == nil && strings.Contains(head, "["):
			head, _, _ = strings.Cut(head, "[")
			return nil, e.problem("an element of a list in a list, want all of it: %s=[...]", join(in.path, head))
		case f == nil:
			text, _ := unknownKey(join(here, e.rest), in)
			return nil, e.problem("%s", text)
		}
		leaf := *f
		leaf.path = join(in.path, head)
		switch {
		case f.kind == section && !deeper:
			return nil, e.problem("a section, want one of its keys: %s.%s ...", leaf.path, f.keys[0].name)
		case f.kind != section && deeper:
			return nil, e.problem("%s has no keys below it, want %s=...", head, leaf.path)
		case f.kind != section:
			return &leaf, nil
		}
		in, at = &leaf, rest
	}
}

// applyElements changes lists in the order of the arguments. A source that was added needs a path.
func applyElements(won layer, elements []element) (problems Problems) {
	changed := map[*field]element{}
	for _, e := range elements {
		ps := e.apply(won)
		if problems = append(problems, ps...); ps == nil {
			changed[e.list] = e
		}
	}
	for f := range changed {
		var sources []data.Source
		switch v := won[f.path].value.(type) {
		case []data.Source:
			sources = v
		case data.HeldOut:
			sources = v.Sources
		}
		for i, src := range sources {
			here := fmt.Sprintf("%s[%d]", f.path, i)
			if o := won[f.path].inner[here]; o.Kind == Argument && src.AllPaths() == nil {
				missing := Problem{Origin: o, Path: here + ".path", Text: "missing, want the path of a file of conversations"}
				problems = append(problems, missing)
			}
		}
	}
	return problems
}

// readText reads a value from the command line or the environment, as YAML.
func readText(f *field, v string, o Origin) (*setting, Problems) {
	d := newDecoder(o)
	d.inner = map[string]Origin{}
	var n *yaml.Node
	if f.kind == text || f.kind == coded {
		d.literal = &v
	} else {
		var bad *unreadable
		if n, bad = parse([]byte(v)); bad != nil {
			text := fmt.Sprintf("%s, want %s", quoted(v), f.want())
			if bad.advice != "" {
				text += "; " + bad.advice
			}
			return nil, Problems{{Origin: o, Path: f.path, Text: text}}
		}
	}
	if n == nil {
		n = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
	}
	value, ok := d.value(n, f, f.path, 0)
	if !ok {
		return nil, d.problems
	}
	return &setting{value, o, d.inner}, nil
}
