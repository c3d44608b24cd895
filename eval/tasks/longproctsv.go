package tasks

import (
	"slices"
	"strings"

	"lwtrain/internal/prose"
)

var longProcTSV = Task{
	Name: "longproc-tsv", Prompts: 100, Languages: "en",
	About:  "LongProc's html to tsv: what a web page lists, as a table, outputs of 0.5k tokens",
	Source: longProcSource, Items: longProcItems("html_to_tsv_0.5k"),
	Words: prose.BlankWords, Counted: longProcCounted, Score: tsvScore,
	Measures: []Measure{
		{"f1", "percent: the harmonic mean of precision and recall"}, {"precision", "percent of the rows of an answer that are right"},
		{"recall", "percent of the rows asked for that an answer has"}, longProcMeasures[2],
	},
}

// tsvScore is LongProc's (longproc/html_to_tsv_evaluator.py): rows count as sets, without order; their values without
// case, punctuation, articles and blanks.
func tsvScore(it Item, text string) map[string]float64 {
	const fence, end = "```tsv", "```"
	if from := strings.Index(text, fence); from >= 0 {
		text = text[from+len(fence):]
		if to := strings.LastIndex(text, end); to >= 0 {
			text = text[:to]
		}
	}
	got, columns := tsvRows(strip(text))
	want, wanted := tsvRows(strip(it.reference))
	if len(got) == 0 || columns != wanted {
		return map[string]float64{"f1": 0, "precision": 0, "recall": 0, "extraction_rate": 0}
	}
	p, r := shareIn(got, want), shareIn(want, got)
	f1 := 0.0
	if p+r > 0 {
		f1 = 2 * p * r / (p + r)
	}
	return map[string]float64{"f1": 100 * f1, "precision": 100 * p, "recall": 100 * r, "extraction_rate": 100}
}

// shareIn is the share of rows that are among others.
func shareIn(rows, others []string) float64 {
	there := map[string]bool{}
	for _, row := range others {
		there[row] = true
	}
	n := 0
	for _, row := range rows {
		if there[row] {
			n++
		}
	}
	return float64(n) / float64(len(rows))
}

// tsvRows are the rows of a table behind its head, each as one string, and how many columns it has; none of a text that
// is no table. A row of another width holds nothing but N/A, and as the last one is no row.
func tsvRows(text string) (rows []string, columns int) {
	table, ok := readTSV(text)
	if !ok || len(table) < 2 {
		return nil, 0
	}
	head, table := table[0], table[1:]
	columns = len(head)
	if slices.Sort(head); len(slices.Compact(head)) < columns {
		return nil, 0 // two columns of a name
	}
	if len(table[len(table)-1]) != columns {
		table = table[:len(table)-1]
	}
	for _, row := range table {
		if len(row) != columns {
			row = slices.Repeat([]string{"N/A"}, columns)
		}
		values := make([]string, columns)
		for i, value := range row {
			values[i] = plainValue(value)
		}
		rows = append(rows, strings.Join(values, "\n")) // which no value holds
	}
	return rows, columns
}

// plainValue is a value without case, punctuation, articles and blanks.
func plainValue(value string) string {
	var out, word strings.Builder
	end := func() {
		if w := word.String(); w != "a" && w != "an" && w != "the" {
			out.WriteString(w)
		}
		word.Reset()
	}
	for _, r := range strings.ToLower(value) {
		switch {
		case strings.ContainsRune("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", r):
		case prose.IsWord(r):
			word.WriteRune(r)
		default:
			if end(); !prose.IsBlank(r) {
				out.WriteRune(r)
			}
		}
	}
	end()
	return out.String()
}
