package model

import (
	"fmt"
	"math"
	"slices"

	"lwtrain/internal/kernels"
)

// readRows is how many positions' logits there are at a time.
const readRows = 64

// Read runs a text through the model and says of each position from on, which is at least 1,
// with what -ln p its token follows those before it, and how probably one of ends would have
// come in its place. Both are as long as the text behind from. Sums over the vocabulary
// are float64.
func (g *Generator) Read(ids []int32, from int, ends []int32) (nll, end []float64, err error) {
	n := len(ids) - from
	if from < 1 || n < 1 {
		return nil, nil, fmt.Errorf("a text of %d tokens, want more than the %d before what is read", len(ids), from)
	}
	nll, end = make([]float64, n), make([]float64, n)
	err = g.Logits(ids[:len(ids)-1], from-1, func(at int, row []float32) error {
		peak := math.Inf(-1)
		for _, v := range row {
			peak = max(peak, float64(v))
		}
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(float64(v) - peak)
		}
		if math.IsNaN(sum) || math.IsInf(peak, 0) {
			return fmt.Errorf("the logits after %d tokens hold a NaN or infinity", at+1)
		}
		k := at + 1 - from
		nll[k] = peak + math.Log(sum) - float64(row[ids[at+1]])
		for _, id := range ends {
			end[k] += math.Exp(float64(row[id])-peak) / sum
		}
		return nil
	})
	return nll, end, err
}

// Logits runs a text through the model and gives to use, for each position from from on, the
// logits of the token behind it [vocabulary], which use must not keep.
func (g *Generator) Logits(ids []int32, from int, use func(at int, logits []float32) error) (err error) {
	vocab := g.m.Config.Vocab
	for i, id := range ids {
		if id < 0 || int(id) >= vocab {
			return fmt.Errorf("position %d: token id %d, want 0 to %d", i, id, vocab-1)
		}
	}
	kernels.Run(func() { err = g.readLogits(ids, from, use) })
	for i := range g.memory {
		g.memory[i].free()
	}
	kernels.FreeBF16(g.rounded)
	g.rounded = nil
	return err
}

func (g *Generator) readLogits(ids []int32, from int, use func(at int, logits []float32) error) error {
	vocab, hidden := g.m.Config.Vocab, g.m.Config.Hidden
	s := g.newSlot(0, len(ids)+1, Sampling{})
	defer s.free()
	g.begin(ids, s)
	h := forward[rowsOf](g.m, g)
	logits := kernels.Alloc(readRows * vocab)
	defer kernels.Free(logits)
	for at := from; at < len(ids); at += readRows {
		rows := min(readRows, len(ids)-at)
		g.product(logits, h[at*hidden:(at+rows)*hidden], rows, g.m.head)
		for r := range rows {
			if err := use(at+r, logits[r*vocab:(r+1)*vocab]); err != nil {
				return err
			}
		}
	}
	return nil
}

// reading is a prompt that went through the model, kept for the requests that ask it again.
type reading struct {
	prompt []int32
	cache  []past    // of the prompt alone, layer by layer
	logits []float32 // after its last token [V]
}

// readPrompt gives a text the keys and values of its prompt and returns the logits after it [V].
// They are computed once for requests of the same prompt that follow each other, and are the
// same bytes then; again says that the next one is such a request.
func (g *Generator) readPrompt(s *slot, prompt []int32, again bool) []float32 {
	k := &g.kept
	switch known := slices.Equal(k.prompt, prompt); {
	case known:
		s.take(k.cache, len(prompt))
	case again:
		logits := g.prefill(s, prompt)
		k.free()
		k.prompt, k.logits = prompt, append(k.logits[:0], logits...)
		c := g.newSlot(s.request, len(prompt), Sampling{})
		c.take(s.cache, len(prompt))
		k.cache = c.cache
	default:
		return g.prefill(s, prompt)
	}
	logits := k.logits
	if !again {
		k.free()
	}
	return logits
}

// take copies the first tokens of other caches.
func (s *slot) take(from []past, tokens int) {
	for layer, c := range s.cache {
		c.take(from[layer], tokens)
	}
	s.length = tokens
}

// free forgets the prompt; its logits are valid until the next one is kept.
func (k *reading) free() {
	for _, c := range k.cache {
		c.free()
	}
	k.prompt, k.cache = nil, nil
}
