package model

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
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
	Stuck        func(ids []int32) bool // asked every [stuckEvery] tokens whether the text is to end; may be nil
	Emit         func(id int32)         // called with each new token but the stop; may be nil
	// Look is called with each token that is chosen, the stop among them, before Emit, and the logits [V] that it
	// was chosen from; may be nil.
	Look func(id int32, logits []float32)
	// Enough is asked behind each Emit whether the text is to end there, and while its prompt is read, which then
	// ends; may be nil.
	Enough func() bool
	// Done is called when the text has ended, and returns texts that are to be continued before those
	// that wait, or that none of these is to begin; may be nil.
	Done func(Generated) (more []Request, enough bool)
}

// Generated is what a request came to.
type Generated struct {
	IDs  []int32 // new tokens, without the stop
	Stop string  // StopEOS, StopLength, StopStuck or StopEnough
}

// Why a text ends.
const (
	StopEOS    = "eos"    // a stop id came
	StopLength = "length" // MaxNewTokens are there
	StopStuck  = "loop"   // Stuck said so
	StopEnough = "enough" // Enough did
)

// stuckEvery is after how many tokens Request.Stuck is asked, again and again.
const stuckEvery = 64

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
	thread    bool    // all rows of decode continue one text: each sees those before it
	fresh     *slot
	yielded   time.Time // when other goroutines last had their turn
	memory    [2]bump   // of the values of this layer, and of the one before
	most      int       // rows that it has room for
	layer     int
	scores    []float32       // the logits of a pass
	ctx       context.Context // of what is under way; nil: nothing ends it
	vain      bool            // nobody wants what the pass under way comes to: it need not be computed

	rounded []kernels.BF16               // the input of a product
	lengths map[*graph.Adapter][]float32 // of the rows that adapters bring to another length
	texts   []kernels.Cached             // of the layer's attention
	firsts  []int32                      // zeros
	states  [][]float32                  // of the layer's delta rule, text by text
	best    []int32                      // the most probable token of each row
}

// text is a request and what has come of it.
type text struct {
	Request
	name  int  // of the prompt, for errors
	again bool // the text that comes next has the same prompt
	out   Generated
	done  func(failed error) error // called when the text has ended; what it returns ends all
}

// slot is a text under way: what its layers keep of it, with room for the
// whole text.
type slot struct {
	*text
	cache   []past
	length  int // tokens in the cache
	last    int32
	sampler sampler
	failed  error // why there is no next token
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
	err := g.run(ctx, batch, math.MaxInt, w.next)
	out := make([]Generated, len(w.texts))
	for i, t := range w.texts {
		out[i] = t.out
	}
	return out, err
}

// Guest is a text that joins those under way: see [Generator.Serve]. Done of its request is not called.
type Guest struct {
	Request
	Again bool                   // the next guest has the same prompt, which is then computed once
	Ended func(Generated, error) // called when the text has ended; an error has ended it before its time
}

// readAtOnce is how many tokens of prompts are read between two tokens of the guests under way: one
// prompt more than that.
const readAtOnce = 512

// Serve continues guests until next has none, or ctx ends: at most batch of them at a time. It asks
// next whenever there is room for one; idle says that nothing is under way, so that next may
// wait. Where it does not, nil means that nobody waits now. A guest's tokens are those that Generate comes to.
func (g *Generator) Serve(ctx context.Context, batch int, next func(idle bool) *Guest) error {
	return g.run(ctx, batch, readAtOnce, func(idle bool) *text {
		for {
			guest := next(idle)
			if guest == nil {
				return nil
			}
			t := &text{Request: guest.Request, again: guest.Again}
			t.done = func(failed error) error {
				guest.Ended(t.out, failed)
				return nil
			}
			err := t.check(g.m.Config.Vocab)
			if err == nil {
				return t
			}
			guest.Ended(Generated{}, err)
		}
	})
}

// check refuses a prompt that is none.
func (t *text) check(vocab int) error {
	if len(t.Prompt) == 0 {
		return fmt.Errorf("prompt %d is empty", t.name)
	}
	for _, id := range t.Prompt {
		if id < 0 || int(id) >= vocab {
			return fmt.Errorf("prompt %d: token id %d, want 0 to %d", t.name, id, vocab-1)
		}
	}
	return nil
}

// work is texts to continue.
type work struct {
	vocab int
	texts []*text
	queue []*text // wait, the last one first
}

// add puts texts before those that wait.
func (w *work) add(requests []Request) error {
	first := len(w.texts)
	for i, r := range requests {
		t := &text{Request: r, name: first + i}
		t.done = func(failed error) error { return w.ended(t, failed) }
		if err := t.check(w.vocab); err != nil {
			return err
		}
		w.texts = append(w.texts, t)
	}
	for i := len(w.texts) - 1; i >= first; i-- {
		w.queue = append(w.queue, w.texts[i])
	}
	return nil
}

// next takes a text that waits.
func (w *work) next(bool) *text {
	last := len(w.queue) - 1
	if last < 0 {
		return nil
	}
	t := w.queue[last]
	w.queue = w.queue[:last]
	if last > 0 {
		next := w.queue[last-1]
		t.again = next.MaxNewTokens > 0 && slices.Equal(next.Prompt, t.Prompt)
	}
	return t
}

// ended tells that a text has, and adds those that follow from it.
func (w *work) ended(t *text, failed error) error {
	if failed != nil || t.Done == nil {
		return failed
	}
	more, enough := t.Done(t.out)
	if err := w.add(more); err != nil {
		return err
	}
	if enough {
		w.queue = nil
	}
	return nil
}

// run continues what next returns, and frees all memory at the end.
func (g *Generator) run(ctx context.Context, batch, readAtOnce int, next func(idle bool) *text) (err error) {
	g.ctx = ctx
	kernels.Run(func() { err = g.loop(ctx, max(1, batch), readAtOnce, next) })
	g.ctx = nil
	for _, s := range g.slots {
		s.free()
		_ = s.done(err) // it is the one that ended all
	}
	g.slots = nil
	g.free()
	return err
}

func (g *Generator) free() {
	g.kept.free()
	for i := range g.memory {
		g.memory[i].free()
	}
	g.most = 0
	kernels.FreeBF16(g.rounded)
	kernels.Free(g.scores)
	g.rounded, g.scores = nil, nil
}

func (g *Generator) loop(ctx context.Context, batch, readAtOnce int, next func(idle bool) *text) error {
	for {
		for read := 0; len(g.slots) < batch && read < readAtOnce; {
			t := next(len(g.slots) == 0)
			if t == nil {
				break
			}
			s := g.newSlot(t, len(t.Prompt)+t.MaxNewTokens)
			g.slots = append(g.slots, s)
			if err := ctx.Err(); err != nil {
				return err
			}
			if t.MaxNewTokens > 0 {
				g.choose([]*slot{s}, g.readPrompt(s, t.Prompt, t.again))
			}
			read += len(t.Prompt)
		}
		if len(g.slots) == 0 {
			return ctx.Err()
		}
		// Take what each text chose; those that are done make room.
		err := ctx.Err()
		if err != nil {
			return err // what was chosen last may be of a pass that was not computed
		}
		g.slots = slices.DeleteFunc(g.slots, func(s *slot) bool {
			goes := s.failed == nil && s.take()
			if !goes {
				s.free()
				if err == nil {
					err = s.done(s.failed)
				}
			}
			return !goes
		})
		if err != nil {
			return err
		}
		g.goOn()
	}
}

// goOn gives each text its next token. One that grows longer than the frequencies of short texts are for is read anew with
// those of long ones.
func (g *Generator) goOn() {
	on := g.slots
	if g.m.Config.Rope.LongFrequencies() != nil {
		on = nil
		for _, s := range g.slots {
			if g.m.Config.long(s.length) || !g.m.Config.long(s.length+1) {
				on = append(on, s)
				continue
			}
			g.choose([]*slot{s}, g.prefill(s, slices.Concat(s.Prompt, s.out.IDs)))
		}
	}
	if len(on) > 0 {
		g.choose(on, g.step(on))
	}
}

// take adds the token that a text chose, and reports whether the text goes on.
func (s *slot) take() bool {
	o := &s.out
	switch {
	case len(o.IDs) == s.MaxNewTokens:
		o.Stop = StopLength
	case slices.Contains(s.Stop, s.last):
		o.Stop = StopEOS
	case s.Stuck != nil && len(o.IDs) > 0 && len(o.IDs)%stuckEvery == 0 && s.Stuck(o.IDs):
		o.Stop = StopStuck
	default:
		o.IDs = append(o.IDs, s.last)
		if s.Emit != nil {
			s.Emit(s.last)
		}
		switch {
		case s.Enough != nil && s.Enough():
			o.Stop = StopEnough
		case len(o.IDs) == s.MaxNewTokens:
			o.Stop = StopLength
		default:
			return true
		}
	}
	return false
}

// choose gives each slot its next token, from logits [len(slots), V]. That they
// are finite is not certain: a model's weights may have left the range of numbers.
func (g *Generator) choose(slots []*slot, logits []float32) {
	vocab := g.m.Config.Vocab
	g.best = slices.Grow(g.best[:0], len(slots))[:len(slots)]
	kernels.Highest(g.best, logits, vocab)
	g.draw(slots, logits)
	for i, s := range slots {
		if s.failed == nil && s.Look != nil {
			s.Look(s.last, logits[i*vocab:(i+1)*vocab])
		}
	}
}

// draw gives each slot the token that it draws from its logits, or why there is none. Threads share the slots.
func (g *Generator) draw(slots []*slot, logits []float32) {
	vocab, threads := g.m.Config.Vocab, 1
	if slices.ContainsFunc(slots, func(s *slot) bool { return s.Sampling.Temperature != 0 }) {
		threads = min(len(slots), kernels.Describe().Threads)
	}
	some := func(first int) {
		for i := first; i < len(slots); i += threads {
			if s := slots[i]; g.best[i] < 0 {
				s.failed = fmt.Errorf("prompt %d: the logits after %d tokens hold a NaN or infinity", s.name, s.length)
			} else {
				s.last = s.sampler.next(logits[i*vocab:(i+1)*vocab], g.best[i])
			}
		}
	}
	var others sync.WaitGroup
	for first := 1; first < threads; first++ {
		others.Add(1)
		go func() {
			defer others.Done()
			some(first)
		}()
	}
	some(0)
	others.Wait()
}

func (g *Generator) newSlot(t *text, capacity int) *slot {
	return &slot{text: t, cache: g.newCache(capacity), sampler: sampler{Sampling: t.Sampling, rand: rng.New(t.Sampling.Seed, "generate")}}
}

// newCache makes room for what layers keep of so many tokens.
func (g *Generator) newCache(tokens int) (out []past) {
	for layer := range g.m.Config.Layers {
		out = append(out, g.newPast(layer, tokens))
	}
	return out
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
	g.ids, g.positions, g.ends, g.decode, g.thread = g.ids[:0:0], g.positions[:0], g.ends[:0], slots, false
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
	n := rows * g.m.Config.Vocab
	if len(g.scores) < n {
		kernels.Free(g.scores)
		g.scores = kernels.Alloc(n)
	}
	out := g.scores[:n]
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
