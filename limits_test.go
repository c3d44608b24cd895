package lwtrain_test

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// What is larger is read by nobody.
const (
	mostLines         = 500 // of a file
	mostFunctionLines = 100
	mostFiles         = 25 // of a package, without tests
	mostColumns       = 140
	tabColumns        = 4
)

// TestLimits holds files, functions, packages and lines to their sizes, and files to gofmt's form, tests included.
func TestLimits(t *testing.T) {
	files, err := goFiles()
	if err != nil {
		t.Fatal(err)
	}
	inPackage := map[string]int{}
	for _, name := range files {
		if !strings.HasSuffix(name, "_test.go") {
			inPackage[path.Dir(name)]++
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if formatted, err := format.Source(raw); err == nil && !bytes.Equal(formatted, raw) {
			t.Errorf("%s: not as gofmt writes it", name)
		}
		lines := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
		if len(lines) > mostLines {
			t.Errorf("%s: %d lines, want at most %d", name, len(lines), mostLines)
		}
		for i, line := range lines {
			if n := utf8.RuneCountInString(line) + (tabColumns-1)*strings.Count(line, "\t"); n > mostColumns {
				t.Errorf("%s:%d: %d columns, want at most %d", name, i+1, n, mostColumns)
			}
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, raw, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			first, last := fset.Position(f.Pos()).Line, fset.Position(f.End()).Line
			if last-first+1 > mostFunctionLines {
				t.Errorf("%s:%d: func %s has %d lines, want at most %d", name, first, f.Name.Name, last-first+1, mostFunctionLines)
			}
		}
	}
	for _, pkg := range sorted(inPackage) {
		if inPackage[pkg] > mostFiles {
			t.Errorf("%s: %d files without tests, want at most %d", pkg, inPackage[pkg], mostFiles)
		}
	}
}

// TestErrorsSayWant looks into the texts of the program: what is asked for is called
// want, in every message.
func TestErrorsSayWant(t *testing.T) {
	other := regexp.MustCompile(`(?i)\b(wanted|expected|expects)\b`)
	s := loaded(t)
	for _, dir := range sorted(s.packages) {
		for _, name := range sorted(s.packages[dir].files) {
			ast.Inspect(s.packages[dir].files[name], func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok && strings.HasPrefix(types.ExprString(call.Fun), "strings.") {
					return false // texts of others are looked into
				}
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && other.MatchString(lit.Value) {
					t.Errorf("%s: %s: messages say want", s.fset.Position(lit.Pos()), lit.Value)
				}
				return true
			})
		}
	}
}
