package agentwrite

import (
	"errors"
	"strings"
	"testing"

	"lwtrain/internal/llm"
)

// TestWhatIsNotDrawnIsNotAskedTwice: a model of one's own that always takes the likeliest token says the same again, unless it is asked
// with what was wrong.
func TestWhatIsNotDrawnIsNotAskedTwice(t *testing.T) {
	cut := llm.Reply{Text: "It was a dark and", Stop: llm.StopLength}
	vague := llm.Reply{Text: "I would write about many things.", Stop: llm.StopEOS}
	for _, c := range []struct {
		name        string
		own         bool
		temperature float64
		of          string // what is asked for
		reply       llm.Reply
		want        int // times that it is
	}{
		{"a paragraph", true, 0, "continue writing Paragraph 2", cut, 1},
		{"a paragraph that is drawn", true, 0.5, "continue writing Paragraph 2", cut, 3},
		{"a paragraph of a server", false, 0, "continue writing Paragraph 2", cut, 3},
		{"a plan that is cut off", true, 0, "break down", cut, 1},
		{"a plan that is none, once more with what was wrong", true, 0, "", vague, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, times := newJob(t, 1), 0
			j.Own, j.Temperature, j.Tries = c.own, c.temperature, 3
			it := do(t, j, &writer{says: func(r llm.Request) *llm.Reply {
				if !strings.Contains(last(r), c.of) {
					return nil
				}
				times++
				return &c.reply
			}})[0]
			if it.State != Dropped || times != c.want {
				t.Errorf("asked %d times, want %d; item %s", times, c.want, said(it))
			}
		})
	}
}

// TestWhatIsLeftToPay stops a job after each number of replies: what is kept and what is left are what a good writer takes in all.
func TestWhatIsLeftToPay(t *testing.T) {
	for _, variant := range []string{"serial", "parallel", "extend"} {
		for most := 1; ; most++ {
			j, w := newJob(t, 2), longerBy(2)
			j.Variant, j.Select.AskModel, j.Rounds, j.Writer.Price = variant, true, 1, Price{Output: 1000}
			if variant != "extend" {
				w = &writer{}
			}
			w.most = most
			all := j.Outlook()
			if all.Calls != 2*map[string]int{"serial": 5, "parallel": 5, "extend": 4}[variant] {
				t.Fatalf("%s: %d calls", variant, all.Calls)
			}
			_, stopped := j.Do(t.Context(), w)
			if stopped != nil && !errors.Is(stopped, errStopped) {
				t.Fatal(stopped)
			}
			kept, left, err := j.Left(t.Context())
			if err != nil || kept.Calls != len(w.asked) || kept.Calls+left.Calls != all.Calls || (left.Calls == 0) != (left.Cost == 0) {
				t.Errorf("%s: %d calls were made, %d are kept and %d left (%g) of %d: %v", variant, len(w.asked), kept.Calls, left.Calls,
					left.Cost, all.Calls, err)
			}
			j.Only = Filter
			if _, left, _ := j.Left(t.Context()); left.Calls > 0 {
				t.Errorf("%d calls are left to filter", left.Calls)
			}
			if stopped == nil {
				break
			}
		}
	}
}
