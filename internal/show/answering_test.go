package show

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"
)

func TestTheTimeThatIsLeftKnowsOfTheAnswersThatGoOn(t *testing.T) {
	tests := []struct {
		name                       string
		total, longest             int
		done, ended, before, wrote int
		want                       time.Duration // at 10 tokens a second
	}{
		{"none has ended: as if all got to the longest", 4, 100, 0, 0, 0, 40, 36 * time.Second},
		{"none has ended and the longest is not known: nothing is said", 4, 0, 0, 0, 0, 40, -1},
		{"the first to end is the shortest", 4, 1000, 1, 20, 0, 80, 24 * time.Second},
		{"none gets beyond the longest", 4, 30, 1, 20, 0, 80, 3 * time.Second},
		{"answers that were there count, and what they have is no work of now", 4, 1000, 2, 200, 100, 100, 20 * time.Second},
		{"nobody tells the tokens of answers that go on", 4, 1000, 2, 200, 0, 0, 20 * time.Second},
		{"all have ended", 2, 100, 2, 50, 0, 50, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := NewAnswering(io.Discard, tt.total, tt.longest)
			a.done, a.ended, a.before, a.written = tt.done, tt.ended, tt.before, tt.wrote
			if got := a.left(10); got != tt.want {
				t.Errorf("left %v, want %v", got, tt.want)
			}
		})
	}
}

func TestAnAnswerThatIsRatedCountsOnce(t *testing.T) {
	var b bytes.Buffer
	a := NewAnswering(&b, 24, 100)
	a.Progress(12, 9, 300)
	a.Close()
	if got := b.String(); !strings.Contains(got, " 50%  12/24  answers  9 rated  ") {
		t.Errorf("%q", got)
	}
}
