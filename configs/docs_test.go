package configs

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs.json and docs/options.md anew")

func TestDocsAreTheCommentsOfTheFields(t *testing.T) {
	comments := map[string]map[string]string{} // by package, then by Type.Field
	var lines []string
	seen := map[string]bool{}
	eachKey(table().root.keys, "", func(key string, f *field) {
		if seen[key] {
			return
		}
		seen[key] = true
		root := reflect.TypeFor[Config]()
		if list, _, ok := strings.Cut(key, "[]."); ok {
			root = table().byPath[list].typ.Elem()
		}
		in, name := declared(root, f.index)
		if comments[in.PkgPath()] == nil {
			comments[in.PkgPath()] = fieldComments(t, in.PkgPath())
		}
		text := comments[in.PkgPath()][in.Name()+"."+name]
		if text == "" {
			t.Errorf("%s: %s.%s has no comment, want what the key means", key, in, name)
		}
		lines = append(lines, fmt.Sprintf("  %s: %s", quoteJSON(key), quoteJSON(text)))
	})
	want := []byte("{\n" + strings.Join(lines, ",\n") + "\n}\n")
	switch {
	case t.Failed() || bytes.Equal(docsJSON, want):
	case *update:
		if err := os.WriteFile("docs.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Error("docs.json is not what the fields' comments say; `go generate ./configs` writes it anew")
	}
}

// declared is the struct that declares a field below root, and the field's name there.
func declared(root reflect.Type, index []int) (in reflect.Type, name string) {
	in, last := root, len(index)-1
	if last > 0 {
		in = root.FieldByIndex(index[:last]).Type
	}
	if in.Kind() == reflect.Pointer {
		in = in.Elem()
	}
	return in, in.Field(index[last]).Name
}

// fieldComments is what stands above or behind the fields of a package's structs, on one
// line, by Type.Field.
func fieldComments(t *testing.T, pkg string) map[string]string {
	t.Helper()
	out := map[string]string{}
	files, err := filepath.Glob(filepath.Join("..", strings.TrimPrefix(pkg, "lwtrain/"), "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					for _, id := range f.Names {
						out[spec.Name.Name+"."+id.Name] = strings.Join(strings.Fields(f.Doc.Text()+f.Comment.Text()), " ")
					}
				}
			}
			return true
		})
	}
	return out
}
