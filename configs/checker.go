package configs

import (
	"maps"
	"slices"
)

// checker collects what is wrong between values. Keys whose own value is wrong
// already are passed over: what would be said of them is a consequence.
type checker struct {
	c        *Config
	at       Origin          // where a key that is not there is missed
	wrong    map[string]bool // keys with a problem of their own
	within   map[string]bool // and what they lie in
	problems Problems
}

// bad notes a problem at path, unless path or one of the keys it depends on has
// one already. It stands where the value came from.
func (k *checker) bad(path, text string, dependsOn ...string) {
	for _, p := range append(dependsOn, path) {
		if k.within[p] {
			return
		}
		for ; p != ""; p = parent(p) {
			if k.wrong[p] {
				return
			}
		}
	}
	o := k.c.origins[path]
	for p := path; o.Kind == Default && p != ""; p = parent(p) {
		o = k.c.origins[p]
	}
	if o.Kind == Default {
		o = k.at
	}
	k.problems = append(k.problems, Problem{Origin: o, Path: path, Text: text})
}

// options takes over what a package says about its own Options, unless the key that
// it depends on has a problem ("": none does).
func (k *checker) options(section string, bad map[string]string, dependsOn string) {
	for _, key := range slices.Sorted(maps.Keys(bad)) {
		path := section + "." + key
		if path == "model.init" {
			path = "model.init.config"
		}
		k.bad(path, bad[key], dependsOn)
	}
}
