package packing

import (
	"fmt"
	"strings"
)

// names are those of the rows of a table.
func names[T any](table []T, name func(T) string) []string {
	out := make([]string, len(table))
	for i, row := range table {
		out[i] = name(row)
	}
	return out
}

// find looks a row up by its name; what says what the table holds.
func find[T any](table []T, what, want string, name func(T) string) (row T, err error) {
	for _, row := range table {
		if name(row) == want {
			return row, nil
		}
	}
	return row, fmt.Errorf("%s %q, want %s", what, want, strings.Join(names(table, name), ", "))
}
