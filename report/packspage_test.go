package report

import (
	"bytes"
	"strings"
	"testing"

	"lwtrain/packing"
	"lwtrain/train"
)

// packsPage is of two packs and two packers, the names of the sources hostile ones.
func packsPage() PacksPage {
	packed := func(strategy string, long float64) train.Packed {
		p := train.Packed{
			Strategy: strategy, Packs: 2, Steps: 1, Fill: .5, Waste: 100, Attention: .25,
			Long: map[string]float64{}, Sources: map[string]train.Shared{}, Words: map[string]train.Shared{},
		}
		for _, w := range packing.Weightings() {
			p.Long[w] = .5
			p.Sources[w] = train.Shared{hostile: .5, hostile + "2": .5}
			p.Words[w] = train.Shared{"0-499": .5, "2,000-3,999": .5}
		}
		p.Long["longwriter"] = long
		p.Words["longwriter"] = train.Shared{"0-499": 1 - long, "2,000-3,999": long}
		return p
	}
	return PacksPage{
		Name: hostile, Packing: packing.Default(), Sources: []string{hostile, hostile + "2"},
		Plan: &train.Plan{Packs: 2, Capacity: 100, Tokens: 100, StepsPerEpoch: 1, Attention: .25, Documents: 61},
		Packs: []train.Drawn{
			{Step: 1, Pack: 1, Attention: .25, Documents: []train.DrawnDocument{{Source: 0, Tokens: 50}}},
			{Step: 1, Pack: 2, Attention: .13, Documents: []train.DrawnDocument{{Source: 1, Tokens: 30}, {Source: 0, Tokens: 20}}},
		},
		Comparison: train.Comparison{Long: "2,000-3,999", Packers: []train.Packed{
			packed("best_fit_decreasing", .08), packed("next_fit", .39),
		}},
	}
}

func TestThePacksPageShowsHostileTextAsText(t *testing.T) {
	var b bytes.Buffer
	if err := WritePacks(&b, packsPage()); err != nil {
		t.Fatal(err)
	}
	mustBeInert(t, b.String())
	for _, want := range []string{
		"&lt;script&gt;alert(1)", "best_fit_decreasing (this config&#39;s)", "token (this config&#39;s)",
		"long answers carry 39 % of the loss with next_fit and 8 % with best_fit_decreasing",
		"token, sequence, pack, ave_token, long_ce, message, ", // the same shares: one bar
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page has no %q", want)
		}
	}
}

func TestDocumentsTooShortToBeSeenAreDrawnTogether(t *testing.T) {
	p := packsPage()
	var short []train.DrawnDocument
	for range 1000 {
		short = append(short, train.DrawnDocument{Source: 1, Tokens: 1})
	}
	p.Plan.Capacity = 100000
	p.Packs = []train.Drawn{{Step: 1, Pack: 1, Documents: short}}
	plot := string(p.bars().Plot)
	if n := strings.Count(plot, `class="doc`); n == 0 || n > 10 {
		t.Errorf("%d pieces for a thousand documents of a hundredth of a pack, want a few", n)
	}
}

func TestNotesSayWhereThePackerChangesTheObjective(t *testing.T) {
	p := packsPage()
	for _, c := range []struct{ name, weighting, want string }{
		{"another weighting's", "token", "8 % with best_fit_decreasing."},
		{"the config's own", "longwriter", "; this config has best_fit_decreasing, and they carry 8 %."},
	} {
		p.Packing.Weighting = c.weighting
		notes := PackNotes(p.Packing, p.Comparison)
		if len(notes) != 1 || !strings.HasSuffix(notes[0], c.want) {
			t.Errorf("%s: %q, want one note that ends with %q", c.name, notes, c.want)
		}
	}
	p.Comparison.Packers = p.Comparison.Packers[:1]
	if notes := PackNotes(p.Packing, p.Comparison); len(notes) != 1 || !strings.Contains(notes[0], "the packers agree") {
		t.Errorf("%q, want that they agree", notes)
	}
}
