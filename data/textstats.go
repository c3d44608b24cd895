package data

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"

	"lwtrain/data/record"
	"lwtrain/data/store"
	"lwtrain/internal/fault"
	"lwtrain/internal/plainjson"
	"lwtrain/internal/prose"
)

// statsFormat is the number of the form of [Stats] in JSON.
const statsFormat = 1

// Stats is what is in the data of a run: `lwtrain stats --json`. Keys may be
// added to it, and none is renamed.
type Stats struct {
	Format    int         `json:"format"`
	MaxLength int         `json:"max_length"`
	TooLong   string      `json:"too_long"`
	Weighting string      `json:"weighting,omitempty"` // that the run trains with
	Sources   []TextStats `json:"sources"`
	Mix       TextStats   `json:"mix"`
}

// TextStats is what is in one source, or in the mix of all.
type TextStats struct {
	SourceStats
	Characters       int64               `json:"characters"` // of the answers
	PromptWords      int64               `json:"prompt_words"`
	PromptCharacters int64               `json:"prompt_characters"`
	LossShare        map[string]float64  `json:"loss_share,omitempty"` // of the first epoch, by weighting
	Lengths          AllLengths          `json:"lengths"`
	Buckets          []Bucket            `json:"buckets"` // by words of the answers
	Limits           []Limit             `json:"limits"`
	Languages        map[string]int      `json:"languages"`  // samples; by the letters of the answers
	Duplicates       int                 `json:"duplicates"` // samples that are equal to an earlier one of the mix
	Suspicious       map[string]Suspects `json:"suspicious"`
	Required         Required            `json:"required"`
	Longest          []Longest           `json:"longest"`
}

// AllLengths are the lengths of the samples, before cutting. Words are counted
// by [prose.Words], without roles and template; prompt tokens are all that are no
// targets, the template's included.
type AllLengths struct {
	PromptWords  Lengths `json:"prompt_words"`
	PromptTokens Lengths `json:"prompt_tokens"`
	OutputWords  Lengths `json:"output_words"`
	OutputTokens Lengths `json:"output_tokens"`
	Tokens       Lengths `json:"tokens"`
}

// Limit is what another max_length would do: samples that are longer, and the
// tokens behind it. To one part in 2,048.
type Limit struct {
	MaxLength  int64 `json:"max_length"`
	Longer     int64 `json:"longer"`
	LostTokens int64 `json:"lost_tokens"` // by cutting; skipping loses the whole samples
}

// Suspects counts samples that look wrong in one way, and names the first.
type Suspects struct {
	Samples  int      `json:"samples"`
	Examples []string `json:"examples,omitempty"` // file:line
}

// Longest is one of the longest samples by words of the answers.
type Longest struct {
	Origin string `json:"origin"` // file:line
	Source string `json:"source"`
	Words  int    `json:"words"`
	Tokens int    `json:"tokens"` // before cutting
}

const (
	longestKept  = 10
	pointsKept   = 500
	examplesKept = 3
)

// drawn is a point on its way into a sample of points: those with the smallest
// hashes are a fair draw, and the same in whatever order they come.
type drawn struct {
	hash uint64
	Point
}

func byHash(a, b drawn) int {
	return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.Required, b.Required), cmp.Compare(a.Real, b.Real))
}

// gathering is the state of counting one source or the mix.
type gathering struct {
	promptWords, promptTokens, outputWords, outputTokens, tokens, ratio histogram

	buckets     []Bucket
	languages   [4]int
	suspicious  [6]Suspects
	characters  int64
	promptChars int64
	score       float64
	good        int
	points      top[drawn]
	longest     top[Longest]

	sides [2]*gathering // of preferences: the chosen answers, the rejected ones; nil where there are none
}

func newGathering() *gathering {
	return &gathering{
		buckets: ranges(), points: top[drawn]{n: pointsKept, less: byHash},
		longest: top[Longest]{n: longestKept, less: func(a, b Longest) int {
			return cmp.Or(cmp.Compare(b.Words, a.Words), cmp.Compare(b.Tokens, a.Tokens))
		}},
	}
}

func ranges() []Bucket {
	out := make([]Bucket, len(prose.Ranges))
	for i, r := range prose.Ranges {
		out[i] = Bucket{Name: r.Name, From: r.From}
	}
	return out
}

// add counts a sample, and of preferences in its side, too.
func (g *gathering) add(e store.Entry, f record.Facts, at func() Longest) {
	g.count(e, f, at)
	if e.Kind == record.Plain {
		return
	}
	side := &g.sides[0]
	if e.Kind == record.Rejected || e.Kind == record.Disliked {
		side = &g.sides[1]
	}
	if *side == nil {
		*side = newGathering()
	}
	(*side).count(e, f, at)
}

func (g *gathering) count(e store.Entry, f record.Facts, at func() Longest) {
	g.promptWords.add(int64(f.PromptWords))
	g.promptTokens.add(int64(e.Tokens - e.Targets))
	g.outputWords.add(int64(e.Words))
	g.outputTokens.add(int64(e.Targets))
	g.tokens.add(int64(e.Tokens))
	g.characters += int64(f.AnswerChars)
	g.promptChars += int64(f.PromptChars)
	b := &g.buckets[prose.RangeOf(int(e.Words))]
	b.Samples++
	b.TargetTokens += int64(e.Targets)
	g.languages[min(f.Language, prose.Other)]++
	for i := range record.Suspicions {
		if f.Suspicions&(1<<i) == 0 {
			continue
		}
		s := &g.suspicious[i]
		if s.Samples++; len(s.Examples) < examplesKept {
			s.Examples = append(s.Examples, at().Origin)
		}
	}
	if x := f.Required.Words(); x > 0 {
		s := prose.LengthScore(x, int(f.Real))
		g.score += s
		if s >= 80 {
			g.good++
		}
		g.ratio.add(int64(f.Real) * 1000 / int64(x))
		g.points.add(drawn{f.Hash, Point{x, int(f.Real)}})
	}
	if n := len(g.longest.list); n < longestKept || int(e.Words) > g.longest.list[n-1].Words {
		g.longest.add(at())
	}
}

func (g *gathering) contents(s SourceStats) TextStats {
	c := TextStats{
		SourceStats: s, Characters: g.characters, PromptWords: g.promptWords.sum, PromptCharacters: g.promptChars,
		Lengths: AllLengths{
			g.promptWords.lengths(), g.promptTokens.lengths(), g.outputWords.lengths(), g.outputTokens.lengths(), g.tokens.lengths(),
		},
		Buckets: slices.Clone(g.buckets), Limits: limits(&s.whole), Languages: map[string]int{}, Suspicious: map[string]Suspects{},
		Longest: append([]Longest{}, g.longest.list...),
	}
	for i, name := range prose.Languages {
		c.Languages[name] = g.languages[i]
	}
	for i, name := range record.Suspicions {
		c.Suspicious[name] = g.suspicious[i]
	}
	if g.ratio.n > 0 {
		c.Required = g.required()
		for _, p := range g.points.list {
			c.Required.Points = append(c.Required.Points, p.Point)
		}
	}
	for i, to := range []*Side{&c.Chosen, &c.Rejected} {
		if side := g.sides[i]; side != nil {
			words, tokens := side.outputWords.lengths(), side.outputTokens.lengths()
			to.OutputWords, to.OutputTokens, to.Buckets = &words, &tokens, slices.Clone(side.buckets)
			if side.ratio.n > 0 {
				r := side.required()
				to.Required = &r
			}
		}
	}
	return c
}

// required is without points.
func (g *gathering) required() Required {
	n := g.ratio.n
	return Required{Samples: int(n), Score: g.score / float64(n), Good: g.good, MedianRatio: float64(g.ratio.quantile(.5)) / 1000}
}

// All lists the sources and then, where there are several, the mix.
func (s *Stats) All() []*TextStats {
	var out []*TextStats
	for i := range s.Sources {
		out = append(out, &s.Sources[i])
	}
	if len(out) == 1 {
		return out
	}
	return append(out, &s.Mix)
}

// limits tries powers of two, from the first that something is longer than at
// least 512 to the last.
func limits(whole *histogram) []Limit {
	out := []Limit{}
	for l := int64(512); l < whole.max; l *= 2 {
		n, lost := whole.above(l)
		out = append(out, Limit{l, n, lost})
	}
	return out
}

// Stats counts what is in the set, in one pass over the facts that were kept
// of its samples, in memory that does not grow with them.
func (s *Set) Stats(opts Options) (*Stats, error) {
	mix := newGathering()
	each := make([]*gathering, len(s.stores))
	for i := range each {
		each[i] = newGathering()
	}
	if len(each) == 1 {
		mix = each[0] // nothing is counted twice
	}
	facts, err := s.facts()
	if err != nil {
		return nil, err
	}
	err = s.eachConversation(func(i int, p piece) error {
		e := s.entry(i)
		f, err := facts[p.source].At(int(p.conversation))
		at := func() Longest {
			return Longest{s.At(int(p.source), int(e.Line)), s.sources[p.source].Name, int(e.Words), int(e.Tokens)}
		}
		if of := each[p.source]; of != mix {
			of.add(e, f, at)
		}
		mix.add(e, f, at)
		return err
	})
	if err != nil {
		return nil, err
	}
	copies, err := s.duplicates()
	if err != nil {
		return nil, err
	}
	out := &Stats{Format: statsFormat, MaxLength: opts.MaxLength, TooLong: opts.TooLong, Mix: mix.contents(s.Mix())}
	for i, g := range each {
		c := g.contents(s.sources[i])
		c.Duplicates = copies[i]
		out.Mix.Duplicates += copies[i]
		out.Sources = append(out.Sources, c)
	}
	return out, nil
}

// facts are readers of the facts of each source's conversations.
func (s *Set) facts() (readers []*store.FactsReader, err error) {
	readers = make([]*store.FactsReader, len(s.stores))
	for i, p := range s.stores {
		if readers[i], err = p.Facts(); err != nil {
			return nil, err
		}
	}
	return readers, nil
}

// eachConversation goes through the conversations that are used, once each, by the first of the
// pieces that one is cut into.
func (s *Set) eachConversation(see func(sample int, p piece) error) error {
	last := piece{source: -1}
	for i := range s.pieces.len() {
		p := s.pieces.at(i)
		if p.source == last.source && p.conversation == last.conversation && p.from > last.from {
			last = p
			continue
		}
		last = p
		if err := see(i, p); err != nil {
			return err
		}
	}
	return nil
}

// hashesHeld is how many hashes are held at a time: more samples take more
// passes, not more memory (16 bytes each).
var hashesHeld = 1 << 22

// duplicates counts for each source the samples that are equal to an earlier
// one of the mix.
func (s *Set) duplicates() ([]int, error) {
	type held struct {
		hash   uint64
		source int32
	}
	facts, err := s.facts()
	if err != nil {
		return nil, err
	}
	copies := make([]int, len(s.stores))
	passes := uint64(s.pieces.len()/hashesHeld + 1)
	all := make([]held, 0, min(s.pieces.len(), hashesHeld))
	for pass := range passes {
		all = all[:0]
		err := s.eachConversation(func(_ int, p piece) error {
			hash, err := facts[p.source].Hash(int(p.conversation))
			if hash%passes == pass {
				all = append(all, held{hash, p.source})
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		slices.SortFunc(all, func(a, b held) int {
			return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.source, b.source))
		})
		for i := 1; i < len(all); i++ {
			if all[i].hash == all[i-1].hash {
				copies[all[i].source]++
			}
		}
	}
	return copies, nil
}

// AddLossShare notes which part of the loss a source or a range of words
// ([prose.Ranges]) carries under a weighting.
func (s *Stats) AddLossShare(kind, name, weighting string, share float64) {
	note := func(to *map[string]float64) {
		if *to == nil {
			*to = map[string]float64{}
		}
		(*to)[weighting] = share
	}
	for i := range s.Sources {
		if kind == "source" && s.Sources[i].Name == name {
			note(&s.Sources[i].LossShare)
		}
	}
	for i := range s.Mix.Buckets {
		if kind == "words" && s.Mix.Buckets[i].Name == name {
			note(&s.Mix.Buckets[i].LossShare)
		}
	}
}

// Bounds of a file of statistics: its bytes, and the values in it, of which an empty source becomes 900 bytes.
const (
	maxStats  = 64 << 20
	maxValues = 1 << 19
)

// ReadStats reads what `lwtrain stats --json` printed.
func ReadStats(path string) (*Stats, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Usage(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxStats))
	if err != nil {
		return nil, fault.Usage(fmt.Errorf("%s: %w", path, err))
	}
	const hint = "`lwtrain stats -c CONFIG --json > FILE` writes such a file"
	s := &Stats{}
	if err := plainjson.Decode(raw, maxValues, s); err != nil {
		return nil, fault.Usage(fault.Hint(fmt.Errorf("no statistics: %w", plainjson.In(path, err)), hint))
	}
	if s.Format != statsFormat || s.Mix.Name == "" {
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: statistics of format %d, want %d", path, s.Format, statsFormat), hint))
	}
	return s, nil
}
