package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"lwtrain/eval"
	"lwtrain/eval/tasks"
	"lwtrain/experiment"
	"lwtrain/internal/prose"
	"lwtrain/internal/stats"
)

// evaluated are answers to a task with a measure of its own, of so many words; below 0 there is no answer.
func evaluated(t *testing.T, asks int, words ...int) eval.Scored {
	t.Helper()
	task := eval.Asked{Task: tasks.Task{
		Name: "own", About: hostile, Words: prose.Words, Ranges: prose.Benchmark,
		Measures: []tasks.Measure{{Name: "right", About: hostile}},
		Score: func(_ tasks.Item, text string) map[string]float64 {
			return map[string]float64{"right": float64(100 - prose.Words(text))}
		},
	}}
	var all []eval.Generation
	for i, n := range words {
		it := tasks.Item{ID: fmt.Sprint(i), Prompt: fmt.Sprintf("prompt %d %s", i, hostile), Type: hostile, Asked: tasks.Asked{Words: asks}}
		task.Items = append(task.Items, it)
		g := eval.Generation{ID: it.ID, Prompt: it.Prompt, Stop: "eos"}
		if g.Text = strings.Repeat("w ", max(0, n)); n < 0 {
			g.Text, g.Stop, g.Failed = "", "", hostile
		}
		all = append(all, g)
	}
	s, err := eval.ScoreAll(task, all)
	if err != nil {
		t.Fatal(err)
	}
	s.Summary.Model = hostile
	s.Summary.Judge = &eval.Judged{Judge: hostile, Mode: "pair", Against: hostile, Warnings: []string{hostile}}
	return s
}

func TestPagesOfEvaluationsShowHostileTextAsText(t *testing.T) {
	x := evaluated(t, 20, 5, 20, -1)
	x.Generations[0].Text = hostile
	half := 0.5
	arm := experiment.Outcome{Arm: experiment.Arm{Name: hostile, Cap: 6}, ByAsked: []eval.InRange{{Range: hostile, N: 1, Score: &half}}}
	arm.Curve = stats.Curve{X: []float64{0, 5}, S: []float64{1, 0.5}}
	for name, write := range map[string]func(*bytes.Buffer) error{
		"evaluation": func(b *bytes.Buffer) error { return WriteEval(b, hostile, x, nil) },
		"comparison": func(b *bytes.Buffer) error {
			c := eval.Comparison{A: hostile, B: hostile, Metrics: eval.Compare(x.Task, x.Scores, x.Scores)}
			return WriteComparison(b, c, []Compared{{Task: "own", A: x.Scores, B: x.Scores}})
		},
		"experiment": func(b *bytes.Buffer) error {
			return WriteExperiment(b, hostile, experiment.Result{
				Model: hostile, Mode: "cut", Arms: []experiment.Outcome{arm}, Holds: []experiment.Claim{{Text: hostile}},
			})
		},
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		mustBeInert(t, b.String())
		if !strings.Contains(b.String(), "&lt;script&gt;alert(1)") {
			t.Errorf("%s: the text itself is not there", name)
		}
	}
}

func TestTheBestAndTheWorstAnswersAreByWhatIsAsked(t *testing.T) {
	for _, c := range []struct {
		name  string
		asks  int
		words []int
		want  string // of each group, its title and the prompts of its answers
	}{
		{"by S_l where lengths are asked for", 20, []int{5, 23, 60, 20, -1},
			"Best by S_l, without repetition: 3 1 2|Worst: 0 2 1|At random: "},
		{"by the task's measure where none are", 0, []int{50, 3, 20}, "Best by right, without repetition: 1 2 0|Worst: 0 2 1|At random: "},
		{"no answers, no groups", 20, []int{-1, -1}, ""},
	} {
		got := ""
		for _, g := range pickAnswers(evaluated(t, c.asks, c.words...)) {
			got += g.Title + ":"
			if g.Title == "At random" {
				got += " " // by chance, which is always the same
				break
			}
			for _, a := range g.Answers {
				got += " " + strings.Fields(a.Prompt)[1]
			}
			got += "|"
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
