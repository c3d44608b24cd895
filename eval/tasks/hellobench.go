package tasks

import (
	"fmt"
	"strconv"
	"strings"

	"lwtrain/internal/prose"
)

var helloBench = Task{
	Name: "hellobench-length", Prompts: 492, Languages: "en",
	About:  "HelloBench's length-constrained sets: 123 essays, stories and others of no less than 2,000 to 16,000 words",
	Source: "HelloBench, arXiv:2409.16191, MIT",
	Items:  helloBenchItems,
	Words:  prose.Words, Counted: longWriterWords + "; HelloBench's code counts none",
	Ranges: []prose.Range{{Name: "2000", From: 0}, {Name: "4000", From: 4000}, {Name: "8000", From: 8000}, {Name: "16000", From: 16000}},
	Measures: []Measure{
		{"long_enough", "percent of answers that have the words asked for"},
	},
	Score: func(it Item, text string) map[string]float64 {
		if prose.Words(text) < it.Asked.Min {
			return map[string]float64{"long_enough": 0}
		}
		return map[string]float64{"long_enough": 100}
	},
}

func helloBenchItems() ([]Item, error) {
	rows, err := shipped[struct {
		ID, Category, Prompt string
		Checklist            []string
	}]("hellobench-length")
	if err != nil {
		return nil, err
	}
	var items []Item
	for _, k := range []int{2, 4, 8, 16} {
		for _, row := range rows {
			it := Item{ID: fmt.Sprintf("%s-%dk", row.ID, k), Type: row.Category, Asked: Asked{Min: k * 1000}}
			it.Prompt = strings.ReplaceAll(row.Prompt, "{words}", strconv.Itoa(k*1000))
			for _, question := range row.Checklist {
				it.Checklist = append(it.Checklist, Criterion{Text: question})
			}
			items = append(items, it)
		}
	}
	return items, nil
}
