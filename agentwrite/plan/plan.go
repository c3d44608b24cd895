// Package plan reads the plans that models write of a long text: a main point and a number
// of words for each paragraph, as AgentWrite asks for them (arXiv:2408.07055, section 3.1).
//
// [Read] takes what a model replied, in whatever form, and [Plan.Check] says whether its
// paragraphs suit what was asked for. Their errors are written for the model: a prompt that
// asks again may say them as they are.
package plan

import (
	"fmt"
	"strings"
)

// Step is a paragraph that is to be written.
type Step struct {
	Point string `json:"point"` // what it is about, on one line
	Words int    `json:"words"` // how long it is to be, of a range the upper end
	// Line is the step as the model wrote it, of several lines joined by blanks; in the paper's
	// form where it was a row of a table or JSON.
	Line string `json:"line"`
}

// Plan is the paragraphs of a text in their order.
type Plan []Step

// Words is how long the text is to be.
func (p Plan) Words() int {
	sum := 0
	for _, s := range p {
		sum += s.Words
	}
	return sum
}

// String is the plan in the paper's form, a line for each paragraph. [Read] reads from it the
// points and words that it was made of.
func (p Plan) String() string {
	var out strings.Builder
	for i, s := range p {
		if i > 0 {
			out.WriteByte('\n')
		}
		out.WriteString(s.line(i + 1))
	}
	return out.String()
}

// line is the paper's form of the paragraph of a number.
func (s Step) line(number int) string {
	return fmt.Sprintf("Paragraph %d - Main Point: %s - Word Count: %d words", number, s.Point, s.Words)
}

// What a paragraph may have, in words, and what the sum of a plan may be of what was asked for.
const (
	fewest, most       = 200, 1000
	leastSum, largeSum = 0.5, 1.5
)

// Check reports everything that makes a plan unfit: fewer than two paragraphs or more than
// mostParagraphs, one of fewer than 200 words or more than 1,000, or a sum below half of least or above
// one and a half of the words that were asked for. Both are the same but for a range, and 0 where no length was stated.
func (p Plan) Check(least, asked, mostParagraphs int) error {
	var wrong []string
	switch n := len(p); {
	case n < 2:
		wrong = append(wrong, fmt.Sprintf("the plan has %s, want at least 2", count(n, "paragraph")))
	case n > mostParagraphs:
		wrong = append(wrong, fmt.Sprintf("the plan has %d paragraphs, want at most %d: give each more words", n, mostParagraphs))
	}
	var short, long []string
	for i, s := range p {
		said := fmt.Sprintf("%d (%d words)", i+1, s.Words)
		switch {
		case s.Words < fewest:
			short = append(short, said)
		case s.Words > most:
			long = append(long, said)
		}
	}
	if len(short) > 0 {
		wrong = append(wrong, fmt.Sprintf("%s too short, want at least %d words for each paragraph", numbered(short), fewest))
	}
	if len(long) > 0 {
		wrong = append(wrong, fmt.Sprintf("%s too long, want at most %d words for each paragraph", numbered(long), most))
	}
	sum := float64(p.Words())
	if low, high := leastSum*float64(least), largeSum*float64(asked); asked > 0 && (sum < low || sum > high) {
		want := fmt.Sprintf("about %d", asked)
		if least < asked {
			want = fmt.Sprintf("%d to %d", least, asked)
		}
		wrong = append(wrong, fmt.Sprintf("the word counts sum up to %d, want %s", p.Words(), want))
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%s", strings.Join(wrong, "; "))
	}
	return nil
}

// Fits says why no plan of at most mostParagraphs passes [Plan.Check] where so many words are asked for; nil: one may.
func Fits(least, asked, mostParagraphs int) error {
	switch shortest, largest := 2*fewest, mostParagraphs*most; {
	case asked > 0 && largeSum*float64(asked) < float64(shortest):
		return fmt.Errorf("%d words are asked for, and a plan has at least %d", asked, shortest)
	case leastSum*float64(least) > float64(largest):
		return fmt.Errorf("%d words are asked for, and a plan of %d paragraphs has at most %d", least, mostParagraphs, largest)
	}
	return nil
}

// numbered says which paragraphs are something, with a verb: paragraphs 2, 3 and 5 are.
func numbered(names []string) string {
	const mostNamed = 8
	switch n := len(names); {
	case n == 1:
		return "paragraph " + names[0] + " is"
	case n > mostNamed:
		return fmt.Sprintf("paragraphs %s and %d more are", strings.Join(names[:mostNamed], ", "), n-mostNamed)
	default:
		return "paragraphs " + strings.Join(names[:n-1], ", ") + " and " + names[n-1] + " are"
	}
}

func count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
