package train

import (
	"slices"

	"lwtrain/internal/prose"
	"lwtrain/packing"
)

// Plan is what a run will do with its data, known before it starts.
type Plan struct {
	Schedule      Schedule
	StepsPerEpoch int
	Epochs        float64 // that the run goes through
	Packs         int     // in an epoch
	Capacity      int
	Documents     int   // in an epoch
	Tokens        int64 // in the packs of an epoch, without padding
	TargetTokens  int64
	Attention     float64 // of an epoch, by [packing.AttentionBalance]
	Shares        []Share // by source, then by length of the answers

	Pairs     int  // in an epoch of preference training, else 0
	Split     int  // of them, whose sides do not fit into one pack together
	Labelled  bool // they are labelled answers, for KTO
	Desirable int  // of these
	Once      Once // prompts of the pairs
}

// Once is what a plan tells of prompts that are computed once.
type Once struct {
	Pairs  int     // of an epoch that have theirs so
	Saved  float64 // of the work of an epoch, all pairs together
	Longer int     // pairs that may not, for they have more than Most tokens
	Most   int
	Why    string // what bounds that
}

// Fill is the share of the packs that is no padding.
func (p Plan) Fill() float64 { return float64(p.Tokens) / (float64(p.Packs) * float64(p.Capacity)) }

// Share is what part of the data has how much of the loss.
type Share struct {
	Kind         string // source, words
	Name         string // of the source, or a range of words
	Documents    int
	Tokens       int64
	TargetTokens int64
	Loss         float64 // by [packing.Shares], of the first epoch
}

// Plan sums up steps, packs and shares of the loss.
func (b *Batches) Plan() (*Plan, error) {
	shares, err := b.Shares(b.packing.Weighting)
	if err != nil {
		return nil, err
	}
	p := &Plan{
		Schedule: b.opt.schedule(b.total), StepsPerEpoch: b.stepsOf(b.first), Epochs: b.epoch(b.total),
		Packs: len(b.first.packs), Capacity: b.packing.Capacity, Shares: shares[0],
		Attention: packing.AttentionBalance(b.first.packs, b.perStep, lengths(b.data, b.first.samples)),
	}
	for _, i := range b.first.samples {
		p.Documents++
		p.Tokens += int64(b.data.Tokens(int(i)))
		p.TargetTokens += int64(b.data.Targets(int(i)))
	}
	return p, nil
}

// kinds are the samples of the first epoch by what they carry of a pack's loss, and by where that is told: of millions of
// short ones there are few.
type kinds struct {
	of       []int32 // of each sample, the place of its kind
	carriers []packing.Carrier
	told     []told
}

// told is where samples of a kind are told, by the places in [data.Set.Sources] and [prose.Ranges].
type told struct {
	source, words, documents int
	tokens                   int64
}

// kinds reads the number of answers only where a weighting asks for it.
func (b *Batches) kinds(weightings []string) (k kinds, err error) {
	var answers []int32
	if slices.ContainsFunc(weightings, packing.NeedsAnswers) {
		if answers, err = b.data.Answers(); err != nil {
			return k, err
		}
	}
	type key struct {
		packing.Carrier
		source, words int
	}
	places := map[key]int32{}
	k.of = make([]int32, len(b.first.samples))
	for i, at := range b.first.samples {
		id := int(at)
		of := key{b.carrier(id), b.data.Source(id), prose.RangeOf(b.data.Words(id))}
		if answers != nil {
			of.Answers = int(answers[id])
		}
		place, there := places[of]
		if !there {
			place = int32(len(k.told))
			places[of] = place
			k.carriers = append(k.carriers, of.Carrier)
			k.told = append(k.told, told{source: of.source, words: of.words})
		}
		k.of[i] = place
		k.told[place].documents++
		k.told[place].tokens += int64(b.data.Tokens(id))
	}
	return k, nil
}

// Shares tells who carries how much of the first epoch's loss under each of some weightings: each
// source, then each range of words of the answers.
func (b *Batches) Shares(weightings ...string) ([][]Share, error) {
	k, err := b.kinds(weightings)
	if err != nil {
		return nil, err
	}
	return b.shares(k, b.first.packs, weightings)
}

func (b *Batches) shares(k kinds, packs [][]int32, weightings []string) (out [][]Share, _ error) {
	how, counted := b.packing, packing.Count(packs, k.of, len(k.carriers))
	for _, how.Weighting = range weightings {
		loss, err := how.Shares(counted, b.perStep, k.carriers)
		if err != nil {
			return nil, err
		}
		sources := b.data.Sources()
		bySource := make([]Share, len(sources))
		for i, s := range sources {
			bySource[i] = Share{Kind: "source", Name: s.Name}
		}
		byWords := newWordShares()
		for i, t := range k.told {
			for _, s := range [...]*Share{&bySource[t.source], &byWords[t.words]} {
				s.Documents += t.documents
				s.Tokens += t.tokens
				s.TargetTokens += int64(t.documents) * int64(k.carriers[i].Targets)
				s.Loss += loss[i]
			}
		}
		out = append(out, filled(append(bySource, byWords...)))
	}
	return out, nil
}

// newWordShares are empty shares, one for each range of words.
func newWordShares() []Share {
	out := make([]Share, len(prose.Ranges))
	for i, r := range prose.Ranges {
		out[i] = Share{Kind: "words", Name: r.Name}
	}
	return out
}

// filled are the shares that have documents.
func filled(shares []Share) (out []Share) {
	for _, s := range shares {
		if s.Documents > 0 {
			out = append(out, s)
		}
	}
	return out
}

// Packed is a run's first epoch as a packer packs it.
type Packed struct {
	Strategy  string             `json:"strategy"`
	Packs     int                `json:"packs"`
	Steps     int                `json:"steps"`
	Fill      float64            `json:"fill"`              // share of the packs that is no padding
	Waste     int64              `json:"padding"`           // tokens
	Attention float64            `json:"attention_balance"` // by [packing.AttentionBalance]
	Long      map[string]float64 `json:"loss_of_long"`      // by weighting: the share of the loss of long answers
	Sources   map[string]Shared  `json:"loss_by_source"`
	Words     map[string]Shared  `json:"loss_by_words"`
}

// Shared is the share of the loss by name, of a source or of a range of words.
type Shared map[string]float64

// Comparison is a run's first epoch packed by each packer, under each weighting.
type Comparison struct {
	Long    string // which answers are called long: those from this many words on
	Packers []Packed
}

// longFrom is the first of [prose.Ranges] that is called long: models that were not trained to
// write long stop before it.
const longFrom = 2

// Compare packs the first epoch by every packer and tells who carries how much of the loss under
// every weighting. Where there are no long answers, those of the longest range are called so.
func (b *Batches) Compare() (Comparison, error) {
	weightings := packing.Weightings()
	k, err := b.kinds(weightings)
	if err != nil {
		return Comparison{}, err
	}
	long := 0
	for _, t := range k.told {
		long = min(max(long, t.words), longFrom)
	}
	out := Comparison{Long: prose.Ranges[long].Name}
	sizes := lengths(b.data, b.first.samples)
	for _, strategy := range packing.Strategies() {
		how := b.packing
		how.Strategy = strategy
		packs, err := packing.Epoch(how, sizes, b.perStep, b.seed, 0)
		if err != nil {
			return out, err
		}
		p := Packed{
			Strategy: strategy, Packs: len(packs), Steps: (len(packs) + b.perStep - 1) / b.perStep,
			Waste: int64(len(packs)) * int64(how.Capacity), Attention: packing.AttentionBalance(packs, b.perStep, sizes),
			Long: map[string]float64{}, Sources: map[string]Shared{}, Words: map[string]Shared{},
		}
		all := p.Waste
		for _, t := range k.told {
			p.Waste -= t.tokens
		}
		p.Fill = 1 - float64(p.Waste)/float64(all)
		shares, err := b.shares(k, packs, weightings)
		if err != nil {
			return out, err
		}
		for i, w := range weightings {
			p.Sources[w], p.Words[w] = Shared{}, Shared{}
			for _, s := range shares[i] {
				if s.Kind == "source" {
					p.Sources[w][s.Name] += s.Loss
				} else {
					p.Words[w][s.Name] = s.Loss
				}
			}
			for _, r := range prose.Ranges[long:] {
				p.Long[w] += p.Words[w][r.Name]
			}
		}
		out.Packers = append(out.Packers, p)
	}
	return out, nil
}

// Drawn is a pack of the first epoch as it is drawn.
type Drawn struct {
	Step, Pack int     // from 1; within the step, from 1
	Tokens     int     // without padding
	Attention  float64 // 1: one document fills the pack
	Documents  []DrawnDocument
}

// DrawnDocument is a document of a pack.
type DrawnDocument struct{ Source, Tokens int }

// DrawnWhole is of how many packs at most the documents are drawn.
const DrawnWhole = 48

// Draw are the packs of the first epoch, in the order of training, the first [DrawnWhole] with their documents.
func (b *Batches) Draw() []Drawn {
	out := make([]Drawn, len(b.first.packs))
	whole := packing.Attention.Of([]int32{int32(b.packing.Capacity)})
	for i := range out {
		samples := b.first.pack(i)
		d := Drawn{Step: i/b.perStep + 1, Pack: i%b.perStep + 1}
		for _, id := range samples {
			d.Tokens += b.data.Tokens(id)
			if i < DrawnWhole {
				d.Documents = append(d.Documents, DrawnDocument{b.data.Source(id), b.data.Tokens(id)})
			}
		}
		d.Attention = packing.Attention.Of(lengths(b.data, samples)) / whole
		out[i] = d
	}
	return out
}
