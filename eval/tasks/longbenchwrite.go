package tasks

import (
	"bytes"
	_ "embed"
	"fmt"
	"strconv"
	"strings"

	"lwtrain/internal/plainjson"
	"lwtrain/internal/prose"
)

//go:embed data/longbench-write.jsonl
var longBenchWriteData []byte

//go:embed data/longwrite-ruler.jsonl
var longWriteRulerData []byte

const (
	longWriter      = "LongWriter, arXiv:2408.07055, Apache-2.0"
	longWriterWords = "Chinese characters and runs of ASCII letters between word boundaries, as LongWriter's eval_length.py"
)

var longBenchWrite = Task{
	Name: "longbench-write", About: "120 writing requests of 100 to 20,000 words, English and Chinese", Source: longWriter,
	Items:   func() ([]Item, error) { return longWriterItems(longBenchWriteData, false) },
	Prompts: 120, Languages: "en, zh", Words: prose.Words, Counted: longWriterWords, Ranges: prose.Benchmark,
}

var longBenchWriteEnglish = Task{
	Name: "longbench-write-en", About: "the 60 of longbench-write that are to be answered in English", Source: longWriter,
	Items:   func() ([]Item, error) { return longWriterItems(longBenchWriteData, true) },
	Prompts: 60, Languages: "en", Words: prose.Words, Counted: longWriterWords, Ranges: prose.Benchmark,
}

var longWriteRuler = Task{
	Name: "longwrite-ruler", Source: longWriter,
	About:   "four topics, English and Chinese, at 1,000 to 30,000 words: how long an output can be",
	Items:   func() ([]Item, error) { return longWriterItems(longWriteRulerData, false) },
	Prompts: 48, Languages: "en, zh", Words: prose.Words, Counted: longWriterWords,
	Ranges: []prose.Range{{Name: "1000", From: 0}, {Name: "2000", From: 2000}, {Name: "5000", From: 5000},
		{Name: "10000", From: 10000}, {Name: "20000", From: 20000}, {Name: "30000", From: 30000}},
}

// longWriterItems reads a file of LongWriter's. What is to be answered in English is
// asked in English, or says so.
func longWriterItems(raw []byte, english bool) ([]Item, error) {
	var items []Item
	n := 0
	for line := range bytes.Lines(raw) {
		n++
		var row struct {
			Prompt, Type string
			Length       int
		}
		if err := plainjson.Unmarshal(line, &row); err != nil {
			return nil, fmt.Errorf("line %d of the task's prompts: %w", n, err)
		}
		if english && strings.ContainsFunc(row.Prompt, prose.IsChinese) && !strings.Contains(row.Prompt, "用英文") {
			continue
		}
		items = append(items, Item{ID: strconv.Itoa(len(items)), Prompt: row.Prompt, Asked: Asked{Words: row.Length}, Type: row.Type})
	}
	return items, nil
}
