package configs

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/viper"
	"gopkg.in/yaml.v3"

	"lwtrain/internal/fault"
)

// Load reads the config called nameOrPath and checks it. nameOrPath is the path
// of a YAML file, or the name of a shipped recipe, with or without .yaml, where
// no such file is there. overrides are key=value, the later winning; env looks
// up environment variables (os.LookupEnv; nil: none).
//
// Everything that is wrong comes back at once as [Problems], marked by
// fault.Usage. Load writes nothing.
func Load(nameOrPath string, overrides []string, env func(string) (string, bool)) (*Config, error) {
	src, err := recipes.open(nameOrPath)
	if err != nil {
		return nil, err
	}
	return load(src, overrides, env)
}

// Parse is Load for text that lies in memory; name stands for the file's.
func Parse(name string, raw []byte, overrides []string, env func(string) (string, bool)) (*Config, error) {
	return load(source{raw, Origin{Kind: File, Name: name, Line: 1, Column: 1}}, overrides, env)
}

func load(src source, overrides []string, env func(string) (string, bool)) (*Config, error) {
	file, base, problems := readFile(src)
	fromEnv, ps := readEnv(env)
	problems = append(problems, ps...)
	arguments, elements, ps := readArguments(overrides)
	problems = append(problems, ps...)
	c, ps := resolve([]layer{base, file, fromEnv, arguments}, elements, src.origin)
	problems = append(problems, ps...)
	problems = append(problems, c.check(src.origin, problems)...)
	if len(problems) > 0 {
		return nil, problems.fault()
	}
	return c, nil
}

// fault marks problems for the command line.
func (ps Problems) fault() error {
	hint := ""
	for _, p := range ps {
		if strings.HasPrefix(p.Text, "unknown key") {
			hint = "`lwtrain init` writes a config with every key and its meaning"
		}
	}
	return fault.Hint(fault.Usage(ps.sorted()), hint)
}

// readFile reads a file, and the recipe that its key `recipe` names.
func readFile(src source) (file, base layer, problems Problems) {
	d := newDecoder(src.origin)
	file = layer{}
	root, bad := parse(src.raw)
	if bad != nil {
		o := src.origin
		o.Line, o.Column = bad.line, bad.column
		return file, nil, Problems{{Origin: o, Text: bad.text}}
	}
	if root == nil {
		return file, nil, nil
	}
	if src.origin.Kind == File {
		var ps Problems
		base, ps = readBase(d, root)
		problems = append(problems, ps...)
	}
	d.section(root, table().root, "", 0, file)
	return file, base, append(problems, d.problems...)
}

// readBase reads the recipe that a file starts from.
func readBase(d *decoder, root *yaml.Node) (layer, Problems) {
	m := deref(root)
	if m.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value != "recipe" {
			continue
		}
		n := m.Content[i+1]
		name := strings.TrimSuffix(deref(n).Value, ".yaml")
		raw, ok := RecipeText(name)
		if !ok {
			return nil, Problems{{Origin: d.at(n), Path: "recipe", Text: fmt.Sprintf("%s, want the name of a shipped recipe: %s%s",
				describe(n), oneOf(RecipeNames()), nearest(name, RecipeNames()))}}
		}
		l, _, ps := readFile(source{raw, Origin{Kind: Recipe, Name: name, Line: 1, Column: 1}})
		return l, ps
	}
	return nil, nil
}

// readEnv reads the variables of all keys. An empty one counts as not set.
func readEnv(env func(string) (string, bool)) (layer, Problems) {
	out := layer{}
	var problems Problems
	if env == nil {
		return out, nil
	}
	for _, f := range table().leaves {
		name := envName(f.path)
		if v, ok := env(name); ok && v != "" {
			s, ps := readText(f, v, Origin{Kind: Env, Name: name})
			if s != nil {
				out[f.path] = s
			}
			problems = append(problems, ps...)
		}
	}
	return out, problems
}

// readArguments reads key=value, the later winning: a list that is given whole also over its
// elements that are given before it.
func readArguments(overrides []string) (out layer, elements []element, problems Problems) {
	out = layer{}
	for _, arg := range overrides {
		key, v, ok := strings.Cut(arg, "=")
		o := Origin{Kind: Argument, Name: arg}
		if !ok {
			problems = append(problems, Problem{Origin: o, Text: "no =, want key=value, such as train.learning_rate=2e-5"})
			continue
		}
		f := table().byPath[key]
		e, inList := elementOf(key)
		switch {
		case f == nil && inList:
			e.value, e.origin = v, o
			elements = append(elements, e)
		case f == nil:
			problems = append(problems, unknownPath(key, o))
		case f.kind == section:
			problems = append(problems, Problem{Origin: o, Path: key,
				Text: fmt.Sprintf("a section, want one of its keys: %s.%s ...", key, f.keys[0].name)})
		default:
			s, ps := readText(f, v, o)
			if s != nil {
				out[key] = s
			}
			problems = append(problems, ps...)
			elements = slices.DeleteFunc(elements, func(e element) bool { return e.list == f })
		}
	}
	return out, elements, problems
}

// unknownPath is unknownKey for a whole path: it looks in the deepest section
// that the path names rightly.
func unknownPath(path string, o Origin) Problem {
	in, at := table().root, path
	for {
		head, rest, ok := strings.Cut(at, ".")
		next := find(in.keys, head)
		if !ok || next == nil || next.kind != section {
			break
		}
		in, at = next, rest
	}
	text, meant := unknownKey(path, in)
	return Problem{o, path, text, meant}
}

// resolve lets the strongest layer win, key by key. Viper holds the layers; it
// lower-cases keys and splits them at its delimiter, so it only ever sees our
// fixed lower-case paths, whole, and values that it does not look into.
func resolve(layers []layer, elements []element, at Origin) (*Config, Problems) {
	v := viper.NewWithOptions(viper.KeyDelimiter("\x00"))
	c := defaults()
	c.Output.Dir = "runs/" + runName(at)
	for _, f := range table().leaves {
		if x, ok := c.leaf(f); ok {
			v.SetDefault(f.path, &setting{value: x.Interface()})
		}
	}
	for i, l := range layers {
		for path, s := range l {
			if i < 2 { // the recipe, then the file over it
				_ = v.MergeConfigMap(map[string]any{path: s}) // fails for files only
			} else { // the environment, then the arguments over it
				v.Set(path, s)
			}
		}
	}
	won := layer{}
	for _, f := range table().leaves {
		if s, ok := v.Get(f.path).(*setting); ok {
			won[f.path] = s
		}
	}
	problems := applyElements(won, elements)
	settle(won)
	c.origins = map[string]Origin{}
	for _, f := range table().leaves {
		if s := won[f.path]; s != nil {
			c.set(f, s)
		}
	}
	return &c, problems
}

// runName is the last part of output.dir where nothing is said.
func runName(at Origin) string {
	name := filepath.Base(at.Name)
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".yaml"), ".yml")
	if strings.ContainsFunc(name, control) || strings.Trim(name, ".") == "" || strings.ContainsRune(name, filepath.Separator) {
		return "run"
	}
	return name
}

func (c *Config) set(f *field, s *setting) {
	v := reflect.ValueOf(c).Elem()
	for _, i := range f.index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	v.Set(reflect.ValueOf(s.value))
	c.origins[f.path] = s.origin
	for path, o := range s.inner {
		c.origins[path] = o
	}
}

// settle lets a value give way where a stronger layer chose its alternative:
// warmup_steps on the command line switches off a recipe's warmup_ratio, and a
// default gives way to everything. What one layer says twice is left for check.
func settle(won layer) {
	// over reports whether a was said by a stronger layer than b.
	over := func(a, b string) bool {
		return won[a] != nil && won[b] != nil && won[a].origin.Kind > won[b].origin.Kind
	}
	set := func(path string, value any, by string) { won[path] = &setting{value: value, origin: won[by].origin} }

	const ratio, steps = "train.warmup_ratio", "train.warmup_steps"
	switch {
	case over(steps, ratio) && won[steps].value != 0:
		set(ratio, 0.0, steps)
	case over(ratio, steps) && won[ratio].value != 0.0:
		set(steps, 0, ratio)
	}
	const path, config, seed = "model.path", "model.init.config", "model.init.seed"
	switch given := won[path].value != ""; {
	case given && (over(path, config) || over(path, seed) && won[config] == nil):
		delete(won, config)
		delete(won, seed)
	case given && over(config, path):
		set(path, "", config)
	}
	const held, eval, prompts = "data.held_out", "train.eval_steps", "sample.prompts"
	if isZero(won[held].value) {
		for _, p := range []string{eval, prompts} {
			if over(held, p) {
				set(p, 0, held)
			}
		}
	}
	const capacity, longest = "packing.capacity", "data.max_length"
	if over(capacity, longest) && won[longest].origin.Kind == Default {
		set(longest, won[capacity].value, capacity)
	}
}

func isZero(v any) bool {
	if z, ok := v.(interface{ IsZero() bool }); ok {
		return z.IsZero()
	}
	return reflect.ValueOf(v).IsZero()
}

// UnknownEnv lists the variables of environ (as os.Environ gives them) that
// begin like ours but name no key, each with what may have been meant.
func UnknownEnv(environ []string) []string {
	known := []string{
		"LWTRAIN_TEST_DATA", "LWTRAIN_NO_ONEDNN", "LWTRAIN_ISA", "LWTRAIN_PYTHON", "LWTRAIN_TEST_TORCH", "LWTRAIN_TEST_TENSORBOARD",
		"LWTRAIN_TEST_LLAMACPP", "LWTRAIN_API_KEY",
	}
	for _, f := range table().leaves {
		known = append(known, envName(f.path))
	}
	var out []string
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, "LWTRAIN_") || slices.Contains(known, name) {
			continue
		}
		line := printable(name) + ": no such key"
		if c := closest(strings.ToLower(name), lower(known)); c != "" {
			line += "; did you mean " + strings.ToUpper(c) + "?"
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

func lower(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = strings.ToLower(w)
	}
	return out
}

// Document reads a YAML document of another program's making, within the bounds of a config: its root; nil where it is empty.
func Document(name string, raw []byte) (*yaml.Node, error) {
	root, bad := parse(raw)
	if bad != nil {
		return nil, Problems{{Origin: Origin{Kind: File, Name: name, Line: bad.line, Column: bad.column}, Text: bad.text}}.fault()
	}
	if root == nil {
		return nil, nil
	}
	return deref(root), nil
}
