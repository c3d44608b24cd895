package agentwrite

import (
	"errors"
	"strings"
	"testing"

	"lwtrain/internal/llm"
)

// TestWhatFailedOnceIsNotWrittenAnewByARunThatGoesOn has a server fail, once for each request: a job that goes on, or
// does a later stage alone, finds what was written in its place, and all that followed from it.
func TestWhatFailedOnceIsNotWrittenAnewByARunThatGoesOn(t *testing.T) {
	for _, variant := range []string{"serial", "parallel", "extend"} {
		for _, failure := range []string{"busy: 503 after 7 tries: x", "cut: the connection was lost", "context: status 400: too long"} {
			t.Run(variant+", "+failure, func(t *testing.T) {
				j := newJob(t, 2)
				j.Variant, j.Filter.MinLengthScore, j.Select.AskModel = variant, 0, true
				failed := map[string]bool{}
				w := &writer{says: func(r llm.Request) *llm.Reply {
					if text := last(r); !failed[text] {
						failed[text] = true
						return &llm.Reply{Failed: failure}
					}
					return nil
				}}
				want := do(t, j, w)
				if len(w.asked) < 8 || want[0].State != Taken || want[1].State != Taken {
					t.Fatalf("%d requests; %s; %s", len(w.asked), said(want[0]), said(want[1]))
				}
				for _, only := range []Stage{"", Export} {
					sound := &writer{}
					j.Only = only
					got := do(t, j, sound)
					if len(sound.asked) > 0 {
						t.Errorf("stage %q: %d requests, the first:\n%s", only, len(sound.asked), last(sound.asked[0]))
					}
					for i, it := range got {
						if it.State != Taken || it.Text != want[i].Text {
							t.Errorf("stage %q: %s, want the text of before", only, said(it))
						}
					}
				}
			})
		}
	}
}

// TestAReplyThatHasNoRoomIsAskedForShorter has a server whose context takes the prompt, and not 4,096 tokens behind it.
func TestAReplyThatHasNoRoomIsAskedForShorter(t *testing.T) {
	j := newJob(t, 1)
	w := &writer{says: func(r llm.Request) *llm.Reply {
		if strings.Contains(last(r), "continue writing Paragraph 2") && r.MaxTokens > 1500 {
			return &llm.Reply{Failed: "context: status 400: maximum context length is 8192"}
		}
		return nil
	}}
	it := do(t, j, w)[0]
	var asked []int
	for _, r := range w.asked {
		asked = append(asked, r.MaxTokens)
	}
	if it.State != Taken || len(asked) != 6 || asked[3] != 2048 || asked[4] != 1024 || asked[5] != 1024 {
		t.Errorf("%s, asked for %v tokens, want 4096 4096 4096 2048 1024 1024", said(it), asked)
	}
	j = newJob(t, 1)
	w.says = func(r llm.Request) *llm.Reply {
		if strings.Contains(last(r), "continue writing Paragraph 2") {
			return &llm.Reply{Failed: "context: status 400: maximum context length is 8192"}
		}
		return nil
	}
	if it := do(t, j, w)[0]; it.State != Dropped || it.Reason != noRoom || !strings.Contains(it.Evidence, "paragraph 2: status 400") {
		t.Errorf("without any room: %s", said(it))
	}
}

// TestWhatAServerDidNotDoCostsNothing has each request fail once before a token is read.
func TestWhatAServerDidNotDoCostsNothing(t *testing.T) {
	prices := func(w *writer) Spent {
		j := newJob(t, 2)
		j.Writer.Price = Price{1, 2}
		do(t, j, w)
		return j.Spent
	}
	want := prices(&writer{})
	failed := map[string]bool{}
	got := prices(&writer{says: func(r llm.Request) *llm.Reply {
		if text := last(r); !failed[text] {
			failed[text] = true
			return &llm.Reply{Failed: "refused: status 400: x"}
		}
		return nil
	}})
	if got.Cost != want.Cost || got.Prompt != want.Prompt || got.Calls != want.Calls || got.Lost != 0 {
		t.Errorf("%+v, want the cost of %+v", got, want)
	}
}

// TestWhatBreaksOffCountsAgainstTheBudget: it is paid for, and kept nowhere.
func TestWhatBreaksOffCountsAgainstTheBudget(t *testing.T) {
	j := newJob(t, 2)
	j.Writer.Price, j.Budget = Price{Output: 1000}, 5
	w := &writer{says: func(llm.Request) *llm.Reply {
		return &llm.Reply{Text: "Paragraph 1", Prompt: 10, Tokens: 2000, Failed: "cut: the connection was lost"}
	}}
	items, err := j.Do(t.Context(), w)
	if !errors.Is(err, ErrBudget) || j.Lost != 6 || j.Cost != 0 || len(w.asked) != 3 {
		t.Errorf("%v after %d requests, %+v, want %v after 3", err, len(w.asked), j.Spent, ErrBudget)
	}
	if addUp(t, items); items[0].Calls+items[1].Calls != 0 {
		t.Errorf("%d and %d calls", items[0].Calls, items[1].Calls)
	}
}

// TestAPlanWithinARangeIsOne: of 600 to 2,500 words, one of 1,000.
func TestAPlanWithinARangeIsOne(t *testing.T) {
	j := newJob(t, 0)
	p := instruction("Tell of rivers and their banks.")
	p.Least, p.Most = 600, 2500
	j.Prompts = append(j.Prompts, p)
	if it := do(t, j, &writer{})[0]; it.State != Taken || it.Score != 100 || it.Asked != 2500 {
		t.Errorf("%s, S_l %g", said(it), it.Score)
	}
	j.Prompts[0].Least = 2400
	it := do(t, j, &writer{})[0]
	if it.State != Dropped || it.Reason != badPlan || !strings.Contains(it.Evidence, "sum up to 1000, want 2400 to 2500") {
		t.Errorf("a plan far below it: %s", said(it))
	}
}
