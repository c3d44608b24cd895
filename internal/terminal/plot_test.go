package terminal

import (
	"math"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"
)

func TestPlots(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name, locale string
		line, marks  []Point
		columns      int
		want         string
	}{
		{"a line that falls, in braille", "C.UTF-8", []Point{{0, 4}, {7, 0}}, nil, 11, `
4 |⠑⢄
  |  ⠑⢄
  |    ⠑⢄
0 |      ⠑⢄
   0      7
`},
		{"the same in stars", "C", []Point{{0, 4}, {7, 0}}, nil, 11, `
4 |***
  |   **
  |     **
0 |       *
   0      7
`},
		{"marks, and a hole in the line", "C", []Point{{0, 1}, {1, 1}, {2, nan}, {3, 1}, {4, 1}}, []Point{{2, 2}, {4, nan}, {2, 0}}, 13, `
2 |     o
  |***    ***
  |
0 |     o
   0        4
`},
		{"a level line", "C", []Point{{1, 5}, {8, 5}}, nil, 11, `
5 |
  |
  |********
5 |
   1      8
`},
		{"no finite point", "C", []Point{{nan, 1}, {1, math.Inf(1)}}, []Point{{1, 1}}, 40, ""},
		{"no room", "C", []Point{{1, 1}, {2, 2}}, nil, 9, ""},
	} {
		t.Setenv("LC_ALL", c.locale)
		got := Plot(c.line, c.marks, c.columns, 4)
		if got != strings.TrimPrefix(c.want, "\n") {
			t.Errorf("%s:\n%swant%s", c.name, got, c.want)
		}
		for line := range strings.Lines(got) {
			if n := runewidth.StringWidth(strings.TrimSuffix(line, "\n")); n > c.columns {
				t.Errorf("%s: %d columns, want at most %d", c.name, n, c.columns)
			}
		}
	}
}
