package report

import (
	"fmt"
	"slices"

	"lwtrain/data"
	"lwtrain/internal/prose"
	"lwtrain/packing"
)

// mostPlots bounds the sources that have a plot of their own.
const mostPlots = 24

// weightings lists those that the statistics know, the run's own first.
func weightings(s *data.Stats) []string {
	var out []string
	for _, c := range s.Sources {
		for w := range c.LossShare {
			if !slices.Contains(out, w) {
				out = append(out, w)
			}
		}
	}
	all := packing.Weightings()
	rank := func(w string) int {
		if w == s.Weighting {
			return -1
		}
		return slices.Index(all, w)
	}
	slices.SortFunc(out, func(a, b string) int { return rank(a) - rank(b) })
	return out
}

// lossFigures show samples, tokens and shares of the loss by source and by length of the
// answers. Of preferences the sides are shown: weightings are those of packs.
func lossFigures(s, other *data.Stats) []figure {
	unit := UnitOf(s)
	names, group := folded(s)
	var bySource, byWords, each []bar
	source := func(label string, of func(*data.TextStats) float64) {
		parts := make([]float64, len(names))
		for i := range s.Sources {
			parts[group[i]] += of(&s.Sources[i])
		}
		bySource = append(bySource, bar{label, parts})
	}
	words := func(to *[]bar, label string, list []data.Bucket, of func(data.Bucket) float64) {
		parts := make([]float64, len(prose.Ranges))
		for i := range min(len(parts), len(list)) {
			parts[i] = of(list[i])
		}
		*to = append(*to, bar{label, parts})
	}
	samples := func(b data.Bucket) float64 { return float64(b.Samples) }
	tokens := func(b data.Bucket) float64 { return float64(b.TargetTokens) }

	source(unit.Name+"s", func(c *data.TextStats) float64 { return float64(c.Samples) })
	for _, side := range unit.Sides() {
		source("target tokens, "+side.Name, func(c *data.TextStats) float64 { return float64(side.Of(c).TargetTokens) })
		words(&byWords, side.Name+" answers", side.Of(&s.Mix).Buckets, samples)
		words(&byWords, "target tokens, "+side.Name, side.Of(&s.Mix).Buckets, tokens)
	}
	if len(unit.Sides()) == 0 {
		source("target tokens", func(c *data.TextStats) float64 { return float64(c.TargetTokens) })
		words(&byWords, "samples", s.Mix.Buckets, samples)
		words(&byWords, "target tokens", s.Mix.Buckets, tokens)
		for _, w := range weightings(s) {
			label := "loss, weighting " + w
			if w == s.Weighting {
				label += " (this config's)"
			}
			source(label, func(c *data.TextStats) float64 { return c.LossShare[w] })
			words(&byWords, label, s.Mix.Buckets, func(b data.Bucket) float64 { return b.LossShare[w] })
		}
	}
	for _, c := range s.All()[max(0, len(s.Sources)-mostPlots):] {
		words(&each, c.Name, c.Buckets, samples)
	}
	if other != nil {
		words(&each, "mix of the other", other.Mix.Buckets, samples)
	}
	var ranges []string
	for _, b := range prose.Ranges {
		ranges = append(ranges, b.Name+" words")
	}
	title := "Samples by length of the answers, source by source"
	if len(unit.Sides()) > 0 {
		title = "Answers of both sides by length, source by source"
	}
	return []figure{
		{Title: "By source", Plot: stacked(bySource, names, false), Legend: legend(names, false)},
		{
			Title: "By length of the answers",
			Plot:  stacked(byWords, ranges, true), Legend: legend(ranges, true),
			Note: "The ranges of LongBench-Write.",
		},
		{Title: title, Plot: stacked(each, ranges, true), Legend: legend(ranges, true)},
	}
}

// folded names the sources that have a colour each, and says which of them
// every source belongs to: of more than six the later ones are one.
func folded(s *data.Stats) (names []string, group []int) {
	for i, c := range s.Sources {
		switch {
		case len(s.Sources) <= 6 || i < 5:
			names = append(names, c.Name)
		case i == 5:
			names = append(names, fmt.Sprintf("%d others", len(s.Sources)-5))
		}
		group = append(group, min(i, len(names)-1))
	}
	return names, group
}
