package configs

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"lwtrain/data"
)

// Answers are what a config of one's own begins with. Empty ones take the
// defaults.
type Answers struct {
	Model    string   // model folder
	Data     []string // paths of the sources
	Capacity int      // tokens in a pack, and in the longest sample
	Output   string   // the run's folder
}

// Init writes a config with every key, its meaning and its default, filled with
// the answers. It loads as it is.
func Init(a Answers) []byte {
	c := defaults()
	c.Model.Path = either(a.Model, "runs/models/smollm2-135m-instruct")
	c.Output.Dir = either(a.Output, "runs/"+path.Base(path.Clean(c.Model.Path)))
	if len(a.Data) == 0 {
		a.Data = []string{"train.jsonl"}
	}
	c.Data.Sources = sourcesOf(a.Data)
	if a.Capacity > 0 {
		c.Packing.Capacity, c.Data.MaxLength = a.Capacity, a.Capacity
	}
	var b bytes.Buffer
	b.WriteString(`# A run of lwtrain: every key, what it means, and its default.
#
#   lwtrain validate -c THIS      is it right?
#   lwtrain sft -c THIS           train; key=value after it overrides
#   lwtrain schema                a JSON Schema, for completion in an editor
#
# Relative paths are relative to the directory that lwtrain runs in.
`)
	for _, f := range table().root.keys {
		c.explain(&b, f, "")
	}
	return b.Bytes()
}

func either(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// sourcesOf names sources by their files, and by number where two are alike.
func sourcesOf(paths []string) []data.Source {
	var out []data.Source
	seen := map[string]bool{}
	for _, p := range paths {
		stem := sourceName([]string{p})
		name := stem
		for n := 2; seen[name]; n++ {
			name = fmt.Sprintf("%s-%d", stem, n)
		}
		seen[name] = true
		out = append(out, data.Source{Name: name, Path: p, LossFactor: 1})
	}
	return out
}

// explain writes a field with its meaning above it.
func (c *Config) explain(b *bytes.Buffer, f *field, indent string) {
	if f.optional {
		fmt.Fprintf(b, "%s# %s: {seed: 0, config: {model_type: llama, hidden_size: 128, ...}}  (%s)\n", indent, f.name, f.doc)
		return
	}
	if indent == "" {
		b.WriteByte('\n')
	}
	for _, line := range wrap(f.doc, 96-len(indent)) {
		fmt.Fprintf(b, "%s# %s\n", indent, line)
	}
	if f.kind == section {
		fmt.Fprintf(b, "%s%s:\n", indent, f.name)
		for _, k := range f.keys {
			c.explain(b, k, indent+"  ")
		}
		return
	}
	v, _ := c.leaf(f)
	if s, ok := v.Interface().([]data.Source); ok {
		fmt.Fprintf(b, "%s%s:\n", indent, f.name)
		for _, src := range s {
			fmt.Fprintf(b, "%s  - %s\n", indent, renderSource(f, src))
		}
		return
	}
	fmt.Fprintf(b, "%s%s: %s\n", indent, f.name, f.render(v))
	if len(f.enum) > 0 {
		b.Truncate(b.Len() - 1)
		fmt.Fprintf(b, "  # %s\n", strings.Join(f.enum, " | "))
	}
}

func wrap(s string, width int) []string {
	var out []string
	line := ""
	for _, w := range strings.Fields(s) {
		if line != "" && len(line)+1+len(w) > width {
			out, line = append(out, line), ""
		}
		if line != "" {
			line += " "
		}
		line += w
	}
	return append(out, line)
}
