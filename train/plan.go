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
