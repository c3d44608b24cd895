package pairs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/chat"
	"lwtrain/data/record"
	"lwtrain/internal/fault"
	"lwtrain/internal/llm"
	"lwtrain/internal/llm/llmtest"
	"lwtrain/internal/rundir"
)

const secret = "sk-secret"

func newServer(t *testing.T) *llmtest.Server {
	s := llmtest.New()
	t.Cleanup(s.Close)
	s.Key, s.Text = secret, llmtest.Judge
	t.Setenv("PAIRS_TEST_KEY", secret)
	return s
}

func options(s *llmtest.Server) llm.Server {
	return llm.Server{URL: s.URL, Model: "m", KeyEnv: "PAIRS_TEST_KEY", Timeout: 5, Retries: 2, Concurrency: 3}
}

func testJob(t *testing.T, s *llmtest.Server) Job {
	o := Default()
	o.Server, o.Judge = options(s), options(s)
	var prompts []record.Prompt
	for i := range 5 {
		prompts = append(prompts, record.Prompt{
			Messages: []chat.Message{{Role: "user", Content: fmt.Sprintf("question %d", i)}},
			Required: 20 * (i % 3), Origin: fmt.Sprintf("q.jsonl:%d", i+1),
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
	s := newServer(t)
	job := testJob(t, s)
	sum, err := Make(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Samples != 20 || sum.Prompts != 5 || sum.Total.Count != 20 || sum.Unrated != 0 {
		t.Errorf("%+v", sum)
	}
	if sum.Pairs+sum.Dropped["tie"] != 5 || sum.Pairs < 3 {
		t.Errorf("%d pairs, %d ties", sum.Pairs, sum.Dropped["tie"])
	}
	if n := strings.Count(read(t, job, CandidatesFile), "\n"); n != 20 {
		t.Errorf("%d samples", n)
	}
	var p struct {
		Prompt, Chosen, Rejected []struct{ Role, Content string }
		Better                   float64 `json:"chosen_score"`
		Worse                    float64 `json:"rejected_score"`
	}
	for line := range strings.Lines(read(t, job, PairsFile)) {
		if err := json.Unmarshal([]byte(line), &p); err != nil || len(p.Prompt) != 1 || p.Chosen[0].Role != "assistant" {
			t.Fatalf("%v: %s", err, line)
		}
		if !(p.Better > p.Worse) || p.Chosen[0].Content == p.Rejected[0].Content {
			t.Errorf("the chosen answer is no better one: %s", line)
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
	before := s.Requests()
	if again, err := Make(t.Context(), job); err != nil || again.Pairs != sum.Pairs || s.Requests() != before {
		t.Errorf("the same again: %+v, %v, %d requests more", again, err, s.Requests()-before)
	}
	job.Identity.Settings = map[string]string{"seed": "8"}
	if _, err := Make(t.Context(), job); !fault.IsUsage(err) || !strings.Contains(err.Error(), "seed: 7 then, 8 now") {
		t.Errorf("another run in the folder: %v", err)
	}
}

func TestARunThatStopsAnywhereAsksForNothingTwice(t *testing.T) {
	s := newServer(t)
	whole := testJob(t, s)
	if _, err := Make(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	want := read(t, whole, PairsFile) + read(t, whole, CandidatesFile) + read(t, whole, SummaryFile)
	for stop := 1; stop < 40; stop += 3 {
		s := newServer(t)
		job := testJob(t, s)
		job.Server.Concurrency, job.Judge.Concurrency = 1, 1 // else requests are under way when it stops
		ctx, cancel := context.WithCancel(t.Context())
		job.Events.Progress = func(answers, rated, _ int) {
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
		job.Events.Progress = nil
		resumed := -1
		job.Events.Resumed = func(n, _ int) { resumed = n }
		if _, err := Make(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		if got := read(t, job, PairsFile) + read(t, job, CandidatesFile) + read(t, job, SummaryFile); got != want {
			t.Errorf("stopped after %d: other files came out", stop)
		}
		if resumed < 1 {
			t.Errorf("stopped after %d: resumed with %d", stop, resumed)
		}
		if twice := s.Repeated(); twice > 1 { // the one that was under way
			t.Errorf("stopped after %d: %d requests were made twice", stop, twice)
		}
	}
}

func TestALineThatSomebodyChangedIsNamed(t *testing.T) {
	s := newServer(t)
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

func TestAWrongKeyIsSaidAndNotShown(t *testing.T) {
	s := newServer(t)
	t.Setenv("PAIRS_TEST_KEY", "sk-wrong")
	_, err := Make(t.Context(), testJob(t, s))
	if err == nil || !strings.Contains(err.Error(), "status 401") || !strings.Contains(fault.HintOf(err), "PAIRS_TEST_KEY") {
		t.Fatalf("got %v", err)
	}
	if strings.Contains(err.Error()+fault.HintOf(err), "sk-wrong") {
		t.Errorf("%v (%s) shows the key", err, fault.HintOf(err))
	}
}

func TestAJudgeThatDoesNotDoAsItIsToldIsCounted(t *testing.T) {
	s := newServer(t)
	job := testJob(t, s)
	job.Server.Concurrency, job.Judge.Concurrency = 1, 1
	talker := newServer(t)
	talker.Text = func(llmtest.Request) string { return "I like it." }
	job.Judge.URL = talker.URL
	sum, err := Make(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Unrated != 20 || sum.Dropped["not_rated"] != 5 || talker.Requests() != 20*5 || sum.Pairs != 0 {
		t.Errorf("%+v after %d judgements", sum, talker.Requests())
	}
}

func TestACommandRates(t *testing.T) {
	s := newServer(t)
	for name, c := range map[string]struct {
		command []string
		want    string
	}{
		"by the words of the answer": {[]string{"sed", "-E", `s/.*"words":([0-9]+).*/\1/`}, ""},
		"and prints no number":       {[]string{"echo", "good"}, `it printed "good", want a number`},
		"and prints infinity":        {[]string{"echo", "inf"}, "want a number"},
		"and fails":                  {[]string{"sh", "-c", "echo broken >&2; exit 3"}, "exit status 3: broken"},
		"and prints its key":         {[]string{"sh", "-c", "echo $PAIRS_TEST_KEY >&2; exit 3"}, "exit status 3: [key]"},
		"and never comes to an end":  {[]string{"sleep", "60"}, "no answer in 1 second"},
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
			if err != nil || sum.Command.Count != 20 || sum.Total.Most != sum.Command.Most {
				t.Errorf("%+v, %v", sum, err)
			}
		})
	}
}

func TestAPromptThatCanNotBeScoredIsNotAsked(t *testing.T) {
	s := newServer(t)
	job := testJob(t, s)
	job.Judge = Default().Judge
	sum, err := Make(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Dropped["no_stated_length"] != 2 || sum.Samples != 12 || s.Requests() != 12 {
		t.Errorf("%+v, %d requests", sum, s.Requests())
	}
}

// TestWhatAServerDoesNotAnswerEndsNothing has a server refuse two prompts, and a judge a third one, and then none any more.
func TestWhatAServerDoesNotAnswerEndsNothing(t *testing.T) {
	s := newServer(t)
	job := testJob(t, s)
	strict := true
	s.Say = func(r llmtest.Request) llmtest.Said {
		switch q := r.Messages[0].Content; {
		case strict && q == "question 2":
			return llmtest.Said{Text: `{"error": {"code": "content_filter"}}`, Status: 400}
		case strict && q == "question 3":
			return llmtest.Said{Text: "the beginning of what the server", Finish: "content_filter"}
		case strict && strings.Contains(q, "<request>\nquestion 1\n"):
			return llmtest.Said{Text: "this model's maximum context length is 8192 tokens", Status: 400}
		}
		return llmtest.Said{Text: llmtest.Judge(r), Finish: "stop", Tokens: 9}
	}
	var told []string
	job.Events.Failed = func(origin, why string) { told = append(told, origin+" "+why) }
	sum, err := Make(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Samples != 12 || sum.Failed["content filter"] != 8 || sum.Dropped["not_answered"] != 2 || sum.Dropped["not_rated"] != 1 ||
		sum.Unrated != 4 || sum.Pairs+sum.Dropped["tie"] != 2 {
		t.Errorf("%+v", sum)
	}
	slices.Sort(told)
	if len(told) != 2 || !strings.HasPrefix(told[0], "q.jsonl:2 the judge: context: status 400") ||
		!strings.Contains(told[1], " content filter: ") {
		t.Errorf("it told %q", told)
	}
	strict = false
	before := s.Requests()
	sum, err = Make(t.Context(), job)
	if err != nil || sum.Samples != 20 || len(sum.Failed) > 0 || sum.Unrated > 0 || sum.Pairs+sum.Dropped["tie"] != 5 {
		t.Errorf("%+v, %v", sum, err)
	}
	if n := s.Requests() - before; n != 8+8+4 {
		t.Errorf("%d requests more, want 8 answers and 12 ratings", n)
	}
}
