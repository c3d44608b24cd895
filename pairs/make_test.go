package pairs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lwtrain/chat"
	"lwtrain/data/record"
	"lwtrain/internal/fault"
	"lwtrain/internal/rundir"
)

const secret = "sk-secret"

// fakeServer answers with as many words as the request's seed says, and rates by
// the length of what it is shown.
type fakeServer struct {
	*httptest.Server
	mu    sync.Mutex
	asked map[string]int // requests, by what makes them the same
	after func(n int)    // told the number of requests so far
	reply func(n int, w http.ResponseWriter) (done bool)
}

func newFakeServer(t *testing.T) *fakeServer {
	s := &fakeServer{asked: map[string]int{}}
	n := 0
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		var in struct {
			Messages []struct{ Content string }
			Seed     uint64
			Max      int `json:"max_tokens"`
		}
		if err := json.Unmarshal(raw, &in); err != nil || r.URL.Path != "/v1/chat/completions" || r.Header.Get("Authorization") != "Bearer "+secret {
			w.WriteHeader(401)
			fmt.Fprint(w, "who is there?")
			return
		}
		s.mu.Lock()
		n++
		now := n
		s.mu.Unlock()
		if s.reply != nil && s.reply(now, w) {
			return
		}
		text := strings.TrimSpace(strings.Repeat("word ", 1+int(in.Seed%40)))
		if q := in.Messages[0].Content; strings.Contains(q, "<request>") {
			text = fmt.Sprintf(`{"Relevance": %d, "Accuracy": 4, "Coherence": 3, "Clarity": 2, "Breadth and Depth": 1, "Reading Experience": 5}`, 1+len(q)%5)
		}
		s.mu.Lock()
		s.asked[fmt.Sprint(in.Messages, in.Seed)]++
		s.mu.Unlock()
		json.NewEncoder(w).Encode(map[string]any{
			"choices": []any{map[string]any{"message": map[string]any{"content": text}, "finish_reason": "stop"}},
			"usage":   map[string]any{"completion_tokens": len(text)},
		})
		if s.after != nil {
			s.after(now)
		}
	}))
	t.Cleanup(s.Close)
	t.Setenv("PAIRS_TEST_KEY", secret)
	return s
}

func (s *fakeServer) options() Server {
	return Server{URL: s.URL + "/v1/", Model: "m", KeyEnv: "PAIRS_TEST_KEY", Timeout: 5, Retries: 2, Concurrency: 3}
}

func testJob(t *testing.T, s *fakeServer) Job {
	o := Default()
	o.Server, o.Judge = s.options(), s.options()
	var prompts []record.Prompt
	for i := range 5 {
		prompts = append(prompts, record.Prompt{
			Messages: []chat.Message{{Role: "user", Content: fmt.Sprintf("question %d", i)}}, Required: 20 * (i % 3), Origin: fmt.Sprintf("q.jsonl:%d", i+1),
		})
	}
	return Job{
		Options: o, Seed: 7, Dir: filepath.Join(t.TempDir(), "run"), Prompts: prompts, Config: []byte("seed: 7\n"),
		Identity: rundir.Identity{Settings: map[string]string{"seed": "7"}},
	}
}

func read(t *testing.T, job Job, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(job.Dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestPairsOfAServersAnswers(t *testing.T) {
	s := newFakeServer(t)
	job := testJob(t, s)
	sum, err := Make(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Samples != 20 || sum.Prompts != 5 || sum.Pairs+sum.Dropped["tie"] != 5 || sum.Pairs < 3 || sum.Score.Count != 20 || sum.Unrated != 0 {
		t.Errorf("%+v", sum)
	}
	if n := strings.Count(read(t, job, SamplesFile), "\n"); n != 20 {
		t.Errorf("%d samples", n)
	}
	var p struct {
		Prompt, Chosen, Rejected []struct{ Role, Content string }
		Better                   float64 `json:"chosen_score"`
		Worse                    float64 `json:"rejected_score"`
	}
	for line := range strings.Lines(read(t, job, PairsFile)) {
		if err := json.Unmarshal([]byte(line), &p); err != nil || len(p.Prompt) != 1 || p.Chosen[0].Role != "assistant" || !(p.Better > p.Worse) || p.Chosen[0].Content == p.Rejected[0].Content {
			t.Errorf("%v: %s", err, line)
		}
	}
	files, err := filepath.Glob(filepath.Join(job.Dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if raw, err := os.ReadFile(path); err != nil || bytes.Contains(raw, []byte(secret)) {
			t.Errorf("%s holds the key, or %v", path, err)
		}
	}
	before := len(s.asked)
	if again, err := Make(t.Context(), job); err != nil || again.Pairs != sum.Pairs || len(s.asked) != before {
		t.Errorf("the same again: %+v, %v, %d requests more", again, err, len(s.asked)-before)
	}
	job.Identity.Settings = map[string]string{"seed": "8"}
	if _, err := Make(t.Context(), job); !fault.IsUsage(err) || !strings.Contains(err.Error(), "seed: 7 then, 8 now") {
		t.Errorf("another run in the folder: %v", err)
	}
}

func TestARunThatStopsAnywhereAsksForNothingTwice(t *testing.T) {
	s := newFakeServer(t)
	whole := testJob(t, s)
	if _, err := Make(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	want := read(t, whole, PairsFile) + read(t, whole, SamplesFile) + read(t, whole, SummaryFile)
	for stop := 1; stop < 40; stop += 3 {
		s := newFakeServer(t)
		job := testJob(t, s)
		job.Server.Concurrency, job.Judge.Concurrency = 1, 1 // else requests are under way when it stops
		ctx, cancel := context.WithCancel(t.Context())
		job.Progress = func(answers, rated, _ int) {
			if answers+rated == stop {
				cancel()
			}
		}
		if _, err := Make(ctx, job); !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped after %d: %v", stop, err)
		}
		if _, err := os.Stat(filepath.Join(job.Dir, PairsFile)); err == nil {
			t.Fatal("there are pairs of half of a run")
		}
		// A crash cuts off what was being written.
		f, err := os.OpenFile(filepath.Join(job.Dir, "answers.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString(`{"prompt":4,"sample":3,"tok`)
		f.Close()
		job.Progress = nil
		resumed := -1
		job.Resumed = func(n int) { resumed = n }
		if _, err := Make(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		if got := read(t, job, PairsFile) + read(t, job, SamplesFile) + read(t, job, SummaryFile); got != want {
			t.Errorf("stopped after %d: other files came out", stop)
		}
		if resumed < 1 {
			t.Errorf("stopped after %d: resumed with %d", stop, resumed)
		}
		twice := 0
		for _, n := range s.asked {
			twice += n - 1
		}
		if twice > 1 { // the one that was under way
			t.Errorf("stopped after %d: %d requests were made twice", stop, twice)
		}
	}
}

func TestALineThatSomebodyChangedIsNamed(t *testing.T) {
	s := newFakeServer(t)
	job := testJob(t, s)
	if _, err := Make(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"{}}\n":                           "answers.jsonl:1:",
		`{"prompt":99,"sample":0}` + "\n": "answers.jsonl:1: answer 0 to prompt 99",
	} {
		if err := os.WriteFile(filepath.Join(job.Dir, "answers.jsonl"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Make(t.Context(), job); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestWhatAServerMayReply(t *testing.T) {
	ok := `{"choices": [{"message": {"content": "hello"}, "finish_reason": "length"}], "usage": {"completion_tokens": 3}}`
	for name, c := range map[string]struct {
		reply func(n int, w http.ResponseWriter) bool
		want  string // of the error; "" none
		tries int
		waits string
	}{
		"an answer": {func(_ int, w http.ResponseWriter) bool { fmt.Fprint(w, ok); return true }, "", 1, "[]"},
		"too many requests, then an answer": {func(n int, w http.ResponseWriter) bool {
			if n < 3 {
				w.Header().Set("Retry-After", "17")
				w.WriteHeader(429)
			} else {
				fmt.Fprint(w, ok)
			}
			return true
		}, "", 3, "[17s 17s]"},
		"always busy": {func(_ int, w http.ResponseWriter) bool { w.WriteHeader(503); fmt.Fprint(w, "busy"); return true }, "status 503: busy", 3, ""},
		"a very long wait": {func(n int, w http.ResponseWriter) bool {
			w.Header().Set("Retry-After", "86400")
			w.WriteHeader(500)
			return true
		}, "status 500", 3, "[1m0s 1m0s]"},
		"an unknown model": {func(_ int, w http.ResponseWriter) bool { w.WriteHeader(404); fmt.Fprint(w, "no model m"); return true }, "status 404: no model m", 1, "[]"},
		"a redirection": {func(_ int, w http.ResponseWriter) bool {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(307)
			return true
		}, "status 307", 1, "[]"},
		"no JSON":    {func(_ int, w http.ResponseWriter) bool { fmt.Fprint(w, "<html>\x00"); return true }, "no choices[0].message.content", 3, ""},
		"no choices": {func(_ int, w http.ResponseWriter) bool { fmt.Fprint(w, `{"choices": []}`); return true }, "no choices[0].message.content", 3, ""},
		"without an end": {func(_ int, w http.ResponseWriter) bool {
			chunk := bytes.Repeat([]byte(" "), 1<<20)
			for range mostReply>>20 + 1 {
				w.Write(chunk)
			}
			return true
		}, "a reply of more than 64 MiB", 1, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newFakeServer(t)
			n := 0
			s.reply = func(k int, w http.ResponseWriter) bool { n = k; return c.reply(k, w) }
			client := newClient(s.options())
			waits := []time.Duration{}
			client.wait = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
			r, err := client.ask(t.Context(), ask{messages: []chat.Message{{Role: "user", Content: "q"}}, topP: 1, maxTokens: 5})
			switch {
			case c.want == "" && (err != nil || r != reply{"hello", 3, "length"}):
				t.Errorf("got %v, %v", r, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret)):
				t.Errorf("got %v, want %s", err, c.want)
			}
			if n != c.tries || c.waits != "" && fmt.Sprint(waits) != c.waits {
				t.Errorf("%d requests with pauses of %v, want %d and %s", n, waits, c.tries, c.waits)
			}
		})
	}
}

func TestAServerThatTakesTooLong(t *testing.T) {
	for name, begin := range map[string]string{"nothing comes": "", "the end does not come": `{"choices": [`} {
		t.Run(name, func(t *testing.T) {
			s := newFakeServer(t)
			n := 0
			s.reply = func(k int, w http.ResponseWriter) bool {
				n = k
				fmt.Fprint(w, begin)
				if begin != "" {
					w.(http.Flusher).Flush()
				}
				time.Sleep(1200 * time.Millisecond)
				return true
			}
			o := s.options()
			o.Timeout, o.Retries = 1, 1
			client := newClient(o)
			client.wait = func(context.Context, time.Duration) error { return nil }
			_, err := client.ask(t.Context(), ask{messages: []chat.Message{{Role: "user", Content: "q"}}, topP: 1, maxTokens: 5})
			if want := o.URL + ": no answer in 1 seconds"; err == nil || err.Error() != want || n != 2 {
				t.Errorf("got %v after %d requests, want %s after 2", err, n, want)
			}
		})
	}
}

func TestAWrongKeyIsSaidAndNotShown(t *testing.T) {
	s := newFakeServer(t)
	t.Setenv("PAIRS_TEST_KEY", "sk-wrong")
	_, err := Make(t.Context(), testJob(t, s))
	if err == nil || !strings.Contains(err.Error(), "status 401") || !strings.Contains(fault.HintOf(err), "PAIRS_TEST_KEY") || strings.Contains(err.Error()+fault.HintOf(err), "sk-wrong") {
		t.Errorf("got %v", err)
	}
}

func TestAServerThatIsNotThere(t *testing.T) {
	s := newFakeServer(t)
	o := s.options()
	s.Close()
	client := newClient(o)
	n := 0
	client.wait = func(context.Context, time.Duration) error { n++; return nil }
	if _, err := client.ask(t.Context(), ask{}); err == nil || n != 2 || !strings.Contains(err.Error(), o.URL) {
		t.Errorf("got %v after %d pauses", err, n)
	}
}

func TestAJudgeThatDoesNotDoAsItIsToldIsCounted(t *testing.T) {
	s := newFakeServer(t)
	job := testJob(t, s)
	job.Server.Concurrency, job.Judge.Concurrency = 1, 1
	judged := 0
	talker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		judged++
		fmt.Fprint(w, `{"choices": [{"message": {"content": "I like it."}}]}`)
	}))
	defer talker.Close()
	job.Judge.URL = talker.URL
	sum, err := Make(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Unrated != 20 || sum.Dropped["not_rated"] != 5 || judged != 20*judgeTries || sum.Pairs != 0 {
		t.Errorf("%+v after %d judgements", sum, judged)
	}
}

func TestACommandRates(t *testing.T) {
	s := newFakeServer(t)
	for name, c := range map[string]struct {
		command []string
		want    string
	}{
		"by the words of the answer": {[]string{"sed", "-E", `s/.*"words":([0-9]+).*/\1/`}, ""},
		"and prints no number":       {[]string{"echo", "good"}, `it printed "good", want a number`},
		"and prints infinity":        {[]string{"echo", "inf"}, "want a number"},
		"and fails":                  {[]string{"sh", "-c", "echo broken >&2; exit 3"}, "exit status 3: broken"},
		"and never comes to an end":  {[]string{"sleep", "60"}, "no answer in 1 seconds"},
		"and is not there":           {[]string{"/no/such/command"}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			job := testJob(t, s)
			job.Judge = Default().Judge
			job.Command, job.LengthWeight, job.CommandTimeout = c.command, 0, 1
			sum, err := Make(t.Context(), job)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %s", err, c.want)
				}
				return
			}
			if err != nil || sum.CommandScore.Count != 20 || sum.Score.Most != sum.CommandScore.Most {
				t.Errorf("%+v, %v", sum, err)
			}
		})
	}
}

func TestAPromptThatCanNotBeScoredIsNotAsked(t *testing.T) {
	s := newFakeServer(t)
	job := testJob(t, s)
	job.Judge = Default().Judge
	sum, err := Make(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Dropped["no_stated_length"] != 2 || sum.Samples != 12 || len(s.asked) != 12 {
		t.Errorf("%+v, %d requests", sum, len(s.asked))
	}
}
