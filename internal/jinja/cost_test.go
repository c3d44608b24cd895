package jinja

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"

	"lwtrain/internal/jinja/syntax"
)

// TestWhatLooksAtATextCostsStepsByItsSize walks over all filters, methods and tests: one
// that is new and forgets to count fails here.
func TestWhatLooksAtATextCostsStepsByItsSize(t *testing.T) {
	const size = 1 << 16
	arguments := map[string]string{
		"attr": "('x')", "batch": "(3)", "map": "('length')", "select": "('string')", "reject": "('none')", "selectattr": "('x')",
		"rejectattr": "('x')", "replace": "('z', 'y')", "divisibleby": "(1)", "in": "(s)", "sameas": "(o)", "startswith": "(o)",
		"endswith": "(o)", "removeprefix": "(o)", "removesuffix": "(o)", "index": "('a')", "rindex": "('a')", "center": "(9)",
		"ljust": "(9)", "rjust": "(9)", "zfill": "(9)", "strip": "('z')", "lstrip": "('z')", "rstrip": "('z')", "partition": "('z')",
		"rpartition": "('z')", "find": "('z')", "rfind": "('z')",
	}
	// What looks at an end of a text, at what it is, or at nothing.
	free := strings.Fields("first last string safe default d defined undefined none true false boolean mapping number integer float " +
		"callable iterable sequence escaped attr")
	refuse := strings.Fields("abs dictsort items round divisibleby even odd sum") // want something else than text
	var all []string
	for _, name := range slices.Sorted(maps.Keys(filters)) {
		all = append(all, "s|"+name+arguments[name])
	}
	for _, name := range slices.Sorted(maps.Keys(stringMethods)) {
		call := cmp.Or(arguments[name], "()")
		switch name {
		case "count":
			call = "('z')"
		case "join":
			call = "([o, o])"
		}
		all = append(all, "s."+name+call)
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		switch {
		case strings.ContainsAny(name, "<>=!"):
		case slices.Contains(strings.Fields("eq equalto ne lt lessthan le gt greaterthan ge"), name):
			all = append(all, "s is "+name+"(o)")
		default:
			all = append(all, "s is "+name+arguments[name])
		}
	}
	all = append(all,
		"s[5]", "s[1:]", "s[::2]", "s + o", "s ~ o", "s * 2", "s == o", "s < o", "s in o", "s % ()", "'%s' % s",
		"'{}'.format(s)", "{s: 1}", "x[s]", "dict(a=1)[s]", "[s, o]|join", "[s, o]|tojson", "[s] == [o]", "strftime_now(s)",
		"(s, 1) in {}", "x|attr(s)",
	)
	for _, expression := range all {
		body, _, err := syntax.Parse("t", "{% set y = "+expression+" %}", constant)
		if err != nil {
			t.Fatal(err)
		}
		r := newRun("t", Options{})
		r.scope.set("s", lit(strings.Repeat("a", size)))
		r.scope.set("o", lit(strings.Repeat("a", size)))
		r.scope.set("x", newDict(0))
		name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(expression, "s|"), "s is "), "(")
		switch err := execute(r, body); {
		case err != nil && !slices.Contains(refuse, name):
			t.Errorf("%s: %v", expression, err)
		case err == nil && r.steps < size/64 && !slices.Contains(free, name):
			t.Errorf("%s of %d bytes costs %d steps, want %d", expression, size, r.steps, size/64)
		}
	}
}

func execute(r *run, body []syntax.Stmt) (err error) {
	defer func() { syntax.Rescue(recover(), "t", 1, &err) }()
	r.exec(body)
	return nil
}

func TestWhatATemplateSaysIsCutInErrors(t *testing.T) {
	long := "'" + strings.Repeat("x", 100_000) + "'"
	for name, template := range map[string]string{
		"an exception": "{{ raise_exception(" + long + " * 10) }}", "a missing key": "{{ {}[" + long + "].x }}",
		"a filter": "{{ 1|" + strings.Trim(long, "'") + " }}", "a number": "{{ " + strings.Repeat("1", 100_000) + " }}",
		"a format": "{{ '{:" + strings.Trim(long, "'") + "}'.format(1) }}", "a name": "{{ " + strings.Trim(long, "'") + ".y }}",
	} {
		_, err := render(t, template, Options{}, "Hi")
		if err == nil || len(err.Error()) > 500 || !strings.HasPrefix(err.Error(), "test:1: ") {
			t.Errorf("%s: %.600v, want an error of one line", name, err)
		}
	}
}
