package report

import (
	"bytes"
	"strings"
	"testing"

	"lwtrain/agentwrite"
	"lwtrain/agentwrite/plan"
)

func agentwritePage(t *testing.T, items ...*agentwrite.Item) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteAgentWrite(&b, hostile, hostile, items, agentwrite.Spent{Calls: 3, Reply: 700, Cost: 1}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestThePageOfTrainingDataShowsHostileTextAsText(t *testing.T) {
	taken := &agentwrite.Item{
		ID: hostile, Prompt: hostile, Asked: 500, Words: 480, Text: hostile, State: agentwrite.Taken, Stage: agentwrite.Export,
		Plan: plan.Plan{{Line: hostile, Point: hostile, Words: 480}},
	}
	other := *taken
	other.State, other.Stage, other.Reason, other.Evidence = agentwrite.Dropped, agentwrite.Filter, hostile, hostile
	mustBeInert(t, agentwritePage(t, taken, taken, &other))
}

func TestThePageOfTrainingDataCountsEachInstructionOnce(t *testing.T) {
	page := agentwritePage(t,
		&agentwrite.Item{State: agentwrite.Dropped, Stage: agentwrite.Select, Reason: "toxic"},
		&agentwrite.Item{State: agentwrite.Dropped, Stage: agentwrite.Plan, Reason: "plan"},
		&agentwrite.Item{State: agentwrite.Dropped, Stage: agentwrite.Plan, Reason: "plan"},
		&agentwrite.Item{State: agentwrite.Waiting, Stage: agentwrite.Write})
	_, after, _ := strings.Cut(page, "<h2>What became of the instructions</h2>")
	rows := strings.Fields(stripped(after))
	want := "instructions left out by select: toxic 1 left out by plan: plan 2 waiting for write 1 in the training data 0 all 4"
	if got := strings.Join(rows, " "); !strings.HasPrefix(got, want) {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if strings.Contains(page, "LongWriter-6k") {
		t.Error("nothing was written, and is put beside LongWriter-6k")
	}
	words := func(n int) *agentwrite.Item {
		const text = "These are English words, as anybody may see."
		return &agentwrite.Item{State: agentwrite.Taken, Stage: agentwrite.Export, Words: n, Text: text}
	}
	_, after, _ = strings.Cut(agentwritePage(t, words(1999), words(2000), words(9999), words(10000)), "<h2>Beside LongWriter-6k</h2>")
	got := strings.Join(strings.Fields(stripped(after)), " ")
	for _, want := range []string{
		"answers 4 6,000", "below 2,000 words 25 % 0 %", "2,000 to 10,000 words 50 % most", "10,000 words and more 25 % some",
		"English answers 100 % 39 %", "instructions that state a length 0 % 29 %",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
}

// stripped is a page without its marks.
func stripped(page string) string {
	var b strings.Builder
	for page != "" {
		text, after, _ := strings.Cut(page, "<")
		b.WriteString(text + " ")
		_, page, _ = strings.Cut(after, ">")
	}
	return b.String()
}
