package serve

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"lwtrain/model"
	"lwtrain/tokenizer"
)

// job is a request whose texts wait or are written.
type job struct {
	asked
	rows []*row
	came chan struct{} // something of a row has come
	gone atomic.Bool   // nobody reads it any more
}

// row is one text of a job.
type row struct {
	job      *job
	sampling model.Sampling
	again    bool // the row behind it begins with the same prompt

	// Of the generator alone.
	began   time.Time
	tok     *tokenizer.Tokenizer
	decoder *tokenizer.Decoder
	ending  ending
	stopped bool
	tokens  *atomic.Int64 // of all rows
	ended   func(r *row)

	mu   sync.Mutex
	next piece
}

// piece is what has come of a row since it was looked at last.
type piece struct {
	text     string
	logprobs []logprob
	tokens   int    // in all
	finish   string // why it ended; "": it goes on
	err      error  // why it came to nothing
}

// take is what has come.
func (r *row) take() piece {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.next
	r.next.text, r.next.logprobs = "", nil
	return p
}

// add lets change what has come, and wakes who waits for it.
func (r *row) add(change func(p *piece)) {
	r.mu.Lock()
	change(&r.next)
	r.mu.Unlock()
	select {
	case r.job.came <- struct{}{}:
	default:
	}
}

// guest is the row for the generator.
func (r *row) guest() *model.Guest {
	q := &r.job.asked
	r.began = time.Now()
	request := model.Request{
		Prompt: q.prompt, MaxNewTokens: q.most, Stop: q.stop, Sampling: r.sampling, Emit: r.emit,
		Enough: func() bool { return r.stopped || r.job.gone.Load() },
	}
	if q.logprobs {
		request.Look = r.look
	}
	return &model.Guest{Request: request, Again: r.again, Ended: r.end}
}

// look takes the probabilities of a token. That of the one that ends the text is no part of it.
func (r *row) look(id int32, logits []float32) {
	if !slices.Contains(r.job.stop, id) {
		l := logprobOf(r.tok, id, logits, r.job.top)
		r.add(func(p *piece) { p.logprobs = append(p.logprobs, l) })
	}
}

func (r *row) emit(id int32) {
	r.tokens.Add(1)
	text := ""
	if !r.tok.IsSpecial(id) {
		text, r.stopped = r.ending.add(r.decoder.Next(id))
	}
	r.add(func(p *piece) {
		p.tokens++
		p.text += text
	})
}

func (r *row) end(g model.Generated, err error) {
	text := ""
	if !r.stopped {
		text, r.stopped = r.ending.add(r.decoder.Flush())
		text += r.ending.rest()
	}
	if errors.Is(err, context.Canceled) {
		err = errStopped
	}
	r.ended(r)
	r.add(func(p *piece) {
		p.text += text
		switch p.finish = "stop"; {
		case err != nil && g.Stop == "":
			p.finish, p.err = "error", err
		case g.Stop == model.StopLength && !r.stopped:
			p.finish = "length"
		}
	})
}

// pool is the rows that wait and are written.
type pool struct {
	most   int // rows
	came   chan struct{}
	tokens atomic.Int64

	mu      sync.Mutex
	waiting []*row
	running int
	answers int
	pace    time.Duration // that a text takes, by those that have ended
	closed  bool
}

func (p *pool) state() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return State{p.running, len(p.waiting), p.answers, int(p.tokens.Load())}
}

// add lets a job's rows wait for their turn.
func (p *pool) add(j *job) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errStopped
	}
	if n := p.running + len(p.waiting) + len(j.rows); n > p.most {
		const longest = 60
		return &problem{
			status: http.StatusTooManyRequests, code: "too_many_waiting", after: min(longest, 1+int(math.Ceil(p.pace.Seconds()))),
			text: fmt.Sprintf("%d texts are written or wait, and %d more would be more than %d", n-len(j.rows), len(j.rows), p.most),
		}
	}
	for _, r := range j.rows {
		r.tokens, r.ended = &p.tokens, p.ended
	}
	p.waiting = append(p.waiting, j.rows...)
	select {
	case p.came <- struct{}{}:
	default:
	}
	return nil
}

// leave says that nobody reads a job any more: its rows make room at once.
func (p *pool) leave(j *job) {
	j.gone.Store(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = slices.DeleteFunc(p.waiting, func(r *row) bool { return r.job == j })
}

// next is the row whose turn it is. idle says that it may wait for one; then nil means that ctx has ended.
func (p *pool) next(ctx context.Context, idle bool) *model.Guest {
	for {
		p.mu.Lock()
		if len(p.waiting) > 0 {
			r := p.waiting[0]
			p.waiting = slices.Delete(p.waiting, 0, 1)
			p.running++
			p.mu.Unlock()
			return r.guest()
		}
		p.mu.Unlock()
		if !idle {
			return nil
		}
		select {
		case <-p.came:
		case <-ctx.Done():
			return nil
		}
	}
}

// ended says that a row has.
func (p *pool) ended(r *row) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	p.answers++
	const weight = 8
	p.pace += (time.Since(r.began) - p.pace) / weight
}

// close takes no more jobs.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

// fail ends the rows that wait.
func (p *pool) fail(err error) {
	p.mu.Lock()
	rows := p.waiting
	p.waiting, p.closed = nil, true
	p.mu.Unlock()
	for _, r := range rows {
		r.add(func(p *piece) { p.finish, p.err = "error", err })
	}
}

// ending looks for the texts that end an answer.
type ending struct {
	stops []string
	held  string // may be the begin of one
}

// add returns what is certain of the text with more of it, and whether one of the stops has come: the text is then what
// stands before it.
func (e *ending) add(more string) (text string, stopped bool) {
	e.held += more
	at := -1
	for _, stop := range e.stops {
		if i := strings.Index(e.held, stop); i >= 0 && (at < 0 || i < at) {
			at = i
		}
	}
	if at >= 0 {
		text, e.held = e.held[:at], ""
		return text, true
	}
	keep := 0
	for _, stop := range e.stops {
		for k := min(len(stop)-1, len(e.held)); k > keep; k-- {
			if strings.HasSuffix(e.held, stop[:k]) {
				keep = k
			}
		}
	}
	text, e.held = e.held[:len(e.held)-keep], e.held[len(e.held)-keep:]
	return text, false
}

// rest is what was held back, when nothing follows.
func (e *ending) rest() string {
	text := e.held
	e.held = ""
	return text
}
