package configs

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"lwtrain/internal/fault"
)

// Each recipe is a complete config: it starts from no other, so that a copy of
// it is a config of one's own.
//
//go:embed *.yaml
var recipeFiles embed.FS

//go:embed chains/*.yaml
var chainFiles embed.FS

// RecipeNames lists the shipped recipes by name.
var RecipeNames = sync.OnceValue(func() []string { return namesIn(recipeFiles, ".") })

// ChainNames lists the shipped chains by name.
var ChainNames = sync.OnceValue(func() []string { return namesIn(chainFiles, "chains") })

func namesIn(files embed.FS, dir string) (out []string) {
	entries, err := files.ReadDir(dir)
	if err != nil {
		panic(fmt.Sprintf("configs: %v", err)) // embedded
	}
	for _, f := range entries {
		if name, ok := strings.CutSuffix(f.Name(), ".yaml"); ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// RecipeText is the YAML of a shipped recipe.
func RecipeText(name string) ([]byte, bool) { return recipes.text(name) }

// ChainText is the YAML of a shipped chain.
func ChainText(name string) ([]byte, bool) { return chains.text(name) }

// RecipeSummary is the first line of a recipe's head, or of a chain's.
func RecipeSummary(name string) string {
	raw, ok := RecipeText(name)
	if !ok {
		raw, _ = ChainText(name)
	}
	return summary(raw)
}

// summary is the first line of a file's head.
func summary(raw []byte) string {
	first, _, _ := strings.Cut(string(raw), "\n")
	about, ok := strings.CutPrefix(first, "# ")
	if !ok {
		return ""
	}
	return printable(about)
}

// source is the text of a file or a recipe. Its origin is the first character.
type source struct {
	raw    []byte
	origin Origin
}

// shelf is files of one kind that ship.
type shelf struct {
	files embed.FS
	dir   string
	names func() []string
	want  string
	other func(name string) string // what a name is that is none of these; "": nothing
}

var recipes = shelf{recipeFiles, "", RecipeNames, "a YAML file or a recipe", func(name string) string {
	if slices.Contains(ChainNames(), name) {
		return "it is a chain of commands, which `lwtrain recipe run` does"
	}
	return ""
}}

var chains = shelf{chainFiles, "chains/", ChainNames, "a YAML file or a chain that ships", func(name string) string {
	if slices.Contains(RecipeNames(), name) {
		return "it is the config of one command, which takes it as -c " + name
	}
	return ""
}}

func (s shelf) text(name string) ([]byte, bool) {
	raw, err := s.files.ReadFile(s.dir + name + ".yaml")
	return raw, err == nil && !strings.ContainsAny(name, `/\`)
}

// open reads a file, or what ships under a name, with or without .yaml, where no such file is there.
func (s shelf) open(nameOrPath string) (source, error) {
	info, err := os.Stat(nameOrPath)
	if err == nil && !info.IsDir() {
		raw, err := readBounded(nameOrPath)
		return source{raw, Origin{Kind: File, Name: nameOrPath, Line: 1, Column: 1}}, fault.Usage(err)
	}
	name := strings.TrimSuffix(nameOrPath, ".yaml")
	if raw, ok := s.text(name); ok {
		return source{raw, Origin{Kind: Recipe, Name: name, Line: 1, Column: 1}}, nil
	}
	what := "no such file"
	switch {
	case err == nil:
		what = "a folder"
	case !errors.Is(err, os.ErrNotExist):
		what = strings.TrimPrefix(err.Error(), "stat "+nameOrPath+": ")
	}
	all := s.names()
	err = fmt.Errorf("%s: %s, want %s: %s%s", printable(nameOrPath), what, s.want, oneOf(all), nearest(filepath.Base(name), all))
	return source{}, fault.Usage(fault.Hint(err, s.other(name)))
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxBytes+1))
}
