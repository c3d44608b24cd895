package torch

import (
	"context"
	"fmt"
	"slices"

	"lwtrain/engine"
	"lwtrain/packing"
)

// costs are the operations that packs take: products, and attention within documents, of which a
// document of n tokens takes n (n+1) times half of what a single one does.
func (e *Engine) costs(packs []packing.Pack) []float64 {
	attention := e.config.AttentionFLOPs(1) / 2
	cost := packing.Cost{Token: 2*float64(e.config.ProductParameters()) + attention, Square: attention}
	out := make([]float64, len(packs))
	for i, p := range packs {
		out[i] = cost.Of(documents(p))
	}
	return out
}

// documents are the lengths of a pack's documents.
func documents(p packing.Pack) (lengths []int32) {
	for t := 0; t < p.Tokens; t++ {
		if int(p.Starts[t]) == t {
			lengths = append(lengths, 0)
		}
		if len(lengths) > 0 {
			lengths[len(lengths)-1]++
		}
	}
	return lengths
}

// check refuses a pack of more than most tokens, and one that is not documents side by side, each of which sees itself alone: it is
// all that a worker is told of.
func check(p packing.Pack, most int) error {
	if len(p.IDs) > most {
		return fmt.Errorf("a pack of %d tokens, want at most the capacity %d", len(p.IDs), most)
	}
	start := int32(0)
	for t := range p.Tokens {
		if p.Positions[t] == 0 {
			start = int32(t)
		}
		if p.Starts[t] != start || p.Positions[t] != int32(t)-start {
			return fmt.Errorf("token %d of the pack sees from token %d on, at position %d: want documents side by side",
				t, p.Starts[t], p.Positions[t])
		}
	}
	return nil
}

// idle is the pack of a rank that has none: its one token carries no loss.
func idle() packing.Pack {
	return packing.Pack{IDs: []int32{0}, Targets: []int32{-1}, Starts: []int32{0}, Positions: []int32{0}, Weights: []float32{0}, Tokens: 1}
}

// row is a pack for each rank, and what came of it.
type row struct {
	packs []packing.Pack
	most  int       // tokens of the longest
	nll   []float32 // [ranks, most]
}

// losses are those of the pack at a place, padded with zeros to n.
func (r row) losses(place, n int) []float64 {
	out := make([]float64, n)
	for t := range min(n, r.packs[place].Tokens) {
		out[t] = float64(r.nll[place*r.most+t])
	}
	return out
}

// weights are those of the packs, for a caller to change.
func (r row) weights() [][]float32 {
	out := make([][]float32, len(r.packs))
	for i, p := range r.packs {
		out[i] = slices.Clone(p.Weights)
	}
	return out
}

// run sends a row of packs of at most most tokens, of which of are the indices, and hears their losses. how adds to the message.
func (e *Engine) run(
	ctx context.Context, how map[string]any, packs []packing.Pack, of []int, most int, by engine.ScoreOptions,
) (r row, err error) {
	if err := e.begin(ctx); err != nil {
		return r, err
	}
	if err := ctx.Err(); err != nil {
		return r, err
	}
	var heads []map[string]any
	ids, targets, weights := array{name: "ids", ints: []int32{}}, array{name: "targets", ints: []int32{}}, array{name: "weights"}
	keys := array{name: "keys", words: []uint64{}}
	for place := range e.plan.ranks {
		p := idle()
		if place < len(of) && of[place] != packing.None {
			p = packs[of[place]]
			if p.Tokens == 0 {
				p = idle()
			}
		}
		if err := check(p, most); err != nil {
			return r, err
		}
		r.packs, r.most = append(r.packs, p), max(r.most, p.Tokens)
		heads = append(heads, map[string]any{"tokens": p.Tokens, "documents": documents(p)})
		ids.ints = append(ids.ints, p.IDs[:p.Tokens]...)
		targets.ints = append(targets.ints, p.Targets[:p.Tokens]...)
		weights.reals = append(weights.reals, p.Weights[:p.Tokens]...)
		if by.Step > 0 && e.outline.Dropout() {
			one := make([]uint64, p.Tokens)
			e.outline.DropoutKeys(one, p.IDs[:p.Tokens], p.Starts, nil, by.Step)
			keys.words = append(keys.words, one...)
		}
	}
	how["packs"], how["base"] = heads, by.Base
	arrays := []array{ids, targets, weights}
	if len(keys.words) > 0 { // first, where they lie as words do
		arrays = append([]array{keys}, arrays...)
	}
	if err := e.fail(e.process.send(how, arrays...)); err != nil {
		return r, err
	}
	s, err := e.hear("done", "weigh")
	if err == nil {
		r.nll, err = e.process.reals(s, e.plan.ranks*r.most)
		err = e.fail(err)
	}
	return r, err
}
