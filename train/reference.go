package train

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"lwtrain/data/store"
	"lwtrain/dpo"
	"lwtrain/engine"
	"lwtrain/internal/fault"
)

// referenceContent is the name of the reference's content in a run's identity.
const referenceContent = "reference"

// hasReference reports whether log-ratios are taken to a model.
func (p *preferences) hasReference() bool { return p.losses.NeedsReference() }

// open implements method: it opens a reference that is a folder.
func (p *preferences) open() (map[string]string, error) {
	if !p.hasReference() || p.losses.Reference == dpo.Initial || p.losses.Reference == dpo.Base {
		return nil, nil
	}
	var err error
	if p.loaded, err = p.engine.Reference(p.losses.Reference); err != nil {
		return nil, fault.Usage(fmt.Errorf("dpo.reference: %w", err))
	}
	hash, err := p.loaded.Model()
	return map[string]string{referenceContent: hash}, err
}

// prepare gets what the reference says of every answer: from the cache, or by
// asking it. The model still has the weights that training starts from.
func (p *preferences) prepare(ctx context.Context) error {
	defer p.close()
	if !p.hasReference() {
		return nil
	}
	by, inputs := engine.Scorer(p.engine), maps.Clone(p.set.Contents())
	if p.loaded != nil {
		by = p.loaded
	}
	needs := p.engine.Needs()
	if inputs["precision"] = needs.Precision; needs.By != "" { // roundings of bf16 are no margins
		inputs["computed by"] = needs.By
	}
	var err error
	if inputs["reference"], err = by.Model(); err != nil {
		return err
	}
	if p.losses.Reference == dpo.Base {
		inputs["reference"] += " without adapters"
	}
	used := p.used()
	if len(used) < len(p.all) {
		inputs["pairs"] = fmt.Sprintf("of the first %d steps of %d pairs, seed %d", p.total, p.perStep, p.seed)
	}
	if p.labelled {
		inputs["mismatched answers"] = fmt.Sprintf("seed %d, packs of %d", p.seed, p.capacity)
	}
	units := p.asked(used)
	if slices.ContainsFunc(units, func(u unit) bool { return u.once > 0 }) {
		inputs["prompts"] = "computed once" // which changes roundings
	}
	replies := repliesOf(units)
	scores, err := store.ReadLogProbs(p.cacheDir, inputs, len(replies))
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) && p.events.Broken != nil {
			p.events.Broken("what is kept of the reference", err)
		}
		if scores, err = p.ask(ctx, by, units); err != nil {
			return err
		}
		if err := store.WriteLogProbs(p.cacheDir, inputs, scores); err != nil {
			return err
		}
	}
	p.reference = make(map[reply]store.LogProbs, len(replies))
	for i, r := range replies {
		if s := scores[i]; !finite(s.LogP) {
			return fmt.Errorf("the reference gives the answer of %s a log-probability of %v, want a finite one",
				p.set.Origin(r.answer), s.LogP)
		}
		p.reference[r] = scores[i]
	}
	return nil
}

// ask scores the replies of units with the reference.
func (p *preferences) ask(ctx context.Context, by engine.Scorer, units []unit) ([]store.LogProbs, error) {
	done, total := int64(0), tokensOf(p.set, units)
	if p.events.Asking != nil {
		p.events.Asking(len(repliesOf(units)), total)
	}
	return scoring{p.set, p.capacity, p.shared, engine.ScoreOptions{Base: p.losses.Reference == dpo.Base}, func(tokens int) {
		if done += int64(tokens); p.events.Scoring != nil {
			p.events.Scoring(done, total)
		}
	}}.score(ctx, by, units)
}
