package model

import (
	"slices"

	"lwtrain/internal/kernels"
)

// reading is a prompt that went through the model, kept for the requests that ask it again.
type reading struct {
	prompt []int32
	cache  []kernels.Cache // of the prompt alone, layer by layer
	logits []float32       // after its last token [V]
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
func (s *slot) take(from []kernels.Cache, tokens int) {
	for layer, c := range s.cache {
		c.Copy(from[layer], tokens)
	}
	s.length = tokens
}

// free forgets the prompt; its logits are valid until the next one is kept.
func (k *reading) free() {
	for _, c := range k.cache {
		c.Free()
	}
	k.prompt, k.cache = nil, nil
}
