package tasks

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"lwtrain/internal/prose"
)

// What LIFEBench says of a number of words, in English and in Chinese.
var lifeBenchControls = []struct{ name, chinese, measure string }{
	{"equal to", "等于", "equal_to"}, {"at most", "至多有", "at_most"}, {"at least", "至少有", "at_least"},
}

var lifeBench = Task{
	Name: "lifebench", Prompts: 1800, Languages: "en, zh",
	About:  "LIFEBench-lite: 60 requests at 16 to 8,192 words, each as equal to, at most and at least",
	Source: "LIFEBench, arXiv:2505.16234, MIT",
	Items:  lifeBenchItems,
	Words:  prose.LIFEBenchWords, Counted: `Chinese characters and \b[a-zA-Z0-9'-]+\b, as LIFEBench's exp/cache.py`,
	Ranges: []prose.Range{{Name: "16", From: 0}, {Name: "32", From: 32}, {Name: "64", From: 64}, {Name: "128", From: 128},
		{Name: "256", From: 256}, {Name: "512", From: 512}, {Name: "1024", From: 1024}, {Name: "2048", From: 2048},
		{Name: "4096", From: 4096}, {Name: "8192", From: 8192}},
	Measures: []Measure{
		{"score", "LS: 100 at the asked length, less by how far the answer is off; 100 on the side that at most or at least allows"},
		{"equal_to", "LS of what is to be equal to a length"}, {"at_most", "LS of what is to be at most"},
		{"at_least", "LS of what is to be at least"},
		{"deviation", "LD of what is to be equal to a length: percent of it by which answers are off; it has no bound"},
	},
	Score: func(it Item, text string) map[string]float64 {
		return lifeBenchScore(it, prose.LIFEBenchWords(text), 1)
	},
	Released: lifeBenchReleased,
}

func lifeBenchItems() ([]Item, error) {
	rows, err := shipped[struct {
		ID         int
		Lang, Task string
	}]("lifebench-lite")
	if err != nil {
		return nil, err
	}
	var items []Item
	for _, control := range lifeBenchControls {
		for words := 16; words <= 8192; words *= 2 {
			for _, row := range rows {
				says := control.name
				if row.Lang == "cn" {
					says = control.chinese
				}
				it := Item{ID: fmt.Sprintf("%d-%s-%d", row.ID, control.measure, words), Type: control.name}
				it.Prompt = strings.NewReplacer("{word_count_type}", says, "{word_count}", strconv.Itoa(words)).Replace(row.Task)
				switch control.name {
				case "at most":
					it.Asked.Max = words
				case "at least":
					it.Asked.Min = words
				default:
					it.Asked.Words = words
				}
				items = append(items, it)
			}
		}
	}
	return items, nil
}

// lifeBenchScore is LIFEBench's length score (arXiv:2505.16234, section 3.2): 100·e^(5·LD) of an answer that is too
// short, 100·e^(-2·LD) of one that is too long, where LD is by how much of the asked length it is off, times scale.
func lifeBenchScore(it Item, words int, scale float64) map[string]float64 {
	asked := float64(it.Asked.About())
	off := (float64(words) - asked) / asked
	score := 100.0
	switch {
	case off < 0 && it.Type != "at most":
		score = 100 * math.Exp(5*off*scale)
	case off > 0 && it.Type != "at least":
		score = 100 * math.Exp(-2*off*scale)
	}
	scores := map[string]float64{"score": score, strings.ReplaceAll(it.Type, " ", "_"): score}
	if it.Type == "equal to" {
		scores["deviation"] = 100 * math.Abs(off)
	}
	return scores
}

// lifeBenchReleased is the score as LIFEBench's code has it (evaluate/evaluate_all_results.py, evaluate/filters.py): LD is
// in percent, so that next to all scores are 0 or 100, and answers of a word or none are left out of the means.
func lifeBenchReleased(it Item, text string) map[string]float64 {
	words := prose.LIFEBenchWords(text)
	if words <= 1 {
		return nil
	}
	return lifeBenchScore(it, words, 100)
}
