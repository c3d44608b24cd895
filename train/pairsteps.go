package train

import (
	"fmt"
	"slices"
	"strings"

	"lwtrain/data"
	"lwtrain/dpo"
	"lwtrain/internal/fault"
	"lwtrain/internal/prose"
	"lwtrain/internal/rng"
	"lwtrain/packing"
)

// PairSteps says which pairs, or labelled answers, each step takes: a pure function
// of the data, the options and the seed. It needs no model.
type PairSteps struct {
	calendar
	set      *data.Set
	labelled bool        // answers with a label, for KTO
	all      []data.Pair // to train on, then held out
	trained  []data.Pair // the first of all
	others   map[int]int // KTO: of each answer one to another prompt
	capacity int
	opt      Options
	seed     uint64
	perStep  int // pairs
	sharing  Sharing
	prompts  []int32 // of the pairs, in tokens, by their chosen sample; 0: their sides have none in common

	epochNow int // the epoch whose order is at hand
	order    []int32
}

// NewPairSteps plans the steps of a run, for which packs have the given capacity.
func NewPairSteps(
	set *data.Set, losses dpo.Options, capacity int, sharing Sharing, opt Options, seed uint64,
) (*PairSteps, error) {
	pairs := set.Pairs()
	if len(pairs) == 0 {
		return nil, set.NothingLeft("preference")
	}
	labelled := len(pairs[0].Answers()) == 1
	if labelled != losses.Labelled() {
		return nil, fault.Usage(fmt.Errorf("dpo.loss_type is %s, want kto for labelled answers, another one for pairs",
			strings.Join(losses.LossType, ", ")))
	}
	for _, s := range set.Sources() {
		if s.LossFactor != 1 && s.LossFactor != 0 {
			return nil, fault.Usage(fmt.Errorf("source %s has loss_factor %g, want 1: every pair counts the same", s.Name, s.LossFactor))
		}
	}
	p := &PairSteps{
		set: set, labelled: labelled, all: slices.Concat(pairs, set.HeldOutPairs()), capacity: capacity, opt: opt, seed: seed,
		epochNow: -1, perStep: opt.PacksPerStep(), sharing: sharing,
	}
	p.trained = p.all[:len(pairs)]
	p.prompts = make([]int32, set.Len()) // else the index would be asked for them in the random order of the steps
	for _, pair := range p.all {
		if ids := pair.Answers(); len(ids) == 2 && set.SamePrompt(ids[0], ids[1]) {
			p.prompts[ids[0]] = int32(set.Prompt(ids[0]))
		}
	}
	var err error
	if labelled {
		if err = p.mismatch(len(pairs)); err != nil {
			return nil, err
		}
	}
	p.calendar, err = newCalendar(opt.NumTrainEpochs, opt.MaxSteps, func(int) (int, error) {
		return (len(pairs) + p.perStep - 1) / p.perStep, nil
	})
	return p, err
}

// Sharing says which pairs have their prompt computed once, for both answers: the chosen answer lies behind the
// prompt, and the rejected one is a branch of it ([packing.Doc]).
type Sharing struct {
	Most   int          // tokens that a prompt may have with both of its answers; 0: none is shared
	Why    string       // what bounds that; "": nothing
	Always bool         // whatever it saves
	Cost   packing.Cost // of learning from documents
	Target float64      // and from each of their targets, besides
}

// leastSaved is the part of a pair's work that sharing its prompt has to save. What is computed for nothing at the
// edges of attention's tiles, and in packs of multiples of 128 tokens, differs by less.
const leastSaved = 0.05

// scoredFirst is what a pair costs whose answers do not fit into a pack together: a forward pass more, which is
// a third of forward and backward.
const scoredFirst = 4. / 3

// once is how many tokens of a pair's prompt are computed once; 0: each answer has its own. saved is the part of the work that this saves.
func (p *PairSteps) once(pair data.Pair) (prompt int, saved float64) {
	ids := pair.Answers()
	if p.sharing.Most == 0 || len(ids) < 2 {
		return 0, 0
	}
	prompt = int(p.prompts[ids[0]])
	apart := lengths(p.set, ids)
	rows := []int32{apart[0], apart[1] - int32(prompt) + 1}
	if prompt < 2 || int(rows[0]+rows[1]) > min(p.sharing.Most, p.capacity) {
		return 0, 0
	}
	targets := p.sharing.Target * float64(p.set.Targets(ids[0])+p.set.Targets(ids[1]))
	cost, less := p.sharing.Cost.Of(apart)+targets, p.sharing.Cost.Branches(prompt, rows)+targets
	if int(apart[0]+apart[1]) > p.capacity {
		cost *= scoredFirst
	}
	if saved = 1 - less/cost; saved < leastSaved && !p.sharing.Always {
		return 0, 0
	}
	return prompt, saved
}

// scored are the answers of pairs as a model is asked about them, in their order.
func (p *PairSteps) scored(pairs []data.Pair) (out []unit) {
	for _, pair := range pairs {
		replies := own(pair.Answers())
		if once, _ := p.once(pair); once > 0 {
			out = append(out, unit{replies: replies, once: once})
		} else {
			out = append(out, alone(replies)...)
		}
	}
	return out
}

// at returns the pairs of the step after step updates. The last step of an epoch
// may have fewer.
func (p *PairSteps) at(step int) []int {
	epoch, start := p.epochOf(step)
	if epoch != p.epochNow {
		p.order, p.epochNow = rng.Perm32(rng.New(p.seed, "order", uint64(epoch)), len(p.trained)), epoch
	}
	first := (step - start) * p.perStep
	return ints(p.order[first:min(first+p.perStep, len(p.order))])
}

// whole reports whether a pair fits into a pack.
func (p *PairSteps) whole(pair data.Pair) bool { return p.tokens(pair) <= p.capacity }

// tokens are those of a pair in packs.
func (p *PairSteps) tokens(pair data.Pair) (n int) {
	for _, id := range pair.Answers() {
		n += p.set.Tokens(id)
	}
	if once, _ := p.once(pair); once > 0 {
		n -= once - 1
	}
	return n
}

// mismatch gives each answer one to another prompt, for KTO's estimate of how far
// the model is from the reference. TRL takes the one before in a batch, and keeps the
// batches of all epochs the same; here each answer has the same other one in all
// epochs, and the order is free, so the reference is asked once. The answers to train
// on, the first ones of all, get others of their own.
func (p *PairSteps) mismatch(train int) error {
	p.others = make(map[int]int, len(p.all))
	for k, from := range [][]data.Pair{p.all[:train], p.all} {
		order := rng.Perm(rng.New(p.seed, "mismatched", uint64(k)), len(from))
		prompts := false // there are two
		for _, pair := range from {
			prompts = prompts || !p.set.SamePrompt(pair.Answers()[0], from[0].Answers()[0])
		}
		for at, i := range order {
			id := from[i].Answers()[0]
			if _, done := p.others[id]; done {
				continue
			}
			for n := 1; n < len(order) && prompts; n++ {
				other := from[order[(at+n)%len(order)]].Answers()[0]
				if !p.set.SamePrompt(id, other) && (reply{id, other}).tokens(p.set) <= p.capacity {
					p.others[id] = other
					break
				}
			}
			if _, found := p.others[id]; !found {
				return fault.Usage(fault.Hint(
					fmt.Errorf("%s: no answer to another prompt fits into a pack of %d tokens behind this one's prompt of %d",
						p.set.Origin(id), p.capacity, p.set.Prompt(id)),
					"kto compares with answers to other prompts: it needs two prompts at least; "+
						"raise packing.capacity or lower data.max_length"))
			}
		}
	}
	return nil
}

// mismatches are the answers to other prompts of those of pairs.
func (p *PairSteps) mismatches(pairs []data.Pair) []reply {
	out := make([]reply, len(pairs))
	for i, pair := range pairs {
		id := pair.Answers()[0]
		out[i] = reply{id, p.others[id]}
	}
	return out
}

// used are the pairs that the run takes, as they are in all: those of its steps, then the
// held-out ones.
func (p *PairSteps) used() []data.Pair {
	n := len(p.trained)
	if p.total >= p.ends[0] {
		return p.all // an epoch takes each
	}
	taken := make([]bool, n)
	for step := range p.total {
		for _, i := range p.at(step) {
			taken[i] = true
		}
	}
	var out []data.Pair
	for i, pair := range p.all {
		if i >= n || taken[i] {
			out = append(out, pair)
		}
	}
	return out
}

// asked is what the reference is asked about pairs.
func (p *PairSteps) asked(pairs []data.Pair) []unit {
	units := p.scored(pairs)
	if p.labelled {
		units = append(units, alone(p.mismatches(pairs))...)
	}
	return units
}

// askedSizes are the lengths of what a model is asked about pairs, as [PairSteps.asked] has it: of millions of them, without the units.
func (p *PairSteps) askedSizes(pairs []data.Pair) []int32 {
	out := make([]int32, 0, 2*len(pairs))
	for some := range slices.Chunk(pairs, 1<<12) {
		out = append(out, sizes(p.set, p.scored(some))...)
	}
	for some := range slices.Chunk(pairs, 1<<12) {
		if p.labelled {
			out = append(out, sizes(p.set, alone(p.mismatches(some)))...)
		}
	}
	return out
}

// Plan sums up the steps, as [Batches.Plan] does for conversations.
func (p *PairSteps) Plan() *Plan {
	pairs := p.trained
	plan := &Plan{
		Schedule: p.opt.schedule(p.total), StepsPerEpoch: p.ends[0], Epochs: p.epoch(p.total),
		Capacity: p.capacity, Pairs: len(pairs), Labelled: p.labelled, Once: p.sharedPrompts(),
	}
	byWords := newWordShares()
	for _, pair := range pairs {
		plan.Tokens += int64(p.tokens(pair))
		if !p.whole(pair) {
			plan.Split++
		}
		if pair.Rejected == data.None {
			plan.Desirable++
		}
		answers := pair.Answers()
		s := &byWords[prose.RangeOf(p.set.Words(answers[0]))]
		s.Documents += len(answers)
		s.Loss += 1 / float64(len(pairs))
		for _, id := range answers {
			s.Tokens += int64(p.set.Tokens(id))
			s.TargetTokens += int64(p.set.Targets(id))
		}
	}
	for _, s := range byWords {
		plan.TargetTokens += s.TargetTokens
		plan.Documents += s.Documents
	}
	plan.Shares = filled(byWords)
	return plan
}

// sharedPrompts sums up what sharing prompts does for the pairs of an epoch.
func (p *PairSteps) sharedPrompts() Once {
	out := Once{Most: p.sharing.Most, Why: p.sharing.Why}
	var cost, less float64
	for _, pair := range p.trained {
		ids := pair.Answers()
		own := p.sharing.Cost.Of(lengths(p.set, ids))
		for _, id := range ids {
			own += p.sharing.Target * float64(p.set.Targets(id))
		}
		once, saved := p.once(pair)
		if once > 0 {
			out.Pairs++
		} else if len(ids) == 2 && p.set.Tokens(ids[0])+p.set.Tokens(ids[1])-p.set.Prompt(ids[0])+1 > out.Most {
			out.Longer++
		}
		cost, less = cost+own, less+own*(1-saved)
	}
	if cost > 0 {
		out.Saved = 1 - less/cost
	}
	return out
}

// units cuts pairs into what lies in packs as a whole.
func (p *PairSteps) units(batch []int) []unit {
	var out []unit
	for _, i := range batch {
		replies := own(p.all[i].Answers())
		if p.whole(p.all[i]) {
			once, _ := p.once(p.all[i])
			out = append(out, unit{i, replies, once})
			continue
		}
		for _, u := range alone(replies) {
			u.pair = i
			out = append(out, u)
		}
	}
	return out
}

// computed is how many tokens are computed for units of these lengths, packed, with what fills their packs.
func (p *PairSteps) computed(all []int32) (n int64) {
	filled := func(tokens int) int64 { return computedFor(tokens, p.capacity) }
	tokens := 0
	for _, size := range all {
		tokens += int(size)
	}
	if tokens <= p.capacity { // one pack, as most steps are: a packer makes tables of the capacity first
		return filled(tokens)
	}
	packs, err := scoredPacks(p.capacity, all)
	if err != nil {
		return 0 // the run says it
	}
	for _, pack := range packs {
		tokens := 0
		for _, i := range pack {
			tokens += int(all[i])
		}
		n += filled(tokens)
	}
	return n
}

// Work is what comes after a step, with what the reference is asked before the first.
func (p *PairSteps) Work(losses dpo.Options, step int) Work {
	evaluations := p.opt.evaluations(step, p.total)
	w := Work{Updates: p.total - step, Saves: p.opt.Saves(step, p.total)}
	if step == 0 && losses.NeedsReference() {
		w.Asked = p.computed(p.askedSizes(p.used()))
		w.Scored = w.Asked
		if losses.Reference == dpo.Initial && evaluations > 0 {
			evaluations-- // taken from the reference
		}
	}
	for ; step < p.total; step++ {
		batch := p.at(step)
		w.Learned += p.computed(sizes(p.set, p.units(batch)))
		first := alone(own(p.split(batch)))
		if p.labelled { // each is compared with an answer to another prompt
			first = alone(p.mismatches(pick(p.all, batch)))
		}
		w.Scored += p.computed(sizes(p.set, first))
	}
	heldOut := p.all[len(p.trained):]
	held := p.computed(sizes(p.set, p.scored(heldOut)))
	if p.labelled {
		held += p.computed(sizes(p.set, alone(p.mismatches(heldOut))))
	}
	w.HeldOut = int64(evaluations) * held
	w.Scored += w.HeldOut
	return w
}

// split are the answers of those of a batch of pairs that fit into no pack.
func (p *PairSteps) split(batch []int) (answers []int) {
	for _, i := range batch {
		if !p.whole(p.all[i]) {
			answers = append(answers, p.all[i].Answers()...)
		}
	}
	return answers
}
