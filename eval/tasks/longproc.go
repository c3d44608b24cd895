package tasks

import (
	"strings"

	"lwtrain/internal/prose"
)

const (
	longProcSource  = "LongProc, arXiv:2501.05414, Apache-2.0"
	longProcCounted = "what lies between blanks; LongProc counts none"
)

// longProcMeasures are LongProc's.
var longProcMeasures = []Measure{
	{"accuracy", "percent of answers that are right as a whole"},
	{"partial_accuracy", "percent of the steps that are right before the first wrong one"},
	{"extraction_rate", "percent of answers that hold a result in the form asked for"},
}

// longProcItems reads files of LongProc's, whose names end in the size of their outputs.
func longProcItems(files ...string) func() ([]Item, error) {
	return func() ([]Item, error) {
		var items []Item
		for _, file := range files {
			rows, err := shipped[struct {
				ID, Prompt, Reference string
				Nums                  []int
				Target                int
			}](file)
			if err != nil {
				return nil, err
			}
			size := file[strings.LastIndexByte(file, '_')+1:]
			for _, row := range rows {
				it := Item{ID: row.ID, Prompt: row.Prompt, Type: size}
				it.reference, it.numbers = row.Reference, append(row.Nums, row.Target)
				items = append(items, it)
			}
		}
		return items, nil
	}
}

// longProcScores are LongProc's measures in percent.
func longProcScores(accuracy, partial, extracted float64) map[string]float64 {
	return map[string]float64{
		"accuracy": 100 * accuracy, "partial_accuracy": 100 * max(0, partial), "extraction_rate": 100 * extracted,
	}
}

// tagged is what stands between <tag> and </tag>; ok: both are there.
func tagged(text, tag string) (inner string, ok bool) {
	from, to := strings.Index(text, "<"+tag+">"), strings.Index(text, "</"+tag+">")
	if from < 0 || to < 0 {
		return "", false
	}
	if from += len(tag) + 2; to < from {
		return "", true
	}
	return strip(text[from:to]), true
}

// strip is Python's.
func strip(text string) string { return strings.TrimFunc(text, prose.IsBlank) }
