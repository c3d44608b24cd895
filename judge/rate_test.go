package judge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"lwtrain/internal/llm"
)

// scripted is a judge that replies as its function says, last request first.
type scripted struct {
	reply func(r llm.Request) llm.Reply
	asked []llm.Request
}

func (s *scripted) Converse(_ context.Context, requests []llm.Request, done func(i int, r llm.Reply) ([]llm.Request, error)) error {
	for i := len(requests) - 1; i >= 0; i-- {
		s.asked = append(s.asked, requests[i])
		if _, err := done(i, s.reply(requests[i])); err != nil {
			return err
		}
	}
	return nil
}

// tryOf is which try a request is.
func tryOf(r llm.Request) int {
	for try := range 10 {
		if r.Sampling.Seed == seedOf(try) {
			return try
		}
	}
	panic("a request of no try")
}

func says(text string) func(llm.Request) llm.Reply {
	return func(llm.Request) llm.Reply { return llm.Reply{Text: text, Stop: llm.StopEOS} }
}

// probable is a reply of a mark with the probabilities of 1 to 5.
func probable(mark string, p ...float64) llm.Reply {
	token := []llm.Candidate{{Token: "the", Logprob: math.Log(0.01)}}
	for i, p := range p {
		token = append(token, llm.Candidate{Token: fmt.Sprint(" ", i+1), Logprob: math.Log(p)})
	}
	return llm.Reply{Text: mark, Stop: llm.StopEOS, Logprobs: [][]llm.Candidate{{{Token: "\n", Logprob: -0.01}}, token}}
}

func rate(t *testing.T, from llm.Answerer, j Judge, cases ...Case) []Verdict {
	t.Helper()
	got, told := make([]Verdict, len(cases)), map[int]int{}
	err := Rate(t.Context(), from, j, cases, func(i int, v Verdict) error {
		got[i] = v
		told[i]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range cases {
		if told[i] != 1 {
			t.Errorf("case %d is told %d times", i, told[i])
		}
	}
	return got
}

var two = []Case{{ID: "a", Prompt: "Write on rain.", Text: "It rains."}, {ID: "b", Prompt: "Write on snow.", Text: "It snows."}}

func TestAStrictJudgesMarksAreMeansByTheirProbabilities(t *testing.T) {
	s := &scripted{reply: func(r llm.Request) llm.Reply {
		if strings.Contains(r.Messages[0].Content, "Clarity: ") {
			return probable("4", 0, 0, 0.2, 0.6, 0.1)
		}
		return probable("5", 0, 0, 0, 0, 1)
	}}
	for i, v := range rate(t, s, Judge{Name: "m", Mode: Strict}, two...) {
		want := (0.2*3 + 0.6*4 + 0.1*5) / 0.9
		if math.Abs(v.Marks["Clarity"]-want) > 1e-12 || v.Marks["Accuracy"] != 5 || len(v.Attempts) != 6 || v.Chunked {
			t.Errorf("%d: %+v", i, v)
		}
		if q := (25*(want-1) + 500) / 6; v.Quality == nil || math.Abs(*v.Quality-q) > 1e-12 {
			t.Errorf("%d: quality %v, want %v", i, v.Quality, q)
		}
		for k, a := range v.Attempts {
			if a.ID != two[i].ID || a.Dimension != Dimensions[k] || a.Status != Scored || a.Judge != "m" || a.Raw == "" {
				t.Errorf("%+v", a)
			}
		}
	}
	for _, r := range s.asked {
		if r.MaxTokens != 16 || r.TopLogprobs != 20 || r.Sampling.Temperature != 0 {
			t.Errorf("asked with %+v", r)
		}
	}
}

func TestAStrictJudgeWithoutProbabilitiesIsAskedThreeTimes(t *testing.T) {
	n := 0
	s := &scripted{reply: func(r llm.Request) llm.Reply {
		n++
		return llm.Reply{Text: []string{"3", "4", "4"}[tryOf(r)%3], Stop: llm.StopEOS}
	}}
	got := rate(t, s, Judge{Name: "m", Mode: Strict}, two...)
	for _, v := range got {
		for _, d := range Dimensions {
			if math.Abs(v.Marks[d]-11.0/3) > 1e-12 {
				t.Errorf("%s: %v", d, v.Marks[d])
			}
		}
	}
	if n != 1+2*6*3 || len(got[0].Attempts) != 19 || len(got[1].Attempts) != 18 {
		t.Errorf("%d calls, want one that finds out and three for each dimension", n)
	}
	for _, r := range s.asked[1:] {
		if r.Sampling.Temperature != 0.7 || r.TopLogprobs != 0 || r.MaxTokens != 16 || tryOf(r) < 1 || tryOf(r) > 3 {
			t.Errorf("asked with %+v", r)
		}
	}
}

func TestAJudgeThatThinksMayDoSo(t *testing.T) {
	s := &scripted{reply: func(r llm.Request) llm.Reply {
		if r.MaxTokens < thinkTokens {
			return llm.Reply{Reasoning: "let me see, 3", Stop: llm.StopLength}
		}
		return llm.Reply{Reasoning: "let me see, 3", Text: "4", Stop: llm.StopEOS}
	}}
	if v := rate(t, s, Judge{Name: "m", Mode: Strict}, two...)[1]; v.Quality == nil || *v.Quality != 75 {
		t.Errorf("%+v", v)
	}
}

func TestWhatIsNotScoredIsNoNumber(t *testing.T) {
	whole := strings.Replace(six, "Good, if long.", "x", 1)
	for name, c := range map[string]struct {
		mode   Mode
		reply  func(r llm.Request) llm.Reply
		marks  int
		calls  int // about the first case
		status string
	}{
		"paper, at once":         {Paper, says(whole), 6, 1, Scored},
		"paper, never":           {Paper, says("I like it"), 0, 5, ParseError},
		"paper, a half":          {Paper, says(strings.Replace(whole, ": 4", ": 4.5", 1)), 0, 5, ParseError},
		"paper, a dimension off": {Paper, says(strings.Replace(whole, "Clarity", "Charity", 1)), 0, 5, ParseError},
		"paper, the third time": {Paper, func(r llm.Request) llm.Reply {
			if tryOf(r) == 2 {
				return llm.Reply{Text: whole}
			}
			return llm.Reply{Text: "{}"}
		}, 6, 3, Scored},
		"paper, refused":  {Paper, func(llm.Request) llm.Reply { return llm.Reply{Failed: "refused: status 400: x"} }, 0, 1, Refused},
		"paper, withheld": {Paper, func(llm.Request) llm.Reply { return llm.Reply{Failed: "content filter: x"} }, 0, 1, Refused},
		"paper, cut":      {Paper, func(llm.Request) llm.Reply { return llm.Reply{Text: whole, Failed: "cut: x"} }, 0, 1, TransportError},
		"strict, never":   {Strict, says("I like it"), 0, 19, ParseError},
		"strict, cut":     {Strict, func(llm.Request) llm.Reply { return llm.Reply{Text: "4", Failed: "cut: x"} }, 0, 6, TransportError},
		"strict, one sample of three": {Strict, func(r llm.Request) llm.Reply {
			return llm.Reply{Text: []string{"?", "?", "4"}[tryOf(r)%3]}
		}, 0, 19, ParseError},
		"strict, two samples of three": {Strict, func(r llm.Request) llm.Reply {
			return llm.Reply{Text: []string{"?", "4", "4"}[tryOf(r)%3]}
		}, 6, 19, ParseError},
		"strict, probabilities of another mark": {Strict, func(r llm.Request) llm.Reply {
			if r.TopLogprobs > 0 {
				return probable("2", 0.1, 0.1, 0.1, 0.6, 0.1)
			}
			return llm.Reply{Text: "2"}
		}, 6, 24, Scored},
		"strict, one dimension is not": {Strict, func(r llm.Request) llm.Reply {
			if strings.Contains(r.Messages[0].Content, "Clarity: ") {
				return llm.Reply{Text: "good"}
			}
			return probable("4", 0, 0, 0, 1, 0)
		}, 5, 9, Scored},
	} {
		t.Run(name, func(t *testing.T) {
			v := rate(t, &scripted{reply: c.reply}, Judge{Name: "m", Mode: c.mode}, two...)[0]
			if len(v.Marks) != c.marks || (v.Quality != nil) != (c.marks == 6) || len(v.Attempts) != c.calls {
				t.Errorf("%d marks, quality %v, %d attempts, want %d, %d", len(v.Marks), v.Quality, len(v.Attempts), c.marks, c.calls)
			}
			if a := v.Attempts[0]; c.calls == 1 && a.Status != c.status || a.Status != Scored && (a.Value != nil || a.Reason == "") {
				t.Errorf("%+v, want %s", a, c.status)
			}
			for _, a := range v.Attempts {
				if (a.Value != nil) != (a.Status == Scored) {
					t.Errorf("%+v", a)
				}
			}
		})
	}
}

func TestAPaperJudgeIsAskedAsLongBenchWriteAsks(t *testing.T) {
	s := &scripted{reply: says("no")}
	rate(t, s, Judge{Name: "m", Mode: Paper}, two[0])
	for i, r := range s.asked {
		if r.MaxTokens != 1024 || r.Sampling.Temperature != 0.5 || tryOf(r) != i || r.TopLogprobs != 0 {
			t.Errorf("asked with %+v", r)
		}
	}
}

func TestALongTextIsRatedInParts(t *testing.T) {
	var text strings.Builder
	for i := range 100 {
		fmt.Fprintf(&text, "Paragraph %d. %s\n\n", i, strings.Repeat("word ", 50))
	}
	long := Case{ID: "a", Prompt: "Write.", Text: text.String()}
	s := &scripted{reply: func(r llm.Request) llm.Reply {
		if strings.Contains(r.Messages[0].Content, "part 4 of 4") {
			return probable("1", 1, 0, 0, 0, 0)
		}
		return probable("5", 0, 0, 0, 0, 1)
	}}
	got := rate(t, s, Judge{Name: "m", Mode: Strict, Words: 4000}, long, two[0])
	if !got[0].Chunked || got[1].Chunked || len(got[0].Attempts) != 4*6 || got[0].Attempts[6].Part != 2 || got[1].Attempts[0].Part != 0 {
		t.Fatalf("%+v", got)
	}
	parts := partsOf(long.Text, 4000)
	all, last := 0, size(parts[3])
	for _, p := range parts {
		all += size(p)
	}
	want := (5*float64(all-last) + float64(last)) / float64(all)
	if m := got[0].Marks["Clarity"]; math.Abs(m-want) > 1e-12 {
		t.Errorf("the mark is %v, want %v, the mean by words", m, want)
	}
	s.reply = func(r llm.Request) llm.Reply {
		if strings.Contains(r.Messages[0].Content, "part 2 of 4") {
			return llm.Reply{Text: "none", Logprobs: [][]llm.Candidate{}}
		}
		return probable("5", 0, 0, 0, 0, 1)
	}
	if v := rate(t, s, Judge{Name: "m", Mode: Strict, Words: 4000}, long)[0]; len(v.Marks) != 0 || v.Quality != nil {
		t.Errorf("a part without a mark: %+v", v.Marks)
	}
}

func TestPartsAreTheText(t *testing.T) {
	for name, text := range map[string]string{
		"paragraphs":                   strings.Repeat(strings.Repeat("word ", 100)+"\n\n", 60),
		"a paragraph of sentences":     strings.Repeat("This is a sentence of some words. ", 1000),
		"a sentence":                   strings.Repeat("word ", 5000),
		"a word":                       strings.Repeat("x", 50000),
		"Chinese":                      strings.Repeat("这是一句话。", 2000),
		"Chinese without an end":       strings.Repeat("这是一句话", 2000),
		"Russian":                      strings.Repeat("Это предложение. ", 3000),
		"blank lines":                  strings.Repeat("\n", 20000) + strings.Repeat("word ", 2000),
		"what is no text":              strings.Repeat("\xff\xfe", 20000),
		"a paragraph between two more": "a.\n" + strings.Repeat("word ", 3000) + "\nb.\n",
	} {
		parts := partsOf(text, 1000)
		if strings.Join(parts, "") != text {
			t.Errorf("%s: the parts are not the text", name)
		}
		for _, p := range parts {
			if n := size(p); n > 1000 {
				t.Errorf("%s: a part of %d words, want at most 1000", name, n)
			}
		}
		if len(parts) < 2 || len(partsOf(text, 0)) != 1 || len(partsOf(text, 1<<30)) != 1 {
			t.Errorf("%s: %d parts", name, len(parts))
		}
	}
}

func TestRatingEndsWithTheFirstError(t *testing.T) {
	full := errors.New("the disk is full")
	s := &scripted{reply: func(llm.Request) llm.Reply { return probable("4", 0, 0, 0, 1, 0) }}
	if err := Rate(t.Context(), s, Judge{Mode: Strict}, two, func(int, Verdict) error { return full }); err != full {
		t.Errorf("got %v", err)
	}
	if err := Rate(t.Context(), s, Judge{Mode: Pair}, two, nil); err == nil || !strings.Contains(err.Error(), "want strict or paper") {
		t.Errorf("got %v", err)
	}
	if err := Rate(t.Context(), s, Judge{Mode: Strict}, nil, nil); err != nil {
		t.Errorf("nothing to rate: %v", err)
	}
}

func TestRatingsThatAreKeptAreNotPaidForAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.jsonl")
	s := &scripted{reply: func(r llm.Request) llm.Reply { return llm.Reply{Text: fmt.Sprint(1 + tryOf(r)%5)} }}
	var first []Verdict
	for again := range 2 {
		calls, err := llm.OpenCalls(path)
		if err != nil {
			t.Fatal(err)
		}
		got := rate(t, calls.Keep(s, "m"), Judge{Name: "m", Mode: Strict}, two...)
		if again > 0 && (!reflect.DeepEqual(got, first) || len(s.asked) != 37) {
			t.Errorf("%d calls, got %+v, want %+v", len(s.asked), got, first)
		}
		first = got
		calls.Close()
	}
}

func TestAChecklistIsRatedInsteadOfTheDimensions(t *testing.T) {
	cases := []Case{
		{ID: "a", Prompt: "p", Text: "x", Checklist: []Criterion{{"1 Tone", "is it warm?"}, {"2 Facts", "are they right?"}}},
		{ID: "b", Prompt: "q", Text: "y", Checklist: []Criterion{{"1", "is it long?"}}},
	}
	s := &scripted{reply: func(r llm.Request) llm.Reply {
		switch prompt := r.Messages[0].Content; {
		case strings.Contains(prompt, "1 Tone: is it warm?\n"):
			return probable("5", 0, 0, 0, 0, 1)
		case strings.Contains(prompt, "2 Facts: are they right?\n"):
			return probable("2", 0, 1, 0, 0, 0)
		}
		return llm.Reply{Text: "I do not know.", Stop: llm.StopEOS}
	}}
	got := rate(t, s, Judge{Name: "m", Mode: Checklist}, cases...)
	if m := got[0].Marks; len(m) != 2 || m["1 Tone"] != 5 || m["2 Facts"] != 2 || got[0].Quality == nil || *got[0].Quality != 62.5 {
		t.Errorf("%v, quality %v", m, got[0].Quality)
	}
	if got[1].Quality != nil || len(got[1].Marks) != 0 {
		t.Errorf("what was not rated has marks: %v", got[1])
	}
	if err := Rate(t.Context(), s, Judge{Mode: Checklist}, two, nil); err == nil || !strings.Contains(err.Error(), "a has no checklist") {
		t.Errorf("a case without a checklist: %v", err)
	}
}
