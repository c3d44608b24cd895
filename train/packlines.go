package train

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// PackLine is a pack of a run as [Batches.Write] tells it.
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
	Weight       float64 `json:"weight"` // of its targets' cross-entropy in the step's loss, the mean over them

	IDs    []int32    `json:"ids,omitempty"`
	Target [][2]int32 `json:"target,omitempty"` // half-open ranges of ids that are targets
}

// Write writes what every step of a run trains on, a line of JSON for each
// pack, in the order of training: which document lies where, and with which
// weight. With ids it also writes tokens and targets.
func (b *Batches) Write(w io.Writer, ids bool) error {
	out := bufio.NewWriter(w)
	lines := json.NewEncoder(out)
	for step := range b.total {
		batch, err := b.at(step)
		if err != nil {
			return err
		}
		var divisor float64
		var packs []PackLine
		for k, samples := range batch {
			line, part, err := b.line(samples, ids)
			if err != nil {
				return fmt.Errorf("step %d: %w", step+1, err)
			}
			line.Step, line.Pack = step+1, k
			line.Epoch, _ = b.epochOf(step)
			packs, divisor = append(packs, line), divisor+part
		}
		if divisor, err = b.divisor(step, divisor); err != nil {
			return err
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

// line is a pack, with weights before the step's division, and its part of the divisor.
func (b *Batches) line(samples []int, ids bool) (line PackLine, divisor float64, err error) {
	docs, err := b.documents(samples)
	if err != nil {
		return line, 0, err
	}
	pack, err := b.packing.Lay(docs)
	if err != nil {
		return line, 0, err
	}
	sources := b.data.Sources()
	for i, id := range samples {
		item := PackItem{
			Origin: b.data.Origin(id), Source: sources[b.data.Source(id)].Name,
			Offset: line.Tokens, Tokens: len(docs[i].IDs), TargetTokens: b.data.Targets(id),
		}
		if ids {
			item.IDs, item.Target = docs[i].IDs, docs[i].Target
		}
		line.Tokens += item.Tokens
		for _, w := range pack.Weights[item.Offset:line.Tokens] {
			item.Weight += float64(w)
		}
		item.Weight /= float64(max(item.TargetTokens, 1))
		line.Documents = append(line.Documents, item)
	}
	return line, pack.Divisor, nil
}
