package configs

import (
	"fmt"
	"slices"
	"strings"
)

// OriginKind says which layer a value comes from. Later kinds win over earlier.
type OriginKind int

// The layers, from the weakest to the strongest.
const (
	Default OriginKind = iota
	Recipe
	File
	Env
	Argument
)

// Origin is where a value comes from.
type Origin struct {
	Kind         OriginKind
	Name         string // the recipe, the file as it was named, the variable, or the argument's text
	Line, Column int    // in a recipe or a file
}

// String is short: "default", "run.yaml:12", "recipe glm4:12",
// "environment LWTRAIN_SEED", "argument".
func (o Origin) String() string {
	switch o.Kind {
	case Recipe:
		return fmt.Sprintf("recipe %s:%d", printable(o.Name), o.Line)
	case File:
		return fmt.Sprintf("%s:%d", printable(o.Name), o.Line)
	case Env:
		return "environment " + o.Name
	case Argument:
		return "argument"
	}
	return "default"
}

// place is the start of a problem's line.
func (o Origin) place() string {
	switch o.Kind {
	case Recipe, File:
		return fmt.Sprintf("%s:%d", o, o.Column)
	case Argument:
		return "argument " + printable(o.Name)
	}
	return o.String()
}

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Origin Origin
	Path   string // the key, "" when it is about the whole file
	Text   string // what is there, what was wanted

	meant string // the key that an unknown one stands for
}

// String is `file:line:column: key: what is there, what was wanted`.
func (p Problem) String() string {
	if p.Path == "" {
		return p.Origin.place() + ": " + p.Text
	}
	return p.Origin.place() + ": " + printable(p.Path) + ": " + p.Text
}

// Problems is everything that is wrong with a configuration, in the order of
// the file; the environment and arguments come after it.
type Problems []Problem

// Error has one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sorted orders problems by place and drops repetitions.
func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		for _, d := range []int{
			int(a.Origin.Kind - b.Origin.Kind), a.Origin.Line - b.Origin.Line, a.Origin.Column - b.Origin.Column,
		} {
			if d != 0 {
				return d
			}
		}
		return strings.Compare(a.Origin.Name, b.Origin.Name)
	})
	return slices.Compact(ps)
}
