package configs

import (
	"reflect"
	"slices"
	"strings"
)

// Settings is what two runs of a kind (sft, dpo, pairs) must have in common to be
// one: the values of the keys whose tag identity names the kind, by path, as text.
//
// A key without the tag takes that of its section; identity:"none" leaves one out
// that a run may go on with another value of. Those are the keys that change no
// result, and places: the content of what lies there counts, not the place. Of a
// key that is a place or one of a few words (tag words), the words count. Of a key, or
// a section, that came after folders of runs were written (tag later, with the version) only
// another value than the default counts: those folders do not have it, and did what it says, or what the tag before says.
func (c *Config) Settings(kind string) map[string]string {
	out, usual := map[string]string{}, defaults()
	for _, f := range table().leaves {
		v, ok := c.leaf(f)
		if !ok || !f.identifies(kind) {
			continue
		}
		if f.words != nil && !slices.Contains(f.words, v.String()) {
			v = reflect.ValueOf("a model")
		}
		if was, ok := usual.leaf(f); f.later && ok && (f.before == "" && f.render(v) == f.render(was) || f.before != "" &&
			v.String() == f.before) {
			continue
		}
		same := *f
		same.keys = slices.DeleteFunc(slices.Clone(f.keys), func(k *field) bool { return !k.identifies(kind) })
		out[f.path] = same.render(v)
	}
	return out
}

// Values are those of all keys below a section, by path, as text.
func (c *Config) Values(section string) map[string]string {
	out := map[string]string{}
	for _, f := range table().leaves {
		if v, ok := c.leaf(f); ok && strings.HasPrefix(f.path, section+".") {
			out[f.path] = f.render(v)
		}
	}
	return out
}

// identifies reports whether the value is one of a run's settings.
func (f *field) identifies(kind string) bool {
	return f.identity == nil || slices.Contains(f.identity, kind)
}

// Texts are all values that are text: places among them, but not output.dir.
func (c *Config) Texts() (out []string) {
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			out = append(out, v.String())
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i))
			}
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				walk(v.Elem())
			}
		}
	}
	for _, f := range table().leaves {
		if v, ok := c.leaf(f); ok && f.path != "output.dir" {
			walk(v)
		}
	}
	return out
}
