package llm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
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

// answerMost answers requests, and tells which have failed.
func (c *Client) answerMost(ctx context.Context, requests []Request, done func(i int, r Reply) error) error {
	all := make([]int, len(requests))
	for i := range all {
		all[i] = i
	}
	a := &asking{Client: c, pace: newPace(c.Concurrency, c.cool), requests: requests, done: done, failed: map[int]Reply{}}
	if err := a.round(ctx, all); err != nil {
		return err
	}
	again := a.again
	a.last, a.again = true, nil
	return a.round(ctx, again)
}

// asking is the requests of a tolerant client, on their way.
type asking struct {
	*Client
	pace     *pace
	requests []Request

	mu     sync.Mutex // is told at a time
	done   func(i int, r Reply) error
	row    int           // of failures
	last   bool          // round: what fails now has failed
	again  []int         // are asked once more in the last round
	failed map[int]Reply // what they came to before
}

// round asks for the replies to some of the requests.
func (a *asking) round(ctx context.Context, which []int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var askers sync.WaitGroup
	defer askers.Wait()
	for _, i := range which {
		if a.pace.begin(ctx) != nil {
			break
		}
		if r, ok := a.givenUp(i); ok {
			a.pace.end()
			if err := a.tell(i, r, false); err != nil {
				cancel(err)
			}
			continue
		}
		askers.Go(func() {
			defer a.pace.end()
			r, again, err := a.ask(ctx, a.requests[i], a.pace)
			if err == nil {
				err = a.tell(i, r, again)
			}
			if err != nil {
				cancel(err)
			}
		})
	}
	askers.Wait()
	return context.Cause(ctx)
}

// givenUp is what a request came to before, once too many in a row of the last round have
// failed again.
func (a *asking) givenUp(i int) (Reply, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed[i], a.last && a.row >= mostFailures
}

// tell tells of a reply, unless it is asked for again.
func (a *asking) tell(i int, r Reply, again bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Failed == "" {
		a.row = 0
		return a.done(i, r)
	}
	a.row++
	if a.last {
		return a.done(i, r)
	}
	if a.row >= mostFailures {
		return fmt.Errorf("%s: %d requests in a row have failed, the last one: %s", a.URL, a.row, r.Failed)
	}
	if !again {
		return a.done(i, r)
	}
	a.again, a.failed[i] = append(a.again, i), r
	return nil
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

// begin waits for a request's turn. One asks at a time.
func (p *pace) begin(ctx context.Context) error {
	for {
		p.mu.Lock()
		rest, free := time.Until(p.until), p.now < int(p.limit)
		if free && rest <= 0 && ctx.Err() == nil {
			p.now++
			p.mu.Unlock()
			return nil
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
			return context.Cause(ctx)
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
