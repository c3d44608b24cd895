package train

import (
	"context"

	"lwtrain/data"
	"lwtrain/data/store"
	"lwtrain/dpo"
	"lwtrain/engine"
	"lwtrain/packing"
)

// preferences is the method of [DPO]. Pairs are known by their index in all; a
// labelled answer is a pair without its other side.
type preferences struct {
	*PairSteps
	engine    engine.Engine
	losses    dpo.Options
	cacheDir  string
	events    Events
	partner   map[int]int              // of each answer (sample) the other one of its pair
	loaded    engine.Scorer            // the reference, if it is a model of its own, until it has been asked
	reference map[reply]store.LogProbs // of all that is asked; nil: no reference
}

func newPreferences(job Job) (*preferences, error) {
	steps, err := NewPairSteps(job.Data, job.DPO, job.Capacity, job.Sharing, job.Options, job.Seed)
	if err != nil {
		return nil, err
	}
	p := &preferences{
		PairSteps: steps, engine: job.Engine, losses: job.DPO, cacheDir: job.CacheDir, events: job.Events,
		partner: map[int]int{},
	}
	for _, pair := range p.all {
		ids := pair.Answers()
		p.partner[ids[0]], p.partner[ids[len(ids)-1]] = ids[len(ids)-1], ids[0]
	}
	return p, nil
}

// close implements method: it closes the reference.
func (p *preferences) close() {
	if p.loaded != nil {
		p.loaded.Close()
		p.loaded = nil
	}
}

// shared is how many targets an answer and the other one of its pair both have.
func (p *preferences) shared(answer int) int {
	return min(p.set.Targets(answer), p.set.Targets(p.partner[answer]))
}

// side is a reply as the loss takes it.
func (p *preferences) side(r reply, policy store.LogProbs) dpo.Side {
	ref, asked := p.reference[r]
	if !asked && p.reference != nil {
		panic("train: the reference was not asked about the answer of " + p.set.Origin(r.answer))
	}
	return dpo.Side{
		LogP: policy.LogP, Prefix: policy.Prefix, RefLogP: ref.LogP, RefPrefix: ref.Prefix, Tokens: p.set.Targets(r.answer),
	}
}

// loss is the loss of a pair of whose answers the model says scores; kl is the
// estimate that labelled answers are compared with.
func (p *preferences) loss(pair data.Pair, scores []store.LogProbs, kl float64) (x dpo.Pair, r dpo.Result) {
	var sides []dpo.Side
	for i, id := range pair.Answers() {
		sides = append(sides, p.side(reply{id, id}, scores[i]))
	}
	switch {
	case pair.Rejected == data.None:
		return dpo.Pair{Chosen: sides[0]}, p.losses.KTO(sides[0], true, kl)
	case pair.Chosen == data.None:
		return dpo.Pair{Rejected: sides[0]}, p.losses.KTO(sides[0], false, kl)
	}
	x = dpo.Pair{Chosen: sides[0], Rejected: sides[1]}
	return x, p.losses.Loss(x)
}

// kl is KTO's estimate over the answers of a step, 0 for pairs. It is a constant to
// the gradient, so it costs a forward pass over as many answers.
func (p *preferences) kl(pairs []data.Pair, score func([]unit) ([]store.LogProbs, error)) (float64, error) {
	if !p.labelled {
		return 0, nil
	}
	replies := p.mismatches(pairs)
	scores, err := score(alone(replies))
	if err != nil {
		return 0, err
	}
	sides := make([]dpo.Side, len(replies))
	for i, r := range replies {
		sides[i] = p.side(r, scores[i])
	}
	return dpo.KL(sides), nil
}

// scoring is how a model is asked about replies.
func (p *preferences) scoring(how engine.ScoreOptions) scoring {
	return scoring{p.set, p.capacity, p.shared, how, nil}
}

// score asks the model in training.
func (p *preferences) score(ctx context.Context, units []unit, how engine.ScoreOptions) ([]store.LogProbs, error) {
	return p.scoring(how).score(ctx, p.engine, units)
}

// learn takes the step after step updates. A pair that lies in one pack is scored and
// learnt from in the same pass: its tokens' weights follow from their losses. One that
// is split is scored before, which costs another forward pass.
func (p *preferences) learn(ctx context.Context, step int) (sums, error) {
	return p.learnPairs(ctx, p.at(step), step)
}

// learnPairs adds the gradients of pairs after step updates.
func (p *preferences) learnPairs(ctx context.Context, batch []int, step int) (sums, error) {
	s := sums{step: step + 1, divisor: 1}
	for _, i := range batch {
		s.samples = append(s.samples, p.all[i].Answers()...)
	}
	how := engine.ScoreOptions{Step: s.step}
	score := func(units []unit) ([]store.LogProbs, error) { return p.score(ctx, units, how) }
	kl, err := p.kl(pick(p.all, batch), score)
	if err != nil {
		return s, err
	}
	m := newTally(p.set, p.reference != nil, p.labelled, kl)
	results := map[int]dpo.Result{}
	take := func(i int, scores []store.LogProbs) {
		x, r := p.loss(p.all[i], scores, kl)
		results[i] = r
		m.add(p.all[i], x, r)
	}
	if err := p.takeSplit(batch, score, take); err != nil {
		return s, err
	}
	packs, in, err := p.layUnits(p.units(batch))
	if err != nil {
		return s, err
	}
	_, err = s.learn(ctx, p.engine, packs, func(pack int, nll []float64, weights []float32) {
		targets := packs[pack].Targets
		for _, u := range in[pack] {
			n := u.tokens(p.set)
			if p.whole(p.all[u.pair]) { // else it has been
				take(u.pair, p.scoring(how).scoresOf(u, nll, targets))
			}
			p.weigh(u, results[u.pair], weights, targets, len(batch))
			nll, weights, targets = nll[n:], weights[n:], targets[n:]
		}
	})
	if err != nil {
		return s, err
	}
	s.values = m.values()
	s.loss = s.values["loss"]
	delete(s.values, "loss")
	if step == 0 {
		err = checkStart(p.losses, p.engine.Needs(), m)
	}
	return s, err
}

// takeSplit scores the pairs whose answers lie in two packs.
func (p *preferences) takeSplit(
	batch []int, score func([]unit) ([]store.LogProbs, error), take func(pair int, scores []store.LogProbs),
) error {
	scores, err := score(alone(own(p.split(batch))))
	if err != nil {
		return err
	}
	for _, i := range batch {
		if !p.whole(p.all[i]) {
			take(i, scores[:2])
			scores = scores[2:]
		}
	}
	return nil
}

// layUnits packs units, and says which lie in which pack.
func (p *preferences) layUnits(units []unit) (packs []packing.Pack, in [][]unit, err error) {
	plan, err := packing.Assign(packing.BestFit, p.capacity, sizes(p.set, units))
	if err != nil {
		return nil, nil, err
	}
	for _, at := range plan {
		of := pick(units, at)
		pack, err := layUnits(p.set, of)
		if err != nil {
			return nil, nil, err
		}
		packs, in = append(packs, pack), append(in, of)
	}
	return packs, in, nil
}

// weigh gives the tokens of a unit, which weights and targets begin with, their part in
// the gradient of a step of that many pairs.
func (p *preferences) weigh(u unit, r dpo.Result, weights []float32, targets []int32, pairs int) {
	for k, n := range u.rows(p.set) {
		answer, grad := u.replies[k].answer, r.Rejected
		if answer == p.all[u.pair].Chosen {
			grad = r.Chosen
		}
		grad.Weigh(weights[:n], targets[:n], p.shared(answer), pairs)
		weights, targets = weights[n:], targets[n:]
	}
}

// evaluate measures the held-out pairs: the loss, and what [dpo.Metrics] and the
// lengths tell.
func (p *preferences) evaluate(ctx context.Context, step int) (EvalMetrics, error) {
	score := func(units []unit) ([]store.LogProbs, error) { return p.heldOutScores(ctx, units, step) }
	held := p.set.HeldOutPairs()
	scores, err := score(p.scored(held))
	if err != nil {
		return EvalMetrics{}, err
	}
	kl, err := p.kl(held, score)
	if err != nil {
		return EvalMetrics{}, err
	}
	all := newTally(p.set, p.reference != nil, p.labelled, kl)
	sources := p.set.Sources()
	bySource := make([]dpo.Metrics, len(sources))
	for _, pair := range held {
		n := len(pair.Answers())
		x, r := p.loss(pair, scores[:n], kl)
		scores = scores[n:]
		all.add(pair, x, r)
		addTo(&bySource[p.set.Source(pair.Answers()[0])], pair, x, r)
	}
	m := EvalMetrics{Values: all.values()}
	all.byLength(m.Values)
	m.Loss = m.Values["loss"]
	delete(m.Values, "loss")
	for i, s := range bySource {
		if loss, ok := s.Values()["loss"]; ok {
			m.Sources = append(m.Sources, SourceLoss{sources[i].Name, loss})
		}
	}
	return m, nil
}

// heldOutScores is what the model says of the replies of units. Before the first update that is
// what the reference says, if it is the same model: asking again would give the same
// but for roundings, which would pass for margins.
func (p *preferences) heldOutScores(ctx context.Context, units []unit, step int) ([]store.LogProbs, error) {
	if step > 0 || p.reference == nil || p.losses.Reference != dpo.Initial {
		return p.score(ctx, units, engine.ScoreOptions{})
	}
	var out []store.LogProbs
	for _, r := range repliesOf(units) {
		out = append(out, p.reference[r])
	}
	return out, nil
}
