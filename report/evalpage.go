package report

import (
	"cmp"
	"fmt"
	"html"
	"html/template"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"lwtrain/eval"
	"lwtrain/internal/human"
	"lwtrain/internal/stats"
)

// evalView is what eval.tmpl takes.
type evalView struct {
	Title, Task string
	About       []string // lines
	Tiles       []tile
	Figures     []figure
	Measures    *table
	Judge       *judgeView
	Types       *table
	Failed      *table
	Answers     []answerGroup
}

// judgeView is what a judge said.
type judgeView struct {
	Lines []string
	Marks *table
}

func viewOf(j *eval.Judged) *judgeView {
	if j == nil {
		return nil
	}
	v := &judgeView{Lines: []string{
		fmt.Sprintf("Judge: %s, mode %s. %d of %d replies could be read; what could not is in no figure.", j.Judge, j.Mode, j.Rated, j.N),
	}}
	v.Lines = append(v.Lines, j.Says()...)
	names, means := j.Marks()
	if len(names) > 0 {
		v.Marks = &table{Head: []string{"dimension", "mean, 1 to 5"}}
		for i, name := range names {
			mean := "-"
			if means[i] != nil {
				mean = fmt.Sprintf("%.2f", *means[i])
			}
			v.Marks.Rows = append(v.Marks.Rows, tableRow{Cells: []string{name, mean}})
		}
	}
	return v
}

// answerGroup is some answers, folded.
type answerGroup struct {
	Title   string
	Answers []evalAnswer
}

type evalAnswer struct {
	Prompt, Facts string
	Answered
}

// WriteEval writes the page of a task's answers; read, which may be nil, is what the model said of
// answers that it read.
func WriteEval(w io.Writer, name string, x eval.Scored, read *eval.Survival) error {
	s := x.Summary
	v := evalView{Title: name, Task: s.Task}
	v.About = append(v.About, x.Task.About, "Words: "+s.Counted)
	if s.Model != "" {
		v.About = append(v.About, "Model: "+s.Model)
	}
	if s.Missing > 0 {
		v.About = append(v.About, human.Count(s.Missing, "prompt")+" of the task without an answer")
	}
	if s.Compat != "" {
		v.About = append(v.About, "measures are as the benchmark's code has them, not its paper")
	}
	if s.Note != "" {
		v.About = append(v.About, s.Note)
	}
	v.Tiles = evalTiles(s)
	v.Figures = evalFigures(x)
	if read != nil {
		v.Figures = append(v.Figures, readingFigures(*read)...)
	}
	v.Judge = viewOf(s.Judge)
	v.Measures, v.Types, v.Failed = measureTable(s), typeTable(s), failedTable(s)
	v.Answers = pickAnswers(x)
	return render(w, "eval", v)
}

func evalTiles(s eval.Summary) (out []tile) {
	add := func(value, label string) { out = append(out, tile{value, label}) }
	within := func(label, metric, format string, by float64) string {
		ci := s.Intervals[metric]
		if ci == nil {
			return label
		}
		return fmt.Sprintf(label+", 95\u00a0%%: "+format+" to "+format, by*ci[0], by*ci[1])
	}
	if s.Length != nil {
		add(fmt.Sprintf("%.1f", *s.Length), within("S_l, of 100", "s_l", "%.1f", 1))
	}
	if j := s.Judge; j != nil && j.Quality != nil {
		label := "S_q, of 100"
		if j.CI != nil {
			label += fmt.Sprintf(", 95\u00a0%%: %.1f to %.1f", j.CI[0], j.CI[1])
		}
		add(fmt.Sprintf("%.1f", *j.Quality), label)
	}
	add(human.Grouped(s.N), "answers to "+human.Count(s.Prompts, "prompt"))
	if s.Words != nil {
		add(human.Grouped(int(math.Round(s.Words.Median))), "words, median")
		add(human.Grouped(int(math.Round(s.Words.P90))), "words, P90")
		if s.Words.Longest != nil {
			add(human.Grouped(*s.Words.Longest), "words, the longest that ended without a loop")
		}
	}
	if s.Ended != nil {
		add(fmt.Sprintf("%.0f %%", 100**s.Ended), within("ended by themselves", "ended", "%.0f", 100))
	}
	if s.Repeated != nil {
		add(fmt.Sprintf("%.1f %%", 100**s.Repeated), fmt.Sprintf("repeated, %d of %d in a loop", s.Loops, s.N))
	}
	if s.Kept != nil {
		add(fmt.Sprintf("%.0f %%", 100**s.Kept), "in the language that is asked for")
	}
	return out
}

func evalFigures(x eval.Scored) (out []figure) {
	var asked, written []float64
	for _, s := range x.Scores {
		if s.Failed == "" && s.Asked > 0 {
			asked, written = append(asked, float64(s.Asked)), append(written, max(1, float64(s.Words)))
		}
	}
	if len(asked) > 0 {
		out = append(out, figure{
			Title: "Words written, by words asked for",
			Plot:  scatter(plot{X: axis{Label: "words asked for"}, Y: axis{Label: "words written"}}, asked, written, 0.714, 1.6),
			Note:  "The dotted line is as asked; in the band S_l is at least 80. An answer without words is drawn at 1.",
		})
		rows := make([]rated, len(x.Summary.ByLength))
		for i, r := range x.Summary.ByLength {
			rows[i] = rated{fmt.Sprintf("%s words, n = %d", r.Range, r.N), r.Score, r.CI}
		}
		out = append(out, figure{
			Title: "S_l by the length that is asked for", Plot: ratings(rows),
			Note: "The line holds 95 % of the means of prompts that are drawn anew, with replacement.",
		})
	}
	if c := eval.Lasting(x.Scores); len(c.X) > 0 {
		out = append(out, notEnded(stepped(c, "answers")))
	}
	return out
}

// byWords is a plot of shares, by words.
func byWords(share string) plot {
	return plot{X: axis{Label: "words"}, Y: axis{Label: share, Min: 0, Max: 1}}
}

// notEnded is how answers end.
func notEnded(all ...series) figure {
	return figure{
		Title: "Not yet ended, by words", Plot: lines(byWords("share of the answers"), true, all...),
		Note: "Kaplan-Meier: answers that were cut off count as long as they are known to go on.",
	}
}

// readingFigures are what a model says of answers that it reads.
func readingFigures(s eval.Survival) []figure {
	note := "Read, not sampled, over " + human.Count(s.N, "answer") + "."
	return []figure{
		{Title: "Answers that were read: not ended by the model", Note: note, Plot: lines(
			byWords("probability"), true, series{Name: "not ended", X: s.Words, Y: s.S})},
		{Title: "Answers that were read: loss", Note: note, Plot: lines(
			plot{X: axis{Label: "words"}, Y: axis{Label: "nats a token"}}, false, series{Name: "loss", X: s.Words, Y: s.Loss})},
	}
}

// stepped is a curve as a line with steps, of some hundred points at most.
func stepped(c stats.Curve, name string) series {
	const most = 150
	s := series{Name: name}
	every := max(1, len(c.X)/most)
	for i := range c.X {
		if i%every != 0 && i != len(c.X)-1 {
			continue
		}
		if n := len(s.Y); n > 0 {
			s.X, s.Y = append(s.X, c.X[i]), append(s.Y, s.Y[n-1])
		}
		s.X, s.Y = append(s.X, c.X[i]), append(s.Y, c.S[i])
	}
	return s
}

// rated is a row of [ratings].
type rated struct {
	Name  string
	Value *float64 // 0 to 100
	CI    *stats.Interval
}

// ratings draws a bar from 0 to 100 for each row, and its interval.
func ratings(rows []rated) template.HTML {
	const high = 42
	c := openCanvas(narrowWidth, float64(high*len(rows)+2), "figures from 0 to 100")
	scale := (c.w - 46) / 100
	for i, r := range rows {
		y := float64(i * high)
		c.text(0, y+13, "tick", clipped(r.Name, 56))
		fmt.Fprintf(c, `<path class="grid" d="M0 %sH%s"/>`, at(y+28), at(100*scale))
		if r.Value == nil {
			c.text(0, y+32, "label", "-")
			continue
		}
		title := fmt.Sprintf("%s: %.1f", r.Name, *r.Value)
		if r.CI != nil {
			title += fmt.Sprintf(", 95 %%: %.1f to %.1f", r.CI[0], r.CI[1])
		}
		fmt.Fprintf(c, `<rect class="rate" x="0" y="%s" width="%s" height="14"><title>%s</title></rect>`,
			at(y+21), at(max(*r.Value*scale, 1)), html.EscapeString(title))
		end := *r.Value
		if r.CI != nil {
			fmt.Fprintf(c, `<path class="whisker" d="M%s %sH%sM%s %sv8M%s %sv8"/>`, at(r.CI[0]*scale), at(y+28), at(r.CI[1]*scale),
				at(r.CI[0]*scale), at(y+24), at(r.CI[1]*scale), at(y+24))
			end = max(end, r.CI[1])
		}
		c.text(end*scale+6, y+32, "tick", fmt.Sprintf("%.1f", *r.Value))
	}
	return c.done()
}

func measureTable(s eval.Summary) *table {
	if len(s.Measures) == 0 {
		return nil
	}
	t := &table{Head: []string{"measure", "n", "mean", "95 %", "what it is"}, Wrap: true}
	for _, m := range s.Measures {
		t.Rows = append(t.Rows, tableRow{Cells: []string{m.Name, human.Grouped(m.N), oneDigit(m.Mean), between(m.CI), m.About}})
	}
	return t
}

func typeTable(s eval.Summary) *table {
	if len(s.ByType) == 0 {
		return nil
	}
	t := &table{Head: []string{"type", "n", "S_l", "95 %"}}
	if m := s.ByType[0].Measure; m != nil {
		t.Head = append(t.Head, m.Name, "95 %")
	}
	for _, o := range s.ByType {
		cells := []string{o.Type, human.Grouped(o.N), oneDigit(o.Score), between(o.CI)}
		if o.Measure != nil {
			cells = append(cells, oneDigit(o.Measure.Mean), between(o.Measure.CI))
		}
		t.Rows = append(t.Rows, tableRow{Cells: cells})
	}
	return t
}

func failedTable(s eval.Summary) *table {
	if len(s.Failed) == 0 {
		return nil
	}
	t := &table{Head: []string{"answers", "why they are none"}, Wrap: true}
	for _, reason := range slices.Sorted(maps.Keys(s.Failed)) {
		t.Rows = append(t.Rows, tableRow{Cells: []string{human.Grouped(s.Failed[reason]), reason}})
	}
	return t
}

func oneDigit(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f", *v)
}

func between(ci *stats.Interval) string {
	if ci == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f to %.1f", ci[0], ci[1])
}

// pickAnswers are the best, the worst and some other answers.
func pickAnswers(x eval.Scored) []answerGroup {
	const some = 3
	by, value := headline(x)
	var all, rated []int
	for i, s := range x.Scores {
		if s.Failed == "" {
			all = append(all, i)
		}
		if s.Failed == "" && value(s) != nil {
			rated = append(rated, i)
		}
	}
	quality := func(i int) float64 { return *value(x.Scores[i]) - 100*x.Scores[i].Repeated }
	slices.SortStableFunc(rated, func(a, b int) int {
		return cmp.Or(cmp.Compare(quality(b), quality(a)), cmp.Compare(x.Scores[b].Words, x.Scores[a].Words))
	})
	worst := slices.Clone(rated[max(0, len(rated)-some):])
	slices.Reverse(worst)
	var others []int
	for _, k := range rand.New(rand.NewPCG(1, 2)).Perm(len(all))[:min(some, len(all))] {
		others = append(others, all[k])
	}
	groups := []answerGroup{
		{"Best by " + by, answersOf(x, rated[:min(some, len(rated))])}, {"Worst", answersOf(x, worst)}, {"At random", answersOf(x, others)},
	}
	return slices.DeleteFunc(groups, func(g answerGroup) bool { return len(g.Answers) == 0 })
}

// headline is what answers are best by, from 0 to 100: S_l, the task's first measure where no length is asked for, or
// nothing but that they do not repeat themselves.
func headline(x eval.Scored) (by string, value func(eval.Score) *float64) {
	switch {
	case x.Summary.Length != nil:
		return "S_l, without repetition", func(s eval.Score) *float64 { return s.Length }
	case len(x.Task.Measures) > 0:
		name := x.Task.Measures[0].Name
		return name + ", without repetition", func(s eval.Score) *float64 {
			if v, ok := s.Measures[name]; ok {
				return &v
			}
			return nil
		}
	}
	return "repetition, least first", func(eval.Score) *float64 { return new(float64) }
}

// answersOf are answers with what is measured in them.
func answersOf(x eval.Scored, at []int) (out []evalAnswer) {
	for _, i := range at {
		s, g := x.Scores[i], x.Generations[i]
		facts := []string{human.Count(s.Words, "word")}
		if s.Asked > 0 {
			facts = append(facts, human.Grouped(s.Asked)+" asked for")
		}
		if s.Length != nil {
			facts = append(facts, fmt.Sprintf("S_l %.1f", *s.Length))
		}
		for _, m := range x.Task.Measures[:min(1, len(x.Task.Measures))] {
			if v, ok := s.Measures[m.Name]; ok {
				facts = append(facts, fmt.Sprintf("%s %.1f", m.Name, v))
			}
		}
		if s.Ended != nil && !*s.Ended {
			facts = append(facts, "cut off")
		}
		if s.Loop >= 0 {
			facts = append(facts, "in a loop")
		}
		out = append(out, evalAnswer{g.Prompt, strings.Join(facts, ", "), Answered{Text: g.Text, Words: s.Words, Repeated: s.Repeated}})
	}
	return out
}
