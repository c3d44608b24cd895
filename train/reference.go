package train

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"

	"lwtrain/data/store"
	"lwtrain/engine"
	"lwtrain/internal/fault"
)

// referenceContent is the name of the reference's content in a run's identity.
const referenceContent = "reference"

// hasReference reports whether log-ratios are taken to a model.
func (p *preferences) hasReference() bool { return p.losses.NeedsReference() }

// open implements method: it opens a reference that is a folder.
func (p *preferences) open() (map[string]string, error) {
	if !p.hasReference() || p.losses.Reference == "initial" {
		return nil, nil
	}
	var err error
	if p.loaded, err = p.engine.Reference(p.losses.Reference); err != nil {
		return nil, fault.Usage(fmt.Errorf("dpo.reference: %w", err))
	}
	return map[string]string{referenceContent: p.loaded.Model()}, nil
}

// prepare gets what the reference says of every answer: from the cache, or by
// asking it. The model still has the weights that training starts from.
func (p *preferences) prepare(ctx context.Context) error {
	defer p.close()
	if !p.hasReference() {
		return nil
	}
	by, inputs := engine.Scorer(p.engine), maps.Clone(p.store.Contents())
	if p.loaded != nil {
		by = p.loaded
	}
	inputs["precision"] = p.engine.Needs().Precision
	inputs["reference"] = by.Model()
	var answers []int
	for _, pair := range p.all {
		answers = append(answers, pair.Answers()...)
	}
	replies := own(answers)
	if p.labelled {
		replies = append(replies, p.mismatches(p.all)...)
		inputs["mismatched answers"] = fmt.Sprintf("seed %d, packs of %d", p.seed, p.capacity)
	}
	scores, err := store.ReadLogProbs(p.cacheDir, inputs, len(replies))
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) && p.events.Broken != nil {
			p.events.Broken("what is kept of the reference", err)
		}
		if scores, err = p.ask(ctx, by, replies); err != nil {
			return err
		}
		if err := store.WriteLogProbs(p.cacheDir, inputs, scores); err != nil {
			return err
		}
	}
	p.reference = make(map[reply]store.LogProbs, len(replies))
	for i, r := range replies {
		if s := scores[i]; !finite(s.LogP) {
			return fmt.Errorf("the reference gives the answer of %s a log-probability of %v, want a finite one", p.store.Origin(r.answer), s.LogP)
		}
		p.reference[r] = scores[i]
	}
	return nil
}

// ask scores replies with the reference.
func (p *preferences) ask(ctx context.Context, by engine.Scorer, replies []reply) ([]store.LogProbs, error) {
	done, total := int64(0), int64(0)
	for _, r := range replies {
		total += int64(r.tokens(p.store))
	}
	return scoring{p.store, p.capacity, p.shared, func(tokens int) {
		if done += int64(tokens); p.events.Scoring != nil {
			p.events.Scoring(done, total)
		}
	}}.score(ctx, by, replies)
}

// startTolerance is how far margins may be from 0 before the first update, where
// model and reference are the same weights: only packs and roundings differ. It is
// for a beta of 0.1 and answers of up to 1,000 tokens.
var startTolerance = map[string]float64{"float32": 1e-3, "bf16": 5e-2}

// checkStart compares the first step with what must come out of it where the
// reference is the model itself: margins (of labelled answers rewards and z) of 0, and
// from DPO's loss ln 2. Roundings of a sum grow as the root of its terms, and beta
// multiplies them.
func (p *preferences) checkStart(m *tally) error {
	if !p.hasReference() || p.losses.Reference != "initial" {
		return nil
	}
	margin, longest := 0.0, 0.0
	for i, d := range m.margins {
		margin += math.Abs(d) / float64(len(m.margins))
		longest = max(longest, m.tokens[i])
	}
	most := startTolerance[p.engine.Needs().Precision] * max(1, p.losses.Beta/0.1*math.Sqrt(longest/1000))
	v := m.values()
	problem := ""
	if !(margin <= most) {
		problem = fmt.Sprintf("the mean of the margins' absolute values is %.4g, want 0", margin)
	}
	if p.labelled && !(p.losses.Beta*v["kl"] <= most) {
		problem = fmt.Sprintf("the estimate of the KL divergence is %.4g, want 0", v["kl"])
	}
	plain := slices.Equal(p.losses.LossType, []string{"sigmoid"}) && len(p.losses.LossWeights) == 0
	if loss := v["loss"] - p.losses.SFTWeight*v["nll_loss"]; plain && !(math.Abs(loss-math.Ln2) <= most) {
		problem = fmt.Sprintf("the loss is %.4g, want ln 2 = %.4g", loss, math.Ln2)
	}
	if problem == "" {
		return nil
	}
	return fault.Hint(fmt.Errorf("%s: before the first update model and reference are the same weights, and they disagree by more than %g", problem, most),
		"the log-probabilities kept under data.cache_dir are not this model's: remove its reference-... folders; with bf16 try train.precision: float32")
}
