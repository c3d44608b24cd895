package lwtrain_test

import (
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// imports are what the packages of this module import without their tests, with a
// file that does. The sources are read for every system.
func imports(t *testing.T) map[string]map[string]string {
	t.Helper()
	files, err := goFiles()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]map[string]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		pkg := path.Dir(name)
		if found[pkg] == nil {
			found[pkg] = map[string]string{}
		}
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			found[pkg][imported] = name
		}
	}
	return found
}

// TestImports holds the table of packages in ARCHITECTURE.md against the sources: no
// import that it does not allow, no permission that nobody uses, no package without a
// row and no row without a package.
func TestImports(t *testing.T) {
	text := document(t, "ARCHITECTURE.md")
	everybody := everybodyMayImport(t, text)
	found := imports(t)
	rows := map[string]bool{}
	for _, row := range table(t, text, "package") {
		if len(row) != 3 {
			t.Fatalf("%q: want three columns", row)
		}
		for _, pkg := range names(row[0]) {
			used, exists := found[pkg]
			if rows[pkg] || !exists {
				t.Errorf("ARCHITECTURE.md: a row for %s, which has one already or does not exist", pkg)
				continue
			}
			rows[pkg] = true
			if row[2] == "everything" {
				continue
			}
			allowed := names(row[2])
			for _, imported := range sorted(used) {
				ours, ok := strings.CutPrefix(imported, "lwtrain/")
				if ok && !slices.Contains(allowed, ours) && !slices.Contains(everybody, ours) {
					t.Errorf("%s: %s imports %s, which ARCHITECTURE.md does not allow", used[imported], pkg, ours)
				}
			}
			for _, ours := range allowed {
				if _, ok := used["lwtrain/"+ours]; !ok {
					t.Errorf("ARCHITECTURE.md: %s may import %s, and does not", pkg, ours)
				}
				if slices.Contains(everybody, ours) {
					t.Errorf("ARCHITECTURE.md: %s may import %s, as everybody may", pkg, ours)
				}
			}
		}
	}
	for _, pkg := range sorted(found) {
		if !rows[pkg] {
			t.Errorf("package %s has no row in the table of ARCHITECTURE.md", pkg)
		}
	}
}

// everybodyMayImport are the packages that every other one may import, as the
// document says it.
func everybodyMayImport(t *testing.T, text string) []string {
	t.Helper()
	_, sentence, found := strings.Cut(text, "Everybody may import ")
	sentence, _, ended := strings.Cut(sentence, ".")
	if !found || !ended {
		t.Fatal("ARCHITECTURE.md: no sentence that begins with: Everybody may import")
	}
	return names(sentence)
}

// TestOnlyTheyKnow holds the table of what few packages know against the sources.
func TestOnlyTheyKnow(t *testing.T) {
	found := imports(t)
	for _, row := range table(t, document(t, "ARCHITECTURE.md"), "only") {
		who, what := names(row[0]), names(row[1])
		for _, module := range what {
			knows := map[string]bool{}
			for _, pkg := range sorted(found) {
				for _, imported := range sorted(found[pkg]) {
					if imported != module && !strings.HasPrefix(imported, module+"/") {
						continue
					}
					knows[pkg] = true
					if !slices.Contains(who, pkg) {
						t.Errorf("%s: %s imports %s, which only %s may know", found[pkg][imported], pkg, imported, strings.Join(who, ", "))
					}
				}
			}
			for _, pkg := range who {
				if !knows[pkg] && len(what) == 1 {
					t.Errorf("ARCHITECTURE.md: %s may know %s, and does not import it", pkg, module)
				}
			}
		}
	}
}
