package report

import (
	"fmt"
	"strings"
)

// Setting is a value of config.yaml.
type Setting struct {
	Key, Value string // train.max_steps, 16
	Origin     string // where it comes from, see configs.Origin
}

// settings reads a config as a run writes it: a value on each line, below the names of
// its sections, and behind it where it comes from. Values in lists and maps without an
// origin of their own have their section's.
func settings(text string) (out []Setting) {
	type section struct {
		indent, items int
		key, origin   string
	}
	open := []section{{indent: -1}}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		line, origin := cutLast(line, "  # ")
		content := strings.TrimLeft(line, " ")
		indent := len(line) - len(content)
		if content == "" || content[0] == '#' {
			continue
		}
		for len(open) > 1 && open[len(open)-1].indent >= indent {
			open = open[:len(open)-1]
		}
		in := &open[len(open)-1]
		if origin == "" {
			origin = in.origin
		}
		if value, ok := strings.CutPrefix(content, "- "); ok {
			out = append(out, Setting{fmt.Sprintf("%s[%d]", in.key, in.items), value, origin})
			in.items++
			continue
		}
		name, value, _ := strings.Cut(content, ":")
		if in.key != "" {
			name = in.key + "." + name
		}
		if value = strings.TrimSpace(value); value == "" {
			open = append(open, section{indent: indent, key: name, origin: origin})
			continue
		}
		out = append(out, Setting{name, value, origin})
	}
	return out
}

// cutLast cuts a text at the last separator.
func cutLast(s, sep string) (before, after string) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):]
	}
	return s, ""
}
