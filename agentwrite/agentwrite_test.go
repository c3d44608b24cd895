package agentwrite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"lwtrain/agentwrite/sift"
	"lwtrain/chat"
	"lwtrain/data/record"
	"lwtrain/internal/llm"
	"lwtrain/internal/prose"
)

// writer answers as a good model does, but where says has something else. It answers the last request first.
type writer struct {
	asked []llm.Request
	most  int // replies, after which it is stopped; 0: any
	says  func(r llm.Request) *llm.Reply
}

var errStopped = errors.New("stopped")

func (w *writer) Converse(_ context.Context, requests []llm.Request, done func(int, llm.Reply) ([]llm.Request, error)) error {
	var queue []int
	for i := range requests {
		queue = append(queue, i)
	}
	enough := false
	for len(queue) > 0 && !enough {
		i := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if w.most > 0 && len(w.asked) == w.most {
			return errStopped
		}
		w.asked = append(w.asked, requests[i])
		reply := write(requests[i])
		if w.says != nil {
			if other := w.says(requests[i]); other != nil {
				reply = *other
			}
		}
		more, err := done(i, reply)
		if enough = errors.Is(err, llm.ErrEnough); err != nil && !enough {
			return err
		}
		for _, r := range more {
			queue, requests = append(queue, len(requests)), append(requests, r)
		}
	}
	if enough {
		return llm.ErrEnough
	}
	return nil
}

const goodPlan = "Here it is:\n\nParagraph 1 - Main Point: how it began - Word Count: 400 words\n" +
	"Paragraph 2 - Main Point: what came then - Word Count: 300 words\nParagraph 3 - Main Point: how it ended - Word Count: 300 words"

// write is a plan where one is asked for, yes where a question is asked, else a text of its own of 350 words.
func write(r llm.Request) llm.Reply {
	text := last(r)
	reply := llm.Reply{Text: wordsFrom(text, 350), Tokens: 500, Prompt: 100, Stop: llm.StopEOS}
	switch {
	case strings.HasPrefix(text, "I need you to help me break down"), strings.HasPrefix(text, "This plan can't be used"):
		reply.Text = goodPlan
	case strings.HasPrefix(text, "You decide whether"):
		reply.Text = "Yes"
	}
	return reply
}

func last(r llm.Request) string { return r.Messages[len(r.Messages)-1].Content }

// wordsFrom is a text of so many words that no other text has, but for those of the same seed.
func wordsFrom(seed string, words int) string {
	var out strings.Builder
	h := uint64(14695981039346656037)
	for _, b := range []byte(seed) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	for i := range words {
		h = h*6364136223846793005 + 1442695040888963407
		word := fmt.Appendf(nil, "%c%c%c%c", 'a'+h>>60, 'a'+h>>56&15, 'a'+h>>52&15, 'a'+h>>48&15)
		if i%12 == 0 {
			word[0] -= 'a' - 'A'
		}
		out.Write(word)
		if i%12 == 11 || i == words-1 {
			out.WriteByte('.')
		}
		out.WriteByte(' ')
	}
	return strings.TrimSpace(out.String())
}

func instruction(text string) record.Prompt {
	return record.Prompt{Messages: []chat.Message{{Role: "user", Content: text}}}
}

var topics = []string{"lighthouses", "the tides of the sea", "an old clockmaker", "mountain railways", "bread", "the history of glass"}

func newJob(t *testing.T, n int) *Job {
	t.Helper()
	j := &Job{Options: Default(), Model: "m", Seed: 7}
	j.Select.MinWords = 500
	for i := range n {
		text := fmt.Sprintf("Write 1,000 words on %s, part %s.", topics[i%len(topics)], wordsFrom(fmt.Sprint(i), 9))
		j.Prompts = append(j.Prompts, instruction(text))
	}
	calls, err := llm.OpenCalls(filepath.Join(t.TempDir(), CallsFile))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { calls.Close() })
	j.Calls = calls
	return j
}

// do does a job, and checks that each item is in one state.
func do(t *testing.T, j *Job, w *writer) []*Item {
	t.Helper()
	items, err := j.Do(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	addUp(t, items)
	return items
}

// said is what became of an item.
func said(it *Item) string {
	return fmt.Sprintf("%s: %s at %s, %s: %s; %d words", it.ID, it.State, it.Stage, it.Reason, it.Evidence, it.Words)
}

func addUp(t *testing.T, items []*Item) {
	t.Helper()
	c := Count(items)
	n := c.Taken
	for _, k := range c.Waiting {
		n += k
	}
	for _, reasons := range c.Dropped {
		for reason, k := range reasons {
			if reason == "" {
				t.Error("items are left out for no reason")
			}
			n += k
		}
	}
	if n != c.Instructions {
		t.Errorf("%d items are in a state, want %d", n, c.Instructions)
	}
	for _, it := range items {
		if (it.State == Dropped) != (it.Reason != "") || it.State == Taken && (it.Stage != Export || it.Text == "") {
			t.Errorf("item %s", said(it))
		}
	}
}

func TestAParagraphFollowsTheOnesBefore(t *testing.T) {
	w := &writer{}
	it := do(t, newJob(t, 1), w)[0]
	if it.State != Taken || len(it.Paragraphs) != 3 || it.Text != strings.Join(it.Paragraphs, "\n\n") || it.Words != 3*350 {
		t.Errorf("item %s", said(it))
	}
	if len(w.asked) != 4 {
		t.Fatalf("%d requests, want a plan and three paragraphs", len(w.asked))
	}
	for k, r := range w.asked[1:] {
		text := last(r)
		so := "Already written text:\n\n" + strings.Join(it.Paragraphs[:k], "\n\n") + "\n\nPlease integrate"
		next := "continue writing " + it.Plan[k].Line + ". If needed"
		for _, want := range []string{"\n\n" + it.Prompt + "\n\n", it.Plan.String(), so, next} {
			if !strings.Contains(text, want) {
				t.Errorf("the prompt for paragraph %d lacks %q:\n%s", k+1, want, text)
			}
		}
	}
}

func TestNamesOfThePromptsInAnInstructionStayAsTheyAre(t *testing.T) {
	w := &writer{}
	j := newJob(t, 0)
	j.Prompts = []record.Prompt{instruction("Explain in 1,000 words what $TEXT$, $PLAN$, $INST$ and $STEP$ mean.")}
	j.Filter.Leftovers = false
	if it := do(t, j, w)[0]; it.State != Taken {
		t.Errorf("item %s", said(it))
	}
	for _, r := range w.asked {
		if strings.Count(last(r), "what $TEXT$, $PLAN$, $INST$ and $STEP$ mean") != 1 {
			t.Errorf("the instruction has changed:\n%s", last(r))
		}
	}
}

func TestWhatIsWrongIsAskedAgainAndThenEndsTheItem(t *testing.T) {
	paragraph := func(r llm.Request) bool { return strings.Contains(last(r), "continue writing Paragraph 2") }
	plan := func(r llm.Request) bool { return !strings.Contains(last(r), "continue writing") }
	for name, c := range map[string]struct {
		of     func(llm.Request) bool
		reply  llm.Reply
		stage  Stage
		reason string
	}{
		"a plan without paragraphs": {plan, llm.Reply{Text: "I would write about many things.", Stop: llm.StopEOS}, Plan, badPlan},
		"a plan of one paragraph": {plan, llm.Reply{Text: "Paragraph 1 - Main Point: all - Word Count: 1000 words", Stop: llm.StopEOS},
			Plan, badPlan},
		"a plan that is cut off":      {plan, llm.Reply{Text: goodPlan, Stop: llm.StopLength}, Plan, truncated},
		"a paragraph that is cut off": {paragraph, llm.Reply{Text: "It was a dark and", Stop: llm.StopLength}, Write, truncated},
		"a paragraph in a loop":       {paragraph, llm.Reply{Text: "and and and", Stop: llm.StopLoop}, Write, looped},
		"an empty paragraph":          {paragraph, llm.Reply{Text: " \n", Stop: llm.StopEOS}, Write, empty},
		"a refusal": {paragraph, llm.Reply{Text: "I'm sorry, but I can't assist with that.", Stop: llm.StopEOS},
			Write, sift.Refusal},
		"the text of an error":         {paragraph, llm.Reply{Text: "Max tries. Failed.", Stop: llm.StopEOS}, Write, sift.ErrorText},
		"a content filter's":           {paragraph, llm.Reply{Failed: "content filter: status 400"}, Write, "content_filter"},
		"a request that is too busy":   {paragraph, llm.Reply{Failed: "busy: 429 after 7 tries: x"}, Write, "busy"},
		"one that the server refuses":  {paragraph, llm.Reply{Failed: "refused: status 400: context"}, Write, "refused"},
		"one whose stream was cut off": {paragraph, llm.Reply{Text: "It was", Failed: "cut: the connection was lost"}, Write, "cut"},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJob(t, 3)
			bad := j.Prompts[1].Messages[0].Content
			w := &writer{says: func(r llm.Request) *llm.Reply {
				if strings.Contains(r.Messages[0].Content, bad) && c.of(r) {
					return &c.reply
				}
				return nil
			}}
			items := do(t, j, w)
			if it := items[1]; it.State != Dropped || it.Stage != c.stage || it.Reason != c.reason || it.Evidence == "" || it.Text != "" {
				t.Errorf("item %s", said(it))
			}
			if items[0].State != Taken || items[2].State != Taken {
				t.Errorf("the others: %s, %s", said(items[0]), said(items[2]))
			}
			tries := 0
			for _, r := range w.asked {
				if strings.Contains(r.Messages[0].Content, bad) && c.of(r) {
					tries++
				}
			}
			if tries != j.Tries {
				t.Errorf("asked %d times, want %d", tries, j.Tries)
			}
		})
		t.Run(name+", once", func(t *testing.T) {
			j, times := newJob(t, 1), 0
			w := &writer{says: func(r llm.Request) *llm.Reply {
				if times++; c.of(r) && times <= 2 {
					return &c.reply
				}
				return nil
			}}
			if it := do(t, j, w)[0]; it.State != Taken || it.Words != 3*350 {
				t.Errorf("item %s", said(it))
			}
		})
	}
}

func TestAPlanIsAskedForAgainWithWhatWasWrong(t *testing.T) {
	w := &writer{says: func(r llm.Request) *llm.Reply {
		if len(r.Messages) == 1 && strings.HasPrefix(last(r), "I need you") {
			return &llm.Reply{Text: "Paragraph 1 - Main Point: all - Word Count: 1000 words", Stop: llm.StopEOS}
		}
		return nil
	}}
	do(t, newJob(t, 1), w)
	again := w.asked[1].Messages
	const wrong = "This plan can't be used: the plan has 1 paragraph, want at least 2."
	if len(again) != 3 || again[1].Role != "assistant" || !strings.HasPrefix(again[2].Content, wrong) {
		t.Errorf("asked again with %+v", again)
	}
}

func TestParagraphsByThemselves(t *testing.T) {
	w := &writer{}
	j := newJob(t, 2)
	j.Variant = "parallel"
	for _, it := range do(t, j, w) {
		if it.State != Taken || it.Text != strings.Join(it.Paragraphs, "\n\n") || slices.Contains(it.Paragraphs, "") {
			t.Errorf("item %s", said(it))
		}
	}
	for _, r := range w.asked {
		if strings.Contains(last(r), "Already written") {
			t.Errorf("a paragraph is shown others:\n%s", last(r))
		}
	}
}

// longerBy makes the halves of texts longer by a factor.
func longerBy(by float64) *writer {
	return &writer{says: func(r llm.Request) *llm.Reply {
		text := last(r)
		if strings.HasPrefix(text, "You decide whether") {
			return nil
		}
		words := 300
		for _, part := range []string{"First half of the text:\n\n", "Notes on the rest:\n\n"} {
			if _, shown, ok := strings.Cut(text, part); ok {
				shown, _, _ = strings.Cut(shown, "\n\nOnly output")
				words = int(by * float64(prose.Words(shown)))
			}
		}
		return &llm.Reply{Text: wordsFrom(text, words), Tokens: 400, Stop: llm.StopEOS}
	}}
}

func TestATextIsMadeLongerHalfByHalf(t *testing.T) {
	for name, c := range map[string]struct {
		by           float64
		asked, texts int
		reason       string
	}{
		"until it is long enough":             {2, 700, 3, ""},
		"as often as there are rounds":        {2, 8000, 4, sift.LengthOff},
		"not where it does not become longer": {1.1, 1000, 1, sift.LengthOff},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJob(t, 0)
			j.Variant = "extend"
			j.Prompts = []record.Prompt{instruction(fmt.Sprintf("Write %d words on glass.", c.asked))}
			it := do(t, j, longerBy(c.by))[0]
			if len(it.Paragraphs) != c.texts || it.Reason != c.reason {
				t.Errorf("%d texts, want %d; item %s", len(it.Paragraphs), c.texts, said(it))
			}
		})
	}
}

func TestAJobGoesOnWithoutPayingTwice(t *testing.T) {
	const n = 5
	whole := do(t, newJob(t, n), &writer{})
	for stop := 1; stop < 4*n; stop += 3 {
		j := newJob(t, n)
		w := &writer{most: stop}
		if _, err := j.Do(t.Context(), w); !errors.Is(err, errStopped) {
			t.Fatal(err)
		}
		w.most = 0
		items := do(t, j, w)
		if len(w.asked) != 4*n {
			t.Errorf("stopped after %d: %d requests, want %d", stop, len(w.asked), 4*n)
		}
		if !slices.EqualFunc(items, whole, func(a, b *Item) bool { return reflect.DeepEqual(a, b) }) {
			t.Errorf("stopped after %d: other items", stop)
		}
	}
}

func TestMoreInstructionsAndOtherFiltersPayForNothingAgain(t *testing.T) {
	j, w := newJob(t, 6), &writer{}
	all := j.Prompts
	j.Prompts = all[:4]
	do(t, j, w)
	before := len(w.asked)
	j.Prompts = all
	do(t, j, w)
	if n := len(w.asked) - before; n != 2*4 {
		t.Errorf("two more instructions took %d requests, want 8", n)
	}
	before = len(w.asked)
	j.Filter.MinLengthScore = 99.9
	items := do(t, j, w)
	if len(w.asked) != before || Count(items).Dropped[Filter][sift.LengthOff] != 6 {
		t.Errorf("%d requests, %+v", len(w.asked)-before, Count(items))
	}
}

func TestStagesByThemselves(t *testing.T) {
	j, w := newJob(t, 3), &writer{}
	for _, c := range []struct {
		stage    Stage
		requests int
		waits    Stage
	}{
		{Filter, 0, Plan}, {Select, 0, Plan}, {Write, 0, Plan}, {Plan, 3, Write}, {Filter, 0, Write}, {Write, 9, Filter},
		{Filter, 0, Export}, {Plan, 0, Filter},
	} {
		j.Only = c.stage
		before := len(w.asked)
		items := do(t, j, w)
		if n := len(w.asked) - before; n != c.requests || Count(items).Waiting[c.waits] != 3 {
			t.Errorf("%s: %d requests, want %d; %+v, want them to wait for %s", c.stage, n, c.requests, Count(items), c.waits)
		}
	}
	j.Only = Export
	before := len(w.asked)
	if items := do(t, j, w); len(w.asked) != before || Count(items).Taken != 3 {
		t.Errorf("export: %d requests, %+v", len(w.asked)-before, Count(items))
	}
}

func TestTheModelIsAskedWhatNeedsALongAnswer(t *testing.T) {
	j := newJob(t, 3)
	j.Select.AskModel, j.Select.Most = true, 1
	no := j.Prompts[0].Messages[0].Content
	w := &writer{says: func(r llm.Request) *llm.Reply {
		if strings.Contains(last(r), no) {
			return &llm.Reply{Text: "No.", Stop: llm.StopEOS}
		}
		return nil
	}}
	items := do(t, j, w)
	if items[0].Reason != sift.NotLong || items[1].State != Taken || items[2].Reason != sift.Surplus {
		t.Errorf("%s\n%s\n%s", said(items[0]), said(items[1]), said(items[2]))
	}
}

func TestTheBudgetEndsAJobWhichGoesOnWithMore(t *testing.T) {
	j, w := newJob(t, 5), &writer{}
	j.Writer.Price = Price{Input: 1, Output: 2} // 0.0011 a call
	j.Budget = 0.0060
	items, err := j.Do(t.Context(), w)
	if !errors.Is(err, ErrBudget) || len(w.asked) != 6 || Count(items).Taken != 1 {
		t.Fatalf("%v after %d requests, %+v", err, len(w.asked), Count(items))
	}
	addUp(t, items)
	if _, err = j.Do(t.Context(), w); !errors.Is(err, ErrBudget) || len(w.asked) != 6 {
		t.Errorf("again: %v after %d requests", err, len(w.asked))
	}
	j.Budget = 1
	if items := do(t, j, w); len(w.asked) != 20 || Count(items).Taken != 5 {
		t.Errorf("%d requests, %+v", len(w.asked), Count(items))
	}
}

func TestAModelHasNoRoomForALongPrompt(t *testing.T) {
	j := newJob(t, 1)
	j.Room = func(r llm.Request) int { return 4000 - len(last(r)) }
	if it := do(t, j, &writer{})[0]; it.Stage != Write || it.Reason != noRoom {
		t.Errorf("item %s", said(it))
	}
}

func TestWhatIsTrainedOn(t *testing.T) {
	j := newJob(t, 0)
	j.PlanInOutput = true
	j.Prompts = []record.Prompt{{ID: json.RawMessage(`"a"`), Messages: []chat.Message{
		{Role: "system", Content: "Be kind."}, {Role: "user", Content: "Write 1,000 words on <glass> & sand."},
	}}, instruction("Write 20 words on sand.")}
	items := do(t, j, &writer{})
	dir := t.TempDir()
	if err := j.Save(dir, Manifest{Begun: "now"}); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, TrainFile))
	if err != nil {
		t.Fatal(err)
	}
	var got line
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	want := []llm.Message{
		{Role: "system", Content: "Be kind."}, {Role: "user", Content: "Write 1,000 words on <glass> & sand."},
		{Role: "assistant", Content: items[0].Plan.String() + "\n\n" + items[0].Text},
	}
	if !reflect.DeepEqual(got.Messages, want) {
		t.Errorf("got %+v\nwant %+v", got.Messages, want)
	}
	raw, err = os.ReadFile(filepath.Join(dir, DroppedFile))
	left := `{"id":"2","stage":"select","reason":"too_short_ask","evidence":"20 words are asked for, want at least 500"}` + "\n"
	if err != nil || string(raw) != left {
		t.Errorf("%s: %s (%v), want %s", DroppedFile, raw, err, left)
	}
	raw, err = os.ReadFile(filepath.Join(dir, ManifestFile))
	var m Manifest
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	c := m.Counts
	if err != nil || c.Instructions != 2 || c.Taken != 1 || c.Dropped[Select][sift.TooShortAsk] != 1 || m.Spent.Calls != 4 {
		t.Errorf("manifest %+v (%v)", m, err)
	}
}

func TestTheOutlookIsWhatAGoodWriterTakes(t *testing.T) {
	j, w := newJob(t, 4), &writer{}
	o := j.Outlook()
	do(t, j, w)
	if o.Selected != 4 || o.Words != 4000 || o.Calls != len(w.asked) {
		t.Errorf("%+v, and %d requests", o, len(w.asked))
	}
}
