package llm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lwtrain/chat"
	"lwtrain/internal/llm/llmtest"
)

// newHasty is a client of a new server, which waits for nothing.
func newHasty(t *testing.T) (*llmtest.Server, *Client) {
	s, c, _ := newClient(t)
	c.cool, c.retry.Pause = time.Millisecond, time.Millisecond
	c.retry.Sleep = func(context.Context, time.Duration) error { return nil }
	return s, c
}

func ask(text string, tokens int) Request {
	return Request{Messages: []chat.Message{{Role: "user", Content: text}}, MaxTokens: tokens}
}

func always(said llmtest.Said) func(llmtest.Request) llmtest.Said {
	return func(llmtest.Request) llmtest.Said { return said }
}

// writes is a script that writes a body.
func writes(text string) func(int, http.ResponseWriter) bool {
	return func(_ int, w http.ResponseWriter) bool {
		fmt.Fprint(w, text)
		return true
	}
}

var long = strings.Repeat("word ", 2000)

// replies are what a server says, and what it is.
var replies = map[string]struct {
	say    llmtest.Said
	prompt string
	tokens int
	want   Reply // Failed is a beginning
}{
	"a stream": {
		llmtest.Said{Text: "one two", Finish: "stop", Tokens: 2, Prompt: 9}, "q", 50,
		Reply{Text: "one two", Tokens: 2, Prompt: 9, Stop: StopEOS},
	},
	"a whole reply, though": {
		llmtest.Said{Text: "one two", Finish: "stop", Tokens: 2, Whole: true}, "q", 50,
		Reply{Text: "one two", Tokens: 2, Stop: StopEOS},
	},
	"without its tokens": {llmtest.Said{Text: "one two", Finish: "stop"}, "q", 50, Reply{Text: "one two", Stop: StopEOS}},
	"an empty answer":    {llmtest.Said{Finish: "stop", Tokens: 1}, "q", 50, Reply{Tokens: 1, Stop: StopEOS}},
	"what it thought, by itself": {
		llmtest.Said{Text: "one", Reasoning: "hm", Finish: "stop", Tokens: 2}, "q", 50,
		Reply{Text: "one", Reasoning: "hm", Tokens: 2, Stop: StopEOS},
	},
	"what it thought, in its text": {
		llmtest.Said{Text: "<think>\nhm, {5}\n</think>\n\none", Finish: "stop", Tokens: 9}, "q", 50,
		Reply{Text: "one", Reasoning: "hm, {5}", Tokens: 9, Stop: StopEOS},
	},
	"what it thought, where the prompt begins it": {
		llmtest.Said{Text: "hm</think>\none", Finish: "stop", Tokens: 9}, "q", 50,
		Reply{Text: "one", Reasoning: "hm", Tokens: 9, Stop: StopEOS},
	},
	"a thought without an end": {
		llmtest.Said{Text: "<think>hm", Finish: "length", Tokens: 50}, "q", 50,
		Reply{Reasoning: "hm", Tokens: 50, Stop: StopLength},
	},
	"a tag in the midst of it": {
		llmtest.Said{Text: "say <think>x</think>", Finish: "stop"}, "q", 50,
		Reply{Text: "say <think>x</think>", Stop: StopEOS},
	},
	"cut off at the limit": {
		llmtest.Said{Text: "one two", Finish: "length", Tokens: 50}, "q", 50,
		Reply{Text: "one two", Tokens: 50, Stop: StopLength},
	},
	"stop, at the limit": {
		llmtest.Said{Text: "one two", Finish: "stop", Tokens: 50}, "q", 50,
		Reply{Text: "one two", Tokens: 50, Stop: StopLength},
	},
	"stop, one before the limit": {
		llmtest.Said{Text: "one two", Finish: "stop", Tokens: 49}, "q", 50,
		Reply{Text: "one two", Tokens: 49, Stop: StopLength},
	},
	"stop, two before the limit": {
		llmtest.Said{Text: "one two", Finish: "stop", Tokens: 48}, "q", 50,
		Reply{Text: "one two", Tokens: 48, Stop: StopEOS},
	},
	"stop at the limit, untold": {
		llmtest.Said{Text: "a b c d e f g h i j", Finish: "stop"}, "q", 10,
		Reply{Text: "a b c d e f g h i j", Stop: StopLength},
	},
	"far more than asked for": {
		llmtest.Said{Text: "one", Finish: "stop", Tokens: 5000}, "q", 50,
		Reply{Text: "one", Tokens: 5000, Stop: StopLength},
	},
	"length, far from it": {
		llmtest.Said{Text: "one", Finish: "length", Tokens: 900}, "q", 2000,
		Reply{Text: "one", Tokens: 900, Failed: "cut: the server stopped after at most 908 of 2000 tokens"},
	},
	"length, far from it, untold": {
		llmtest.Said{Text: strings.TrimSpace(strings.Repeat("ab ", 100)), Finish: "length"}, "q", 300,
		Reply{Text: strings.TrimSpace(strings.Repeat("ab ", 100)), Failed: "cut: the server stopped after at most 133 of 300 tokens"},
	},
	"length, half of it, untold": {
		llmtest.Said{Text: "ab ab ab", Finish: "length"}, "q", 6,
		Reply{Text: "ab ab ab", Stop: StopLength},
	},
	"a context that is full": {
		llmtest.Said{Text: "one", Finish: "stop", Tokens: 4000, Prompt: 96}, "q", 8000,
		Reply{Text: "one", Tokens: 4000, Prompt: 96, Failed: "cut: the server's context of 4096 tokens is full; " + ollamaHint},
	},
	"a prompt that was cut": {
		llmtest.Said{Text: "one", Finish: "stop", Tokens: 5, Prompt: 500}, long, 50,
		Reply{
			Text: "one", Tokens: 5, Prompt: 500,
			Failed: "cut: the server read 500 tokens of a prompt of 1000 or more; " + ollamaHint,
		},
	},
	"a long prompt that was read": {
		llmtest.Said{Text: "one", Finish: "stop", Tokens: 5, Prompt: 1900}, long, 50,
		Reply{Text: "one", Tokens: 5, Prompt: 1900, Stop: StopEOS},
	},
	"without an end": {
		llmtest.Said{Text: "one two", Torn: true}, "q", 50,
		Reply{Text: "one two", Failed: "cut: the reply ended without a finish_reason"},
	},
	"an end that is none": {
		llmtest.Said{Text: "one", Finish: "abort"}, "q", 50,
		Reply{Text: "one", Failed: "cut: finish_reason abort"},
	},
	"an end that is unknown": {
		llmtest.Said{Text: "one", Finish: "tired"}, "q", 50,
		Reply{Text: "one", Failed: "no answer: finish_reason tired, want stop or length"},
	},
	"an end in capitals": {llmtest.Said{Text: "one", Finish: "STOP"}, "q", 50, Reply{Text: "one", Stop: StopEOS}},
	"withheld, and why": {
		llmtest.Said{Text: "one", Finish: "content_filter: RECITATION"}, "q", 50,
		Reply{Text: "one", Failed: "content filter: "},
	},
	"withheld": {
		llmtest.Said{Text: "one", Finish: "content_filter"}, "q", 50,
		Reply{Text: "one", Failed: "content filter: "},
	},
	"refused, too long a prompt": {
		llmtest.Said{Text: "maximum context length is 8192", Status: 400}, "q", 50,
		Reply{Failed: "context: status 400: maximum context length is 8192"},
	},
	"refused, too large": {llmtest.Said{Text: "no", Status: 413}, "q", 50, Reply{Failed: "refused: status 413: no"}},
	"refused, for what it says": {
		llmtest.Said{Text: `{"code": "content_filter"}`, Status: 400}, "q", 50,
		Reply{Failed: "content filter: status 400"},
	},
	"in trouble": {llmtest.Said{Text: "no", Status: 503}, "q", 50, Reply{Failed: "busy: 503 after 3 tries: no"}},
	"the key, answered": {
		llmtest.Said{Text: "I was sent " + secret, Finish: "stop"}, "q", 50,
		Reply{Failed: "no answer: the reply repeats the key"},
	},
}

func TestWhatAClientMakesOfAReply(t *testing.T) {
	for name, c := range replies {
		t.Run(name, func(t *testing.T) {
			s, client := newHasty(t)
			s.Say = always(c.say)
			got, err := client.Ask(t.Context(), ask(c.prompt, c.tokens))
			if !strings.HasPrefix(got.Failed, c.want.Failed) || (got.Failed == "") != (c.want.Failed == "") {
				t.Errorf("failed with %q, want %q", got.Failed, c.want.Failed)
			}
			got.Failed = c.want.Failed
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, c.want)
			}
		})
	}
}

func TestWhatAClientMakesOfBrokenBytes(t *testing.T) {
	const one = `data: {"choices": [{"delta": {"content": "one"}}]}` + "\n\n"
	for name, c := range map[string]struct{ body, text, want string }{
		"a line of the end only": {one + `data: {"choices": [{"finish_reason": "stop"}]}`, "one", ""},
		"lines that end with \\r": {
			strings.ReplaceAll(one, "\n", "\r\n") + "data: {\"choices\": [{\"finish_reason\": \"stop\"}]}\r\n\r\n",
			"one", "",
		},
		"a piece on two lines": {one + "data: {\"choices\":\ndata: [{\"finish_reason\": \"stop\"}]}\n\n", "one", ""},
		"no blank after data": {
			"data:" + one[6:] + `data:{"choices": [{"finish_reason": "stop"}]}` + "\n\ndata:[DONE]\n\n",
			"one", "",
		},
		"an unknown kind of usage": {
			one + `data: {"choices": [{"finish_reason": "stop"}], "usage": {"completion_tokens": "1"}}`,
			"one", "",
		},
		"half of a piece": {one + `data: {"choices": [{"del`, "one", "no answer: no JSON of a reply"},
		"an error in between": {
			one + `data: {"error": {"message": "out of memory", "code": 500}}` + "\n\n",
			"one", "cut: an error in the midst",
		},
		"too long, in between":     {`data: {"error": {"message": "too long", "code": 400}}` + "\n\n", "", "context: status 400"},
		"a refusal in between":     {`data: {"error": {"message": "no such key", "code": 400}}` + "\n\n", "", "refused: status 400"},
		"the end, and then a tear": {one + `data: {"choices": [{"finish_reason": "stop"}]}` + "\n\ndata: {\"usa", "one", ""},
		"done, without an end":     {one + "data: [DONE]\n\n", "one", "cut: the reply ended without a finish_reason"},
		"nothing":                  {"", "", "cut: the reply is empty"},
		"a page":                   {"<html>", "", "no answer: no JSON of a reply"},
		"a tool": {
			`data: {"choices": [{"delta": {"tool_calls": [{"id": 1}]}, "finish_reason": "tool_calls"}]}` + "\n\n",
			"", "no answer: the model calls a tool",
		},
		"a refusal of the model": {
			`{"choices": [{"message": {"content": null, "refusal": "I won't"}, "finish_reason": "stop"}]}`,
			"", "refused: by the model: I won't",
		},
		"no content": {
			`{"choices": [{"message": {"content": null}, "finish_reason": "stop"}]}`,
			"", "no answer: no choices[0]",
		},
		"a thought, no content": {
			`{"choices": [{"message": {"content": null, "reasoning": "hm"}, "finish_reason": "length"}]}`,
			"", "",
		},
		"whole, without an end": {
			`{"choices": [{"message": {"content": "one"}}]}`,
			"one", "cut: the reply ended without a finish_reason",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, client := newHasty(t)
			s.Script = writes(c.body)
			got, err := client.Ask(t.Context(), ask("q", 50))
			if err != nil || got.Text != c.text || !strings.HasPrefix(got.Failed, c.want) || (got.Failed == "") != (c.want == "") {
				t.Errorf("got %+v, %v, want %q and %q", got, err, c.text, c.want)
			}
		})
	}
}

func TestAClientIsToldMostProbableTokens(t *testing.T) {
	s, client := newHasty(t)
	s.Say = always(llmtest.Said{Text: "4 .", Finish: "stop", Logprobs: []map[string]float64{{"4": -0.5}, {".": -0.25}}})
	r := ask("q", 50)
	r.TopLogprobs = 20
	got, err := client.Ask(t.Context(), r)
	if want := [][]Candidate{{{"4", -0.5}}, {{".", -0.25}}}; err != nil || !reflect.DeepEqual(got.Logprobs, want) {
		t.Errorf("got %+v, %v, want %v", got, err, want)
	}
}

func TestWhatAClientWaitsFor(t *testing.T) {
	const piece = `data: {"choices": [{"delta": {"content": "x"}}]}` + "\n\n"
	begins := func(text string) func(http.ResponseWriter, func()) {
		return func(w http.ResponseWriter, wait func()) { fmt.Fprint(w, text); wait() }
	}
	for name, c := range map[string]struct {
		script func(w http.ResponseWriter, wait func())
		want   string // of Failed
		text   string
	}{
		"nothing comes":          {begins(""), "silent: no answer in 1 second", ""},
		"comments alone":         {begins(": wait\n\n"), "silent: no answer in 1 second", ""},
		"half of a whole reply":  {begins(`{"choices": [`), "silent: no answer in 1 second", ""},
		"the rest does not come": {begins(piece), "silent: nothing more of the answer in 1 second", "x"},
		"it is slow, but it comes": {
			func(w http.ResponseWriter, _ func()) {
				for range 4 {
					fmt.Fprint(w, piece)
					w.(http.Flusher).Flush()
					time.Sleep(400 * time.Millisecond)
				}
				fmt.Fprint(w, `data: {"choices": [{"finish_reason": "stop"}]}`+"\n\n")
			}, "", "xxxx",
		},
		"the end, and then nothing": {begins(piece + `data: {"choices": [{"finish_reason": "stop"}]}` + "\n\n"), "", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := llmtest.New()
			over := make(chan bool)
			t.Cleanup(s.Close)
			t.Cleanup(func() { close(over) })
			client := NewClient(Server{URL: s.URL, Model: "m", Timeout: 1, Retries: 2, Concurrency: 1})
			s.Script = func(_ int, w http.ResponseWriter) bool {
				c.script(w, func() {
					w.(http.Flusher).Flush()
					<-over
				})
				return true
			}
			got, err := client.Ask(t.Context(), ask("q", 50))
			if err != nil || got.Failed != c.want || got.Text != c.text || s.Requests() != 1 {
				t.Errorf("got %+v, %v after %d requests, want %q", got, err, s.Requests(), c.want)
			}
		})
	}
}

func TestARepliesSizeIsBounded(t *testing.T) {
	chunk := []byte(`data: {"choices": [{"delta": {"content": "` + strings.Repeat("x", 1<<20) + `"}}]}` + "\n\n")
	xs := bytes.Repeat([]byte("x"), 1<<20)
	const begins, longer = `{"choices": [{"delta": {"content": "`, "too long: a reply of more than 1 MiB to a request for 50 tokens"
	for name, c := range map[string]struct {
		begin string
		chunk []byte
		want  string
	}{
		"a stream of 64 MiB":            {"", chunk, longer},
		"a line of 64 MiB":              {"data: " + begins, xs, longer},
		"a whole reply of 64 MiB":       {begins, xs, longer},
		"comments of 64 MiB":            {"", bytes.Repeat([]byte(": wait\n\n"), 1<<17), longer},
		"many more tokens than 50":      {"", []byte("data: " + begins + `x "}}]}` + "\n\n"), ""},
		"many values, which are no use": {`{"choices": [`, bytes.Repeat([]byte("{},"), 1<<18), longer},
	} {
		t.Run(name, func(t *testing.T) {
			s, client := newHasty(t)
			s.Script = func(_ int, w http.ResponseWriter) bool {
				fmt.Fprint(w, c.begin)
				for n := 0; n < 64<<20; n += len(c.chunk) {
					if _, err := w.Write(c.chunk); err != nil {
						break
					}
				}
				return true
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, err := client.Ask(t.Context(), ask("q", 50))
			runtime.ReadMemStats(&after)
			if err != nil || !strings.HasPrefix(got.Failed, c.want) || (got.Failed == "") != (c.want == "") || s.Requests() != 1 {
				t.Errorf("got %.300q, %v after %d requests, want %q", got.Failed, err, s.Requests(), c.want)
			}
			if c.want == "" && (got.Stop != StopLength || len(got.Text) > 200) {
				t.Errorf("%d bytes of text, stop %s", len(got.Text), got.Stop)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 32<<20 {
				t.Errorf("it takes %d MiB", n>>20)
			}
		})
	}
}

// answers are the replies to n requests, by their index.
func answers(ctx context.Context, c *Client, n int) (map[int]Reply, error) {
	var requests []Request
	for i := range n {
		requests = append(requests, ask(fmt.Sprint(i), 50))
	}
	got := map[int]Reply{}
	err := Answer(ctx, c, requests, func(i int, r Reply) error {
		if _, twice := got[i]; twice {
			return fmt.Errorf("request %d is answered twice", i)
		}
		got[i] = r
		return nil
	})
	return got, err
}

func TestWhatFailsForItselfEndsNothing(t *testing.T) {
	s, client := newHasty(t)
	var mu sync.Mutex
	tries := map[string]int{}
	s.Say = func(r llmtest.Request) llmtest.Said {
		mu.Lock()
		defer mu.Unlock()
		q := r.Messages[0].Content
		tries[q]++
		switch {
		case q == "3":
			return llmtest.Said{Text: "context length", Status: 400}
		case q == "5" && tries[q] <= 3:
			return llmtest.Said{Text: "one", Torn: true}
		case q == "7":
			return llmtest.Said{Text: "one two", Torn: true}
		}
		return llmtest.Said{Text: q, Finish: "stop", Tokens: 1}
	}
	got, err := answers(t.Context(), client, 12)
	if err != nil || len(got) != 12 {
		t.Fatalf("%d answers, %v", len(got), err)
	}
	for i := range 12 {
		want := Reply{Text: fmt.Sprint(i), Tokens: 1, Stop: StopEOS}
		switch i {
		case 3:
			want = Reply{Failed: "context: status 400: context length"}
		case 7:
			want = Reply{Text: "one two", Failed: "cut: the reply ended without a finish_reason"}
		}
		if !reflect.DeepEqual(got[i], want) {
			t.Errorf("%d: got %+v, want %+v", i, got[i], want)
		}
	}
	if tries["3"] != 1 || tries["5"] != 4 || tries["7"] != 6 {
		t.Errorf("tries %v, want one of 3, four of 5, which is saved by the last round, and six of 7", tries)
	}
}

func TestWhatConcernsAllEndsIt(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		want   string
	}{
		"an unknown model": {404, "status 404"},
		"a wrong key":      {401, "status 401"},
		"always busy":      {429, "20 requests in a row have failed, the last one: busy: 429 after 3 tries: no"},
		"always refused":   {400, "20 requests in a row have failed, the last one: refused: status 400: no"},
	} {
		t.Run(name, func(t *testing.T) {
			s, client := newHasty(t)
			s.Say = always(llmtest.Said{Text: "no", Status: c.status})
			if got, err := answers(t.Context(), client, 100); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %d answers, %v, want %s", len(got), err, c.want)
			}
			if n := s.Requests(); n > 80 {
				t.Errorf("%d requests", n)
			}
		})
	}
	s, client := newHasty(t)
	s.Close()
	if _, err := answers(t.Context(), client, 3); err == nil || !strings.HasPrefix(err.Error(), client.URL+": no connection to ") {
		t.Errorf("a server that is not there: %v", err)
	}
}

func TestTheLastRoundEndsWithWhatWasThere(t *testing.T) {
	s, client := newHasty(t)
	client.Concurrency, client.retry.Times = 1, 0
	var n atomic.Int64
	s.Say = func(r llmtest.Request) llmtest.Said {
		if n.Add(1)%2 == 0 && n.Load() <= 100 {
			return llmtest.Said{Text: "one", Finish: "stop"}
		}
		return llmtest.Said{Text: "two", Torn: true}
	}
	got, err := answers(t.Context(), client, 100)
	failed := 0
	for _, r := range got {
		if r.Failed != "" {
			failed++
		}
	}
	if err != nil || len(got) != 100 || failed != 50 || n.Load() != 100+mostFailures {
		t.Errorf("%d answers, %d of them failed, %v after %d requests", len(got), failed, err, n.Load())
	}
}

func TestAServerThatTakesFewAtOnceIsAskedFewAtOnce(t *testing.T) {
	s, client := newHasty(t)
	client.Concurrency, client.retry.Times = 32, 100
	var now, most, refused atomic.Int64
	s.Say = func(r llmtest.Request) llmtest.Said {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(2 * time.Millisecond)
		if n > 6 {
			refused.Add(1)
			return llmtest.Said{Text: "too many", Status: 429}
		}
		return llmtest.Said{Text: r.Messages[0].Content, Finish: "stop"}
	}
	got, err := answers(t.Context(), client, 200)
	if err != nil || len(got) != 200 {
		t.Fatalf("%d answers, %v", len(got), err)
	}
	for i, r := range got {
		if r.Failed != "" || r.Text != fmt.Sprint(i) {
			t.Errorf("%d: %+v", i, r)
		}
	}
	if most.Load() < 5 || most.Load() > 16 || refused.Load() > 100 {
		t.Errorf("at most %d at once, %d refused", most.Load(), refused.Load())
	}
}

func TestAClientEndsWithDoneAndWithItsContext(t *testing.T) {
	_, client := newHasty(t)
	full := errors.New("the disk is full")
	requests := []Request{ask("a", 50), ask("b", 50), ask("c", 50)}
	if err := Answer(t.Context(), client, requests, func(int, Reply) error { return full }); err != full {
		t.Errorf("got %v, want the error of done", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := Answer(ctx, client, requests, func(int, Reply) error { cancel(); return nil }); err != context.Canceled {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
