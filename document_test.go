package lwtrain_test

import (
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// documents are the texts that tell people what there is.
func documents(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("docs/*.md")
	deeper, err2 := filepath.Glob("docs/*/*.md")
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return slices.Concat([]string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"}, found, deeper)
}

// TestTheWayOfOneSample wants that the functions of the table exist, and that the
// program calls them.
func TestTheWayOfOneSample(t *testing.T) {
	s := loaded(t)
	uses, asked := s.uses(), s.ownMethods()
	rows := table(t, document(t, "ARCHITECTURE.md"), "#")
	for i, row := range rows {
		if row[0] != strconv.Itoa(i+1) {
			t.Errorf("row %s is the %d. one", row[0], i+1)
		}
		for _, name := range names(row[1]) {
			f, ok := s.find(name).(*types.Func)
			if !ok {
				t.Errorf("ARCHITECTURE.md: the way of one sample goes through %s, which is no function", name)
			} else if !uses[key(f)] && !asked[f.Name()] {
				t.Errorf("ARCHITECTURE.md: the way of one sample goes through %s, which nobody calls", name)
			}
		}
	}
}

// goName is pkg.name or pkg.Type.Member, which a key of the YAML looks like; sourceFile a file that people write.
var (
	goName     = regexp.MustCompile(`^([a-z]+)\.([A-Za-z]\w*)(\.[A-Za-z]\w*)?$`)
	sourceFile = regexp.MustCompile(`^[\w-]+/[\w./-]+\.(go|c|h|py|sh|md|txt|yaml|jinja)$|^internal/[\w/]+$`)
)

// TestNamesInDocuments wants that what the texts call by a package's name is there, and
// that the files of the sources that they name are.
func TestNamesInDocuments(t *testing.T) {
	s := loaded(t)
	texts, tests := s.texts(), testNames(t)
	for _, doc := range documents(t) {
		for _, name := range names(document(t, doc)) {
			m := goName.FindStringSubmatch(name)
			key := m != nil && (texts[m[2]] || texts[name])
			if m != nil && s.isPackage(m[1]) && !key && s.find(name) == nil {
				t.Errorf("%s: %s is not in the sources", doc, name)
			}
			if strings.HasPrefix(name, "Test") && !tests[name] {
				t.Errorf("%s: there is no %s", doc, name)
			}
			if _, err := os.Stat(name); err != nil && sourceFile.MatchString(name) {
				t.Errorf("%s: %s is not there", doc, name)
			}
		}
	}
}

// testNames are the module's test functions.
func testNames(t *testing.T) map[string]bool {
	files, err := goFiles()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, name := range files {
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(document(t, name), -1) {
			found[m[1]] = true
		}
	}
	return found
}

func (s *source) isPackage(name string) bool {
	for _, p := range s.packages {
		if p.types.Name() == name {
			return true
		}
	}
	return false
}

// find returns what pkg.Name, pkg.Type.Member or pkg.name is; nil for nothing.
func (s *source) find(name string) types.Object {
	parts := strings.Split(name, ".")
	for _, p := range s.packages {
		if len(parts) < 2 || p.types.Name() != parts[0] {
			continue
		}
		obj := p.types.Scope().Lookup(parts[1])
		if obj != nil && len(parts) == 3 {
			obj, _, _ = types.LookupFieldOrMethod(obj.Type(), true, p.types, parts[2])
		}
		if obj != nil {
			return obj
		}
	}
	return nil
}

// TestDependencies holds the table of modules in ARCHITECTURE.md against go.mod.
func TestDependencies(t *testing.T) {
	_, direct, _ := strings.Cut(document(t, "go.mod"), "require (")
	direct, _, _ = strings.Cut(direct, ")")
	var want []string
	for line := range strings.Lines(direct) {
		if module, _, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.Contains(line, "// indirect") {
			want = append(want, module)
		}
	}
	var got []string
	for _, row := range table(t, document(t, "ARCHITECTURE.md"), "module") {
		got = append(got, names(row[0])...)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the table of modules in ARCHITECTURE.md has\n%v\ngo.mod requires\n%v", got, want)
	}
}

// tags are the keys that structs have in a format.
func (s *source) tags(format string) map[string]bool {
	found := map[string]bool{}
	s.inspect(func(n ast.Node) {
		if f, ok := n.(*ast.Field); ok && f.Tag != nil {
			tag, _ := strconv.Unquote(f.Tag.Value)
			key, _, _ := strings.Cut(reflect.StructTag(tag).Get(format), ",")
			found[key] = true
		}
	})
	return found
}

// texts are all string constants of the program and the keys of its JSON and YAML;
// numbers in them are #.
func (s *source) texts() map[string]bool {
	found := s.tags("json")
	maps.Copy(found, s.tags("yaml"))
	s.inspect(func(n ast.Node) {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			text, _ := strconv.Unquote(lit.Value)
			found[text] = true
			found[digits.ReplaceAllString(text, "#")] = true
		}
	})
	return found
}

// inspect visits every node of the program.
func (s *source) inspect(visit func(ast.Node)) {
	for _, p := range s.packages {
		for _, file := range p.files {
			ast.Inspect(file, func(n ast.Node) bool {
				visit(n)
				return true
			})
		}
	}
}

// digits are numbers in the names of files, and the verbs that write them.
var digits = regexp.MustCompile(`%0?\d*d|\d+|N+`)

// What docs/formats draw: files of a folder, and names that a build or a save has
// until it is complete.
var (
	drawnFile  = regexp.MustCompile(`(?m)^ {4,}([.\w-]+\.(?:arrow|bin|json|jsonl|safetensors|yaml|html))\b`)
	hiddenName = regexp.MustCompile("(?m)(?:^ {4,}|`)(?:\\.[A-Z]+)?(\\.[a-z]+-[a-z-]*)")
)

// Examples of JSON and YAML, and the keys in them.
var (
	example    = regexp.MustCompile("(?s)\n```(?:json|yaml)\n(.*?)\n```")
	exampleKey = regexp.MustCompile(`(?:^|[{,\s])"?([a-z]\w*)"?: `)
	ownNames   = regexp.MustCompile(`roles: \{.*?\}`) // keys that people choose
)

// TestExamplesHaveKnownKeys wants that the program knows the keys that the documents'
// examples show.
func TestExamplesHaveKnownKeys(t *testing.T) {
	texts := loaded(t).texts()
	for _, doc := range documents(t) {
		for _, block := range example.FindAllStringSubmatch(document(t, doc), -1) {
			for line := range strings.Lines(block[1]) {
				line, _, _ = strings.Cut(ownNames.ReplaceAllString(line, ""), " #")
				for _, m := range exampleKey.FindAllStringSubmatch(line, -1) {
					if !texts[m[1]] {
						t.Errorf("%s: an example has the key %q, which the sources do not know", doc, m[1])
					}
				}
			}
		}
	}
}

// TestFormatsAreTrue holds docs/formats against the sources: each key that a table
// describes is one that the program reads or writes, each file has a name that it
// gives, and the store's format is the number that it writes.
func TestFormatsAreTrue(t *testing.T) {
	s := loaded(t)
	texts := s.texts()
	known := func(name string) bool {
		file := digits.ReplaceAllString(path.Base(name), "#")
		return texts[name] || texts[name[strings.LastIndex(name, ".")+1:]] || texts[file] || texts[strings.TrimSuffix(file, "#")]
	}
	for _, doc := range documents(t) {
		if path.Dir(doc) != "docs/formats" {
			continue
		}
		text := document(t, doc)
		for _, heading := range []string{"key", "file", "column", "field"} {
			for _, row := range tables(text, heading) {
				for _, name := range names(row[0]) {
					if name, _, _ = strings.Cut(name, ":"); !known(name) {
						t.Errorf("%s: the sources know no %s %q", doc, heading, name)
					}
				}
			}
		}
		for _, m := range drawnFile.FindAllStringSubmatch(text, -1) {
			if !known(m[1]) {
				t.Errorf("%s: the sources know no file %q", doc, m[1])
			}
		}
		for _, m := range hiddenName.FindAllStringSubmatch(text, -1) {
			begins := func(text string) bool { return len(text) > 2 && text[0] == '.' && strings.HasPrefix(m[1], text) }
			if !slices.ContainsFunc(sorted(texts), begins) {
				t.Errorf("%s: the sources give no file a name that begins with %q", doc, m[1])
			}
		}
	}
	said := regexp.MustCompile("(?m)^\\| `format` \\| (\\d+);").FindStringSubmatch(document(t, "docs/formats/sample-store.md"))
	format, ok := s.find("store.Format").(*types.Const)
	if said == nil || !ok || said[1] != format.Val().ExactString() {
		t.Errorf("docs/formats/sample-store.md: the format is %v, want that of %v", said, format)
	}
}

// TestJSONIsTold wants that the program knows the keys of JSON that docs/automation.md names.
func TestJSONIsTold(t *testing.T) {
	texts := loaded(t).texts()
	for _, row := range table(t, document(t, "docs/automation.md"), "prints JSON") {
		for _, name := range names(strings.Join(row[1:], " ")) {
			if !texts[name] && !strings.Contains(name, ".json") && name != "sft" {
				t.Errorf("docs/automation.md: the sources know no key %q", name)
			}
		}
	}
}

// TestSkipsAreTold wants that make help names the variables without which tests are
// skipped, but for those that tests set themselves.
func TestSkipsAreTold(t *testing.T) {
	makefile := document(t, "Makefile")
	files, err := goFiles()
	if err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile(`(?:Getenv|LookupEnv)\("(\w+)"\)`)
	for _, name := range files {
		if !strings.HasSuffix(name, "_test.go") {
			continue
		}
		text := document(t, name)
		for _, m := range asked.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(makefile, "\n# "+m[1]+"=") && !strings.Contains(text, `"`+m[1]+"=") {
				t.Errorf("%s asks for %s, which make help does not name", name, m[1])
			}
		}
	}
}

// TestReasonsOfDropsAreListed wants that the list of reasons for dropping a record is that of the code.
func TestReasonsOfDropsAreListed(t *testing.T) {
	s := loaded(t)
	const doc = "docs/formats/sample-store.md"
	_, list, _ := strings.Cut(document(t, doc), "\n## Reasons for dropping a record\n")
	list, _, _ = strings.Cut(list, "\n## ")
	said, texts := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile("`([a-z0-9_]+)`").FindAllStringSubmatch(list, -1) {
		said[m[1]] = true
	}
	for _, dir := range []string{"chat", "data", "data/record"} {
		for name, file := range s.packages[dir].files {
			if name == "prompt.go" { // prompts are not dropped
				continue
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					text, _ := strconv.Unquote(lit.Value)
					texts[strings.ReplaceAll(text, " ", "_")] = true
				}
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) == 0 {
					return true
				}
				called := ""
				switch f := call.Fun.(type) {
				case *ast.Ident:
					called = f.Name
				case *ast.SelectorExpr:
					called = f.Sel.Name
				}
				lit, ok := call.Args[0].(*ast.BasicLit)
				if ok && (called == "bad" || called == "drop") {
					reason, _ := strconv.Unquote(lit.Value)
					if !said[reason] && !(said["invalid_"] && strings.HasPrefix(reason, "invalid_")) {
						t.Errorf("%s: a record is dropped as %s, which %s does not list", name, reason, doc)
					}
				}
				return true
			})
		}
	}
	for _, name := range s.packages["chat"].types.Scope().Names() {
		c, ok := s.packages["chat"].types.Scope().Lookup(name).(*types.Const)
		if ok && path.Base(c.Type().String()) == "chat.Reason" {
			reason, _ := strconv.Unquote(c.Val().ExactString())
			if reason = strings.ReplaceAll(reason, " ", "_"); !said[reason] {
				t.Errorf("%s does not list %s", doc, reason)
			}
		}
	}
	for _, reason := range sorted(said) {
		if !texts[reason] {
			t.Errorf("%s lists %s, which no record is dropped as", doc, reason)
		}
	}
}
