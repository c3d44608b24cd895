package llm

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"time"

	"lwtrain/internal/transport"
)

const (
	mostFailures = 20 // in a row, after which a server is not asked any more
	fewAtOnce    = 4  // requests, to begin with
)

// failed says why a request has come to nothing that was asked for so often, and whether it
// may be answered another time. It is "" for what concerns all requests.
func failed(err error, tries int) (reason string, again bool) {
	var status *statusError
	var came *failure
	var busy *transport.BusyError
	var down transport.UnreachableError
	var dial *net.OpError
	again = errors.As(err, &busy)
	switch {
	case errors.As(err, &status):
		switch code := status.code; {
		case transport.IsBusy(code):
			return fmt.Sprintf("busy: %d after %d tries: %s", code, tries, status.said), true
		case code == http.StatusNotFound || code == http.StatusUnauthorized || code == http.StatusForbidden || code < 400:
			return "", false
		case filtered.Match(status.raw):
			return "content filter: " + status.Error(), false
		default:
			return "refused: " + status.Error(), false
		}
	case errors.As(err, &came):
		return came.kind + ": " + err.Error(), again || came.kind == "silent"
	case errors.As(err, &dial) && dial.Op == "dial":
		return "", false
	case errors.As(err, &down):
		return fmt.Sprintf("lost: %v after %d tries", err, tries), true
	}
	return "", false
}

// filtered finds refusals for what a prompt says.
var filtered = regexp.MustCompile(`(?i)content[_ ]?(filter|management|policy)|ResponsibleAI`)

// Converse answers requests, at most Concurrency of them at a time.
func (c *Client) Converse(ctx context.Context, requests []Request, done func(i int, r Reply) ([]Request, error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a := &asking{Client: c, pace: newPace(c.Concurrency, c.cool), done: done, failed: map[int]Reply{}}
	if !c.Tolerant {
		a.pace.limit = a.pace.most
	}
	a.add(requests)
	var askers sync.WaitGroup
	for {
		for i := range a.turns(ctx) {
			askers.Go(func() {
				defer a.pace.end()
				if err := a.answer(ctx, i); err != nil {
					cancel(err)
				}
			})
		}
		askers.Wait()
		if ctx.Err() != nil || !a.salvage() {
			return context.Cause(ctx)
		}
	}
}

// asking is the requests of a client, on their way.
type asking struct {
	*Client
	pace *pace
	done func(i int, r Reply) ([]Request, error)

	mu       sync.Mutex // is told at a time
	requests []Request
	queue    []int         // are to be asked, the last one first
	row      int           // of failures
	again    []int         // are asked once more when all others are through
	failed   map[int]Reply // what they came to before
}

// add puts requests before those that wait.
func (a *asking) add(requests []Request) {
	for i := len(requests) - 1; i >= 0; i-- {
		a.queue = append(a.queue, len(a.requests)+i)
	}
	a.requests = append(a.requests, requests...)
}

// turns are the requests whose turn it is, one after the other, until there is none more and
// none is under way that may bring one.
func (a *asking) turns(ctx context.Context) iter.Seq[int] {
	waiting := func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return len(a.queue) > 0
	}
	return func(yield func(int) bool) {
		for a.pace.begin(ctx, waiting) {
			a.mu.Lock()
			i := a.queue[len(a.queue)-1]
			a.queue = a.queue[:len(a.queue)-1]
			a.mu.Unlock()
			if !yield(i) {
				return
			}
		}
	}
}

// answer asks for the reply to a request and tells it.
func (a *asking) answer(ctx context.Context, i int) error {
	a.mu.Lock()
	request := a.requests[i]
	r, gone := a.failed[i]
	gone = gone && a.row >= mostFailures // too many in a row have failed again
	a.mu.Unlock()
	again := false
	if !gone {
		var err error
		p := a.pace
		if !a.Tolerant {
			p = nil
		}
		if r, again, err = a.ask(ctx, request, p); err != nil {
			return err
		}
	}
	return a.tell(i, r, again)
}

// salvage has those that failed asked once more, and reports whether there are some.
func (a *asking) salvage() bool {
	slices.Reverse(a.again)
	a.queue, a.again = a.again, nil
	return len(a.queue) > 0
}

// tell tells of a reply, unless it is asked for again.
func (a *asking) tell(i int, r Reply, again bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Failed == "" {
		a.row = 0
	} else {
		a.row++
		_, second := a.failed[i]
		if !second && a.row >= mostFailures {
			return fmt.Errorf("%s: %d requests in a row have failed, the last one: %s", a.URL, a.row, r.Failed)
		}
		if !second && again {
			a.again, a.failed[i] = append(a.again, i), r
			return nil
		}
	}
	more, err := a.done(i, r)
	a.add(more)
	return err
}

// pace is how many requests a server is sent at once. It grows by one when as many have been
// answered, and goes down to three quarters when one was too many (429, or a reply that breaks
// off, as a server's does that drops one for the next): then nobody begins for a while. Additive
// increase and multiplicative decrease share what there is among those who ask (Chiu and Jain 1989).
type pace struct {
	cool  time.Duration
	wake  chan struct{} // something has changed
	most  float64
	mu    sync.Mutex
	limit float64
	now   int       // under way
	good  int       // answered since the limit changed, or since one was not
	until time.Time // nobody begins before
	cut   time.Time // when the limit went down: those that had begun before say nothing new
}

func newPace(most int, cool time.Duration) *pace {
	return &pace{cool: cool, wake: make(chan struct{}, 1), most: float64(max(most, 1)), limit: float64(min(max(most, 1), fewAtOnce))}
}

// begin waits for a request to be waiting, and for its turn. It reports false once none is under
// way that could bring one, or ctx has ended. One asks at a time.
func (p *pace) begin(ctx context.Context, waiting func() bool) bool {
	for {
		p.mu.Lock()
		some := waiting()
		rest, free := time.Until(p.until), some && p.now < int(p.limit)
		switch {
		case ctx.Err() != nil, !some && p.now == 0:
			p.mu.Unlock()
			return false
		case free && rest <= 0:
			p.now++
			p.mu.Unlock()
			return true
		}
		p.mu.Unlock()
		var over <-chan time.Time // for ever, where there is no room
		if free {
			over = time.After(max(rest, 0))
		}
		select {
		case <-p.wake:
		case <-over:
		case <-ctx.Done():
		}
	}
}

// end is told that a request is through.
func (p *pace) end() {
	p.mu.Lock()
	p.now--
	p.mu.Unlock()
	p.changed()
}

// told is told what a try that began then came to.
func (p *pace) told(began time.Time, err error) {
	p.mu.Lock()
	var busy *transport.BusyError
	var status *statusError
	var came *failure
	tooMany := errors.As(err, &status) && status.code == http.StatusTooManyRequests || errors.As(err, &came) && came.kind == "cut"
	switch {
	case err == nil:
		if p.good++; p.good >= int(p.limit) {
			p.limit, p.good = min(p.limit+1, p.most), 0
		}
	case errors.As(err, &busy) && tooMany:
		p.until = time.Now().Add(max(p.cool, busy.After))
		if p.good = 0; began.After(p.cut) {
			p.limit, p.cut = max(1, p.limit*0.75), time.Now()
		}
	default:
		p.good = 0
	}
	p.mu.Unlock()
	p.changed()
}

func (p *pace) changed() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
