package judge

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const six = `{"Analysis": "Good, if long.", "Relevance": 5, "Accuracy": 4, "Coherence": 3, "Clarity": 2, ` +
	`"Breadth and Depth": 1, "Reading Experience": 5}`

// swap is six with something in another way.
func swap(oldNew ...string) string {
	s := strings.NewReplacer(oldNew...).Replace(six)
	if s == six {
		panic("nothing changes")
	}
	return s
}

// inLines are the marks of six, each by a format of name and mark.
func inLines(format string, between string) string {
	var all []string
	for i, m := range []int{5, 4, 3, 2, 1, 5} {
		all = append(all, fmt.Sprintf(format, Dimensions[i], m))
	}
	return strings.Join(all, between)
}

const chinese = "相关性：5\n准确性：4分\n连贯性：3/5\n清晰度：二\n广度和深度：1\n阅读体验：5"

// broken are replies to a judge that was asked for all dimensions, and what a person reads:
// "" the marks of six, else a part of why there are none.
var broken = map[string]struct{ reply, want string }{
	"as it was told to":                        {six, ""},
	"in a fence":                               {"```json\n" + six + "\n```", ""},
	"in a fence without a name":                {"```\n" + six + "\n```", ""},
	"in a fence between words":                 {"Here is my evaluation:\n\n```json\n" + six + "\n```\n\nI hope that this helps!", ""},
	"in a fence that is not closed":            {"```json\n" + six, ""},
	"behind a thought with other marks":        {"<think>\nRelevance: 3? {\"Relevance\": 1}\n</think>\n" + six, ""},
	"a thought and no more":                    {"<think>\n" + six, "before the judge has thought"},
	"with single quotes":                       {swap(`"`, `'`), ""},
	"with single quotes and an apostrophe":     {strings.ReplaceAll(swap("Good,", "It's good,"), `"`, `'`), ""},
	"with quotes that are not escaped":         {swap("Good,", `It says "good" twice,`), ""},
	"with escaped quotes":                      {swap("Good,", `It says \"Relevance\": 1 and \u4f60,`), ""},
	"with line breaks in a text":               {swap("Good,", "Good.\n\nVery,"), ""},
	"with a brace in a text":                   {swap("Good,", "Good } and {"), ""},
	"with a comma at the end":                  {swap("5}", "5,}"), ""},
	"without commas":                           {strings.ReplaceAll(swap(", \"", "\n\""), ",\n", "\n"), ""},
	"without quotes around names":              {"{" + inLines("%s: %d", ", ") + "}", ""},
	"in capitals":                              {swap("Relevance", "RELEVANCE", "Clarity", "clarity"), ""},
	"with underscores":                         {strings.NewReplacer("h and D", "h_and_d", "g E", "g_e").Replace(six), ""},
	"with hyphens and an &":                    {swap("h and D", "h & D", "g E", "g-E"), ""},
	"with names of scores":                     {swap("Relevance", "relevance_score", "Clarity", "Clarity Rating"), ""},
	"with numbered names":                      {swap("Relevance", "1. Relevance", "Accuracy", "2. Accuracy"), ""},
	"marks as texts":                           {swap(": 5", `: "5"`, ": 4", `: "4/5"`, ": 3", `: "3 out of 5"`, ": 2", `: "two"`), ""},
	"marks as words":                           {swap(": 4", `: "Four"`, ": 2", ": two"), ""},
	"marks out of five":                        {swap(": 5", ": 5/5", ": 4", ": 4 / 5"), ""},
	"marks with what they mean":                {swap(": 4", `: "4 (good)"`, ": 3", `: "3 - fair"`, ": 2", `: "2, because of gaps"`), ""},
	"marks as 4.0":                             {swap(": 4", ": 4.0"), ""},
	"marks in full width":                      {strings.NewReplacer("5", "５", "4", "４", ":", "：", ", \"", "，\"").Replace(six), ""},
	"marks as stars":                           {swap(": 4", `: "★★★★☆"`), ""},
	"marks in lists of one":                    {swap(": 4", ": [4]"), ""},
	"marks with reasons":                       {swap(": 4", `: {"score": 4, "why": "3 errors"}`, ": 3", `: {"Rating": "3/5"}`), ""},
	"inside of scores":                         {`{"Analysis": "x", "scores": ` + six + `}`, ""},
	"as a list of objects":                     {"[" + inLines(`{"dimension": "%s", "score": %d}`, ",\n") + "]", ""},
	"as a list inside of an object":            {`{"ratings": [` + inLines(`{"name": "%s", "rating": "%d"}`, ", ") + "]}", ""},
	"as an object each":                        {inLines(`{"%s": %d}`, "\n"), ""},
	"twice, both the same":                     {six + "\n\n" + six, ""},
	"the same again in words":                  {inLines("%s: %d", "\n") + "\n\n" + six, ""},
	"in lines":                                 {inLines("%s: %d", "\n"), ""},
	"in lines with Chinese colons":             {inLines("%s：%d分", "\n"), ""},
	"in Chinese":                               {chinese, ""},
	"on one line":                              {inLines("%s: %d", ", "), ""},
	"in bold":                                  {inLines("**%s**: %d/5", "\n"), ""},
	"in bold, the colon too":                   {inLines("- **%s:** %d", "\n"), ""},
	"in a table":                               {"| Dimension | Score |\n|---|---|\n" + inLines("| %s | %d |", "\n"), ""},
	"in a table with reasons":                  {inLines("| **%s** | %d/5 | It has 3 parts. |", "\n"), ""},
	"as headings with reasons":                 {inLines("### %s (%d/5)\nIt has 12 parts and more accuracy than most.", "\n\n"), ""},
	"with the range beside":                    {inLines("%s (1-5): %d", "\n"), ""},
	"numbered":                                 {inLines("1. %s - %d", "\n"), ""},
	"with what they mean":                      {inLines("%s: %d - good. There are 2 errors.", "\n"), ""},
	"as sentences":                             {inLines("%s is %d.", "\n"), ""},
	"marks as words in lines":                  {inLines("%s: three (%d)", "\n"), "Relevance: three and 5, which are two marks"},
	"a half":                                   {swap(": 4", ": 4.5"), "Accuracy: 4.5, which is not a whole number"},
	"a half with a comma":                      {swap(": 4", `: "4,5"`), "Accuracy: 4,5, which is not a whole number"},
	"a half in words":                          {swap(": 4", `: "4 and a half"`), "not a whole number"},
	"a half as a sign":                         {inLines("%s: %d½", "\n"), "not a whole number"},
	"with a plus":                              {swap(": 4", `: "4+"`), "not a whole number"},
	"nothing":                                  {swap(": 4", ": 0"), "Accuracy: 0, want a mark from 1 to 5"},
	"six":                                      {swap(": 4", ": 6"), "Accuracy: 6, want a mark from 1 to 5"},
	"below nothing":                            {swap(": 4", ": -4"), "Accuracy: -4, want a mark"},
	"below nothing, in a line":                 {inLines("%s: -%d", "\n"), "Relevance: -5, want a mark"},
	"no number":                                {swap(": 4", ": NaN"), "Accuracy: NaN, want a number"},
	"without end":                              {swap(": 4", ": Infinity"), "Accuracy: \"Infinity\", want a mark"},
	"a large one":                              {swap(": 4", ": 1e400"), "Accuracy: \"1e400\", want a mark"},
	"no value":                                 {swap(": 4", ": null"), "Accuracy: \"null\", want a mark"},
	"true":                                     {swap(": 4", ": true"), "Accuracy: \"true\""},
	"of ten":                                   {swap(": 4", `: "7/10"`), "Accuracy: 7/10, want a mark of 5"},
	"of ten, in lines":                         {inLines("%s: %d/10", "\n"), "Relevance: 5/10, want a mark of 5"},
	"of ten in words":                          {swap(": 4", `: "4 out of 10"`), "want a mark of 5"},
	"in percent":                               {swap(": 4", `: "80%"`), "80%, want a mark of 5"},
	"a range":                                  {swap(": 4", `: "3-4"`), "Accuracy: 3-4, which is two marks"},
	"a range in words":                         {swap(": 4", `: "3 to 4"`), "which is two marks"},
	"one or another":                           {swap(": 4", `: "3 or 4"`), "which is two marks"},
	"several marks":                            {swap(": 4", ": [4, 5]"), "Accuracy: a list of 2 values"},
	"a word":                                   {swap(": 4", `: "good"`), `Accuracy: "good", want a mark`},
	"a dimension too few":                      {swap(`"Clarity": 2, `, ""), "no mark for Clarity"},
	"a name twice, with two marks":             {swap(": 2", `: 2, "clarity": 3`), "Clarity: 2 and 3, which are two marks"},
	"a name twice, with one mark":              {swap(`"Clarity": 2`, `"Clarity": 2, "clarity": "2"`), ""},
	"two objects with two marks":               {six + "\nNo:\n" + swap(": 4", ": 3"), "Accuracy: 4 and 3, which are two marks"},
	"other marks before it":                    {"Accuracy: 3\n\n" + six, "Accuracy: 4 and 3, which are two marks"},
	"two marks with reasons":                   {swap(": 4", `: {"score": 4, "rating": 3}`), "4 and 3, which are two marks"},
	"cut off behind the marks":                 {strings.TrimSuffix(six, "}") + `, "Summary": "It is`, ""},
	"cut off in a number":                      {strings.TrimSuffix(six, "}"), "no mark for Reading Experience"},
	"cut off before the marks":                 {`{"Analysis": "The text is good and`, "no mark for Relevance"},
	"numbers without names":                    {"5, 4, 3, 2, 1, 5", "no mark for Relevance"},
	"a list of numbers":                        {"[5, 4, 3, 2, 1, 5]", "no mark for Relevance"},
	"prose":                                    {"Relevance of the 5 parts is high. Accuracy: 4 errors.", "no mark for Relevance"},
	"a refusal":                                {"I'm sorry, but I can't rate this.", "no mark for Relevance"},
	"nothing at all":                           {" \n", "an empty reply"},
	"the form that was asked for":              {`{"Analysis": ..., "Relevance": ..., "Accuracy": ...}`, `Relevance: "...", want a mark`},
	"a table of two numbers":                   {inLines("| %s | %d | 4 |", "\n"), "two numbers in a row"},
	"braces without an end":                    {strings.Repeat("{", 100000), "no mark for Relevance"},
	"objects inside of each other without end": {strings.Repeat(`{"a":`, 100000), "no mark for Relevance"},
}

func TestBrokenRepliesAreReadAsAPersonReadsThem(t *testing.T) {
	want := map[string]float64{
		"Relevance": 5, "Accuracy": 4, "Coherence": 3, "Clarity": 2, "Breadth and Depth": 1, "Reading Experience": 5,
	}
	for name, c := range broken {
		t.Run(name, func(t *testing.T) {
			marks, err := readAll(c.reply, "")
			switch {
			case c.want == "" && (err != nil || fmt.Sprint(marks) != fmt.Sprint(want)):
				t.Errorf("got %v, %v of\n%.400s", marks, err, c.reply)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, %v, want %q of\n%.400s", marks, err, c.want, c.reply)
			}
		})
	}
}

func TestAReplyWithOneMarkIsReadAsAPersonReadsIt(t *testing.T) {
	for reply, want := range map[string]string{
		"4":                                    "4",
		" 4\n":                                 "4",
		"4.":                                   "4",
		"**4**":                                "4",
		"*4*":                                  "4",
		"`4`":                                  "4",
		"\"4\"":                                "4",
		"(4)":                                  "4",
		"４":                                    "4",
		"4分":                                   "4",
		"四":                                    "4",
		"four":                                 "4",
		"Four.":                                "4",
		"4/5":                                  "4",
		"4 out of 5":                           "4",
		"4 stars":                              "4",
		"★★★★☆":                                "4",
		"4\n\nThe text has 3 parts.":           "4",
		"4 - it is good":                       "4",
		"4, because 2 parts are weak":          "4",
		"4 because of its 3 parts":             "4",
		"Score: 4":                             "4",
		"**Score:** 4":                         "4",
		"Relevance: 4":                         "4",
		"**Relevance**: 4/5":                   "4",
		"评分：4":                                 "4",
		"The score is 4.":                      "4",
		"I would rate this text a 4.":          "4",
		"I would give it 4 out of 5.":          "4",
		`{"Relevance": 4}`:                     "4",
		`{"score": "4"}`:                       "4",
		"```json\n{\"rating\": 4}\n```":        "4",
		`{"Relevance": {"score": 4}}`:          "4",
		"<think>3? 5?</think>\n\n4":            "4",
		"4\n\nScore: 4":                        "4",
		"<think>well":                          "before the judge has thought",
		"":                                     "an empty reply",
		"4.5":                                  "not a whole number",
		"3.5/5":                                "not a whole number",
		"0":                                    "from 1 to 5",
		"6":                                    "from 1 to 5",
		"10":                                   "from 1 to 5",
		"-3":                                   "from 1 to 5",
		"8/10":                                 "want a mark of 5",
		"80%":                                  "want a mark of 5",
		"3-4":                                  "two marks",
		"3 or 4":                               "two marks",
		"4\n\nScore: 3":                        "two marks",
		`{"score": 4} {"score": 3}`:            "two marks",
		`{"Relevance": 4, "score": 2}`:         "two marks",
		"1. The text is good.":                 "want a mark",
		"3 parts are good.":                    "want a mark",
		"4th":                                  "want a mark",
		"The text has 4 parts.":                "want a mark",
		"good":                                 "want a mark",
		"Accuracy: 4":                          "want a mark",
		"I can't rate this.":                   "want a mark",
		"As an AI I rate no texts of 5 parts.": "want a mark",
		"NaN":                                  "want a number",
		"N/A":                                  "want a number",
	} {
		read, err := readOne(reply, "Relevance")
		got := read["Relevance"]
		if want == "4" {
			if err != nil || got != 4 {
				t.Errorf("%q: got %v, %v", reply, got, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v, want %s", reply, got, err, want)
		}
	}
}

func TestAChoiceIsReadAsAPersonReadsIt(t *testing.T) {
	for reply, want := range map[string]string{
		"A": "1", "B": "0", "tie": "0.5", "Tie.": "0.5", "**A**": "1", "[[B]]": "0", "Text A": "1", "A is better": "1", "a": "1",
		"B\n\nIt is richer than A.": "0", `{"winner": "A"}`: "1", "The better text is B.": "two or none", "Winner: B": "0",
		"Verdict: [[A]]":         "1",
		"<think>A or B</think>A": "1", "A\n\nVerdict: B": "two choices", "A or B": "two or none", "": "an empty reply", "C": "two or none",
		"A good text": "two or none", "Both": "0.5", "Neither.": "0.5", "Ａ": "1",
	} {
		read, err := readChoice(reply, "")
		got := read["A"]
		switch want {
		case "0", "0.5", "1":
			if err != nil || fmt.Sprint(got) != want {
				t.Errorf("%q: got %v, %v, want %s", reply, got, err, want)
			}
		default:
			if want = strings.ReplaceAll(want, "two or none", "want A, B or tie"); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: got %v, %v, want %s", reply, got, err, want)
			}
		}
	}
}

func TestALongReplyTakesLittleTime(t *testing.T) {
	for _, piece := range []string{
		"{", `{"`, `{"a":1,`, `{"a":[`, "{'", `{"a":"b"`, "Relevance: ", "Relevance: 4/", "**", `{"Relevance":4}`, "四", `\`, "score ",
	} {
		from := time.Now()
		text := strings.Repeat(piece, 20000/len(piece))
		readAll(text, "")
		readOne(text, "Clarity")
		readChoice(text, "")
		if took := time.Since(from); took > 5*time.Second {
			t.Errorf("%d times %s takes %s", 20000/len(piece), piece, took)
		}
	}
}

// FuzzMarks: what is read of any reply are marks of the contract, or none.
func FuzzMarks(f *testing.F) {
	for _, c := range broken {
		if len(c.reply) < 10000 {
			f.Add(c.reply)
		}
	}
	f.Fuzz(func(t *testing.T, reply string) {
		isMark := func(m float64) bool { return m == 1 || m == 2 || m == 3 || m == 4 || m == 5 }
		marks, err := readAll(reply, "")
		if (err == nil) != (len(marks) == len(Dimensions)) || err != nil && marks != nil {
			t.Errorf("%v, %v", marks, err)
		}
		for d, m := range marks {
			if !isMark(m) {
				t.Errorf("%s: %v", d, m)
			}
		}
		if m, err := readOne(reply, "Clarity"); err == nil && !isMark(m["Clarity"]) {
			t.Errorf("%v", m)
		}
		if v, err := readChoice(reply, ""); err == nil && v["A"] != 0 && v["A"] != 0.5 && v["A"] != 1 {
			t.Errorf("%v", v)
		}
	})
}
