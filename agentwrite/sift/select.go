package sift

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"lwtrain/internal/prose"
)

// Select says which instructions are taken. Each field is a key of the YAML: package configs shows
// its comment to users and checks values by its tags.
type Select struct {
	// words that an instruction has to ask for, of a range its upper end
	MinWords int `yaml:"min_words" min:"0"`
	// words that it may ask for; 0: no bound
	MaxWords int `yaml:"max_words" min:"0"`
	// required: only instructions that state a length; any: those that state none, too
	StatedLength string `yaml:"stated_length" enum:"any|required"`
	// languages of the answers that are asked for, as lwtrain stats tells them apart; none named: all
	Languages []string `yaml:"languages" enum:"en|zh|mixed|other"`
	// shares of the languages in what is taken: {zh: 0.5, en: 0.5}; all 0: as they come
	Ratio Ratio `yaml:"ratio"`
	// how many are taken, the first ones; 0: all
	Most int `yaml:"most" min:"0"`
	// which are left out as copies of earlier ones: exact ones (but for case, blanks and punctuation), or near ones too
	// (MinHash, near_share of their five-grams of words or Chinese characters in common)
	Dedup string `yaml:"dedup" enum:"none|exact|near"`
	// of dedup: near
	NearShare float64 `yaml:"near_share" min:"0.6" max:"1"`
	// leave out what has words of the list of toxic ones
	Toxic bool `yaml:"toxic"`
	// leave out what is after data: system prompts, texts word for word, records by the hundred
	Scraping bool `yaml:"scraping"`
	// ask the writer whether the instruction needs an answer of thousands of words, and leave out what it says no to
	AskModel bool `yaml:"ask_model"`
}

// Ratio is the shares of languages; they need not sum up to 1.
type Ratio struct {
	// English
	EN float64 `yaml:"en" min:"0" max:"1"`
	// Chinese
	ZH float64 `yaml:"zh" min:"0" max:"1"`
	// of both
	Mixed float64 `yaml:"mixed" min:"0" max:"1"`
	// any other
	Other float64 `yaml:"other" min:"0" max:"1"`
}

// DefaultSelect is what holds where nothing else is said: LongWriter-6k's length, both its languages.
func DefaultSelect() Select {
	return Select{
		MinWords: 2000, StatedLength: "any", Languages: []string{"en", "zh"}, Dedup: "near", NearShare: 0.8, Toxic: true, Scraping: true,
	}
}

// Validate returns what is wrong between the options, by key; nil when nothing is.
func (o Select) Validate() map[string]string {
	bad := map[string]string{}
	if o.MaxWords > 0 && o.MaxWords < o.MinWords {
		bad["max_words"] = fmt.Sprintf("%d, want at least min_words (%d)", o.MaxWords, o.MinWords)
	}
	for i, share := range o.Ratio.shares() {
		if name := prose.Languages[i]; share > 0 && len(o.Languages) > 0 && !slices.Contains(o.Languages, name) {
			bad["ratio."+name] = fmt.Sprintf("%g, and %s is none of the languages that are taken, want it in languages", share, name)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return bad
}

// shares are those of [prose.Languages].
func (r Ratio) shares() []float64 { return []float64{r.EN, r.ZH, r.Mixed, r.Other} }

// Instruction is what an answer is written to.
type Instruction struct {
	Text string
	// Before is what the conversation holds before it: copies have that in common, too.
	Before string
	// Words are those that it asks for, of which somebody knows; 0: what its text states.
	Words int
	// Least is the lower end of a range that somebody knows, whose upper end is Words, or which has none where both are the
	// same; 0: it is no range.
	Least int
}

// Asked is how many words an instruction asks for; 0: it does not say.
func (i Instruction) Asked() int {
	if i.Words > 0 {
		return i.Words
	}
	return prose.StatedLength(i.Text).Words()
}

// Score is S_l of so many words, within a range 100.
func (i Instruction) Score(words int) float64 {
	switch {
	case i.Least == 0:
		return prose.LengthScore(i.Asked(), words)
	case i.Least == i.Words: // it has no upper end
		return prose.BoundScore(i.Least, 0, words)
	}
	return prose.BoundScore(i.Least, i.Words, words)
}

// Rules judges instructions by all that needs no model. Those that are taken may be asked about
// ([NeedsLength]); then follows [Select.Balance].
func (o Select) Rules(all []Instruction) []Verdict {
	verdicts := make([]Verdict, len(all))
	texts := make([]string, len(all))
	for i, x := range all {
		texts[i] = x.Before + x.Text
		verdicts[i] = o.rule(x)
	}
	copies(o.Dedup, o.NearShare, texts, verdicts, "instruction")
	return verdicts
}

// rule judges an instruction by itself.
func (o Select) rule(x Instruction) Verdict {
	if prose.Scan(x.Text).Letters.All() == 0 {
		return Verdict{NoText, "no letters"}
	}
	asked := x.Asked()
	switch language := prose.Languages[prose.AskedLanguage(x.Text)]; {
	case len(o.Languages) > 0 && !slices.Contains(o.Languages, language):
		return Verdict{Language, fmt.Sprintf("an answer of the language %s, want %s", language, strings.Join(o.Languages, " or "))}
	case asked == 0 && o.StatedLength == "required":
		return Verdict{NoLength, "no length is stated"}
	case asked > 0 && asked < o.MinWords:
		return Verdict{TooShortAsk, fmt.Sprintf("%d words are asked for, want at least %d", asked, o.MinWords)}
	case o.MaxWords > 0 && asked > o.MaxWords:
		return Verdict{TooLongAsk, fmt.Sprintf("%d words are asked for, want at most %d", asked, o.MaxWords)}
	}
	if found := toxicWords.find(x.Text, nil); o.Toxic && found != "" {
		return Verdict{Toxic, found}
	}
	if found := scrapingWords.find(x.Text, nil); o.Scraping && found != "" {
		return Verdict{Scraping, found}
	}
	return Verdict{}
}

// Balance leaves out, of instructions that are taken so far, those that are more than the ratio of
// languages lets in, or more than are wanted in all: the first ones stay. The language of which there is
// least for its share says how many there are.
func (o Select) Balance(all []Instruction, verdicts []Verdict) {
	shares := o.Ratio.shares()
	sum := 0.0
	for _, s := range shares {
		sum += s
	}
	languages := make([]prose.Language, len(all))
	there := make([]int, len(shares))
	total := 0
	for i, x := range all {
		if verdicts[i].Reason == "" {
			languages[i] = prose.AskedLanguage(x.Text)
			there[languages[i]]++
			total++
		}
	}
	room, scarce := quotas(shares, sum, there, o.Most)
	most := o.Most
	if most == 0 {
		most = total
	}
	taken := 0
	got := make([]int, len(shares))
	for i := range all {
		if verdicts[i].Reason != "" {
			continue
		}
		l := languages[i]
		switch {
		case got[l] == room[l] && sum > 0:
			verdicts[i] = Verdict{Surplus, fmt.Sprintf("%d of the language %s are taken, a share of %.2f%s",
				got[l], prose.Languages[l], shares[l]/sum, scarce)}
		case taken == most:
			verdicts[i] = Verdict{Surplus, fmt.Sprintf("%d are taken", most)}
		default:
			got[l]++
			taken++
		}
	}
}

// quotas are how many of each language are taken: as many in all as have the shares. scarce says of
// which language there are too few for more.
func quotas(shares []float64, sum float64, there []int, most int) (room []int, scarce string) {
	if sum == 0 {
		return there, ""
	}
	total := math.Inf(1)
	if most > 0 {
		total = float64(most)
	}
	for l, s := range shares {
		if s > 0 && float64(there[l])*sum/s < total {
			total = float64(there[l]) * sum / s
			scarce = fmt.Sprintf(": of %s there are %d", prose.Languages[l], there[l])
		}
	}
	room = make([]int, len(shares))
	for l, s := range shares {
		room[l] = min(there[l], int(math.Round(total*s/sum)))
	}
	return room, scarce
}
