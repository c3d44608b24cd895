package sift

import (
	"slices"
	"strings"
	"testing"
)

// TestLeftoversAndRefusals has rows for what a model leaves of its plan, for refusals and texts of errors,
// and for what comes near them.
func TestLeftoversAndRefusals(t *testing.T) {
	e, z, within := essays()
	judges(t, []judgement{
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
	})
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
