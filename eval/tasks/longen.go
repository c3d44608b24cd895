package tasks

import (
	"fmt"
	"regexp"
	"strconv"

	"lwtrain/internal/prose"
)

var lonGen = Task{
	Name: "longen", Prompts: 240, Languages: "en, zh",
	About:   "LonGen: requests of 2,000 to 8,000 words: about a number, in a range, above, below",
	Source:  "Self-Lengthen, arXiv:2410.23933, Apache-2.0",
	Items:   lonGenItems,
	Words:   prose.LonGenWords,
	Counted: "Chinese characters and punctuation, and what lies between them and blanks, as Self-Lengthen's length_following_eval.py",
	Ranges:  []prose.Range{{Name: "below 4,000", From: 0}, {Name: "4,000-5,999", From: 4000}, {Name: "6,000 or more", From: 6000}},
	Measures: []Measure{
		{"score", "100 within what is asked for (about: 0.8 to 1.2 times, above: to 1.5, below: from 0.5), less by how far it is off"},
		{"about", "the score of requests for about a number"}, {"range", "the score of those for a range"},
		{"above", "the score of those for more than a number"}, {"below", "the score of those for less"},
	},
	Score: lonGenScore,
}

var number = regexp.MustCompile(`\d+`)

func lonGenItems() ([]Item, error) {
	rows, err := shipped[struct{ Type, Constraint, Query string }]("longen")
	if err != nil {
		return nil, err
	}
	items := make([]Item, len(rows))
	for i, row := range rows {
		var n [2]int
		for k, digits := range number.FindAllString(row.Constraint, len(n)) {
			if n[k], err = strconv.Atoi(digits); err != nil {
				return nil, err
			}
		}
		it := Item{ID: strconv.Itoa(i), Prompt: row.Query, Type: row.Type}
		switch row.Type {
		case "about":
			it.Asked.Words = n[0]
		case "range":
			it.Asked.Min, it.Asked.Max = n[0], n[1]
		case "above":
			it.Asked.Min = n[0]
		case "below":
			it.Asked.Max = n[0]
		default:
			return nil, fmt.Errorf("longen:%d: the type is %q", i+1, row.Type)
		}
		items[i] = it
	}
	return items, nil
}

// lonGenScore is LonGen's (arXiv:2410.23933, eval/length_following_eval.py), times 100: 1 from a to b words, below
// max(2g/a-1, 0) of g words, above max(3-2g/b, 0).
func lonGenScore(it Item, text string) map[string]float64 {
	a, b := float64(it.Asked.Min), float64(it.Asked.Max)
	switch it.Type {
	case "about":
		n := float64(it.Asked.Words)
		a, b = n*0.8, n*1.2
	case "above":
		b = a * 1.5
	case "below":
		a = b * 0.5
	}
	g, score := float64(prose.LonGenWords(text)), 1.0
	switch {
	case g < a:
		score = max(g/a*2-1, 0)
	case g > b:
		score = max(3-g/b*2, 0)
	}
	return map[string]float64{"score": 100 * score, it.Type: 100 * score}
}
