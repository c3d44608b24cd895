package train

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"lwtrain/internal/fault"
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

// LaidPack is a pack of the first epoch, token by token.
type LaidPack struct {
	Number    int            `json:"pack"` // in the epoch, from 1
	Packs     int            `json:"packs"`
	Step      int            `json:"step"` // from 1
	InStep    int            `json:"pack_of_step"`
	OfStep    int            `json:"packs_of_step"`
	Capacity  int            `json:"capacity"`
	Tokens    int            `json:"tokens"`
	Targets   int            `json:"target_tokens"`
	Strategy  string         `json:"strategy"`
	Weighting string         `json:"weighting"`
	Documents []LaidDocument `json:"documents"`
}

// LaidDocument is a document of it. Its slices have an entry for each token.
type LaidDocument struct {
	Origin    string    `json:"origin"` // file:line
	Source    string    `json:"source"`
	Offset    int       `json:"offset"` // of its first token in the pack
	Targets   int       `json:"target_tokens"`
	IDs       []int32   `json:"ids"`
	Positions []int32   `json:"positions"`
	Target    []bool    `json:"target"`  // the token is predicted, with loss
	Weights   []float64 `json:"weights"` // of the token's cross-entropy in the loss of the step
}

// Laid is pack number of the first epoch, from 1, in the order of training.
func (b *Batches) Laid(number int) (*LaidPack, error) {
	if number < 1 || number > len(b.first.packs) {
		return nil, fault.Usage(fmt.Errorf("pack %d, want 1 to %d, the packs of the first epoch", number, len(b.first.packs)))
	}
	step, in := (number-1)/b.perStep, (number-1)%b.perStep
	batch, err := b.at(step)
	if err != nil {
		return nil, err
	}
	out := &LaidPack{
		Number: number, Packs: len(b.first.packs), Step: step + 1, InStep: in + 1, OfStep: len(batch),
		Capacity: b.packing.Capacity, Strategy: b.packing.Strategy, Weighting: b.packing.Weighting,
	}
	divisor := 0.0
	for k, samples := range batch {
		docs, err := b.documents(samples)
		if err != nil {
			return nil, err
		}
		pack, err := b.packing.Lay(docs)
		if err != nil {
			return nil, err
		}
		divisor += pack.Divisor
		if k != in {
			continue
		}
		out.Tokens, out.Targets = pack.Tokens, pack.TargetTokens
		at := 0
		for i, id := range samples {
			n := len(docs[i].IDs)
			d := LaidDocument{
				Origin: b.data.Origin(id), Source: b.data.Sources()[b.data.Source(id)].Name, Offset: at,
				IDs: docs[i].IDs, Positions: pack.Positions[at : at+n], Target: make([]bool, n), Weights: make([]float64, n),
			}
			for t := 1; t < n; t++ { // a position predicts the token behind it
				if d.Target[t] = pack.Targets[at+t-1] >= 0; d.Target[t] {
					d.Weights[t] = float64(pack.Weights[at+t-1])
					d.Targets++
				}
			}
			out.Documents = append(out.Documents, d)
			at += n
		}
	}
	if divisor, err = b.divisor(step, divisor); err != nil {
		return nil, err
	}
	for _, d := range out.Documents {
		for t := range d.Weights {
			if divisor > 0 {
				d.Weights[t] /= divisor
			}
		}
	}
	return out, nil
}
