package prose

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Length is how long an answer a prompt asks for, in words or Chinese
// characters. Min or Max is 0 where the prompt has no such bound; both are the
// same where it names one number. The zero value asks for nothing.
type Length struct{ Min, Max int32 }

// Words is the length that an answer is measured by: the number that the prompt
// names, of a range the upper one, as LongBench-Write has it.
func (l Length) Words() int {
	if l.Max > 0 {
		return int(l.Max)
	}
	return int(l.Min)
}

// StatedLength finds the length that a prompt asks for: "a 1000-word story", "at
// least 800 words", "two thousand words", "2000字", "不少于八百字", "300到400字",
// "字数要求：2000左右". A length of a part ("200 words each", "每段300字") is none of
// the whole. Where a prompt names several, the longest counts.
func StatedLength(prompt string) Length {
	var longest Length
	take := func(l Length, ok bool) {
		if ok && l.Words() > longest.Words() {
			longest = l
		}
	}
	if len(prompt) > 2*mostPrompt {
		prompt = head(prompt, mostPrompt) + "\n" + tail(prompt, mostPrompt)
	}
	for at := 0; ; {
		i, size := nextUnit(prompt[at:])
		if i < 0 {
			return longest
		}
		before, after := tail(prompt[:at+i], 96), head(prompt[at+i+size:], 96)
		if size == len("word") {
			take(lengthInEnglish(strings.ToLower(before), strings.ToLower(after)))
		} else {
			take(lengthInChinese(before, after))
		}
		at += i + size
	}
}

// mostPrompt is how many bytes of a prompt's start and of its end are read: a
// request stands before or behind the text that it is about.
const mostPrompt = 1 << 15

// nextUnit finds "word" in any case, 字 or 词, and its bytes.
func nextUnit(s string) (at, size int) {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c|0x20 == 'w' && len(s) >= i+4 && strings.EqualFold(s[i:i+4], "word"):
			return i, 4
		case c == 0xE5 && strings.HasPrefix(s[i:], "字"), c == 0xE8 && strings.HasPrefix(s[i:], "词"):
			return i, 3
		}
	}
	return -1, 0
}

// head and tail cut a text to about n bytes, between characters.
func head(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	from := len(s) - n
	for from < len(s) && !utf8.RuneStart(s[from]) {
		from++
	}
	return s[from:]
}

const (
	figures = `(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?[\s-]?(?:k\b|thousand|hundred)?`
	spelled = `(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|thirty|fifty|an?)[\s-](?:thousand|hundred)`
	numEN   = `(` + figures + `|(?:` + spelled + `(?:[\s-](?:and[\s-])?)?)+)`
	leastE  = `at least?|at lease|no less than|not less than|no fewer than|not fewer than|a? ?minimum(?: of)?|` +
		`more than|over|above|exceed(?:ing|s)?|longer than`
	mostE = `at most|no more than|not more than|up to|within|under|less than|fewer than|a? ?maximum(?: of)?|` +
		`below|not exceed(?:ing)?|limited to|no longer than`
	numZH  = `(\d[\d,，]*(?:\.\d+)?\s*[百千万wWkK]?|[零一二两三四五六七八九十百千万]+)`
	leastZ = `不少于|不得少于|不低于|不得低于|不能少于|至少|超过|大于|多于|高于|起码|最少|不下于`
	mostZ  = `不超过|不得超过|不能超过|不多于|最多|少于|小于|低于|不大于|控制在`
	toZH   = `\s*(?:-|－|—|–|~|～|至|到)+\s*`
)

var (
	beforeEN = regexp.MustCompile(`(?:\b(` + leastE + `)|\b(` + mostE + `)|\b(?:between|from))?` +
		`\s*(?:about|around|approximately|roughly)?\s*\(?` +
		`(?:(?:\b|^)` + numEN + `\s*(?:-|–|—|~|to|and|or)\s*)?(?:\b|^)` + numEN +
		`\s*(\+|plus|or more)?[\s-]*(?:english|chinese|total)?[\s-]*$`)
	afterEN = regexp.MustCompile(`^s?\s*(?:in length|long|total)?,?\s*` +
		`(?:(or more|minimum|or longer|at least|and above)|(or less|or fewer|maximum|max\b|at most))`)
	wordEnd = regexp.MustCompile(`^s?(?:\W|$)`)
	partEN  = regexp.MustCompile(`\b(?:each|every|per)\b(?:[^.,!?;\n]|\d,\d)*$`)
	partEN2 = regexp.MustCompile(`^s?\s*(?:long\s*)?(?:each\b|per\b|apiece|for each|for every|every\b)`)
	countEN = regexp.MustCompile(`^s?\s*(?:count|limit|length)[\s:]*(?:is|of|should be|must be|at|around|about|approximately)?[\s:]*` +
		`(?:(` + leastE + `)|(` + mostE + `))?[\s:]*(?:about|around|approximately)?\s*` + numEN + `(?:\s*(?:-|–|to)\s*` + numEN + `)?`)

	beforeZH = regexp.MustCompile(`(?:(` + leastZ + `)|(` + mostZ + `))?\s*(?:约|大约|大概|在|为|到|[（(])*\s*` +
		`(?:` + numZH + `\s*个?字?` + toZH + `)?` + numZH + `\s*(?:多|余|来)?\s*(以上)?(?:左右|个|的|中文|汉|英文|英语|英|单)*\s*$`)
	afterZH = regexp.MustCompile(`^(?:数|符|内容|篇幅)?\s*[)）]?\s*(?:(以上|起|或更多)|(以内|以下|之内|内))`)
	noUnit  = regexp.MustCompile(`^(?:[节母段典体幕库形画号汇性条根]|符串)`)
	partZH  = regexp.MustCompile(`(?:每|各)[^，,。；;！？\n]*$`)
	countZH = regexp.MustCompile(`^数(?:要求|需要|限制|控制|应|需|要|为|是|在|约|大约|：|:|\s)*` +
		`(?:(` + leastZ + `)|(` + mostZ + `))?(?:约|大约|在|为)*\s*` +
		`(?:` + numZH + `\s*字?` + toZH + `)?` + numZH + `\s*(?:字|词)?(?:(以上|起)|(以内|以下|之内))?`)
)

func lengthInEnglish(before, after string) (Length, bool) {
	if m := countEN.FindStringSubmatch(after); m != nil {
		return between(numberEN(m[3]), numberEN(m[4]), m[1] != "", m[2] != "")
	}
	if !strings.ContainsAny(before, "0123456789") && !strings.Contains(before, "hundred") && !strings.Contains(before, "thousand") {
		return Length{}, false
	}
	if !wordEnd.MatchString(after) || partEN.MatchString(before) || partEN2.MatchString(after) {
		return Length{}, false
	}
	m := beforeEN.FindStringSubmatch(before)
	if m == nil {
		return Length{}, false
	}
	least, most := m[1] != "" || m[5] != "", m[2] != ""
	if a := afterEN.FindStringSubmatch(after); a != nil {
		least, most = least || a[1] != "", most || a[2] != ""
	}
	return between(numberEN(m[3]), numberEN(m[4]), least, most)
}

func lengthInChinese(before, after string) (Length, bool) {
	if !strings.HasPrefix(after, "数") && !strings.ContainsAny(tail(before, 48), "0123456789一二两三四五六七八九十百千万") {
		return Length{}, false
	}
	if m := countZH.FindStringSubmatch(after); m != nil {
		return between(numberZH(m[3]), numberZH(m[4]), m[1] != "" || m[5] != "", m[2] != "" || m[6] != "")
	}
	if noUnit.MatchString(after) || partZH.MatchString(before) {
		return Length{}, false
	}
	m := beforeZH.FindStringSubmatch(before)
	if m == nil {
		return Length{}, false
	}
	least, most := m[1] != "" || m[5] != "", m[2] != ""
	if a := afterZH.FindStringSubmatch(after); a != nil {
		least, most = least || a[1] != "", most || a[2] != ""
	}
	return between(numberZH(m[3]), numberZH(m[4]), least, most)
}

// Fewer words than shortest are an exercise ("use these 5 words"), and more
// than longest no length of an answer.
const shortest, longest = 10, 10_000_000

// between makes a length of one number or two, 0 for none.
func between(a, b int, least, most bool) (Length, bool) {
	if a == 0 || b == 0 {
		a = a + b
		b = a
	}
	a, b = min(a, b), max(a, b)
	if a < shortest || b > longest {
		return Length{}, false
	}
	l := Length{int32(a), int32(b)}
	if a == b && least {
		l.Max = 0
	} else if a == b && most {
		l.Min = 0
	}
	return l, true
}

var wordsEN = map[string]int{
	"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
	"ten": 10, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "fifty": 50, "hundred": 100, "thousand": 1000, "k": 1000,
}

// numberEN reads "1,500", "1.5k", "2 thousand" or "two thousand five hundred"; 0
// where there is nothing.
func numberEN(s string) int {
	total, part := 0.0, 0.0
	blank := func(r rune) bool { return r == ' ' || r == '-' || r == '\t' || r == '\n' }
	for _, w := range strings.FieldsFunc(strings.ReplaceAll(s, "k", " k"), blank) {
		v := float64(wordsEN[w])
		if v == 0 {
			v, _ = strconv.ParseFloat(strings.ReplaceAll(w, ",", ""), 64) // "and" is 0
		}
		if v >= 100 && part > 0 && wordsEN[w] > 0 {
			total, part = total+part*v, 0
		} else {
			part += v
		}
	}
	return bounded(total + part)
}

var digitsZH = map[rune]float64{'零': 0, '一': 1, '二': 2, '两': 2, '三': 3, '四': 4, '五': 5, '六': 6, '七': 7, '八': 8, '九': 9}

var unitsZH = map[rune]float64{'十': 10, '百': 100, '千': 1000, '万': 1e4, 'w': 1e4, 'W': 1e4, 'k': 1e3, 'K': 1e3}

// numberZH reads "2000", "1.5万", "2千" or "一万二千"; 0 where there is nothing.
func numberZH(s string) int {
	digits := strings.TrimRight(s, "百千万wWkK \t\n")
	if v, err := strconv.ParseFloat(strings.NewReplacer(",", "", "，", "").Replace(digits), 64); err == nil {
		for _, r := range s[len(digits):] {
			if unit := unitsZH[r]; unit > 0 {
				v *= unit
			}
		}
		return bounded(v)
	}
	total, part, digit := 0.0, 0.0, 0.0
	for _, r := range s {
		switch unit := unitsZH[r]; {
		case unit == 0:
			digit = digitsZH[r]
		case unit == 1e4:
			total, part, digit = (total+part+max(digit, 0))*unit, 0, 0
		default:
			part, digit = part+max(digit, 1)*unit, 0
		}
	}
	return bounded(total + part + digit)
}

func bounded(v float64) int { return int(min(v, longest+1)) }
