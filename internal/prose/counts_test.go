package prose

import (
	"encoding/json"
	"os"
	"testing"
)

// TestCountsAreThoseOfTheBenchmarks holds the counts against the benchmarks' own formulas, which
// testdata/counts.py ran in Python.
func TestCountsAreThoseOfTheBenchmarks(t *testing.T) {
	counters := []func(string) int{Words, LIFEBenchWords, LonGenWords, BlankWords}
	names := []string{"LongWriter", "LIFEBench", "LonGen", "LongGenBench"}
	path := "testdata/counts.json"
	if more := os.Getenv("LWTRAIN_TEST_COUNTS"); more != "" {
		path = more
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][5]json.RawMessage
	if err := json.Unmarshal(raw, &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) < 500 {
		t.Fatalf("%d strings, want at least 500", len(rows))
	}
	for i, row := range rows {
		var text string
		if err := json.Unmarshal(row[0], &text); err != nil {
			t.Fatal(err)
		}
		for k, count := range counters {
			want := 0
			if err := json.Unmarshal(row[k+1], &want); err != nil {
				t.Fatal(err)
			}
			if got := count(text); got != want {
				t.Errorf("string %d, %+q: %s counts %d, want %d", i, text, names[k], got, want)
			}
		}
	}
}
