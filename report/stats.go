package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"lwtrain/data"
	"lwtrain/internal/human"
)

// StatsPage is what [WriteStats] shows.
type StatsPage struct {
	Name      string // of the config
	Stats     *data.Stats
	Other     *data.Stats // to compare with, or nil
	OtherName string
}

// statsView is what stats.tmpl takes.
type statsView struct {
	Title, Subtitle, OtherName, DroppedNote string
	Tiles                                   []tile
	Weighted                                bool // shares of the loss are known
	Diff, Sides                             *table
	Sources, Percentiles, Limits            table
	Suspicious, Longest                     table
	Loss, Lengths, BySource, Words          []figure
}

// WriteStats writes the page of `lwtrain stats`.
func WriteStats(w io.Writer, p StatsPage) error {
	s, mix, unit := p.Stats, &p.Stats.Mix, UnitOf(p.Stats)
	v := statsView{
		Title: p.Name, OtherName: p.OtherName, Tiles: statsTiles(mix, unit), Sides: sideTable(s), Weighted: unit.chosen == "",
		Subtitle: fmt.Sprintf("%s; longest sample %s tokens, longer ones: %s",
			human.Count(len(s.Sources), "source"), human.Grouped(s.MaxLength), s.TooLong),
		Sources: sourceTable(s), DroppedNote: lossNote(s), Loss: lossFigures(s, p.Other),
		Percentiles: percentileTable(s), Limits: limitTable(mix, unit), Suspicious: suspectTable(s), Longest: longestTable(mix),
	}
	other := &data.TextStats{}
	if p.Other != nil {
		other = &p.Other.Mix
		t := diffTable(Compare(s, p.Other), p.OtherName)
		v.Diff = &t
	}
	whole := "Mix: "
	if len(s.Sources) == 1 {
		whole = s.Sources[0].Name + ": "
	}
	for _, m := range measures(unit) {
		v.Lengths = append(v.Lengths, lengthFigure(whole+m.name, axis{Label: m.axis}, m.of(mix), m.of(other), p.OtherName))
	}
	if len(s.Sources) > 1 {
		longest := upperEdge(len(mix.Lengths.OutputWords.Histogram))
		for _, c := range s.Sources[:min(len(s.Sources), mostPlots)] {
			before := &data.TextStats{}
			if p.Other != nil {
				before = byName(p.Other, c.Name)
			}
			x := axis{Label: "words of the answers", Min: 1, Max: longest} // the same for all
			bars, over, name := c.Lengths.OutputWords, before.Lengths.OutputWords, p.OtherName
			if sides := unit.Sides(); len(sides) > 0 && p.Other == nil {
				x.Label = "words of the " + sides[0].Name + " answers"
				bars, over, name = sides[0].Words(&c), sides[1].Words(&c), sides[1].Name
			}
			v.BySource = append(v.BySource, lengthFigure(c.Name, x, bars, over, name))
		}
	}
	if len(mix.Required.Points) > 0 {
		v.Words = append(v.Words, requiredFigure(mix, unit))
	}
	v.Words = append(v.Words, languageFigure(s))
	return render(w, "stats", v)
}

// measure is a length of samples.
type measure struct {
	name, axis string
	of         func(*data.TextStats) data.Lengths
}

// measures are those of samples, or those of both sides of preferences.
func measures(unit Unit) []measure {
	prompts := []measure{
		{"prompts, words", "words of the prompts", func(c *data.TextStats) data.Lengths { return c.Lengths.PromptWords }},
		{"prompts, tokens", "tokens that are no targets", func(c *data.TextStats) data.Lengths { return c.Lengths.PromptTokens }},
	}
	if sides := unit.Sides(); len(sides) > 0 {
		var out []measure
		for _, s := range sides {
			out = append(out, measure{s.Name + " answers, words", "words of the answers", s.Words})
		}
		for _, s := range sides {
			out = append(out, measure{s.Name + " answers, tokens", "target tokens", s.Tokens})
		}
		return append(out, prompts...)
	}
	return []measure{
		{"answers, words", "words of the answers", func(c *data.TextStats) data.Lengths { return c.Lengths.OutputWords }},
		prompts[0],
		{"whole samples, tokens", "tokens", func(c *data.TextStats) data.Lengths { return c.Lengths.Tokens }},
		{"answers, tokens", "target tokens", func(c *data.TextStats) data.Lengths { return c.Lengths.OutputTokens }},
		prompts[1],
	}
}

func statsTiles(c *data.TextStats, unit Unit) []tile {
	dropped, suspicious, what := 0, 0, "records"
	if unit.Samples == 2 {
		what = "pairs"
	}
	for reason, n := range c.Dropped {
		if unit.Samples == 1 || reason != "no_counterpart" { // single answers, of no pair
			dropped += n
		}
	}
	for _, x := range c.Suspicious {
		suspicious += x.Samples
	}
	n := func(v int64) string { // what fits into a tile
		if v < 1e6 {
			return human.Grouped(v)
		}
		return shortTo(float64(v), 3)
	}
	return []tile{
		{n(int64(c.Samples / unit.Samples)), unit.Name + "s"},
		{n(c.Words), "words of the answers"},
		{n(c.Tokens), "tokens"},
		{percent(float64(c.TargetTokens), float64(c.Tokens)), "of the tokens are targets"},
		{n(int64(dropped)), what + " dropped"},
		{n(c.LostTokens), "tokens lost to the maximum length"},
		{n(int64(c.Duplicates)), "exact duplicates"},
		{n(int64(suspicious)), "suspicious answers"},
	}
}

func sourceTable(s *data.Stats) table {
	unit := UnitOf(s)
	t := table{Head: []string{
		"source", unit.Name + "s", "held out", "turns", "words", "characters", "prompt words",
		"tokens", "targets", "duplicates", "cut into pieces", "tokens lost",
	}}
	for _, c := range s.All() {
		r := countRow(c, s,
			int64(c.Samples/unit.Samples), int64(c.HeldOut/unit.Samples), int64(c.Turns), c.Words, c.Characters,
			c.PromptWords/int64(unit.Samples), c.Tokens, c.TargetTokens, int64(c.Duplicates), int64(c.Cut), c.LostTokens)
		if cut := &r.Cells[len(r.Cells)-2]; c.Cut > 0 {
			*cut += " into " + human.Grouped(c.CutPieces())
		}
		t.Rows = append(t.Rows, r)
	}
	return t
}

// sideTable sets the sides of preferences below each other; nil: there are none.
func sideTable(s *data.Stats) *table {
	sides := UnitOf(s).Sides()
	if len(sides) == 0 {
		return nil
	}
	t := table{Head: []string{"answers", "how many", "words", "median", "longest", "target tokens", "median", "longest", "length score"}}
	for _, c := range s.All() {
		t.Rows = append(t.Rows, tableRow{Head: true, Cells: []string{clipped(c.Name, 48)}})
		for _, side := range sides {
			of, words, tokens := side.Of(c), side.Words(c), side.Tokens(c)
			r := tableRow{Cells: []string{side.Name}}
			for _, n := range []int64{int64(of.Answers), of.Words, words.P50, words.Max, of.TargetTokens, tokens.P50, tokens.Max} {
				r.Cells = append(r.Cells, human.Grouped(n))
			}
			score := "-"
			if of.Required != nil {
				score = fmt.Sprintf("%.1f", of.Required.Score)
			}
			r.Cells = append(r.Cells, score)
			t.Rows = append(t.Rows, r)
		}
	}
	return &t
}

// countRow is the row of a source, or of the mix, with counts.
func countRow(c *data.TextStats, s *data.Stats, counts ...int64) tableRow {
	r := tableRow{Sum: c == &s.Mix, Cells: []string{clipped(c.Name, 48)}}
	for _, n := range counts {
		r.Cells = append(r.Cells, human.Grouped(n))
	}
	return r
}

// lossNote says what of the records is not used: which are dropped, and which of their keys
// are not read.
func lossNote(s *data.Stats) string {
	dropped := "Dropped: "
	if UnitOf(s).Samples == 2 {
		dropped = "Pairs dropped (no_counterpart: labelled answers): "
	}
	counts := func(what string, of func(*data.TextStats) map[string]int) string {
		var parts []string
		for i := range s.Sources {
			c := &s.Sources[i]
			for _, name := range slices.Sorted(maps.Keys(of(c))) {
				parts = append(parts, fmt.Sprintf("%s: %s %s", c.Name, name, human.Grouped(of(c)[name])))
			}
		}
		if len(parts) == 0 {
			return ""
		}
		return what + strings.Join(parts, "; ") + ". "
	}
	return strings.TrimSpace(counts(dropped, func(c *data.TextStats) map[string]int { return c.Dropped }) +
		counts("Keys that are not read: ", func(c *data.TextStats) map[string]int { return c.Unread }))
}

func lengthFigure(title string, x axis, now, before data.Lengths, beforeName string) figure {
	p := plot{X: x, Y: axis{Label: "%"}}
	f := figure{Title: title}
	var over []int64
	if len(before.Histogram) > 0 {
		over = before.Histogram
		f.Legend = lineLegend([]series{{Name: beforeName, Color: 1, Dash: 1}})
	}
	both := func(now, before int64) string {
		if over == nil {
			return human.Grouped(now)
		}
		return human.Grouped(now) + " (" + human.Grouped(before) + ")"
	}
	f.Note = fmt.Sprintf("Median %s, 95 %% up to %s, longest %s.",
		both(now.P50, before.P50), both(now.P95, before.P95), both(now.Max, before.Max))
	if len(now.Histogram) == 0 {
		f.Note = "No samples."
	}
	f.Plot = histogram(p, now.Histogram, now.Max, over, beforeName)
	return f
}

func percentileTable(s *data.Stats) table {
	t := table{Head: []string{"source", "mean", "min", "5 %", "25 %", "median", "75 %", "95 %", "99 %", "max"}}
	for _, m := range measures(UnitOf(s)) {
		t.Rows = append(t.Rows, tableRow{Head: true, Cells: []string{m.name}})
		for _, c := range s.All() {
			l := m.of(c)
			if c.Samples == 0 {
				none := slices.Repeat([]string{"-"}, len(t.Head)-1)
				t.Rows = append(t.Rows, tableRow{Cells: append([]string{clipped(c.Name, 48)}, none...)})
				continue
			}
			t.Rows = append(t.Rows, countRow(c, s, int64(l.Mean+.5), l.Min, l.P5, l.P25, l.P50, l.P75, l.P95, l.P99, l.Max))
		}
	}
	return t
}

func limitTable(c *data.TextStats, unit Unit) table {
	t := table{Head: []string{"maximum length, tokens", "longer " + unit.Single + "s", "tokens lost by cutting"}}
	for _, l := range c.Limits {
		t.Rows = append(t.Rows, tableRow{Cells: []string{human.Grouped(l.MaxLength), human.Grouped(l.Longer), human.Grouped(l.LostTokens)}})
	}
	if len(t.Rows) == 0 {
		t.Rows = []tableRow{{Cells: []string{"512", "0", "0"}}}
	}
	return t
}

func requiredFigure(c *data.TextStats, unit Unit) figure {
	var x, y []float64
	for _, p := range c.Required.Points {
		x, y = append(x, float64(p.Required)), append(y, float64(max(p.Real, 1)))
	}
	r := c.Required
	note := human.Count(r.Samples/unit.Samples, "prompt") + " with a stated length. "
	say := func(whose string, r data.Required) {
		note += fmt.Sprintf("%s length score (S_l of LongBench-Write) %.1f of 100; "+
			"%s score 80 or more: the green band. The median answer has %.2f times the words asked for. ",
			whose, r.Score, percent(float64(r.Good), float64(r.Samples)), r.MedianRatio)
	}
	for _, side := range unit.Sides() {
		if r := side.Of(c).Required; r != nil {
			say("Of the "+side.Name+" answers: mean", *r)
		}
	}
	if len(unit.Sides()) == 0 {
		say("Mean", r)
	}
	note += "The dotted line is the length asked for."
	return figure{
		Title: "Words asked for, and words of the answer",
		Plot:  scatter(plot{X: axis{Label: "words that the prompt asks for"}, Y: axis{Label: "words of the answer"}}, x, y, 1/1.4, 1.6),
		Note:  note,
	}
}

func languageFigure(s *data.Stats) figure {
	names := []string{"en", "zh", "mixed", "other"}
	var rows []bar
	for _, c := range s.All()[max(0, len(s.Sources)-mostPlots):] {
		r := bar{Name: c.Name}
		for _, n := range names {
			r.Parts = append(r.Parts, float64(c.Languages[n]))
		}
		rows = append(rows, r)
	}
	return figure{
		Title:  "Letters of the answers",
		Plot:   stacked(rows, names, false),
		Legend: legend([]string{"en: Latin letters", "zh: Chinese", "mixed: both", "other"}, false),
	}
}

func suspectTable(s *data.Stats) table {
	t := table{Head: []string{"what", UnitOf(s).Single + "s", "of all", "the first"}, Wrap: true}
	for _, name := range slices.Sorted(maps.Keys(s.Mix.Suspicious)) {
		x := s.Mix.Suspicious[name]
		ofAll := percent(float64(x.Samples), float64(s.Mix.Samples))
		t.Rows = append(t.Rows, tableRow{Cells: []string{
			strings.ReplaceAll(name, "_", " "), human.Grouped(x.Samples), ofAll, strings.Join(x.Examples, ", "),
		}})
	}
	return t
}

func longestTable(c *data.TextStats) table {
	t := table{Head: []string{"where", "source", "words of the answers", "tokens"}}
	for _, l := range c.Longest {
		t.Rows = append(t.Rows, tableRow{Cells: []string{l.Origin, clipped(l.Source, 48), human.Grouped(l.Words), human.Grouped(l.Tokens)}})
	}
	return t
}
