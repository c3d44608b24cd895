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
	return set.Tokens(r.answer) - set.Prompt(r.answer) + set.Prompt(r.prompt)
}

// tokensOf adds up the lengths of replies.
func tokensOf(set *data.Set, replies []reply) (n int64) {
	for _, r := range replies {
		n += int64(r.tokens(set))
	}
	return n
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

// layReplies makes a pack of replies, with weight 1 on every target.
func layReplies(set *data.Set, replies []reply) (packing.Pack, error) {
	size := 0
	docs := make([]packing.Doc, len(replies))
	for i, r := range replies {
		var err error
		if docs[i], err = r.document(set); err != nil {
			return packing.Pack{}, err
		}
		size += len(docs[i].IDs)
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

// score returns what a model says of replies, packed together.
func (s scoring) score(ctx context.Context, by engine.Scorer, replies []reply) ([]store.LogProbs, error) {
	lengths := make([]int, len(replies))
	for i, r := range replies {
		lengths[i] = r.tokens(s.set)
	}
	plan, err := packing.Assign(packing.BestFit, s.capacity, lengths)
	if err != nil {
		return nil, err
	}
	targets := make([][]int32, len(plan)) // of the packs that the engine has and has not told the losses of
	packs := func(yield func(packing.Pack, error) bool) {
		for i, at := range plan {
			p, err := layReplies(s.set, pick(replies, at))
			targets[i] = p.Targets
			if !yield(p, err) {
				return
			}
		}
	}
	out := make([]store.LogProbs, len(replies))
	err = by.Score(ctx, packs, s.how, func(pack int, nll []float64) error {
		at := 0
		for _, i := range plan[pack] {
			end := at + lengths[i]
			out[i].LogP, out[i].Prefix, _ = dpo.LogProbs(nll[at:end], targets[pack][at:end], s.shared(replies[i].answer))
			at = end
		}
		targets[pack] = nil
		if s.done != nil {
			s.done(at)
		}
		return nil
	})
	return out, err
}
