package sift

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"lwtrain/internal/prose"
)

// english is a text of so many words that does not repeat itself, in paragraphs.
func english(seed uint64, words int) string {
	r := rand.New(rand.NewPCG(seed, 1))
	var out strings.Builder
	for n := range words {
		for range 2 + r.IntN(7) {
			out.WriteByte("etaoinshrdlcumwfgypbvk"[r.IntN(22)])
		}
		switch {
		case n+1 == words:
			out.WriteString(".")
		case n%100 == 99:
			out.WriteString(".\n\n")
		case n%12 == 11:
			out.WriteString(". ")
		default:
			out.WriteByte(' ')
		}
	}
	return out.String()
}

// chinese is one of so many characters.
func chinese(seed uint64, words int) string {
	r := rand.New(rand.NewPCG(seed, 2))
	var out strings.Builder
	for n := range words {
		out.WriteRune(rune(0x4E00 + r.IntN(3000)))
		switch {
		case n+1 == words:
			out.WriteString("。")
		case n%120 == 119:
			out.WriteString("。\n\n")
		case n%15 == 14:
			out.WriteString("，")
		}
	}
	return out.String()
}

const (
	inEnglish = "Write a 3000-word essay about tea."
	inChinese = "写一篇3000字的文章，谈茶。"
)

// judgement is an answer to an instruction, and why it is left out.
type judgement struct {
	name, instruction, answer string
	change                    func(*Filter)
	reason, evidence          string
}

func judges(t *testing.T, rows []judgement) {
	t.Helper()
	for _, c := range rows {
		t.Run(c.name, func(t *testing.T) {
			o := DefaultFilter()
			if c.change != nil {
				c.change(&o)
			}
			j := o.Judge([]Answer{{Instruction{Text: c.instruction}, c.answer}})[0]
			if j.Reason != c.reason || !strings.Contains(j.Evidence, c.evidence) || (j.Reason == "") != (j.Evidence == "") {
				t.Errorf("%q (%s), want %q (%s)", j.Reason, j.Evidence, c.reason, c.evidence)
			}
		})
	}
}

// essays are a whole answer in each language, and the English one with something in its middle.
func essays() (e, z string, within func(string) string) {
	e, z = english(1, 3000), chinese(1, 3000)
	middle := len(english(1, 1500))
	return e, z, func(s string) string { return e[:middle] + "\n\n" + s + "\n\n" + e[middle:] }
}

// TestAnswersAreLeftOutForAReason has rows for each reason, and what comes near it.
func TestAnswersAreLeftOutForAReason(t *testing.T) {
	e, z, within := essays()
	judges(t, []judgement{
		{"a whole essay is taken", inEnglish, e, nil, "", ""},
		{"a whole essay in Chinese is taken", inChinese, z, nil, "", ""},
		{"one that ends with a quote is taken", inEnglish, e + ` "So it ends."`, nil, "", ""},
		{"one that ends in bold is taken", inEnglish, e + " **And so it ends.**", nil, "", ""},
		{"one that ends with a bracket is taken", inEnglish, e + " (So it ends.)", nil, "", ""},
		{"one that ends with a line of its own is taken", inEnglish, e + "\n\nThe End", nil, "", ""},
		{"one in Chinese that ends with a quote is taken", inChinese, z + "“就这样结束了。”", nil, "", ""},
		{"nothing is no answer", inEnglish, " \n", nil, NoText, "no letters"},

		{"half of what was asked for is too little", inEnglish, english(2, 1500),
			nil, LengthOff, "1500 words where 3000 are asked for: S_l is 50.0, want at least 60"},
		{"three times as much is too much", inEnglish, english(2, 9000), nil, LengthOff, "9000 words"},
		{"any length passes without a bound", inEnglish, english(2, 1500), func(o *Filter) { o.MinLengthScore = 0 }, "", ""},
		{"where none is stated there is a least", "Write about tea at length.", english(2, 1999),
			nil, TooShort, "1999 words, want at least 2000"},
		{"which suffices", "Write about tea at length.", english(2, 2000), nil, "", ""},

		{"the same paragraphs again", inEnglish, strings.Repeat(english(3, 1000), 3),
			nil, Repetition, "of its windows of eight came before"},
		{"the same characters again", inChinese, strings.Repeat(chinese(3, 1000), 3),
			nil, Repetition, "of its windows of eight came before"},
		{"they pass where they may", inEnglish, english(3, 2000) + "\n\n" + english(3, 1000),
			func(o *Filter) { o.MaxRepeated, o.Loops = 1, false }, "", ""},
		{"a loop at the end", inEnglish, english(4, 2900) + strings.Repeat(" and so it went on", 10) + ".",
			nil, Loop, "ends in a loop from word"},
		{"one character without end", inEnglish, e + strings.Repeat("!", 200), nil, Loop, `'!' 200 times in a row, want at most 64`},
		{"a rule is no loop", inEnglish, within(strings.Repeat("-", 120)), nil, "", ""},

		{"an end in the middle of a sentence", inEnglish, e + " And then the tea", nil, Unfinished, "And then the tea"},
		{"an end in the middle of a Chinese sentence", inChinese, z + "然后他们喝了茶，又", nil, Unfinished, "又"},
		{"an end behind a comma", inChinese, z + "然后他们喝了茶，", nil, Unfinished, "，"},
		{"it passes where it may", inEnglish, e + " And then the tea", func(o *Filter) { o.Finished = false }, "", ""},

		{"an English answer to a Chinese instruction", inChinese, e, nil, Language, "the language en, want zh"},
		{"a Chinese answer to an English instruction", inEnglish, z, nil, Language, "the language zh, want en"},
		{"English is asked for in Chinese", "请用英文写一篇3000字的文章，介绍长城。", e, nil, "", ""},
		{"a Chinese answer with English names", inChinese, z + english(5, 250), nil, "", ""},
		{"it passes where it may, too", inChinese, e, func(o *Filter) { o.Language = false }, "", ""},

		{"the instruction itself", e + " Improve this essay to 3000 words!", e + " Improve this essay, to 3000 words.",
			nil, Echo, "the same as its instruction"},
		{"nearly the instruction", "Improve this essay to 3000 words:\n\n" + e, e,
			nil, Echo, "of its five-grams are those of its instruction"},
	})
}

// TestCopiesOfAnswers takes the first of answers that are alike.
func TestCopiesOfAnswers(t *testing.T) {
	a, b := english(1, 3000), english(2, 3000)
	words := strings.Fields(a)
	for i := 100; i < len(words); i += 100 { // 29 of 3,000 words, each of which is in five grams
		words[i] = "tea"
	}
	ask := Instruction{Text: inEnglish}
	all := []Answer{{ask, a}, {ask, b}, {ask, strings.ToUpper(a)}, {ask, strings.Join(words, " ")}, {ask, a[:100]}, {ask, a[:100]}}
	for mode, want := range map[string][]string{
		"none":  {"", "", "", "", LengthOff, LengthOff},
		"exact": {"", "", Duplicate, "", LengthOff, LengthOff},
		"near":  {"", "", Duplicate, NearDuplicate, LengthOff, LengthOff},
	} {
		o := DefaultFilter()
		o.Dedup = mode
		var got []string
		for _, j := range o.Judge(all) {
			got = append(got, j.Reason)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", mode, got, want)
		}
	}
}

func FuzzJudge(f *testing.F) {
	f.Add("Write 300 words.", "I can't.")
	f.Add(inChinese, "段落3 - 要点：茶叶")
	f.Fuzz(func(t *testing.T, instruction, text string) {
		i := Instruction{Text: instruction}
		o := DefaultFilter()
		o.MinLengthScore, o.MinWords = 0, 0
		for _, j := range o.Judge([]Answer{{i, text}, {i, text}}) {
			if (j.Reason == "") != (j.Evidence == "") {
				t.Fatalf("%+v", j)
			}
		}
		for _, v := range DefaultSelect().Rules([]Instruction{i, i}) {
			if (v.Reason == "") != (v.Evidence == "") {
				t.Fatalf("%+v", v)
			}
		}
	})
}

// TestTimeIsLinear judges texts that were made to cost much.
func TestTimeIsLinear(t *testing.T) {
	const n = 1 << 20
	for name, s := range map[string]string{
		"stars": strings.Repeat("*", n), "names": strings.Repeat("Paragraph 1: ", n/13), "lines": strings.Repeat("Paragraph 1\n", n/12),
		"titles": strings.Repeat("## Paragraph 1: a\n", n/18), "nested": "## " + strings.Repeat("Paragraph 1: ", n/13),
		"brackets": strings.Repeat("[continue ", n/10),
		"spaces":   strings.Repeat(" ", n), "counts": strings.Repeat("word count ", n/11), "sorry": strings.Repeat("sorry, ", n/7),
		"zh":    strings.Repeat("段落", n/6),
		"words": english(9, n/6),
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			o := DefaultFilter()
			o.MinLengthScore, o.MinWords = 0, 0
			o.Judge([]Answer{{Instruction{Text: s}, "a" + s}})
			DefaultSelect().Rules([]Instruction{{Text: s}})
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("%v for %d bytes", took, len(s))
			} else {
				t.Log(took)
			}
		})
	}
}

// TestMemoryIsSmall keeps in mind what a thousand texts come to: a sketch and a key each.
func TestManyTextsAreSiftedFast(t *testing.T) {
	var all []Instruction
	for i := range 2000 {
		all = append(all, Instruction{Text: fmt.Sprintf("Write 3000 words. %s", english(uint64(i), 40))})
	}
	taken := 0
	for _, v := range DefaultSelect().Rules(all) {
		if v.Reason == "" {
			taken++
		}
	}
	if taken != len(all) {
		t.Errorf("%d of %d", taken, len(all))
	}
	if prose.Words(all[0].Text) != 42 {
		t.Error(prose.Words(all[0].Text))
	}
}

// TestARangeOfWordsIsMetWithinIt: as an evaluation scores it.
func TestARangeOfWordsIsMetWithinIt(t *testing.T) {
	from := Instruction{Text: "Write about tea.", Words: 3000, Least: 1000}
	open := Instruction{Text: "Write about tea.", Words: 1000, Least: 1000}
	for _, c := range []struct {
		what  Instruction
		words int
		want  float64
	}{
		{from, 1000, 100}, {from, 1500, 100}, {from, 3000, 100}, {from, 500, 50}, {from, 6000, 200.0 / 3},
		{open, 9000, 100}, {open, 500, 50}, {Instruction{Words: 3000}, 1500, 50}, {Instruction{Text: "Write 3000 words."}, 1500, 50},
	} {
		if got := c.what.Score(c.words); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%d words for %d to %d: %g, want %g", c.words, c.what.Least, c.what.Words, got, c.want)
		}
	}
	if j := DefaultFilter().Judge([]Answer{{from, english(2, 1500)}})[0]; j.Reason != "" {
		t.Errorf("within it: %s (%s)", j.Reason, j.Evidence)
	}
	j := DefaultFilter().Judge([]Answer{{from, english(2, 400)}})[0]
	if j.Reason != LengthOff || !strings.HasPrefix(j.Evidence, "400 words where 1000 to 3000 are asked for") {
		t.Errorf("below it: %s (%s)", j.Reason, j.Evidence)
	}
}
