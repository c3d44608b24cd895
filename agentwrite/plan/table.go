package plan

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var (
	countColumn  = regexp.MustCompile(`(?i)word|字数|字數|length|篇幅`)
	numberColumn = regexp.MustCompile(`(?i)^(?:#|no\.?|nr\.?|number|序号|编号)$`)
	ruleOfTable  = regexp.MustCompile(`^\|?[\s:|-]*-[\s:|-]*$`)
)

// fromTable reads a plan in a table, whose first row names a column of counts; found is whether
// there is one.
func fromTable(all []line) (p Plan, found bool, err error) {
	var columns []string
	words := -1
	var missing []string
	for _, l := range all {
		cells := cellsOf(l.raw)
		switch {
		case ruleOfTable.MatchString(l.raw) || len(cells) < 2:
			continue
		case columns == nil:
			if words = indexOf(cells, countColumn); words >= 0 {
				columns = cells
			}
			continue
		case len(cells) != len(columns):
			return nil, true, fmt.Errorf("the row %q has %d cells, want %d", excerpt(l.raw), len(cells), len(columns))
		case total.MatchString(strings.TrimLeft(strings.Join(cells, " "), " ")):
			continue
		}
		s := Step{Point: rowPoint(columns, cells, words)}
		if s.Point == "" {
			return nil, true, fmt.Errorf("paragraph %d has no main point", len(p)+1)
		}
		if dots.MatchString(s.Point) {
			return nil, true, fmt.Errorf("the plan leaves paragraphs out behind paragraph %d, want all of them", len(p))
		}
		if counts := countsOf("Word Count: " + cells[words]); len(counts) > 0 {
			s.Words = counts[0].words
		} else {
			missing = append(missing, fmt.Sprint(len(p)+1))
		}
		s.Line = s.line(len(p) + 1)
		p = append(p, s)
	}
	switch {
	case len(p) == 0:
		return nil, false, nil
	case len(missing) > 0:
		return nil, true, errors.New(have("paragraph", missing) + " no word count")
	}
	return p, true, nil
}

// cellsOf are the cells of a row; nil: the line is none.
func cellsOf(raw string) []string {
	inner, ok := strings.CutPrefix(raw, "|")
	if !ok {
		return nil
	}
	inner = strings.TrimSuffix(strings.TrimSpace(inner), "|")
	cells := strings.Split(marks.Replace(inner), "|")
	for i, c := range cells {
		cells[i] = strings.Join(strings.Fields(strings.ReplaceAll(c, "<br>", " ")), " ")
	}
	return cells
}

func indexOf(cells []string, is *regexp.Regexp) int {
	for i, c := range cells {
		if is.MatchString(c) {
			return i
		}
	}
	return -1
}

// rowPoint is what a row says besides its number and its count.
func rowPoint(columns, cells []string, words int) string {
	var said []string
	for i, c := range cells {
		l := lineOf(c)
		onlyNumber := strings.Trim(c, "0123456789. ") == "" || l.class != "" && l.body == ""
		if i == words || onlyNumber || numberColumn.MatchString(columns[i]) {
			continue
		}
		said = append(said, pointOf(l.body))
	}
	return strings.Join(said, ": ")
}
