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
	Tokens        int64 // in an epoch, without padding
	TargetTokens  int64
	Attention     float64 // of an epoch, by [packing.AttentionBalance]
	Shares        []Share // by source, then by length of the answers

	Pairs     int  // in an epoch of preference training, else 0
	Split     int  // of them, whose sides do not fit into one pack together
	Labelled  bool // they are labelled answers, for KTO
	Desirable int  // of these
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

// Shares tells who carries how much of the first epoch's loss under a weighting: each
// source, then each range of words of the answers.
func (b *Batches) Shares(weighting string) ([]Share, error) {
	sources := b.data.Sources()
	targets := make([]int, len(b.first.samples))
	factors := make([]float64, len(b.first.samples))
	for i, id := range b.first.samples {
		targets[i], factors[i] = b.data.Targets(id), sources[b.data.Source(id)].LossFactor
	}
	loss, err := packing.Shares(b.first.packs, b.perStep, targets, factors, weighting)
	if err != nil {
		return nil, err
	}
	bySource := make([]Share, len(sources))
	for i, s := range sources {
		bySource[i] = Share{Kind: "source", Name: s.Name}
	}
	byWords := newWordShares()
	for i, id := range b.first.samples {
		for _, s := range []*Share{&bySource[b.data.Source(id)], &byWords[prose.RangeOf(b.data.Words(id))]} {
			s.Documents++
			s.Tokens += int64(b.data.Tokens(id))
			s.TargetTokens += int64(targets[i])
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
