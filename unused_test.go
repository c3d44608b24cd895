package lwtrain_test

import (
	"go/ast"
	"go/types"
	"path/filepath"
	"strings"
	"testing"
)

// TestSomebodyCalls finds functions and methods that only tests use. Methods that an
// interface or an HTML template asks for are used, and so is all of a package that is
// there for tests.
func TestSomebodyCalls(t *testing.T) {
	s := loaded(t)
	uses, asked := s.uses(), s.ownMethods()
	for _, dir := range sorted(s.packages) {
		p := s.packages[dir]
		if !uses[p.types.Path()] && p.types.Name() != "main" {
			continue
		}
		elsewhere := p.elsewhere(t)
		for _, file := range sorted(p.files) {
			for _, d := range p.files[file].Decls {
				f, ok := d.(*ast.FuncDecl)
				if !ok || f.Name.Name == "main" || f.Name.Name == "init" {
					continue
				}
				obj := p.info.Defs[f.Name].(*types.Func)
				if uses[key(obj)] || strings.Contains(elsewhere, obj.Name()) {
					continue
				}
				if f.Recv == nil || !asked[obj.Name()] && !s.asked(obj) {
					t.Errorf("%s: nobody but tests uses %s", s.fset.Position(f.Pos()), key(obj))
				}
			}
		}
	}
}

// key names a declaration the same in every package that uses it.
func key(obj types.Object) string {
	f, ok := obj.(*types.Func)
	if !ok {
		return obj.Pkg().Path() + "." + obj.Name()
	}
	return f.Origin().FullName()
}

// uses are the declarations, and the packages, that the program uses.
func (s *source) uses() map[string]bool {
	used := map[string]bool{}
	for _, p := range s.packages {
		for _, obj := range p.info.Uses {
			if obj.Pkg() != nil {
				used[key(obj)] = true
			}
		}
		for _, imported := range p.types.Imports() {
			used[imported.Path()] = true
		}
	}
	return used
}

// elsewhere is what of a package the compiler does not see here: files for another
// system, with or without cgo, and templates.
func (p *goPackage) elsewhere(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for _, pattern := range []string{"*.go", "*.tmpl"} {
		found, err := filepath.Glob(filepath.Join(p.dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range found {
			if p.files[filepath.Base(name)] == nil && !strings.HasSuffix(name, "_test.go") {
				text.WriteString(document(t, name))
			}
		}
	}
	return text.String()
}

// ownMethods are the names of the methods that the program's own interfaces ask for.
func (s *source) ownMethods() map[string]bool {
	names := map[string]bool{}
	s.inspect(func(n ast.Node) {
		if i, ok := n.(*ast.InterfaceType); ok {
			for _, m := range i.Methods.List {
				for _, name := range m.Names {
					names[name.Name] = true
				}
			}
		}
	})
	return names
}

// asked says whether an interface of a package that the program imports asks for a
// method of a type that implements it.
func (s *source) asked(f *types.Func) bool {
	recv := f.Signature().Recv().Type()
	if p, ok := recv.(*types.Pointer); ok {
		recv = p.Elem()
	}
	asks := func(t types.Type) bool {
		i, ok := t.Underlying().(*types.Interface)
		if !ok || i.NumMethods() == 0 {
			return false
		}
		m, _, _ := types.LookupFieldOrMethod(i, false, f.Pkg(), f.Name())
		return m != nil && (types.Implements(types.NewPointer(recv), i) || types.Implements(recv, i))
	}
	if f.Name() == "Unwrap" || asks(types.Universe.Lookup("error").Type()) { // errors.Is asks for Unwrap
		return true
	}
	for _, p := range s.packages {
		for _, pkg := range p.types.Imports() {
			for _, name := range pkg.Scope().Names() {
				if asks(pkg.Scope().Lookup(name).Type()) {
					return true
				}
			}
		}
	}
	return false
}
