package train

import (
	"lwtrain/data"
	"lwtrain/packing"
)

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
	if p.sharing.Most == 0 || len(ids) < 2 || !p.set.SamePrompt(ids[0], ids[1]) {
		return 0, 0
	}
	prompt = p.set.Prompt(ids[0])
	apart := lengths(p.set, ids)
	rows := []int{apart[0], apart[1] - prompt + 1}
	if prompt < 2 || rows[0]+rows[1] > min(p.sharing.Most, p.capacity) {
		return 0, 0
	}
	targets := p.sharing.Target * float64(p.set.Targets(ids[0])+p.set.Targets(ids[1]))
	cost, less := p.sharing.Cost.Of(apart)+targets, p.sharing.Cost.Branches(prompt, rows)+targets
	if apart[0]+apart[1] > p.capacity {
		cost *= scoredFirst
	}
	if saved = 1 - less/cost; saved < leastSaved && !p.sharing.Always {
		return 0, 0
	}
	return prompt, saved
}

// Once is what a plan tells of prompts that are computed once.
type Once struct {
	Pairs  int     // of an epoch that have theirs so
	Saved  float64 // of the work of an epoch, all pairs together
	Longer int     // pairs that may not, for they have more than Most tokens
	Most   int
	Why    string // what bounds that
}

// sharedPrompts sums up what sharing prompts does for the pairs of an epoch.
func (p *PairSteps) sharedPrompts() Once {
	out := Once{Most: p.sharing.Most, Why: p.sharing.Why}
	var cost, less float64
	for _, pair := range p.set.Pairs() {
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
func sizes(set *data.Set, units []unit) []int {
	out := make([]int, len(units))
	for i, u := range units {
		out[i] = u.tokens(set)
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
