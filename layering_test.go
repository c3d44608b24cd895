package lwtrain_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport is the table of ARCHITECTURE.md: the packages of this module that
// each package may import. Imports point down only.
var mayImport = map[string][]string{
	"cmd/lwtrain":           {"*"},
	"session":               {"configs", "engine", "engine/native", "train", "pairs", "report", "data", "data/read", "data/record", "hub", "model", "convert", "checkpoints", "chat", "tokenizer", "packing", "internal/kernels", "internal/llm", "internal/rundir", "internal/fault", "internal/atomicfile"},
	"configs":               {"data", "data/record", "packing", "train", "dpo", "pairs", "model", "hub", "internal/fault"},
	"train":                 {"engine", "data", "data/store", "packing", "dpo", "checkpoints", "tokenizer", "internal/rng", "internal/rundir", "internal/prose", "internal/fault", "internal/atomicfile"},
	"engine":                {"packing"},
	"engine/native":         {"engine", "packing", "model", "checkpoints", "internal/graph", "internal/kernels", "internal/machine"},
	"pairs":                 {"data/record", "model", "chat", "internal/llm", "internal/jsonl", "internal/rng", "internal/rundir", "internal/prose", "internal/fault", "internal/atomicfile"},
	"dpo":                   {"packing", "internal/fault"},
	"report":                {"data", "internal/human", "internal/prose", "internal/fault"},
	"packing":               {"internal/rng", "internal/fault"},
	"data":                  {"data/read", "data/record", "data/store", "chat", "internal/rng", "internal/prose", "internal/fault"},
	"data/read":             {"examples", "internal/fault"},
	"data/record":           {"data/read", "chat", "internal/prose"},
	"data/store":            {"data/record", "internal/atomicfile"},
	"examples":              {},
	"hub":                   {"internal/machine", "internal/transport", "internal/fault", "internal/atomicfile"},
	"chat":                  {"tokenizer", "internal/jinja", "internal/modeldir", "internal/fault"},
	"tokenizer":             {"internal/modeldir", "internal/fault", "internal/atomicfile"},
	"convert":               {"model/families", "checkpoints", "internal/gguf", "internal/tensorfile", "internal/plainjson", "internal/fault"},
	"model":                 {"model/families", "checkpoints", "internal/graph", "internal/kernels", "internal/modeldir", "internal/rng", "internal/fault", "internal/atomicfile"},
	"model/families":        {},
	"checkpoints":           {"internal/tensorfile", "internal/plainjson", "internal/fault", "internal/atomicfile"},
	"internal/gguf":         {"internal/tensorfile", "internal/fault"},
	"internal/tensorfile":   {},
	"internal/plainjson":    {},
	"internal/smalldisk":    {},
	"internal/graph":        {"internal/kernels"},
	"internal/kernels":      {},
	"internal/show":         {"session", "configs", "engine", "train", "pairs", "report", "data", "data/record", "chat", "dpo", "packing", "model", "internal/human", "internal/terminal", "internal/kernels"},
	"internal/human":        {},
	"internal/terminal":     {"internal/human"},
	"internal/machine":      {},
	"internal/modeldir":     {"internal/fault"},
	"internal/jinja":        {"internal/jinja/syntax"},
	"internal/jinja/syntax": {},
	"internal/prose":        {},
	"internal/llm":          {"model", "chat", "tokenizer", "internal/transport", "internal/fault"},
	"internal/jsonl":        {"internal/plainjson", "internal/fault", "internal/atomicfile"},
	"internal/transport":    {},
	"internal/rng":          {},
	"internal/fault":        {},
	"internal/rundir":       {"internal/fault", "internal/atomicfile"},
	"internal/atomicfile":   {},
}

// onlyIn names the packages that may know a thing from outside.
var onlyIn = map[string][]string{
	"github.com/apache/arrow/":      {"data/read", "data/store"},
	"github.com/google/flatbuffers": {"data/read"},
	"gorgonia.org/":                 {"internal/graph"},
	"C":                             {"internal/kernels"},
	"gopkg.in/yaml.v3":              {"configs", "hub"},
	"github.com/spf13/viper":        {"configs"},
	"github.com/spf13/cobra":        {"cmd/lwtrain"},
	"github.com/chewxy/hm":          {"internal/graph"},
	"golang.org/x/text/unicode":     {"tokenizer"},
}

// TestImportsPointDown reads the sources itself, so that a cached result can
// not hide a new import.
func TestImportsPointDown(t *testing.T) {
	seen := map[string]bool{}
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (name == "runs" || name == "bin" || d.Name() == "testdata" || (name != "." && strings.HasPrefix(d.Name(), "."))) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		pkg := path.Dir(name)
		seen[pkg] = true
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if ours, ok := strings.CutPrefix(imported, "lwtrain/"); ok {
				allowed, listed := mayImport[pkg]
				if !listed {
					t.Errorf("%s: package %s is not in the table of ARCHITECTURE.md", name, pkg)
				} else if !slices.Contains(allowed, "*") && !slices.Contains(allowed, ours) {
					t.Errorf("%s: %s imports %s, which ARCHITECTURE.md does not allow", name, pkg, ours)
				}
			}
			for prefix, where := range onlyIn {
				if (imported == prefix || (strings.HasSuffix(prefix, "/") || prefix != "C") && strings.HasPrefix(imported, prefix)) && !slices.Contains(where, pkg) {
					t.Errorf("%s: %s imports %s, which only %s may know", name, pkg, imported, strings.Join(where, ", "))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range mayImport {
		if !seen[pkg] && pkg != "dpo" {
			t.Errorf("package %s of the table does not exist", pkg)
		}
	}
}
