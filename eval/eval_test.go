package eval

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/eval/tasks"
	"lwtrain/internal/fault"
	"lwtrain/internal/llm"
	"lwtrain/internal/prose"
)

func ownTask(lengths ...int) Asked {
	t := Asked{Task: tasks.Task{Name: "own", Words: prose.Words, Ranges: prose.Benchmark}}
	for i, n := range lengths {
		t.Items = append(t.Items, tasks.Item{ID: fmt.Sprint(i), Prompt: fmt.Sprint("prompt ", i), Asked: tasks.Asked{Words: n}})
	}
	return t
}

func words(n int) string { return strings.TrimSpace(strings.Repeat("word ", n)) }

func TestWhatComesOfAnswers(t *testing.T) {
	task := ownTask(10, 20, 600, 40)
	s, err := ScoreAll(task, []Generation{
		{ID: "0", Prompt: "prompt 0", Text: words(10), Stop: "eos"},
		{ID: "0", Prompt: "prompt 0", Text: words(5), Stop: "eos", Sample: 1},
		{ID: "1", Prompt: "prompt 1", Text: words(80), Stop: "length"},
		{ID: "2", Prompt: "prompt 2", Text: words(600), Stop: "eos"},
		{ID: "2", Prompt: "prompt 2", Failed: "busy", Sample: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	x := s.Summary
	if x.N != 4 || x.Prompts != 3 || x.Missing != 1 || x.Failed["busy"] != 1 {
		t.Errorf("%d answers to %d prompts, %d missing, %v", x.N, x.Prompts, x.Missing, x.Failed)
	}
	if *x.Length != (100+50+0+100)/4.0 || *x.Ended != .75 || x.Words.Mean != 695/4.0 || x.Words.Median != 45 || x.Words.Max != 600 {
		t.Errorf("S_l %g, ended %g, %+v", *x.Length, *x.Ended, *x.Words)
	}
	if len(x.ByLength) != 2 || x.ByLength[0].N != 3 || *x.ByLength[0].Score != 50 || *x.ByLength[1].Score != 100 {
		t.Errorf("%+v", x.ByLength)
	}
	if x.Words.Longest == nil || *x.Words.Longest != 10 { // the one of 600 is a loop
		t.Errorf("the longest is %v", x.Words.Longest)
	}
	if _, err := ScoreAll(task, []Generation{{ID: "0", Prompt: "another"}}); !fault.IsUsage(err) {
		t.Errorf("an answer to another prompt: %v", err)
	}
}

func TestComparisonsArePairedByPrompt(t *testing.T) {
	task := ownTask(10, 10, 10, 10)
	score := func(lengths ...int) []Score {
		var all []Generation
		for i, n := range lengths {
			if n >= 0 {
				all = append(all, Generation{ID: fmt.Sprint(i), Prompt: fmt.Sprint("prompt ", i), Text: words(n)})
			}
		}
		s, err := ScoreAll(task, all)
		if err != nil {
			t.Fatal(err)
		}
		return s.Scores
	}
	got := Compare(task, score(10, 5, 10, -1), score(10, 10, 5, 10))
	for _, m := range got {
		if m.Metric != "s_l" {
			continue
		}
		if m.N != 3 || m.Wins != 1 || m.Ties != 1 || m.Losses != 1 || m.Diff != 0 || m.Only != [2]int{0, 1} || m.Note == "" {
			t.Errorf("%+v", m)
		}
		return
	}
	t.Errorf("no S_l in %+v", got)
}

func TestPromptsThatAskForOtherLengthsAreNotCompared(t *testing.T) {
	at := func(prompt string, asked int) Score { return Score{ID: prompt, Prompt: prompt, Asked: asked} }
	for name, c := range map[string]struct {
		a, b []Score
		want string
	}{
		"the same lengths":                  {[]Score{at("p", 100), at("q", 0)}, []Score{at("q", 0), at("p", 100)}, ""},
		"another length":                    {[]Score{at("p", 100)}, []Score{at("p", 200)}, "own: the prompt p asks for 100 words in A"},
		"a length in one alone":             {[]Score{at("p", 100)}, []Score{at("p", 0)}, "100 words in A and for 0 in B"},
		"other lengths with other prompts":  {[]Score{at("p", 100)}, []Score{at("q", 200)}, ""},
		"a prompt with two lengths in both": {[]Score{at("p", 100), at("p", 200)}, []Score{at("p", 200), at("p", 100)}, ""},
	} {
		if err := AskedAlike("own", c.a, c.b); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestAnswersThatOthersMade(t *testing.T) {
	task := ownTask(10, 20)
	for _, c := range []struct{ name, lines, want string }{
		{"by prompt, id and index",
			`{"prompt": "prompt 1 ", "response": "a b", "length": 3}` + "\n" + `{"id": 0, "text": "c", "stop": "stop"}` + "\n" +
				`{"index": 1, "text": "d", "finish_reason": "length"}`,
			"1/0 2  |0/0 1 eos |1/1 1 length |"},
		{"no response", `{"index": 0}`, "0/0 0  no response|"},
		{"a failure", `{"index": 0, "failed": "busy", "text": "x"}`, "0/0 0  busy|"},
		{"the text of an error", `{"index": 0, "text": "Max tries. Failed."}`, "an error's text"},
		{"a filter of the server", `{"index": 0, "text": "a", "stop": "content_filter"}`, "content_filter|"},
		{"an unknown prompt", `{"prompt": "what", "text": ""}`, "f.jsonl:1: an answer to what, which is no prompt of own"},
		{"an index beyond", `{"index": 2, "text": ""}`, "index 2, want one from 0 to 1"},
		{"nothing that names a prompt", `{"text": ""}`, "neither prompt nor id nor index"},
		{"a prompt beside the id and the index of others", `{"prompt": "prompt 1", "id": 0, "index": 7, "text": "a"}`, "1/0 1  |"},
		{"an id and the index of another", `{"id": 0, "index": 1, "text": "a"}`, "its id is that of prompt 0 and its index 1"},
		{"an id and its index", `{"id": 1, "index": 1, "text": "a"}`, "1/0 1  |"},
		{"a text that is there twice", `{"index": 0, "text": "a", "text": "b"}`, `f.jsonl:1: the key "text" is there twice`},
		{"half a character", `{"index": 0, "text": "\ud800"}`, `\ud800 at byte 23 is half a surrogate pair`},
		{"two texts", `{"index": 0, "text": "a", "response": "b"}`, "both response and text"},
		{"a stop that is none", `{"index": 0, "text": "a", "stop": "maybe"}`, `stop is "maybe"`},
		{"no JSON", "\nx", "f.jsonl:2: broken JSON at byte 1: 'x', want a value"},
		{"no lines", "", "no answers there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f.jsonl")
			if err := os.WriteFile(path, []byte(c.lines), 0o644); err != nil {
				t.Fatal(err)
			}
			all, err := ReadAnswers(path, task)
			got := fmt.Sprint(err)
			if err == nil {
				got = ""
				for _, g := range all {
					got += fmt.Sprintf("%s/%d %d %s %s|", g.ID, g.Sample, g.Words, g.Stop, g.Failed)
				}
			} else if !fault.IsUsage(err) {
				t.Errorf("%v is no mistake of a user's", err)
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// answerer answers each request by itself.
type answerer func(llm.Request) llm.Reply

func (a answerer) Converse(_ context.Context, requests []llm.Request, done func(int, llm.Reply) ([]llm.Request, error)) error {
	for i, r := range requests {
		if _, err := done(i, a(r)); err != nil {
			return err
		}
	}
	return nil
}

func TestAnswersAndScoresThatWereChangedAreRefused(t *testing.T) {
	task := ownTask(10, 20)
	dir := t.TempDir()
	calls, err := llm.OpenCalls(filepath.Join(dir, CallsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer calls.Close()
	j := Job{Options: Options{Samples: 2, MaxNewTokens: 9}, Tasks: []Asked{task}, Dir: dir, Calls: calls, Model: "m"}
	said := answerer(func(r llm.Request) llm.Reply { return llm.Reply{Text: "words on " + r.Origin, Stop: llm.StopEOS} })
	if err := os.Mkdir(filepath.Join(dir, task.Name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := j.Generate(context.Background(), said, nil); err != nil {
		t.Fatal(err)
	}
	answers, scores := filepath.Join(dir, task.Name, GenerationsFile), filepath.Join(dir, task.Name, ScoresFile)
	was, err := os.ReadFile(answers)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, want string }{
		"as they are":           {string(was), ""},
		"without the last line": {string(was[:bytes.LastIndexByte(was[:len(was)-1], '\n')+1]), ""},
		"another text":          {strings.Replace(string(was), "words on 1", "wards on 1", 1), "generations.jsonl:3: the answer"},
		"another end":           {strings.Replace(string(was), `"stop":"eos"`, `"stop":"length"`, 1), "generations.jsonl:1: the answer"},
		"all of them twice":     {string(was) + string(was), `sample 0 of prompt "0" is there twice`},
	} {
		if err := os.WriteFile(answers, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := j.Score(task)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || !fault.IsUsage(err)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if all, err := ReadScores(scores); err != nil || len(all) < 3 {
		t.Fatalf("%d scores, %v", len(all), err)
	}
	text, err := os.ReadFile(scores)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(text, []byte(`"words":2`), []byte(`"words":9`), 1)
	if err := os.WriteFile(scores, changed, 0o644); err != nil || bytes.Equal(changed, text) {
		t.Fatal(err, string(text))
	}
	if _, err := ReadScores(scores); err == nil || !strings.Contains(err.Error(), "is not what summary.json was made with") {
		t.Errorf("changed scores: %v", err)
	}
}
