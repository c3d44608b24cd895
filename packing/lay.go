package packing

import "fmt"

// Doc is one sample: its token ids, the half-open ranges of those that are
// targets, and the factor of its source on the loss.
type Doc struct {
	IDs    []int32
	Target [][2]int32
	Factor float64
	// Shared makes it a branch: it goes on behind the first Shared tokens of the last document
	// before it that is none. Its IDs begin with the last of these once more, which has the same
	// state in both, so that the first token behind them is predicted there, too.
	Shared int
}

// Branch is the document as one that shares its first tokens, none of which is a target, with the document before it.
func (d Doc) Branch(shared int) Doc {
	out := Doc{IDs: d.IDs[shared-1:], Factor: d.Factor, Shared: shared}
	for _, t := range d.Target {
		out.Target = append(out.Target, [2]int32{t[0] - int32(shared-1), t[1] - int32(shared-1)})
	}
	return out
}

// units are what a weighting weighs of the document. Its targets are those that carry loss:
// all but a first token, which nothing precedes.
func (d Doc) units(byMessage bool) []unit {
	all := unit{factor: d.Factor, times: 1}
	var each []unit
	for _, t := range d.Target {
		n := float64(t[1] - max(t[0], 1))
		each = append(each, unit{n, d.Factor, 1})
		all.targets += n
	}
	if byMessage {
		return each
	}
	return []unit{all}
}

// Pack is what an engine computes at a time: documents one after the other, and
// padding. Its slices have one length and belong to it alone.
//
// The loss of a step is the sum over its packs and their positions t of
// Weights[t] * cross-entropy(t), divided by the sum of the packs' Divisor.
type Pack struct {
	IDs       []int32   // tokens; 0 in the padding
	Targets   []int32   // the id that position t predicts, -1 where it carries no loss
	Starts    []int32   // the first index that t sees, which never decreases: its document's first; t itself in the padding
	Positions []int32   // t's position id: its index in its document, a branch's prefix included; 0 in the padding
	Weights   []float32 // of each position's cross-entropy, 0 where Targets is -1
	// Hidden are the half-open ranges of indices between its start and itself that each position does not see: of a
	// branch what is not of its prefix. nil: there is none.
	Hidden  [][2]int32
	Divisor float64

	Documents    int
	Tokens       int // without padding
	TargetTokens int // that carry loss
}

// Lay makes a pack of documents, one after the other and padded to size tokens, and
// weighs their tokens by a weighting with its defaults.
func Lay(size int, docs []Doc, weighting string) (Pack, error) {
	o := Default()
	o.Capacity, o.Weighting = size, weighting
	return o.Lay(docs)
}

// Lay makes a pack of documents, one after the other and padded to the capacity, and weighs
// their tokens.
func (o Options) Lay(docs []Doc) (Pack, error) {
	w, err := weightingOf(o.Weighting)
	if err != nil {
		return Pack{}, err
	}
	var units []unit
	counts := make([]int, len(docs)) // of units, by document
	for i, d := range docs {
		if err := d.check(); err != nil {
			return Pack{}, fmt.Errorf("document %d of the pack: %w", i, err)
		}
		of := d.units(w.byMessage)
		units, counts[i] = append(units, of...), len(of)
	}
	p := padding(o.Capacity)
	p.Documents = len(docs)
	var weights []float64
	weights, p.Divisor = w.weigh(o, units)
	root, trunk := 0, Doc{}
	for i, d := range docs {
		if end := p.Tokens + len(d.IDs); end > o.Capacity {
			return Pack{}, fmt.Errorf("document %d of the pack ends at token %d, want at most the capacity %d", i, end, o.Capacity)
		}
		if d.Shared == 0 {
			root, trunk = p.Tokens, d
		} else if d.Shared > len(trunk.IDs) || trunk.IDs[d.Shared-1] != d.IDs[0] {
			return Pack{}, fmt.Errorf("document %d of the pack goes on from token %d of one of %d tokens, want that token at its beginning",
				i, d.Shared-1, len(trunk.IDs))
		}
		p.add(d, root, weights[:counts[i]])
		weights = weights[counts[i]:]
	}
	return p, nil
}

// padding is a pack without documents.
func padding(size int) Pack {
	p := Pack{
		IDs: make([]int32, size), Targets: make([]int32, size), Starts: make([]int32, size), Positions: make([]int32, size),
		Weights: make([]float32, size),
	}
	for t := range size {
		p.Targets[t], p.Starts[t] = -1, int32(t)
	}
	return p
}

// add puts a document behind those that are there, with the weight of its targets or of those
// of each range. Where they weigh nothing there is nothing to learn. root is where the last one that is no branch
// begins.
func (p *Pack) add(d Doc, root int, weights []float64) {
	start, before := p.Tokens, max(0, d.Shared-1)
	copy(p.IDs[start:], d.IDs)
	for k := range d.IDs {
		p.Starts[start+k], p.Positions[start+k] = int32(root), int32(before+k)
	}
	p.Tokens += len(d.IDs)
	if d.Shared > 0 {
		if p.Hidden == nil {
			p.Hidden = make([][2]int32, len(p.IDs))
		}
		for k := range d.IDs {
			p.Hidden[start+k] = [2]int32{int32(root + before), int32(start)}
		}
	}
	for i, span := range d.Target {
		weight := weights[min(i, len(weights)-1)]
		if weight == 0 {
			continue
		}
		for k := max(span[0], 1); k < span[1]; k++ {
			at := start + int(k) - 1 // the position that predicts token k
			p.Targets[at], p.Weights[at] = d.IDs[k], float32(weight)
			p.TargetTokens++
		}
	}
}

// check wants a token at least, and target ranges that are ordered and inside.
func (d Doc) check() error {
	if len(d.IDs) == 0 {
		return fmt.Errorf("has no tokens, want at least 1")
	}
	end := int32(0)
	for _, t := range d.Target {
		if t[0] < end || t[1] <= t[0] || int(t[1]) > len(d.IDs) {
			return fmt.Errorf("target range [%d, %d) after token %d, want ordered ranges inside %d tokens", t[0], t[1], end, len(d.IDs))
		}
		end = t[1]
	}
	return nil
}
