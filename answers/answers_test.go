package answers

import (
	"context"
	"encoding/json"
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
	"lwtrain/internal/rundir"
	"lwtrain/model"
)

// echo answers with the prompt and the seed, the last request first, and stops after so many.
type echo struct{ most int }

func (e *echo) Converse(_ context.Context, requests []llm.Request, done func(i int, r llm.Reply) ([]llm.Request, error)) error {
	for i, r := range slices.Backward(requests) {
		if e.most--; e.most < 0 {
			return context.Canceled
		}
		last := r.Messages[len(r.Messages)-1].Content
		if _, err := done(i, llm.Reply{Text: fmt.Sprint(last, " ", r.Sampling.Seed), Tokens: 2, Stop: llm.StopEOS}); err != nil {
			return err
		}
	}
	return nil
}

func jobOf(t *testing.T) Job {
	t.Helper()
	user := func(text string) []chat.Message { return []chat.Message{{Role: "user", Content: text}} }
	return Job{
		Prompts: []record.Prompt{
			{Messages: user("Write 300 to 500 words."), Line: 1},
			{Messages: user("second"), Line: 3, ID: json.RawMessage(`"b"`)},
			{Messages: append([]chat.Message{{Role: "system", Content: "s"}}, user("third")...), Line: 4, ID: json.RawMessage(`7`)},
		},
		MaxTokens: 9, Sampling: model.Sampling{Temperature: 1, TopP: 1, Seed: 5}, File: filepath.Join(t.TempDir(), "answers.jsonl"),
		Identity: rundir.Identity{Settings: map[string]string{"seed": "5"}},
	}
}

// do answers at most so many prompts of a job, and returns the lines that are there then.
func do(t *testing.T, job Job, most int) (lines []string, err error) {
	t.Helper()
	r, err := Open(job)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	err = r.Do(t.Context(), &echo{most}, func(int, llm.Reply) error { return nil })
	raw, _ := os.ReadFile(job.File)
	return slices.Sorted(strings.Lines(string(raw))), err
}

func TestAnswersGoOnWithWhatLacksAndAreTheSame(t *testing.T) {
	whole, err := do(t, jobOf(t), 3)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		`{"line":1,"id":1,"prompt":"Write 300 to 500 words.","stated_length":{"min":300,"max":500},"words":3,"tokens":2,"stop":"eos",` +
			`"repetition":0,"text":"Write 300 to 500 words. `,
		`{"line":3,"id":"b","prompt":"second","stated_length":null,`,
		`{"line":4,"id":7,"prompt":[{"role":"system","content":"s"},{"role":"user","content":"third"}],`,
	} {
		if !strings.HasPrefix(whole[i], want) {
			t.Errorf("got  %swant %s", whole[i], want)
		}
	}
	job := jobOf(t)
	for n := range 3 {
		if lines, err := do(t, job, 1); len(lines) != n+1 || (err == nil) != (n == 2) {
			t.Fatalf("after %d times %v, %v", n+1, lines, err)
		}
	}
	if lines, err := do(t, job, 0); err != nil || !slices.Equal(lines, whole) {
		t.Errorf("one by one %v, %v, want %v", lines, err, whole)
	}
}

func TestAFileOfOtherAnswersIsRefusedAndLeftAsItIs(t *testing.T) {
	for name, c := range map[string]struct {
		change func(job *Job, file string)
		want   string
	}{
		"of other settings": {func(job *Job, _ string) { job.Identity.Settings = map[string]string{"seed": "6"} },
			"seed: 5 then, 6 now"},
		"without what it is of": {func(_ *Job, file string) { os.Remove(identityFile(file)) }, "is there, without"},
		"of fewer prompts": {func(job *Job, _ string) { job.Prompts = job.Prompts[:1] },
			"answers.jsonl:1: an answer to prompt 4, want one to each of 1"},
		"with one twice": {func(_ *Job, file string) {
			raw, _ := os.ReadFile(file)
			os.WriteFile(file, append(raw, raw...), 0o644)
		}, "answers.jsonl:3: an answer to prompt 4"},
		"that was changed": {func(_ *Job, file string) {
			raw, _ := os.ReadFile(file)
			os.WriteFile(file, []byte(strings.Replace(string(raw), "third", "thirb", 1)), 0o644)
		}, "answers.jsonl:1: the line does not have the check"},
	} {
		t.Run(name, func(t *testing.T) {
			job := jobOf(t)
			if _, err := do(t, job, 2); err != context.Canceled {
				t.Fatal(err)
			}
			c.change(&job, job.File)
			before, _ := os.ReadFile(job.File)
			_, err := do(t, job, 3)
			if err == nil || !strings.Contains(err.Error(), c.want) || fault.HintOf(err) == "" {
				t.Errorf("got %v with the hint %q, want %s", err, fault.HintOf(err), c.want)
			}
			if after, _ := os.ReadFile(job.File); string(after) != string(before) {
				t.Errorf("it is changed to %s", after)
			}
		})
	}
}
