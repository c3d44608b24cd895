package migrate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"lwtrain/internal/terminal"
)

// entry is a key of the other trainer's config.
type entry struct {
	node *yaml.Node // its value
	line int        // 0: of a command line
	used bool
}

// reader turns the keys of a config into settings and notes.
type reader struct {
	name     string
	configs  []string // the files that a command line names
	trainer  *trainer
	command  string // sft or dpo
	given    map[string]entry
	keys     []string // of given, in the order of the file
	set      map[string]Setting
	order    []string // of set
	notes    []Note
	problems []error
}

// document takes the keys of a YAML file.
func (r *reader) document(root *yaml.Node) {
	for i := 0; i+1 < len(root.Content); i += 2 {
		r.put(root.Content[i].Value, root.Content[i+1], root.Content[i].Line)
	}
}

// put takes a key; a later one of the same name holds, as on a command line.
func (r *reader) put(key string, v *yaml.Node, line int) {
	for v.Kind == yaml.AliasNode && v.Alias != nil {
		v = v.Alias
	}
	if _, ok := r.given[key]; !ok {
		r.keys = append(r.keys, key)
	}
	r.given[key] = entry{node: v, line: line}
}

// value is the value of a key, which counts as read; nil: it is not there, or says nothing.
func (r *reader) value(key string) *yaml.Node {
	e, ok := r.given[key]
	if !ok {
		return nil
	}
	e.used = true
	r.given[key] = e
	if e.node.Kind == yaml.ScalarNode && (e.node.Tag == "!!null" || e.node.Value == "") {
		return nil
	}
	return e.node
}

// text is a value as text; "": it is not there.
func (r *reader) text(key string) string {
	v := r.value(key)
	switch {
	case v == nil:
		return ""
	case v.Kind == yaml.ScalarNode:
		return v.Value
	}
	return flow(v)
}

// list is a value that is a list, or texts with commas between.
func (r *reader) list(key string) []string {
	v := r.value(key)
	if v == nil {
		return nil
	}
	var out []string
	if v.Kind == yaml.SequenceNode {
		for _, c := range v.Content {
			out = append(out, c.Value)
		}
		return out
	}
	for s := range strings.SplitSeq(v.Value, ",") {
		out = append(out, strings.TrimSpace(s))
	}
	return out
}

// truth is a value that is true or false; one that is not there, or neither, is otherwise.
func (r *reader) truth(key string, otherwise bool) bool {
	switch strings.ToLower(r.text(key)) {
	case "true", "yes", "1":
		return true
	case "false", "no", "0":
		return false
	}
	return otherwise
}

// number is a value that is one; ok is false when there is none.
func (r *reader) number(key string) (v float64, ok bool) {
	s := r.text(key)
	if s == "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	if err != nil {
		r.problem(key, "want a number")
	}
	return v, err == nil
}

// take sets a key of ours to the value of theirs as it is or, where they say nothing, to their default ("": none is set).
func (r *reader) take(theirs, ours, otherwise string) {
	if s := r.text(theirs); s != "" {
		r.setFrom(ours, s, theirs)
	} else if otherwise != "" {
		r.setDefault(ours, otherwise, theirs)
	}
}

// setFrom sets a key of ours that follows from one of theirs.
func (r *reader) setFrom(ours, value, theirs string) {
	r.setting(ours, value, theirs+": "+r.shown(theirs))
}

// setDefault sets a key of ours that follows from a key of theirs which is not there.
func (r *reader) setDefault(ours, value, theirs string) {
	r.setting(ours, value, fmt.Sprintf("%s's default of %s", r.trainer.name, theirs))
}

func (r *reader) setting(ours, value, from string) {
	if _, ok := r.set[ours]; !ok {
		r.order = append(r.order, ours)
	}
	theirs, _, _ := strings.Cut(from, ":")
	r.set[ours] = Setting{ours, value, from, r.place(theirs)}
}

// note tells what becomes of one of their keys that has no counterpart.
func (r *reader) note(theirs string, kind Kind, text string) {
	r.value(theirs)
	r.notes = append(r.notes, Note{theirs, r.shown(theirs), kind, text})
}

// problem is a value that can not be read, or asks for what can not be trained.
func (r *reader) problem(theirs, want string) {
	if r.shown(theirs) == "" {
		r.problems = append(r.problems, fmt.Errorf("%s: no %s, %s", r.place(theirs), theirs, want))
		return
	}
	r.problems = append(r.problems, fmt.Errorf("%s: %s: %s, %s", r.place(theirs), theirs, r.shown(theirs), want))
}

// place is the file, and the line in it of a key.
func (r *reader) place(theirs string) string {
	if e := r.given[theirs]; e.line > 0 {
		return fmt.Sprintf("%s:%d", r.name, e.line)
	}
	return r.name
}

// shown is a value for people.
func (r *reader) shown(theirs string) string {
	e, ok := r.given[theirs]
	if !ok {
		return ""
	}
	s := []rune(flow(e.node))
	if len(s) > 60 {
		return string(s[:57]) + "..."
	}
	return string(s)
}

// rest notes what no one has read, and what was read and has left no trace.
func (r *reader) rest() {
	said := map[string]bool{}
	for _, s := range r.set {
		key, _, _ := strings.Cut(s.From, ":")
		said[key] = true
	}
	for _, n := range r.notes {
		said[n.Key] = true
	}
	for _, key := range r.keys {
		e := r.given[key]
		if said[key] {
			continue
		}
		if e.used && r.value(key) != nil {
			r.notes = append(r.notes, Note{key, r.shown(key), Same, "it is taken along with the keys that it belongs to"})
			continue
		}
		if e.node.Kind == yaml.ScalarNode && (e.node.Tag == "!!null" || e.node.Value == "") {
			continue // says nothing
		}
		kind, text := otherKey(key)
		if off := []string{"false", "none", "no"}; kind != Same && slices.Contains(off, strings.ToLower(e.node.Value)) {
			kind, text = Same, "it asks for nothing that is done here"
		}
		r.notes = append(r.notes, Note{key, r.shown(key), kind, text})
	}
}

// flow is a value on one line. Of long ones a part is left out, which is said.
func flow(n *yaml.Node) string {
	budget := 2000
	return flowWithin(n, &budget, 0)
}

func flowWithin(n *yaml.Node, budget *int, depth int) string {
	if *budget--; *budget < 0 || depth > 8 {
		return "..."
	}
	switch n.Kind {
	case yaml.AliasNode:
		return flowWithin(n.Alias, budget, depth+1)
	case yaml.SequenceNode:
		var parts []string
		for _, c := range n.Content {
			parts = append(parts, flowWithin(c, budget, depth+1))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case yaml.MappingNode:
		var parts []string
		for i := 0; i+1 < len(n.Content); i += 2 {
			parts = append(parts, n.Content[i].Value+": "+flowWithin(n.Content[i+1], budget, depth+1))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return terminal.Printable(n.Value)
}

// field is a value of a map; nil: it is not there, or says nothing.
func field(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if v := n.Content[i+1]; n.Content[i].Value == key {
			if v.Kind == yaml.AliasNode {
				v = v.Alias
			}
			if v.Kind == yaml.ScalarNode && (v.Tag == "!!null" || v.Value == "") {
				return nil
			}
			return v
		}
	}
	return nil
}
