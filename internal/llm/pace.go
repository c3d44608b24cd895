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
// off, as a server's does that drops one for the next): then nobody begins for a while. Additive
// increase and multiplicative decrease share what there is among those who ask (Chiu and Jain 1989).
// How many were too many is remembered, and tried again after more and more answers. It also goes down
// by one when as many have waited for others, of a server that queues what it has no room for.
type pace struct {
	cool    time.Duration // without new requests, after the first one in a row that was too many
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
	mostCool    = 4    // times that the pause is doubled
)

func newPace(most int, cool time.Duration) *pace {
	m := float64(max(most, 1))
	return &pace{cool: cool, wake: make(chan struct{}, 1), most: m, ceiling: m, limit: min(m, fewAtOnce)}
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

// told is told what a try came to.
func (p *pace) told(t try, err error) {
	p.mu.Lock()
	var busy *transport.BusyError
	var status *statusError
	var came *failure
	tooMany := errors.As(err, &status) && status.code == http.StatusTooManyRequests || errors.As(err, &came) && came.kind == "cut"
	switch {
	case err == nil && p.queued(t):
		p.good = 0
		if p.waits++; p.waits >= int(p.limit) {
			p.limit, p.waits = min(p.limit, max(fewAtOnce, p.limit-1)), 0
		}
	case err == nil:
		p.grow()
	case errors.As(err, &busy) && tooMany:
		p.shrink(t, busy.After)
	default:
		p.good = 0
	}
	p.mu.Unlock()
	p.changed()
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

// shrink is told of a request that was too many, after which the server wants to be left alone for so long.
func (p *pace) shrink(t try, after time.Duration) {
	p.good = 0
	pause := p.cool << min(p.cuts, mostCool)
	p.until = time.Now().Add(max(pause, after))
	if !t.began.After(p.cut) {
		return
	}
	well := max(1, math.Floor(min(p.limit, float64(p.now)))-1)
	if p.patient = min(2*p.patient, mostPatient); well != p.ceiling {
		p.ceiling, p.patient = well, morePatient*int(well)
	}
	p.limit, p.cut = max(1, math.Floor(p.limit*0.75)), time.Now()
	p.cuts++
}

func (p *pace) changed() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
