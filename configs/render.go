package configs

import (
	"bytes"
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"

	"lwtrain/data"
)

// Resolved is the whole config as YAML, every value with where it came from. It
// loads again to the same Config.
func (c *Config) Resolved() []byte {
	var b bytes.Buffer
	b.WriteString("# The resolved configuration: every value, and where it came from.\n")
	for _, f := range table().root.keys {
		c.write(&b, f, "")
	}
	return b.Bytes()
}

func (c *Config) write(b *bytes.Buffer, f *field, indent string) {
	if f.kind == section {
		if f.optional {
			if _, ok := c.leaf(f.keys[0]); !ok {
				return
			}
		}
		fmt.Fprintf(b, "%s%s:\n", indent, f.name)
		for _, k := range f.keys {
			c.write(b, k, indent+"  ")
		}
		return
	}
	v, ok := c.leaf(f)
	if !ok || f.path == "model.path" && v.String() == "" {
		return
	}
	origin := "  # " + c.origins[f.path].String()
	fmt.Fprintf(b, "%s%s:", indent, f.name)
	switch x := v.Interface().(type) {
	case []data.Source:
		if len(x) == 0 {
			fmt.Fprintf(b, " []%s\n", origin)
			return
		}
		c.writeSources(b, f, x, indent, origin)
	case data.HeldOut:
		if len(x.Sources) > 0 {
			c.writeSources(b, f, x.Sources, indent, origin)
			return
		}
		fmt.Fprintf(b, " %s%s\n", f.render(v), origin)
	case map[string]any:
		if len(x) == 0 {
			fmt.Fprintf(b, " {}%s\n", origin)
			return
		}
		fmt.Fprintf(b, "%s\n", origin)
		for _, key := range slices.Sorted(maps.Keys(x)) {
			fmt.Fprintf(b, "%s  %s: %s\n", indent, scalar(key), jsonLike(x[key]))
		}
	default:
		fmt.Fprintf(b, " %s%s\n", f.render(v), origin)
	}
}

func (c *Config) writeSources(b *bytes.Buffer, f *field, sources []data.Source, indent, origin string) {
	fmt.Fprintf(b, "%s\n", origin)
	for i, s := range sources {
		fmt.Fprintf(b, "%s  - %s", indent, renderSource(f, s))
		if o := c.sourceOrigin(f, fmt.Sprintf("%s[%d]", f.path, i)); o != "" {
			b.WriteString("  # " + o)
		}
		b.WriteByte('\n')
	}
}

// sourceOrigin is where a source comes from, and which of its keys arguments have changed.
func (c *Config) sourceOrigin(f *field, here string) string {
	o, of := c.origins[here], c.origins[f.path]
	var out []string
	if o.Kind == File || o.Kind == Recipe || o.Kind == Argument && of.Kind != Argument {
		out = append(out, o.String())
	}
	var changed []string
	for _, k := range leavesOf(f.keys) {
		if o.Kind != Argument && c.origins[join(here, k.path)].Kind == Argument {
			changed = append(changed, k.path)
		}
	}
	if changed != nil {
		out = append(out, strings.Join(changed, ", ")+": argument")
	}
	return strings.Join(out, "; ")
}

func renderSource(f *field, s data.Source) string {
	return renderKeys(f.keys, reflect.ValueOf(s), usualSource())
}

// usualSource is a source of which nothing is said.
var usualSource = sync.OnceValue(func() reflect.Value {
	f := table().byPath["data.sources"]
	d := newDecoder(Origin{})
	d.inner = map[string]Origin{}
	return d.element(&yaml.Node{Kind: yaml.MappingNode}, f, f.typ.Elem(), "", 0)
})

// renderKeys writes a map of the keys that are not as usual, and a source's name
// and path.
func renderKeys(keys []*field, v, usual reflect.Value) string {
	var out []string
	for _, k := range keys {
		x := v.FieldByIndex(k.index)
		switch {
		case k.path == "path" && x.IsZero():
		case k.kind == section:
			if part := renderKeys(k.keys, v, usual); part != "{}" {
				out = append(out, k.name+": "+part)
			}
		case k.path == "name" || k.path == "path":
			out = append(out, k.name+": "+k.render(x))
		case reflect.DeepEqual(x.Interface(), usual.FieldByIndex(k.index).Interface()):
		case x.IsZero() && (k.kind == text || k.kind == several || k.kind == free || k.above != nil): // as usual, in a source made by hand
		default:
			out = append(out, k.name+": "+k.render(x))
		}
	}
	return "{" + strings.Join(out, ", ") + "}"
}

// render writes a value on one line of YAML.
func (f *field) render(v reflect.Value) string {
	if f.kind == several {
		one := f.item()
		if v.Len() == 1 {
			return one.render(v.Index(0))
		}
		var out []string
		for i := range v.Len() {
			out = append(out, one.render(v.Index(i)))
		}
		return "[" + strings.Join(out, ", ") + "]"
	}
	switch x := v.Interface().(type) {
	case data.HeldOut:
		switch {
		case len(x.Sources) > 0:
			return f.render(reflect.ValueOf(x.Sources))
		case x.Fraction > 0:
			return float(x.Fraction)
		}
		return strconv.Itoa(x.Count)
	case []data.Source:
		var out []string
		for _, s := range x {
			out = append(out, renderSource(f, s))
		}
		return "[" + strings.Join(out, ", ") + "]"
	case map[string]any:
		return jsonLike(x)
	case map[string]string:
		var out []string
		for _, k := range slices.Sorted(maps.Keys(x)) {
			out = append(out, scalar(k)+": "+scalar(x[k]))
		}
		return "{" + strings.Join(out, ", ") + "}"
	case encoding.TextMarshaler:
		s, err := x.MarshalText()
		if err != nil {
			panic(fmt.Sprintf("configs: %s: %v", f.path, err)) // a value that was read from text
		}
		return scalar(string(s))
	case string:
		if slices.Contains(f.enum, x) {
			return x // true and false are known here, too
		}
		return scalar(x)
	case float64:
		return float(x)
	}
	return fmt.Sprint(v.Interface())
}
