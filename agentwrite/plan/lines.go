package plan

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"lwtrain/internal/prose"
)

// A line of a reply, without what marks it as a heading, an item or bold.
type line struct {
	raw     string // as it was written, without blanks around it
	text    string // without marks
	body    string // of text what stands behind the number or the name of a paragraph
	indent  int
	level   int    // of a heading, 7 of a line in bold; 0: it is none
	bullet  bool   // an item without a number
	number  int    // of an item; 0: it has none
	class   string // what it names: paragraph, section, step ...; "" for nothing
	ordinal int    // of what it names
	several bool   // it names more than one
	behind  bool   // a blank line is before it
	counts  []counted
}

// classes are the names that models have for a paragraph, the smallest first: where several are
// numbered, the larger ones are headings.
var classes = []string{"paragraph", "subtask", "step", "section", "part", "chapter"}

var classOf = map[string]string{
	"para": "paragraph", "para.": "paragraph", "task": "subtask", "段落": "paragraph", "自然段": "paragraph", "段": "paragraph", "步骤": "step",
	"步": "step", "章节": "section", "节": "section", "部分": "part", "章": "chapter", "个段落": "paragraph", "任务": "subtask", "子任务": "subtask",
}

const ordinal = `([0-9０-９]{1,6}|[一二三四五六七八九十百]{1,6}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|[ivx]{1,5})`

var (
	heading    = regexp.MustCompile(`^(#{1,6})\s*(.*)$`)
	bulleted   = regexp.MustCompile(`^[-*•·●▪◦‣+–—]\s+(.*)$`)
	itemNumber = regexp.MustCompile(`^[(（]?([0-9０-９]{1,6}|[一二三四五六七八九十]{1,3}|[IVX]{1,5})(?:[.．、)）](?:\s*|$)|[:：]\s+|\s*-\s+)(\D.*)?$`)
	// names is what numbers a paragraph in words.
	names = regexp.MustCompile(`(?i)^(paragraph|para\.?|subtask|section|step|part|chapter|task|段落|自然段|子任务|任务|步骤|部分|章节|段)(s?) ?` +
		`(?:no\. ?|#|第|[:：] )?` + ordinal + `(.*)$`)
	namesInChinese = regexp.MustCompile(`^第 ?()()` + ordinal + ` ?(自然段|个段落|段落|段|部分|章|节|步)(.*)$`)
	andMore        = regexp.MustCompile(`(?i)^ ?(?:-|–|—|~|至|到|、|and|to|&) ?[0-9０-９]{1,4}(?: ?段)?\s*(?:[-–—:：,，(（]|$)`)
	// run is a paragraph that follows another one on the same line.
	run = regexp.MustCompile(`(?i)[.。;；,，)）]?\s+((?:paragraph\s*[0-9]{1,4}|段落\s*[0-9０-９一二三四五六七八九十]{1,4})` +
		`\s*[-–—:：]\s*(?:main\s*points?|要点)\s*[:：])`)

	separates = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n", "\u200b", "", "\ufeff", "", "\u00a0", " ",
		"\u3000", " ", "\t", "    ")
	marks  = strings.NewReplacer("**", "", "__", "", "`", "")
	italic = regexp.MustCompile(`\*([^*\s](?:[^*]*[^*\s])?)\*`)
)

// linesOf are the lines of a reply that say something.
func linesOf(reply string) (all []line) {
	behind := true
	for raw := range strings.SplitSeq(separates.Replace(reply), "\n") {
		indent := len(raw) - len(strings.TrimLeft(raw, " "))
		raw = strings.TrimSpace(raw)
		if isRule(raw) {
			behind = true
			continue
		}
		for i, part := range apart(raw) {
			l := lineOf(part)
			l.indent, l.behind = indent, behind && i == 0
			all = append(all, l)
			behind = false
		}
	}
	return all
}

// isRule reports whether a line is blank, a rule or a fence.
func isRule(s string) bool {
	return strings.Trim(s, "-=*_ ") == "" || strings.HasPrefix(s, "```") && !strings.Contains(s[3:], " ")
}

// apart cuts a line where another numbered paragraph begins on it.
func apart(s string) (parts []string) {
	clean := marks.Replace(s)
	found := run.FindAllStringSubmatchIndex(clean, -1)
	if len(found) == 0 {
		return []string{s}
	}
	from := 0
	for _, m := range found {
		if strings.Trim(clean[from:m[2]], "#>-*+•.,)(（）、:： 0123456789") == "" { // marks of this one
			continue
		}
		parts = append(parts, strings.TrimSpace(clean[from:m[2]]))
		from = m[2]
	}
	return append(parts, clean[from:])
}

func lineOf(raw string) line {
	l := line{raw: raw}
	s := strings.TrimLeft(raw, "> ")
	if m := heading.FindStringSubmatch(s); m != nil {
		l.level, s = len(m[1]), m[2]
	}
	if m := bulleted.FindStringSubmatch(s); m != nil {
		l.bullet, s = true, strings.TrimSpace(m[1])
	}
	if l.level == 0 && !l.bullet && isBold(s) {
		l.level = 7
	}
	s = strings.TrimSpace(italic.ReplaceAllString(marks.Replace(s), "$1"))
	l.text = s
	if m := itemNumber.FindStringSubmatch(s); m != nil {
		l.number, s = numberOf(m[1]), strings.TrimSpace(m[2])
	}
	l.body = s
	l.named(s)
	l.counts = countsOf(l.body)
	return l
}

// isBold reports whether a line is a heading in bold: all of it but a count behind it in brackets.
func isBold(s string) bool {
	rest, ok := strings.CutPrefix(s, "**")
	if !ok {
		return false
	}
	_, after, ok := strings.Cut(rest, "**")
	after = strings.TrimLeft(strings.TrimSpace(after), ":： ")
	return ok && (after == "" || strings.HasPrefix(after, "(") || strings.HasPrefix(after, "（"))
}

// named reads which paragraph a line begins with.
func (l *line) named(s string) {
	m := names.FindStringSubmatch(s)
	if m != nil {
		m = []string{"", m[1], m[2], m[3], m[4]}
	} else if m = namesInChinese.FindStringSubmatch(s); m != nil {
		m = []string{"", m[4], "", m[3], m[5]}
	} else {
		return
	}
	class := strings.ToLower(m[1])
	if other := classOf[class]; other != "" {
		class = other
	}
	next, _ := utf8.DecodeRuneInString(m[4])
	inEnglish := m[1][0] < utf8.RuneSelf
	if inEnglish && prose.IsWord(next) {
		return
	}
	// "Paragraph 1 introduces" is a sentence about it.
	if first, _ := utf8.DecodeRuneInString(strings.TrimLeft(m[4], " ")); inEnglish && unicode.IsLower(first) {
		return
	}
	l.class, l.ordinal, l.body = class, numberOf(m[3]), strings.TrimSpace(m[4])
	l.several = andMore.MatchString(m[4]) && (m[2] != "" || !strings.HasPrefix(m[4], " "))
}

// romanOf reads a number up to 49 in small letters; 0: it is none.
func romanOf(s string) int {
	values := map[rune]int{'i': 1, 'v': 5, 'x': 10}
	total, last := 0, 0
	for _, r := range s {
		v := values[r]
		if v == 0 {
			return 0
		}
		if total += v; v > last {
			total -= 2 * last
		}
		last = v
	}
	return total
}

var smallNumbers = strings.Fields("zero one two three four five six seven eight nine ten eleven twelve")

// numberOf reads an ordinal; 0: it is none.
func numberOf(s string) int {
	s = strings.Map(func(r rune) rune {
		if '０' <= r && r <= '９' {
			return r - '０' + '0'
		}
		return unicode.ToLower(r)
	}, s)
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	for i, w := range smallNumbers {
		if s == w {
			return i
		}
	}
	if roman := romanOf(s); roman > 0 {
		return roman
	}
	total, digit := 0, 0
	for _, r := range s {
		switch at := strings.IndexRune("一二三四五六七八九", r); {
		case at >= 0:
			digit = at/len("一") + 1
		case r == '十':
			total, digit = total+max(digit, 1)*10, 0
		case r == '百':
			total, digit = total+max(digit, 1)*100, 0
		default:
			return 0
		}
	}
	return total + digit
}
