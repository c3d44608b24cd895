package data

import (
	"fmt"

	"lwtrain/data/record"
	"lwtrain/internal/fault"
)

// Pair is a preference: two samples that answer the same prompt, by their index
// in the set. They have the same tokens before the first target
// ([Set.Prompt]); their targets are the tokens of the answers, and none of the
// prompt's own assistant turns. A labelled answer is a pair without its other side.
type Pair struct{ Chosen, Rejected int }

// None is the side that a labelled answer does not have.
const None = -1

// Answers lists the samples of the pair: the chosen one first, where there are two.
func (p Pair) Answers() []int {
	switch {
	case p.Chosen == None:
		return []int{p.Rejected}
	case p.Rejected == None:
		return []int{p.Chosen}
	}
	return []int{p.Chosen, p.Rejected}
}

// Pairs lists the pairs of an epoch, in the order in which the sources were mixed,
// or the labelled answers ([Run.Labels]); nil of a set of conversations.
func (s *Set) Pairs() []Pair { return s.pairsOf(s.train) }

// HeldOutPairs lists those that are held out.
func (s *Set) HeldOutPairs() []Pair { return s.pairsOf(s.heldOut) }

// HeldOutPrompts lists held-out samples, one for each prompt of preferences.
func (s *Set) HeldOutPrompts() []int32 {
	if !s.paired && !s.labelled {
		return s.heldOut
	}
	var out []int32
	seen := map[uint64]bool{}
	for _, p := range s.HeldOutPairs() {
		id := p.Answers()[0]
		if hash := s.entry(id).PromptHash; !seen[hash] {
			seen[hash] = true
			out = append(out, int32(id))
		}
	}
	return out
}

// SamePrompt reports whether the records of samples i and j have the same tokens
// before their first target.
func (s *Set) SamePrompt(i, j int) bool { return s.entry(i).PromptHash == s.entry(j).PromptHash }

func (s *Set) pairsOf(samples []int32) []Pair {
	switch {
	case s.labelled:
		out := make([]Pair, len(samples))
		for i, id := range samples {
			if out[i] = (Pair{int(id), None}); !s.Desirable(int(id)) {
				out[i] = Pair{None, int(id)}
			}
		}
		return out
	case !s.paired:
		return nil
	}
	out := make([]Pair, len(samples)/2)
	for i := range out {
		out[i] = Pair{int(samples[2*i]), int(samples[2*i+1])}
	}
	return out
}

// Desirable reports whether sample i is a chosen answer, or one that is labelled
// true. It says nothing of plain conversations.
func (s *Set) Desirable(i int) bool {
	k := s.entry(i).Kind
	return k == record.Chosen || k == record.Liked
}

// Prompt is the number of tokens before the first target of sample i's record:
// what the sides of a pair have in common.
func (s *Set) Prompt(i int) int {
	return int(max(0, s.entry(i).Prompt-s.pieces.at(i).from))
}

// item is what is drawn, held out and repeated as one: a conversation of a source's
// store or a pair of them, by their indexes in it; rejected is -1 where there is one.
type item struct{ first, rejected int32 }

func (it item) conversations() []int {
	if it.rejected < 0 {
		return []int{int(it.first)}
	}
	return []int{int(it.first), int(it.rejected)}
}

// items makes the items of a source, and counts the records that are none.
func (s *Set) items(source int, want Run) ([]item, error) {
	src, entries, stats := s.from[source], s.stores[source].Entries, &s.sources[source]
	only := src.Side == "chosen"
	out := make([]item, 0, entries.Len())
	waiting := map[uint64][2][]int32{} // labelled records by their prompt: disliked, liked
	var order []uint64
	for i, e := range entries.All() {
		k := int32(i)
		switch {
		case want.Labels && !only && (e.Kind == record.Liked || e.Kind == record.Disliked):
			out = append(out, item{k, -1})
		case e.Kind == record.Plain, only && (e.Kind == record.Chosen || e.Kind == record.Liked):
			out = append(out, item{k, -1})
		case only:
			stats.drop("side", 1)
		case e.Kind == record.Chosen:
			if i+1 == entries.Len() || entries.At(i+1).Kind != record.Rejected {
				return nil, fmt.Errorf("%s: a pair without its other side in the store", s.stores[source].Dir)
			}
			out = append(out, item{k, k + 1})
		case e.Kind == record.Liked || e.Kind == record.Disliked:
			w, there := waiting[e.PromptHash]
			if !there {
				order = append(order, e.PromptHash)
			}
			side := int(e.Kind-record.Liked) ^ 1
			w[side] = append(w[side], k)
			waiting[e.PromptHash] = w
		}
	}
	for _, prompt := range order {
		w := waiting[prompt]
		n := min(len(w[0]), len(w[1]))
		for i := range n {
			if entries.At(int(w[0][i])).Hash == entries.At(int(w[1][i])).Hash { // one answer that is called good and bad
				stats.drop("equal_answers", 1)
				continue
			}
			out = append(out, item{w[1][i], w[0][i]})
		}
		if left := len(w[0]) + len(w[1]) - 2*n; left > 0 {
			stats.drop("no_counterpart", left)
		}
	}
	if len(order) > 0 && len(out) == 0 {
		return nil, fault.Usage(fault.Hint(
			fmt.Errorf("%s: source %s has %d labelled answers and no prompt with a good and a bad one, want pairs",
				src.shown, src.Name, stats.Dropped["no_counterpart"]),
			"dpo.loss_type: kto trains on labelled answers one by one"))
	}
	return out, nil
}
