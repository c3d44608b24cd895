package show

import (
	"fmt"
	"io"
	"time"

	"lwtrain/internal/human"
	"lwtrain/internal/terminal"
	"lwtrain/serve"
)

// Serving shows how a server does: what it writes, what waits, tokens a second.
type Serving struct {
	bar  *terminal.Progress
	stop chan struct{}
	done chan struct{}
}

// NewServing begins to show how things stand, which state says, until Close.
func NewServing(w io.Writer, state func() serve.State) *Serving {
	s := &Serving{terminal.NewProgress(w, "answered", 0), make(chan struct{}), make(chan struct{})}
	go s.watch(state)
	return s
}

func (s *Serving) watch(state func() serve.State) {
	defer close(s.done)
	const every = time.Second
	tick := time.NewTicker(every)
	defer tick.Stop()
	before := serve.State{}
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		now := state()
		if now == before {
			continue
		}
		s.bar.Set(int64(now.Answers), fmt.Sprintf("%d under way  %d waiting  %s tokens  %.0f tok/s", now.Running, now.Waiting,
			human.Grouped(now.Tokens), float64(now.Tokens-before.Tokens)/every.Seconds()))
		before = now
	}
}

// Println writes a line that stays.
func (s *Serving) Println(line string) { s.bar.Println(line) }

// Close ends the display.
func (s *Serving) Close() {
	close(s.stop)
	<-s.done
	s.bar.Abandon()
}
