package sift

import (
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

//go:embed lists/question.txt
var questionText string

// Question is what a model is asked about an instruction, and what its reply is read as: the two
// are one thing, so that neither changes without the other.
type Question struct{ text string }

// NeedsLength asks whether an instruction needs an answer of thousands of words, as LongWriter's
// authors asked of theirs; their prompt is not published.
var NeedsLength = Question{strings.TrimSpace(questionText)}

var questionMarks = regexp.MustCompile(`(?i)<(\s*/?\s*instruction\s*)>`)

// Prompt is the question about an instruction. What looks like the marks around it is put in
// other brackets, and what looks like a name of the prompt stays as it is.
func (q Question) Prompt(instruction string) string {
	return strings.NewReplacer("$INST$", questionMarks.ReplaceAllString(instruction, "‹$1›")).Replace(q.text)
}

// A verdict is a word behind its name, the first word of a reply or its last; what ends it is no letter.
const (
	verdict = `(yes|no|不是|不需要|无需|不必|否|是的|是|需要)`
	ended   = `(?:[\s，,。.！!；;、：:*_"'”’)）>-]|$)`
	quoted  = `[\s*_"'“”‘’>#(（【:：-]`
)

var verdicts = []*regexp.Regexp{
	regexp.MustCompile(`(?i)(?:answer|verdict|答案|回答|结论)` + quoted + `{0,6}(?:is|为|是)?` + quoted + `{0,6}` + verdict + ended),
	regexp.MustCompile(`(?i)^` + quoted + `*` + verdict + ended),
	regexp.MustCompile(`(?i)(?:^|[\s*_"'.:。：，,])` + verdict + `[\s.!*_"'。！”]*$`),
}

var inThought = regexp.MustCompile(`(?is)^.*</think(?:ing)?>`)

// Read is whether a reply says yes. One that says neither yes nor no, or both, is an error.
func (q Question) Read(reply string) (yes bool, err error) {
	said := strings.TrimSpace(inThought.ReplaceAllString(reply, ""))
	if strings.Contains(strings.ToLower(said), "<think") {
		return false, errors.New("the reply ends before its thinking does")
	}
	for _, e := range verdicts {
		found := map[bool]bool{}
		for _, m := range e.FindAllStringSubmatch(said, -1) {
			found[isYes(m[1])] = true
		}
		switch len(found) {
		case 1:
			return found[true], nil
		case 2:
			return false, fmt.Errorf("the reply says yes and no: %q", excerpt(said))
		}
	}
	return false, fmt.Errorf("the reply says neither yes nor no: %q", excerpt(said))
}

func isYes(word string) bool {
	switch strings.ToLower(word) {
	case "yes", "是", "是的", "需要":
		return true
	}
	return false
}

// Asked is the verdict on an instruction after the reply to [NeedsLength] about it.
func (q Question) Asked(reply string) Verdict {
	switch yes, err := q.Read(reply); {
	case err != nil:
		return Verdict{NoVerdict, err.Error()}
	case !yes:
		return Verdict{NotLong, "a model says: " + excerpt(reply)}
	}
	return Verdict{}
}
