package prose

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Length is how long an answer a prompt asks for, in words or Chinese
// characters. Min or Max is 0 where the prompt has no such bound; both are the
// same where it names one number. The zero value asks for nothing.
type Length struct {
	Min int32 `json:"min,omitempty"`
	Max int32 `json:"max,omitempty"`
}

// Words is the length that an answer is measured by: the number that the prompt
// names, of a range the upper one, as LongBench-Write has it.
func (l Length) Words() int {
	if l.Max > 0 {
		return int(l.Max)
	}
	return int(l.Min)
}

// StatedLength finds the length that a prompt asks for, as a person would read it. Lengths
// of people's prompts were the measure: LongBench-Write (arXiv:2408.07055), its Chinese and
// English halves, and LongWrite-Ruler.
//
// A length is a number and a unit: word or words, 字 or 词. Characters (of English), tokens,
// pages and minutes are no units of it. What it counts is [Words].
//
// A number is written in digits (1500, 12,000, 10 500, 10.500, 1'500, 1,00,000, １５００), in
// words up to millions (twenty-five thousand, twenty-five hundred, 两万五千, 三四千), or mixed
// (1.5k, 2 thousand, 1.2万, 3w). It is read as a whole or not at all: of "2020 500 words" nothing.
//
// Bounds are said before it or behind it ("at least", "no more than", "minimum 800", "800 words
// or more", 不少于, 以内); "about" is none. A range keeps both ends (2-3k, 三到五千字, between 500 and
// 700, at least 800 and at most 1000). A prompt that names several lengths asks for the longest.
//
// No length of the answer are: that of a part ("200 words each", 100 words per paragraph, 每段300字),
// of a text that there is ("these 300 words", "my novel has 80,000 words", 以下500字, 这篇3000字的文章) or of the
// whole of what is asked for ("a chapter of a 60,000 word novel"), a count of words as things ("list 50 words",
// "20 word problems", 10个词语), years, and numbers of orders, versions and the like.
func StatedLength(prompt string) Length {
	var longest, last Length
	if len(prompt) > 2*mostPrompt {
		prompt = head(prompt, mostPrompt) + "\n" + tail(prompt, mostPrompt)
	}
	for at := 0; ; {
		i, size := nextUnit(prompt[at:])
		if i < 0 {
			return longest
		}
		var l Length
		if english := size == len("word"); mayCount(prompt[:at+i], prompt[at+i+size:], english) {
			before, after := plain(tail(prompt[:at+i], window)), plain(head(prompt[at+i+size:], window))
			if at+i > window {
				before = cutMark + before
			}
			if english {
				l = lengthInEnglish(latin(before), latin(after))
			} else {
				l = lengthInChinese(before, after)
			}
		}
		at += i + size
		if l == (Length{}) {
			continue
		}
		if both, ok := last.meets(l); ok { // at least 800 words, at most 1000 words
			l = both
		}
		if last = l; l.Words() > longest.Words() || l.Words() == longest.Words() && l.Min > longest.Min {
			longest = l
		}
	}
}

// meets makes one length of two that say a lower and an upper bound.
func (l Length) meets(o Length) (both Length, ok bool) {
	if l.Min == 0 {
		l, o = o, l
	}
	return Length{l.Min, o.Max}, l.Min > 0 && l.Max == 0 && o.Min == 0 && o.Max >= l.Min
}

const (
	// mostPrompt is how many bytes of a prompt's start and of its end are read: a
	// request stands before or behind the text that it is about.
	mostPrompt = 1 << 15
	// window is how many bytes before and behind a unit are read. The longest numbers below
	// a million have 70 as words.
	window = 192
	// cutMark begins a window behind which there is more text: a number that touches it may
	// be half of one, and is none.
	cutMark = "\x00"
)

// mayCount looks quickly whether a number may stand around a unit: most say nothing of a
// length.
func mayCount(before, after string, english bool) bool {
	if near := tail(before, 48); english && numberInEnglish(near) || !english && numberInChinese(near) {
		return true
	}
	near := head(after, 64)
	if english {
		return (countEN.MatchString(strings.ToLower(near)) || strings.EqualFold(tail(before, len(numberOfWords)), numberOfWords)) &&
			numberInEnglish(near)
	}
	return (strings.HasPrefix(near, "数") || strings.HasPrefix(near, "數")) && numberInChinese(near)
}

// nextUnit finds "word" in any case, 字 or 词, and its bytes.
func nextUnit(s string) (at, size int) {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c|0x20 == 'w' && len(s) >= i+4 && strings.EqualFold(s[i:i+4], "word"):
			return i, 4
		case c == 0xE5 && strings.HasPrefix(s[i:], "字"), c == 0xE8 && (strings.HasPrefix(s[i:], "词") || strings.HasPrefix(s[i:], "詞")):
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
	for n > 0 && !utf8.RuneStart(s[n]) {
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

var signs = map[rune]string{
	'≥': ">=", '≧': ">=", '⩾': ">=", '≤': "<=", '≦': "<=", '⩽': "<=", '±': "+/-", '…': "..", '×': "x",
	'€': "$", '£': "$", '¥': "$", '№': "#", '’': "'", '‘': "'", 'ʼ': "'", '′': "'", '“': `"`, '”': `"`,
	'〜': "~", '∼': "~", '−': "-", '﹣': "-", '﹘': "-", '•': ";", '*': "", '`': "",
	'\x00': "", '\u200b': "", '\u2060': "", '\ufeff': "", '\r': "",
}

var fractionSigns = map[rune]string{'½': ".5", '¼': ".25", '¾': ".75"}

// plain writes a text with the signs of a keyboard, in small letters: full-width digits,
// dashes and blanks of all widths, and without the marks of Markdown.
func plain(s string) string {
	var out strings.Builder
	out.Grow(len(s))
	for _, r := range s {
		sign, isSign := signs[r]
		switch {
		case fractionSigns[r] != "": // 2½ or 2 ½ is 2.5, and ½ is 0.5
			text := strings.TrimSuffix(out.String(), " ")
			if !endsInDigit(text) {
				out.WriteByte('0')
			} else if text != out.String() {
				out.Reset()
				out.WriteString(text)
			}
			out.WriteString(fractionSigns[r])
		case isSign:
			out.WriteString(sign)
		case r == '\t' || r == '\u00a0' || '\u2000' <= r && r <= '\u200a' || r == '\u202f' || r == '\u205f' || r == '\u3000':
			out.WriteByte(' ')
		case '\u2010' <= r && r <= '\u2015':
			out.WriteByte('-')
		case '！' <= r && r <= '～':
			out.WriteRune(unicode.ToLower(r - '！' + '!'))
		case 'A' <= r && r <= 'Z':
			out.WriteRune(r | 0x20)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// latin puts a semicolon for what is neither ASCII nor a letter of words with blanks
// between them, and the mark of a number that cannot be read for other numbers, as ⅓.
func latin(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf && unicode.Is(unicode.No, r) {
			return rune(cutMark[0])
		}
		if r < utf8.RuneSelf || unicode.IsLetter(r) && !unicode.Is(unicode.Han, r) {
			return r
		}
		return ';'
	}, s)
}

// bound is what a number of a length bounds.
type bound uint8

const (
	exactly bound = iota
	atLeast
	atMost
)

// either is the one of two bounds that says something.
func (b bound) either(o bound) bound {
	if b == exactly {
		return o
	}
	return b
}

// unless turns a bound around: no more than.
func (b bound) unless(not bool) bound {
	if not && b != exactly {
		return atLeast + atMost - b
	}
	return b
}

// Fewer words than shortest are an exercise ("use these 5 words"), and more
// than longest no length of an answer.
const shortest, longest = 10, 10_000_000

// lengthOf makes a length of the ends of a range, which may be the same.
func lengthOf(lo, hi float64, b bound) Length {
	lo, hi = math.Round(min(lo, hi)), math.Round(max(lo, hi)) // 130.7 * 1000 is less
	if lo < shortest || hi > longest {
		return Length{}
	}
	l := Length{int32(lo), int32(hi)}
	switch {
	case lo < hi:
	case b == atLeast:
		l.Max = 0
	case b == atMost:
		l.Min = 0
	}
	return l
}
