package model

import (
	"context"
	"fmt"
	"math"
	"slices"

	"lwtrain/internal/kernels"
	"lwtrain/internal/rng"
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
	g.free()
	return err
}

func (g *Generator) readLogits(ids []int32, from int, use func(at int, logits []float32) error) error {
	vocab, hidden := g.m.Config.Vocab, g.m.Config.Hidden
	s := &slot{cache: g.newCache(len(ids) + 1)}
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

// past is what a layer keeps of a text: keys and values, or of a recurrent one the newest inputs of its convolution, [taps,
// width], the newest last, and the state of its delta rule.
type past struct {
	kernels.Cache
	taps, state []float32
}

// newPast makes room for so many tokens.
func (g *Generator) newPast(layer, tokens int) past {
	c := &g.m.Config
	if !c.Is(layer) {
		return past{Cache: kernels.NewCache(tokens, c.KVHeads, c.HeadDim, g.half)}
	}
	p := past{taps: kernels.Alloc(c.Taps * c.taps().Width())}
	if c.Values > 0 {
		p.state = kernels.Alloc(c.delta().State())
	}
	return p
}

// take copies what another one keeps of a text's first tokens, which are all of a recurrent layer's.
func (p past) take(from past, tokens int) {
	if p.taps == nil {
		p.Copy(from.Cache, tokens)
		return
	}
	copy(p.taps, from.taps)
	copy(p.state, from.state)
}

// free gives the memory back.
func (p past) free() {
	p.Free()
	kernels.Free(p.taps)
	kernels.Free(p.state)
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
		s.copy(k.cache, len(prompt))
	case again:
		logits := g.prefill(s, prompt)
		k.free()
		if g.vain {
			return logits
		}
		k.prompt, k.logits = prompt, append(k.logits[:0], logits...)
		c := slot{cache: g.newCache(len(prompt))}
		c.copy(s.cache, len(prompt))
		k.cache = c.cache
	default:
		k.free()
		return g.prefill(s, prompt)
	}
	logits := k.logits
	if !again {
		k.free()
	}
	return logits
}

// copy takes over the first tokens of other caches.
func (s *slot) copy(from []past, tokens int) {
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

// Thread is one text that is continued again and again, as a conversation is: what is the same at its
// beginning is not read again. It reads as it writes, a token's keys and values in one order of sums
// whether the token was read or written. So a text is the same tokens whatever was kept before; with
// sampling it need not be that of [Generator.Generate], which reads a prompt at once.
type Thread struct {
	g    *Generator
	s    slot
	room int
	ids  []int32 // in s.cache
	long bool    // they were read as those of a long text
}

// Thread begins a text of at most so many tokens. Its generator serves nothing else until Free.
func (g *Generator) Thread(tokens int) *Thread {
	return &Thread{g: g, s: slot{cache: g.newCache(tokens)}, room: tokens}
}

// threadRows is how many tokens are read at a time, and between two looks at a context.
const threadRows = 64

// Continue makes the request's prompt the thread's text and continues it; kept is how many of the prompt's
// tokens were there. Where ctx ends, what has come until then is returned with its error. Done is not called.
func (t *Thread) Continue(ctx context.Context, r Request) (out Generated, kept int, err error) {
	if n := len(r.Prompt) + r.MaxNewTokens; n > t.room {
		return out, 0, fmt.Errorf("a text of %d tokens, want at most %d", n, t.room)
	}
	one := &text{Request: r}
	if err := one.check(t.g.m.Config.Vocab); err != nil {
		return out, 0, err
	}
	for kept < min(len(t.ids), len(r.Prompt)-1) && t.ids[kept] == r.Prompt[kept] { // the last one's logits are asked for
		kept++
	}
	if long := t.g.m.Config.long(len(r.Prompt)); long != t.long {
		t.long, kept = long, 0
	}
	if kept < len(t.ids) && t.g.m.Config.Any() { // a state can not be taken back to an earlier token
		kept = 0
		for _, p := range t.s.cache {
			clear(p.taps)
			clear(p.state)
		}
	}
	t.s = slot{text: one, cache: t.s.cache, length: kept}
	t.s.sampler = sampler{Sampling: r.Sampling, rand: rng.New(r.Sampling.Seed, "generate")}
	t.ids = t.ids[:kept]
	kernels.Run(func() { err = t.run(ctx) })
	return one.out, kept, err
}

func (t *Thread) run(ctx context.Context) error {
	logits, err := t.readAll(ctx, t.s.Prompt[len(t.ids):])
	if err != nil || t.s.MaxNewTokens == 0 {
		return err
	}
	for {
		if t.g.choose([]*slot{&t.s}, logits); t.s.failed != nil {
			return t.s.failed
		}
		if !t.s.take() {
			return nil
		}
		next := []int32{t.s.last}
		if !t.long && t.g.m.Config.long(t.s.length+1) { // all of it is read anew, as a long text
			t.long, next = true, append(t.ids, t.s.last)
			t.ids, t.s.length = nil, 0
		}
		if logits, err = t.readAll(ctx, next); err != nil {
			return err
		}
	}
}

// readAll adds tokens to the text, some at a time, and returns the logits after the last one [V].
func (t *Thread) readAll(ctx context.Context, ids []int32) (logits []float32, err error) {
	for len(ids) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(threadRows, len(ids))
		logits = t.read(ids[:n])
		ids = ids[n:]
	}
	return logits, nil
}

// read adds tokens to the text, and returns the logits after the last one [V].
func (t *Thread) read(ids []int32) []float32 {
	g := t.g
	g.ids, g.positions, g.ends, g.decode, g.thread = ids, g.positions[:0], g.ends[:0], g.decode[:0:0], true
	end := int32(1)
	if t.long {
		end = math.MaxInt32
	}
	for i := range ids {
		g.positions, g.ends = append(g.positions, int32(t.s.length+i)), append(g.ends, end)
		g.decode = append(g.decode, &t.s)
	}
	h := forward[rowsOf](g.m, g)
	t.s.length += len(ids)
	t.ids = append(t.ids, ids...)
	return g.logits(h[(len(ids)-1)*g.m.Config.Hidden:], 1)
}

// Free gives the memory back.
func (t *Thread) Free() {
	t.s.free()
	t.g.free()
}
