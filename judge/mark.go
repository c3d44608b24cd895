package judge

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// form finds a number as marks are written, at the beginning of a text, and what it is out
// of or goes up to.
var form = regexp.MustCompile(`(?i)^([+-]?\d+(?:[.,]\d+)?|` +
	`(?:zero|one|two|three|four|five|six|seven|eight|nine|ten)\b|[零一二三四五六七八九十])` +
	`(?:\s*(?:/|out\s+of|of)\s*(\d+(?:\.\d+)?|five|ten)\b|\s*(?:-|–|—|~|to|or|至|到)\s*(\d+(?:\.\d+)?)\b)?`)

var words = map[string]float64{
	"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
	"零": 0, "一": 1, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9, "十": 10,
}

// after finds what may stand behind a mark, so that the number is not that of something
// else: "4 errors" is no mark.
var after = regexp.MustCompile(`(?i)^\s*(?:$|[\n,;:)\]}|*_"'` + "`" + `>，。；：、（(/\\]|--|[-–—]\s|[.!](?:\s|$|[)*_"'|}])|` +
	`stars?\b|points?\b|分|星)` +
	`|^\s+(?:because|as|since|for|but|and)\b`)

// errNoMark is a text that does not begin with a mark.
var errNoMark = errors.New("no mark")

// markOf reads the mark that a text begins with: its value, or what is wrong with it.
// Without anything that looks like a mark the error is errNoMark.
func markOf(text string) (float64, error) {
	text = strings.TrimLeft(text, " \t\r\n*_`\"'([（|")
	if v, ok := stars(text); ok {
		return v, nil
	}
	at := form.FindStringSubmatch(text)
	if at == nil {
		if first, _, _ := strings.Cut(text, " "); strings.EqualFold(first, "nan") || strings.EqualFold(first, "n/a") {
			return 0, fmt.Errorf("%s, want a number", first)
		}
		return 0, errNoMark
	}
	whole, number, of, upTo := strings.TrimSpace(at[0]), at[1], at[2], at[3]
	rest := text[len(at[0]):]
	if strings.HasPrefix(rest, "%") || strings.HasPrefix(strings.TrimSpace(rest), "/") && of == "" {
		return 0, fmt.Errorf("%s%.2s, want a mark of %d", number, strings.TrimSpace(rest), best)
	}
	if fraction.MatchString(rest) {
		return 0, fmt.Errorf("%.12s, which is not a whole number", whole+rest)
	}
	if !after.MatchString(rest) {
		return 0, errNoMark
	}
	if upTo != "" {
		return 0, fmt.Errorf("%s, which is two marks", whole)
	}
	if of != "" && of != strconv.Itoa(best) && !strings.EqualFold(of, "five") {
		return 0, fmt.Errorf("%s, want a mark of %d", whole, best)
	}
	v, known := words[strings.ToLower(number)]
	if !known {
		var err error
		if v, err = strconv.ParseFloat(number, 64); err != nil {
			return 0, fmt.Errorf("%s, which is not a whole number", whole)
		}
	}
	if at := again.FindStringSubmatch(rest); at != nil && at[1] != strconv.FormatFloat(v, 'g', -1, 64) {
		return 0, fmt.Errorf("%s and %s, which are two marks", number, at[1])
	}
	return inRange(v, number)
}

// again finds a mark that is stated once more, in brackets.
var again = regexp.MustCompile(`^\s*\(\s*(\d+)\s*(?:/\s*5\s*)?\)`)

// fraction finds what makes a number a fraction one.
var fraction = regexp.MustCompile(`^\s*(?:½|¼|¾|\+|and\s+a\s+half|点[\d一二三四五六七八九])`)

// inRange is a mark that the contract knows.
func inRange(v float64, said string) (float64, error) {
	switch {
	case v != float64(int(v)):
		return 0, fmt.Errorf("%.20s, which is not a whole number", said)
	case v < worst || v > best:
		return 0, fmt.Errorf("%.20s, want a mark from %d to %d", said, worst, best)
	}
	return v, nil
}

// stars is a mark in stars, full and empty ones together as many as there are marks.
func stars(text string) (float64, bool) {
	full := len(text) - len(strings.TrimLeft(text, "★"))
	empty := len(text) - full - len(strings.TrimLeft(text[full:], "☆"))
	const bytes = len("★")
	return float64(full / bytes), full > 0 && (full+empty)/bytes == best
}

// markIn is the mark that a value of JSON is.
func markIn(v any) (float64, error) {
	switch v := v.(type) {
	case bare:
		return markIn(string(v))
	case string:
		m, err := markOf(v)
		if err == errNoMark {
			return 0, fmt.Errorf("%.40q, want a mark from %d to %d", v, worst, best)
		}
		return m, err
	case list:
		if len(v) == 1 {
			return markIn(v[0])
		}
		return 0, fmt.Errorf("a list of %d values, want a mark", len(v))
	case object:
		var found statements
		for _, m := range v {
			if verdicts[plainName(m.key)] {
				found.add(markIn(m.value))
			}
		}
		return found.mark()
	}
	return 0, errNoMark
}

// statements are all that a reply says of one mark.
type statements []statement

type statement struct {
	mark float64
	err  error
}

func (s *statements) add(mark float64, err error) { *s = append(*s, statement{mark, err}) }

// mark is what all of them say. One that says another thing than the rest, or that is no
// mark, leaves nothing to go by.
func (s statements) mark() (float64, error) {
	if len(s) == 0 {
		return 0, errNoMark
	}
	for _, x := range s {
		if x.err != nil {
			return 0, x.err
		}
		if x.mark != s[0].mark {
			return 0, fmt.Errorf("%g and %g, which are two marks", s[0].mark, x.mark)
		}
	}
	return s[0].mark, nil
}
