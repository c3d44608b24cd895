package report

import (
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"lwtrain/experiment"
	"lwtrain/internal/human"
	"lwtrain/internal/stats"
)

// experimentView is what experiment.tmpl takes.
type experimentView struct {
	Title   string
	About   []string
	Tiles   []tile
	Claims  []claimView
	Figures []figure
	Arms    table
	Asked   table
	Seen    table
}

type claimView struct {
	Text  string
	Holds bool
}

// WriteExperiment writes the page of an experiment on the length of answers.
func WriteExperiment(w io.Writer, name string, r experiment.Result) error {
	v := experimentView{Title: name, Arms: armTable(r), Asked: askedTable(r), Seen: seenTable(r)}
	v.About = []string{
		"Model: " + r.Model,
		"The same model is trained on the same documents, each answer cut behind a sentence at some number of words, and asked the same.",
	}
	if r.Mode == "filter" {
		v.About[1] = "The same model is trained on the documents whose answers have at most a number of words, and asked the same prompts."
	}
	for _, a := range r.Arms {
		if a.Control || a.Seed > 0 {
			continue
		}
		v.Tiles = append(v.Tiles, tile{orDash(a.Median), "words, median of ended answers, " + armName(a.Arm)})
	}
	if g := r.Length; g != nil {
		v.Tiles = append(v.Tiles, tile{fmt.Sprintf("%+.1f", g.Points), "points of S_l, longest over shortest"})
	}
	v.Tiles = append(v.Tiles, tile{fmt.Sprintf("%.4f", r.Order.P), "p of the ordered test"})
	for _, c := range r.Holds {
		v.Claims = append(v.Claims, claimView{c.Text, c.Holds})
	}
	v.Figures = experimentFigures(r)
	return render(w, "experiment", v)
}

// armName is what a model is called on the page.
func armName(a experiment.Arm) string {
	if a.Cap == 0 {
		return "untrained"
	}
	name := human.Grouped(a.Cap) + " words"
	if a.Control {
		name += ", control"
	}
	if a.Seed > 0 {
		name += fmt.Sprintf(", seed %d", a.Seed+1)
	}
	return name
}

func orDash(v *float64) string {
	if v == nil {
		return "-"
	}
	return human.Grouped(int(*v + 0.5))
}

// reach is an interval of lengths; -1 is an end that is not reached.
func reach(ci *stats.Interval) string {
	if ci == nil {
		return "-"
	}
	end := human.Grouped(int(ci[1] + 0.5))
	if ci[1] < 0 {
		end = "no end"
	}
	begin := human.Grouped(int(ci[0] + 0.5))
	if ci[0] < 0 {
		begin = "no end"
	}
	return begin + " to " + end
}

func armTable(r experiment.Result) table {
	t := table{Head: []string{
		"trained on answers up to", "answers", "ended", "loops", "median", "95 %", "P90", "longest", "Kaplan-Meier", "95 %",
	}}
	for _, a := range r.Arms {
		longest := "-"
		if a.Max != nil {
			longest = human.Grouped(*a.Max)
		}
		t.Rows = append(t.Rows, tableRow{Cells: []string{
			armName(a.Arm), human.Grouped(a.N), fmt.Sprintf("%.0f %%", 100*a.Ended), human.Grouped(a.Loops),
			orDash(a.Median), reach(a.MedianCI), orDash(a.P90), longest, orDash(a.KMedian), reach(a.KMedianCI),
		}})
	}
	return t
}

// askedTable is S_l by the length that is asked for.
func askedTable(r experiment.Result) table {
	t := table{Head: []string{"trained on answers up to", "all"}}
	var ranges []string
	for _, a := range r.Arms {
		for _, x := range a.ByAsked {
			if !slices.Contains(ranges, x.Range) {
				ranges = append(ranges, x.Range)
			}
		}
	}
	t.Head = append(t.Head, ranges...)
	for _, a := range r.Arms {
		row := tableRow{Cells: []string{armName(a.Arm), oneDigit(a.Length)}}
		for _, name := range ranges {
			cell := "-"
			for _, x := range a.ByAsked {
				if x.Range == name {
					cell = oneDigit(x.Score)
				}
			}
			row.Cells = append(row.Cells, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func seenTable(r experiment.Result) table {
	t := table{Head: []string{
		"trained on answers up to", "documents", "steps", "tokens in a pack", "epochs", "ends of answers", "target tokens",
	}}
	for _, a := range r.Arms {
		if a.Cap > 0 {
			t.Rows = append(t.Rows, tableRow{Cells: []string{
				armName(a.Arm), human.Grouped(a.Documents), human.Grouped(a.Steps), human.Grouped(a.Capacity),
				fmt.Sprintf("%.1f", a.Epochs), human.Grouped(a.Answers), human.Grouped(a.Targets),
			}})
		}
	}
	return t
}

// curves are the lines of the models, controls and further trainings left out.
func curves(r experiment.Result, of func(experiment.Outcome) (stats.Curve, bool)) (out []series) {
	for _, a := range r.Arms {
		c, ok := of(a)
		if a.Control || a.Seed > 0 || !ok {
			continue
		}
		s := stepped(c, armName(a.Arm))
		s.Color, s.Dash = len(out)%6, len(out)%6
		out = append(out, s)
	}
	return out
}

func ended(r experiment.Result) []series {
	return curves(r, func(a experiment.Outcome) (stats.Curve, bool) { return a.Curve, len(a.Curve.X) > 0 })
}

func survived(r experiment.Result) []series {
	return curves(r, func(a experiment.Outcome) (stats.Curve, bool) {
		if a.Survival == nil {
			return stats.Curve{}, false
		}
		return stats.Curve{X: a.Survival.Words, S: a.Survival.S}, true
	})
}

func experimentFigures(r experiment.Result) (out []figure) {
	add := func(title, label, note string, all []series) {
		wide := byWords(label)
		wide.Wide = true
		out = append(out, figure{Title: title, Plot: lines(wide, true, all...), Narrow: lines(byWords(label), true, all...),
			Legend: lineLegend(all), Note: note})
	}
	add("Answers that have not ended, by words", "share of the answers",
		"Kaplan-Meier: answers that were cut off at the limit, or caught in a loop, count as long as they are known to go on.", ended(r))
	if all := survived(r); len(all) > 0 {
		add("Held-out answers that would not have been ended, by words", "probability",
			"Read, not sampled: the product of the probabilities, over the tokens of held-out answers, that they are not ended.", all)
	}
	return out
}

// PlotExperiment writes the two plots of an experiment as one SVG, for documents.
func PlotExperiment(w io.Writer, r experiment.Result) error {
	const gap = 20
	left := lines(byWords("answers not ended (Kaplan-Meier)"), true, ended(r)...)
	right := template.HTML("")
	names := ended(r)
	width := float64(narrowWidth)
	if all := survived(r); len(all) > 0 {
		right = lines(byWords("held-out answers not ended (read)"), true, all...)
		width = 2*narrowWidth + gap
	}
	css, err := files.ReadFile("page.css")
	if err != nil {
		return err
	}
	place := func(svg template.HTML, x float64) string {
		in := fmt.Sprintf(`<svg x="%g" y="0" width="%d" height="%d" `, x, narrowWidth, plotHeight)
		return strings.Replace(string(svg), "<svg ", in, 1)
	}
	const legendHigh = 28
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-6 -6 %g %d" font-family="system-ui, sans-serif"><style>%s</style>`,
		width+12, plotHeight+legendHigh+12, css)
	fmt.Fprintf(w, `<rect x="-6" y="-6" width="%g" height="%d" style="fill:var(--card)"/>`, width+12, plotHeight+legendHigh+12)
	io.WriteString(w, place(left, 0))
	if right != "" {
		io.WriteString(w, place(right, narrowWidth+gap))
	}
	x := 0.0
	for _, s := range names {
		fmt.Fprintf(w, `<path class="line s%d d%d" d="M%g %dh38"/><text x="%g" y="%d" class="label">%s</text>`,
			s.Color, s.Dash, x, plotHeight+12, x+44, plotHeight+16, template.HTMLEscapeString(s.Name))
		x += 60 + 7*float64(len(s.Name))
	}
	_, err = io.WriteString(w, "</svg>\n")
	return err
}
