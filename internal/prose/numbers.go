package prose

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// token is a piece of an English text that was made plain ([plain]). Blanks are none, and
// a line's end is one.
type token struct {
	kind tokenKind
	text string
	at   int // in the text
}

type tokenKind uint8

const (
	otherToken  tokenKind = iota // a word, a sign, or digits that are part of a name: GPT-4, 20th, $500, 10:30
	figureToken                  // a number in digits: 1500, 12,000, 10 500, 1.5
	wordToken                    // a number below a hundred as a word, and couple
	timesToken                   // what multiplies the number before it: k, hundred, thousand
	jointToken                   // what may stand in a number or between two that are a range
)

var wordsEN = map[string]float64{
	"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
	"eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18,
	"nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
	"ninety": 90, "couple": 2,
}

// fractionsEN are parts of what multiplies: half a million.
var fractionsEN = map[string]float64{"half": .5, "quarter": .25, "quarters": .25}

var timesEN = map[string]float64{"dozen": 12, "hundred": 100, "thousand": 1e3, "k": 1e3, "lakh": 1e5, "million": 1e6, "m": 1e6}

// jointsEN are the joints; those that are true are between the ends of a range.
var jointsEN = map[string]bool{
	"-": true, "~": true, "to": true, "and": true, "or": true, "through": true, "till": true, "until": true,
	"a": false, "an": false, "half": false, "of": false, "up": false, "about": false, "around": false, "roughly": false,
	"words": false, "word": false, "quarter": false, "quarters": false,
}

// tokens cuts a plain text.
func tokens(s string) (out []token) {
	for i := 0; i < len(s); {
		from, kind := i, otherToken
		switch c := s[i]; {
		case c == ' ':
			i++
			continue
		case isDigit(c):
			kind = figureToken
			if touchesBefore(s, from) {
				kind = otherToken // of GPT-4 500 the digit alone
			}
			i += figureEnd(s[i:], kind == figureToken)
			if touchesBehind(s[i:]) {
				kind = otherToken
			}
			for kind == otherToken && i < len(s) && startsWord(s[i:]) {
				i++
			}
		case isLetter(c):
			for i < len(s) && isLetter(s[i]) {
				i++
			}
			kind = kindOfWord(s[from:i], from > 0 && isDigit(s[from-1]))
		default:
			i++
			if _, ok := jointsEN[s[from:i]]; ok {
				kind = jointToken
			} else if s[from:i] == cutMark {
				kind = figureToken
			}
		}
		out = append(out, token{kind, s[from:i], from})
	}
	return out
}

func kindOfWord(word string, behindDigit bool) tokenKind {
	_, joint := jointsEN[word]
	switch {
	case wordsEN[word] > 0:
		return wordToken
	case timesEN[word] > 0 && (len(word) > 1 || behindDigit || word == "k"):
		return timesToken
	case joint:
		return jointToken
	}
	return otherToken
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isLetter takes every byte of a letter that is not ASCII as one.
func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || c >= 0x80 }

func startsWord(s string) bool { return s != "" && (isLetter(s[0]) || isDigit(s[0])) }

// figureEnd is where the number ends that s begins with: behind a separator stands a
// digit, and with blanks behind a blank a group of three, as in 10 500.
func figureEnd(s string, blanks bool) int {
	digits := func(at int) (n int) {
		for at+n < len(s) && isDigit(s[at+n]) {
			n++
		}
		return n
	}
	end := digits(0)
	for group := end; end < len(s); {
		n := digits(end + 1)
		if n == 0 || s[end] == ' ' && (n != 3 || group > 3 || !blanks) || strings.IndexByte(" ,.'_", s[end]) < 0 {
			break
		}
		blanks = blanks && s[end] == ' '
		end, group = end+1+n, n
	}
	return end
}

// touchesBefore reports whether digits are part of something else, by what stands directly
// before them: GPT-4, $500, 10:30.
func touchesBefore(s string, at int) bool {
	if at == 0 {
		return false
	}
	switch c := s[at-1]; {
	case isLetter(c), strings.IndexByte("$#@/%&", c) >= 0:
		return true
	case c == ':':
		return at > 1 && isDigit(s[at-2])
	case c == '-':
		start := at - 1
		for start > 0 && isLetter(s[start-1]) {
			start--
		}
		return start < at-1 && kindOfWord(s[start:at-1], start > 0 && isDigit(s[start-1])) == otherToken
	}
	return false
}

// touchesBehind says the same by what stands behind them: 20th, 500%, 10:30. Of 10k and
// 500ish the digits are a number.
func touchesBehind(s string) bool {
	for _, fine := range []string{"k", "m", "ish"} {
		if strings.HasPrefix(s, fine) && !startsWord(s[len(fine):]) {
			return false
		}
	}
	return s != "" && (isLetter(s[0]) || s[0] == '%' || s[0] == '/' || s[0] == ':' && startsWord(s[1:]))
}

// figure reads a number in digits; 0 for what is none. A decimal number has to be
// multiplied: 1.5k is one of words, and 1.5 is not.
func figure(s string, multiplied bool) float64 {
	number, fraction := s, ""
	if at := strings.IndexAny(s, ",.'_ "); at >= 0 {
		separator := s[at : at+1]
		groups := strings.Split(s, separator)
		last := &groups[len(groups)-1]
		if i := strings.IndexAny(*last, ",."); i >= 0 && len(groups) > 1 { // 1,500.5
			*last, fraction = (*last)[:i], (*last)[i+1:]
		}
		switch {
		case inThousands(groups) && !(multiplied && separator == "." && len(groups) == 2):
			number = strings.Join(groups, "")
		case len(groups) == 2 && fraction == "" && (separator == "." || separator == ","):
			number, fraction = groups[0], groups[1]
		default:
			return 0
		}
	}
	if !multiplied && strings.Trim(fraction, "0") != "" {
		return 0
	}
	v, err := strconv.ParseFloat(number+"."+fraction+"0", 64)
	if err != nil {
		return 0
	}
	return v
}

// inThousands reports whether digits are in groups of three, or above the last of two as
// in India: 1,00,000.
func inThousands(groups []string) bool {
	n := len(groups) - 1
	size := 3
	if n > 1 && len(groups[1]) == 2 {
		size = 2
	}
	if n == 0 || len(groups[0]) > size || groups[0][0] == '0' || len(groups[n]) != 3 {
		return false
	}
	return !slices.ContainsFunc(groups[1:n], func(g string) bool { return len(g) != size }) &&
		!strings.ContainsFunc(strings.Join(groups, ""), func(r rune) bool { return r < '0' || r > '9' })
}

// number is a number of a text, and what its last words multiply: of two thousand 1000, of
// two thousand five hundred 100.
type number struct{ value, times float64 }

// scaled is the lower end of a range up to hi: 2 of "2-3k" is 2000, and 500 of "500-1k" is
// 500.
func (n number) scaled(hi number) float64 {
	if n.times == 1 && hi.times > 1 && n.value < hi.value/hi.times {
		return n.value * hi.times
	}
	return n.value
}

// numberOf reads tokens that are one number: "1,500", "1.5 k", "ten thousand five hundred",
// "twenty-five hundred", "two and a half thousand"; 1.5 where decimals says that something
// multiplies it. All else is none.
func numberOf(list []token, decimals bool) (n number, ok bool) {
	r := numberReader{list: withoutHyphens(list), decimals: decimals}
	for limit := math.Inf(1); len(r.list) > 0; {
		if n.value > 0 && r.is("and") {
			r.skip(1)
		}
		v, scale := r.part()
		if v == 0 || v >= limit { // "two thousand five thousand"
			return n, false
		}
		n.value, limit = n.value+v, scale
	}
	n.times = 1
	for i := len(list) - 1; i >= 0 && (list[i].kind == timesToken || list[i].text == "-"); i-- {
		n.times *= max(1, timesEN[list[i].text])
	}
	return n, n.value > 0
}

// withoutHyphens leaves out those within a number.
func withoutHyphens(list []token) (out []token) {
	for i, t := range list {
		if t.text != "-" || i > 0 && i+1 < len(list) && list[i-1].kind == figureToken && list[i+1].kind == figureToken {
			out = append(out, t)
		}
	}
	return out
}

// numberReader reads a number from front to back.
type numberReader struct {
	list     []token
	decimals bool // are numbers, multiplied or not
}

func (r *numberReader) skip(n int) { r.list = r.list[n:] }

// is reports whether these words come next.
func (r *numberReader) is(words ...string) bool {
	for i, w := range words {
		if i >= len(r.list) || r.list[i].text != w {
			return false
		}
	}
	return true
}

// next is the kind of the token at i, or otherToken.
func (r *numberReader) next(i int) tokenKind {
	if i < len(r.list) {
		return r.list[i].kind
	}
	return otherToken
}

// part reads up to a thousand or a million, which is its scale: "two hundred and three
// thousand". Nothing more may come behind a part of scale 1. 0 is no part.
func (r *numberReader) part() (v, scale float64) {
	v = r.base()
	if v == 0 {
		return 0, 0
	}
	for r.next(0) == timesToken && (r.is("hundred") || r.is("dozen")) {
		v *= timesEN[r.list[0].text]
		r.skip(1)
		rest := *r
		if rest.is("and") {
			rest.skip(1)
		}
		if rest.next(0) == wordToken {
			small := rest.base()
			v += small
			*r = rest
		}
	}
	scale = 1
	if r.next(0) == timesToken {
		scale = timesEN[r.list[0].text]
		r.skip(1)
	}
	return v * scale, scale
}

// base reads what may be multiplied: a figure, a number below a hundred, or nothing, which
// is one.
func (r *numberReader) base() (v float64) {
	switch {
	case r.fraction(&v):
		return v
	case (r.is("a") || r.is("an")) && (r.next(1) == timesToken || r.is("a", "couple")):
		r.skip(1)
		return r.base()
	case r.next(0) == timesToken:
		return 1
	case r.next(0) == figureToken:
		v = figure(r.list[0].text, r.decimals || r.next(1) == timesToken)
		r.skip(1)
	case r.next(0) == wordToken:
		v = wordsEN[r.list[0].text]
		couple := r.is("couple")
		r.skip(1)
		switch {
		case couple && r.is("of"):
			r.skip(1)
		case v >= 20 && r.next(0) == wordToken && wordsEN[r.list[0].text] < 10 && !r.is("couple"):
			v += wordsEN[r.list[0].text]
			r.skip(1)
		}
		if couple && r.next(0) != timesToken {
			return 0
		}
	}
	if rest := *r; v > 0 && rest.is("and") {
		rest.skip(1)
		part := 0.0
		if rest.fraction(&part) {
			v += part
			*r = rest
		}
	}
	return v
}

// fraction reads "half a", "a quarter of a" or "three quarter" before what it is a part of.
func (r *numberReader) fraction(v *float64) bool {
	rest, count := *r, 1.0
	switch {
	case rest.is("a"), rest.is("one"):
		rest.skip(1)
	case rest.is("three"):
		count = 3
		rest.skip(1)
	}
	if len(rest.list) == 0 || fractionsEN[rest.list[0].text] == 0 {
		return false
	}
	*v = count * fractionsEN[rest.list[0].text]
	rest.skip(1)
	if rest.is("of") {
		rest.skip(1)
	}
	if rest.is("a") {
		rest.skip(1)
	}
	if rest.next(0) != timesToken {
		*v = 0
		return false
	}
	*r = rest
	return true
}

// amount is what tokens that end a text come to, one number or the two ends of a range,
// and how many tokens it takes. It is all that looks like a part of a number, or nothing:
// the 500 of "2020 500" is the tail of something else. between says that the word stands
// before them.
func amount(list []token, between bool) (lo, hi float64, size int) {
	first := len(list)
	for first > 0 && list[first-1].kind != otherToken {
		first--
	}
	if n, size := beyondComma(list, first); size > 0 {
		return n, n, size
	}
	run := trimJoints(list[first:], true)
	for n := first - 1; n >= 0 && n >= first-2 && !between; n-- { // between about 500 and 700
		between = list[n].text == "between"
		if !aboutEN[list[n].text] {
			break
		}
	}
	lo, hi, size, ok := rangeOf(run, between)
	if !ok {
		return 0, 0, 0
	}
	return lo, hi, size
}

// beyondComma reads a number in words with a comma behind its thousands: one thousand, two hundred. Its tail begins at
// first; size is 0 where it is no such number.
func beyondComma(list []token, first int) (n float64, size int) {
	if first < 2 || first == len(list) || list[first-1].text != "," || list[first].kind != wordToken || timesEN[list[first-2].text] < 1e3 {
		return 0, 0
	}
	from := first - 1
	for from > 0 && list[from-1].kind != otherToken {
		from--
	}
	head := trimJoints(list[from:first-1], true)
	whole, ok := numberOf(slices.Concat(head, list[first:]), false)
	if !ok {
		return 0, 0
	}
	return whole.value, len(head) + 1 + len(list) - first
}

// startsNumber tells the a of "a thousand" from that of "a 1000-word story".
func startsNumber(run []token) bool {
	r := numberReader{list: withoutHyphens(run)}
	return (r.is("a") || r.is("an") || r.is("half") || r.is("quarter")) && r.base() > 0
}

// rangeOf reads a whole run of tokens. Behind between an and is between two numbers, where
// it may be; else it ends what is before it.
func rangeOf(run []token, between bool) (lo, hi float64, size int, ok bool) {
	one, single := numberOf(run, false)
	if single && !between {
		return one.value, one.value, len(run), true
	}
	for i := len(run) - 1; i > 0; i-- {
		if !jointsEN[run[i].text] || run[i].kind != jointToken {
			continue
		}
		behind := trimJoints(run[i+1:], true)
		b, okB := numberOf(behind, false)
		a, okA := numberOf(trimJoints(run[:i], false), b.times > 1)
		switch {
		case !okA || !okB:
		case run[i].text == "and" && !between:
			return b.value, b.value, len(behind), true
		default:
			return a.scaled(b), b.value, len(run), true
		}
	}
	return one.value, one.value, len(run), single
}

// trimJoints takes joints from the start of tokens, or from their end.
func trimJoints(list []token, start bool) []token {
	for len(list) > 0 && start && list[0].kind == jointToken && !startsNumber(list) {
		list = list[1:]
	}
	for len(list) > 0 && !start && list[len(list)-1].kind == jointToken {
		list = list[:len(list)-1]
	}
	return list
}
