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

// axis is one axis of a plot. Where Min and Max are equal they follow from the
// data.
type axis struct {
	Label    string // with the unit
	Log      bool   // powers of ten; values below 1 lie at its start
	Min, Max float64
}

// plot is what every plot has.
type plot struct {
	X, Y axis
	Wide bool
}

// series is a line of a plot.
type series struct {
	Name   string
	X, Y   []float64
	Lo, Hi []float64 // a band around the line, or nil
	Color  int       // of six
	Dots   bool      // mark the points
}

const (
	narrowWidth, wideWidth, plotHeight = 380, 1130, 230

	left, right, top, bottom = 50, 14, 22, 40
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
	c := openCanvas(w, h, label)
	c.plot = p
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

func (a axis) place(v float64) float64 {
	lo, hi := a.Min, a.Max
	if a.Log {
		lo, hi, v = math.Log10(lo), math.Log10(hi), math.Log10(max(v, a.Min))
	}
	return (v - lo) / (hi - lo)
}

func (c *canvas) x(v float64) float64 { return left + c.X.place(v)*(c.w-left-right) }
func (c *canvas) y(v float64) float64 { return c.h - bottom - c.Y.place(v)*(c.h-top-bottom) }

// fit sets the ends of an axis from data, unless they are set.
func (a *axis) fit(fromZero bool, values ...[]float64) {
	if a.Min != a.Max {
		return
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, list := range values {
		for _, v := range list {
			if !math.IsNaN(v) && !math.IsInf(v, 0) && (!a.Log || v > 0) {
				lo, hi = min(lo, v), max(hi, v)
			}
		}
	}
	switch {
	case lo > hi:
		lo, hi = 0, 1
	case a.Log:
		lo, hi = math.Pow(10, math.Floor(math.Log10(lo))), math.Pow(10, math.Ceil(math.Log10(hi)))
	case fromZero && lo > 0:
		lo = 0
	}
	if a.Log && hi <= lo {
		lo, hi = max(lo, 1), max(lo, 1)*10
	}
	if !a.Log {
		if hi == lo {
			lo, hi = lo-math.Abs(lo)*.1, hi+max(math.Abs(hi)*.1, 1e-9)
		}
		step := niceStep(lo, hi)
		lo, hi = math.Floor(lo/step+1e-9)*step, math.Ceil(hi/step-1e-9)*step
	}
	a.Min, a.Max = lo, hi
}

// niceStep is 1, 2 or 5 times a power of ten, with about four steps in all.
func niceStep(lo, hi float64) float64 {
	raw := (hi - lo) / 4
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5} {
		if raw <= m*unit*1.001 {
			return m * unit
		}
	}
	return 10 * unit
}

func (a axis) ticks() []float64 {
	var out []float64
	if a.Log {
		for v := math.Pow(10, math.Ceil(math.Log10(a.Min)-1e-9)); v <= a.Max*1.001; v *= 10 {
			out = append(out, v)
		}
		return out
	}
	step := niceStep(a.Min, a.Max)
	for v := math.Ceil(a.Min/step-1e-9) * step; v <= a.Max+step*1e-6 && len(out) < 20; v += step {
		out = append(out, v)
	}
	return out
}

// frame draws the axes.
func (c *canvas) frame() {
	for _, v := range c.Y.ticks() {
		fmt.Fprintf(c, `<path class="grid" d="M%d %sH%s"/>`, left, at(c.y(v)), at(c.w-right))
		c.text(left-9, c.y(v)+4, "tick end", short(v))
	}
	for _, v := range c.X.ticks() {
		fmt.Fprintf(c, `<path class="mark" d="M%s %sv4"/>`, at(c.x(v)), at(c.h-bottom))
		c.text(c.x(v), c.h-bottom+16, "tick mid", short(v))
	}
	fmt.Fprintf(c, `<path class="axis" d="M%d %sH%s"/>`, left, at(c.h-bottom), at(c.w-right))
	c.text(4, 11, "label", c.Y.Label)
	c.text(c.w-right, c.h-5, "label end", c.X.Label)
}

// lines draws series over a number, such as the step.
func lines(p plot, fromZero bool, all ...series) template.HTML {
	c := newCanvas(p, p.Y.Label+" over "+p.X.Label)
	var xs, ys [][]float64
	for _, s := range all {
		xs, ys = append(xs, s.X), append(ys, s.Y, s.Lo, s.Hi)
	}
	if c.X.Min == c.X.Max { // steps: no rounding, the line fills the width
		c.X.Min, c.X.Max = span(xs)
	}
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
		var d strings.Builder
		for i := range s.X {
			corner(&d, c.x(s.X[i]), c.y(s.Y[i]))
		}
		fmt.Fprintf(c, `<path class="line s%d" d="%s"/>`, s.Color, d.String())
		for i := range s.X {
			r, class := 7.0, "hover"
			if s.Dots || len(s.X) == 1 {
				r, class = 3.5, fmt.Sprintf("f%d", s.Color)
			}
			title := fmt.Sprintf("%s: %.5g at %s %s", s.Name, s.Y[i], p.X.Label, short(s.X[i]))
			fmt.Fprintf(c, `<circle class="%s" cx="%s" cy="%s" r="%g"><title>%s</title></circle>`,
				class, at(c.x(s.X[i])), at(c.y(s.Y[i])), r, html.EscapeString(title))
		}
	}
	return c.done()
}

// corner adds a point to a path, which begins with its first one.
func corner(path *strings.Builder, x, y float64) {
	command := "L"
	if path.Len() == 0 {
		command = "M"
	}
	fmt.Fprintf(path, "%s%s %s", command, at(x), at(y))
}

// span is the least and the greatest of all values, apart even where there is one.
func span(all [][]float64) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, list := range all {
		for _, v := range list {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	if lo > hi {
		return 0, 1
	}
	if lo == hi {
		hi++
	}
	return lo, hi
}

// histogram draws bars between [data.HistogramEdges], on a logarithmic axis, as shares of all in
// percent. over, which may be nil, is another histogram drawn as an outline.
func histogram(p plot, counts, over []int64, overName string) template.HTML {
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
			at(x0+.6), at(c.y(v)), at(max(x1-x0-1.2, 1)), at(c.y(0)-c.y(v)), html.EscapeString(title))
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
		fmt.Fprintf(c, `<path class="line s1" d="%sM%s %s"><title>%s</title></path>`,
			d.String(), at(end), at(c.y(0)), html.EscapeString(overName))
	}
	return c.done()
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

// scatter draws points over logarithmic axes of the same length, the line where
// both are equal, and the band from low to high times x.
func scatter(p plot, x, y []float64, low, high float64) template.HTML {
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
	fmt.Fprintf(c, `<path class="band f2" d="%sZ"/>`, d.String())
	fmt.Fprintf(c, `<path class="ideal" d="M%s %sL%s %s"/>`, at(c.x(c.X.Min)), at(c.y(c.Y.Min)), at(c.x(c.X.Max)), at(c.y(c.Y.Max)))
	for i := range x {
		fmt.Fprintf(c, `<circle class="dot f0" cx="%s" cy="%s" r="3"><title>%s asked for, %s written</title></circle>`,
			at(c.x(x[i])), at(c.y(clip(y[i]))), short(x[i]), short(y[i]))
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
	const row = 42
	c := openCanvas(narrowWidth, float64(row*len(rows)+2), "shares of "+clipped(strings.Join(names, ", "), 200))
	kind := "f"
	if ramp {
		kind = "r"
	}
	for i, r := range rows {
		total := 0.0
		for _, v := range r.Parts {
			total += max(v, 0)
		}
		y := float64(i * row)
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
		dot := ""
		if s.Dots {
			dot = fmt.Sprintf(`<circle class="f%d" cx="14" cy="5" r="3.5"/>`, s.Color)
		}
		fmt.Fprintf(&b, `<li><svg class="long" viewBox="0 0 28 10"><path class="line s%d" d="M0 5H28"/>%s</svg>%s</li>`,
			s.Color, dot, html.EscapeString(clipped(s.Name, 40)))
	}
	b.WriteString("</ul>")
	return template.HTML(b.String())
}
