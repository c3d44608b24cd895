package examples_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"lwtrain/examples"
	"lwtrain/internal/prose"
)

func TestTheExperimentsDocumentsAreLongAndDiffer(t *testing.T) {
	raw, err := examples.FS.ReadFile("length-cap/documents.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	n := 0
	for line := range bytes.Lines(raw) {
		n++
		var row struct {
			Messages []struct{ Role, Content string }
		}
		if err := json.Unmarshal(line, &row); err != nil {
			t.Fatal(err)
		}
		if len(row.Messages) != 2 || row.Messages[0].Role != "user" || row.Messages[1].Role != "assistant" {
			t.Fatalf("line %d: %d messages", n, len(row.Messages))
		}
		text := row.Messages[1].Content
		if w := prose.Words(text); w < 1000 || prose.Repeated(text) > 0.05 || seen[row.Messages[0].Content] || !prose.Finished(text) {
			t.Errorf("line %d: %d words, %.3f repeated", n, w, prose.Repeated(text))
		}
		seen[row.Messages[0].Content] = true
	}
	if n < 60 {
		t.Errorf("%d documents, want 60", n)
	}
}
