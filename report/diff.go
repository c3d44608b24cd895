package report

import (
	"fmt"
	"maps"
	"slices"

	"lwtrain/data"
	"lwtrain/internal/human"
	"lwtrain/internal/prose"
)

// Difference is one number of two versions of the data.
type Difference struct {
	Source, Measure    string
	Now, Before        string
	Change             string
	Same, Added, Ended bool // the source is only in one of them: Added, Ended
}

// Shown reports whether it is worth a row: it is no equal number, or says how much there is.
func (d Difference) Shown() bool {
	return !d.Same || d.Measure == "samples" || d.Measure == "pairs" || d.Measure == "tokens"
}

// Compare sets two versions of the data side by side: the mix, then the sources
// by their names, those that only the other has at the end.
func Compare(now, before *data.Stats) []Difference {
	out := compare("mix", &now.Mix, &before.Mix)
	for i := range now.Sources {
		name := now.Sources[i].Name
		old := byName(before, name)
		rows := compare(name, &now.Sources[i], old)
		if old.Name == "" {
			rows = rows[:onlyOne]
			for k := range rows {
				rows[k].Added, rows[k].Before, rows[k].Change = true, "-", "new"
			}
		}
		out = append(out, rows...)
	}
	for i := range before.Sources {
		name := before.Sources[i].Name
		if byName(now, name).Name != "" {
			continue
		}
		rows := compare(name, &data.TextStats{}, &before.Sources[i])[:onlyOne]
		for k := range rows {
			rows[k].Ended, rows[k].Now, rows[k].Change = true, "-", "gone"
		}
		out = append(out, rows...)
	}
	return out
}

func byName(s *data.Stats, name string) *data.TextStats {
	for i := range s.Sources {
		if s.Sources[i].Name == name {
			return &s.Sources[i]
		}
	}
	return &data.TextStats{}
}

// onlyOne is how many of the first numbers are shown of a source that is in one
// version alone.
const onlyOne = 5

func compare(source string, now, before *data.TextStats) []Difference {
	var out []Difference
	add := func(measure string, a, b int64) {
		d := Difference{Source: source, Measure: measure, Now: human.Grouped(a), Before: human.Grouped(b), Same: a == b}
		switch {
		case a == b:
			d.Change = "="
		case b == 0:
			d.Change = "+" + human.Grouped(a)
		case a >= 3*b && b > 0:
			d.Change = fmt.Sprintf("x %.1f", float64(a)/float64(b))
		default:
			d.Change = fmt.Sprintf("%+.1f %%", 100*(float64(a)/float64(b)-1))
		}
		out = append(out, d)
	}
	share := func(measure string, a, b float64) {
		d := Difference{
			Source: source, Measure: measure,
			Now: fmt.Sprintf("%.1f %%", 100*a), Before: fmt.Sprintf("%.1f %%", 100*b),
			Change: fmt.Sprintf("%+.1f points", 100*(a-b)),
		}
		if d.Now == d.Before {
			d.Same, d.Change = true, "="
		}
		out = append(out, d)
	}
	pairs := func(c *data.TextStats) bool { return c.Paired() || c.Samples == 0 }
	if now.Pairs+before.Pairs > 0 && pairs(now) && pairs(before) {
		add("pairs", int64(now.Pairs), int64(before.Pairs))
	} else {
		add("samples", int64(now.Samples), int64(before.Samples))
	}
	add("turns", int64(now.Turns), int64(before.Turns))
	add("words", now.Words, before.Words)
	add("tokens", now.Tokens, before.Tokens)
	add("target tokens", now.TargetTokens, before.TargetTokens)
	add("answer words, median", now.Lengths.OutputWords.P50, before.Lengths.OutputWords.P50)
	add("answer words, 95 %", now.Lengths.OutputWords.P95, before.Lengths.OutputWords.P95)
	add("answer words, longest", now.Lengths.OutputWords.Max, before.Lengths.OutputWords.Max)
	if now.Preferences() && before.Preferences() {
		for _, side := range sidesOf("chosen", "rejected") {
			add(side.Name+" words, median", side.Words(now).P50, side.Words(before).P50)
			add(side.Name+" target tokens", side.Of(now).TargetTokens, side.Of(before).TargetTokens)
		}
	}
	add("prompt words, median", now.Lengths.PromptWords.P50, before.Lengths.PromptWords.P50)
	for i, b := range prose.Ranges {
		if i < len(now.Buckets) || i < len(before.Buckets) {
			add(b.Name+" words", bucketSamples(now, i), bucketSamples(before, i))
		}
	}
	for _, w := range slices.Sorted(maps.Keys(now.LossShare)) {
		if _, both := before.LossShare[w]; both {
			share("loss, "+w, now.LossShare[w], before.LossShare[w])
		}
	}
	add("duplicates", int64(now.Duplicates), int64(before.Duplicates))
	for _, name := range slices.Sorted(maps.Keys(now.Suspicious)) {
		add("suspicious: "+name, int64(now.Suspicious[name].Samples), int64(before.Suspicious[name].Samples))
	}
	if a, b := now.Required, before.Required; a.Samples > 0 && b.Samples > 0 {
		out = append(out, Difference{
			Source: source, Measure: "mean length score",
			Now: fmt.Sprintf("%.1f", a.Score), Before: fmt.Sprintf("%.1f", b.Score),
			Change: fmt.Sprintf("%+.1f", a.Score-b.Score), Same: a.Score == b.Score,
		})
	}
	counts := func(what string, now, before map[string]int) {
		names := map[string]int{}
		maps.Copy(names, before)
		maps.Copy(names, now)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			add(what+name, int64(now[name]), int64(before[name]))
		}
	}
	counts("dropped: ", now.Dropped, before.Dropped)
	counts("not read: ", now.Unread, before.Unread)
	add("tokens lost", now.LostTokens, before.LostTokens)
	return out
}

func bucketSamples(c *data.TextStats, i int) int64 {
	if i < len(c.Buckets) {
		return int64(c.Buckets[i].Samples)
	}
	return 0
}

// diffTable leaves out what is the same, but samples and tokens.
func diffTable(all []Difference, other string) table {
	t := table{Head: []string{"", "this", clipped(other, 40), "change"}}
	source := ""
	for _, d := range all {
		if !d.Shown() {
			continue
		}
		if d.Source != source {
			source = d.Source
			t.Rows = append(t.Rows, tableRow{Head: true, Cells: []string{clipped(source, 48)}})
		}
		t.Rows = append(t.Rows, tableRow{Cells: []string{d.Measure, d.Now, d.Before, d.Change}})
	}
	return t
}
