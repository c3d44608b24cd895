package train

import (
	"context"
	"slices"

	"lwtrain/data"
	"lwtrain/data/store"
	"lwtrain/dpo"
	"lwtrain/engine"
	"lwtrain/packing"
)

// reply is what a model is asked about: the answer of a sample behind a prompt,
// which is its own, or for KTO's estimate that of another sample.
type reply struct{ prompt, answer int }

// own are samples as they are.
func own(samples []int) []reply {
	out := make([]reply, len(samples))
	for i, id := range samples {
		out[i] = reply{id, id}
	}
	return out
}

// tokens is the length of a reply.
func (r reply) tokens(set *data.Set) int {
	if r.prompt == r.answer {
		return set.Tokens(r.answer)
	}
	return set.Tokens(r.answer) - set.Prompt(r.answer) + set.Prompt(r.prompt)
}

// document reads a reply.
func (r reply) document(set *data.Set) (packing.Doc, error) {
	s, err := set.Sample(r.answer)
	if err != nil || r.prompt == r.answer {
		return packing.Doc{IDs: s.IDs, Target: s.Target, Factor: 1}, err
	}
	q, err := set.Sample(r.prompt)
	if err != nil {
		return packing.Doc{}, err
	}
	begin, end := set.Prompt(r.answer), set.Prompt(r.prompt)
	doc := packing.Doc{IDs: slices.Concat(q.IDs[:end], s.IDs[begin:]), Factor: 1}
	for _, t := range s.Target {
		doc.Target = append(doc.Target, [2]int32{t[0] + int32(end-begin), t[1] + int32(end-begin)})
	}
	return doc, nil
}

// unit is what lies in a pack as a whole: a pair, or an answer of a pair that does not fit into a pack.
type unit struct {
	pair    int // in all, where it is learnt from
	replies []reply
	once    int // tokens of the prompt that lie there once, before the first reply; 0: each has its own
}

// alone are replies as units of their own.
func alone(replies []reply) []unit {
	out := make([]unit, len(replies))
	for i, r := range replies {
		out[i].replies = []reply{r}
	}
	return out
}

// repliesOf are the replies of units.
func repliesOf(units []unit) (out []reply) {
	for _, u := range units {
		out = append(out, u.replies...)
	}
	return out
}

// rows are how many tokens of a pack each reply of the unit has: a branch begins with the prompt's last.
func (u unit) rows(set *data.Set) []int {
	out := make([]int, len(u.replies))
	for i, r := range u.replies {
		if out[i] = r.tokens(set); i > 0 && u.once > 0 {
			out[i] -= u.once - 1
		}
	}
	return out
}

func (u unit) tokens(set *data.Set) (n int) {
	for _, rows := range u.rows(set) {
		n += rows
	}
	return n
}

// tokensOf adds up the lengths of units.
func tokensOf(set *data.Set, units []unit) (n int64) {
	for _, u := range units {
		n += int64(u.tokens(set))
	}
	return n
}

// sizes are the lengths of units.
func sizes(set *data.Set, units []unit) []int32 {
	out := make([]int32, len(units))
	for i, u := range units {
		out[i] = int32(u.tokens(set))
	}
	return out
}

// documents reads the replies of the unit, a branch without what it shares.
func (u unit) documents(set *data.Set) ([]packing.Doc, error) {
	out := make([]packing.Doc, len(u.replies))
	for i, r := range u.replies {
		doc, err := r.document(set)
		if err != nil {
			return nil, err
		}
		if i > 0 && u.once > 0 {
			doc = doc.Branch(u.once)
		}
		out[i] = doc
	}
	return out, nil
}

// layUnits makes a pack of units, with weight 1 on every target.
func layUnits(set *data.Set, units []unit) (packing.Pack, error) {
	size := 0
	var docs []packing.Doc
	for _, u := range units {
		of, err := u.documents(set)
		if err != nil {
			return packing.Pack{}, err
		}
		docs, size = append(docs, of...), size+u.tokens(set)
	}
	return packing.Lay(size, docs, packing.ByToken)
}

// scoring is how replies are scored: in packs of a capacity. shared is how many of an
// answer's targets its prefix takes. done, which may be nil, is told the tokens of each
// pack.
type scoring struct {
	set      *data.Set
	capacity int
	shared   func(sample int) int
	how      engine.ScoreOptions
	done     func(tokens int)
}

// score returns what a model says of the replies of units, packed together.
func (s scoring) score(ctx context.Context, by engine.Scorer, units []unit) ([]store.LogProbs, error) {
	plan, err := scoredPacks(s.capacity, sizes(s.set, units))
	if err != nil {
		return nil, err
	}
	targets := make([][]int32, len(plan)) // of the packs that the engine has and has not told the losses of
	packs := func(yield func(packing.Pack, error) bool) {
		for i, at := range plan {
			p, err := layUnits(s.set, pick(units, at))
			targets[i] = p.Targets
			if !yield(p, err) {
				return
			}
		}
	}
	scores := make([][]store.LogProbs, len(units))
	err = by.Score(ctx, packs, s.how, func(pack int, nll []float64) error {
		tokens := 0
		for _, i := range plan[pack] {
			n := units[i].tokens(s.set)
			scores[i] = s.scoresOf(units[i], nll[tokens:], targets[pack][tokens:])
			tokens += n
		}
		targets[pack] = nil
		if s.done != nil {
			s.done(tokens)
		}
		return nil
	})
	return slices.Concat(scores...), err
}

// scoresOf are those of a unit's replies, which nll and targets begin with.
func (s scoring) scoresOf(u unit, nll []float64, targets []int32) []store.LogProbs {
	out := make([]store.LogProbs, len(u.replies))
	for k, n := range u.rows(s.set) {
		out[k].LogP, out[k].Prefix, _ = dpo.LogProbs(nll[:n], targets[:n], s.shared(u.replies[k].answer))
		nll, targets = nll[n:], targets[n:]
	}
	return out
}
