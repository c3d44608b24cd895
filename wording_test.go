package lwtrain_test

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"
	"testing"
)

// TestErrorsOfJSONAreInWords holds what reads JSON to plainjson, whose errors have a place and no names of Go's types: an
// error of encoding/json is compared with nil, or goes through plainjson.InWords in its file.
func TestErrorsOfJSONAreInWords(t *testing.T) {
	s := loaded(t)
	for _, dir := range sorted(s.packages) {
		p := s.packages[dir]
		if dir == "internal/plainjson" || dir == "internal/jinja" || strings.HasSuffix(dir, "test") { // jinja is given what was read before
			continue
		}
		for _, name := range sorted(p.files) {
			file := p.files[name]
			inWords, dropped := false, map[ast.Node]bool{}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.Ident:
					f, ok := p.info.Uses[n].(*types.Func)
					inWords = inWords || ok && f.FullName() == "lwtrain/internal/plainjson.InWords"
				case *ast.BinaryExpr:
					if n.Op == token.EQL || n.Op == token.NEQ {
						dropped[n.X] = true
					}
				case *ast.ExprStmt:
					dropped[n.X] = true
				case *ast.AssignStmt:
					if to, ok := n.Lhs[len(n.Lhs)-1].(*ast.Ident); ok && to.Name == "_" {
						dropped[n.Rhs[len(n.Rhs)-1]] = true
					}
				case *ast.SwitchStmt:
					dropped[n.Tag] = true
				}
				return true
			})
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || dropped[call] || inWords {
					return true
				}
				at, ok := call.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				switch f, _ := p.info.Uses[at.Sel].(*types.Func); {
				case f == nil:
				case f.FullName() == "encoding/json.Unmarshal":
					t.Errorf("%s: an error of encoding/json, want plainjson.Unmarshal or a comparison with nil", s.fset.Position(n.Pos()))
				case f.FullName() == "(*encoding/json.Decoder).Decode", f.FullName() == "(*encoding/json.Decoder).Token":
					t.Errorf("%s: an error of encoding/json, want it to go through plainjson.InWords", s.fset.Position(n.Pos()))
				}
				return true
			})
		}
	}
}
