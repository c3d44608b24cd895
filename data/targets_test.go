package data

import (
	"fmt"
	"strings"
	"testing"

	"lwtrain/internal/fault"
	"lwtrain/tokenizer"
)

func TestAMessageThatIsNotTrainedOnIsNoTarget(t *testing.T) {
	dir := t.TempDir()
	s := build(t, options(dir, write(t, dir, "a",
		`{"messages":[`+user("q")+`,{"role":"assistant","content":"aaaa","train":false},`+user("r")+`,`+assistant("bb")+`]}`,
		`{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"aaaa","weight":0}]}`)))
	x, err := s.Sample(0)
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, r := range x.Target {
		text = append(text, tokenizer.Bytes().Decode(x.IDs[r[0]:r[1]], true))
	}
	if fmt.Sprint(text) != "[bb]" || s.Len() != 1 || s.Mix().Dropped["no_target"] != 1 {
		t.Errorf("targets %q, %d samples, dropped %v", text, s.Len(), s.Mix().Dropped)
	}
}

// targetTexts are the targets of the samples, by sample.
func targetTexts(t *testing.T, s *Set) string {
	t.Helper()
	var out []string
	for i := range s.Len() {
		x, err := s.Sample(i)
		if err != nil {
			t.Fatal(err)
		}
		var text []string
		for _, r := range x.Target {
			text = append(text, tokenizer.Bytes().Decode(x.IDs[r[0]:r[1]], true))
		}
		out = append(out, strings.Join(text, "+"))
	}
	return strings.Join(out, " ")
}

func TestTheAnswersThatAreTrainedOnAreChosenForEachSource(t *testing.T) {
	dir := t.TempDir()
	src := write(t, dir, "a",
		`{"messages":[`+user("q")+`,`+assistant("a")+`,`+user("r")+`,`+assistant("b")+`]}`,
		`{"messages":[`+user("q")+`,{"role":"assistant","content":"c","weight":1},`+user("r")+
			`,{"role":"assistant","content":"d","train":false}]}`)
	for _, c := range []struct{ trainOn, want, rebuilt string }{
		{"", "a+b c", "new"},
		{"all", "a+b c", ""},
		{"last", "b", "how it is read changed"},
		{"marked", "c", "how it is read changed"},
		{"last", "b", ""},
	} {
		src.TrainOn = c.trainOn
		s := build(t, options(dir, src))
		if got := targetTexts(t, s); got != c.want || s.Sources()[0].Tokenised != c.rebuilt {
			t.Errorf("train_on: %s: %q, tokenised for %q; want %q, %q", c.trainOn, got, s.Sources()[0].Tokenised, c.want, c.rebuilt)
		}
		if _, answer, err := s.Messages(0); err != nil || c.trainOn == "last" && answer != 3 {
			t.Errorf("train_on: %s: the first target is messages[%d], %v", c.trainOn, answer, err)
		}
	}
	pairs := write(t, dir, "pairs", `{"prompt": "q", "chosen": "a", "rejected": "b"}`)
	pairs.TrainOn = "last"
	if _, err := Build(t.Context(), options(dir, pairs), template(t, "auto"), Run{Any: true}); err == nil ||
		!strings.Contains(err.Error(), "holds preferences and has train_on: last") || !fault.IsUsage(err) {
		t.Errorf("pairs with a choice of answers: %v", err)
	}
}
