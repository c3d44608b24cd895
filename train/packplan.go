package train

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"lwtrain/data"
	"lwtrain/packing"
)

// PackLine is a pack of a run as WritePacks tells it.
type PackLine struct {
	Step      int        `json:"step"`  // of the optimiser, from 1
	Pack      int        `json:"pack"`  // within the step, from 0
	Epoch     int        `json:"epoch"` // from 0
	Tokens    int        `json:"tokens"`
	Documents []PackItem `json:"documents"`
}

// PackItem is a document of a pack.
type PackItem struct {
	Origin       string  `json:"origin"` // file:line
	Source       string  `json:"source"`
	Offset       int     `json:"offset"` // of its first token in the pack
	Tokens       int     `json:"tokens"`
	TargetTokens int     `json:"target_tokens"`
	Weight       float64 `json:"weight"` // of each of its targets' cross-entropy in the step's loss

	IDs    []int32    `json:"ids,omitempty"`
	Target [][2]int32 `json:"target,omitempty"` // half-open ranges of ids that are targets
}

// WritePacks writes what every step of a run trains on, a line of JSON for each
// pack, in the order of training: which document lies where, and with which
// weight. With ids it also writes tokens and targets.
func WritePacks(w io.Writer, store *data.Set, pack packing.Options, opt Options, seed uint64, ids bool) error {
	b, err := newBatches(store, pack, opt, seed)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	lines := json.NewEncoder(out)
	sources := store.Sources()
	var laid packing.Pack
	for step := range b.total {
		batch, err := b.at(step)
		if err != nil {
			return err
		}
		var divisor float64
		var packs []PackLine
		epoch, _ := b.epochOf(step)
		for k, p := range batch {
			line := PackLine{Step: step + 1, Pack: k, Epoch: epoch}
			var docs []packing.Doc
			for _, id := range p.docs {
				s, err := store.Sample(id)
				if err != nil {
					return err
				}
				item := PackItem{Origin: store.Origin(id), Source: sources[s.Source].Name, Offset: line.Tokens, Tokens: len(s.IDs), TargetTokens: store.Targets(id)}
				if ids {
					item.IDs, item.Target = s.IDs, s.Target
				}
				docs = append(docs, packing.Doc{IDs: s.IDs, Target: s.Target, Factor: sources[s.Source].LossFactor})
				line.Documents = append(line.Documents, item)
				line.Tokens += len(s.IDs)
			}
			if err := packing.Lay(&laid, pack.Capacity, docs, pack.Weighting); err != nil {
				return fmt.Errorf("step %d: %w", step+1, err)
			}
			divisor += laid.Divisor
			for i, item := range line.Documents {
				for t := item.Offset; t < item.Offset+item.Tokens; t++ {
					if laid.Targets[t] >= 0 {
						line.Documents[i].Weight = float64(laid.Weights[t]) // the same for all targets of a document
						break
					}
				}
			}
			packs = append(packs, line)
		}
		for _, line := range packs {
			for i := range line.Documents {
				if divisor > 0 {
					line.Documents[i].Weight /= divisor
				}
			}
			if err := lines.Encode(line); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}
