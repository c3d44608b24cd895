package plan

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Pieces that plans are put together of, as models mix them.
var (
	namesOf = []func(n int) string{
		func(n int) string { return fmt.Sprintf("Paragraph %d", n) },
		func(n int) string { return fmt.Sprintf("**Paragraph %d**", n) },
		func(n int) string { return fmt.Sprintf("### Paragraph %d", n) },
		func(n int) string { return fmt.Sprintf("%d. **Paragraph %d**", n, n) },
		func(n int) string { return fmt.Sprintf("- Paragraph %d", n) },
		func(n int) string { return fmt.Sprintf("Step %d", n) },
		func(n int) string { return fmt.Sprintf("Section %d", n) },
		func(n int) string { return fmt.Sprintf("段落%d", n) },
		func(n int) string { return fmt.Sprintf("第%d段", n) },
		func(n int) string {
			return fmt.Sprintf("第%s段", []string{"一", "二", "三", "四", "五", "六"}[n-1])
		},
		func(n int) string { return fmt.Sprintf("%d.", n) },
		func(n int) string { return fmt.Sprintf("%d)", n) },
		func(n int) string { return fmt.Sprintf("（%d）", n) },
		func(n int) string { return []string{"一、", "二、", "三、", "四、", "五、", "六、"}[n-1] },
		func(n int) string { return fmt.Sprintf("## %d.", n) },
		func(n int) string { return []string{"I.", "II.", "III.", "IV.", "V.", "VI."}[n-1] },
		func(n int) string { return fmt.Sprintf("**Part %d**", n) },
	}
	joints     = []string{" - ", ": ", " – ", " — ", "：", " | "}
	pointNames = []string{"Main Point: ", "**Main Point:** ", "*Main Point*: ", "要点：", "主要内容：", "[Main Point]: ", ""}
	countsBy   = []string{" - Word Count: %s", " - **Word Count:** %s", " (Word Count: %s)", " (%s)", " - %s",
		" — Word Count: %s.", "，字数：%s", " | %s", " [%s]"}
	countsBelow = []string{"\nWord Count: %s", "\n- **Word Count**: %s", "\n   字数：%s", "\n(%s)"}
	numbersOf   = []func(n int) string{
		func(n int) string { return fmt.Sprintf("%d words", n) },
		func(n int) string { return fmt.Sprintf("about %d words", n) },
		func(n int) string { return fmt.Sprintf("%d-%d words", n-100, n) },
		func(n int) string { return fmt.Sprintf("~%d words", n) },
		func(n int) string { return fmt.Sprintf("%d字", n) },
		func(n int) string { return fmt.Sprintf("约%d字", n) },
		func(n int) string { return fmt.Sprintf("%d–%d字左右", n-100, n) },
		func(n int) string { return fmt.Sprintf("%d - %d words", n-100, n) },
		func(n int) string { return fmt.Sprintf("%d to %d words", n-100, n) },
		func(n int) string { return fmt.Sprintf("%d+ words", n) },
		func(n int) string { return fmt.Sprintf("approximately %d words", n) },
		func(n int) string { return fmt.Sprintf("不少于%d字", n) },
	}
	preambles = []string{"", "Sure! Here is the plan for your 3000-word essay:\n\n", "以下是写作计划：\n\n", "# Plan\n\n",
		"**Title: The Long Way**\n\nTotal length: 3000 words\n\n"}
	epilogues = []string{"", "\n\nTotal: 3000 words.", "\n\nThis plan covers all of it. Let me know what to change!",
		"\n\n总字数：约3000字", "\n\n---\n*Note: lengths may vary.*"}
	points = []string{"The causes of the war", "How 19 ships left the harbour in 1912", "介绍茶叶的历史与传播",
		"Describe (in detail) the old house, its garden and its ghosts",
		"Compare Rome and Athens; end with a question", "写主人公的童年，以及父亲的离开", "Why people read: 3 reasons"}
	// traps hold what looks like a count or a name of the form.
	traps = []string{"The 500 words that changed history", "Write 300 words a day: a habit for life", "第二次世界大战的400天",
		"Chapters 3 - 5 in review",
		"Compare Paragraph 1 with what follows", "The word count of novels: 400 of them", "From 1912 - 1939", "一篇500字的文章怎么写",
		"In total, what was lost",
		"Two case studies (300 words each)", "Its length of 900 miles", "每段300字的写法", "The 3000 word essay"}
)

// TestStylesOfPlans puts plans together in every mixture of styles and wants the words and the points that were put in.
func TestStylesOfPlans(t *testing.T) { styles(t, points, false) }

// TestTrapsInPoints wants the words that were put in, or an error, where points look like parts of the form.
func TestTrapsInPoints(t *testing.T) { styles(t, traps, true) }

// TestAMissingCountIsToldOf leaves out one count, whatever the points hold, and wants an error.
func TestAMissingCountIsToldOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name, joint := rapid.SampledFrom(namesOf).Draw(t, "name"), rapid.SampledFrom(joints).Draw(t, "joint")
		label, number := rapid.SampledFrom(pointNames).Draw(t, "label"), rapid.SampledFrom(numbersOf).Draw(t, "number")
		by := rapid.SampledFrom(append(countsBy[:len(countsBy):len(countsBy)], countsBelow...)).Draw(t, "count")
		n := rapid.IntRange(2, 6).Draw(t, "steps")
		without := rapid.IntRange(0, n-1).Draw(t, "without")
		var lines []string
		for i := range n {
			line := name(i+1) + joint + label + rapid.SampledFrom(append(points, traps...)).Draw(t, "point")
			if i != without {
				line += fmt.Sprintf(by, number(50*rapid.IntRange(4, 20).Draw(t, "words")))
			}
			lines = append(lines, line)
		}
		reply := rapid.SampledFrom(preambles).Draw(t, "before") + strings.Join(lines, "\n") + rapid.SampledFrom(epilogues).Draw(t, "after")
		if got, err := Read(reply); err == nil {
			t.Fatalf("%d: %v of\n%s", without, got, reply)
		}
	})
}

func styles(t *testing.T, of []string, mayFail bool) {
	read := 0
	rapid.Check(t, func(t *rapid.T) {
		name, joint := rapid.SampledFrom(namesOf).Draw(t, "name"), rapid.SampledFrom(joints).Draw(t, "joint")
		label, number := rapid.SampledFrom(pointNames).Draw(t, "label"), rapid.SampledFrom(numbersOf).Draw(t, "number")
		by := rapid.SampledFrom(append(countsBy[:len(countsBy):len(countsBy)], countsBelow...)).Draw(t, "count")
		gap := rapid.SampledFrom([]string{"\n", "\n\n", "\n\n\n"}).Draw(t, "gap")
		var want Plan
		var lines []string
		for i := range rapid.IntRange(2, 6).Draw(t, "steps") {
			s := Step{Point: rapid.SampledFrom(of).Draw(t, "point"), Words: 50 * rapid.IntRange(4, 20).Draw(t, "words")}
			want = append(want, s)
			lines = append(lines, name(i+1)+joint+label+s.Point+fmt.Sprintf(by, number(s.Words)))
		}
		reply := rapid.SampledFrom(preambles).Draw(t, "before") + strings.Join(lines, gap) + rapid.SampledFrom(epilogues).Draw(t, "after")
		got, err := Read(reply)
		if err != nil {
			if !mayFail {
				t.Fatalf("%v of\n%s", err, reply)
			}
			return
		}
		read++
		if len(got) != len(want) {
			t.Fatalf("%d steps of\n%s", len(got), reply)
		}
		for i, s := range got {
			if s.Words != want[i].Words || !mayFail && s.Point != want[i].Point {
				t.Fatalf("step %d is %q with %d words, want %q with %d, of\n%s", i+1, s.Point, s.Words, want[i].Point, want[i].Words, reply)
			}
		}
	})
	t.Log(read, "were read")
}
