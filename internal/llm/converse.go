package llm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
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
		case tooLong.Match(status.raw):
			return "context: " + status.Error(), false
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

// ofPrompt reports whether a request has failed for what its prompt is: that says nothing of the server,
// and comes again in each run that goes on, one such prompt after the other.
func ofPrompt(failed string) bool {
	return strings.HasPrefix(failed, "content filter: ") || strings.HasPrefix(failed, "context: ")
}

// filtered finds refusals for what a prompt says.
var filtered = regexp.MustCompile(`(?i)content[_ ]?(filter|management|policy)|ResponsibleAI`)

// Converse answers requests, at most Concurrency of them at a time.
func (c *Client) Converse(ctx context.Context, requests []Request, done func(i int, r Reply) ([]Request, error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a := &asking{Client: c, pace: newPace(c.Concurrency, c.cool), done: done, tries: map[int]int{}, failed: map[int]Reply{}}
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
		if ctx.Err() == nil && a.salvage() {
			continue
		}
		if ctx.Err() == nil && a.enough {
			return ErrEnough
		}
		return context.Cause(ctx)
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
	off      []later       // are to be asked, too
	tries    map[int]int   // of those
	row      int           // of failures
	again    []int         // are asked once more when all others are through
	failed   map[int]Reply // what they came to before
	enough   bool          // nothing more is asked
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
	return func(yield func(int) bool) {
		for a.pace.begin(ctx, a.waiting) {
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

// later is a request that was put off.
type later struct {
	i    int
	from time.Time // it may be asked
}

// waiting is from when on a request is to be asked; zero: there is none. Those that were put off come before
// the others, the one first that may be asked first: what follows from its answer takes the longest.
func (a *asking) waiting() (from time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	n := 0
	for n < len(a.off) && !a.off[n].from.After(now) {
		n++
	}
	for _, l := range slices.Backward(a.off[:n]) {
		a.queue = append(a.queue, l.i)
	}
	a.off = slices.Delete(a.off, 0, n)
	switch {
	case len(a.queue) > 0:
		return now
	case len(a.off) > 0:
		return a.off[0].from
	}
	return time.Time{}
}

// putOff has a request asked again.
func (a *asking) putOff(i, tries int, pause time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.enough {
		return
	}
	a.tries[i] = tries
	l := later{i, time.Now().Add(pause)}
	at, _ := slices.BinarySearchFunc(a.off, l, func(a, b later) int { return cmp.Or(a.from.Compare(b.from), a.i-b.i) })
	a.off = slices.Insert(a.off, at, l)
}

// answer asks for the reply to a request and tells it.
func (a *asking) answer(ctx context.Context, i int) error {
	a.mu.Lock()
	request := a.requests[i]
	r, gone := a.failed[i]
	gone = gone && a.row >= mostFailures // too many in a row have failed again
	tries := a.tries[i]
	delete(a.tries, i)
	a.mu.Unlock()
	again := false
	if !gone {
		var err error
		r, again, err = a.ask(ctx, request, a.pace, &tries)
		var off *putOff
		if errors.As(err, &off) {
			a.putOff(i, tries, off.pause)
			return nil
		}
		if err != nil {
			return err
		}
	}
	return a.tell(i, r, again)
}

// salvage has those that failed asked once more, and reports whether there are some.
func (a *asking) salvage() bool {
	if a.enough {
		return false
	}
	slices.Reverse(a.again)
	a.queue, a.again = a.again, nil
	return len(a.queue) > 0
}

// tell tells of a reply, unless it is asked for again.
func (a *asking) tell(i int, r Reply, again bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case r.Failed == "":
		a.row = 0
	case !ofPrompt(r.Failed):
		a.row++
	}
	if r.Failed != "" {
		_, second := a.failed[i]
		if !second && a.row >= mostFailures {
			return fmt.Errorf("%s: %d requests in a row have failed, the last one: %s", a.URL, a.row, r.Failed)
		}
		if !second && again {
			a.again, a.failed[i] = append(a.again, i), r
			return nil
		}
	}
	a.requests[i] = Request{} // thousands of long ones are not kept
	more, err := a.done(i, r)
	if errors.Is(err, ErrEnough) {
		a.enough, err = true, nil
	}
	if a.add(more); a.enough {
		a.queue, a.off = nil, nil
	}
	return err
}
