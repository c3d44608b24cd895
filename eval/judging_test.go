package eval

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/eval/tasks"
	"lwtrain/internal/fault"
	"lwtrain/internal/jsonl"
	"lwtrain/internal/llm"
)

// sure is a judge without doubts, by what its prompt is.
type sure func(prompt string) string

func (s sure) Converse(_ context.Context, requests []llm.Request, done func(i int, r llm.Reply) ([]llm.Request, error)) error {
	for i, r := range requests {
		mark := s(r.Messages[0].Content)
		reply := llm.Reply{Text: mark, Stop: llm.StopEOS, Logprobs: [][]llm.Candidate{{{Token: mark}}}}
		if _, err := done(i, reply); err != nil {
			return err
		}
	}
	return nil
}

func TestRatingsOfPartsAreInNoMean(t *testing.T) {
	j := Job{Options: Default(), Dir: t.TempDir()}
	j.Options.Judge.Model, j.Options.Judge.Words = "m", 20
	var err error
	if j.Calls, err = llm.OpenCalls(filepath.Join(j.Dir, CallsFile)); err != nil {
		t.Fatal(err)
	}
	defer j.Calls.Close()
	s := Scored{
		Task:   Asked{Task: tasks.Task{Name: "."}},
		Scores: []Score{{ID: "a"}, {ID: "b"}, {ID: "c", Failed: "cut: x"}},
		Generations: []Generation{
			{ID: "a", Prompt: "p", Text: strings.Repeat("Some words of it.\n", 20)},
			{ID: "b", Prompt: "q", Text: "Short."}, {ID: "c", Failed: "cut: x"},
		},
	}
	judge := sure(func(prompt string) string {
		if strings.Contains(prompt, "is part ") {
			return "5"
		}
		return "3"
	})
	if err := j.JudgeAll(t.Context(), &s, judge, nil); err != nil {
		t.Fatal(err)
	}
	got := s.Summary.Judge
	if got.N != 2 || got.Rated != 2 || got.Chunked != 1 || *got.Quality != 50 || *got.ByDimension["Clarity"] != 3 {
		t.Errorf("%+v, quality %v, want the mark of the short answer alone", got, *got.Quality)
	}
	if *s.Scores[0].Quality != 100 || !s.Scores[0].Chunked || s.Scores[2].Quality != nil {
		t.Errorf("%+v", s.Scores)
	}
}

func TestAJudgeGoesByTheChecklistOfItsPrompt(t *testing.T) {
	j := Job{Options: Default(), Dir: t.TempDir()}
	j.Options.Judge.Model, j.Options.Judge.Mode = "m", "checklist"
	var err error
	if j.Calls, err = llm.OpenCalls(filepath.Join(j.Dir, CallsFile)); err != nil {
		t.Fatal(err)
	}
	defer j.Calls.Close()
	list := []tasks.Criterion{{Text: "Is it long?"}, {Name: "Tone", Text: "Is it warm?"}}
	s := Scored{
		Task: Asked{
			Task: tasks.Task{Name: "."}, Items: []tasks.Item{{ID: "a", Prompt: "p", Checklist: list}, {ID: "b", Prompt: "q"}},
		},
		Scores:      []Score{{ID: "a"}},
		Generations: []Generation{{ID: "a", Prompt: "p", Text: "Short."}},
	}
	judge := sure(func(prompt string) string {
		if strings.Contains(prompt, "2 Tone: Is it warm?") {
			return "5"
		}
		return "1"
	})
	if err := j.JudgeAll(t.Context(), &s, judge, nil); err != nil {
		t.Fatal(err)
	}
	got := s.Summary.Judge
	if got.Rated != 1 || *got.Quality != 50 || s.Scores[0].Marks["1"] != 1 || s.Scores[0].Marks["2 Tone"] != 5 {
		t.Errorf("%+v, %v", got, s.Scores[0].Marks)
	}
	s.Scores, s.Generations = []Score{{ID: "b"}}, []Generation{{ID: "b", Prompt: "q", Text: "Short."}}
	err = j.JudgeAll(t.Context(), &s, judge, nil)
	if !fault.IsUsage(err) || !strings.Contains(err.Error(), "have none, want strict or paper") {
		t.Errorf("a prompt without a checklist: %v", err)
	}
}

func TestAPromptOfTwoTasksIsAskedOnce(t *testing.T) {
	a, b := ownTask(10, 20), ownTask(20, 10)
	a.Name, b.Name = "a", "b"
	j := Job{Options: Default(), Dir: t.TempDir(), Tasks: []Asked{a, b}, Model: "m"}
	j.Samples = 2
	var err error
	if j.Calls, err = llm.OpenCalls(filepath.Join(j.Dir, CallsFile)); err != nil {
		t.Fatal(err)
	}
	defer j.Calls.Close()
	for _, task := range j.Tasks {
		if err := os.Mkdir(filepath.Join(j.Dir, task.Name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	asked, told := 0, 0
	from := sure(func(prompt string) string {
		asked++
		return fmt.Sprint(prompt, " ", asked)
	})
	if err := j.Generate(t.Context(), from, func(llm.Reply) { told++ }); err != nil {
		t.Fatal(err)
	}
	if wanted, known, err := j.Answers(); asked != 4 || told != 8 || wanted != 8 || known != 8 || err != nil {
		t.Errorf("%d asked, %d told, %d wanted, %d known, %v, want 4 and 8", asked, told, wanted, known, err)
	}
	var texts [2][]string
	for i, task := range j.Tasks {
		answers, err := readGenerations(filepath.Join(j.Dir, task.Name, GenerationsFile))
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range answers {
			texts[i] = append(texts[i], fmt.Sprint(g.ID, "/", g.Sample, " ", g.Text))
		}
	}
	want := []string{"0/0 prompt 0 1", "0/1 prompt 0 2", "1/0 prompt 1 3", "1/1 prompt 1 4"}
	if !slices.Equal(texts[0], want) || !slices.Equal(texts[1], want) {
		t.Errorf("%q, want %q of each", texts, want)
	}
}

func TestAnswersWithoutAnotherToCompareWithAreCounted(t *testing.T) {
	j := Job{Options: Default(), Dir: t.TempDir()}
	against := t.TempDir()
	j.Options.Judge.Model, j.Options.Judge.Mode, j.Options.Judge.Against = "m", "pair", against
	var err error
	if j.Calls, err = llm.OpenCalls(filepath.Join(j.Dir, CallsFile)); err != nil {
		t.Fatal(err)
	}
	defer j.Calls.Close()
	if err := os.WriteFile(filepath.Join(against, GenerationsFile), []byte(`{"id":"a","prompt":"p","text":"x"}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := Scored{
		Task:   Asked{Task: tasks.Task{Name: "."}},
		Scores: []Score{{ID: "a"}, {ID: "b"}, {ID: "c", Failed: "cut: x"}},
		Generations: []Generation{
			{ID: "a", Prompt: "p", Text: "Short."}, {ID: "b", Prompt: "q", Text: "Short."}, {ID: "c", Prompt: "r", Failed: "cut: x"},
		},
	}
	if err := j.JudgeAll(t.Context(), &s, sure(func(string) string { return "A" }), nil); err != nil {
		t.Fatal(err)
	}
	got := s.Summary.Judge
	if said := strings.Join(got.Says(), "\n"); got.N != 1 || got.Rated != 1 || got.Alone != 1 ||
		!strings.Contains(said, "1 answer of which "+against+" has none") {
		t.Errorf("%+v\n%s", got, said)
	}
}

// TestRepliesAreForetold: as many come as are foretold where the judge is understood at once.
func TestRepliesAreForetold(t *testing.T) {
	marks := `{"Relevance": 3, "Accuracy": 3, "Coherence": 3, "Clarity": 3, "Breadth and Depth": 3, "Reading Experience": 3}`
	for mode, reply := range map[string]string{"strict": "3", "checklist": "3", "paper": marks, "pair": "A", "": ""} {
		t.Run(mode, func(t *testing.T) {
			j := Job{Options: Default(), Dir: t.TempDir(), Model: "m"}
			j.Samples = 2
			items := []tasks.Item{{ID: "a", Prompt: "p", Checklist: []tasks.Criterion{{Text: "Is it long?"}, {Text: "Is it warm?"}}},
				{ID: "b", Prompt: "q", Checklist: []tasks.Criterion{{Text: "Is it short?"}}}}
			j.Tasks = []Asked{{Task: tasks.Task{Name: ".", Words: func(string) int { return 1 }}, Items: items}}
			var err error
			if j.Calls, err = llm.OpenCalls(filepath.Join(j.Dir, CallsFile)); err != nil {
				t.Fatal(err)
			}
			defer j.Calls.Close()
			n := 0
			writer := sure(func(prompt string) string { n++; return fmt.Sprintf("%s %d", prompt, n) })
			if err := j.Generate(t.Context(), writer, nil); err != nil {
				t.Fatal(err)
			}
			if mode != "" {
				j.Options.Judge.URL, j.Options.Judge.Model, j.Options.Judge.Mode = "http://x", "judge", mode
				answers, err := readGenerations(filepath.Join(j.Dir, GenerationsFile))
				if err != nil {
					t.Fatal(err)
				}
				against := filepath.Join(j.Dir, "other")
				if err := os.MkdirAll(against, 0o755); err != nil {
					t.Fatal(err)
				}
				others := slices.Clone(answers)
				for i := range others {
					others[i].Text += " more"
				}
				if err := jsonl.Write(filepath.Join(against, GenerationsFile), others); err != nil {
					t.Fatal(err)
				}
				j.Options.Judge.Against = against
				s := Scored{Task: j.Tasks[0], Scores: make([]Score, len(answers)), Generations: answers}
				if err := j.JudgeAll(t.Context(), &s, sure(func(string) string { n++; return reply }), nil); err != nil {
					t.Fatal(err)
				}
			}
			if foretold, about := j.Replies(); foretold != n || about != (mode != "") {
				t.Errorf("%d are foretold (about: %t), and %d came", foretold, about, n)
			}
		})
	}
}
