package terminal

import (
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/mattn/go-runewidth"
)

// Point is a point of a plot.
type Point struct{ X, Y float64 }

// Plot draws a line through points in columns and rows of characters, in braille where the
// environment's locale can show it, else in stars, with the ends of both axes. marks are
// shown as o. Points that are not finite are left out; with none of the line's the plot is "".
func Plot(line, marks []Point, columns, rows int) string {
	low, high := Point{math.Inf(1), math.Inf(1)}, Point{math.Inf(-1), math.Inf(-1)}
	finite := func(p Point) bool { return !math.IsNaN(p.X+p.Y) && !math.IsInf(p.X+p.Y, 0) }
	some := false
	for i, p := range append(append([]Point{}, line...), marks...) {
		if finite(p) {
			low, high = Point{min(low.X, p.X), min(low.Y, p.Y)}, Point{max(high.X, p.X), max(high.Y, p.Y)}
			some = some || i < len(line)
		}
	}
	if !some {
		return ""
	}
	top, bottom := fmt.Sprintf("%.4g", high.Y), fmt.Sprintf("%.4g", low.Y)
	margin := max(len(top), len(bottom))
	wide := columns - margin - 2
	if wide < 8 || rows < 2 {
		return ""
	}
	dotsX, dotsY := 2, 4
	if !unicodeLocale() {
		dotsX, dotsY = 1, 1
	}
	g := grid{wide: wide, high: rows, dotsX: dotsX, dotsY: dotsY, bits: make([]byte, wide*rows)}
	scale := func(v, low, high float64, most int) int {
		if high <= low {
			return most / 2
		}
		return int(math.Round((v - low) / (high - low) * float64(most)))
	}
	at := func(p Point, x, y int) (int, int) {
		return scale(p.X, low.X, high.X, x-1), y - 1 - scale(p.Y, low.Y, high.Y, y-1)
	}
	var last *[2]int
	for _, p := range line {
		if !finite(p) {
			last = nil
			continue
		}
		x, y := at(p, wide*dotsX, rows*dotsY)
		g.draw(last, x, y)
		last = &[2]int{x, y}
	}
	text := g.text()
	for _, p := range marks {
		if finite(p) {
			x, y := at(p, wide, rows)
			text[y][x] = 'o'
		}
	}
	var out strings.Builder
	for i, row := range text {
		label := ""
		switch i {
		case 0:
			label = top
		case len(text) - 1:
			label = bottom
		}
		fmt.Fprintf(&out, "%*s |%s\n", margin, label, strings.TrimRight(string(row), " "))
	}
	left, right := fmt.Sprintf("%.6g", low.X), fmt.Sprintf("%.6g", high.X)
	gap := max(1, wide-runewidth.StringWidth(left)-runewidth.StringWidth(right))
	fmt.Fprintf(&out, "%*s  %s%s%s\n", margin, "", left, strings.Repeat(" ", gap), right)
	return out.String()
}

// unicodeLocale reports whether the environment's locale is of UTF-8.
func unicodeLocale() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// grid are characters of dots.
type grid struct {
	wide, high, dotsX, dotsY int
	bits                     []byte // of each character: the dots of braille that are set
}

// brailleBits are the bits of braille's dots, by column and row.
var brailleBits = [2][4]byte{{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}}

// draw sets the dots from the last point on, or a point's own.
func (g grid) draw(last *[2]int, x, y int) {
	from := [2]int{x, y}
	if last != nil {
		from = *last
	}
	steps := max(abs(x-from[0]), abs(y-from[1]), 1)
	for i := range steps + 1 {
		dx := from[0] + (x-from[0])*i/steps
		dy := from[1] + (y-from[1])*i/steps
		g.bits[dy/g.dotsY*g.wide+dx/g.dotsX] |= brailleBits[dx%g.dotsX][dy%g.dotsY]
	}
}

func abs(n int) int { return max(n, -n) }

// text is the grid as characters, row by row.
func (g grid) text() [][]rune {
	rows := make([][]rune, g.high)
	for y := range rows {
		rows[y] = make([]rune, g.wide)
		for x := range rows[y] {
			bits := g.bits[y*g.wide+x]
			switch {
			case bits == 0:
				rows[y][x] = ' '
			case g.dotsX == 1:
				rows[y][x] = '*'
			default:
				rows[y][x] = 0x2800 + rune(bits)
			}
		}
	}
	return rows
}
