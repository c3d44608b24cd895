package configs

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Chain is a file that lists commands, each with its settings and in a folder of its own.
type Chain struct {
	Name  string
	About string // the first line of the file's head
	Dir   string // what the steps' folders lie in
	Steps []Step
}

// Step is one command of a chain.
type Step struct {
	Name    string
	About   string
	Command []string // its words
	Args    []string // that follow them, -c and key=value among them
	Config  *Config  // nil: the command takes none
	Dir     string   // what it writes: output.dir of a command with a config
	Reads   []string // steps before it whose folders it names

	places map[string]Origin // in the chain, of what was set
}

// Origin is where the value of a key of the step's config comes from.
func (s *Step) Origin(key string) Origin {
	o := s.Config.Origin(key)
	if in, ok := s.places[o.Name]; ok && o.Kind == Argument {
		return in
	}
	return o
}

// Place is where the chain has an argument, or an option with it as its value.
func (s *Step) Place(value string) Origin {
	for _, arg := range s.Args {
		if _, of, _ := strings.Cut(arg, "="); arg == value || of == value && strings.HasPrefix(arg, "-") {
			return s.places[arg]
		}
	}
	return Origin{}
}

// Line is the command as it is given, without the program's name.
func (s *Step) Line() []string { return slices.Concat(s.Command, s.Args) }

// CheckCommand refuses words that are no command, and arguments that it does not take. It reports
// whether the command takes a config.
type CheckCommand func(words, args []string) (config bool, err error)

const mostSteps = 100

// LoadChain reads the chain called nameOrPath, the path of a YAML file or the name of a shipped one, and
// checks it with the configs of all its steps. overrides are VARIABLE=VALUE, STEP.KEY=VALUE, or
// dir=FOLDER; env is as for [Load].
//
// All problems come back at once, as with [Load].
func LoadChain(nameOrPath string, overrides []string, env func(string) (string, bool), check CheckCommand) (*Chain, error) {
	src, err := chains.open(nameOrPath)
	if err != nil {
		return nil, err
	}
	root, bad := parse(src.raw)
	if bad == nil && (root == nil || deref(root).Kind != yaml.MappingNode) {
		bad = &unreadable{1, 1, "no map of keys, want dir, vars and steps", ""}
	}
	if bad != nil {
		o := src.origin
		o.Line, o.Column = bad.line, bad.column
		return nil, Problems{{Origin: o, Text: bad.text}}.fault()
	}
	r := &chainReader{decoder: newDecoder(src.origin), values: map[string]string{}, set: map[string][]string{}, env: env, check: check}
	r.chain = Chain{Name: runName(src.origin), About: summary(src.raw), Dir: "runs/" + runName(src.origin)}
	r.read(deref(root), overrides)
	if len(r.problems) > 0 {
		return nil, r.problems.fault()
	}
	return &r.chain, nil
}

// chainReader reads a chain.
type chainReader struct {
	*decoder
	chain  Chain
	values map[string]string   // of variables and, once they are read, the folders of steps
	names  []string            // of all steps
	set    map[string][]string // key=value of the command line, by step
	env    func(string) (string, bool)
	check  CheckCommand

	step   *Step // at hand
	broken bool  // something in it stands for nothing, which is said once: what follows from it is not
}

func (r *chainReader) read(root *yaml.Node, overrides []string) {
	var vars, steps []pair
	var places []string // of the steps: steps[0]
	var list *yaml.Node
	for _, p := range r.pairs(root, "", 0) {
		switch v := deref(p.value); p.key.Value {
		case "dir":
			r.chain.Dir = r.text(v, "dir")
		case "vars":
			vars = r.fields(v, "vars")
		case "steps":
			list = v
		default:
			known := []string{"dir", "vars", "steps"}
			r.problem(p.key, p.key.Value, "unknown key, want one of: %s%s", strings.Join(known, ", "), nearest(p.key.Value, known))
		}
	}
	switch {
	case list == nil:
		r.problem(root, "steps", "missing, want a list of steps, each with name and command")
		return
	case list.Kind != yaml.SequenceNode || len(list.Content) == 0 || len(list.Content) > mostSteps:
		r.problem(list, "steps", "%s, want a list of 1 to %d steps", describe(list), mostSteps)
		return
	}
	for i, n := range list.Content {
		at := fmt.Sprintf("steps[%d]", i)
		fields := r.fields(deref(n), at)
		if deref(n).Kind != yaml.MappingNode {
			continue // which is said
		}
		r.names, places = append(r.names, r.name(n, at, fields)), append(places, at)
		steps = append(steps, pair{n, &yaml.Node{Kind: yaml.MappingNode, Content: flat(fields)}})
	}
	if len(steps) == 0 {
		return
	}
	for _, p := range vars {
		key := p.key.Value
		if !chainName.MatchString(key) || key == "dir" || slices.Contains(r.names, key) {
			r.problem(p.key, "vars."+key, "no name of a variable, want letters, digits, - and _, and none that a step has, nor dir")
		}
		r.values[key] = r.text(deref(p.value), "vars."+key)
	}
	r.override(overrides)
	r.values["dir"] = r.chain.Dir
	for i, p := range steps {
		r.readStep(p.key, places[i], r.names[i], p.value)
	}
}

func flat(fields []pair) (out []*yaml.Node) {
	for _, p := range fields {
		out = append(out, p.key, p.value)
	}
	return out
}

var (
	chainName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)
	reference = regexp.MustCompile(`\$\{([^}]*)\}`)
)

// fields are the keys of a map.
func (r *chainReader) fields(n *yaml.Node, at string) []pair {
	if n.Kind != yaml.MappingNode {
		r.problem(n, at, "%s, want a map of keys", describe(n))
		return nil
	}
	return r.pairs(n, at, 0)
}

// text is a value that is no list and no map.
func (r *chainReader) text(n *yaml.Node, at string) string {
	if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" || n.Value == "" || strings.ContainsFunc(n.Value, control) {
		r.problem(n, at, "%s, want text", describe(n))
	}
	return n.Value
}

// name is that of a step.
func (r *chainReader) name(n *yaml.Node, at string, fields []pair) string {
	for _, p := range fields {
		if p.key.Value != "name" {
			continue
		}
		name := deref(p.value).Value
		switch {
		case !chainName.MatchString(name) || name == "dir":
			r.problem(p.value, at+".name", "%s, want letters, digits, - and _, and not dir: it is a folder", describe(p.value))
		case slices.Contains(r.names, name):
			r.problem(p.value, at+".name", "%s is a step before it, want another name", quoted(name))
		}
		return name
	}
	r.problem(n, at+".name", "missing, want a name: it is the step's folder")
	return ""
}

// override takes what the command line says.
func (r *chainReader) override(overrides []string) {
	for _, arg := range overrides {
		key, value, ok := strings.Cut(arg, "=")
		step, rest, ofStep := strings.Cut(key, ".")
		_, isVar := r.values[key]
		problem := func(format string, args ...any) {
			o := Origin{Kind: Argument, Name: arg}
			r.problems = append(r.problems, Problem{Origin: o, Text: fmt.Sprintf(format, args...)})
		}
		switch known := r.known(); {
		case !ok:
			problem("no =, want VARIABLE=VALUE or STEP.KEY=VALUE, such as %s.seed=7", r.names[0])
		case key == "dir" && value != "":
			r.chain.Dir = value
		case isVar:
			r.values[key] = value
		case ofStep && rest != "" && slices.Contains(r.names, step):
			r.set[step] = append(r.set[step], rest+"="+value)
		default:
			problem("%s is no variable and no step's key, want one of: %s=..., or a step's key: %s.KEY=...%s",
				quoted(key), strings.Join(known, "=..., "), strings.Join(r.names, ".KEY=..., "), nearest(step, append(known, r.names...)))
		}
	}
}

// known are the names of variables.
func (r *chainReader) known() []string {
	known := []string{"dir"}
	for name := range r.values {
		known = append(known, name)
	}
	slices.Sort(known)
	return slices.Compact(known)
}

// expand puts in what ${...} stands for.
func (r *chainReader) expand(n *yaml.Node, at, text string) string {
	return reference.ReplaceAllStringFunc(text, func(found string) string {
		name := found[2 : len(found)-1]
		value, known := r.values[name]
		r.broken = r.broken || !known
		switch {
		case known && slices.Contains(r.names, name) && name != r.step.Name && !slices.Contains(r.step.Reads, name):
			r.step.Reads = append(r.step.Reads, name)
		case known:
		case slices.Contains(r.names, name):
			r.problem(n, at, "%s is a step behind this one, want one before it", found)
			return found
		default:
			r.problem(n, at, "%s stands for nothing, want a variable or a step before this one: %s%s",
				printable(found), oneOf(r.known()), nearest(name, r.known()))
			return found
		}
		return value
	})
}

// flow is a value as an argument has it.
func (r *chainReader) flow(n *yaml.Node, at string, depth int) string {
	n = deref(n)
	if !r.spend(n, at, depth) {
		return ""
	}
	var out []string
	switch n.Kind {
	case yaml.MappingNode:
		for _, p := range r.pairs(n, at, depth+1) {
			out = append(out, scalar(p.key.Value)+": "+r.flow(p.value, at, depth+1))
		}
		return "{" + strings.Join(out, ", ") + "}"
	case yaml.SequenceNode:
		for _, v := range n.Content {
			out = append(out, r.flow(v, at, depth+1))
		}
		return "[" + strings.Join(out, ", ") + "]"
	}
	value := r.expand(n, at, n.Value)
	if n.ShortTag() == "!!str" && depth > 0 {
		return scalar(value)
	}
	return value
}

// readStep reads a step, whose keys are known to be a map.
func (r *chainReader) readStep(n *yaml.Node, at, name string, m *yaml.Node) {
	r.step = &Step{Name: name, Dir: filepath.Join(r.chain.Dir, name)}
	r.values[name] = r.step.Dir
	var command, config *yaml.Node
	var args []string
	set := settings{of: map[string]Origin{}, broken: map[string]bool{}, keys: map[string]*yaml.Node{}}
	for _, p := range r.pairs(m, at, 0) {
		at := at + "." + p.key.Value
		switch v := deref(p.value); p.key.Value {
		case "name":
		case "about":
			r.step.About = r.text(v, at)
		case "command":
			command = v
			r.step.Command = strings.Fields(r.text(v, at))
		case "config":
			config = v
		case "set":
			r.settings(v, at, "", 0, &set)
		case "args":
			if v.Kind != yaml.SequenceNode {
				r.problem(v, at, "%s, want a list", describe(v))
				continue
			}
			for i, a := range v.Content {
				arg := r.expand(a, at, r.text(deref(a), fmt.Sprintf("%s[%d]", at, i)))
				args, set.of[arg] = append(args, arg), r.at(a)
			}
		default:
			known := []string{"name", "about", "command", "config", "set", "args"}
			r.problem(p.key, at, "unknown key, want one of: %s%s", strings.Join(known, ", "), nearest(p.key.Value, known))
		}
	}
	for _, arg := range r.set[name] {
		key, value, _ := strings.Cut(arg, "=")
		r.broken = false
		value = r.expand(n, at, value)
		set.add(Origin{Kind: Argument, Name: name + "." + arg}, key, value, r.broken)
	}
	if command == nil {
		r.problem(n, at+".command", "missing, want a command of lwtrain, such as sft")
		return
	}
	r.configure(n, at, command, config, args, set)
	r.chain.Steps = append(r.chain.Steps, *r.step)
}

// settings are key=value with where each comes from.
type settings struct {
	args   []string
	of     map[string]Origin
	broken map[string]bool       // something in it stands for nothing
	keys   map[string]*yaml.Node // of the file
}

func (s *settings) add(o Origin, key, value string, broken bool) {
	arg := key + "=" + value
	s.args, s.of[arg], s.broken[arg] = append(s.args, arg), o, broken
}

// settings reads the keys of set below one of them, with the points of the command line or as sections, as a config has them.
func (r *chainReader) settings(n *yaml.Node, at, in string, depth int, set *settings) {
	if n.Kind != yaml.MappingNode {
		r.problem(n, at, "%s, want a map of keys", describe(n))
		return
	}
	for _, s := range r.pairs(n, at, depth) {
		key, v := join(in, s.key.Value), deref(s.value)
		at := join(at, s.key.Value)
		if f := table().byPath[key]; f != nil && f.kind == section && v.Kind == yaml.MappingNode {
			r.settings(v, at, key, depth+1, set)
			continue
		}
		if first := set.keys[key]; first != nil {
			r.problem(s.key, at, "given twice, want it once (it is on line %d too)", first.Line)
			continue
		}
		r.broken = false
		value := r.flow(s.value, at, 0)
		set.add(r.at(s.key), key, value, r.broken)
		set.keys[key] = s.key
	}
}

// configure checks a step's command, and loads its config.
func (r *chainReader) configure(n *yaml.Node, at string, command, config *yaml.Node, args []string, set settings) {
	s := r.step
	for _, arg := range set.args {
		if strings.HasPrefix(arg, "output.dir=") {
			r.problems = append(r.problems, Problem{set.of[arg], s.Name + ".output.dir", "it is the step's folder, want it left out", ""})
		}
	}
	s.Args = args
	name := ""
	r.broken = false
	if config != nil {
		name = r.expand(config, at+".config", r.text(config, at+".config"))
		set.add(r.at(n), "output.dir", s.Dir, false)
		s.Args = slices.Concat([]string{"-c", name}, args, set.args)
	}
	s.places = set.of
	takes, err := r.check(s.Command, s.Args)
	switch {
	case err != nil:
		r.problem(command, at+".command", "%v", err)
	case takes && config == nil:
		r.problem(n, at+".config", "missing, want a YAML file or a recipe: %s takes one", strings.Join(s.Command, " "))
	case !takes && (config != nil || len(set.args) > 0):
		r.problem(n, at, "%s takes no config, want its arguments in args", strings.Join(s.Command, " "))
	case takes && !r.broken:
		if s.Config, err = Load(name, set.args, r.env); err != nil {
			r.problemsOf(config, at, err, set)
		}
	}
}

// problemsOf are those of a step's config, at the lines of the chain that its settings stand on.
func (r *chainReader) problemsOf(config *yaml.Node, at string, err error, set settings) {
	var found Problems
	if !errors.As(err, &found) {
		r.problem(config, at+".config", "%v", err)
	}
	for _, p := range found {
		if p.Origin.Kind == Argument && set.broken[p.Origin.Name] {
			continue
		}
		if o, ok := set.of[p.Origin.Name]; ok && p.Origin.Kind == Argument {
			p.Origin = o
		}
		if p.Path != "" && p.Origin.Kind != Env {
			p.Path = r.step.Name + "." + p.Path
		}
		r.problems = append(r.problems, p)
	}
}
