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
		Packs: len(b.first.packs), Capacity: b.packing.Capacity, Shares: shares,
		Attention: packing.AttentionBalance(b.first.packs, b.perStep, lengths(b.data, b.first.samples)),
	}
	for _, i := range b.first.samples {
		p.Documents++
		p.Tokens += int64(b.data.Tokens(int(i)))
		p.TargetTokens += int64(b.data.Targets(int(i)))
	}
	return p, nil
}

// carriers are samples as shares of the loss see them, by their place. Their answers are read where they are asked for.
func (e *Epochs) carriers(samples []int32, answers bool) (func(place int32) packing.Carrier, error) {
	plain := func(i int32) packing.Carrier { return e.carrier(int(samples[i])) }
	if !answers {
		return plain, nil
	}
	counts := make([]int32, len(samples))
	for i, id := range samples {
		s, err := e.data.Sample(int(id))
		if err != nil {
			return nil, err
		}
		for _, t := range s.Target {
			if t[1] > 1 { // a first token is no target
				counts[i]++
			}
		}
	}
	return func(i int32) packing.Carrier {
		c := plain(i)
		c.Answers = int(counts[i])
		return c
	}, nil
}

// Shares tells who carries how much of the first epoch's loss under a weighting: each
// source, then each range of words of the answers.
func (b *Batches) Shares(weighting string) (_ []Share, err error) {
	how := b.packing
	how.Weighting = weighting
	of, err := b.carriers(b.first.samples, how.NeedsAnswers())
	if err != nil {
		return nil, err
	}
	loss, err := how.Shares(b.first.packs, b.perStep, len(b.first.samples), of)
	if err != nil {
		return nil, err
	}
	sources := b.data.Sources()
	bySource := make([]Share, len(sources))
	for i, s := range sources {
		bySource[i] = Share{Kind: "source", Name: s.Name}
	}
	byWords := newWordShares()
	for i, at := range b.first.samples {
		id := int(at)
		for _, s := range [...]*Share{&bySource[b.data.Source(id)], &byWords[prose.RangeOf(b.data.Words(id))]} {
			s.Documents++
			s.Tokens += int64(b.data.Tokens(id))
			s.TargetTokens += int64(b.data.Targets(id))
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
	samples := b.first.samples
	carrier, err := b.carriers(samples, true)
	if err != nil {
		return Comparison{}, err
	}
	to := b.ledger()
	out := Comparison{Long: prose.Ranges[to.long].Name}
	sizes := lengths(b.data, samples)
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
			loss, err := how.Shares(packs, b.perStep, len(samples), carrier)
			if err != nil {
				return out, err
			}
			p.Sources[how.Weighting], p.Words[how.Weighting], p.Long[how.Weighting] = to.add(loss)
		}
		out.Packers = append(out.Packers, p)
	}
	return out, nil
}

// ledger says to which accounts shares of the loss are added, by places: to ask a map for each of millions of samples
// takes longer than to pack them.
type ledger struct {
	*Batches
	names []string // of sources, each once
	named []int    // the place in it of each source's
	words []uint8  // of each sample, the place in [prose.Ranges]
	long  int      // the first range that is called long
}

func (b *Batches) ledger() ledger {
	out := ledger{Batches: b, words: make([]uint8, len(b.first.samples))}
	for _, s := range b.data.Sources() {
		at := slices.Index(out.names, s.Name)
		if at < 0 {
			at, out.names = len(out.names), append(out.names, s.Name)
		}
		out.named = append(out.named, at)
	}
	for i, id := range b.first.samples {
		n := prose.RangeOf(b.data.Words(int(id)))
		out.words[i], out.long = uint8(n), max(out.long, n)
	}
	out.long = min(out.long, longFrom)
	return out
}

// add adds up the shares of the samples.
func (l ledger) add(loss []float64) (sources, words Shared, long float64) {
	type account struct {
		sum  float64
		used bool
	}
	bySource, byWords := make([]account, len(l.names)), make([]account, len(prose.Ranges))
	for i, id := range l.first.samples {
		in := l.words[i]
		for _, a := range [...]*account{&bySource[l.named[l.data.Source(int(id))]], &byWords[in]} {
			a.sum, a.used = a.sum+loss[i], true
		}
		if int(in) >= l.long {
			long += loss[i]
		}
	}
	sources, words = Shared{}, Shared{}
	for i, a := range bySource {
		if a.used {
			sources[l.names[i]] = a.sum
		}
	}
	for i, a := range byWords {
		if a.used {
			words[prose.Ranges[i].Name] = a.sum
		}
	}
	return sources, words, long
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
