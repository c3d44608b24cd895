package eval

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/eval/tasks"
	"lwtrain/internal/fault"
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
		{"two texts", `{"index": 0, "text": "a", "response": "b"}`, "both response and text"},
		{"a stop that is none", `{"index": 0, "text": "a", "stop": "maybe"}`, `stop is "maybe"`},
		{"no JSON", "\nx", "f.jsonl:2: invalid character"},
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
