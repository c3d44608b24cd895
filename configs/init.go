package configs

import (
	"bytes"
	"fmt"
	"path"
	"reflect"
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
	DPO      bool     // it is for lwtrain dpo, not for lwtrain sft
}

// New makes a config of the answers.
func New(a Answers) *Config {
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
	if a.DPO {
		c.Train.LearningRate = 1e-6
	}
	return &c
}

// Explained writes a config with every key and its meaning, and why it has its value where
// why says so by key. command is what trains with it: sft or dpo. What is written loads as
// it is.
func (c *Config) Explained(command string, why map[string]string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# A run of lwtrain: every key, and what it means. Lines with => say why a value was chosen.
#
#   lwtrain validate -c THIS      is it right?
#   lwtrain %s -c THIS           train; key=value after it overrides
#   lwtrain schema                a JSON Schema, for completion in an editor
#
# Relative paths are relative to the directory that lwtrain runs in.
`, command)
	for _, f := range table().root.keys {
		c.explain(&b, f, "", why)
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

// explain writes a field with its meaning, and why it has its value, above it.
func (c *Config) explain(b *bytes.Buffer, f *field, indent string, why map[string]string) {
	if f.optional {
		fmt.Fprintf(b, "%s# %s: {seed: 0, config: {model_type: llama, hidden_size: 128, ...}}  (%s)\n", indent, f.name, f.doc)
		return
	}
	if indent == "" {
		b.WriteByte('\n')
	}
	comment(b, indent, "", f.doc)
	if reason := why[f.path]; reason != "" {
		comment(b, indent, "=> ", reason)
	}
	if f.kind == section {
		fmt.Fprintf(b, "%s%s:\n", indent, f.name)
		for _, k := range f.keys {
			c.explain(b, k, indent+"  ", why)
		}
		return
	}
	v, _ := c.leaf(f)
	if s, ok := v.Interface().([]data.Source); ok {
		fmt.Fprintf(b, "%s%s:\n", indent, f.name)
		for _, src := range s {
			fmt.Fprintf(b, "%s  - %s\n", indent, renderSource(f, src))
		}
		comment(b, indent+"  ", "", "More keys of a source, such as {name: a, path: a.jsonl, samples: 500}; where nothing is said:")
		explainKeys(b, f.keys, indent+"  #   ", usualSource())
		return
	}
	fmt.Fprintf(b, "%s%s: %s\n", indent, f.name, f.render(v))
	if len(f.enum) > 0 {
		b.Truncate(b.Len() - 1)
		fmt.Fprintf(b, "  # %s\n", strings.Join(f.enum, " | "))
	}
}

// explainKeys writes the keys of a source behind the marks of comments, with their usual values.
func explainKeys(b *bytes.Buffer, keys []*field, indent string, usual reflect.Value) {
	for _, k := range keys {
		comment(b, indent, "", k.doc)
		value := ""
		if k.kind != section {
			value = strings.Trim(k.render(usual.FieldByIndex(k.index)), `"`)
		}
		line := strings.TrimSuffix(fmt.Sprintf("%s%s: %s", indent, k.name, value), " ")
		if len(k.enum) > 0 {
			line += "  # " + strings.Join(k.enum, " | ")
		}
		b.WriteString(line + "\n")
		explainKeys(b, k.keys, indent+"  ", usual)
	}
}

// comment writes text in lines, the first behind a mark and the others as far in.
func comment(b *bytes.Buffer, indent, mark, text string) {
	for i, line := range wrap(text, 96-len(indent)-len(mark)) {
		if i > 0 {
			mark = strings.Repeat(" ", len(mark))
		}
		fmt.Fprintf(b, "%s# %s%s\n", indent, mark, line)
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
