package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"

	"lwtrain/data"
	"lwtrain/internal/human"
)

// The plotting kit: line, histogram, scatter and stacked bars as inline SVG. A
// plot is drawn for a column of about 380 px and scales with it; wide ones are
// for pages that have the room. Colours are classes of page.css, which has them
// for light and dark. Text is escaped here: whatever goes into a label may come
// from hostile data.

// plot is what every plot has.
type plot struct {
	X, Y  axis
	Under []scale // of X, beside its own numbers
	Wide  bool
}

// scale is another way to say where on an axis something is.
type scale struct {
	Name string
	At   func(x float64) string
}

// series is a line of a plot.
type series struct {
	Name        string
	X, Y        []float64
	Lo, Hi      []float64 // a band around the line, or nil
	Color, Dash int       // of six each
	Marks       bool      // a mark at each point, which has a shape for each colour
}

// single reports whether there is no line: its point has a mark, too, a hollow one.
func (s series) single() bool { return len(s.X) == 1 }

func (s series) markClass() string {
	if s.Marks {
		return fmt.Sprintf("f%d", s.Color)
	}
	return fmt.Sprintf("line s%d", s.Color)
}

const (
	narrowWidth, wideWidth, plotHeight = 380, 1130, 230

	left, right, top, bottom = 54, 14, 30, 40

	row = 15 // of labels under an axis
)

// canvas collects SVG.
type canvas struct {
	strings.Builder
	w, h float64
	plot
}

func newCanvas(p plot, label string) *canvas {
	w, h := float64(narrowWidth), float64(plotHeight)
	if p.Wide {
		w, h = wideWidth, plotHeight*1.3
	}
	under := float64(row * len(p.Under))
	if p.X.Whole {
		under -= row // what is on the axis stands beside it
	}
	c := openCanvas(w, h+under, label)
	c.h, c.plot = h, p
	return c
}

// openCanvas is one without axes.
func openCanvas(w, h float64, label string) *canvas {
	c := &canvas{w: w, h: h}
	fmt.Fprintf(c, `<svg class="plot" viewBox="0 0 %g %g" role="img" aria-label="%s">`, w, h, html.EscapeString(label))
	return c
}

func (c *canvas) done() template.HTML {
	c.WriteString("</svg>")
	return template.HTML(c.String())
}

func (c *canvas) text(x, y float64, class, text string) {
	fmt.Fprintf(c, `<text x="%s" y="%s" class="%s">%s</text>`, at(x), at(y), class, html.EscapeString(text))
}

// at writes a coordinate.
func at(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

func (c *canvas) x(v float64) float64 { return left + c.X.place(v)*(c.w-left-right) }
func (c *canvas) y(v float64) float64 { return c.h - bottom - c.Y.place(v)*(c.h-top-bottom) }

// frame draws the axes. What whole numbers on the x-axis are, and its scales, stands left
// of them.
func (c *canvas) frame() {
	high := c.Y.ticks()
	number := alike(high)
	for _, v := range high {
		fmt.Fprintf(c, `<path class="grid" d="M%d %sH%s"/>`, left, at(c.y(v)), at(c.w-right))
		c.text(left-9, c.y(v)+4, "tick end", number(v))
	}
	scales := append([]scale{{c.X.Label, short}}, c.Under...)
	for _, v := range c.X.ticks() {
		fmt.Fprintf(c, `<path class="mark" d="M%s %sv4"/>`, at(c.x(v)), at(c.h-bottom))
		for i, s := range scales {
			class := "tick mid"
			if c.x(v) > c.w-2*right {
				class = "tick end"
			}
			c.text(min(c.x(v), c.w), c.h-bottom+17+float64(i*row), class, s.At(v))
		}
	}
	fmt.Fprintf(c, `<path class="axis" d="M%d %sH%s"/>`, left, at(c.h-bottom), at(c.w-right))
	c.text(0, 12, "label", c.Y.Label)
	if !c.X.Whole {
		c.text(c.w-right, c.h-5, "label end", c.X.Label)
		return
	}
	for i, s := range scales {
		c.text(0, c.h-bottom+17+float64(i*row), "label", s.Name)
	}
}

// lines draws series over a whole number, such as the step.
func lines(p plot, fromZero bool, all ...series) template.HTML {
	var ys [][]float64
	last := 1.0
	for _, s := range all {
		ys = append(ys, s.Y, s.Lo, s.Hi)
		for _, x := range s.X {
			last = max(last, x)
		}
	}
	p.X.Whole, p.X.Min, p.X.Max = true, 0, last // no rounding: the line fills the width
	c := newCanvas(p, p.Y.Label+" over "+p.X.Label)
	c.Y.fit(fromZero, ys...)
	c.frame()
	for _, s := range all {
		if s.Hi != nil {
			var d strings.Builder
			for i := range s.X {
				corner(&d, c.x(s.X[i]), c.y(s.Hi[i]))
			}
			for i := len(s.X) - 1; i >= 0; i-- {
				corner(&d, c.x(s.X[i]), c.y(s.Lo[i]))
			}
			fmt.Fprintf(c, `<path class="band f%d" d="%sZ"/>`, s.Color, d.String())
		}
	}
	for _, s := range all {
		var d strings.Builder
		for i := range s.X {
			corner(&d, c.x(s.X[i]), c.y(s.Y[i]))
		}
		fmt.Fprintf(c, `<path class="line s%d d%d" d="%s"/>`, s.Color, s.Dash, d.String())
		for i := range s.X {
			shape, class := circle(c.x(s.X[i]), c.y(s.Y[i]), 7), "hover"
			if s.Marks || s.single() {
				shape, class = mark(s.Color, c.x(s.X[i]), c.y(s.Y[i])), s.markClass()
			}
			title := fmt.Sprintf("%s: %.5g at %s %s", s.Name, s.Y[i], p.X.Label, short(s.X[i]))
			fmt.Fprintf(c, `<path class="%s" d="%s"><title>%s</title></path>`, class, shape, html.EscapeString(title))
		}
	}
	return c.done()
}

// circle is the path of one.
func circle(x, y, r float64) string {
	return fmt.Sprintf("M%s %sa%g %g 0 1 0 %g 0a%g %g 0 1 0 %g 0Z", at(x-r), at(y), r, r, 2*r, r, r, -2*r)
}

// mark is the path of a point of a line: a circle, a square, a triangle or a diamond.
func mark(color int, x, y float64) string {
	switch color % 4 {
	case 1:
		return fmt.Sprintf("M%s %sh7v7h-7Z", at(x-3.5), at(y-3.5))
	case 2:
		return fmt.Sprintf("M%s %sl4.5 8h-9Z", at(x), at(y-5))
	case 3:
		return fmt.Sprintf("M%s %sl4.5 5l-4.5 5l-4.5 -5Z", at(x), at(y-5))
	}
	return circle(x, y, 3.7)
}

// corner adds a point to a path, which begins with its first one.
func corner(path *strings.Builder, x, y float64) {
	command := "L"
	if path.Len() == 0 {
		command = "M"
	}
	fmt.Fprintf(path, "%s%s %s", command, at(x), at(y))
}

// histogram draws bars between [data.HistogramEdges], on a logarithmic axis, as shares of all in
// percent. A bar is never too low to be seen, and the longest of all is marked. over, which
// may be nil, is another histogram drawn as an outline.
func histogram(p plot, counts []int64, longest int64, over []int64, overName string) template.HTML {
	c := newCanvas(p, "histogram: "+p.X.Label)
	edges := data.HistogramEdges
	share, other := shares(counts), shares(over)
	c.X.Log = true
	if c.X.Min == c.X.Max {
		c.X.Min, c.X.Max = 1, upperEdge(max(len(counts), len(over)))
	}
	c.Y.fit(true, share, other)
	c.frame()
	bounds := func(i int) (x0, x1 float64, text string) {
		next := c.X.Max
		if i+1 < len(edges) {
			next = float64(edges[i+1])
		}
		x0, x1 = c.x(float64(edges[i])), c.x(min(next, c.X.Max))
		if i == 0 {
			x0, x1 = left-5, left // zero has no place on the axis: a sliver before it
		}
		text = human.Grouped(edges[i])
		if i > 0 && next > float64(edges[i])+1 {
			text += " to " + human.Grouped(int64(next)-1)
		}
		return x0, x1, text
	}
	for i, v := range share {
		if i >= len(edges) || v == 0 {
			continue
		}
		x0, x1, text := bounds(i)
		title := fmt.Sprintf("%s: %s, %.1f %%", text, human.Grouped(counts[i]), v)
		fmt.Fprintf(c, `<rect class="f0" x="%s" y="%s" width="%s" height="%s"><title>%s</title></rect>`,
			at(x0+.6), at(min(c.y(v), c.y(0)-3)), at(max(x1-x0-1.2, 1)), at(max(c.y(0)-c.y(v), 3)), html.EscapeString(title))
	}
	if longest > 0 {
		c.longest(float64(longest))
	}
	if over != nil {
		var d strings.Builder
		fmt.Fprintf(&d, "M%d %s", left, at(c.y(0)))
		end := float64(left)
		for i, v := range other {
			if i >= len(edges) || i == 0 {
				continue
			}
			x0, x1, _ := bounds(i)
			fmt.Fprintf(&d, "H%sV%sH%s", at(x0), at(c.y(v)), at(x1))
			end = x1
		}
		fmt.Fprintf(c, `<path class="line s1 d1" d="%sH%sV%s"><title>%s</title></path>`,
			d.String(), at(end), at(c.y(0)), html.EscapeString(overName))
	}
	return c.done()
}

// longest marks the largest number of a histogram.
func (c *canvas) longest(v float64) {
	x, class := c.x(min(v, c.X.Max)), "label end"
	if x < c.w/2 {
		class = "label"
	}
	fmt.Fprintf(c, `<path class="ideal" d="M%s %sV%s"/>`, at(x), at(top), at(c.h-bottom))
	c.text(x, top-4, class, "longest "+human.Grouped(int64(v)))
}

// upperEdge is where a histogram of so many bars ends.
func upperEdge(bars int) float64 {
	return float64(data.HistogramEdges[min(max(bars, 7), len(data.HistogramEdges)-1)])
}

func shares(counts []int64) []float64 {
	total := int64(0)
	for _, n := range counts {
		total += max(n, 0)
	}
	out := make([]float64, len(counts))
	for i, n := range counts {
		if total > 0 {
			out[i] = 100 * float64(max(n, 0)) / float64(total)
		}
	}
	return out
}

// scatter draws points of what was asked for and written over logarithmic axes of the same length,
// the line where both are equal, and the band from low to high times x.
func scatter(p plot, x, y []float64, low, high float64) template.HTML {
	return points(p, x, y, low, high, "%s asked for, %s written")
}

// compared draws points of the same prompts, as scatter does, without a band.
func compared(p plot, x, y []float64) template.HTML { return points(p, x, y, 1, 1, "A %s, B %s") }

func points(p plot, x, y []float64, low, high float64, title string) template.HTML {
	c := newCanvas(p, p.Y.Label+" over "+p.X.Label)
	c.X.Log, c.Y.Log = true, true
	c.X.fit(false, x, y)
	c.Y.Min, c.Y.Max = c.X.Min, c.X.Max
	clip := func(v float64) float64 { return min(max(v, c.Y.Min), c.Y.Max) }
	c.frame()
	var d strings.Builder
	const steps = 60
	for i := range 2*steps + 2 {
		k, by := i, high
		if i > steps {
			k, by = 2*steps+1-i, low
		}
		v := c.X.Min * math.Pow(c.X.Max/c.X.Min, float64(k)/steps)
		corner(&d, c.x(v), c.y(clip(v*by)))
	}
	if low < high {
		fmt.Fprintf(c, `<path class="band f2" d="%sZ"/>`, d.String())
	}
	fmt.Fprintf(c, `<path class="ideal" d="M%s %sL%s %s"/>`, at(c.x(c.X.Min)), at(c.y(c.Y.Min)), at(c.x(c.X.Max)), at(c.y(c.Y.Max)))
	for i := range x {
		fmt.Fprintf(c, `<circle class="dot f0" cx="%s" cy="%s" r="3"><title>%s</title></circle>`,
			at(c.x(x[i])), at(c.y(clip(y[i]))), fmt.Sprintf(title, short(x[i]), short(y[i])))
	}
	return c.done()
}

// bar is one row of stacked bars.
type bar struct {
	Name  string
	Parts []float64 // in the order of the names
}

// stacked draws rows of parts, each row as long as all others. With ramp the
// parts have an order, and shades of one colour.
func stacked(rows []bar, names []string, ramp bool) template.HTML {
	const high = 42
	c := openCanvas(narrowWidth, float64(high*len(rows)+2), "shares of "+clipped(strings.Join(names, ", "), 200))
	kind := "f"
	if ramp {
		kind = "r"
	}
	for i, r := range rows {
		total := 0.0
		for _, v := range r.Parts {
			total += max(v, 0)
		}
		y := float64(i * high)
		c.text(0, y+13, "tick", clipped(r.Name, 56))
		if !(total > 0) {
			c.text(0, y+32, "label", "none")
			continue
		}
		x := 0.0
		for k, v := range r.Parts {
			w := max(v, 0) / total * c.w
			if w < .1 || k >= len(names) {
				continue
			}
			title := fmt.Sprintf("%s, %s: %.1f %%", r.Name, names[k], 100*v/total)
			fmt.Fprintf(c, `<rect class="seg %s%d" x="%s" y="%s" width="%s" height="20"><title>%s</title></rect>`,
				kind, color(k), at(x), at(y+18), at(w), html.EscapeString(title))
			if w > 34 {
				c.text(x+w/2, y+32, fmt.Sprintf("on t%s%d", kind, color(k)), fmt.Sprintf("%.0f %%", 100*v/total))
			}
			x += w
		}
	}
	return c.done()
}

// color is one of six; more parts than that share the last.
func color(i int) int { return min(i, 5) }

// legend names colours. It stands outside the picture, so that it wraps.
func legend(names []string, ramp bool) template.HTML {
	kind := "f"
	if ramp {
		kind = "r"
	}
	var b strings.Builder
	b.WriteString(`<ul class="legend">`)
	for i, n := range names {
		fmt.Fprintf(&b, `<li><svg viewBox="0 0 14 10"><rect class="%s%d" width="14" height="10"/></svg>%s</li>`,
			kind, color(i), html.EscapeString(clipped(n, 40)))
	}
	b.WriteString("</ul>")
	return template.HTML(b.String())
}

// lineLegend names lines, which differ by their dashes, too.
func lineLegend(all []series) template.HTML {
	var b strings.Builder
	b.WriteString(`<ul class="legend">`)
	for _, s := range all {
		marked := ""
		if s.Marks || s.single() {
			marked = fmt.Sprintf(`<path class="%s" d="%s"/>`, s.markClass(), mark(s.Color, 19, 6))
		}
		fmt.Fprintf(&b, `<li><svg class="long" viewBox="0 0 38 12"><path class="line s%d d%d" d="M0 6H38"/>%s</svg>%s</li>`,
			s.Color, s.Dash, marked, html.EscapeString(clipped(s.Name, 40)))
	}
	b.WriteString("</ul>")
	return template.HTML(b.String())
}
