package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"lwtrain/model/families"
)

// ShapeNames lists what [Shape] knows.
func ShapeNames() []string { return slices.Sorted(maps.Keys(families.Shapes())) }

// Shape is the architecture of a published model, by name.
func Shape(name string) (Config, error) {
	s, ok := families.Shapes()[name]
	if !ok {
		return Config{}, fmt.Errorf("shape %q, want one of: %s", name, strings.Join(ShapeNames(), ", "))
	}
	return ParseConfig([]byte("{" + s + "}"))
}
