package tasks

import (
	"strings"

	"lwtrain/internal/prose"
)

var longProcPaths = Task{
	Name: "longproc-paths", Prompts: 200, Languages: "en",
	About:  "LongProc's path traversal: the one route between two cities, step by step, outputs of 0.5k tokens",
	Source: longProcSource, Items: longProcItems("path_traversal_0.5k"),
	Words: prose.BlankWords, Counted: longProcCounted, Measures: longProcMeasures, Score: pathsScore,
}

// pathsScore is LongProc's (longproc/longproc_data.py): right is the route that was asked for, line by line; in part
// what comes before the first line that differs, and that line, as in their code.
func pathsScore(it Item, text string) map[string]float64 {
	route, ok := tagged(text, "Route")
	if !ok {
		return longProcScores(0, 0, 0)
	}
	reference := strip(it.reference)
	if route == reference {
		return longProcScores(1, 1, 1)
	}
	got, want := strings.Split(route, "\n"), strings.Split(reference, "\n")
	n := 0
	for n < min(len(got), len(want)) {
		n++
		if got[n-1] != want[n-1] {
			break
		}
	}
	return longProcScores(0, float64(n)/float64(len(want)), 1)
}
