package split

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// escapes are the characters that letters behind a backslash stand for.
var escapes = map[rune]rune{'n': '\n', 'r': '\r', 't': '\t', 'v': '\v', 'f': '\f', 'a': '\a', 'e': 0x1B}

// escape reads what follows a backslash: a character, or a class.
func (p *parser) escape(from int) (s set, isClass bool, err error) {
	if p.i == len(p.src) {
		return nil, false, p.unknown(from, "a backslash at the end")
	}
	switch c := p.next(); c {
	case 's':
		return spaces(), true, nil
	case 'S':
		return spaces().not(), true, nil
	case 'w':
		return words(), true, nil
	case 'W':
		return words().not(), true, nil
	case 'd', 'D':
		digits, _ := property("Nd")
		if c == 'D' {
			digits = digits.not()
		}
		return digits, true, nil
	case 'p', 'P':
		name, _, ok := strings.Cut(p.src[p.i:], "}")
		if !ok || !strings.HasPrefix(name, "{") {
			return nil, false, p.unknown(from, "want \\p{...}")
		}
		p.i += len(name) + 1
		name, not := strings.CutPrefix(name[1:], "^")
		s, ok := property(name)
		if !ok {
			return nil, false, p.unknown(from, "want a general category or Han")
		}
		if not != (c == 'P') {
			s = s.not()
		}
		return s, true, nil
	case 'x', 'u':
		r, ok := p.code(c)
		if !ok {
			return nil, false, p.unknown(from, "want a code point in hexadecimal")
		}
		return of(span{r, r}), false, nil
	default:
		if r, ok := escapes[c]; ok {
			return of(span{r, r}), false, nil
		}
		if c >= utf8.RuneSelf || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' {
			return nil, false, p.unknown(from, "an escape that is not known")
		}
		return of(span{c, c}), false, nil
	}
}

// code reads the code point of \xHH, of ASCII alone since Oniguruma reads others as bytes, \x{...} or \uHHHH.
func (p *parser) code(kind rune) (rune, bool) {
	digits, most := "", rune(utf8.MaxRune)
	switch rest := p.src[p.i:]; {
	case kind == 'x' && strings.HasPrefix(rest, "{"):
		var ok bool
		if digits, _, ok = strings.Cut(rest[1:], "}"); !ok {
			return 0, false
		}
		p.i += len(digits) + 2
	case kind == 'x' && len(rest) >= 2:
		digits, most = rest[:2], utf8.RuneSelf-1
		p.i += 2
	case kind == 'u' && len(rest) >= 4:
		digits = rest[:4]
		p.i += 4
	}
	v, err := strconv.ParseUint(digits, 16, 32)
	return rune(v), err == nil && v <= uint64(most) && utf8.ValidRune(rune(v))
}

// class reads what follows an opening bracket: characters, ranges, classes in classes, and && between them.
func (p *parser) class(from int, fold bool) (set, error) {
	if p.depth++; p.depth > maxNested {
		return nil, p.unknown(from, "classes in each other")
	}
	defer func() { p.depth-- }()
	not := p.take("^")
	if fold && not {
		return nil, p.unknown(from, "a negated class where case does not count")
	}
	var now, all set
	met := false // an && was there
	for first := true; ; first = false {
		if p.i == len(p.src) {
			return nil, p.unknown(from, "a class that does not end")
		}
		if p.take("]") {
			if first {
				return nil, p.unknown(from, "a class that begins with ], want \\]")
			}
			break
		}
		if p.take("&&") {
			if met {
				now = all.and(now)
			}
			all, now, met = now, nil, true
			continue
		}
		s, err := p.member(from, fold)
		if err != nil {
			return nil, err
		}
		now = now.or(s)
	}
	if met {
		now = all.and(now)
	}
	if not {
		now = now.not()
	}
	if len(now) == 0 {
		return nil, p.unknown(from, "a class of nothing")
	}
	return now, nil
}

// member reads a member of a class.
func (p *parser) member(from int, fold bool) (set, error) {
	if p.looking("[:") {
		return nil, p.unknown(p.i, "a POSIX class")
	}
	if p.take("[") {
		return p.class(p.i-1, fold)
	}
	s, isClass, err := p.character(from)
	if err != nil {
		return nil, err
	}
	if isClass {
		if fold {
			return nil, p.unknown(from, "a class where case does not count")
		}
		return s, nil
	}
	if p.looking("-") && !p.looking("-]") {
		p.i++
		if p.looking("[") {
			return nil, p.unknown(from, "a range to a class")
		}
		high, isClass, err := p.character(from)
		if err != nil {
			return nil, err
		}
		if isClass || high[0].lo < s[0].lo {
			return nil, p.unknown(from, "a range that is none")
		}
		s = of(span{s[0].lo, high[0].lo})
	}
	if fold {
		if s[len(s)-1].hi >= utf8.RuneSelf {
			return nil, p.unknown(from, "a character beyond ASCII where case does not count")
		}
		s = s.folded()
	}
	return s, nil
}

// character reads a character of a class, or one of the classes that a backslash begins.
func (p *parser) character(from int) (s set, isClass bool, err error) {
	if p.i == len(p.src) {
		return nil, false, p.unknown(from, "a class that does not end")
	}
	at := p.i
	r := p.next()
	if r == '\\' {
		if p.looking("w") || p.looking("W") {
			return nil, false, p.unknown(at, "\\w in a class, which is another set there")
		}
		return p.escape(at)
	}
	return of(span{r, r}), false, nil
}
