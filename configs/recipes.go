package configs

import (
	"embed"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Each recipe is a complete config: it starts from no other, so that a copy of
// it is a config of one's own.
//
//go:embed *.yaml
var recipeFiles embed.FS

// RecipeNames lists the shipped recipes by name.
var RecipeNames = sync.OnceValue(func() []string {
	files, err := recipeFiles.ReadDir(".")
	if err != nil {
		panic(fmt.Sprintf("configs: %v", err)) // embedded
	}
	var out []string
	for _, f := range files {
		out = append(out, strings.TrimSuffix(f.Name(), ".yaml"))
	}
	slices.Sort(out)
	return out
})

// RecipeText is the YAML of a shipped recipe.
func RecipeText(name string) ([]byte, bool) {
	raw, err := recipeFiles.ReadFile(name + ".yaml")
	return raw, err == nil && !strings.ContainsAny(name, `/\`)
}

// RecipeSummary is the first line of a recipe's head.
func RecipeSummary(name string) string {
	raw, _ := RecipeText(name)
	first, _, _ := strings.Cut(string(raw), "\n")
	return strings.TrimPrefix(first, "# ")
}
