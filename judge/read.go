package judge

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// names are what judges call the dimensions, in letters alone and in small ones.
var names = func() map[string]string {
	all := map[string]string{
		"相关性": "Relevance", "准确性": "Accuracy", "连贯性": "Coherence", "清晰度": "Clarity", "清晰性": "Clarity",
		"广度和深度": "Breadth and Depth", "广度与深度": "Breadth and Depth", "breadthdepth": "Breadth and Depth",
		"阅读体验": "Reading Experience",
	}
	for _, d := range Dimensions {
		all[plainName(d)] = d
	}
	return all
}()

// verdicts are what judges call a mark that has no other name.
var verdicts = map[string]bool{
	"score": true, "rating": true, "mark": true, "value": true, "grade": true, "verdict": true,
	"分数": true, "评分": true, "得分": true,
}

// subjects are what judges call the name of a dimension, where it is a value.
var subjects = map[string]bool{"dimension": true, "name": true, "criterion": true, "aspect": true, "metric": true, "维度": true}

// plainName is a name in letters alone, in small ones.
func plainName(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, strings.ReplaceAll(name, "&", "and"))
}

// dimensionOf is the dimension that a name means, "" for none.
func dimensionOf(name string) string {
	plain := plainName(name)
	for verdict := range verdicts {
		plain = strings.TrimSuffix(plain, verdict)
	}
	return names[plain]
}

// labels find what may stand before a mark in a text; a separator follows it.
var labels = func() *regexp.Regexp {
	var all []string
	for _, d := range Dimensions {
		all = append(all, strings.ReplaceAll(strings.ReplaceAll(d, " and ", `[\s_-]*(?:and|&|/)[\s_-]*`), " ", `[\s_-]*`))
	}
	for name := range names {
		if name[0] >= 0x80 {
			all = append(all, name)
		}
	}
	all = append(all, "final score", "score", "rating", "mark", "grade", "verdict", "分数", "评分", "得分")
	return regexp.MustCompile(`(?i)(` + strings.Join(all, "|") + `)(?:\s*(?:score|rating|mark|评分|得分|分数))?` +
		`([\s*_"'` + "`" + `]*(?:is|was|of|为|是)?[\s*_"'` + "`" + `:=|>()\[\]–—-]{0,12})`)
}()

var scale = regexp.MustCompile(`[(\[]\s*(?:out of 5|1\s*(?:-|–|to|~)\s*5)\s*[)\]]`)

// labelled are the marks of a text by what stands before them, a dimension or "" for a word
// such as score.
func labelled(text string) map[string]statements {
	found := map[string]statements{}
	text = scale.ReplaceAllString(text, " ")
	for _, at := range labels.FindAllStringSubmatchIndex(text, -1) {
		if before := []rune(text[max(0, at[0]-4):at[0]]); len(before) > 0 && text[at[2]] < 0x80 && unicode.IsLetter(before[len(before)-1]) {
			continue // inside of a word
		}
		const most = 200 // bytes that a mark and what is behind it may have
		separator, rest := text[at[4]:at[5]], text[at[1]:min(at[1]+most, len(text))]
		if separator == "" && text[at[2]] < 0x80 {
			continue
		}
		if strings.HasSuffix(separator, "-") && strings.ContainsAny(separator, ":=|") {
			rest = "-" + rest
		}
		m, err := markOf(rest)
		if err == errNoMark {
			continue
		}
		d := dimensionOf(text[at[2]:at[3]])
		s := found[d]
		s.add(m, err)
		found[d] = s
		if line, _, _ := strings.Cut(rest, "\n"); err == nil && secondNumber.MatchString(line) {
			s.add(0, errors.New("two numbers in a row of a table"))
			found[d] = s
		}
	}
	return found
}

var secondNumber = regexp.MustCompile(`^[^|]*\|\s*\d+(?:\.\d+)?\s*(?:\||$)`)

// collect adds the marks of an object to found, by dimension; "" for a word such as score.
func collect(o object, found map[string]statements) {
	add := func(d string, v any) {
		s := found[d]
		s.add(markIn(v))
		found[d] = s
	}
	subject := ""
	for _, m := range o {
		if name, ok := m.value.(string); ok && subjects[plainName(m.key)] && dimensionOf(name) != "" {
			subject = dimensionOf(name)
		}
	}
	for _, m := range o {
		switch d := dimensionOf(m.key); {
		case d != "":
			add(d, m.value)
		case verdicts[plainName(m.key)] && !nested(m.value):
			add(subject, m.value)
		default:
			collectIn(m.value, found)
		}
	}
}

func nested(v any) bool {
	switch v.(type) {
	case object, list:
		return true
	}
	return false
}

// collectIn adds the marks of objects in a value.
func collectIn(v any, found map[string]statements) {
	switch v := v.(type) {
	case object:
		collect(v, found)
	case list:
		for _, x := range v {
			collectIn(x, found)
		}
	}
}

// statementsOf are all the marks that a reply states, by dimension; "" for a word such as
// score.
func statementsOf(reply string) map[string]statements {
	found := map[string]statements{}
	all, around := objects(reply)
	for _, o := range all {
		collect(o, found)
	}
	for d, s := range labelled(around) {
		found[d] = append(found[d], s...)
	}
	return found
}

// errThought is a reply whose beginning is what a model thinks, and nothing else.
var errThought = errors.New("the reply ends before the judge has thought")

// said is what a reply says, without thoughts before it, in plain letters.
func said(reply string) (string, error) {
	text := strings.TrimSpace(reply)
	if inside, ok := strings.CutPrefix(text, "<think>"); ok {
		_, after, ended := strings.Cut(inside, "</think>")
		if !ended {
			return "", errThought
		}
		text = strings.TrimSpace(after)
	}
	if text == "" {
		return "", errors.New("an empty reply")
	}
	if !strings.Contains(text, `"`) {
		text = strings.NewReplacer("“", `"`, "”", `"`).Replace(text)
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '！' && r <= '～': // letters of full width
			return r - '！' + '!'
		case r == '\u3000' || r == '\u00a0':
			return ' '
		}
		return r
	}, text), nil
}

// readAll reads the marks of all dimensions, or says of the first without one why.
func readAll(reply, _ string) (map[string]float64, error) {
	text, err := said(reply)
	if err != nil {
		return nil, err
	}
	found, marks := statementsOf(text), map[string]float64{}
	for _, d := range Dimensions {
		m, err := found[d].mark()
		if err == errNoMark {
			return nil, fmt.Errorf("no mark for %s", d)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d, err)
		}
		marks[d] = m
	}
	return marks, nil
}

// given finds a mark in a sentence that gives it.
var given = regexp.MustCompile(`(?i)\b(?:rate|rated|rating|give|score|deserves|assign|award)\b[^\d\n.]{0,40}?(?:\ba\s+|\s|\*)([\d(*"].*)`)

// readOne reads the mark of a dimension: where it is stated by name, as a mark or a score, and
// what the reply begins with.
func readOne(reply, dimension string) (map[string]float64, error) {
	text, err := said(reply)
	if err != nil {
		return nil, err
	}
	found := statementsOf(text)
	all := append(found[dimension], found[""]...)
	if !listed.MatchString(text) {
		if m, err := markOf(text); err != errNoMark {
			all.add(m, err)
		}
	}
	if at := given.FindStringSubmatch(text); at != nil {
		if m, err := markOf(at[1]); err != errNoMark {
			all.add(m, err)
		}
	}
	m, err := all.mark()
	if err == errNoMark {
		return nil, fmt.Errorf("%.60q, want a mark from %d to %d", text, worst, best)
	}
	if err != nil {
		return nil, err
	}
	return map[string]float64{dimension: m}, nil
}

// listed finds the first point of a list, whose number is no mark.
var listed = regexp.MustCompile(`^\W*\d+[.):]\s+\S`)

// marks may stand around a choice.
const marks = `[\s*_"'` + "`" + `\[\](){}.,:;!]*`

// These find which text a judge takes.
var (
	chosenWord = regexp.MustCompile(`(?i)^` + marks + `(?:the\s+)?(?:(?:better|winner|answer|verdict|choice)\s*(?:is|:)?\s*)?` + marks +
		`(?:text\s*|response\s*)?(?:(A|B)|(tie|draw|equal|neither|both))` + marks + `(?:$|\n|is\s+(?:the\s+)?better|-\s|because\b)`)
	anyChoice = regexp.MustCompile(`(?i)(?:"?(?:winner|better|verdict|choice|answer)"?\s*[:=]\s*"?|\[\[)` +
		`(?:text\s*|response\s*)?\b(A|B|tie|draw|equal)\b`)
)

// readChoice is what a comparison says text A is worth: 1, 0.5 or 0.
func readChoice(reply, _ string) (map[string]float64, error) {
	text, err := said(reply)
	if err != nil {
		return nil, err
	}
	worth := func(word string) float64 {
		switch strings.ToUpper(word) {
		case "A":
			return 1
		case "B":
			return 0
		}
		return 0.5
	}
	var all []float64
	if at := chosenWord.FindStringSubmatch(text); at != nil {
		all = append(all, worth(at[1]+at[2]))
	}
	for _, at := range anyChoice.FindAllStringSubmatch(text, -1) {
		all = append(all, worth(at[1]))
	}
	for _, v := range all {
		if v != all[0] {
			return nil, errors.New("two choices, want one")
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%.60q, want A, B or tie", text)
	}
	return map[string]float64{"A": all[0]}, nil
}
