package lwtrain_test

import (
	"fmt"
	"go/ast"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mostWithCircles is how many files a package may have of which two use each other.
const mostWithCircles = 15

// TestCircles finds files that use each other, directly or through others: A uses a
// declaration, a method or a field of B, and B one of A. A package of more than
// mostWithCircles files has none, or the reason stands in ARCHITECTURE.md.
//
//	go test . -run Circles -v     lists those of all packages
func TestCircles(t *testing.T) {
	s := loaded(t)
	reasons := map[string]string{}
	for _, row := range tables(document(t, "ARCHITECTURE.md"), "circle in") {
		for _, pkg := range names(row[0]) {
			reasons[pkg] = row[1]
		}
	}
	for _, dir := range sorted(s.packages) {
		p := s.packages[dir]
		circles := p.circles(s)
		for _, circle := range circles {
			said := fmt.Sprintf("%s (%d files) has a circle of %d files:\n%s", dir, len(p.files), len(circle.files), circle)
			if len(p.files) > mostWithCircles && reasons[dir] == "" {
				t.Error(said)
			} else {
				t.Log(said)
			}
		}
		if reasons[dir] != "" && len(circles) == 0 {
			t.Errorf("ARCHITECTURE.md: a reason for circles in %s, which has none", dir)
		}
	}
}

// circle is files that all reach each other by what they use.
type circle struct {
	files []string
	uses  map[string]map[string][]string // by user and used: what, with its line
}

func (c circle) String() string {
	var out strings.Builder
	for _, a := range c.files {
		for _, b := range c.files {
			if what := c.uses[a][b]; len(what) > 0 {
				fmt.Fprintf(&out, "  %s uses of %s: %s", a, b, strings.Join(what[:min(4, len(what))], ", "))
				if len(what) > 4 {
					fmt.Fprintf(&out, " and %d more", len(what)-4)
				}
				out.WriteByte('\n')
			}
		}
	}
	return out.String()
}

// circles are the strongly connected components of more than one file.
func (p *goPackage) circles(s *source) []circle {
	uses := map[string]map[string][]string{}
	for name, file := range p.files {
		uses[name] = map[string][]string{}
		ast.Inspect(file, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok {
				return true
			}
			obj := p.info.Uses[id]
			if obj == nil || obj.Pkg() != p.types || !lasting(obj) {
				return true
			}
			there := filepath.Base(s.fset.Position(obj.Pos()).Filename)
			said := func(use string) bool { return strings.HasPrefix(use, obj.Name()+" ") }
			if there != name && !slices.ContainsFunc(uses[name][there], said) {
				uses[name][there] = append(uses[name][there], fmt.Sprintf("%s (line %d)", obj.Name(), s.fset.Position(id.Pos()).Line))
			}
			return true
		})
	}
	reach := map[string]map[string]bool{}
	var walk func(from, at string)
	walk = func(from, at string) {
		for to := range uses[at] {
			if !reach[from][to] {
				reach[from][to] = true
				walk(from, to)
			}
		}
	}
	for name := range uses {
		reach[name] = map[string]bool{}
		walk(name, name)
	}
	var out []circle
	seen := map[string]bool{}
	for _, name := range sorted(uses) {
		if seen[name] || !reach[name][name] {
			continue
		}
		c := circle{uses: uses}
		for _, other := range sorted(uses) {
			if reach[name][other] && reach[other][name] {
				c.files = append(c.files, other)
				seen[other] = true
			}
		}
		out = append(out, c)
	}
	return out
}

// lasting says whether an object is a declaration of the package, a field or a method,
// and no local one.
func lasting(obj types.Object) bool {
	if v, ok := obj.(*types.Var); ok && v.IsField() {
		return true
	}
	if f, ok := obj.(*types.Func); ok && f.Signature().Recv() != nil {
		return true
	}
	return obj.Parent() == obj.Pkg().Scope()
}
