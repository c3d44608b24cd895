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
	about   = `(?:about|around|approximately|approx\.?|roughly|circa|ca\.|nearly|at least|at most|up to|no more than|no less than|` +
		`minimum|maximum|min\.?|max\.?|less than|more than|over|under|within|between|[~～≈≥≤<>]|大约|大概|约为|约|約|不少于|不低于|不超过|` +
		`至少|最多|控制在|左右|共)`
	unit      = ` ?[+＋]? ?-? ?(?:(?:english |chinese )?words?\b|(?:个|個)?(?:汉|漢|中文)?字|(?:个|個)?(?:单|單|英文单)?[词詞])`
	number    = `(?:` + about + ` ?)*` + amount
	tight     = `(?:[-–—−－~～]+| to | or | ?(?:至|到|或) ?)`
	value     = `(?:between ` + number + ` and ` + number + `|` + number + `(?:` + tight + number + `)?)`
	spaced    = ` [-–—−~～]+ `
	countName = `(?:\b(?:word[ _-]?(?:counts?|limit|target|length|budget|requirement)|length)(?: (?:requirements?|target|goal|limit))?|` +
		`(?:字数|字數|篇幅|词数)(?:要求|建议|限制|分配|目标|控制)?)`
	countBefore = `(?:(?:\b(?:target|estimated|suggested|approximate|required|recommended|planned)|目标|预计|建议|预估|计划)[ _-]?)?`
)

var (
	// labelled is a number of words behind its name: Word Count: 400.
	labelled = regexp.MustCompile(`(?i)` + countBefore + countName + ` ?(?:\([^()]{0,24}\) ?)?([:：=–—-]|\bis\b|\bof\b|为|為)? ?` +
		`["'\[(（【{<]*(` + value + `)(` + unit + `)?(?:` + spaced + `(` + number + `)(` + unit + `)?)?`)
	// plainCount is one with its unit.
	plainCount = regexp.MustCompile(`(?i)(?:(` + number + `)` + spaced + `)?` +
		`((` + value + `)(` + unit + `)(?:` + tight + number + unit + `)?)`)
	// ofEach follows the length of something that a paragraph has several of.
	ofEach = regexp.MustCompile(`(?i)^ ?(?:each\b|per\b|apiece|for each|/ ?\pL|每|／)`)
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
	weak   strength = iota // in a sentence that ends with it
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
		c := counted{from: m[0], to: max(m[5], m[7]), strength: byName}
		c.words = wordsIn(line[m[4]:c.to], m[6] >= 0, line[c.to:])
		if m[8] >= 0 && m[6] < 0 { // 400 - 500 words
			end := max(m[9], m[11])
			if hi := wordsIn(line[m[8]:end], m[10] >= 0, line[end:]); isRange(c.words, hi) {
				c.to, c.words = end, hi
			}
		}
		if sep := line[max(m[2], 0):max(m[3], 0)]; !strings.ContainsAny(sep, ":：=–—-") && !isApart(line[:c.from]) {
			if c.strength = weak; !isClosing(line, c) { // a sentence about it
				continue
			}
		}
		if c.words > 0 && !ofEach.MatchString(line[c.to:]) {
			all = append(all, c)
			best = max(best, c.strength)
		}
	}
	for _, m := range plainCount.FindAllStringSubmatchIndex(line, -1) {
		c := counted{from: m[4], to: m[5], words: wordsIn(line[m[4]:m[5]], true, "")}
		if c.words == 0 || best == byName || ofEach.MatchString(line[c.to:]) {
			continue
		}
		if m[2] >= 0 && isRange(wordsIn(line[m[2]:m[3]], false, ""), c.words) {
			c.from = m[2]
		}
		if isPlaced(line[:c.from], line[c.to:]) {
			c.strength = placed
		} else if !isClosing(line, c) {
			continue
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

// isRange tells the ends of a range with blanks around its dash from two numbers that have nothing to do
// with each other: ships of 1912 - 400 words.
func isRange(lo, hi int) bool { return 0 < lo && lo < hi && hi <= 4*lo }

// wordsIn reads a number that may lack its unit, before what follows it; 0: it is none.
func wordsIn(text string, unit bool, after string) int {
	switch {
	case unit:
	case touches(after):
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

// isClosing reports whether a sentence ends its line with a number of words that it asks for: in about 400 words.
func isClosing(line string, c counted) bool {
	return strings.Trim(line[c.to:], " .。!*_左右") == "" && prose.StatedLength(line).Words() == c.words
}

// isApart reports whether what comes behind a text is none of its sentence.
func isApart(before string) bool {
	before = strings.TrimRight(before, " ")
	last, _ := utf8.DecodeLastRuneInString(before)
	return before == "" || strings.ContainsRune(openers+closers+".。!?！？；", last)
}

// isPlaced reports whether a number of words stands by itself between what is before it on its
// line and behind it.
func isPlaced(before, after string) bool {
	before, after = strings.TrimRight(before, " "), strings.TrimLeft(after, " ")
	after = strings.TrimPrefix(strings.TrimPrefix(after, "左右"), "以内")
	opened, _ := utf8.DecodeLastRuneInString(before)
	closed, _ := utf8.DecodeRuneInString(after)
	front := strings.Trim(before, separators) == ""
	starts := front || strings.ContainsRune(openers, opened)
	ends := strings.Trim(after, " .。;；,，!*_"+closers) == "" || strings.ContainsRune(closers, closed)
	return starts && (ends || front && strings.ContainsRune(openers, closed))
}
