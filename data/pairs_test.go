package data

import (
	"context"
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
	o := Options{Sources: []Source{{Name: "p", Path: path, LossFactor: 1}}, MaxLength: 200, TooLong: "skip", OnBadRecord: "skip",
		CacheDir: filepath.Join(dir, "cache")}
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

func TestTheSidesOfPairsAreCountedApart(t *testing.T) {
	s, err := buildPairs(t, "p.jsonl", fmt.Sprintf(`{"prompt": "Write a 20-word story.", "chosen": %q, "rejected": %q}`+"\n"+
		`{"prompt": "p", "chosen": "a", "rejected": "b c"}`, strings.Repeat("word ", 20), strings.Repeat("word ", 40)), func(o *Options) {
		o.MaxLength = 1000
	})
	if err != nil {
		t.Fatal(err)
	}
	stats, err := s.Stats(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range stats.All() {
		if !c.Paired() || !c.Preferences() || c.Pairs != 2 {
			t.Errorf("%s: %d pairs of %d samples", c.Name, c.Pairs, c.Samples)
		}
		for name, side := range map[string]struct {
			Side
			words, longest int64
			score          float64
		}{"chosen": {c.Chosen, 21, 20, 100}, "rejected": {c.Rejected, 42, 40, 66.7}} {
			if side.Answers != 2 || side.Words != side.words || side.OutputWords.Max != side.longest || side.Buckets[0].Samples != 2 ||
				side.Required.Samples != 1 || math.Abs(side.Required.Score-side.score) > 1 || side.OutputTokens.P50 == 0 {
				t.Errorf("%s, %s: %+v, longest %d, asked for %+v", c.Name, name, side.Side, side.OutputWords.Max, side.Required)
			}
		}
		if got := c.Chosen.TargetTokens + c.Rejected.TargetTokens; got != c.TargetTokens {
			t.Errorf("%s: the sides have %d target tokens, all have %d", c.Name, got, c.TargetTokens)
		}
	}
}

func TestPairsThatAreTooLongGoAsAWhole(t *testing.T) {
	long := fmt.Sprintf(`{"prompt": "p", "chosen": %q, "rejected": "b"}`+"\n"+`{"prompt": "p", "chosen": "a", "rejected": "b"}`,
		strings.Repeat("x", 300))
	s, err := buildPairs(t, "p.jsonl", long, nil)
	if err != nil || len(s.Pairs()) != 1 || s.Mix().Dropped["too_long"] != 1 {
		t.Errorf("%v, want one pair and one too long", err)
	}
	for _, how := range []string{"error", "truncate", "split"} {
		if _, err := buildPairs(t, "p.jsonl", long, func(o *Options) { o.TooLong = how }); !fault.IsUsage(err) {
			t.Errorf("too_long: %s: %v, want an error", how, err)
		}
	}
	if _, err := buildPairs(t, "p.json", fourPairs, func(o *Options) { o.OnBadRecord = "error" }); err == nil ||
		!strings.Contains(err.Error(), "p.json:4: chosen and rejected are the same") {
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
			if _, err := buildPairs(t, "p.json", text, nil); !fault.IsUsage(err) || !strings.Contains(err.Error(), "p.json:") ||
				!strings.Contains(err.Error(), "broken JSON") {
				t.Errorf("got %v", err)
			}
		})
	}
	if s, err := buildPairs(t, "p.json", strings.Replace(fourPairs, `"same"`, `same`, 1), nil); err != nil ||
		s.Mix().Dropped["invalid_json"] != 1 || len(s.Pairs()) != 3 {
		t.Errorf("a broken element: %v", err)
	}
	if s, err := buildPairs(t, "p.json", "\ufeff\n"+fourPairs, nil); err != nil || len(s.Pairs()) != 3 {
		t.Errorf("behind a byte order mark: %v", err)
	}
	if s, err := buildPairs(t, "p.json", `{"prompt": "p", "chosen": "a", "rejected": "b"}`, nil); err != nil || len(s.Pairs()) != 1 {
		t.Errorf("lines in a .json file: %v", err)
	}
}
