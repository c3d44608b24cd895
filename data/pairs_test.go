package data

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/chat"
	"lwtrain/internal/fault"
	"lwtrain/tokenizer"
)

// pairText is a pair as text: the roles and contents of prompt | chosen | rejected.
func pairText(e example) string {
	if e.rejected == nil {
		return "no pair"
	}
	var sides []string
	n := e.first
	for _, list := range [][]chat.Message{e.messages[:n], e.messages[n:], e.rejected.messages[n:]} {
		var parts []string
		for _, m := range list {
			parts = append(parts, m.Role[:1]+" "+m.Content)
		}
		sides = append(sides, strings.Join(parts, ", "))
	}
	return strings.Join(sides, " | ")
}

func parsePair(text string) (example, error) {
	return Source{Format: preferenceFormat}.layout().parse([]byte(text))
}

func TestPairsAreReadInEveryForm(t *testing.T) {
	for name, c := range map[string]struct{ record, want string }{
		"text and a prompt":             {`{"prompt": "hi", "chosen": "a", "rejected": "b"}`, "u hi | a a | a b"},
		"messages and a prompt of them": {`{"prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}], "chosen": {"role": "assistant", "content": "a"}, "rejected": [{"role": "assistant", "content": "b"}]}`, "s s, u hi | a a | a b"},
		"ShareGPT's names":              {`{"conversations": [{"from": "human", "value": "hi"}], "chosen": {"from": "gpt", "value": "a"}, "rejected": {"from": "gpt", "value": "b"}}`, "u hi | a a | a b"},
		"a prompt under messages":       {`{"messages": [{"role": "user", "content": "hi"}], "chosen": "a", "rejected": "b"}`, "u hi | a a | a b"},
		"instruction, input, system":    {`{"system": "s", "instruction": "hi", "input": "there", "chosen": "a", "rejected": "b"}`, "s s, u hi\nthere | a a | a b"},
		"instruction and history":       {`{"instruction": "hi", "history": [["q", "x"]], "chosen": "a", "rejected": "b"}`, "u q, a x, u hi | a a | a b"},
		"the prompt found":              {`{"chosen": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "a"}], "rejected": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "b"}]}`, "u hi | a a | a b"},
		"the prompt found behind turns": {`{"chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "x"}, {"role": "user", "content": "hi"}, {"role": "assistant", "content": "a"}], "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "x"}, {"role": "user", "content": "hi"}, {"role": "assistant", "content": "b"}]}`, "u q, a x, u hi | a a | a b"},
		"a prompt beside messages":      {`{"prompt": "hi", "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "a"}], "chosen": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "a"}], "rejected": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "b"}], "score_chosen": 9.5}`, "u hi | a a | a b"},
		"texts of one beginning":        {`{"chosen": "Say something. Well then", "rejected": "Say something. Wise men"}`, "u Say something. | a Well then | a Wise men"},
		"transcripts of Anthropic's":    {`{"chosen": "\n\nHuman: q\n\nAssistant: x\n\nHuman: hi\n\nAssistant: a", "rejected": "\n\nHuman: q\n\nAssistant: x\n\nHuman: hi\n\nAssistant: b"}`, "u q, a x, u hi | a a | a b"},
		"the prompt repeated":           {`{"prompt": "hi", "chosen": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "a"}], "rejected": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "b"}]}`, "u hi | a a | a b"},
		"answers of several turns":      {`{"prompt": "hi", "chosen": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "more"}, {"role": "assistant", "content": "c"}], "rejected": "b"}`, "u hi | a a, u more, a c | a b"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := parsePair(c.record)
			if err != nil || pairText(p) != c.want {
				t.Errorf("got %q, %v, want %q", pairText(p), err, c.want)
			}
		})
	}
}

func TestBrokenPairsSayWhy(t *testing.T) {
	for name, c := range map[string]struct{ record, reason string }{
		"equal answers":                  {`{"prompt": "hi", "chosen": "a", "rejected": "a"}`, "equal_answers"},
		"equal conversations":            {`{"chosen": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "a"}], "rejected": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "a"}]}`, "equal_answers"},
		"an empty side":                  {`{"prompt": "hi", "chosen": "a", "rejected": " "}`, "empty_answer"},
		"a side without messages":        {`{"prompt": "hi", "chosen": "a", "rejected": []}`, "empty_answer"},
		"prompts that differ":            {`{"chosen": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "a"}], "rejected": [{"role": "user", "content": "ho"}, {"role": "assistant", "content": "b"}]}`, "prompts_differ"},
		"a second question that differs": {`{"chosen": [{"role": "user", "content": "q"}, {"role": "user", "content": "hi"}, {"role": "assistant", "content": "a"}], "rejected": [{"role": "user", "content": "q"}, {"role": "user", "content": "ho"}, {"role": "assistant", "content": "b"}]}`, "prompts_differ"},
		"no prompt":                      {`{"chosen": "a", "rejected": "b"}`, "no_prompt"},
		"two prompts":                    {`{"prompt": "hi", "instruction": "hi", "chosen": "a", "rejected": "b"}`, "invalid_prompt"},
		"a prompt that is answered":      {`{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "x"}], "chosen": "a", "rejected": "b"}`, "invalid_prompt"},
		"an instruction of no messages":  {`{"instruction": [], "input": "x", "chosen": "a", "rejected": "b"}`, "invalid_instruction"},
		"history of three":               {`{"instruction": "x", "history": [["a", "b", "c"]], "chosen": "a", "rejected": "b"}`, "invalid_history"},
		"an empty prompt":                {`{"prompt": [], "chosen": "a", "rejected": "b"}`, "empty_prompt"},
		"no rejected answer":             {`{"prompt": "hi", "chosen": "a"}`, "no_pair"},
		"an answer that is a number":     {`{"prompt": "hi", "chosen": 1, "rejected": "b"}`, "invalid_messages"},
		"an answer that is null":         {`{"prompt": "hi", "chosen": null, "rejected": "b"}`, "no_pair"},
		"a message that is null":         {`{"prompt": "hi", "chosen": [null], "rejected": "b"}`, "invalid_messages"},
		"an answer of the user":          {`{"prompt": "hi", "chosen": "a", "rejected": {"role": "user", "content": "b"}}`, "prompts_differ"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parsePair(c.record)
			var b *badRecord
			if !errors.As(err, &b) || b.reason != c.reason {
				t.Errorf("got %v, want the reason %s", err, c.reason)
			}
		})
	}
}

func FuzzParsePair(f *testing.F) {
	f.Add([]byte(`{"conversations": [{"from": "human", "value": "hi"}], "chosen": {"from": "gpt", "value": "a"}, "rejected": [{"role": "assistant", "content": "b"}]}`))
	f.Add([]byte(`{"instruction": "a", "input": "b", "history": [["a", "b"]], "system": "x", "chosen": "a", "rejected": "b"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := parsePair(string(line))
		if err == nil && (e.first == 0 || len(e.messages) <= e.first || len(e.rejected.messages) <= e.first) {
			t.Errorf("%q is a pair without a side", line)
		}
	})
}

func buildPairs(t *testing.T, name, text string, change func(*Options)) (*Set, error) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	template, err := chat.Open(tokenizer.Bytes(), "auto")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Sources: []Source{{Name: "p", Path: path, LossFactor: 1}}, MaxLength: 200, TooLong: "skip", OnBadRecord: "skip", CacheDir: filepath.Join(dir, "cache")}
	if change != nil {
		change(&o)
	}
	s, err := Build(context.Background(), o, template, Run{Seed: 1, Pairs: true})
	if err == nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, err
}

const fourPairs = `[
  {"conversations": [{"from": "human", "value": "one"}, {"from": "gpt", "value": "answered"}, {"from": "human", "value": "two"}],
   "chosen": {"from": "gpt", "value": "long"}, "rejected": {"from": "gpt", "value": "s"}},
  {"prompt": "same", "chosen": "x", "rejected": "x"},
  {"prompt": "three", "chosen": "yes", "rejected": "no"}, {"prompt": "four", "chosen": "yes sir", "rejected": "no sir"}
]`

func TestAnArrayOfPairsBecomesAStore(t *testing.T) {
	s, err := buildPairs(t, "p.json", fourPairs, func(o *Options) { o.HeldOut.Count = 1 })
	if err != nil {
		t.Fatal(err)
	}
	if n, m := len(s.Pairs()), len(s.HeldOutPairs()); n != 2 || m != 1 {
		t.Errorf("%d pairs to train on and %d held out, want 2 and 1", n, m)
	}
	if got := fmt.Sprint(s.Mix().Dropped); got != "map[equal_answers:1]" {
		t.Errorf("dropped %v", got)
	}
	var lines []int
	for _, p := range slices.Concat(s.Pairs(), s.HeldOutPairs()) {
		c, err := s.Sample(p.Chosen)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Sample(p.Rejected)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, c.Line)
		if c.Line != r.Line || len(c.Target) != 1 || len(r.Target) != 1 {
			t.Fatalf("lines %d and %d, targets %v and %v", c.Line, r.Line, c.Target, r.Target)
		}
		if at := c.Target[0][0]; at != r.Target[0][0] || !slices.Equal(c.IDs[:at], r.IDs[:at]) {
			t.Errorf("line %d: the prompts differ", c.Line)
		}
		messages, answer, err := s.Messages(p.Rejected)
		if err != nil || messages[answer].Role != "assistant" || answer != len(messages)-1 {
			t.Errorf("line %d: messages %v, answer %d, %v", c.Line, messages, answer, err)
		}
		text := tokenizer.Bytes().Decode(r.IDs[r.Target[0][0]:r.Target[0][1]], true)
		if text != messages[answer].Content || int(c.Target[0][1]-c.Target[0][0]) != s.Targets(p.Chosen) {
			t.Errorf("the target is %q, want the answer %q", text, messages[answer].Content)
		}
	}
	slices.Sort(lines)
	if !slices.Equal(lines, []int{2, 5, 6}) {
		t.Errorf("records on lines %v, want 2, 5 and, begun on 5 as well, 6", lines)
	}
}

func TestPairsThatAreTooLongGoAsAWhole(t *testing.T) {
	long := fmt.Sprintf(`{"prompt": "p", "chosen": %q, "rejected": "b"}`+"\n"+`{"prompt": "p", "chosen": "a", "rejected": "b"}`, strings.Repeat("x", 300))
	s, err := buildPairs(t, "p.jsonl", long, nil)
	if err != nil || len(s.Pairs()) != 1 || s.Mix().Dropped["too_long"] != 1 {
		t.Errorf("%v, want one pair and one too long", err)
	}
	for _, how := range []string{"error", "truncate", "split"} {
		if _, err := buildPairs(t, "p.jsonl", long, func(o *Options) { o.TooLong = how }); !fault.IsUsage(err) {
			t.Errorf("too_long: %s: %v, want an error", how, err)
		}
	}
	if _, err := buildPairs(t, "p.json", fourPairs, func(o *Options) { o.OnBadRecord = "error" }); err == nil || !strings.Contains(err.Error(), "p.json:4: chosen and rejected are the same") {
		t.Errorf("got %v, want the line of the equal answers", err)
	}
}

func TestABrokenArrayIsNamedByItsLine(t *testing.T) {
	for name, text := range map[string]string{
		"cut off":      strings.TrimSuffix(fourPairs, "]"),
		"no comma":     strings.Replace(fourPairs, "},\n  {", "}\n  {", 1),
		"something on": fourPairs + " x",
		"no element":   strings.Replace(fourPairs, "},\n  {", "},,\n  {", 1),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := buildPairs(t, "p.json", text, nil); !fault.IsUsage(err) || !strings.Contains(err.Error(), "p.json:") || !strings.Contains(err.Error(), "broken JSON") {
				t.Errorf("got %v", err)
			}
		})
	}
	if s, err := buildPairs(t, "p.json", strings.Replace(fourPairs, `"same"`, `same`, 1), nil); err != nil || s.Mix().Dropped["invalid_json"] != 1 || len(s.Pairs()) != 3 {
		t.Errorf("a broken element: %v", err)
	}
	if s, err := buildPairs(t, "p.json", "\ufeff\n"+fourPairs, nil); err != nil || len(s.Pairs()) != 3 {
		t.Errorf("behind a byte order mark: %v", err)
	}
	if s, err := buildPairs(t, "p.json", `{"prompt": "p", "chosen": "a", "rejected": "b"}`, nil); err != nil || len(s.Pairs()) != 1 {
		t.Errorf("lines in a .json file: %v", err)
	}
}

func TestScoresAreKeptAndVerified(t *testing.T) {
	dir, in := t.TempDir(), map[string]string{"model": "a", "data": "b"}
	if _, err := ReadLogProbs(dir, in, 2); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
	want := []LogProbs{{-1.25, -0.5}, {math.Inf(-1), 0}}
	if err := WriteLogProbs(dir, in, want); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadLogProbs(dir, in, 2); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := ReadLogProbs(dir, map[string]string{"model": "a", "data": "c"}, 2); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of other data: %v", err)
	}
	found, _ := filepath.Glob(filepath.Join(dir, "*", scoresName))
	raw, _ := os.ReadFile(found[0])
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(found[0], raw, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadLogProbs(dir, in, 2); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("of a damaged file: %v", err)
	}
}
