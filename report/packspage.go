package report

import (
	"fmt"
	"html"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"

	"lwtrain/internal/human"
	"lwtrain/internal/prose"
	"lwtrain/packing"
	"lwtrain/train"
)

// PacksPage is what the page of `lwtrain pack` shows.
type PacksPage struct {
	Name       string
	Packing    packing.Options
	Plan       *train.Plan
	Sources    []string
	Packs      []train.Drawn
	Comparison train.Comparison
}

// packsView is what packs.tmpl takes.
type packsView struct {
	Title, Subtitle string
	Tiles           []tile
	Notes           []string
	Bars            figure
	Steps           []figure
	Packers, Long   table
	Shares          []figure
}

// mostBars bounds the packs that have a bar.
const mostBars = train.DrawnWhole

// WritePacks writes the page of a run's packs.
func WritePacks(w io.Writer, p PacksPage) error {
	plan := p.Plan
	v := packsView{
		Title: p.Name, Subtitle: fmt.Sprintf("The first epoch, packed by %s, weighting %s", p.Packing.Strategy, p.Packing.Weighting),
		Tiles: []tile{
			{human.Grouped(plan.Packs), "packs of " + human.Grouped(plan.Capacity) + " tokens"},
			{human.Grouped(plan.StepsPerEpoch), "steps"},
			{fmt.Sprintf("%.2f %%", 100*plan.Fill()), "full"},
			{human.Grouped(int64(plan.Packs)*int64(plan.Capacity) - plan.Tokens), "tokens of padding"},
			{fmt.Sprintf("%.4f", plan.Attention), "attention balance ratio"},
			{human.Grouped(plan.Documents), "samples"},
		},
		Notes: PackNotes(p.Packing, p.Comparison), Bars: p.bars(), Steps: p.steps(), Packers: p.packers(), Long: p.long(),
		Shares: p.shares(),
	}
	return render(w, "packs", v)
}

// PackNotes say what a comparison of packers shows: under which weightings the share of the long
// answers depends on the packer.
func PackNotes(o packing.Options, c train.Comparison) (notes []string) {
	var own train.Packed
	for _, p := range c.Packers {
		if p.Strategy == o.Strategy {
			own = p
		}
	}
	for _, w := range packing.Weightings() {
		least, most := own, own
		for _, p := range c.Packers {
			if p.Long[w] < least.Long[w] {
				least = p
			}
			if p.Long[w] > most.Long[w] {
				most = p
			}
		}
		// Steps that are few differ by chance, and with them the shares.
		if most.Long[w] < 1.5*least.Long[w] || most.Long[w]-least.Long[w] < .03 {
			continue
		}
		text := fmt.Sprintf("Weighting %s is another objective with another packer:"+
			" long answers carry %.0f %% of the loss with %s and %.0f %% with %s",
			w, 100*most.Long[w], most.Strategy, 100*least.Long[w], least.Strategy)
		if w == o.Weighting {
			text += fmt.Sprintf("; this config has %s, and they carry %.0f %%", own.Strategy, 100*own.Long[w])
		}
		notes = append(notes, text+".")
	}
	if len(notes) == 0 {
		return []string{"Under each weighting the packers agree on what long answers carry, to half of it or 3 % of the loss."}
	}
	return notes
}

// colours names the sources that have one each; of more than six the later ones share the last.
func (p PacksPage) colours() (names []string) {
	for i, n := range p.Sources {
		switch {
		case len(p.Sources) <= 6 || i < 5:
			names = append(names, n)
		case i == 5:
			names = append(names, fmt.Sprintf("%d others", len(p.Sources)-5))
		}
	}
	return names
}

// bars draws the first packs, a bar of documents each.
func (p PacksPage) bars() figure {
	shown := p.Packs[:min(len(p.Packs), mostBars)]
	f := figure{Title: "The first packs", Legend: legend(p.colours(), false), Plot: p.drawn(wideWidth, 26, 190, shown),
		Narrow: p.drawn(narrowWidth, 40, 0, shown)}
	f.Note = "A piece is a document, in the colour of its source; what is empty is padding. Beside it stands how full it is, and its" +
		" attention: the sum of the squares of" +
		" the documents' lengths; 1 is one document that fills the pack."
	if rest := len(p.Packs) - len(shown); rest > 0 {
		f.Note += " " + human.Count(rest, "pack") + " more are not drawn."
	}
	return f
}

// drawn draws packs as rows of some height, their words beside them or, without room, above.
func (p PacksPage) drawn(width, high, beside float64, packs []train.Drawn) template.HTML {
	c := openCanvas(width, high*float64(len(packs))+2, "the documents of the first packs")
	scale := (width - beside) / float64(p.Plan.Capacity)
	for i, d := range packs {
		y := float64(i) * high
		tokens := d.Tokens
		text := fmt.Sprintf("step %d, pack %d: %.0f %%, %.3f", d.Step, d.Pack, 100*float64(tokens)/float64(p.Plan.Capacity), d.Attention)
		c.text(0, y+13, "tick", text)
		if beside == 0 {
			y += 18
		}
		fmt.Fprintf(c, `<rect class="empty" x="%s" y="%s" width="%s" height="18"/>`, at(beside), at(y), at(width-beside))
		x := beside
		for from := 0; from < len(d.Documents); {
			doc := d.Documents[from]
			next, n := from+1, doc.Tokens // short ones of a source beside each other are one piece: a page has some thousand at most
			for next < len(d.Documents) && d.Documents[next].Source == doc.Source && float64(n)*scale < 3 {
				n += d.Documents[next].Tokens
				next++
			}
			title := fmt.Sprintf("%s: %s, %s", p.Sources[doc.Source], human.Count(next-from, "document"), human.Count(n, "token"))
			fmt.Fprintf(c, `<rect class="doc f%d" x="%s" y="%s" width="%s" height="18"><title>%s</title></rect>`,
				color(doc.Source), at(x), at(y), at(float64(n)*scale), html.EscapeString(title))
			x += float64(n) * scale
			from = next
		}
	}
	return c.done()
}

// steps draws attention and fill over the steps of the epoch.
func (p PacksPage) steps() []figure {
	var x, most, mean, fill []float64
	for from := 0; from < len(p.Packs); {
		next, sum, top, tokens := from, 0.0, 0.0, 0
		for next < len(p.Packs) && p.Packs[next].Step == p.Packs[from].Step {
			d := p.Packs[next]
			sum, top, tokens = sum+d.Attention, math.Max(top, d.Attention), tokens+d.Tokens
			next++
		}
		n := float64(next - from)
		x = append(x, float64(p.Packs[from].Step))
		most, mean = append(most, top), append(mean, sum/n)
		fill = append(fill, 100*float64(tokens)/(n*float64(p.Plan.Capacity)))
		from = next
	}
	attention := []series{{Name: "the slowest pack", X: x, Y: most, Color: 1}, {Name: "mean of the step", X: x, Y: mean, Dash: 1}}
	filled := series{Name: "full", X: x, Y: fill}
	draw := func(label string, wide bool, all ...series) template.HTML {
		return lines(plot{X: axis{Label: "step"}, Y: axis{Label: label}, Wide: wide}, true, all...)
	}
	return []figure{
		{
			Title: "Attention of the packs of a step", Plot: draw("attention", true, attention...),
			Narrow: draw("attention", false, attention...), Legend: lineLegend(attention),
			Note: "What lies between the lines is waited for, where each pack of a step has a device of its own.",
		},
		{Title: "How full the packs of a step are", Plot: draw("percent", true, filled), Narrow: draw("percent", false, filled)},
	}
}

func (p PacksPage) packers() table {
	t := table{Head: []string{"packer", "packs", "full", "padding", "steps", "attention balance"}}
	for _, x := range p.Comparison.Packers {
		t.Rows = append(t.Rows, tableRow{Cells: []string{
			p.own(x.Strategy, p.Packing.Strategy), human.Grouped(x.Packs), fmt.Sprintf("%.2f %%", 100*x.Fill),
			human.Grouped(x.Waste), human.Grouped(x.Steps), fmt.Sprintf("%.4f", x.Attention),
		}})
	}
	return t
}

func (PacksPage) own(name, own string) string {
	if name == own {
		name += " (this config's)"
	}
	return name
}

// long is the share of the long answers under each weighting, with each packer.
func (p PacksPage) long() table {
	t := table{Head: []string{"weighting"}}
	for _, x := range p.Comparison.Packers {
		t.Head = append(t.Head, strings.ReplaceAll(x.Strategy, "_", " "))
	}
	for _, w := range packing.Weightings() {
		row := tableRow{Cells: []string{p.own(w, p.Packing.Weighting)}}
		for _, x := range p.Comparison.Packers {
			row.Cells = append(row.Cells, fmt.Sprintf("%.1f %%", 100*x.Long[w]))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// shares draws who carries the loss by source and by length: of each packer under each weighting,
// weightings whose shares are the same once.
func (p PacksPage) shares() (out []figure) {
	var ranges []string
	for _, r := range prose.Ranges {
		ranges = append(ranges, r.Name+" words")
	}
	names := p.colours()
	parts := func(x train.Packed, w string) (bySource, byWords []float64) {
		bySource, byWords = make([]float64, len(names)), make([]float64, len(ranges))
		for i, s := range p.Sources {
			if slices.Index(p.Sources, s) == i {
				bySource[min(i, len(names)-1)] += x.Sources[w][s]
			}
		}
		for i, r := range prose.Ranges {
			byWords[i] = x.Words[w][r.Name]
		}
		return bySource, byWords
	}
	for _, x := range p.Comparison.Packers {
		var sources, words []bar
		for _, w := range packing.Weightings() {
			bySource, byWords := parts(x, w)
			same := slices.IndexFunc(words, func(b bar) bool { return near(b.Parts, byWords) })
			if same >= 0 && near(sources[same].Parts, bySource) {
				sources[same].Name += ", " + w
				words[same].Name += ", " + w
				continue
			}
			sources, words = append(sources, bar{w, bySource}), append(words, bar{w, byWords})
		}
		title := p.own(x.Strategy, p.Packing.Strategy)
		out = append(out,
			figure{Title: title + ": by source", Plot: stacked(sources, names, false), Legend: legend(names, false)},
			figure{Title: title + ": by length of the answers", Plot: stacked(words, ranges, true), Legend: legend(ranges, true)})
	}
	return out
}

// near reports whether shares differ by less than is seen.
func near(a, b []float64) bool {
	for i := range a {
		if math.Abs(a[i]-b[i]) > .002 {
			return false
		}
	}
	return true
}
