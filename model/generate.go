package model

import (
	"context"
	"fmt"
	"slices"
	"time"

	"lwtrain/internal/graph"
	"lwtrain/internal/kernels"
	"lwtrain/internal/rng"
)

// Request is one text to continue.
type Request struct {
	Prompt       []int32
	MaxNewTokens int
	Stop         []int32 // ids that end the text
	Sampling     Sampling
	Stuck        func(ids []int32) bool // asked every [StuckEvery] tokens whether the text is to end; may be nil
	Emit         func(id int32)         // called with each new token but the stop; may be nil
	// Done is called when the text has ended, and returns texts that are to be continued before those
	// that wait, or that none of these is to begin; may be nil.
	Done func(Generated) (more []Request, enough bool)
}

// Generated is what a request came to.
type Generated struct {
	IDs  []int32 // new tokens, without the stop
	Stop string  // StopEOS, StopLength or StopStuck
}

// Why a text ends.
const (
	StopEOS    = "eos"    // a stop id came
	StopLength = "length" // MaxNewTokens are there
	StopStuck  = "loop"   // Stuck said so
)

// StuckEvery is after how many tokens Request.Stuck is asked, again and again.
const StuckEvery = 64

// Generator continues texts with a model's weights, several at a time. It
// computes the same forward pass as training, at once instead of in a graph,
// and keeps keys and values of the tokens seen. It is not safe for concurrent
// use. The model must not change while a call runs.
type Generator struct {
	m     *Model
	half  bool // weights and caches in bf16
	slots []*slot
	kept  reading

	// The rows of the pass under way: token ids, their positions, and the slot of
	// each row when every row continues one.
	ids       []int32
	positions []int32
	ends      []int32 // the lengths of their texts
	starts    []int32 // of a prompt's rows: the first that each sees in the layer under way
	decode    []*slot // nil: the rows are the prompt of one new slot
	fresh     *slot
	yielded   time.Time // when other goroutines last had their turn
	memory    [2]bump   // of the values of this layer, and of the one before
	layer     int

	rounded []kernels.BF16               // the input of a product
	lengths map[*graph.Adapter][]float32 // of the rows that adapters bring to another length
	texts   []kernels.Cached             // of the layer's attention
	firsts  []int32                      // zeros
	states  [][]float32                  // of the layer's delta rule, text by text
	best    []int32                      // the most probable token of each row
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

// slot is a text under way: what its layers keep of it, with room for the
// whole text.
type slot struct {
	request int
	cache   []past
	length  int // tokens in the cache
	last    int32
	sampler sampler
}

// NewGenerator returns a generator over m's weights: over their bf16 copies
// where there are some ([Model.UseHalf], [LoadBF16]), which takes half the time
// for each token, and bf16 keys and values then. Where the processor multiplies bf16
// itself, what meets them is rounded to bf16, too; sums are float32 either way.
func NewGenerator(m *Model) *Generator {
	g := &Generator{m: m, half: m.embed.Half != nil, lengths: map[*graph.Adapter][]float32{}}
	for _, x := range m.adapters {
		if x.Magnitude != nil {
			g.lengths[x.Adapter] = make([]float32, x.Rows)
			x.Lengths(x.of, g.lengths[x.Adapter], nil)
		}
	}
	return g
}

// Generate continues all requests, at most batch of them at a time: when one
// is done the next takes its place. Results are in the order of the requests, and of those that
// Done returned. With the same number of threads a text is the same tokens whatever is beside it
// and whenever it begins. A prompt that requests behind each other share is computed once.
func (g *Generator) Generate(ctx context.Context, requests []Request, batch int) ([]Generated, error) {
	w := work{vocab: g.m.Config.Vocab}
	if err := w.add(requests); err != nil {
		return nil, err
	}
	var err error
	kernels.Run(func() { err = g.run(ctx, &w, max(1, batch)) })
	for _, s := range g.slots {
		s.free()
	}
	g.slots = nil
	g.kept.free()
	for i := range g.memory {
		g.memory[i].free()
	}
	kernels.FreeBF16(g.rounded)
	g.rounded = nil
	return w.out, err
}

// work is texts to continue, and what came of them.
type work struct {
	vocab    int
	requests []Request
	out      []Generated
	queue    []int // wait, the last one first
}

// add puts texts before those that wait.
func (w *work) add(requests []Request) error {
	first := len(w.requests)
	for i, r := range requests {
		if len(r.Prompt) == 0 {
			return fmt.Errorf("prompt %d is empty", first+i)
		}
		for _, id := range r.Prompt {
			if id < 0 || int(id) >= w.vocab {
				return fmt.Errorf("prompt %d: token id %d, want 0 to %d", first+i, id, w.vocab-1)
			}
		}
	}
	for i := len(requests) - 1; i >= 0; i-- {
		w.queue = append(w.queue, first+i)
	}
	w.requests = append(w.requests, requests...)
	w.out = append(w.out, make([]Generated, len(requests))...)
	return nil
}

// begins reports whether the text that waits for its turn begins with the same prompt.
func (w *work) begins(prompt []int32) bool {
	if len(w.queue) == 0 {
		return false
	}
	next := w.requests[w.queue[len(w.queue)-1]]
	return next.MaxNewTokens > 0 && slices.Equal(next.Prompt, prompt)
}

// take adds the token that a text chose, and reports whether the text goes on.
func (w *work) take(s *slot) bool {
	r, o := &w.requests[s.request], &w.out[s.request]
	switch {
	case len(o.IDs) == r.MaxNewTokens:
		o.Stop = StopLength
	case slices.Contains(r.Stop, s.last):
		o.Stop = StopEOS
	case r.Stuck != nil && len(o.IDs) > 0 && len(o.IDs)%StuckEvery == 0 && r.Stuck(o.IDs):
		o.Stop = StopStuck
	default:
		o.IDs = append(o.IDs, s.last)
		if r.Emit != nil {
			r.Emit(s.last)
		}
		if len(o.IDs) < r.MaxNewTokens {
			return true
		}
		o.Stop = StopLength
	}
	return false
}

// ended tells that a text has, and adds those that follow from it.
func (w *work) ended(s *slot) error {
	r := &w.requests[s.request]
	s.free()
	if r.Done == nil {
		return nil
	}
	more, enough := r.Done(w.out[s.request])
	if err := w.add(more); err != nil {
		return err
	}
	if enough {
		w.queue = nil
	}
	return nil
}

func (g *Generator) run(ctx context.Context, w *work, batch int) error {
	for len(w.queue) > 0 || len(g.slots) > 0 {
		for len(g.slots) < batch && len(w.queue) > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			i := w.queue[len(w.queue)-1]
			w.queue = w.queue[:len(w.queue)-1]
			r := w.requests[i]
			s := g.newSlot(i, len(r.Prompt)+r.MaxNewTokens, r.Sampling)
			g.slots = append(g.slots, s)
			if r.MaxNewTokens > 0 {
				if err := g.choose([]*slot{s}, g.readPrompt(s, r.Prompt, w.begins(r.Prompt))); err != nil {
					return err
				}
			}
		}
		// Take what each text chose; those that are done make room.
		var err error
		g.slots = slices.DeleteFunc(g.slots, func(s *slot) bool {
			goes := w.take(s)
			if !goes && err == nil {
				err = w.ended(s)
			}
			return !goes
		})
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if err := g.goOn(w); err != nil {
			return err
		}
	}
	return nil
}

// goOn gives each text its next token. One that grows longer than the frequencies of short texts are for is read anew with
// those of long ones.
func (g *Generator) goOn(w *work) error {
	shorter := g.slots
	if s := g.m.Config.Rope.Scaling; s != nil && s.Type == "longrope" {
		shorter = nil
		for _, x := range g.slots {
			if x.length != int(s.OriginalMax) {
				shorter = append(shorter, x)
				continue
			}
			ids := append(slices.Clone(w.requests[x.request].Prompt), w.out[x.request].IDs...)
			if err := g.choose([]*slot{x}, g.prefill(x, ids)); err != nil {
				return err
			}
		}
	}
	if len(shorter) == 0 {
		return nil
	}
	return g.choose(shorter, g.step(shorter))
}

// choose gives each slot its next token, from logits [len(slots), V]. That they
// are finite is not certain: a model's weights may have left the range of numbers.
func (g *Generator) choose(slots []*slot, logits []float32) error {
	g.best = slices.Grow(g.best[:0], len(slots))[:len(slots)]
	kernels.Highest(g.best, logits, g.m.Config.Vocab)
	for i, s := range slots {
		if g.best[i] < 0 {
			return fmt.Errorf("prompt %d: the logits after %d tokens hold a NaN or infinity", s.request, s.length)
		}
		s.last = s.sampler.next(logits[i*g.m.Config.Vocab:(i+1)*g.m.Config.Vocab], g.best[i])
	}
	return nil
}

func (g *Generator) newSlot(request, capacity int, how Sampling) *slot {
	s := &slot{request: request, sampler: sampler{Sampling: how, rand: rng.New(how.Seed, "generate")}}
	for layer := range g.m.Config.Layers {
		s.cache = append(s.cache, g.newPast(layer, capacity))
	}
	return s
}

func (s *slot) free() {
	for _, c := range s.cache {
		c.free()
	}
	s.cache = nil
}

// prefill runs a whole prompt through the model and returns the logits after
// its last token [V].
func (g *Generator) prefill(s *slot, prompt []int32) []float32 {
	g.begin(prompt, s)
	h := forward[rowsOf](g.m, g)
	s.length = len(prompt)
	return g.logits(h[(len(prompt)-1)*g.m.Config.Hidden:], 1)
}

// begin makes a prompt the rows of the next pass.
func (g *Generator) begin(prompt []int32, s *slot) {
	g.ids, g.positions, g.starts, g.decode, g.fresh = prompt, make([]int32, len(prompt)), make([]int32, len(prompt)), nil, s
	g.ends = make([]int32, len(prompt))
	for i := range g.positions {
		g.positions[i], g.ends[i] = int32(i), int32(len(prompt))
	}
}

// step feeds each slot the token it chose last and returns the logits after
// it, [len(slots), V].
func (g *Generator) step(slots []*slot) []float32 {
	g.ids, g.positions, g.ends, g.decode = g.ids[:0:0], g.positions[:0], g.ends[:0], slots
	for _, s := range slots {
		g.ids = append(g.ids, s.last)
		g.positions, g.ends = append(g.positions, int32(s.length)), append(g.ends, int32(s.length+1))
	}
	h := forward[rowsOf](g.m, g)
	for _, s := range slots {
		s.length++
	}
	return g.logits(h, len(slots))
}

func (g *Generator) logits(h []float32, rows int) []float32 {
	out := g.take(rows * g.m.Config.Vocab)
	g.product(out, h, rows, g.m.head)
	return out
}

// rowsOf is a tensor of the pass under way: one row for each of g.ids.
type rowsOf = []float32

var _ backend[rowsOf] = (*Generator)(nil)

// bump is memory that is given out piece by piece and taken back as a whole.
type bump struct {
	chunks      [][]float32
	chunk, used int
}

func (b *bump) take(n int) []float32 {
	for b.chunk < len(b.chunks) && b.used+n > len(b.chunks[b.chunk]) {
		b.chunk, b.used = b.chunk+1, 0
	}
	if b.chunk == len(b.chunks) {
		b.chunks = append(b.chunks, kernels.Alloc(max(n, 1<<18)))
	}
	out := b.chunks[b.chunk][b.used : b.used+n : b.used+n]
	b.used += n
	return out
}

func (b *bump) reset() { b.chunk, b.used = 0, 0 }

func (b *bump) free() {
	for _, c := range b.chunks {
		kernels.Free(c)
	}
	*b = bump{}
}
