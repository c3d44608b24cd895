package jinja

import (
	"slices"
	"strconv"
	"strings"
)

// listFilters enters the filters that work on sequences.
func listFilters(m map[string]func(r *run, v Value, a args) Value) {
	m["list"] = func(r *run, v Value, a args) Value {
		a.bind(r)
		items := r.items(v)
		r.alloc(16 * len(items))
		return &List{items: slices.Clone(items)}
	}
	m["first"] = func(r *run, v Value, a args) Value {
		a.bind(r)
		if s, ok := v.(String); ok && s.s != "" {
			from, to, _ := r.char(s, 0)
			return s.cut(from, to)
		}
		if items := r.items(v); len(items) > 0 {
			return items[0]
		}
		return &Undefined{"there is no first item, the sequence is empty"}
	}
	m["last"] = func(r *run, v Value, a args) Value {
		a.bind(r)
		if _, ok := v.(*Iter); ok {
			r.fail("a generator has no last item")
		}
		if s, ok := v.(String); ok && s.s != "" {
			from, to, _ := r.char(s, -1)
			return s.cut(from, to)
		}
		if items := r.items(v); len(items) > 0 {
			return items[len(items)-1]
		}
		return &Undefined{"there is no last item, the sequence is empty"}
	}
	m["join"] = joinFilter
	m["items"] = func(r *run, v Value, a args) Value {
		switch v := v.(type) {
		case *Dict:
			r.alloc(perItem * len(v.keys))
			return &Iter{v.pairs()}
		case *Undefined:
			return &Iter{}
		}
		r.fail("items of a %s, want a dict", typeName(v))
		return nil
	}
	m["dictsort"] = dictSort
	m["sort"] = sortFilter
	m["unique"] = unique
	m["reverse"] = reverse
	m["map"] = mapFilter
	m["select"] = func(r *run, v Value, a args) Value { return r.choose(v, a, false, true) }
	m["reject"] = func(r *run, v Value, a args) Value { return r.choose(v, a, false, false) }
	m["selectattr"] = func(r *run, v Value, a args) Value { return r.choose(v, a, true, true) }
	m["rejectattr"] = func(r *run, v Value, a args) Value { return r.choose(v, a, true, false) }
	m["sum"] = sum
	m["min"] = func(r *run, v Value, a args) Value { return r.extreme(v, a, -1) }
	m["max"] = func(r *run, v Value, a args) Value { return r.extreme(v, a, 1) }
	m["batch"] = batch
}

func joinFilter(r *run, v Value, a args) Value {
	p := a.bind(r, "d", "attribute")
	separator := String{}
	if p[0] != nil {
		separator = r.str(p[0])
	}
	items := r.items(v)
	if p[1] != nil {
		items = r.attributes(items, p[1], nil)
	}
	return r.joinItems(separator, items, true)
}

// attributes returns the attribute of each item; "a.b" goes on into it, a
// number is an index. What is undefined on the way becomes missing, if that is
// not nil.
func (r *run) attributes(items []Value, attribute, missing Value) []Value {
	r.alloc(16 * len(items))
	out := make([]Value, len(items))
	for i, item := range items {
		out[i] = r.attribute(item, attribute, missing)
	}
	return out
}

func (r *run) attribute(item, attribute, missing Value) Value {
	or := func(v Value) Value {
		if _, ok := v.(*Undefined); ok && missing != nil {
			return missing
		}
		return v
	}
	name, ok := attribute.(String)
	if !ok {
		return or(r.item(item, attribute))
	}
	for part := range strings.SplitSeq(name.s, ".") {
		r.step(1)
		var index Value = lit(part)
		if n, err := strconv.ParseInt(part, 10, 64); err == nil && n >= 0 {
			index = n
		}
		item = or(r.item(item, index))
	}
	return item
}

// sortKeys are what items are sorted or told apart by: one attribute, several
// with commas, or themselves; text in small letters unless cased.
func (r *run) sortKeys(items []Value, attribute Value, cased bool) []Value {
	r.alloc(16 * len(items))
	keys := make([]Value, len(items))
	fold := func(v Value) Value {
		if s, ok := v.(String); ok && !cased {
			return r.toLower(s)
		}
		return v
	}
	for i, item := range items {
		switch name := attribute.(type) {
		case nil, None:
			keys[i] = fold(item)
		case String:
			parts := &List{}
			for part := range strings.SplitSeq(name.s, ",") {
				r.alloc(perItem)
				parts.items = append(parts.items, fold(r.attribute(item, lit(part), nil)))
			}
			keys[i] = parts
		default:
			keys[i] = fold(r.attribute(item, name, nil))
		}
	}
	return keys
}

// sorted returns items in the order of their keys. Equal ones stay as they are.
func (r *run) sorted(items, keys []Value, backwards bool) []Value {
	r.alloc(24 * len(items))
	at := make([]int, len(items))
	for i := range at {
		at[i] = i
	}
	slices.SortStableFunc(at, func(a, b int) int {
		if backwards {
			return r.order(keys[b], keys[a], 0)
		}
		return r.order(keys[a], keys[b], 0)
	})
	out := make([]Value, len(items))
	for i := range out {
		out[i] = items[at[i]]
	}
	return out
}

func is(v Value) bool { return v != nil && truth(v) }

func sortFilter(r *run, v Value, a args) Value {
	p := a.bind(r, "reverse", "case_sensitive", "attribute")
	items := r.items(v)
	return &List{items: r.sorted(items, r.sortKeys(items, p[2], is(p[1])), is(p[0]))}
}

func dictSort(r *run, v Value, a args) Value {
	p := a.bind(r, "case_sensitive", "by", "reverse")
	d, ok := v.(*Dict)
	if !ok {
		r.fail("dictsort of a %s, want a dict", typeName(v))
	}
	by := d.keys
	if p[1] != nil {
		switch name := r.text(p[1]).s; name {
		case "key":
		case "value":
			by = d.values
		default:
			r.fail("dictsort by %q, want key or value", name)
		}
	}
	r.alloc(perItem * len(d.keys))
	return &List{items: r.sorted(d.pairs(), r.sortKeys(by, nil, is(p[0])), is(p[2]))}
}

func unique(r *run, v Value, a args) Value {
	p := a.bind(r, "case_sensitive", "attribute")
	items := r.items(v)
	seen := newDict(0)
	out := &Iter{}
	for i, k := range r.sortKeys(items, p[1], is(p[0])) {
		if list, ok := k.(*List); ok && isString(p[1]) {
			k = list.items[0]
		}
		hashed, ok := r.key(k)
		if !ok {
			r.fail("unique of a %s", typeName(k))
		}
		if _, found := seen.get(hashed); !found {
			r.alloc(perPair)
			seen.set(k, None{})
			out.items = append(out.items, items[i])
		}
	}
	return out
}

func reverse(r *run, v Value, a args) Value {
	a.bind(r)
	if s, ok := v.(String); ok {
		minus := int64(-1)
		return r.sliceString(s, nil, nil, &minus)
	}
	items := r.items(v)
	r.alloc(16 * len(items))
	items = slices.Clone(items)
	slices.Reverse(items)
	return &Iter{items}
}

// mapFilter is map(attribute="name", default=x) or map("filter", arguments...).
func mapFilter(r *run, v Value, a args) Value {
	items := r.items(v)
	if len(a.pos) == 0 {
		p := a.bind(r, "attribute", "default")
		if p[0] == nil {
			r.fail("map: want an attribute or the name of a filter")
		}
		return &Iter{r.attributes(items, p[0], p[1])}
	}
	name := r.text(a.pos[0]).s
	r.alloc(16 * len(items))
	out := make([]Value, len(items))
	for i, item := range items {
		r.step(1)
		out[i] = r.filter(name, item, args{pos: a.pos[1:], names: a.names, named: a.named})
	}
	return &Iter{out}
}

// choose keeps the items (or those whose attribute) for which a test is want;
// without a test, their truth.
func (r *run) choose(v Value, a args, attribute, want bool) Value {
	pos := a.pos
	var by Value
	if attribute {
		if len(pos) == 0 {
			r.fail("%s: want an attribute", a.fn)
		}
		by, pos = pos[0], pos[1:]
	}
	out := &Iter{}
	for _, item := range r.items(v) {
		r.step(1)
		subject := item
		if attribute {
			subject = r.attribute(item, by, nil)
		}
		holds := truth(subject)
		if len(pos) > 0 {
			holds = r.test(r.text(pos[0]).s, subject, args{pos: pos[1:], names: a.names, named: a.named})
		}
		if holds == want {
			r.alloc(32)
			out.items = append(out.items, item)
		}
	}
	return out
}

func sum(r *run, v Value, a args) Value {
	p := a.bind(r, "attribute", "start")
	items := r.items(v)
	if _, none := p[0].(None); p[0] != nil && !none {
		items = r.attributes(items, p[0], nil)
	}
	var total Value = int64(0)
	if p[1] != nil {
		total = p[1]
	}
	for _, item := range items {
		r.enter(r.line)
		total = r.binary("+", total, item)
		r.leave()
	}
	return total
}

func (r *run) extreme(v Value, a args, sign int) Value {
	p := a.bind(r, "case_sensitive", "attribute")
	items := r.items(v)
	if len(items) == 0 {
		return &Undefined{"an empty sequence has no " + a.fn}
	}
	keys := r.sortKeys(items, p[1], is(p[0]))
	best := 0
	for i := range items {
		if r.order(keys[i], keys[best], 0)*sign > 0 {
			best = i
		}
	}
	return items[best]
}

func batch(r *run, v Value, a args) Value {
	p := a.bind(r, "linecount", "fill_with")
	n := r.intArg(p[0], 0)
	if n < 1 || n > maxRange {
		r.fail("batches of %d", n)
	}
	out := &Iter{}
	for part := range slices.Chunk(r.items(v), int(n)) {
		r.alloc(perItem + 16*int(n))
		items := slices.Clone(part)
		for _, none := p[1].(None); p[1] != nil && !none && len(items) < int(n); {
			items = append(items, p[1])
		}
		out.items = append(out.items, &List{items: items})
	}
	return out
}
