package packing

import "fmt"

// Doc is one sample: its token ids, the half-open ranges of those that are
// targets, and the factor of its source on the loss.
type Doc struct {
	IDs    []int32
	Target [][2]int32
	Factor float64
}

// targets is the number of tokens that carry loss: target tokens but the
// first, which nothing precedes.
func (d Doc) targets() int {
	n := 0
	for _, t := range d.Target {
		n += int(t[1] - max(t[0], 1))
	}
	return n
}

// Pack is what a graph of a fixed capacity takes in. The slices have length
// capacity.
//
// The loss of a step is the sum over its packs and their positions t of
// Weights[t] * cross-entropy(t), divided by the sum of the packs' Divisor.
type Pack struct {
	IDs     []int32   // tokens; 0 in the padding
	Targets []int32   // the id that position t predicts, -1 where it carries no loss
	Starts  []int32   // where t's document starts: its position id is t - Starts[t]; t itself in the padding
	Weights []float32 // of each position's cross-entropy, 0 where Targets is -1
	Divisor float64

	Documents    int
	Tokens       int // without padding
	TargetTokens int // that carry loss
}

// Lay fills p with documents one after the other and with padding up to
// capacity, and weighs their tokens. It reuses p's slices.
func Lay(p *Pack, capacity int, docs []Doc, weighting string) error {
	p.resize(capacity)
	targets := make([]int, len(docs))
	factors := make([]float64, len(docs))
	for i, d := range docs {
		if err := d.check(); err != nil {
			return fmt.Errorf("document %d of the pack: %w", i, err)
		}
		targets[i], factors[i] = d.targets(), d.Factor
	}
	weights, divisor, err := weigh(weighting, targets, factors)
	if err != nil {
		return err
	}
	p.Divisor, p.Documents, p.Tokens, p.TargetTokens = divisor, len(docs), 0, 0
	for i, d := range docs {
		start := p.Tokens
		if start+len(d.IDs) > capacity {
			return fmt.Errorf("document %d of the pack ends at token %d, want at most the capacity %d", i, start+len(d.IDs), capacity)
		}
		copy(p.IDs[start:], d.IDs)
		for k := range d.IDs {
			p.Starts[start+k] = int32(start)
		}
		p.Tokens += len(d.IDs)
		if weights[i] == 0 { // nothing to learn in it
			continue
		}
		for _, span := range d.Target {
			for k := max(span[0], 1); k < span[1]; k++ {
				at := start + int(k) - 1 // the position that predicts token k
				p.Targets[at] = d.IDs[k]
				p.Weights[at] = float32(weights[i])
			}
		}
		p.TargetTokens += targets[i]
	}
	return nil
}

// resize makes every position padding.
func (p *Pack) resize(capacity int) {
	if len(p.IDs) != capacity {
		p.IDs = make([]int32, capacity)
		p.Targets = make([]int32, capacity)
		p.Starts = make([]int32, capacity)
		p.Weights = make([]float32, capacity)
	}
	for t := range p.IDs {
		p.IDs[t], p.Targets[t], p.Starts[t], p.Weights[t] = 0, -1, int32(t), 0
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
