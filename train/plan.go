package train

import (
	"lwtrain/data"
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

// PlanRun plans steps, packs and shares of the loss. It needs no model.
func PlanRun(store *data.Store, pack packing.Options, opt Options, seed uint64) (*Plan, error) {
	b, err := newBatches(store, pack, opt, seed)
	if err != nil {
		return nil, err
	}
	return b.summary(opt)
}

func (b *batches) summary(opt Options) (*Plan, error) {
	packs, err := packing.Epoch(b.packing, b.lengths(b.data.Train()), b.seed, 0)
	if err != nil {
		return nil, err
	}
	p := &Plan{
		Schedule: opt.schedule(b.total), StepsPerEpoch: (len(packs) + b.perStep - 1) / b.perStep, Epochs: b.epoch(b.total),
		Packs: len(packs), Capacity: b.packing.Capacity, Documents: len(b.data.Train()),
	}
	sources := b.data.Sources()
	targets := make([]int, p.Documents)
	factors := make([]float64, p.Documents)
	for i, id := range b.data.Train() {
		targets[i], factors[i] = b.data.Targets(id), sources[b.data.Source(id)].LossFactor
	}
	loss, err := packing.Shares(packs, b.perStep, targets, factors, b.packing.Weighting)
	if err != nil {
		return nil, err
	}
	bySource := make([]Share, len(sources))
	for i, s := range sources {
		bySource[i] = Share{Kind: "source", Name: s.Name}
	}
	byWords := make([]Share, len(prose.Ranges))
	for i, k := range prose.Ranges {
		byWords[i] = Share{Kind: "words", Name: k.Name}
	}
	for i, id := range b.data.Train() {
		for _, s := range []*Share{&bySource[b.data.Source(id)], &byWords[prose.RangeOf(b.data.Words(id))]} {
			s.Documents++
			s.Tokens += int64(b.data.Tokens(id))
			s.TargetTokens += int64(targets[i])
			s.Loss += loss[i]
		}
		p.Tokens += int64(b.data.Tokens(id))
		p.TargetTokens += int64(targets[i])
	}
	for _, s := range append(bySource, byWords...) {
		if s.Documents > 0 {
			p.Shares = append(p.Shares, s)
		}
	}
	return p, nil
}
