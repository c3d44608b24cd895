package tasks

import (
	"fmt"
	"strconv"
	"strings"

	"lwtrain/internal/prose"
)

var writingBench = Task{
	Name: "writingbench-length", Prompts: 222, Languages: "en, zh",
	About:  "WritingBench's requests that state a length, each with five criteria of its own for a judge",
	Source: "WritingBench, arXiv:2503.05244, Apache-2.0",
	Items:  writingBenchItems, remotes: []remote{writingBenchFile},
	Words: prose.Words, Counted: longWriterWords + "; WritingBench's code counts none", Ranges: prose.Ranges,
}

var writingBenchFile = remote{
	"X-PLUG/WritingBench", "ae2d5176449b7b769815482641d35926f26793eb", "benchmark_query/requirement/length/length_subset.jsonl",
	"5f12e5c85f8298f53045bfe2a37a3a37d5c04e3d6ef33b68b023478444ac85ab", 2958345,
}

// bands are the marks of 10 that a criterion of WritingBench describes; a judge here is told of them as 1 to 5.
var bands = []string{"1-2", "3-4", "5-6", "7-8", "9-10"}

func writingBenchItems() ([]Item, error) {
	raw, err := writingBenchFile.read()
	if err != nil {
		return nil, err
	}
	return writingBenchRead(raw)
}

func writingBenchRead(raw []byte) ([]Item, error) {
	rows, err := rowsOf[struct {
		Index          int
		Domain1, Query string
		Checklist      []map[string]string
	}](writingBenchFile.path, raw)
	if err != nil {
		return nil, err
	}
	items := make([]Item, len(rows))
	for i, row := range rows {
		it := Item{ID: strconv.Itoa(row.Index), Prompt: row.Query, Type: row.Domain1}
		it.Asked = statedIn(row.Query)
		for _, c := range row.Checklist {
			var says strings.Builder
			says.WriteString(c["criteria_description"])
			for i, band := range bands {
				fmt.Fprintf(&says, "\n%d: %s", i+1, c[band])
			}
			it.Checklist = append(it.Checklist, Criterion{c["name"], says.String()})
		}
		items[i] = it
	}
	return items, nil
}

// statedIn is what a request asks for in words: the length that the first of its paragraphs states which states one, by
// [prose.StatedLength]. What follows is of parts, or material that the request brings along; one that asks in pages or
// minutes asks for none.
func statedIn(request string) Asked {
	for paragraph := range strings.SplitSeq(request, "\n") {
		switch l := prose.StatedLength(paragraph); {
		case l == prose.Length{}:
		case l.Min == l.Max:
			return Asked{Words: int(l.Max)}
		default:
			return Asked{Min: int(l.Min), Max: int(l.Max)}
		}
	}
	return Asked{}
}
