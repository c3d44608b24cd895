package llm

import (
	"context"
	"errors"
	"math"
	"net/http"
	"sync"
	"time"

	"lwtrain/internal/transport"
)

// pace is how many requests a server is sent at once. It grows by one when as many have been
// answered, or half as many where none was too many yet, and goes down to three quarters when one was too many (429, or a reply that breaks
// off, as a server's does that drops one for the next). Additive
// increase and multiplicative decrease share what there is among those who ask (Chiu and Jain 1989).
// How many were too many is remembered, and tried again after more and more answers. Nobody begins for a
// while where asking less was not enough, or the server says so: that is about its time, not about how many.
// It also goes down by one when as many have waited for others, of a server that queues what it has no room for.
type pace struct {
	cool    time.Duration // without new requests, after one that was too many by itself, or the second one in a row
	wake    chan struct{} // something has changed
	most    float64
	mu      sync.Mutex
	limit   float64
	ceiling float64       // the most that went well before one was too many: growing beyond it takes more answers
	patient int           // answers that it takes
	now     int           // under way
	good    int           // answered since the limit changed, or since one was not
	cuts    int           // in a row, without as many answers between as the limit then was
	least   time.Duration // that a reply took to begin; 0: none has
	waits   int           // replies that waited for others since the limit changed
	until   time.Time     // nobody begins before
	cut     time.Time     // when the limit went down: those that had begun before say nothing new
}

const (
	morePatient = 8    // times the ceiling: answers that it takes to try more than that, to begin with
	mostPatient = 4096 // answers
	mostCool    = 5    // times that the pause is doubled
)

func newPace(most int, cool time.Duration) *pace {
	m := float64(max(most, 1))
	return &pace{cool: cool, wake: make(chan struct{}, 1), most: m, ceiling: m, limit: min(m, fewAtOnce)}
}

// begin waits for a request to be waiting, and for its turn. What waiting returns is from when on there is one;
// zero: there is none. It reports false once none is under
// way that could bring one, or ctx has ended. One asks at a time.
func (p *pace) begin(ctx context.Context, waiting func() time.Time) bool {
	for {
		p.mu.Lock()
		from := waiting()
		if from.Before(p.until) && !from.IsZero() {
			from = p.until
		}
		rest, free := time.Until(from), !from.IsZero() && p.now < p.room()
		switch {
		case ctx.Err() != nil, from.IsZero() && p.now == 0:
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

// room is how many may be under way. Where asking less was not enough, one shows whether the server is itself again.
func (p *pace) room() int {
	if p.cuts > 1 && p.good == 0 {
		return 1
	}
	return int(p.limit)
}

// end is told that a request is through.
func (p *pace) end() {
	p.mu.Lock()
	p.now--
	p.mu.Unlock()
	p.changed()
}

// try is one of the times that a request is made: when, and when a reply began that is a stream.
type try struct{ began, first time.Time }

// longWait is what the beginning of a reply may take, whatever else the server has to do.
const longWait = 5 * time.Second

// queued reports whether a reply that is there waited for others: a server that takes all requests and
// answers some of them begins the rest late. A long prompt, or one that is thought about, takes its
// time, too: but not so much more than another one's.
func (p *pace) queued(t try) bool {
	if t.first.IsZero() {
		return false
	}
	waited := t.first.Sub(t.began)
	if p.least == 0 || waited < p.least {
		p.least = waited
	}
	return waited > longWait && waited > 4*p.least && waited > time.Since(t.first)
}

// told is told what a try came to. Of one that was too many it returns for how long nobody begins, and whether that
// is news: of many that begin together, it is so of the first.
func (p *pace) told(t try, err error) (pause time.Duration, news bool) {
	p.mu.Lock()
	var busy *transport.BusyError
	var came *failure
	cutOff := errors.As(err, &came) && came.kind == "cut"
	switch {
	case err == nil && p.queued(t):
		p.good = 0
		if p.waits++; p.waits >= int(p.limit) {
			p.limit, p.waits = min(p.limit, max(fewAtOnce, p.limit-1)), 0
		}
	case err == nil:
		p.grow()
	case errors.As(err, &busy) && (cutOff || isTooMany(err)):
		pause, news = p.shrink(t, busy.After)
	default:
		p.good = 0
	}
	p.mu.Unlock()
	p.changed()
	return pause, news
}

// isTooMany reports whether a server says that it is asked too often.
func isTooMany(err error) bool {
	var status *statusError
	return errors.As(err, &status) && status.code == http.StatusTooManyRequests
}

// grow is told of an answer.
func (p *pace) grow() {
	p.good++
	enough := int(p.limit)
	if p.good >= enough {
		p.cuts = 0
	}
	switch {
	case p.limit+1 > p.ceiling:
		enough = p.patient
	case p.cut.IsZero():
		enough = (enough + 1) / 2 // nothing has been too many
	}
	if p.good >= enough && p.limit < p.most {
		p.limit, p.good, p.waits = min(p.limit+1, p.most), 0, 0
	}
}

// shrink is told of a request that was too many, after which the server wants to be left alone for so long, and returns what
// told does. What one says that was under way by itself is about time alone.
func (p *pace) shrink(t try, after time.Duration) (pause time.Duration, news bool) {
	p.good = 0
	now, several := time.Now(), p.now > 1
	if news = !t.began.Before(p.cut); news {
		if p.cuts > 0 || !several {
			pause = p.cool << min(p.cuts, mostCool)
		}
		if several {
			well := max(1, math.Floor(min(p.limit, float64(p.now)))-1)
			if p.patient = min(2*p.patient, mostPatient); well != p.ceiling {
				p.ceiling, p.patient = well, morePatient*int(well)
			}
		}
		p.limit, p.cut = max(1, math.Floor(p.limit*0.75)), now
		p.cuts++
	}
	if pause = max(pause, after); now.Add(pause).After(p.until) {
		p.until = now.Add(pause)
	}
	return pause, news
}

func (p *pace) changed() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
