package plan

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"lwtrain/internal/prose"
)

// mostReply is how many bytes a reply may have: the longest plan of fifty paragraphs has a tenth.
const mostReply = 256 << 10

// form is what errors ask for.
const form = "want a line for each paragraph, such as: Paragraph 1 - Main Point: what it is about - Word Count: 400 words"

var (
	// canonical is a line in the paper's form, as [Plan.String] writes it.
	canonical = regexp.MustCompile(`^Paragraph ([1-9][0-9]{0,5}) - Main Point: (.*) - Word Count: ([1-9][0-9]{0,6}) words$`)

	thought = regexp.MustCompile(`(?i)<(/?)(?:think|thinking|thought|reasoning)>`)
	// example is what the paper's prompt shows of the form.
	example = regexp.MustCompile(`(?i)\[?describe the main point of the paragraph|\[?word count requirement, e\.g|` +
		`详细描述(?:本段|段落|该段)的?(?:主要)?要点\]`)
	dots = regexp.MustCompile(`^[\[(（]?(?:\.{3,}|…+|以此类推|（?省略）?)[\])）。]?$`)
)

// Read reads the plan in a reply: a line for each paragraph as the paper has it, or numbered,
// bold, in items, under headings, in a table or in JSON, in English or Chinese, with a point and
// its count on one line or on several, and with text around it. A count may be a range (its upper
// end is taken), about so much, with separators, in words, and without its unit behind its name.
//
// Its error says what is wrong with the reply, in words for the model. What could be read in two
// ways is an error, and so is a reply of more than 256 KiB. Time is linear.
func Read(reply string) (Plan, error) {
	if len(reply) > mostReply {
		return nil, fmt.Errorf("the reply has %d bytes, want a plan of at most %d", len(reply), mostReply)
	}
	reply, err := said(reply)
	if err != nil {
		return nil, err
	}
	if p := strictly(reply); p != nil {
		return p, nil
	}
	if p, found, err := fromJSON(reply); found {
		return p, err
	}
	if example.MatchString(reply) {
		return nil, errors.New("the reply repeats the example of the form, want the points and word counts of this text")
	}
	all := linesOf(reply)
	if p, found, err := fromTable(all); found {
		return p, err
	}
	return fromLines(all)
}

// said is a reply without the model's thoughts.
func said(reply string) (string, error) {
	open := 0
	rest := reply
	for _, m := range thought.FindAllStringSubmatchIndex(reply, -1) {
		if m[2] < m[3] {
			open, rest = 0, reply[m[1]:]
		} else {
			open++
		}
	}
	if open > 0 {
		return "", errors.New("the reply ends before its thinking does, want the plan alone")
	}
	return rest, nil
}

// strictly reads what [Plan.String] writes, whatever the points hold; nil: it is another form.
func strictly(reply string) (p Plan) {
	for line := range strings.SplitSeq(reply, "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		m := canonical.FindStringSubmatch(line)
		if m == nil || m[1] != strconv.Itoa(len(p)+1) || m[2] == "" || m[2] != strings.Join(strings.Fields(m[2]), " ") ||
			example.MatchString(m[2]) {
			return nil
		}
		words, _ := strconv.Atoi(m[3])
		p = append(p, Step{Point: m[2], Words: words, Line: line})
	}
	return p
}

// fromLines reads a plan that is neither JSON nor a table.
func fromLines(all []line) (Plan, error) {
	for _, class := range classes {
		starts := which(all, func(l line) bool { return l.class == class })
		if len(starts) == 0 {
			continue
		}
		for i, at := range starts {
			switch l := all[at]; {
			case l.several:
				return nil, fmt.Errorf("%q plans several paragraphs on one line, want a line for each", excerpt(l.text))
			case l.ordinal != i+1:
				return nil, outOfOrder(class, i, l.ordinal)
			}
		}
		return assemble(all, starts, class)
	}
	number, head, item := numberedLines(all), headings(all), bullets(all)
	starts := number
	for _, other := range [][]int{head, item} {
		if len(other) > 1 && (len(starts) < 2 || other[0] < starts[0]) {
			starts = other
		}
	}
	if len(starts) < 2 {
		return plainly(all)
	}
	p, err := assemble(all, starts, "paragraph")
	if err == nil || len(head) == 0 || starts[0] != head[0] {
		return p, err
	}
	for _, below := range [][]int{number, item} {
		if areBelow(all, head, below) {
			return assemble(all, below, "paragraph")
		}
	}
	return nil, err
}

// areBelow reports whether lines that all have their counts are the paragraphs under headings that have none.
func areBelow(all []line, head, below []int) bool {
	for _, at := range head {
		if len(all[at].counts) > 0 {
			return false
		}
	}
	for _, at := range below {
		if c := all[at].counts; len(c) == 0 || c[0].strength == weak {
			return false
		}
	}
	for i, at := range head {
		end := len(all)
		if i+1 < len(head) {
			end = head[i+1]
		}
		if next, _ := slices.BinarySearch(below, at+1); next == len(below) || below[next] >= end {
			return false
		}
	}
	return true
}

func outOfOrder(class string, before, number int) error {
	switch {
	case before == 0:
		return fmt.Errorf("the plan begins with %s %d, want %s 1 first", class, number, class)
	case number == 1:
		return fmt.Errorf("the numbers start again at 1 behind %s %d, want one plan that is numbered from 1", class, before)
	}
	return fmt.Errorf("%s %d follows %s %d, want %s %d", class, number, class, before, class, before+1)
}

func which(all []line, is func(line) bool) (at []int) {
	for i, l := range all {
		if is(l) {
			at = append(at, i)
		}
	}
	return at
}

// numberedLines are the lines of a numbered list that goes on by one, or repeats the number 1.
func numberedLines(all []line) []int {
	first := slices.IndexFunc(all, func(l line) bool { return l.number == 1 })
	if first < 0 {
		return nil
	}
	starts := which(all, func(l line) bool { return l.number > 0 && l.indent <= all[first].indent })
	starts = slices.DeleteFunc(starts, func(at int) bool { return at < first })
	ones := !slices.ContainsFunc(starts, func(at int) bool { return all[at].number != 1 })
	for i, at := range starts {
		if !ones && all[at].number != i+1 {
			return nil
		}
	}
	return starts
}

// headings are the lines of the level that most headings have.
func headings(all []line) []int {
	var many [8]int
	for _, l := range all {
		many[l.level]++
	}
	level := 0
	for i := 1; i < len(many); i++ {
		if many[i] > 1 && (level == 0 || many[i] > many[level]) {
			level = i
		}
	}
	if level == 0 {
		return nil
	}
	return which(all, func(l line) bool { return l.level == level && !isTotal(l) })
}

// bullets are the items that are the least indented.
func bullets(all []line) []int {
	least := -1
	for _, l := range all {
		if l.bullet && (least < 0 || l.indent < least) {
			least = l.indent
		}
	}
	return which(all, func(l line) bool { return l.bullet && l.indent == least && !isTotal(l) })
}

// excerpt is the beginning of a text.
func excerpt(s string) string { return prose.Beginning(s, 60) }
