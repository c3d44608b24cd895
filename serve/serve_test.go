package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lwtrain/chat"
	"lwtrain/internal/llm"
	"lwtrain/internal/llm/llmtest"
	"lwtrain/model"
	"lwtrain/tokenizer"
)

// fresh is a server of a fresh model of bytes, which is asked at url.
type fresh struct {
	*Server
	url   string
	stop  func()
	ended chan error
}

func start(t *testing.T, o Options, change ...func(s *Server)) *fresh {
	t.Helper()
	if o.Context == 0 {
		o.Context = 512
	}
	if o.Batch == 0 {
		o.Batch, o.Waiting = 16, 16
	}
	o.Name = "tiny"
	m, tok, template := llmtest.Tiny(t, o.Context, o.Context > 512)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if o.Say == nil {
		o.Say = func(line string) { t.Error(line) }
	}
	s := &fresh{Server: New(m, tok, template, o), url: "http://" + l.Addr().String(), ended: make(chan error, 1)}
	for _, c := range change {
		c(s.Server)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() { s.ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-s.ended:
		case <-time.After(20 * time.Second):
			t.Error("the server goes on")
		}
	})
	return s
}

// post asks, and returns status, headers and what was said.
func (s *fresh) post(t *testing.T, path, body string) (int, http.Header, string) {
	t.Helper()
	res, err := http.Post(s.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(raw)
}

const question = `"messages": [{"role": "user", "content": "q"}]`

// said are the texts of a reply, whole or streamed, by choice, with the reasons of their ends.
func said(t *testing.T, status int, raw string) (texts, ends map[int]string, use usage) {
	t.Helper()
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, raw)
	}
	texts, ends = map[int]string{}, map[int]string{}
	pieces := []string{raw}
	if strings.HasPrefix(raw, "data: ") {
		var done bool
		if raw, done = strings.CutSuffix(raw, "data: [DONE]\n\n"); !done {
			t.Errorf("a stream without an end: %q", raw)
		}
		pieces = strings.Split(strings.TrimPrefix(strings.TrimSuffix(raw, "\n\n"), "data: "), "\n\ndata: ")
	}
	for _, p := range pieces {
		var r struct {
			Choices []choice
			Usage   *usage
		}
		if err := json.Unmarshal([]byte(p), &r); err != nil {
			t.Fatalf("%v: %q", err, p)
		}
		if r.Usage != nil {
			use = *r.Usage
		}
		for _, c := range r.Choices {
			for _, m := range []*message{c.Message, c.Delta, {Content: c.Text}} {
				if m != nil && m.Content != nil {
					texts[c.Index] += *m.Content
				}
			}
			if c.Finish != nil {
				ends[c.Index] = *c.Finish
			}
		}
	}
	return texts, ends, use
}

// decoded is what the decoder answers to the same requests.
func decoded(t *testing.T, requests []llm.Request) []llm.Reply {
	t.Helper()
	m, tok, template := llmtest.Tiny(t, 512, false)
	out := make([]llm.Reply, len(requests))
	d := &llm.Decoder{Model: m, Tokenizer: tok, Template: template, Batch: 3}
	if err := llm.Answer(t.Context(), d, requests, func(i int, r llm.Reply) error { out[i] = r; return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestOurClientGetsWhatOurDecoderWrites asks for 40 texts of all kinds at once, in a batch of 16, by both ways of our client:
// each is the one that the decoder writes.
func TestOurClientGetsWhatOurDecoderWrites(t *testing.T) {
	var requests []llm.Request
	for i := range 40 {
		requests = append(requests, llm.Request{
			Messages:  []chat.Message{{Role: "user", Content: strings.Repeat("tell me ", 1+i%9)}},
			MaxTokens: 20 + 7*i%90, Sampling: model.Sampling{Temperature: float64(i%3) * 0.8, TopP: 1 - float64(i%2)/8,
				Seed: uint64(i) << 11},
		})
	}
	sent := slices.Clone(requests)
	for i := range sent {
		sent[i].Sampling.Seed >>= 11 // as the client sends it
	}
	want := decoded(t, sent)
	s := start(t, Options{Batch: 16, Waiting: 64})
	client := llm.NewClient(llm.Server{URL: s.url + "/v1", Model: "tiny", Timeout: 60, Concurrency: 40})
	got := make([]llm.Reply, len(requests))
	if err := llm.Answer(t.Context(), client, requests, func(i int, r llm.Reply) error { got[i] = r; return nil }); err != nil {
		t.Fatal(err)
	}
	for i := range got {
		g, w := got[i], want[i]
		if g.Text != w.Text || g.Stop != w.Stop || g.Tokens != w.Tokens || g.Prompt != w.Prompt {
			t.Errorf("request %d: %+v, the decoder has %+v", i, g, w)
		}
	}
}

func TestATextIsTheSameAloneAndBesideOthers(t *testing.T) {
	s := start(t, Options{Batch: 16, Waiting: 32})
	body := func(i int, stream bool) string {
		return fmt.Sprintf(`{%s, "max_tokens": %d, "seed": %d, "temperature": 1.5, "top_p": 0.9, "top_k": 50, "stream": %t}`,
			question, 100+i, i, stream)
	}
	alone := map[int]string{}
	for i := range 16 {
		status, _, raw := s.post(t, "/v1/chat/completions", body(i, false))
		texts, _, _ := said(t, status, raw)
		alone[i] = texts[0]
	}
	if alone[1] == alone[2] {
		t.Fatal("another seed is the same text")
	}
	for range 3 {
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				status, _, raw := s.post(t, "/v1/chat/completions", body(i, i%2 == 0))
				if texts, _, _ := said(t, status, raw); texts[0] != alone[i] {
					t.Errorf("text %d is %q beside others, alone %q", i, texts[0], alone[i])
				}
			})
		}
		all.Wait()
	}
	if now := s.State(); now.Running+now.Waiting != 0 || now.Answers != 64 {
		t.Errorf("%+v when all have ended", now)
	}
}

func TestWhatAnAnswerHas(t *testing.T) {
	s := start(t, Options{})
	long := `{` + question + `, "max_tokens": 60, "seed": 5, "temperature": 1`
	status, _, raw := s.post(t, "/v1/chat/completions", long+`}`)
	plain, ends, use := said(t, status, raw)
	if ends[0] != "length" || use.Completion != 60 || use.Total != use.Prompt+60 || use.Prompt == 0 {
		t.Fatalf("%v, %v, %+v", plain, ends, use)
	}
	if strings.Contains(raw, `"seed"`) || !strings.Contains(raw, `"object":"chat.completion"`) || !strings.Contains(raw,
		`"model":"tiny"`) {
		t.Errorf("%s", raw)
	}
	status, _, raw = s.post(t, "/v1/chat/completions", long+`, "stream": true, "stream_options": {"include_usage": true}}`)
	texts, ends, streamed := said(t, status, raw)
	if texts[0] != plain[0] || ends[0] != "length" || streamed != use {
		t.Errorf("streamed %v, %v, %+v", texts, ends, streamed)
	}
	if n := strings.Count(raw, `"usage":null`); n < 3 {
		t.Errorf("%d pieces with usage null in %s", n, raw)
	}
	status, _, raw = s.post(t, "/v1/chat/completions", long+`, "n": 3}`)
	three, _, use3 := said(t, status, raw)
	if three[0] != plain[0] || three[1] == three[0] || three[2] == three[1] || use3.Completion <= 60 {
		t.Errorf("three choices: %v, %+v", three, use3)
	}
	// A request without a seed is told the one that was drawn.
	status, _, raw = s.post(t, "/v1/chat/completions", `{`+question+`, "max_tokens": 30}`)
	drawn, _, _ := said(t, status, raw)
	var has struct{ Seed json.Number }
	if err := json.Unmarshal([]byte(raw), &has); err != nil {
		t.Fatal(err)
	}
	status, _, raw = s.post(t, "/v1/chat/completions", `{`+question+`, "max_tokens": 30, "seed": `+has.Seed.String()+`}`)
	if again, _, _ := said(t, status, raw); again[0] != drawn[0] {
		t.Errorf("with the seed %s %v, before %v", has.Seed, again, drawn)
	}
	// A begun answer, and a text, are gone on with.
	prompt := "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\nOnce"
	how := `, "max_tokens": 20, "temperature": 0}`
	status, _, raw = s.post(t, "/v1/chat/completions",
		`{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "Once"}]`+how)
	begun, _, use := said(t, status, raw)
	quoted, _ := json.Marshal(prompt)
	status, _, raw = s.post(t, "/v1/completions", `{"prompt": `+string(quoted)+how)
	text, _, _ := said(t, status, raw)
	ids, _ := json.Marshal(s.tok.EncodeText(prompt))
	status, _, raw = s.post(t, "/v1/completions", `{"prompt": `+string(ids)+how)
	byIDs, _, useIDs := said(t, status, raw)
	if begun[0] != byIDs[0] || text[0] != byIDs[0] || use != useIDs {
		t.Errorf("a begun answer goes on with %v, its text with %v, its ids with %v (%+v, %+v)", begun, text, byIDs, use, useIDs)
	}
}

func TestTextsEndAtStops(t *testing.T) {
	s := start(t, Options{})
	how := `{` + question + `, "max_tokens": 200, "seed": 9, "temperature": 1`
	status, _, raw := s.post(t, "/v1/chat/completions", how+`}`)
	plain, _, whole := said(t, status, raw)
	for _, at := range []int{1, 10, 50} {
		runes := []rune(plain[0])
		stop := string(runes[at : at+2])
		want, _, _ := strings.Cut(plain[0], stop)
		list, _ := json.Marshal([]string{"never there, not at all", stop})
		for _, more := range []string{`}`, `, "stream": true, "stream_options": {"include_usage": true}}`} {
			status, _, raw := s.post(t, "/v1/chat/completions", how+`, "stop": `+string(list)+more)
			got, ends, use := said(t, status, raw)
			if got[0] != want || ends[0] != "stop" || use.Completion >= whole.Completion {
				t.Errorf("with the stop %q: %v, %v, %+v, want %q", stop, got, ends, use, want)
			}
		}
	}
}

func TestLogprobs(t *testing.T) {
	s := start(t, Options{})
	for _, stream := range []bool{false, true} {
		status, _, raw := s.post(t, "/v1/chat/completions",
			fmt.Sprintf(`{%s, "max_tokens": 12, "temperature": 0, "logprobs": true, "top_logprobs": 20, "stream": %t}`, question, stream))
		_, _, _ = said(t, status, raw)
		var tokens []logprob
		for line := range strings.Lines(raw) {
			var r struct{ Choices []choice }
			if json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &r) != nil {
				continue
			}
			for _, c := range r.Choices {
				if c.Logprobs != nil {
					tokens = append(tokens, c.Logprobs.Content...)
				}
			}
		}
		if len(tokens) != 12 {
			t.Fatalf("logprobs of %d tokens", len(tokens))
		}
		for i, l := range tokens {
			if len(l.Top) != 20 || l.Logprob != l.Top[0].Logprob || l.Token != l.Top[0].Token || l.Logprob > 0 {
				t.Errorf("token %d: %+v", i, l)
			}
			for k := 1; k < len(l.Top); k++ {
				if l.Top[k].Logprob > l.Top[k-1].Logprob {
					t.Errorf("token %d: candidate %d is more probable than the one before", i, k)
				}
			}
		}
	}
}

func TestProbabilitiesSumToOne(t *testing.T) {
	tok := tokenizer.Bytes()
	logits := make([]float32, 20)
	for i := range logits {
		logits[i] = float32(i*7%20) / 3
	}
	l := logprobOf(tok, 3, logits, 20)
	sum := 0.
	for _, c := range l.Top {
		sum += math.Exp(c.Logprob)
	}
	if diff := sum - 1; diff > 1e-9 || diff < -1e-9 || len(l.Top) != 20 || l.Token != string(rune(3)) {
		t.Errorf("sum %g of %d, %+v", sum, len(l.Top), l.candidate)
	}
	if l := logprobOf(tok, 3, logits, 0); len(l.Top) != 0 {
		t.Errorf("%d candidates, want none", len(l.Top))
	}
}

func TestTheModelIsNamed(t *testing.T) {
	s := start(t, Options{})
	get := func(path string) (int, map[string]any) {
		t.Helper()
		res, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var said map[string]any
		if err := json.NewDecoder(res.Body).Decode(&said); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, said
	}
	_, all := get("/v1/models")
	status, one := get("/v1/models/tiny")
	if list, ok := all["data"].([]any); status != 200 || !ok || len(list) != 1 || !reflect.DeepEqual(list[0], any(one)) ||
		one["id"] != "tiny" {
		t.Errorf("%d: %v, in the list of all %v", status, one, all)
	}
	status, other := get("/v1/models/owner/other")
	if e, ok := other["error"].(map[string]any); status != 404 || !ok || e["code"] != "model_not_found" {
		t.Errorf("another model: %d: %v", status, other)
	}
}
