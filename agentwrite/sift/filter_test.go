package sift

import (
	"fmt"
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

// TestAnswersAreLeftOutForAReason has rows for each reason, and what comes near it.
func TestAnswersAreLeftOutForAReason(t *testing.T) {
	e, z := english(1, 3000), chinese(1, 3000)
	middle := len(english(1, 1500))
	within := func(s string) string { return e[:middle] + "\n\n" + s + "\n\n" + e[middle:] }
	for _, c := range []struct {
		name, instruction, answer string
		change                    func(*Filter)
		reason, evidence          string
	}{
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

		{"the plan's form", inEnglish, within("Paragraph 3 - Main Point: the leaves - Word Count: 400 words"),
			nil, Leftover, "Word Count: 400"},
		{"a number of words inside of a line", inEnglish, within("So much for the leaves. Word Count: 412"),
			nil, Leftover, "Word Count: 412"},
		{"a point at the start of a line", inEnglish, within("**Main Point:** the leaves are dried."), nil, Leftover, "Main Point:"},
		{"a paragraph's number before its text", inEnglish, within("Paragraph 3: the leaves are dried."), nil, Leftover, "Paragraph 3:"},
		{"the form in Chinese", inChinese, z + "\n\n段落3 - 要点：茶叶 - 字数：400字。", nil, Leftover, "字数：400字"},
		{"a number of characters in Chinese", inChinese, z + "\n\n以上为正文，字数：400字。", nil, Leftover, "字数：400"},
		{"a name of the prompt", inEnglish, within("Now I go on with $STEP$ as planned."), nil, Leftover, "$STEP$"},
		{"to be continued", inEnglish, e + "\n\n(To be continued)", nil, Leftover, "(To be continued)"},
		{"to be continued on a line of its own", inEnglish, e + "\n\n**To be continued...**", nil, Leftover, "To be continued"},
		{"an instruction to go on", inEnglish, e + "\n\n[Continue with the next paragraph...]", nil, Leftover, "[Continue with"},
		{"to be continued in Chinese", inChinese, z + "（未完待续）", nil, Leftover, "未完待续"},
		{"a number of words in brackets", inEnglish, within("## The leaves (400 words)"), nil, Leftover, "(400 words)"},
		{"it is no leftover where the instruction has it", "Write a 3000-word guide on the line $STEP$ of a form.",
			within("The line $STEP$ of the form."),
			nil, "", ""},
		{"a paragraph of a law is none", inEnglish,
			within("As stated in paragraph 3 of the law, tea is free; see Paragraph 3: it says so."),
			nil, "", ""},
		{"leftovers pass where they may", inEnglish, within("Now $STEP$."), func(o *Filter) { o.Leftovers = false }, "", ""},

		{"a refusal", inEnglish, "I'm sorry, but I can't help with that.", nil, Refusal, "I'm sorry, but I can't help"},
		{"a refusal with a curly apostrophe", inEnglish, "I’m sorry, but I can’t assist with that request.", nil, Refusal, "sorry"},
		{"a refusal in Chinese", inChinese, "抱歉，我无法完成这个请求。", nil, Refusal, "抱歉，我无法"},
		{"a paragraph that refuses", inEnglish, within("I apologize, but I cannot continue this essay."),
			nil, Refusal, "I apologize, but I cannot continue"},
		{"a paragraph of a model about itself", inEnglish, within("As an AI language model, I have never had tea."),
			nil, Refusal, "As an AI language model"},
		{"a paragraph that refuses in Chinese", inChinese, z + "\n\n对不起，我不能继续撰写这部分内容。", nil, Refusal, "对不起，我不能"},
		{"a story's hero who cannot", inEnglish,
			within("I can't go on, she thought. I cannot write to him. I'm sorry, but I can't stay here any longer."),
			nil, "", ""},
		{"a story's apology in quotes", inEnglish, within(`"I'm sorry, but I can't help you," said the guard.`), nil, "", ""},
		{"a story's apology in Chinese", inChinese, z + "\n\n“抱歉，我不能帮你。”守卫说。", nil, "", ""},
		{"AgentWrite's own text of an error", inEnglish, within("Max tries. Failed."), nil, ErrorText, "Max tries. Failed."},
		{"the other one", inEnglish, within("Trigger OpenAI's content management policy"), nil, ErrorText, "content management policy"},
		{"an error of a client", inEnglish, within("Error code: 429 - {'error': {'message': 'Rate limit reached'}}"),
			nil, ErrorText, "Error code: 429"},
		{"a page of a gateway", inEnglish, within("502 Bad Gateway"), nil, ErrorText, "502 Bad Gateway"},
		{"an essay on errors is none", inEnglish,
			within("The server said that error code: 429 means too many requests, and a bad gateway is a 502."),
			nil, "", ""},
		{"refusals pass where they may", inEnglish, within("Max tries. Failed."), func(o *Filter) { o.Refusals = false }, "", ""},

		{"the instruction itself", e + " Improve this essay to 3000 words!", e + " Improve this essay, to 3000 words.",
			nil, Echo, "the same as its instruction"},
		{"nearly the instruction", "Improve this essay to 3000 words:\n\n" + e, e,
			nil, Echo, "of its five-grams are those of its instruction"},
	} {
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

// TestStrip takes away what stands by itself, and nothing else.
func TestStrip(t *testing.T) {
	for _, c := range []struct {
		name, text, want string
		removed          []string
	}{
		{"nothing", "A text.\n\n\nIt goes on. ", "A text.\n\n\nIt goes on. ", nil},
		{"a line that is an identifier", "Paragraph 1\n\nIt begins.\n\nParagraph 2:\n\nIt ends.\n", "It begins.\n\nIt ends.",
			[]string{"Paragraph 1", "Paragraph 2:"}},
		{"in bold", "**Paragraph 1**\nIt begins.\n\n**Paragraph 2:**\nIt ends.", "It begins.\n\nIt ends.",
			[]string{"**Paragraph 1**", "**Paragraph 2:**"}},
		{"a heading", "### Paragraph One\n\nIt begins.", "It begins.", []string{"### Paragraph One"}},
		{"in Chinese", "段落1\n\n开始。\n\n**第二段**\n\n结束。", "开始。\n\n结束。", []string{"段落1", "**第二段**"}},
		{"in front of a title", "## Paragraph 3: The Storm\n\nIt rains.", "## The Storm\n\nIt rains.", []string{"Paragraph 3: "}},
		{"in front of a title in bold", "**Paragraph 3: The Storm**\n\nIt rains.", "**The Storm**\n\nIt rains.", []string{"Paragraph 3: "}},
		{"in bold in front of a text", "**Paragraph 3:** It rains.", "It rains.", []string{"**Paragraph 3:** "}},
		{"in front of a title in Chinese", "### 段落三：风暴\n\n下雨了。", "### 风暴\n\n下雨了。", []string{"段落三："}},
		{"twice", "## Paragraph 3: Paragraph 4: The Storm", "## The Storm", []string{"Paragraph 3: ", "Paragraph 4: "}},
		{"a number of words", "It rains.\n\n(Word Count: 412 words)\n\nIt ends.", "It rains.\n\nIt ends.",
			[]string{"(Word Count: 412 words)"}},
		{"a number of words in Chinese", "下雨了。\n\n字数：约400字\n", "下雨了。", []string{"字数：约400字"}},
		{"with the line ends of Windows", "Paragraph 1\r\n\r\nIt begins.\r\n", "It begins.", []string{"Paragraph 1"}},
		{"a sentence about a paragraph stays", "Paragraph 3 says so.\nIn paragraph 3: nothing.",
			"Paragraph 3 says so.\nIn paragraph 3: nothing.", nil},
		{"a title without a number stays", "## Paragraphs and Sentences\n\nText.", "## Paragraphs and Sentences\n\nText.", nil},
		{"a plain label before a text stays", "Paragraph 3: the tenant pays.", "Paragraph 3: the tenant pays.", nil},
		{"other headings stay", "## Chapter 3: The Storm\n\n**Part 2**\n\nText.", "## Chapter 3: The Storm\n\n**Part 2**\n\nText.", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, removed := Strip(c.text)
			if got != c.want || !slices.Equal(removed, c.removed) {
				t.Errorf("%q and %q, want %q and %q", got, removed, c.want, c.removed)
			}
		})
	}
}

// TestStrippedAnswersAreTaken wants that what is stripped is no leftover, and that it is one where it is not.
func TestStrippedAnswersAreTaken(t *testing.T) {
	text := "**Paragraph 1**\n\n" + english(1, 3000)
	o := DefaultFilter()
	j := o.Judge([]Answer{{Instruction{Text: inEnglish}, text}})[0]
	if j.Reason != "" || j.Text != english(1, 3000) || len(j.Stripped) != 1 {
		t.Errorf("%q (%s), stripped %q", j.Reason, j.Evidence, j.Stripped)
	}
	o.Strip = false
	j = o.Judge([]Answer{{Instruction{Text: inEnglish}, text}})[0]
	if j.Reason != Leftover || j.Text != text || j.Stripped != nil {
		t.Errorf("%q (%s), stripped %q", j.Reason, j.Evidence, j.Stripped)
	}
}

// solid is a text without blanks.
func solid(s string) string { return strings.Join(strings.Fields(s), "") }

func FuzzStrip(f *testing.F) {
	for _, s := range []string{"Paragraph 1\n\nIt begins.", "## Paragraph 3: The Storm\r\n", "**Paragraph 3:** It", "段落1\n开始",
		"(Word Count: 400)\n", "\n\nx\n\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		clean, removed := Strip(text)
		rest := solid(text)
		n := len(solid(clean))
		for _, r := range removed {
			if !strings.Contains(text, r) {
				t.Fatalf("%q is not in the text", r)
			}
			n += len(solid(r))
		}
		if n != len(rest) {
			t.Fatalf("%q: %q and %q are not all of it", text, clean, removed)
		}
		if again, more := Strip(clean); again != clean || more != nil {
			t.Fatalf("of %q there is more to strip: %q", clean, more)
		}
	})
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
