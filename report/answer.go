package report

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"lwtrain/internal/human"
	"lwtrain/internal/prose"
)

// Answer is a held-out prompt with its answers.
type Answer struct {
	Origin, Prompt string
	Reference      *Answered
	Before, After  *Answered // nil: not known
}

// Answered is one answer.
type Answered struct {
	Text     string
	Words    int
	Stop     string
	Repeated float64 // share of the words
}

// labelled is an answer with its title.
type labelled struct {
	Label string
	Answered
}

// shown and shownLines are how many bytes and lines of an answer are shown at once.
const shown, shownLines = 1200, 40

// Start is the beginning of an answer, and Rest what follows it, behind a word where there
// is one.
func (a Answered) Start() string {
	if a.blank() {
		return ""
	}
	return a.Text[:a.split()]
}

// Rest is what [Answered.Start] leaves.
func (a Answered) Rest() string {
	if a.blank() {
		return ""
	}
	return strings.TrimLeft(a.Text[a.split():], " ")
}

func (a Answered) blank() bool { return strings.TrimSpace(a.Text) == "" }

func (a Answered) split() int {
	lines := 0
	for i := range min(len(a.Text), shown) {
		if a.Text[i] == '\n' {
			lines++
		}
		if lines == shownLines {
			return i
		}
	}
	if len(a.Text) <= shown+shown/4 {
		return len(a.Text)
	}
	if i := strings.LastIndexAny(a.Text[:shown], " \n"); i > shown/2 {
		return i
	}
	at := shown
	for at > 0 && !utf8.RuneStart(a.Text[at]) {
		at--
	}
	return at
}

// More says what [Answered.Rest] has.
func (a Answered) More() string { return human.Count(prose.Words(a.Rest()), "more word") }

// Facts say how long an answer is, and what is wrong with it.
func (a Answered) Facts() string {
	out := human.Count(a.Words, "word")
	if a.Repeated >= 0.01 {
		out += fmt.Sprintf(", %.0f %% of them in phrases that came before", 100*a.Repeated)
	}
	if a.blank() {
		out += ", nothing but blanks"
	}
	if a.Cut() {
		out += ", cut off at sample.max_new_tokens"
	}
	return out
}

// Cut reports whether the answer was ended by its limit.
func (a Answered) Cut() bool { return a.Stop == "length" }
