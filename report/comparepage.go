package report

import (
	"io"
	"strings"

	"lwtrain/eval"
	"lwtrain/internal/human"
)

// Compared are the scores of two evaluations of a task.
type Compared struct {
	Task string
	A, B []eval.Score
}

// compareView is what compare.tmpl takes.
type compareView struct {
	A, B  string
	Tasks []comparedTask
}

type comparedTask struct {
	Name    string
	Note    string
	Table   table
	Figures []figure
}

// WriteComparison writes the page of two evaluations, with the scores of each task that both have.
func WriteComparison(w io.Writer, c eval.Comparison, all []Compared) error {
	v := compareView{A: c.A, B: c.B}
	for _, x := range all {
		t := comparedTask{Name: x.Task}
		t.Table.Head = []string{"metric", "A", "B", "B - A", "95 %", "wins of B", "ties", "losses", "prompts"}
		for _, m := range c.Metrics {
			if m.Task != x.Task {
				continue
			}
			if m.Note != "" {
				t.Note = m.Note
			}
			ci := "-"
			if m.CI != nil {
				ci = human.Short(m.CI[0]) + " to " + human.Short(m.CI[1])
			}
			t.Table.Rows = append(t.Table.Rows, tableRow{Cells: []string{
				strings.ReplaceAll(m.Metric, "_", "_\u200b"), // where a narrow column may break it
				human.Short(m.A), human.Short(m.B), signed(m.Diff), ci,
				human.Grouped(m.Wins), human.Grouped(m.Ties), human.Grouped(m.Losses), human.Grouped(m.N),
			}})
		}
		t.Figures = compareFigures(x)
		v.Tasks = append(v.Tasks, t)
	}
	return render(w, "compare", v)
}

func compareFigures(x Compared) (out []figure) {
	lengths := map[string]float64{}
	for _, s := range x.A {
		if _, there := lengths[s.Prompt]; !there && s.Failed == "" {
			lengths[s.Prompt] = float64(max(1, s.Words))
		}
	}
	var a, b []float64
	seen := map[string]bool{}
	for _, s := range x.B {
		if words, there := lengths[s.Prompt]; there && s.Failed == "" && !seen[s.Prompt] {
			seen[s.Prompt] = true
			a, b = append(a, words), append(b, float64(max(1, s.Words)))
		}
	}
	if len(a) > 0 {
		out = append(out, figure{
			Title: "Words of the first answers, prompt by prompt",
			Plot:  compared(plot{X: axis{Label: "words, A"}, Y: axis{Label: "words, B"}}, a, b),
			Note:  "Above the dotted line B wrote more.",
		})
	}
	var all []series
	for i, of := range [][]eval.Score{x.A, x.B} {
		if c := eval.Lasting(of); len(c.X) > 0 {
			s := stepped(c, string(rune('A'+i)))
			s.Color, s.Dash = i, i
			all = append(all, s)
		}
	}
	if len(all) > 0 {
		f := notEnded(all...)
		f.Legend = lineLegend(all)
		out = append(out, f)
	}
	return out
}

func signed(v float64) string {
	text := human.Short(v)
	if v > 0 && text != "0" {
		text = "+" + text
	}
	return text
}
