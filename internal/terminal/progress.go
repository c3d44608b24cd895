package terminal

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"

	"lwtrain/internal/human"
)

// Progress shows how far a long piece of work is. On a terminal it is one line
// that is drawn over and over:
//
//	training  37% [=====>        ] 12/32  loss 2.13  lr 1.0e-05  58 tok/s  3m12s left
//
// Elsewhere it prints a plain line now and then, less often as time goes by. It
// uses no colours. Its methods may be called from several goroutines.
type Progress struct {
	mu     sync.Mutex
	w      io.Writer
	width  func() int // columns; nil: not a terminal
	now    func() time.Time
	label  string
	total  int64
	done   int64
	fields string
	began  time.Time
	from   int64          // done when the first Set came: a resumed run begins there
	last   time.Time      // of the last Set
	told   *time.Duration // the time left, from the last Set on; nil: by the pace
	set    bool
	shown  time.Time
	drawn  bool // a bar stands on the current line
	stop   chan struct{}
	closed bool
}

const (
	redrawEvery = 100 * time.Millisecond // on a terminal
	tickEvery   = time.Second            // so that the time left goes on between two steps
	lineEvery   = 5 * time.Second        // elsewhere, at first
	lineMost    = 5 * time.Minute        // and in a run of days
)

// NewProgress begins a display on w, usually standard error. total may be 0
// where it is not known. Call Done at the end.
func NewProgress(w io.Writer, label string, total int64) *Progress {
	p := &Progress{w: w, now: time.Now, label: label, total: total, stop: make(chan struct{})}
	if IsTerminal(w) {
		p.width = func() int { return Columns(w) }
		go p.tick()
	}
	p.began = p.now()
	return p
}

func (p *Progress) tick() {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-t.C:
			p.mu.Lock()
			if p.set && !p.closed {
				p.draw()
			}
			p.mu.Unlock()
		}
	}
}

// Set says that done of total are done. fields is shown as it is: "loss 2.13".
// The first call says where the work begins, from which the time left is told.
func (p *Progress) Set(done int64, fields string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	if !p.set {
		p.set, p.from, p.began = true, done, p.now()
	}
	p.done, p.fields, p.last = done, fields, p.now()
	every := min(max(lineEvery, p.now().Sub(p.began)/60), lineMost)
	if p.width != nil {
		every = redrawEvery
	}
	if p.now().Sub(p.shown) >= every {
		p.draw()
	}
}

// SetLeft says how much time the rest will take, to a caller that knows better than the pace
// does, from the next Set on; a negative one lets the pace say it again.
func (p *Progress) SetLeft(left time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told = &left; left < 0 {
		p.told = nil
	}
}

// SetTotal changes the total once it is known.
func (p *Progress) SetTotal(total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total = total
}

// Println writes a line that stays, above the bar.
func (p *Progress) Println(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintln(p.w, Printable(line))
	switch {
	case p.width == nil:
		p.shown = p.now() // the line says how things stand
	case p.set && !p.closed:
		p.draw()
	}
}

// Done ends the display: the last state stays, with the time that it took.
func (p *Progress) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	close(p.stop)
	if !p.set {
		return
	}
	p.draw()
	if p.width != nil {
		fmt.Fprintln(p.w)
		p.drawn = false
	}
}

// Abandon ends the display without a word.
func (p *Progress) Abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		close(p.stop)
		p.clear()
	}
}

func (p *Progress) clear() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = false
	}
}

// draw shows the state now. The caller holds the lock.
func (p *Progress) draw() {
	p.shown = p.now()
	if p.width == nil {
		fmt.Fprintln(p.w, strings.Join(p.parts(), "  "))
		return
	}
	fmt.Fprint(p.w, "\r", p.line(p.width()-1), "\x1b[K")
	p.drawn = true
}

// parts is everything but the bar.
func (p *Progress) parts() []string {
	out := []string{p.label}
	switch {
	case p.total > 0:
		out = append(out, fmt.Sprintf("%3d%%", min(100, 100*p.done/p.total)), fmt.Sprintf("%d/%d", p.done, p.total))
	default:
		out = append(out, fmt.Sprint(p.done))
	}
	if p.fields != "" {
		out = append(out, Printable(p.fields))
	}
	took := p.now().Sub(p.began)
	switch left, ok := p.left(); {
	case p.closed:
		out = append(out, human.Span(took))
	case ok:
		out = append(out, human.Span(left)+" left")
	}
	return out
}

// left is the time that the rest will take, as told or at the pace so far, less what
// has passed since the last Set.
func (p *Progress) left() (time.Duration, bool) {
	if p.told != nil {
		return max(0, *p.told-p.now().Sub(p.last)), true
	}
	done := p.done - p.from
	if p.total <= 0 || done <= 0 || p.done >= p.total {
		return 0, false
	}
	pace := float64(p.last.Sub(p.began)) / float64(done)
	return max(0, time.Duration(pace*float64(p.total-p.done))-p.now().Sub(p.last)), true
}

// line is the bar with its parts, at most width columns.
func (p *Progress) line(width int) string {
	parts := p.parts()
	if p.total <= 0 {
		return runewidth.Truncate(strings.Join(parts, "  "), width, "")
	}
	head, tail := parts[0]+" "+parts[1], strings.Join(parts[2:], "  ")
	const least, most = 6, 30
	room := width - runewidth.StringWidth(head) - runewidth.StringWidth(tail) - 4 // " [", "] "
	if room < least {
		return runewidth.Truncate(head+"  "+tail, width, "")
	}
	room = min(room, most)
	full := int(min(int64(room), int64(room)*p.done/p.total))
	bar := strings.Repeat("=", full)
	if full < room {
		bar += ">"
	}
	return fmt.Sprintf("%s [%-*s] %s", head, room, bar, tail)
}
