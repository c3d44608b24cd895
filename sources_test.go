package lwtrain_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The tests of this folder hold the sources to ARCHITECTURE.md and to the rules of
// the house. They read the sources themselves, so that a cached result cannot hide a
// change, and are fast enough to run before every commit.

// goPackage is a package of this module, without its tests.
type goPackage struct {
	dir   string               // below the root, as in the table of ARCHITECTURE.md
	files map[string]*ast.File // by name; those that are built here
	types *types.Package
	info  *types.Info
}

// source is every file of the packages, and what the compiler knows of them.
type source struct {
	fset     *token.FileSet
	packages map[string]*goPackage // by dir
}

// load parses and checks every package of the module, once.
var load = sync.OnceValues(func() (*source, error) {
	exports, err := exportData()
	if err != nil {
		return nil, err
	}
	s := &source{fset: token.NewFileSet(), packages: map[string]*goPackage{}}
	imports := importer.ForCompiler(s.fset, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(exports[path])
	})
	names, err := goFiles()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		dir, file := path.Split(name)
		dir = path.Clean(dir)
		if ok, err := build.Default.MatchFile(dir, file); err != nil || !ok || strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(s.fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		if s.packages[dir] == nil {
			s.packages[dir] = &goPackage{dir: dir, files: map[string]*ast.File{}}
		}
		s.packages[dir].files[file] = parsed
	}
	for _, p := range s.packages {
		p.info = &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
		var files []*ast.File
		for _, name := range sorted(p.files) {
			files = append(files, p.files[name])
		}
		// Cgo's types are not known here, so what is said of them is passed over.
		config := types.Config{Importer: imports, FakeImportC: true, Error: func(e error) {
			if !strings.Contains(e.Error(), "invalid type") {
				err = errors.Join(err, e)
			}
		}}
		p.types, _ = config.Check("lwtrain/"+p.dir, s.fset, files, p.info)
		if err != nil {
			return nil, err
		}
	}
	return s, nil
})

// loaded is load in a test.
func loaded(t *testing.T) *source {
	t.Helper()
	s, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// exportData is where the compiler's knowledge of each package lies, ours and others'.
func exportData() (map[string]string, error) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, &stderr)
	}
	exports := map[string]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct{ ImportPath, Export string }
		if err := dec.Decode(&p); err == io.EOF {
			return exports, nil
		} else if err != nil {
			return nil, err
		}
		exports[p.ImportPath] = p.Export
	}
}

// goFiles are the module's .go files, tests included, below the root.
func goFiles() ([]string, error) {
	var names []string
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (name == "runs" || name == "bin" || d.Name() == "testdata" || name != "." && strings.HasPrefix(d.Name(), ".")) {
			return fs.SkipDir
		}
		if strings.HasSuffix(name, ".go") {
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// document is a Markdown file of the project.
func document(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// table returns the rows of a document's table whose first heading is so, by cells.
func table(t *testing.T, text, heading string) [][]string {
	t.Helper()
	if !strings.Contains(text, "\n| "+heading+" |") {
		t.Fatalf("no table with the heading %q", heading)
	}
	return tables(text, heading)
}

// tables returns the rows of all tables whose first heading is so.
func tables(text, heading string) [][]string {
	var rows [][]string
	inside := false
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "| "+heading+" |"):
			inside = true
		case !strings.HasPrefix(line, "|"):
			inside = false
		case inside && !strings.HasPrefix(line, "|---"):
			cells := strings.Split(strings.TrimSuffix(strings.TrimSpace(line)[1:], "|"), " | ")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells)
		}
	}
	return rows
}

var quoted = regexp.MustCompile("`([^`\n]+)`")

// names are the texts between backquotes, with x/{a,b} taken apart.
func names(text string) []string {
	var out []string
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		out = append(out, unfold(m[1])...)
	}
	return out
}

func unfold(name string) []string {
	head, rest, found := strings.Cut(name, "{")
	inner, tail, closed := strings.Cut(rest, "}")
	if !found || !closed {
		return []string{name}
	}
	var out []string
	for part := range strings.SplitSeq(inner, ",") {
		out = append(out, head+strings.TrimSpace(part)+tail)
	}
	return out
}

func sorted[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
