package train

import (
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
		Packs: len(b.first.packs), Capacity: b.packing.Capacity, Shares: shares,
		Attention: packing.AttentionBalance(b.first.packs, b.perStep, lengths(b.data, b.first.samples)),
	}
	for _, id := range b.first.samples {
		p.Documents++
		p.Tokens += int64(b.data.Tokens(id))
		p.TargetTokens += int64(b.data.Targets(id))
	}
	return p, nil
}

// withAnswers are samples as shares of the loss see them; they are read.
func (e *Epochs) withAnswers(samples []int) ([]packing.Carrier, error) {
	out := e.carriers(samples)
	for i, id := range samples {
		s, err := e.data.Sample(id)
		if err != nil {
			return nil, err
		}
		for _, t := range s.Target {
			if t[1] > 1 { // a first token is no target
				out[i].Answers++
			}
		}
	}
	return out, nil
}

// Shares tells who carries how much of the first epoch's loss under a weighting: each
// source, then each range of words of the answers.
func (b *Batches) Shares(weighting string) (_ []Share, err error) {
	how := b.packing
	how.Weighting = weighting
	docs := b.carriers(b.first.samples)
	if how.NeedsAnswers() {
		if docs, err = b.withAnswers(b.first.samples); err != nil {
			return nil, err
		}
	}
	loss, err := how.Shares(b.first.packs, b.perStep, docs)
	if err != nil {
		return nil, err
	}
	sources := b.data.Sources()
	bySource := make([]Share, len(sources))
	for i, s := range sources {
		bySource[i] = Share{Kind: "source", Name: s.Name}
	}
	byWords := newWordShares()
	for i, id := range b.first.samples {
		for _, s := range []*Share{&bySource[b.data.Source(id)], &byWords[prose.RangeOf(b.data.Words(id))]} {
			s.Documents++
			s.Tokens += int64(b.data.Tokens(id))
			s.TargetTokens += int64(docs[i].Targets)
			s.Loss += loss[i]
		}
	}
	return filled(append(bySource, byWords...)), nil
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
	docs, err := b.withAnswers(b.first.samples)
	if err != nil {
		return Comparison{}, err
	}
	longest := 0
	for _, id := range b.first.samples {
		longest = max(longest, prose.RangeOf(b.data.Words(id)))
	}
	long := min(longest, longFrom)
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
		for _, n := range sizes {
			p.Waste -= int64(n)
		}
		p.Fill = 1 - float64(p.Waste)/float64(all)
		for _, how.Weighting = range packing.Weightings() {
			loss, err := how.Shares(packs, b.perStep, docs)
			if err != nil {
				return out, err
			}
			sources, words := Shared{}, Shared{}
			for i, id := range b.first.samples {
				in := prose.RangeOf(b.data.Words(id))
				sources[b.data.Sources()[b.data.Source(id)].Name] += loss[i]
				words[prose.Ranges[in].Name] += loss[i]
				if in >= long {
					p.Long[how.Weighting] += loss[i]
				}
			}
			p.Sources[how.Weighting], p.Words[how.Weighting] = sources, words
		}
		out.Packers = append(out.Packers, p)
	}
	return out, nil
}

// Drawn is a pack of the first epoch as it is drawn.
type Drawn struct {
	Step, Pack int     // from 1; within the step, from 1
	Attention  float64 // 1: one document fills the pack
	Documents  []DrawnDocument
}

// DrawnDocument is a document of a pack.
type DrawnDocument struct{ Source, Tokens int }

// Tokens are those of the pack, without padding.
func (d Drawn) Tokens() (n int) {
	for _, doc := range d.Documents {
		n += doc.Tokens
	}
	return n
}

// Draw are the packs of the first epoch, in the order of training.
func (b *Batches) Draw() []Drawn {
	out := make([]Drawn, len(b.first.packs))
	whole := packing.Attention.Of([]int{b.packing.Capacity})
	for i, p := range b.first.packs {
		samples := pick(b.first.samples, p)
		d := Drawn{Step: i/b.perStep + 1, Pack: i%b.perStep + 1}
		for _, id := range samples {
			d.Documents = append(d.Documents, DrawnDocument{b.data.Source(id), b.data.Tokens(id)})
		}
		d.Attention = packing.Attention.Of(lengths(b.data, samples)) / whole
		out[i] = d
	}
	return out
}
