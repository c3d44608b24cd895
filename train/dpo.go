package train

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"lwtrain/data"
	"lwtrain/dpo"
	"lwtrain/internal/fault"
	"lwtrain/internal/rng"
	"lwtrain/model"
	"lwtrain/packing"
)

// DPO trains job.Model on the pairs of job.Data, by the losses of job.DPO. It
// resumes, saves and stops as [SFT] does.
//
// A step takes per_device_train_batch_size x gradient_accumulation_steps pairs, as
// TRL's does, and its loss is their mean. What the reference says of the answers is
// computed once, before training, and kept in job.CacheDir.
func DPO(ctx context.Context, job Job) (Result, error) {
	p, err := newPreferences(job)
	if err != nil {
		return Result{}, err
	}
	return p.do(ctx)
}

// preferences is the method of [DPO]. Pairs are known by their index in all.
type preferences struct {
	*trainer
	*pairSteps
	programs  *programs
	all       []data.Pair        // to train on, then held out
	partner   map[int]int        // of each answer (sample) the other one of its pair
	reference map[int]data.Score // of each answer; nil: no reference
	loaded    *model.Model       // the reference, until it has been asked
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
	p.all = slices.Concat(job.Data.Pairs(), job.Data.HeldOutPairs())
	for _, pair := range p.all {
		p.partner[pair.Chosen], p.partner[pair.Rejected] = pair.Rejected, pair.Chosen
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

// side is an answer as the loss takes it.
func (p *preferences) side(answer int, policy data.Score) dpo.Side {
	ref := p.reference[answer]
	return dpo.Side{
		LogP: policy.LogP, Prefix: policy.Prefix, RefLogP: ref.LogP, RefPrefix: ref.Prefix, Tokens: p.Data.Targets(answer),
	}
}

// loss is the loss of a pair of which the model says that.
func (p *preferences) loss(pair data.Pair, chosen, rejected data.Score) (dpo.Pair, dpo.Result) {
	x := dpo.Pair{Chosen: p.side(pair.Chosen, chosen), Rejected: p.side(pair.Rejected, rejected)}
	return x, p.DPO.Loss(x)
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
		s.samples = append(s.samples, pair.Chosen, pair.Rejected)
		if p.whole(pair) {
			units = append(units, unit{i, []int{pair.Chosen, pair.Rejected}})
			lengths = append(lengths, p.Data.Tokens(pair.Chosen)+p.Data.Tokens(pair.Rejected))
			continue
		}
		for _, id := range []int{pair.Chosen, pair.Rejected} {
			units = append(units, unit{i, []int{id}})
			lengths = append(lengths, p.Data.Tokens(id))
			split = append(split, id)
		}
	}
	results := map[int]dpo.Result{}
	m := p.newTally()
	take := func(i int, chosen, rejected data.Score) {
		x, r := p.loss(p.all[i], chosen, rejected)
		results[i] = r
		m.add(p.all[i], x, r)
	}
	scores, err := p.programs.score(p.Data, split, p.shared, nil)
	if err != nil {
		return s, err
	}
	for _, i := range batch {
		if !p.whole(p.all[i]) {
			take(i, scores[0], scores[1])
			scores = scores[2:]
		}
	}
	plan, err := packing.Plan("best_fit_decreasing", p.programs.capacity, lengths)
	if err != nil {
		return s, err
	}
	for _, pack := range plan {
		var inPack []unit
		for _, k := range pack {
			inPack = append(inPack, units[k])
		}
		if err := p.runPack(&s, inPack, len(batch), results, take); err != nil {
			return s, err
		}
	}
	s.values = m.values()
	s.loss = s.values["loss"]
	delete(s.values, "loss")
	return s, p.checkStart(m)
}

// runPack adds the gradients of a pack of a step of that many pairs.
func (p *preferences) runPack(s *sums, units []unit, pairs int, results map[int]dpo.Result, take func(pair int, chosen, rejected data.Score)) error {
	var samples []int
	for _, u := range units {
		samples = append(samples, u.answers...)
	}
	made, err := p.programs.lay(p.Data, samples)
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
			var scores [2]data.Score
			for k, id := range u.answers {
				end := at + p.Data.Tokens(id)
				scores[k].LogP, scores[k].Prefix, _ = dpo.Score(nll[at:end], targets[at:end], p.shared(id))
				at = end
			}
			if len(u.answers) == 2 {
				take(u.pair, scores[0], scores[1])
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
		answers = append(answers, pair.Chosen, pair.Rejected)
	}
	scores, err := p.heldOutScores(answers)
	if err != nil {
		return EvalMetrics{}, err
	}
	all := p.newTally()
	sources := p.Data.Sources()
	bySource := make([]dpo.Metrics, len(sources))
	for k, pair := range held {
		x, r := p.loss(pair, scores[2*k], scores[2*k+1])
		all.add(pair, x, r)
		bySource[p.Data.Source(pair.Chosen)].AddPair(x, r)
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

// heldOutScores is what the model says of answers. Before the first update that is
// what the reference says, if it is the same model: asking again would give the same
// but for roundings, which would pass for margins.
func (p *preferences) heldOutScores(answers []int) ([]data.Score, error) {
	if p.step > 0 || p.reference == nil || p.DPO.Reference != "initial" {
		return p.programs.score(p.Data, answers, p.shared, nil)
	}
	out := make([]data.Score, len(answers))
	for i, id := range answers {
		out[i] = p.reference[id]
	}
	return out, nil
}

// pairSteps says which pairs each step takes: a pure function of the data, the
// options and the seed.
type pairSteps struct {
	calendar
	store    *data.Store
	capacity int
	seed     uint64
	perStep  int // pairs

	epochNow int // the epoch whose order is at hand
	order    []int
}

func newPairSteps(store *data.Store, losses dpo.Options, capacity int, opt Options, seed uint64) (*pairSteps, error) {
	if slices.Contains(losses.LossType, "kto") {
		return nil, fault.Usage(fault.Hint(errors.New("dpo.loss_type: kto takes single labelled answers, and those are not read yet"),
			"take a loss of pairs: sigmoid, or apo_zero, which pulls each answer by itself"))
	}
	pairs := store.Pairs()
	if len(pairs) == 0 {
		return nil, fault.Usage(fmt.Errorf("no pair is left to train on: %d in all, %d held out", store.Len()/2, len(store.HeldOutPairs())))
	}
	for _, s := range store.Sources() {
		if s.LossFactor != 1 && s.LossFactor != 0 {
			return nil, fault.Usage(fmt.Errorf("source %s has loss_factor %g, want 1: every pair counts the same", s.Name, s.LossFactor))
		}
	}
	p := &pairSteps{store: store, capacity: capacity, seed: seed, epochNow: -1, perStep: opt.PerDeviceTrainBatchSize * opt.GradientAccumulationSteps}
	var err error
	p.calendar, err = newCalendar(opt, func(int) (int, error) { return (len(pairs) + p.perStep - 1) / p.perStep, nil })
	return p, err
}

// at returns the pairs of the step after step updates. The last step of an epoch
// may have fewer.
func (p *pairSteps) at(step int) []int {
	epoch, start := p.epochOf(step)
	if epoch != p.epochNow {
		p.order, p.epochNow = rng.Perm(rng.New(p.seed, "order", uint64(epoch)), len(p.store.Pairs())), epoch
	}
	first := (step - start) * p.perStep
	return p.order[first:min(first+p.perStep, len(p.order))]
}

// whole reports whether a pair fits into a pack.
func (p *pairSteps) whole(pair data.Pair) bool {
	return p.store.Tokens(pair.Chosen)+p.store.Tokens(pair.Rejected) <= p.capacity
}

// PlanPairs plans steps, as [PlanRun] does for conversations. It needs no model.
func PlanPairs(store *data.Store, losses dpo.Options, capacity int, opt Options, seed uint64) (*Plan, error) {
	p, err := newPairSteps(store, losses, capacity, opt, seed)
	if err != nil {
		return nil, err
	}
	return p.summary(opt), nil
}

func (p *pairSteps) summary(opt Options) *Plan {
	pairs := p.store.Pairs()
	plan := &Plan{
		Schedule: opt.schedule(p.total), StepsPerEpoch: p.ends[0], Epochs: p.epoch(p.total),
		Capacity: p.capacity, Documents: 2 * len(pairs), Pairs: len(pairs),
	}
	byWords := make([]Share, len(data.Buckets))
	for i, k := range data.Buckets {
		byWords[i] = Share{Kind: "words", Name: k.Name}
	}
	for _, pair := range pairs {
		if !p.whole(pair) {
			plan.Split++
		}
		s := &byWords[data.BucketOf(p.store.Words(pair.Chosen))]
		s.Documents += 2
		s.Loss += 1 / float64(len(pairs))
		for _, id := range []int{pair.Chosen, pair.Rejected} {
			s.Tokens += int64(p.store.Tokens(id))
			s.TargetTokens += int64(p.store.Targets(id))
		}
	}
	for _, s := range byWords {
		plan.Tokens += s.Tokens
		plan.TargetTokens += s.TargetTokens
		if s.Documents > 0 {
			plan.Shares = append(plan.Shares, s)
		}
	}
	return plan
}
