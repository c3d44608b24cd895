package tasks

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
)

// TestScoresAreThoseOfTheBenchmarks holds the scores against those that the benchmarks' own code gave the same
// answers (testdata/scores.py).
func TestScoresAreThoseOfTheBenchmarks(t *testing.T) {
	path := "testdata/scores.json"
	if more := os.Getenv("LWTRAIN_TEST_SCORES"); more != "" {
		path = more
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]json.RawMessage
	if err := json.Unmarshal(raw, &rows); err != nil {
		t.Fatal(err)
	}
	read := func(raw json.RawMessage, to any) {
		t.Helper()
		if err := json.Unmarshal(raw, to); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
	}
	items := map[string]map[string]Item{}
	tested := map[string]int{}
	for i, row := range rows {
		var name string
		read(row[0], &name)
		task, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		var it Item
		if name == longGenBench.Name {
			it.Type = "16k"
			it.numbers = []int{0}
			read(row[1], &[]any{&it.reference, &it.numbers[0]})
		} else {
			if items[name] == nil {
				items[name] = byID(t, task)
			}
			var id string
			read(row[1], &id)
			it = items[name][id]
		}
		var parts []json.RawMessage
		read(row[2], &parts)
		text := built(t, parts, it.reference)
		var want map[string]float64
		read(row[3], &want)
		got := task.Score(it, text)
		for key, w := range want {
			if g, ok := got[key]; !ok || math.Abs(g-max(0, w)) > 1e-9 { // theirs may be below 0 by a step
				t.Errorf("row %d, %s %s of %s: %s is %v, want %g", i, name, row[1], row[2], key, g, w)
			}
			tested[name]++
		}
		if len(row) > 4 {
			var released *float64
			read(row[4], &released)
			got := task.Released(it, text)
			if released == nil && len(got) > 0 || released != nil && math.Abs(got["score"]-*released) > 1e-9 {
				t.Errorf("row %d, %s %s of %s: released is %v, want %s", i, name, row[1], row[2], got, row[4])
			}
		}
	}
	for _, task := range All() {
		if task.Score != nil && task.Name != helloBench.Name && tested[task.Name] < 30 {
			t.Errorf("%s: %d scores tested, want at least 30", task.Name, tested[task.Name])
		}
	}
	t.Log(tested)
}

func byID(t *testing.T, task Task) map[string]Item {
	t.Helper()
	items, err := task.Items()
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]Item{}
	for _, it := range items {
		by[it.ID] = it
	}
	return by
}

// built is an answer that is written as testdata/scores.py says.
func built(t *testing.T, parts []json.RawMessage, reference string) string {
	t.Helper()
	lines := strings.Split(reference, "\n")
	var out strings.Builder
	for _, part := range parts {
		var text string
		var n int
		if json.Unmarshal(part, &text) == nil {
			out.WriteString(text)
		} else if json.Unmarshal(part, &[]any{&text, &n}) == nil {
			out.WriteString(strings.Repeat(text, n))
		} else {
			var lineNumbers [2]int
			if err := json.Unmarshal(part, &lineNumbers); err != nil {
				t.Fatalf("%s: %v", part, err)
			}
			from := min(lineNumbers[0], len(lines))
			out.WriteString(strings.Join(lines[from:max(from, min(lineNumbers[1], len(lines)))], "\n"))
		}
	}
	return out.String()
}
