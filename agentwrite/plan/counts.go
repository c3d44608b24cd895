package plan

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"lwtrain/internal/prose"
)

// Pieces of the expressions that find a number of words. What a number comes to is said by
// prose.StatedLength alone.
const (
	figure  = `(?:[0-9０-９]{1,3}(?: [0-9]{3})+|[0-9０-９]+(?:[,，.'’][0-9０-９]+)*)`
	chinese = `[零〇一二两兩三四五六七八九十百千万萬壹贰叁肆伍陆柒捌玖拾佰仟]+`
	word    = `(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|` +
		`ninety|hundred|thousand)`
	spelled = `(?:(?:a |half a )?` + word + `(?:[ -](?:and )?` + word + `)*)`
	amount  = `(?:` + figure + `(?: ?(?:k\b|千|万|萬|hundred\b|thousand\b|余|多))?|` + chinese + `|\b` + spelled + `\b)`
	joint   = ` ?(?:[-–—−－~～]+| to | or |至|到|或) ?`
	about   = `(?:about|around|approximately|approx\.?|roughly|circa|ca\.|nearly|at least|at most|up to|no more than|no less than|` +
		`minimum|maximum|min\.?|max\.?|less than|more than|over|under|within|between|[~～≈≥≤<>]|大约|大概|约为|约|約|不少于|不低于|不超过|` +
		`至少|最多|控制在|左右|共)`
	unit      = ` ?-? ?(?:(?:english |chinese )?words?\b|(?:个|個)?(?:汉|漢|中文)?字|(?:个|個)?(?:单|單|英文单)?[词詞])`
	value     = `(?:` + about + ` ?)*` + amount + `(?:` + unit + `)?(?:` + joint + `(?:` + about + ` ?)*` + amount + `)?`
	countName = `(?:\b(?:word[ _-]?(?:counts?|limit|target|length|budget|requirement)|length)(?: (?:requirements?|target|goal|limit))?|` +
		`(?:字数|字數|篇幅|词数)(?:要求|建议|限制|分配|目标|控制)?)`
	countBefore = `(?:(?:\b(?:target|estimated|suggested|approximate|required|recommended|planned)|目标|预计|建议|预估|计划)[ _-]?)?`
)

var (
	// labelled is a number of words behind its name: Word Count: 400.
	labelled = regexp.MustCompile(`(?i)` + countBefore + countName + ` ?(?:\([^()]{0,24}\) ?)?(?:[:：=-]|\bis\b|\bof\b|为|為)? ?` +
		`["'\[(（【{<]*(` + value + `)((?:` + unit + `)?)`)
	// plainCount is one with its unit.
	plainCount = regexp.MustCompile(`(?i)(` + value + `)(` + unit + `)`)
	// hasDigit, and what is to be near it, are a quick look: most lines have no count.
	hasDigit = regexp.MustCompile(`(?i)[0-9０-９]|` + chinese + `|\b` + word + `\b`)
)

// A counted is a number of words in a line.
type counted struct {
	from, to int
	words    int
	strength strength
}

// strength says how surely a number is that of the step.
type strength uint8

const (
	weak   strength = iota // in the middle of a sentence
	placed                 // in brackets, or at the start or the end of the line
	byName                 // behind its name
)

// countsOf finds the numbers of words of a line that was cleaned, the surest alone.
func countsOf(line string) []counted {
	low := strings.ToLower(line)
	says := func(part string) bool { return strings.Contains(low, part) }
	hasUnit := says("word") || says("字") || says("词") || says("詞")
	if !hasUnit && !says("length") && !says("篇幅") || !hasDigit.MatchString(line) {
		return nil
	}
	var all []counted
	best := weak
	for _, m := range labelled.FindAllStringSubmatchIndex(line, -1) {
		if n := wordsIn(line, m[2], m[3], m[4], m[5]); n > 0 {
			all = append(all, counted{m[0], m[1], n, byName})
			best = byName
		}
	}
	for _, m := range plainCount.FindAllStringSubmatchIndex(line, -1) {
		n := wordsIn(line, m[2], m[3], m[4], m[5])
		if n == 0 || best == byName {
			continue
		}
		c := counted{m[0], m[1], n, weak}
		if isPlaced(line[:m[0]], line[m[1]:]) {
			c.strength = placed
		}
		all = append(all, c)
		best = max(best, c.strength)
	}
	var kept []counted
	for _, c := range all {
		if c.strength == best {
			kept = append(kept, c)
		}
	}
	return kept
}

// wordsIn reads a number and its unit, which may be missing; 0: it is none.
func wordsIn(line string, from, to, unitFrom, unitTo int) int {
	text := line[from:to]
	switch {
	case unitFrom < unitTo:
		text += line[unitFrom:unitTo]
	case strings.ContainsAny(text, "字词"):
	case touches(line[to:]):
		return 0
	case strings.ContainsAny(text, "千万萬百十余多") || strings.ContainsFunc(text, prose.IsChinese):
		text += "字"
	default:
		text += " words"
	}
	return prose.StatedLength(text).Words()
}

// touches reports whether what follows a number without a unit makes it something else: 400m,
// 20%, 400 characters, 3 pages.
func touches(after string) bool {
	rest := strings.TrimLeft(after, " ")
	r, _ := utf8.DecodeRuneInString(rest)
	return rest != "" && (prose.IsWord(r) && !strings.HasPrefix(rest, "左右") || strings.ContainsRune("%/", r))
}

const (
	openers = "([（【{<-–—:：,，;；|=~"
	closers = ")]）】}>"
)

// isPlaced reports whether a number of words stands by itself between what is before it on its
// line and behind it.
func isPlaced(before, after string) bool {
	before, after = strings.TrimRight(before, " "), strings.TrimLeft(after, " ")
	after = strings.TrimPrefix(strings.TrimPrefix(after, "左右"), "以内")
	opened, _ := utf8.DecodeLastRuneInString(before)
	closed, _ := utf8.DecodeRuneInString(after)
	starts := before == "" || strings.ContainsRune(openers, opened)
	ends := strings.Trim(after, " .。;；,，!*_"+closers) == "" || strings.ContainsRune(closers, closed)
	return starts && (ends || before == "" && strings.ContainsRune(openers, closed))
}
