package report

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"

	"lwtrain/agentwrite"
	"lwtrain/internal/human"
	"lwtrain/internal/prose"
	"lwtrain/internal/stats"
)

// agentwriteView is what agentwrite.tmpl takes.
type agentwriteView struct {
	Title   string
	About   []string
	Tiles   []tile
	Shape   table // beside LongWriter-6k
	Figures []figure
	States  table
	Answers []answerGroup
}

// WriteAgentWrite writes the page of training data that was built by a writer of a name.
func WriteAgentWrite(w io.Writer, name, writer string, items []*agentwrite.Item, spent agentwrite.Spent) error {
	taken := ofState(items, agentwrite.Taken)
	v := agentwriteView{Title: name, About: []string{"Writer: " + writer}}
	add := func(value, label string) { v.Tiles = append(v.Tiles, tile{value, label}) }
	c := agentwrite.Count(items)
	waiting, dropped := 0, 0
	for _, n := range c.Waiting {
		waiting += n
	}
	for _, reasons := range c.Dropped {
		for _, n := range reasons {
			dropped += n
		}
	}
	add(human.Grouped(c.Instructions), "instructions")
	add(human.Grouped(c.Taken), "in the training data")
	add(human.Grouped(dropped), "left out, each with its reason")
	if waiting > 0 {
		add(human.Grouped(waiting), "not done yet")
	}
	if len(taken) > 0 {
		add(quantile(wordsOf(taken), 0.5), "words, median")
	}
	if score, n := meanScore(taken); n > 0 {
		add(fmt.Sprintf("%.1f", score), fmt.Sprintf("S_l, mean of %d that state a length", n))
	}
	add(human.Grouped(spent.Reply), "tokens written, in "+human.Count(spent.Calls, "call"))
	if spent.Cost > 0 {
		add(fmt.Sprintf("%.2f", spent.Cost), "spent, by the price in the config")
	}
	if v.States = stateTable(c); len(taken) > 0 {
		v.Shape = shapeTable(taken)
	}
	v.Figures = writtenFigures(taken)
	v.Answers = pickItems(taken, ofState(items, agentwrite.Dropped))
	return render(w, "agentwrite", v)
}

func ofState(items []*agentwrite.Item, state agentwrite.State) (out []*agentwrite.Item) {
	for _, it := range items {
		if it.State == state {
			out = append(out, it)
		}
	}
	return out
}

// wordsOf are the words of each, in rising order.
func wordsOf(items []*agentwrite.Item) (words []float64) {
	for _, it := range items {
		words = append(words, float64(it.Words))
	}
	slices.Sort(words)
	return words
}

func quantile(words []float64, q float64) string { return grouped(stats.Quantile(words, q)) }

func grouped(v float64) string { return human.Grouped(int(math.Round(v))) }

func meanScore(items []*agentwrite.Item) (mean float64, n int) {
	for _, it := range items {
		if it.Asked > 0 {
			mean, n = mean+it.Score, n+1
		}
	}
	return mean / math.Max(1, float64(n)), n
}

// shapeTable puts what was built, an answer at least, beside what is published of LongWriter-6k (arXiv:2408.07055, section 3.2, and
// counts over the released file).
func shapeTable(items []*agentwrite.Item) table {
	t := table{Head: []string{"", "here", "LongWriter-6k"}}
	row := func(what, here, there string) { t.Rows = append(t.Rows, tableRow{Cells: []string{what, here, there}}) }
	row("answers", human.Grouped(len(items)), "6,000")
	words := wordsOf(items)
	row("words, from the shortest to the longest", grouped(words[0])+" to "+grouped(words[len(words)-1]), "2,000 to 32,000")
	row("words, quartiles", fmt.Sprintf("%s, %s, %s", quantile(words, 0.25), quantile(words, 0.5), quantile(words, 0.75)), "not published")
	var short, long, stated int
	languages := map[prose.Language]int{}
	for _, it := range items {
		switch {
		case it.Words < 2000:
			short++
		case it.Words >= 10000:
			long++
		}
		if it.Asked > 0 {
			stated++
		}
		languages[prose.Scan(it.Text).Letters.Language()]++
	}
	share := func(n int) string { return fmt.Sprintf("%.0f %%", 100*float64(n)/float64(len(items))) }
	row("below 2,000 words", share(short), "0 %")
	row("2,000 to 10,000 words", share(len(items)-short-long), "most")
	row("10,000 words and more", share(long), "some")
	row("English answers", share(languages[prose.English]), "39 %")
	row("Chinese and mixed answers", share(languages[prose.Chinese]+languages[prose.Mixed]), "61 %")
	row("instructions that state a length", share(stated), "29 %")
	return t
}

// stateTable says what became of the instructions.
func stateTable(c agentwrite.Counts) table {
	t := table{Head: []string{"", "instructions"}}
	row := func(what string, n int) {
		t.Rows = append(t.Rows, tableRow{Cells: []string{what, human.Grouped(n)}})
	}
	for _, stage := range agentwrite.Stages {
		for _, reason := range slices.Sorted(maps.Keys(c.Dropped[stage])) {
			row(fmt.Sprintf("left out by %s: %s", stage, reason), c.Dropped[stage][reason])
		}
		if n := c.Waiting[stage]; n > 0 {
			row(fmt.Sprintf("waiting for %s", stage), n)
		}
	}
	row("in the training data", c.Taken)
	t.Rows = append(t.Rows, tableRow{Sum: true, Cells: []string{"all", human.Grouped(c.Instructions)}})
	return t
}

func writtenFigures(items []*agentwrite.Item) (out []figure) {
	var asked, written []float64
	for _, it := range items {
		if it.Asked > 0 {
			asked, written = append(asked, float64(it.Asked)), append(written, math.Max(1, float64(it.Words)))
		}
	}
	if len(asked) > 0 {
		out = append(out, figure{
			Title: "Words written, by words asked for",
			Plot:  scatter(plot{X: axis{Label: "words asked for"}, Y: axis{Label: "words written"}}, asked, written, 0.714, 1.6),
			Note:  "The dotted line is as asked; in the band S_l is at least 80.",
		})
	}
	if len(items) > 1 {
		s := series{Name: "answers", X: wordsOf(items)}
		for i := range s.X {
			s.Y = append(s.Y, float64(i+1)/float64(len(s.X)))
		}
		note := ""
		if least := s.X[0]; least == s.X[len(s.X)-1] {
			note = fmt.Sprintf("All have %s.", human.Count(int(least), "word"))
		}
		out = append(out, figure{
			Title: "Answers of at most so many words",
			Plot:  lines(plot{X: axis{Label: "words"}, Y: axis{Label: "share of the answers", Min: 0, Max: 1}}, true, s),
			Note:  note,
		})
	}
	return out
}

// pickItems are some answers that were taken, and some that were left out behind their writing.
func pickItems(taken, dropped []*agentwrite.Item) (groups []answerGroup) {
	const some = 3
	add := func(title string, items []*agentwrite.Item) {
		g := answerGroup{Title: title}
		for _, it := range items[:min(some, len(items))] {
			facts := human.Count(it.Words, "word")
			if it.Asked > 0 {
				facts += fmt.Sprintf(", %s asked for, S_l %.1f", human.Grouped(it.Asked), it.Score)
			}
			if len(it.Plan) > 0 {
				facts += ", planned as " + human.Count(len(it.Plan), "paragraph") + " of " + human.Grouped(it.Plan.Words()) + " words"
			}
			if it.Reason != "" {
				facts += "; left out: " + it.Reason + " (" + it.Evidence + ")"
			}
			text := Answered{Text: it.Text, Words: it.Words}
			g.Answers = append(g.Answers, evalAnswer{Prompt: it.ID + ": " + it.Prompt, Facts: facts, Answered: text})
		}
		if len(g.Answers) > 0 {
			g.Title = title + " (" + strconv.Itoa(len(g.Answers)) + " of " + strconv.Itoa(len(items)) + ")"
			groups = append(groups, g)
		}
	}
	add("Taken", taken)
	var filtered []*agentwrite.Item
	for _, it := range dropped {
		if it.Stage == agentwrite.Filter {
			filtered = append(filtered, it)
		}
	}
	add("Written and left out", filtered)
	return groups
}
