package tasks

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"lwtrain/internal/plainjson"
	"lwtrain/internal/prose"
)

var longGenBench = Task{
	Name: "longgenbench", Prompts: 800, Languages: "en",
	About:  "LongGenBench (Wu and others): diaries, menus, skyscrapers and cities of 52 to 100 parts, some 16,000 and 32,000 tokens",
	Source: "LongGenBench, arXiv:2409.02076, no licence stated: for use, not to hand on",
	Items:  longGenBenchItems, remotes: longGenBenchFiles,
	Words: prose.BlankWords, Counted: "what lies between blanks, as LongGenBench's inference.py",
	Measures: []Measure{
		{"completion", "percent of the parts asked for that are there"},
		{"completion_16k", "of the prompts for some 16,000 tokens"}, {"completion_32k", "of those for some 32,000"},
	},
	Score: longGenBenchScore,
}

var longGenBenchFiles = []remote{
	{"mozhu621/LongGenBench", "62c0e869219c225671a0b8f50217b0cd836b882b", "Dataset/Dataset_short.json",
		"3cf98c4badc330a93d1010f57f6658b09f2ebc2e6428a3df083b652d902d96e8", 1474710},
	{"mozhu621/LongGenBench", "62c0e869219c225671a0b8f50217b0cd836b882b", "Dataset/Dataset_long.json",
		"f61048da5ecfb1b717584af8b2dc5999198459e9b95aceedde2dcc6f5cdd35e7", 1244214},
}

func longGenBenchItems() ([]Item, error) {
	var items []Item
	for k, size := range []string{"16k", "32k"} {
		raw, err := longGenBenchFiles[k].read()
		if err != nil {
			return nil, err
		}
		more, err := longGenBenchRead(size, raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", longGenBenchFiles[k].path, err)
		}
		items = append(items, more...)
	}
	return items, nil
}

func longGenBenchRead(size string, raw []byte) ([]Item, error) {
	var rows []struct {
		Prompt, Prefix string
		Number         int
	}
	err := plainjson.Unmarshal(raw, &rows)
	items := make([]Item, len(rows))
	for i, row := range rows {
		items[i] = Item{ID: size + "-" + strconv.Itoa(i), Prompt: row.Prompt, Type: size, reference: row.Prefix, numbers: []int{row.Number}}
	}
	return items, err
}

// longGenBenchScore is LongGenBench's completion rate (arXiv:2409.02076, Evalution/eval.py): what goes on from the
// head of the first part, which ends the prompt, is parted at each #*#; the first number behind the kind of part,
// such as Week 7, names it. What follows *** finished does not count: generation ends there.
func longGenBenchScore(it Item, text string) map[string]float64 {
	text, _, _ = strings.Cut(text, "*** finished")
	kind, _, _ := strings.Cut(strings.TrimPrefix(it.reference, "#*# "), " 1")
	name := regexp.MustCompile(regexp.QuoteMeta(kind) + ` (\d+)`)
	there, most := map[int]bool{}, it.numbers[0]
	for part := range strings.SplitSeq(it.reference+text, "#*#") {
		if m := name.FindStringSubmatch(part); m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil && 1 <= n && n <= most {
				there[n] = true
			}
		}
	}
	completion := 100 * float64(len(there)) / float64(most)
	return map[string]float64{"completion": completion, "completion_" + it.Type: completion}
}
