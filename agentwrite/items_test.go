package agentwrite

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lwtrain/agentwrite/plan"
	"lwtrain/agentwrite/sift"
	"lwtrain/chat"
	"lwtrain/data/record"
	"lwtrain/internal/llm"
)

func TestWhatStandsBeforeAnInstructionIsToldToTheWriter(t *testing.T) {
	for _, variant := range []string{"serial", "parallel", "extend"} {
		t.Run(variant, func(t *testing.T) {
			w := &writer{says: func(r llm.Request) *llm.Reply {
				if strings.HasPrefix(last(r), "I need you to help me break down") {
					return &llm.Reply{Text: "No plan.", Stop: llm.StopEOS}
				}
				return nil
			}}
			j := newJob(t, 0)
			j.Variant, j.Select.AskModel = variant, true
			before := []chat.Message{
				{Role: "system", Content: "Be brief."}, {Role: "user", Content: "What is tea?"}, {Role: "assistant", Content: "Leaves."},
			}
			j.Prompts = []record.Prompt{{Messages: append(before, chat.Message{Role: "user", Content: "Write 1,000 words on it."})}}
			do(t, j, w)
			if len(w.asked) < 3 {
				t.Fatalf("%d requests", len(w.asked))
			}
			for _, r := range w.asked {
				if len(r.Messages) < 4 || !reflect.DeepEqual(r.Messages[:3], before) {
					t.Errorf("a request of %v", r.Messages)
				}
			}
		})
	}
}

func TestEachItemHasAnIDOfItsOwn(t *testing.T) {
	for name, c := range map[string]struct{ ids, want []string }{
		"records without ids have their number":         {[]string{"", ""}, []string{"1", "2"}},
		"numbers and texts are ids":                     {[]string{"7", `"b"`}, []string{"7", "b"}},
		"an id that is there gets a number behind it":   {[]string{`"a"`, `"a"`, `"a"`}, []string{"a", "a-2", "a-3"}},
		"one that is taken by another record is passed": {[]string{`"a-2"`, `"a"`, `"a"`, `"a"`}, []string{"a-2", "a", "a-3", "a-4"}},
		"the number of a record may be another's id":    {[]string{"2", ""}, []string{"2", "2-2"}},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJob(t, 0)
			for _, id := range c.ids {
				p := instruction("Write 1,000 words.")
				p.ID = json.RawMessage(id)
				j.Prompts = append(j.Prompts, p)
			}
			j.open()
			var got []string
			for _, it := range j.items {
				got = append(got, it.ID)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestARangeOfWordsIsALengthThatIsAskedFor(t *testing.T) {
	j := newJob(t, 0)
	j.Prompts = []record.Prompt{instruction("Write on tea."), instruction("Write on glass."), instruction("Write on rain.")}
	j.Prompts[0].Least, j.Prompts[0].Most = 800, 1200
	j.Prompts[1].Least = 900
	j.Prompts[2].Most = 400
	items := do(t, j, &writer{})
	if items[0].Asked != 1200 || items[1].Asked != 900 || items[2].Reason != sift.TooShortAsk {
		t.Errorf("%s\n%s\n%s", said(items[0]), said(items[1]), said(items[2]))
	}
}

func TestProgressComesToTheEndOfAllItems(t *testing.T) {
	j := newJob(t, 6)
	j.Select.AskModel = true
	var end Progress
	j.Progress = func(p Progress) { end = p }
	do(t, j, &writer{says: func(r llm.Request) *llm.Reply {
		if strings.Contains(last(r), "bread") {
			return &llm.Reply{Text: "I'm sorry, but I can't help with that.", Stop: llm.StopEOS}
		}
		return nil
	}})
	if end.Items != 5 || end.Ended != 5 || end.Written != 5 || end.Dropped != 0 || end.Spent != j.Spent {
		t.Errorf("%+v", end)
	}
}

// TestLengthsThatNoPlanHasAreNotAskedFor holds Fits against the check of the plans that come nearest to what is asked.
func TestLengthsThatNoPlanHasAreNotAskedFor(t *testing.T) {
	for _, asked := range []int{0, 1, 200, 266, 267, 400, 1000, 4000, 4001, 100000} {
		t.Run(strconv.Itoa(asked), func(t *testing.T) {
			j := newJob(t, 0)
			j.MaxParagraphs, j.Tries, j.Select.MinWords = 2, 1, 0
			p := instruction("Write on tea.")
			p.Required = asked
			j.Prompts = []record.Prompt{p}
			w := &writer{}
			it := do(t, j, w)[0]
			shortest, longest := plan.Plan{{Words: 200}, {Words: 200}}, plan.Plan{{Words: 1000}, {Words: 1000}}
			possible := shortest.Check(asked, asked, 2) == nil || longest.Check(asked, asked, 2) == nil || 400 < asked && asked < 2000
			if asking := len(w.asked) > 0; asking != possible || !asking && (it.Stage != Plan || it.Reason != badPlan) {
				t.Errorf("asked %d times, want %v; %s", len(w.asked), possible, said(it))
			}
		})
	}
}
