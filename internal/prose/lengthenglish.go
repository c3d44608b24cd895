package prose

import (
	"regexp"
	"slices"
	"strings"
)

// What stands around a number is read from it outwards, word by word: a regular expression
// that ends at the number would look for its start at every place before it.

// phrase is some words in a row.
type phrase []string

// phrases are those between commas, the longest first.
func phrases(s string) (out []phrase) {
	for p := range strings.SplitSeq(s, ",") {
		out = append(out, strings.Fields(p))
	}
	slices.SortStableFunc(out, func(a, b phrase) int { return len(b) - len(a) })
	return out
}

func set(words string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(words) {
		out[w] = true
	}
	return out
}

var (
	// before a number
	upEN = phrases("at least, at the least, at the very least, at lease, min, minimum, more than, over, above, exceed, exceeds, " +
		"exceeding, longer than, greater than, larger than, upwards of, upward of, beyond, surpass, starting at, >, > =, = >, " +
		"greater than or equal to, more than or equal to, lower limit, lower bound, minimum limit")
	downEN = phrases("at most, at the most, at the very most, up to, upto, within, under, less than, fewer than, lower than, " +
		"smaller than, shorter than, max, maximum, below, limit, limited to, capped at, cap, as many as, <, < =, = <, " +
		"less than or equal to, fewer than or equal to")
	aboutEN = set("about around approximately approx roughly circa ca c some nearly almost the a an another further whole total of be is " +
		"in at from between just length word words count . : = ~ ( ) - \" '")
	notEN = set("not never no cannot without avoid")

	// before "word count" and its kin
	upCountEN   = phrases("minimum, minimal, min, min ., lower, least, lowest")
	downCountEN = phrases("maximum, maximal, max, max ., upper, most, highest")
	countKindEN = set("required requested needed allowed allowable permitted acceptable total overall final target number of a the -")

	// between a number and its unit
	upThenEN = phrases("or more, and more, or greater, or longer, or above, and above, or over, and over, or up, and up, & up, plus, +, " +
		"minimum, min, at least, and beyond")
	downThenEN = phrases("or less, or fewer, or under, or below, or shorter, and under, and below, maximum, max, at most")
	thenEN     = phrases("-, ), \", ', ish, or so, or thereabouts, odd, some, english, chinese, total, full, written, spoken")

	// directly before the number of no length
	vagueEN = set("few several many dozens hundreds thousands tens")
	orderEN = set("# order orders no nr nos number id invoice ticket version ver v room item isbn year gpt windows apollo")
	thatEN  = set("these those following attached above below previous original existing provided given current top")
	placeEN = set("chapter section part page pages volume vol issue exercise question lesson step figure fig table episode season level " +
		"grade line verse task day week january february march april may june july august september october november december")
	timeEN = set("since until till before after during year spring summer autumn fall winter")
	eachEN = set("each every per")
	partEN = set("paragraphs sections chapters parts stanzas verses scenes acts posts articles essays stories poems answers summaries " +
		"points emails letters entries episodes sentences lines items bullets slides tweets pages reviews descriptions")
	wholeEN    = set("total overall altogether all sum whole")
	askEN      = set("list name memorize memorise learn define find suggest teach spell guess brainstorm translate")
	collectEN  = set("list lists vocabulary dictionary lexicon glossary set corpus corpora")
	linkEN     = set("and but or yet be should must is it , ; ( words word long")
	someEN     = set("about around approximately some any the me us")
	lengthOfEN = set("about around approximately roughly at least most up to ( , of with")
	spreadEN   = phrases("+ / -, + -, plus or minus, plus / minus, give or take")
	clauseEN   = map[string]bool{".": true, ",": true, "!": true, "?": true, ";": true, "\n": true}
)

const (
	upBehind = `(?:or|and|&) (?:more|greater|longer|above|over|up|upwards?|beyond)|plus|\+|minimum|min\b|at (?:the (?:very )?)?least|` +
		`at (?:a )?minimum|as a minimum`
	downBehind = `or (?:less|fewer|under|below|shorter)|and under|and below|maximum|max\b|at (?:the (?:very )?)?most|at (?:a )?maximum|` +
		`as a maximum|tops|limit|cap\b|ceiling`
)

var (
	// behindEN is a bound behind the unit: words or more.
	behindEN = regexp.MustCompile(`^s?[ ,()-]*(?:(?:in length|long|in total|total|altogether|of text)[ ,()-]*)?` +
		`(?:(` + upBehind + `)|(` + downBehind + `))`)
	// thingsEN are words that are no measure: 20 Word documents, 20 word problems, 300 words from the list.
	thingsEN = regexp.MustCompile(
		`^(?: (?:documents?|files?|docs?|problems?|search(?:es)?|puzzles?|games?|clouds?|processors?|banks?)\b` +
			`|s (?:from|in|of) (?:the|this|that|your|my) (?:following )?` +
			`(?:list|text|passage|vocabulary|article|story|poem|dictionary|box)\b` +
			`|s? (?:vocabulary|dictionary)\b)`)
	// didEN is a sentence that goes on with what words do or did.
	didEN = regexp.MustCompile(`^s (?:[a-z]+ed|are|were|have|had|became|began|came|went|lost|meant|took|spread` +
		`|matter|mean|evolve|fail|hurt)\b`)
	// rateEN is what a length of a part is followed by: words each, words per chapter.
	rateEN = regexp.MustCompile(`^s?[ -]*` +
		`(?:(?:long|in length|or (?:more|less|fewer|so)|max|maximum|min|minimum|limit|count|total|at most|at least)[ -]*)*[ (]*` +
		`(?:/|apiece|daily|weekly|(?:(?:for|in|to|of|from|on) )?(?:each|every)\b|a piece\b` +
		`|an? (?:day|week|month|hour|minute|second|page|paragraph|chapter|section|part|line|time)\b|per (\w+))`)
	// colonEN stands between a number of words and what else is asked for: 5000 words: 10 references.
	colonEN = regexp.MustCompile(`^s? ?[:=]`)
	// lengthBeforeEN stands before "words" in brackets: length (words): 1200.
	lengthBeforeEN = regexp.MustCompile(`(?:length|limit|size|target|count|goal|requirement)s? \((?:in |number of |max |min )?$`)
	// otherEN is a bound without a unit behind another: 1500 words minimum, 2000 maximum.
	otherEN = regexp.MustCompile(`^s?(?: ?(?:` + upBehind + `|` + downBehind + `))?\.?[ ,;/(]+(?:(?:and|but)[ ,]+)?` +
		`((?:[a-z<>=]+ ){0,4}[0-9][0-9,.'_]*k?(?: ?(?:` + upBehind + `|` + downBehind + `))?)` +
		`(?:[^0-9]? *$| words?|[^ 0-9a-z%/-](?:[^0-9]|$))`)
	// countEN is what may stand between "word" and a number behind it: word count: 2500.
	countEN = regexp.MustCompile(`^s?\)?[ _-]*` +
		`(?:(?:required|requested|needed|count|limit|length|total|target|number|budget|goal|range|requirement` +
		`|minimum|maximum|max|min)s?|:|=)` +
		`(?:[ :=()\[\]~|"'<>-]|\b(?:about|around|approximately|approx|roughly|circa|ca|the|a|an|of|be|is|in|at|from|between|just` +
		`|count|limit|length|must|should|needs?|to|have|set|target|goal|required?|requirement|range|not|no|less|fewer|more|than` +
		`|exceed(?:s|ing)?|under|over|up|within|below|above|least|most|minimum|maximum|max|min|cannot|can|may|will|words?)\b)*`)
)

// lengthInEnglish reads the length around the word "word", of texts that are [latin].
func lengthInEnglish(before, after string) Length {
	behind, isCount := countedBehind(before, after)
	if strings.HasPrefix(strings.TrimPrefix(after, "s"), ")") {
		before = strings.TrimSuffix(before, "(") // length: 1200 (words)
	}
	c, ok := countedWords(tokens(before))
	asked := ok && c.asked(after)
	// Of "5000 words: 10 references" the first number counts words.
	if front := ok && c.lo >= shortest && colonEN.MatchString(after); isCount && !front {
		if l, said := countInEnglish(behind, boundOfCount(before)); said {
			return l
		}
	}
	if !asked || startsWord(strings.TrimPrefix(after, "s")) {
		return Length{}
	}
	if m := behindEN.FindStringSubmatch(after); m != nil {
		c.bound = c.bound.either(boundOf(m[1], m[2]))
	}
	if c.lo != c.hi && c.isChange() { // from 2000 to 500 words
		c.lo = c.hi
	}
	l := lengthOf(c.lo, c.hi, c.bound).withOther(after)
	if l.Min > 0 && l.Max > 0 {
		return l
	}
	// at least 800 but at most 1000
	c.before.skip(linkEN)
	if other, ok := countedWords(c.before.list); ok && other.lo == other.hi {
		if both, ok := l.meets(lengthOf(other.lo, other.hi, other.bound)); ok {
			return both
		}
	}
	return l
}

// numberInEnglish reports whether a text has a digit or a number as a word.
func numberInEnglish(s string) bool {
	for i := 0; i < len(s); {
		c := s[i] | 0x20
		switch {
		case isDigit(s[i]) || s[i] == 0xEF || s[i] == 0xC2: // the first byte of full-width digits, of ½
			return true
		case c < 'a' || c > 'z':
			i++
			continue
		}
		from := i
		for i < len(s) && 'a' <= s[i]|0x20 && s[i]|0x20 <= 'z' {
			i++
		}
		if i-from < 3 || i-from > len("seventeen") {
			continue
		}
		if w := strings.ToLower(s[from:i]); wordsEN[w] > 0 || timesEN[w] > 0 {
			return true
		}
	}
	return false
}

// backwards reads tokens from their end.
type backwards struct{ list []token }

// at is the token n before the end, from 0; empty in front of the first.
func (b backwards) at(n int) token {
	if n < len(b.list) {
		return b.list[len(b.list)-1-n]
	}
	return token{}
}

func (b *backwards) drop(n int) { b.list = b.list[:len(b.list)-n] }

// skip drops the last tokens that are of a set.
func (b *backwards) skip(of map[string]bool) {
	for of[b.at(0).text] {
		b.drop(1)
	}
}

// take drops one of the phrases, if it ends the tokens.
func (b *backwards) take(list []phrase) bool {
	for _, p := range list {
		n := 0
		for n < len(p) && b.at(n).text == p[len(p)-1-n] {
			n++
		}
		if n == len(p) {
			b.drop(n)
			return true
		}
	}
	return false
}

// bound takes the words before a number that say what it bounds.
func (b *backwards) bound() bound {
	for {
		said := exactly
		switch {
		case b.take(upEN):
			said = atLeast
		case b.take(downEN):
			said = atMost
		case aboutEN[b.at(0).text]:
			b.drop(1)
			continue
		default:
			return exactly
		}
		for n := range 3 { // not, shouldn't be, should not be any
			if t := b.at(n); notEN[t.text] || t.text == "t" && b.at(n+1).text == "'" {
				b.drop(n + 1)
				return said.unless(true)
			}
			if b.at(n).kind == figureToken || clauseEN[b.at(n).text] {
				break
			}
		}
		return said
	}
}

// counted is a number of words that a text ends with.
type counted struct {
	lo, hi float64
	bound  bound
	number []token
	front  backwards // what stands before the number
	before backwards // and before the words that bound it
}

// countedWords reads the number that ends tokens.
func countedWords(list []token) (c counted, ok bool) {
	b := backwards{list}
	for more := true; more; {
		switch {
		case b.take(upThenEN):
			c.bound = atLeast
		case b.take(downThenEN):
			c.bound = atMost
		default:
			more = b.tolerance() || b.take(thenEN)
		}
	}
	size := 0
	if c.lo, c.hi, size = spread(b); size == 0 {
		c.lo, c.hi, size = amount(b.list, false)
	}
	if size == 0 {
		return c, false
	}
	c.number = b.list[len(b.list)-size:]
	b.drop(size)
	c.front = b
	c.bound = c.bound.either(b.bound())
	c.before = b
	return c, true
}

// tolerance takes (+/- 10%).
func (b *backwards) tolerance() bool {
	rest := *b
	rest.skip(map[string]bool{")": true})
	if rest.at(0).text != "%" {
		return false
	}
	rest.drop(min(2, len(rest.list)))
	if !rest.take(spreadEN) {
		return false
	}
	rest.skip(map[string]bool{"(": true})
	*b = rest
	return true
}

// spread reads 1000 +/- 100.
func spread(b backwards) (lo, hi float64, size int) {
	by := b.at(0)
	b.drop(min(1, len(b.list)))
	n := len(b.list)
	if by.kind != figureToken || !b.take(spreadEN) || b.at(0).kind != figureToken {
		return 0, 0, 0
	}
	middle, more := figure(b.at(0).text, false), figure(by.text, false)
	return middle - more, middle + more, n - len(b.list) + 2
}

// asked tells a number of words that is asked for from others, by what stands before it
// and behind the unit.
func (c counted) asked(after string) bool {
	plural := strings.HasPrefix(after, "s")
	last, number := c.front.at(0).text, c.number[0].text
	switch spaced := strings.Contains(number, " "); {
	case vagueEN[last], orderEN[last], last == "." && orderEN[c.front.at(1).text], spaced && placeEN[last], c.isYear(after):
		return false
	case thatEN[last], last == "x" && c.front.at(1).kind == figureToken, (last == "this" || last == "that") && !plural:
		return false
	case last == "the" && plural && !behindEN.MatchString(after), thingsEN.MatchString(after):
		return false
	case plural && c.ofThings():
		return false
	case c.ofPart(), c.isOfText(after):
		return false
	}
	m := rateEN.FindStringSubmatch(after)
	return m == nil || m[1] == "the" || m[1] == "your" || m[1] == "our" || m[1] == "my" // per your request
}

// isYear tells a year from a length. "since 1984 words" names one; "in 1984 words" asks for so
// many, unless it begins a sentence that tells of what words did: In 2020 words changed.
func (c counted) isYear(after string) bool {
	n := int(c.hi)
	if c.lo != c.hi || n < 1900 || n > 2099 || n%100 == 0 || len(c.number) != 1 || len(c.number[0].text) != 4 {
		return false
	}
	first := c.front.at(1).text
	opens := first == "" || clauseEN[first] && first != ","
	return timeEN[c.front.at(0).text] || c.front.at(0).text == "in" && opens && didEN.MatchString(after)
}

// ofThings reports whether words are counted as things: list 50 words, a list of 50 words.
func (c counted) ofThings() bool {
	b := c.before
	b.skip(someEN)
	return askEN[b.at(0).text] || c.front.at(0).text == "of" && collectEN[c.before.at(0).text] ||
		b.at(0).text == "of" && collectEN[b.at(1).text]
}

// ofPart reports whether the words before say that it is the length of one of several
// parts.
func (c counted) ofPart() bool {
	b := c.before
	each := false
	for n := 0; n < len(b.list) && !clauseEN[b.at(n).text]; n++ {
		if wholeEN[b.at(n).text] {
			return false
		}
		each = each || eachEN[b.at(n).text]
	}
	if wholeEN[c.front.at(1).text] { // each part, for a total of
		return false
	}
	b = c.front
	b.skip(lengthOfEN)
	return each || partEN[b.at(0).text] && len(b.list) < len(c.front.list)
}

// boundOfCount is what the words before "word" say that its count bounds: minimum word count.
func boundOfCount(before string) bound {
	b := backwards{tokens(before)}
	b.skip(countKindEN)
	switch {
	case b.take(upCountEN):
		return atLeast
	case b.take(downCountEN):
		return atMost
	}
	return exactly
}

// countInEnglish reads what stands behind "word": count: 2500. said is whether there is such
// a number, front what the words before say that it bounds.
func countInEnglish(after string, front bound) (l Length, said bool) {
	words := countEN.FindString(after)
	if words == "" {
		return Length{}, false
	}
	rest := after[len(words):]
	list := tokens(rest)
	size := 0
	for size < len(list) && list[size].kind != otherToken {
		size++
	}
	for all := list[:size]; size > 0; size-- {
		if size < len(all) && all[size].kind != jointToken {
			return Length{}, true
		}
		lo, hi, used := amount(list[:size], strings.Contains(words, "between"))
		if used != size {
			continue
		}
		last := list[size-1]
		behind := strings.TrimPrefix(rest[last.at+len(last.text):], " word")
		if rateEN.MatchString(behind) {
			return Length{}, true
		}
		b := backwards{tokens(words)}
		front = front.either(b.bound()) // of "minimum word limit" the limit is none
		if m := behindEN.FindStringSubmatch(behind); m != nil {
			front = front.either(boundOf(m[1], m[2]))
		}
		return lengthOf(lo, hi, front).withOther(behind), true
	}
	return Length{}, false
}

// numberOfWords stands before "words" whose count stands behind them.
const numberOfWords = "number of "

// countedBehind is the text behind "word" where it may say a count; of "length (words): 1200"
// without the bracket.
func countedBehind(before, after string) (behind string, ok bool) {
	rest, closed := strings.CutPrefix(strings.TrimPrefix(after, "s"), ")")
	switch {
	case closed:
		return rest, lengthBeforeEN.MatchString(before)
	case strings.HasSuffix(before, numberOfWords): // the number of words is 300
		return " count" + strings.TrimPrefix(after, "s"), true
	}
	return after, true
}

// withOther adds the other bound that stands without a unit behind the first: minimum 500, maximum 700.
func (l Length) withOther(behind string) Length {
	m := otherEN.FindStringSubmatch(behind)
	if m == nil || l.Min > 0 && l.Max > 0 {
		return l
	}
	other, _ := countInEnglish(" count "+m[1], exactly)
	if both, ok := l.meets(other); ok {
		return both
	}
	return l
}

func boundOf(least, most string) bound {
	switch {
	case least != "":
		return atLeast
	case most != "":
		return atMost
	}
	return exactly
}
