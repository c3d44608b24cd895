package show

import (
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"lwtrain/internal/human"
	"lwtrain/internal/terminal"
)

// Answering shows how far the answers to prompts are: how many have ended, and the time left.
// Its methods may be called from several goroutines.
type Answering struct {
	bar *terminal.Progress

	mu          sync.Mutex
	total, done int // answers in all, and that have ended
	longest     int // tokens of an answer; 0: not known
	ended       int // tokens of those that have ended
	before      int // of them, tokens that were there when it began
	written     int // tokens of answers that go on as well, since it began; 0: nobody tells them
	rated       int
	began       time.Time
}

// NewAnswering begins to show the way to so many answers, of at most longest tokens each.
func NewAnswering(w io.Writer, answers, longest int) *Answering {
	return &Answering{
		bar: terminal.NewProgress(w, "answering", int64(answers)), total: answers, longest: longest, began: time.Now(),
	}
}

// Resumed says that some answers were there, of so many tokens together.
func (a *Answering) Resumed(answers, tokens int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.done, a.ended, a.before = answers, tokens, tokens
	a.bar.Println(fmt.Sprintf("going on: %s of %s are there", human.Grouped(answers), human.Count(a.total, "answer")))
}

// Token says that one more token of an answer is there.
func (a *Answering) Token() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.written++
	a.show()
}

// Progress says how many answers have ended, how many of them are rated, and how many tokens they
// have, those included that were there.
func (a *Answering) Progress(answers, rated, tokens int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.done, a.rated, a.ended = answers, rated, tokens
	a.show()
}

// Println writes a line that stays.
func (a *Answering) Println(line string) { a.bar.Println(line) }

// Close ends the display.
func (a *Answering) Close() { a.bar.Abandon() }

// Took says what was written since it began: tokens, time, tokens a second.
func (a *Answering) Took() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	tokens, speed := a.speed()
	return fmt.Sprintf("%s tokens in %s, %.1f tokens/s", human.Grouped(tokens), human.Span(time.Since(a.began)), speed)
}

// speed is what was written since it began, and how much of it in a second. The lock is held.
func (a *Answering) speed() (tokens int, perSecond float64) {
	tokens = max(a.written, a.ended-a.before)
	return tokens, float64(tokens) / time.Since(a.began).Seconds()
}

// show shows how things stand. The lock is held.
func (a *Answering) show() {
	tokens, speed := a.speed()
	a.bar.SetLeft(a.left(speed))
	fields := fmt.Sprintf("answers  %s tokens  %.0f tok/s", human.Grouped(tokens), speed)
	if a.rated > 0 {
		fields = fmt.Sprintf("answers  %d rated  %.0f tok/s", a.rated, speed)
	}
	a.bar.Set(int64(a.done), fields)
}

// left is the time that the answers which have not ended take; negative where nothing is known of it. Short answers end
// first, so the mean of those that have ended is far below that of all. Each of the others is taken to have as many tokens
// before it as there are, in all, for one that has ended: the likeliest mean where an end is as probable at every token,
// whatever is written already. None gets beyond the longest.
func (a *Answering) left(speed float64) time.Duration {
	rest := a.total - a.done
	if rest <= 0 || !(speed > 0) {
		return -1
	}
	open := max(0, a.written-(a.ended-a.before)) // tokens of answers that go on
	tokens := math.Inf(1)
	if a.done > 0 {
		tokens = float64(a.ended+open) / float64(a.done) * float64(rest)
	}
	if a.longest > 0 {
		tokens = min(tokens, float64(rest*a.longest-open))
	}
	if math.IsInf(tokens, 1) {
		return -1
	}
	return time.Duration(max(tokens, 0) / speed * float64(time.Second))
}
