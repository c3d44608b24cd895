package llm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"lwtrain/chat"
	"lwtrain/internal/fault"
	"lwtrain/internal/llm/llmtest"
	"lwtrain/model"
)

const secret = "sk-0123456789-secret"

var question = Request{Messages: []chat.Message{{Role: "user", Content: "q"}}, MaxTokens: 5}

// newClient is a client of a new server, which notes its pauses and makes none.
func newClient(t *testing.T) (*llmtest.Server, *Client, *[]time.Duration) {
	t.Helper()
	s := llmtest.New()
	t.Cleanup(s.Close)
	s.Key = secret
	t.Setenv("LLM_TEST_KEY", secret)
	c := NewClient(Server{URL: s.URL + "/", Model: "m", KeyEnv: "LLM_TEST_KEY", Timeout: 5, Retries: 2, Concurrency: 3})
	pauses := &[]time.Duration{}
	c.retry.Sleep = func(_ context.Context, d time.Duration) error { *pauses = append(*pauses, d); return nil }
	return s, c, pauses
}

func TestWhatAServerMayReply(t *testing.T) {
	const ok = `{"choices": [{"message": {"content": "hello"}, "finish_reason": "length"}], "usage": {"completion_tokens": 3}}`
	says := func(status int, text string, header ...string) func(int, http.ResponseWriter) bool {
		return func(_ int, w http.ResponseWriter) bool {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			fmt.Fprint(w, text)
			return true
		}
	}
	for name, c := range map[string]struct {
		script func(int, http.ResponseWriter) bool
		want   string // of the failure, or of the error; "" none
		tries  int
		pauses string
	}{
		"an answer": {says(200, ok), "", 1, "[]"},
		"too many requests, then an answer": {func(n int, w http.ResponseWriter) bool {
			if n < 3 {
				return says(429, "", "Retry-After", "17")(n, w)
			}
			return says(200, ok)(n, w)
		}, "", 3, "[17s 17s]"},
		"always busy":       {says(503, "busy"), "busy: 503 after 3 tries: busy", 3, ""},
		"a very long wait":  {says(500, "", "Retry-After", "86400"), "busy: 500", 3, "[1m0s 1m0s]"},
		"an unknown model":  {says(404, "no model m"), "status 404: no model m", 1, "[]"},
		"a redirection":     {says(307, "", "Location", "http://127.0.0.1:1/"), "status 307", 1, "[]"},
		"an overlong wait":  {says(429, "", "Retry-After", "10000000000"), "busy: 429", 3, "[1m0s 1m0s]"},
		"no content":        {says(204, ""), "status 204: nothing more", 1, "[]"},
		"the key, refused":  {says(400, `{"error": "no such key: `+secret+`"}`), `status 400: {"error": "no such key: [key]"}`, 1, "[]"},
		"the key, cut off":  {says(500, strings.Repeat("x", 195)+secret), "after 3 tries: " + strings.Repeat("x", 195) + "[key]", 3, ""},
		"the key, no JSON":  {says(200, `{"Bearer": "`+secret+`"}`), `in the reply: {"Bearer": "[key]"}`, 3, ""},
		"the key, answered": {says(200, strings.Replace(ok, "hello", "I was sent "+secret, 1)), "the reply repeats the key", 3, ""},
		"no JSON":           {says(200, "<html>\x00"), "no JSON of a reply", 3, ""},
		"no choices":        {says(200, `{"choices": []}`), "no choices[0].message.content", 3, ""},
		"without an end": {func(_ int, w http.ResponseWriter) bool {
			chunk := bytes.Repeat([]byte(" "), 1<<20)
			for range mostReply>>20 + 1 {
				w.Write(chunk)
			}
			return true
		}, "a reply of more than 1 MiB to a request for 5 tokens", 1, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			s, client, pauses := newClient(t)
			s.Script = c.script
			r, err := client.Ask(t.Context(), question)
			said := r.Failed
			if err != nil {
				said = err.Error()
			}
			switch {
			case c.want == "" && (err != nil || !reflect.DeepEqual(r, Reply{Text: "hello", Tokens: 3, Stop: StopLength})):
				t.Errorf("got %v, %v", r, err)
			case c.want != "" && (!strings.Contains(said, c.want) || strings.Contains(said, secret)):
				t.Errorf("got %s, want %s", said, c.want)
			}
			if n := s.Requests(); n != c.tries || c.pauses != "" && fmt.Sprint(*pauses) != c.pauses {
				t.Errorf("%d requests with pauses of %v, want %d and %s", n, *pauses, c.tries, c.pauses)
			}
		})
	}
}

func TestWhatAServerIsSent(t *testing.T) {
	for name, c := range map[string]struct {
		how  model.Sampling
		want string
	}{
		"all of it": {
			model.Sampling{Temperature: 0.8, TopP: 0.95, Seed: 1<<63 + 4096},
			`{"max_tokens":5,"messages":[{"role":"user","content":"q"}],"min_p":0,"model":"m","repeat_penalty":1,"repetition_penalty":1,` +
				`"seed":4503599627370498,"stream":true,"stream_options":{"include_usage":true},"temperature":0.8,"top_k":-1,"top_p":0.95}`,
		},
		"without a nucleus": {
			model.Sampling{TopP: 1},
			`{"max_tokens":5,"messages":[{"role":"user","content":"q"}],"min_p":0,"model":"m","repeat_penalty":1,"repetition_penalty":1,` +
				`"seed":0,"stream":true,"stream_options":{"include_usage":true},"temperature":0,"top_k":-1,"top_p":1}`,
		},
	} {
		_, client, _ := newClient(t)
		ask := question
		ask.Sampling = c.how
		if body, err := client.body(ask, client.traits.now()); err != nil || string(body) != c.want {
			t.Errorf("%s: %s, %v, want %s", name, body, err, c.want)
		}
	}
}

func TestAWrongKeyIsSaidAndNotShown(t *testing.T) {
	s, _, _ := newClient(t)
	t.Setenv("LLM_TEST_KEY", "sk-wrong")
	_, err := NewClient(Server{URL: s.URL, KeyEnv: "LLM_TEST_KEY", Timeout: 5}).Ask(t.Context(), question)
	if err == nil || !strings.Contains(err.Error(), "status 401") || !strings.Contains(fault.HintOf(err), "LLM_TEST_KEY") {
		t.Fatalf("got %v (%s)", err, fault.HintOf(err))
	}
	if strings.Contains(err.Error()+fault.HintOf(err), "sk-wrong") {
		t.Errorf("%v (%s) shows the key", err, fault.HintOf(err))
	}
}

func TestAServerThatIsNotThere(t *testing.T) {
	s, client, pauses := newClient(t)
	s.Close()
	_, err := client.Ask(t.Context(), question)
	if err == nil || len(*pauses) != 2 || !strings.HasPrefix(err.Error(), client.URL+": no connection to 127.0.0.1:") {
		t.Errorf("got %v after pauses of %v", err, *pauses)
	}
}

func TestManyRequestsAtOnce(t *testing.T) {
	s, client, _ := newClient(t)
	var mu sync.Mutex
	now, most := 0, 0
	s.Text = func(r llmtest.Request) string {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		time.Sleep(5 * time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		now--
		return r.Messages[0].Content
	}
	var requests []Request
	for i := range 20 {
		requests = append(requests, Request{Messages: []chat.Message{{Role: "user", Content: fmt.Sprint(i)}}})
	}
	got := map[int]string{}
	if err := Answer(t.Context(), client, requests, func(i int, r Reply) error { got[i] = r.Text; return nil }); err != nil {
		t.Fatal(err)
	}
	for i := range requests {
		if got[i] != fmt.Sprint(i) {
			t.Errorf("request %d has the answer %q", i, got[i])
		}
	}
	if most != 3 {
		t.Errorf("%d requests at once, want 3", most)
	}
	full := errors.New("the disk is full")
	if err := Answer(t.Context(), client, requests, func(int, Reply) error { return full }); err != full {
		t.Errorf("got %v, want the error of done", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := Answer(ctx, client, requests, func(int, Reply) error { cancel(); return nil }); err != context.Canceled {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestWhichServersAreOnThisMachine(t *testing.T) {
	for url, want := range map[string]bool{
		"http://localhost:8000/v1": true, "http://LOCALHOST/v1": true, "http://127.0.0.1:1": true, "http://127.9.9.9/v1": true,
		"http://[::1]:8000/v1": true, "http://0.0.0.0:8000/v1": true, "http://vllm.localhost/v1": true,
		"http://localhost.example.com/v1": false, "https://api.example.com/v1": false, "http://10.0.0.1:8000/v1": false,
		"": false, "::": false,
	} {
		if got := (Server{URL: url}).Local(); got != want {
			t.Errorf("%s: %v", url, got)
		}
	}
}
