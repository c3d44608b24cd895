package judge

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"lwtrain/internal/llm"
	"lwtrain/internal/prose"
)

func TestTheBetterTextIsSoInBothOrders(t *testing.T) {
	first := func(r llm.Request) string { // text that stands first
		_, rest, _ := strings.Cut(r.Messages[0].Content, "<written_text_A>\n")
		text, _, _ := strings.Cut(rest, "\n")
		return text
	}
	for name, c := range map[string]struct {
		reply   func(r llm.Request) llm.Reply
		want    string
		flipped bool
		calls   int
	}{
		"the good one": {func(r llm.Request) llm.Reply {
			if first(r) == "good" {
				return llm.Reply{Text: "A"}
			}
			return llm.Reply{Text: "B"}
		}, "1", false, 2},
		"the bad one": {func(r llm.Request) llm.Reply {
			if first(r) == "bad" {
				return llm.Reply{Text: "A"}
			}
			return llm.Reply{Text: "B"}
		}, "0", false, 2},
		"whichever is first":  {says("A"), "0.5", true, 2},
		"whichever is second": {says("B"), "0.5", true, 2},
		"neither":             {says("tie"), "0.5", false, 2},
		"one, and neither": {func(r llm.Request) llm.Reply {
			if first(r) == "good" {
				return llm.Reply{Text: "A"}
			}
			return llm.Reply{Text: "tie"}
		}, "0.5", false, 2},
		"nothing that can be read": {says("hm"), "none", false, 6},
		"the second time": {func(r llm.Request) llm.Reply {
			if tryOf(r) == 0 {
				return llm.Reply{Text: "hm"}
			}
			return llm.Reply{Text: "tie"}
		}, "0.5", false, 4},
		"refused in one order": {func(r llm.Request) llm.Reply {
			if first(r) == "good" {
				return llm.Reply{Failed: "refused: x"}
			}
			return llm.Reply{Text: "B"}
		}, "none", false, 2},
	} {
		t.Run(name, func(t *testing.T) {
			var got []Outcome
			duels := []Duel{{"d", "Write.", "good", "bad"}}
			err := Compare(t.Context(), &scripted{reply: c.reply}, Judge{Name: "m", Mode: Pair}, duels, func(_ int, o Outcome) error {
				got = append(got, o)
				return nil
			})
			if err != nil || len(got) != 1 {
				t.Fatalf("%d outcomes, %v", len(got), err)
			}
			worth := "none"
			if got[0].A != nil {
				worth = fmt.Sprint(*got[0].A)
			}
			if worth != c.want || got[0].Flipped != c.flipped || len(got[0].Attempts) != c.calls {
				t.Errorf("%s, flipped %v, %+v, want %s, %v and %d calls", worth, got[0].Flipped, got[0].Attempts,
					c.want, c.flipped, c.calls)
			}
		})
	}
	told := 0
	long := []Duel{{"d", "Write.", strings.Repeat("word ", 60), strings.Repeat("word ", 60)}}
	err := Compare(t.Context(), &scripted{}, Judge{Name: "m", Mode: Pair, Words: 100}, long, func(_ int, o Outcome) error {
		if told++; o.A != nil || o.Attempts[0].Status != TooLong {
			t.Errorf("%+v", o)
		}
		return nil
	})
	if err != nil || told != 1 {
		t.Errorf("too long: told %d times, %v", told, err)
	}
	if err := Compare(t.Context(), nil, Judge{Mode: Strict}, long, nil); err == nil || !strings.Contains(err.Error(), "want pair") {
		t.Errorf("got %v", err)
	}
}

// stories are whole texts of many paragraphs.
func stories(n int) []Case {
	var all []Case
	for i := range n {
		var text strings.Builder
		for k := range 9 {
			fmt.Fprintf(&text, "In part %c of story %c", 'a'+k, 'a'+i)
			for n := range 10 + k {
				fmt.Fprintf(&text, " %c%c%c", 'a'+i, 'a'+k, 'a'+n)
			}
			text.WriteString(".\n\n")
		}
		all = append(all, Case{ID: fmt.Sprint(i), Prompt: fmt.Sprintf("Write story %c.", 'a'+i), Text: text.String()})
	}
	return all
}

// reader is a judge that reads: it takes marks off a text that is damaged.
func reader(r llm.Request) llm.Reply {
	prompt := r.Messages[0].Content
	_, text, _ := strings.Cut(prompt, "<written_text>\n")
	mark := 5
	if prose.Repeated(text) > 0.5 {
		mark -= 3
	}
	if !strings.Contains(text, "part i") {
		mark--
	}
	return probable(fmt.Sprint(mark), at(mark, 1), at(mark, 2), at(mark, 3), at(mark, 4), at(mark, 5))
}

func at(mark, m int) float64 {
	if mark == m {
		return 1
	}
	return 0
}

func TestACalibrationSaysWhatAJudgeTellsApart(t *testing.T) {
	c, err := Calibrate(t.Context(), &scripted{reply: says("4")}, Judge{Name: "blind", Mode: Strict}, stories(5))
	if err != nil {
		t.Fatal(err)
	}
	const chance = "tells from whole texts, 0.5 is chance: shuffled 0.50 (n 5), looped 0.50 (n 5), cut 0.50 (n 5), off topic 0.50 (n 5); "
	want := "blind, strict: " + chance +
		"100 % of 451 replies read"
	if c.String() != want {
		t.Errorf("got  %s\nwant %s", c, want)
	}
	c, err = Calibrate(t.Context(), &scripted{reply: reader}, Judge{Name: "reader", Mode: Strict}, stories(5))
	if err != nil || len(c.Told) != 4 || *c.Told[1].AUC != 1 || *c.Told[2].AUC != 1 || *c.Told[3].AUC != 0.5 || len(c.Attempts) != c.Calls {
		t.Errorf("%s, %v, want looped and cut told apart", c, err)
	}
	c, err = Calibrate(t.Context(), &scripted{reply: says("A")}, Judge{Name: "first", Mode: Pair}, stories(5))
	want = "first, pair: " + chance +
		"100 % of 40 replies read, 20 of 20 flipped by the order"
	if err != nil || c.String() != want {
		t.Errorf("got  %s, %v\nwant %s", c, err, want)
	}
	c, err = Calibrate(t.Context(), &scripted{reply: says("?")}, Judge{Name: "mute", Mode: Paper}, stories(1))
	want = "mute, paper: tells from whole texts, 0.5 is chance: shuffled -, looped -, cut -, off topic -; 0 % of 20 replies read"
	if err != nil || c.String() != want {
		t.Errorf("got  %s, %v\nwant %s", c, err, want)
	}
}

func TestDamageIsTheSameEachTime(t *testing.T) {
	whole := stories(3)
	for i, x := range whole {
		seen := map[string]bool{x.Text: true}
		for _, damage := range Damages {
			text := damagedText(damage, whole, i)
			if text == "" || seen[text] || text != damagedText(damage, whole, i) {
				t.Errorf("%s of %d: %q", damage, i, text)
			}
			seen[text] = true
		}
		if n := prose.Words(shuffled(x.Text, i)); n != prose.Words(x.Text) {
			t.Errorf("shuffled, %d has %d words", i, n)
		}
	}
	if got, want := cutOff("One two three four five six seven eight nine ten."), "One two three four"; got != want {
		t.Errorf("cut: %q, want %q", got, want)
	}
	if got, want := looped("One is. Two is. Three is. Four is."), "One is. Two is. Two is. Two is."; got != want {
		t.Errorf("looped: %q, want %q", got, want)
	}
	for _, damage := range Damages {
		if got := damagedText(damage, []Case{{ID: "", Prompt: "p", Text: "Short."}}, 0); got != "" {
			t.Errorf("%s: %q of a text that is too short", damage, got)
		}
	}
	if same := shuffled("Same.\n\nSame.\n\nSame.", 0); same != "" {
		t.Errorf("%q is shuffled", same)
	}
}

func TestTheAreaUnderTheCurve(t *testing.T) {
	for _, c := range []struct {
		good, bad []float64
		want      float64
	}{
		{[]float64{3, 4}, []float64{2, 1}, 1},
		{[]float64{1, 2}, []float64{4, 3}, 0},
		{[]float64{2, 2}, []float64{2, 2, 2}, 0.5},
		{[]float64{1, 3}, []float64{2, 3}, (0 + 0 + 1 + 0.5) / 4},
	} {
		if got := auc(c.good, c.bad); got == nil || math.Abs(*got-c.want) > 1e-12 {
			t.Errorf("%v against %v: %v, want %v", c.good, c.bad, got, c.want)
		}
	}
	if auc(nil, []float64{1}) != nil || auc([]float64{1}, nil) != nil {
		t.Error("of nothing it is a number")
	}
}

func TestWhatSpeaksAgainstAJudge(t *testing.T) {
	for name, want := range map[string]float64{
		"qwen2.5-7b-instruct": 7, "Qwen/Qwen3-235B-A22B": 235, "mixtral-8x7b": 56, "SmolLM2-135M-Instruct": 0.135, "gpt-4o-2024-05-13": 0,
		"llama-3.1-70B": 70, "phi-3.8b.gguf": 3.8, "bert4b2": 0, "glm-4-9b": 9, "9b": 9, "a-1.5B-3b": 3,
	} {
		if got := parameters(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for _, c := range []struct{ judge, writer, want string }{
		{"gpt-4o", "LongWriter-glm4-9b", ""},
		{"qwen2.5-7b-instruct", "LongWriter-glm4-9b", "7B parameters"},
		{"Qwen2.5-72B", "runs/qwen3-1.7b", "family qwen"},
		{"glm-4-9b", "LongWriter-glm4-9b", "9B parameters family glm"},
	} {
		got := strings.Join(Warnings(c.judge, c.writer), "\n")
		for _, part := range []string{"parameters", "family"} {
			if strings.Contains(got, part) != strings.Contains(c.want, part) {
				t.Errorf("%s for %s: %q, want %q", c.judge, c.writer, got, c.want)
			}
		}
	}
}
