package llm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"lwtrain/chat"
	"lwtrain/model"
)

// echo answers each request with its prompt and seed; a prompt that begins with "bad" fails.
type echo struct {
	asked []string
	stop  int // after so many answers, with an error; 0: never
}

var errStopped = errors.New("stopped")

func (e *echo) Converse(_ context.Context, requests []Request, done func(i int, r Reply) ([]Request, error)) error {
	var queue []int
	for i := range requests {
		queue = append(queue, i)
	}
	for len(queue) > 0 {
		i := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if e.stop > 0 && len(e.asked) == e.stop {
			return errStopped
		}
		text := fmt.Sprint(requests[i].Messages[0].Content, " ", requests[i].Sampling.Seed)
		e.asked = append(e.asked, text)
		r := Reply{
			Text: text + " \xff<&>\u2028", Reasoning: "hm", Tokens: 3, Prompt: 2, Stop: StopLength,
			Logprobs: [][]Candidate{{{"a", -0.1}, {"b", -1e-300}}},
		}
		if strings.HasPrefix(text, "bad") {
			r = Reply{Text: text, Failed: "cut: x"}
		}
		more, err := done(i, r)
		if err != nil {
			return err
		}
		for _, r := range more {
			queue, requests = append(queue, len(requests)), append(requests, r)
		}
	}
	return nil
}

func openCalls(t *testing.T, path string) *Calls {
	t.Helper()
	c, err := OpenCalls(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// all are the replies to requests, in the order in which they come.
func all(t *testing.T, from Answerer, requests []Request) (order []int, replies map[int]Reply) {
	t.Helper()
	replies = map[int]Reply{}
	err := Answer(t.Context(), from, requests, func(i int, r Reply) error {
		order, replies[i] = append(order, i), r
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return order, replies
}

func TestWhatWasPaidForIsNotAskedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.jsonl")
	var requests []Request
	for i := range 6 {
		requests = append(requests, ask(fmt.Sprint("q", i%4), 5)) // the last two are the first two again
	}
	requests[2] = ask("bad", 5)
	c, from := openCalls(t, path), &echo{}
	_, first := all(t, c.Keep(from, "m"), requests)
	if want := []string{"q3 0", "bad 0", "q1 0", "q0 0"}; !reflect.DeepEqual(from.asked, want) || len(first) != 6 {
		t.Errorf("asked %v, want each once: %v", from.asked, want)
	}
	if n, err := c.Known(requests, "m"); n != 5 || err != nil {
		t.Errorf("%d known, %v, want all but the one that failed", n, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c, from = openCalls(t, path), &echo{}
	defer c.Close()
	order, again := all(t, c.Keep(from, "m"), requests)
	if !reflect.DeepEqual(again, first) || !reflect.DeepEqual(order, []int{0, 1, 3, 4, 5, 2}) {
		t.Errorf("in the order %v got %+v\nwant %+v", order, again, first)
	}
	if !reflect.DeepEqual(from.asked, []string{"bad 0"}) {
		t.Errorf("asked again: %v, want what had failed", from.asked)
	}
}

func TestACallIsAnotherOneByAllThatItsReplyDependsOn(t *testing.T) {
	base := Request{
		Messages: []chat.Message{{Role: "user", Content: "q"}}, MaxTokens: 5,
		Sampling: model.Sampling{Temperature: 0.5, TopP: 0.9, Seed: 1},
	}
	with := func(change func(*Request)) Request {
		r := base
		change(&r)
		return r
	}
	key := func(model string, r Request) string {
		k, err := keyOf(model, r)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	seen := map[string]string{key("m", base): "the same"}
	for name, r := range map[string]Request{
		"another text":        with(func(r *Request) { r.Messages = []chat.Message{{Role: "user", Content: "p"}} }),
		"another role":        with(func(r *Request) { r.Messages = []chat.Message{{Role: "system", Content: "q"}} }),
		"another temperature": with(func(r *Request) { r.Sampling.Temperature = 0 }),
		"another nucleus":     with(func(r *Request) { r.Sampling.TopP = 0.8 }),
		"another seed":        with(func(r *Request) { r.Sampling.Seed = 1<<63 + 1 }),
		"a seed beside it":    with(func(r *Request) { r.Sampling.Seed = 1 << 63 }),
		"another limit":       with(func(r *Request) { r.MaxTokens = 6 }),
		"an end of loops":     with(func(r *Request) { r.StopLoops = true }),
		"probabilities":       with(func(r *Request) { r.TopLogprobs = 5 }),
	} {
		k := key("m", r)
		if other, ok := seen[k]; ok {
			t.Errorf("%s is the call of %s", name, other)
		}
		seen[k] = name
	}
	if _, ok := seen[key("n", base)]; ok {
		t.Error("another model is the same one")
	}
	whole, none := with(func(r *Request) { r.Sampling.TopP = 1 }), with(func(r *Request) { r.Sampling.TopP = 0 })
	if key("m", whole) != key("m", none) || key("m", base) != key("m", with(func(r *Request) { r.Origin = "a:1" })) {
		t.Error("what changes no reply makes another call")
	}
	// A file of calls is worth what was paid for it: the key of a request must not change.
	if k, want := key("m", base), "3777740c33d2d210e176c2fea04a6fd348bdb4aaa9254b26f57b218ffcdcfb3f"; k != want {
		t.Errorf("the key is %s, want %s", k, want)
	}
}

func TestCallsThatStopAnywhereGoOn(t *testing.T) {
	var requests []Request
	for i := range 12 {
		requests = append(requests, ask(fmt.Sprint("q", i), 5))
	}
	for stop := 1; stop < 12; stop++ {
		path := filepath.Join(t.TempDir(), "calls.jsonl")
		c := openCalls(t, path)
		first := &echo{stop: stop}
		if err := Answer(t.Context(), c.Keep(first, "m"), requests, func(int, Reply) error { return nil }); err != errStopped {
			t.Fatal(err)
		}
		c.Close()
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString(`{"key":"abc","text":"wh`) // as a crash cuts it off
		f.Close()
		c = openCalls(t, path)
		second := &echo{}
		_, replies := all(t, c.Keep(second, "m"), requests)
		c.Close()
		if len(replies) != 12 || len(first.asked) != stop || len(first.asked)+len(second.asked) != 12 {
			t.Errorf("stopped after %d: %d replies, %d asked then", stop, len(replies), len(second.asked))
		}
	}
}

func TestSeveralModelsShareAFileOfCalls(t *testing.T) {
	c := openCalls(t, filepath.Join(t.TempDir(), "calls.jsonl"))
	defer c.Close()
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			for i := range 20 {
				k := c.Keep(&echo{}, fmt.Sprint("m", n%2))
				err := Answer(t.Context(), k, []Request{ask(fmt.Sprint("q", i), 5)}, func(int, Reply) error { return nil })
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if len(c.kept) != 40 {
		t.Errorf("%d calls, want 20 of each model", len(c.kept))
	}
}

func TestAReplyThatCanNotBeKeptIsNotTold(t *testing.T) {
	c := openCalls(t, filepath.Join(t.TempDir(), "calls.jsonl"))
	c.Close()
	err := Answer(t.Context(), c.Keep(&echo{}, "m"), []Request{ask("q", 5)}, func(int, Reply) error { t.Error("it is told"); return nil })
	if !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
