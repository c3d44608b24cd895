package train

import (
	"context"

	"lwtrain/data"
	"lwtrain/data/store"
	"lwtrain/dpo"
	"lwtrain/model"
	"lwtrain/packing"
)

// DPO trains job.Model on the pairs of job.Data, by the losses of job.DPO, or on its
// labelled answers, by KTO's. It resumes, saves and stops as [SFT] does.
//
// A step takes per_device_train_batch_size x gradient_accumulation_steps pairs (or
// labelled answers), as TRL's does, and its loss is their mean. What the reference
// says of the answers is computed once, before training, and kept in job.CacheDir.
func DPO(ctx context.Context, job Job) (Result, error) {
	p, err := newPreferences(job)
	if err != nil {
		return Result{}, err
	}
	return p.do(ctx)
}

// preferences is the method of [DPO]. Pairs are known by their index in all; a
// labelled answer is a pair without its other side.
type preferences struct {
	*trainer
	*pairSteps
	programs  *programs
	partner   map[int]int              // of each answer (sample) the other one of its pair
	reference map[reply]store.LogProbs // of all that is asked; nil: no reference
	loaded    *model.Model             // the reference, until it has been asked
}

func newPreferences(job Job) (*preferences, error) {
	steps, err := newPairSteps(job.Data, job.DPO, job.Packing.Capacity, job.Options, job.Seed)
	if err != nil {
		return nil, err
	}
	memory, err := PlanMemory(job.Model, job.Packing.Capacity, job.Options)
	if err != nil {
		return nil, err
	}
	t, err := newTrainer(job, steps.summary(job.Options), memory)
	if err != nil {
		return nil, err
	}
	p := &preferences{trainer: t, pairSteps: steps, programs: memory.programs(job.Model, t.interrupted), partner: map[int]int{}}
	for _, pair := range p.all {
		ids := pair.Answers()
		p.partner[ids[0]], p.partner[ids[len(ids)-1]] = ids[len(ids)-1], ids[0]
	}
	t.method = p
	if err := p.openReference(); err != nil {
		t.close()
		return nil, err
	}
	return p, nil
}

func (p *preferences) free() {
	p.closeReference()
	p.programs.free()
}

func (p *preferences) epoch(step int) float64 { return p.pairSteps.epoch(step) }

// shared is how many targets an answer and the other one of its pair both have.
func (p *preferences) shared(answer int) int {
	return min(p.Data.Targets(answer), p.Data.Targets(p.partner[answer]))
}

// side is a reply as the loss takes it.
func (p *preferences) side(r reply, policy store.LogProbs) dpo.Side {
	ref := p.reference[r]
	return dpo.Side{
		LogP: policy.LogP, Prefix: policy.Prefix, RefLogP: ref.LogP, RefPrefix: ref.Prefix, Tokens: p.Data.Targets(r.answer),
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
		return dpo.Pair{Chosen: sides[0]}, p.DPO.KTO(sides[0], true, kl)
	case pair.Chosen == data.None:
		return dpo.Pair{Rejected: sides[0]}, p.DPO.KTO(sides[0], false, kl)
	}
	x = dpo.Pair{Chosen: sides[0], Rejected: sides[1]}
	return x, p.DPO.Loss(x)
}

// kl is KTO's estimate over the answers of a step, 0 for pairs. It is a constant to
// the gradient, so it costs a forward pass over as many answers.
func (p *preferences) kl(pairs []data.Pair, score func([]reply) ([]store.LogProbs, error)) (float64, error) {
	if !p.labelled {
		return 0, nil
	}
	replies := p.mismatches(pairs)
	scores, err := score(replies)
	if err != nil {
		return 0, err
	}
	sides := make([]dpo.Side, len(replies))
	for i, r := range replies {
		sides[i] = p.side(r, scores[i])
	}
	return dpo.KL(sides), nil
}

// score asks the model in training.
func (p *preferences) score(replies []reply) ([]store.LogProbs, error) {
	return p.programs.score(p.Data, replies, p.shared, nil)
}

// unit is what lies in a pack as a whole: a pair, or an answer of a pair that does
// not fit into a pack.
type unit struct {
	pair    int // in all
	answers []int
}

// forwardBackward takes the step after step updates. A pair that lies in one pack
// is scored and learnt from in the same pass: its tokens' weights follow from their
// losses. One that is split is scored before, which costs another forward pass.
func (p *preferences) forwardBackward(step int) (sums, error) { return p.runPairs(p.at(step)) }

func (p *preferences) runPairs(batch []int) (sums, error) {
	s := sums{divisor: 1}
	var units []unit
	var lengths, split []int
	for _, i := range batch {
		pair := p.all[i]
		answers := pair.Answers()
		s.samples = append(s.samples, answers...)
		if p.whole(pair) {
			units = append(units, unit{i, answers})
			lengths = append(lengths, p.tokens(pair))
			continue
		}
		for _, id := range answers {
			units = append(units, unit{i, []int{id}})
			lengths = append(lengths, p.Data.Tokens(id))
			split = append(split, id)
		}
	}
	kl, err := p.kl(pick(p.all, batch), p.score)
	if err != nil {
		return s, err
	}
	results := map[int]dpo.Result{}
	m := p.newTally(kl)
	take := func(i int, scores []store.LogProbs) {
		x, r := p.loss(p.all[i], scores, kl)
		results[i] = r
		m.add(p.all[i], x, r)
	}
	scores, err := p.score(own(split))
	if err != nil {
		return s, err
	}
	for _, i := range batch {
		if !p.whole(p.all[i]) {
			take(i, scores[:2])
			scores = scores[2:]
		}
	}
	plan, err := packing.Plan("best_fit_decreasing", p.programs.capacity, lengths)
	if err != nil {
		return s, err
	}
	for _, pack := range plan {
		if err := p.runPack(&s, pick(units, pack), len(batch), results, take); err != nil {
			return s, err
		}
	}
	s.values = m.values()
	s.loss = s.values["loss"]
	delete(s.values, "loss")
	return s, p.checkStart(m)
}

// runPack adds the gradients of a pack of a step of that many pairs.
func (p *preferences) runPack(s *sums, units []unit, pairs int, results map[int]dpo.Result, take func(pair int, scores []store.LogProbs)) error {
	var samples []int
	for _, u := range units {
		samples = append(samples, u.answers...)
	}
	made, err := p.programs.lay(p.Data, own(samples))
	if err != nil {
		return err
	}
	program, err := p.programs.backward(made)
	if err != nil {
		return err
	}
	targets := p.programs.pack.Targets
	made.graph.WeighBy(func(nll []float64, weights []float32) {
		at := 0
		for _, u := range units {
			begin := at
			scores := make([]store.LogProbs, len(u.answers))
			for k, id := range u.answers {
				end := at + p.Data.Tokens(id)
				scores[k].LogP, scores[k].Prefix, _ = dpo.Score(nll[at:end], targets[at:end], p.shared(id))
				at = end
			}
			if p.whole(p.all[u.pair]) { // else it has been
				take(u.pair, scores)
			}
			at = begin
			for _, id := range u.answers {
				grad := results[u.pair].Rejected
				if id == p.all[u.pair].Chosen {
					grad = results[u.pair].Chosen
				}
				end := at + p.Data.Tokens(id)
				grad.Weigh(weights[at:end], targets[at:end], p.shared(id), pairs)
				at = end
			}
		}
	})
	if err := program.RunAll(); err != nil {
		return err
	}
	s.tokens += p.programs.pack.Tokens
	s.targets += p.programs.pack.TargetTokens
	for _, v := range made.graph.NLL() {
		s.nll += v
	}
	return nil
}

// evaluate measures the held-out pairs: the loss, and what [dpo.Metrics] and the
// lengths tell.
func (p *preferences) evaluate() (EvalMetrics, error) {
	held := p.Data.HeldOutPairs()
	var answers []int
	for _, pair := range held {
		answers = append(answers, pair.Answers()...)
	}
	scores, err := p.heldOutScores(own(answers))
	if err != nil {
		return EvalMetrics{}, err
	}
	kl, err := p.kl(held, p.heldOutScores)
	if err != nil {
		return EvalMetrics{}, err
	}
	all := p.newTally(kl)
	sources := p.Data.Sources()
	bySource := make([]dpo.Metrics, len(sources))
	for _, pair := range held {
		n := len(pair.Answers())
		x, r := p.loss(pair, scores[:n], kl)
		scores = scores[n:]
		all.add(pair, x, r)
		addTo(&bySource[p.Data.Source(pair.Answers()[0])], pair, x, r)
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

// heldOutScores is what the model says of replies. Before the first update that is
// what the reference says, if it is the same model: asking again would give the same
// but for roundings, which would pass for margins.
func (p *preferences) heldOutScores(replies []reply) ([]store.LogProbs, error) {
	if p.step > 0 || p.reference == nil || p.DPO.Reference != "initial" {
		return p.score(replies)
	}
	out := make([]store.LogProbs, len(replies))
	for i, r := range replies {
		out[i] = p.reference[r]
	}
	return out, nil
}
