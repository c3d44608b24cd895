package llm

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"lwtrain/internal/llm/llmtest"
	"lwtrain/model"
)

// conversations asks from for several texts of so many turns each: what a turn asks holds the reply to
// the one before. It returns what was said, by conversation, and fails where a reply is told twice.
func conversations(t *testing.T, from Answerer, n, turns int) [][]string {
	t.Helper()
	said := make([][]string, n)
	turn := func(k int) Request {
		text := fmt.Sprint("text ", k, " turn ", len(said[k]))
		if len(said[k]) > 0 {
			text += " after " + said[k][len(said[k])-1]
		}
		r := ask(text, 5)
		r.Sampling = model.Sampling{Temperature: 1, Seed: uint64(k*turns + len(said[k]))}
		return r
	}
	var requests []Request
	var whose []int
	for k := range n {
		requests, whose = append(requests, turn(k)), append(whose, k)
	}
	told := map[int]bool{}
	err := from.Converse(t.Context(), requests, func(i int, r Reply) ([]Request, error) {
		if told[i] {
			return nil, fmt.Errorf("reply %d is told twice", i)
		}
		told[i] = true
		k := whose[i]
		said[k] = append(said[k], r.Text+r.Failed)
		if len(said[k]) == turns {
			return nil, nil
		}
		whose = append(whose, k)
		return []Request{turn(k)}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for k := range said {
		if len(said[k]) != turns {
			t.Errorf("text %d has %d turns, want %d", k, len(said[k]), turns)
		}
	}
	return said
}

func TestWhatIsAskedNextFollowsFromReplies(t *testing.T) {
	const texts, turns = 7, 4
	t.Run("of our own decoder, whatever is decoded beside it", func(t *testing.T) {
		d := newDecoder(t)
		want := conversations(t, d, texts, turns)
		d.Batch = 5
		if got := conversations(t, d, texts, turns); !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("with 5 at a time\n%q\nwant as with 2\n%q", got, want)
		}
	})
	t.Run("of a server, with replies that are kept", func(t *testing.T) {
		s, c, _ := newClient(t)
		s.Text = func(r llmtest.Request) string { return fmt.Sprint("r", len(r.Messages[0].Content)+int(r.Seed%97)) }
		want := conversations(t, c, texts, turns)
		calls := openCalls(t, filepath.Join(t.TempDir(), "calls.jsonl"))
		defer calls.Close()
		before := s.Requests()
		for range 2 {
			if got := conversations(t, calls.Keep(c, "m"), texts, turns); !slices.EqualFunc(got, want, slices.Equal) {
				t.Errorf("kept\n%q\nwant\n%q", got, want)
			}
		}
		if n := s.Requests() - before; n != texts*turns {
			t.Errorf("asked %d times, want %d", n, texts*turns)
		}
	})
}

// A text that has begun goes on before another one begins.
func TestTextsThatHaveBegunComeFirst(t *testing.T) {
	s, c, _ := newClient(t)
	s.Text = func(llmtest.Request) string { return "r" }
	c.Concurrency = 1
	var order []int
	whose := []int{0, 1, 2}
	err := c.Converse(t.Context(), []Request{ask("a", 5), ask("b", 5), ask("c", 5)}, func(i int, r Reply) ([]Request, error) {
		order = append(order, whose[i])
		if i > 2 {
			return nil, nil
		}
		whose = append(whose, whose[i])
		return []Request{ask(fmt.Sprint("more ", i), 5)}, nil
	})
	if want := []int{0, 0, 1, 1, 2, 2}; err != nil || !slices.Equal(order, want) {
		t.Errorf("order %v (%v), want %v", order, err, want)
	}
}

// One request at the server's limit is asked again at the end, and goes on from there.
func TestATextGoesOnAfterAFailure(t *testing.T) {
	s, c, _ := newClient(t)
	var failed atomic.Bool
	s.Say = func(r llmtest.Request) llmtest.Said {
		text := r.Messages[0].Content
		if text == "text 3 turn 0" && !failed.Swap(true) {
			return llmtest.Said{Text: "it breaks o", Torn: true}
		}
		return llmtest.Said{Text: "answer", Finish: "stop", Tokens: 1}
	}
	c.cool, c.retry.Times = time.Millisecond, 0
	for _, turns := range conversations(t, c, 5, 3) {
		if !slices.Equal(turns, []string{"answer", "answer", "answer"}) {
			t.Errorf("got %q", turns)
		}
	}
	if !failed.Load() {
		t.Error("nothing has failed")
	}
}

func TestALimitFollowsFromHowLongRepliesTakeToBegin(t *testing.T) {
	const s = time.Second
	late := []time.Duration{s, 30 * s, 30 * s, 30 * s}
	for name, c := range map[string]struct {
		waited, wrote []time.Duration
		want          int
	}{
		"that begin at once: it grows":                               {[]time.Duration{s}, []time.Duration{9 * s}, 17},
		"that begin late, as all of them do: it grows":               {[]time.Duration{20 * s}, []time.Duration{s}, 17},
		"that wait longer than they take: it goes down to the least": {late, []time.Duration{9 * s}, fewAtOnce},
		"that wait, but take longer: it grows":                       {late, []time.Duration{40 * s}, 17},
		"that are no streams: it grows":                              {[]time.Duration{0}, []time.Duration{40 * s}, 17},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPace(64, 0)
			p.limit = 8
			for i := range 60 {
				now := time.Now()
				told := try{began: now.Add(-c.waited[i%len(c.waited)] - c.wrote[0])}
				if c.waited[0] > 0 {
					told.first = now.Add(-c.wrote[0])
				}
				p.told(told, nil)
			}
			if int(p.limit) != c.want {
				t.Errorf("limit %g, want %d", p.limit, c.want)
			}
		})
	}
}
