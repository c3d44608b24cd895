package terminal

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
)

// clock is a time that only moves when told to.
type clock struct{ t time.Time }

func (c *clock) now() time.Time          { return c.t }
func (c *clock) pass(d time.Duration)    { c.t = c.t.Add(d) }
func seconds(n float64) time.Duration    { return time.Duration(n * float64(time.Second)) }
func last(b *bytes.Buffer) (line string) { s := strings.Split(b.String(), "\r"); return s[len(s)-1] }

// display makes a progress with a clock; width 0 is no terminal.
func display(label string, total int64, width int) (*Progress, *clock, *bytes.Buffer) {
	var b bytes.Buffer
	c := &clock{time.Unix(1000, 0)}
	p := NewProgress(&b, label, total)
	p.now, p.began = c.now, c.t
	if width > 0 {
		p.width = func() int { return width }
	}
	return p, c, &b
}

func TestABarShowsShareFieldsAndTimeLeft(t *testing.T) {
	p, c, out := display("training", 32, 80)
	p.Set(0, "")
	c.pass(seconds(60))
	p.Set(12, "loss 2.130")
	if got, want := last(out), "training  37% [===========>                  ] 12/32  loss 2.130  1m40s left\x1b[K"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	c.pass(seconds(10)) // in the middle of a step the time left goes on
	p.mu.Lock()
	p.draw()
	p.mu.Unlock()
	if got := last(out); !strings.Contains(got, "1m30s left") {
		t.Errorf("got %q, want 1m30s left", got)
	}
	p.Set(32, "loss 1.900")
	p.Done()
	p.Done()
	if got := last(out); !strings.HasPrefix(got, "training 100% [") || !strings.HasSuffix(got, "] 32/32  loss 1.900  1m10s\x1b[K\n") {
		t.Errorf("the end is %q", got)
	}
}

func TestABarNeverFillsTheLine(t *testing.T) {
	for _, width := range []int{1, 2, 10, 20, 40, 79, 80, 81, 200} {
		for _, label := range []string{"training", "长文写作训练", ""} {
			for _, total := range []int64{0, 1, 32, 1 << 40} {
				p, c, out := display(label, total, width)
				p.Set(0, "")
				c.pass(seconds(1))
				p.Set(total/2, "损失 2.130  lr 1.0e-05  58 tok/s")
				for _, line := range strings.Split(out.String(), "\r") {
					line = strings.TrimSuffix(line, "\x1b[K")
					if w := runewidth.StringWidth(line); w >= width && w > 0 {
						t.Errorf("%d columns of %d: %q", w, width, line)
					}
				}
			}
		}
	}
}

func TestABarIsNotDrawnTooOften(t *testing.T) {
	p, c, out := display("x", 1000, 80)
	for i := range int64(1000) {
		c.pass(time.Millisecond)
		p.Set(i, "")
	}
	if n := strings.Count(out.String(), "\r"); n > 11 {
		t.Errorf("drawn %d times in a second, want at most 11", n)
	}
}

func TestALineStaysAboveTheBar(t *testing.T) {
	p, c, out := display("x", 10, 80)
	p.Set(0, "")
	c.pass(seconds(1))
	p.Set(1, "")
	out.Reset()
	p.Println("saved \x1b[31mstep 1")
	if got := out.String(); !strings.HasPrefix(got, "\r\x1b[Ksaved ?[31mstep 1\n\rx  10% [") {
		t.Errorf("got %q, want the bar cleared, the line, the bar", got)
	}
}

func TestWithoutATerminalThereArePlainLinesNowAndThen(t *testing.T) {
	p, c, out := display("reading", 100, 0)
	for i := range int64(101) {
		p.Set(i, "")
		c.pass(seconds(0.2))
	}
	p.Done()
	want := `reading    0%  0/100
reading   25%  25/100  15s left
reading   50%  50/100  10s left
reading   75%  75/100  5s left
reading  100%  100/100
reading  100%  100/100  20s
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
	if strings.ContainsAny(out.String(), "\r\x1b") {
		t.Error("control characters without a terminal")
	}
}

func TestOwnLinesStandInForPlainOnes(t *testing.T) {
	p, c, out := display("training", 100, 0)
	for i := range int64(50) {
		p.Println("step")
		p.Set(i, "")
		c.pass(seconds(4))
	}
	if n := strings.Count(out.String(), "training"); n > 0 {
		t.Errorf("%d lines between those of the steps, want none", n)
	}
}

func TestAResumedRunTellsTheTimeOfWhatIsLeft(t *testing.T) {
	p, c, _ := display("x", 100, 0)
	p.Set(90, "")
	c.pass(seconds(10))
	p.Set(95, "")
	if left, ok := p.left(); !ok || left != seconds(10) {
		t.Errorf("%v left, want 10s", left)
	}
}

func TestARunOfAWeekIsNotDrownedInPlainLines(t *testing.T) {
	p, c, out := display("training", 60480, 0)
	for i := range int64(60480) {
		p.Set(i, "")
		c.pass(seconds(10))
	}
	if n := strings.Count(out.String(), "\n"); n < 1500 || n > 2500 {
		t.Errorf("%d lines, want about one in five minutes", n)
	}
}
