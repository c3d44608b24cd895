package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"
)

// progress shows how far a long piece of work is. On a terminal it is one line
// that is drawn over and over:
//
//	training  37% [=====>        ] 12/32  loss 2.13  lr 1.0e-05  58 tok/s  3m12s left
//
// Elsewhere it prints a plain line now and then, less often as time goes by. It
// uses no colours. Its methods may be called from several goroutines.
type progress struct {
	mu     sync.Mutex
	w      io.Writer
	width  func() int // columns; nil: not a terminal
	now    func() time.Time
	label  string
	total  int64
	done   int64
	fields string
	began  time.Time
	from   int64     // done when the first Set came: a resumed run begins there
	last   time.Time // of the last Set
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

// newProgress begins a display on w, usually standard error. total may be 0
// where it is not known. Call Done at the end.
func newProgress(w io.Writer, label string, total int64) *progress {
	p := &progress{w: w, now: time.Now, label: label, total: total, stop: make(chan struct{})}
	if f, ok := w.(*os.File); ok && isTerminal(w) {
		p.width = func() int {
			if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
				return n
			}
			return 80
		}
		go p.tick()
	}
	p.began = p.now()
	return p
}

// isTerminal reports whether a reader or writer is a terminal that can draw a
// line again.
func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

func (p *progress) tick() {
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
func (p *progress) Set(done int64, fields string) {
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

// SetTotal changes the total once it is known.
func (p *progress) SetTotal(total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total = total
}

// Println writes a line that stays, above the bar.
func (p *progress) Println(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintln(p.w, printable(line))
	switch {
	case p.width == nil:
		p.shown = p.now() // the line says how things stand
	case p.set && !p.closed:
		p.draw()
	}
}

// Done ends the display: the last state stays, with the time that it took.
func (p *progress) Done() {
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

// abandon ends the display without a word.
func (p *progress) abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		close(p.stop)
		p.clear()
	}
}

func (p *progress) clear() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = false
	}
}

// draw shows the state now. The caller holds the lock.
func (p *progress) draw() {
	p.shown = p.now()
	if p.width == nil {
		fmt.Fprintln(p.w, strings.Join(p.parts(), "  "))
		return
	}
	fmt.Fprint(p.w, "\r", p.line(p.width()-1), "\x1b[K")
	p.drawn = true
}

// parts is everything but the bar.
func (p *progress) parts() []string {
	out := []string{p.label}
	switch {
	case p.total > 0:
		out = append(out, fmt.Sprintf("%3d%%", min(100, 100*p.done/p.total)), fmt.Sprintf("%d/%d", p.done, p.total))
	default:
		out = append(out, fmt.Sprint(p.done))
	}
	if p.fields != "" {
		out = append(out, printable(p.fields))
	}
	took := p.now().Sub(p.began)
	switch left, ok := p.left(); {
	case p.closed:
		out = append(out, span(took))
	case ok:
		out = append(out, span(left)+" left")
	}
	return out
}

// left is the time that the rest will take at the pace so far, less what has
// passed since the last Set.
func (p *progress) left() (time.Duration, bool) {
	done := p.done - p.from
	if p.total <= 0 || done <= 0 || p.done >= p.total {
		return 0, false
	}
	pace := float64(p.last.Sub(p.began)) / float64(done)
	return max(0, time.Duration(pace*float64(p.total-p.done))-p.now().Sub(p.last)), true
}

// line is the bar with its parts, at most width columns.
func (p *progress) line(width int) string {
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

// span writes a duration as people read it: 42s, 3m12s, 2h05m, 4d03h.
func span(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s%86400/3600)
}
