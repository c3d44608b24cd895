package syntax

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type kind uint8

const (
	tokEOF kind = iota
	tokData
	tokBlockBegin
	tokBlockEnd
	tokVarBegin
	tokVarEnd
	tokName
	tokString
	tokInt
	tokFloat
	tokOp
)

type token struct {
	kind kind
	text string // of a string: the text that it means
	line int
}

func (t token) String() string {
	switch t.kind {
	case tokEOF:
		return "end of template"
	case tokData:
		return "template text"
	case tokBlockEnd:
		return `"%}"`
	case tokVarEnd:
		return `"}}"`
	}
	return strconv.Quote(t.text)
}

type lexer struct {
	name      string
	src       string
	pos       int
	line      int
	tokens    []token
	lineStart bool // the text behind the last tag starts a line
	brackets  []byte
}

// lex splits a template into tokens, white space around the tags dealt with as
// trim_blocks and lstrip_blocks have it.
func lex(name, source string) []token {
	source = strings.ReplaceAll(strings.ReplaceAll(source, "\r\n", "\n"), "\r", "\n")
	l := &lexer{name: name, src: strings.TrimSuffix(source, "\n"), line: 1, lineStart: true}
	for l.pos < len(l.src) {
		l.text()
	}
	return append(l.tokens, token{tokEOF, "", l.line})
}

func (l *lexer) fail(format string, args ...any) {
	panic(&Error{Name: l.name, Line: l.line, Msg: Excerpt(fmt.Sprintf(format, args...))})
}

func (l *lexer) emit(k kind, text string) { l.tokens = append(l.tokens, token{k, text, l.line}) }

// advance moves on by n bytes and counts their lines.
func (l *lexer) advance(n int) {
	s := l.src[l.pos : l.pos+n]
	l.line += strings.Count(s, "\n")
	l.pos += n
	if n > 0 {
		l.lineStart = s[n-1] == '\n'
	}
}

func (l *lexer) skipSpace() {
	l.advance(len(l.src[l.pos:]) - len(strings.TrimLeftFunc(l.src[l.pos:], IsSpace)))
}

// text reads up to the next tag, and the tag.
func (l *lexer) text() {
	rest := l.src[l.pos:]
	n := nextTag(rest)
	if n < 0 {
		l.emit(tokData, rest)
		l.advance(len(rest))
		return
	}
	tag := rest[n : n+2]
	sign := byte(0)
	if n+2 < len(rest) && (rest[n+2] == '-' || rest[n+2] == '+') {
		sign = rest[n+2]
	}
	l.data(rest[:n], sign, tag != "{{")
	l.advance(n)
	if tag == "{%" && l.raw() {
		return
	}
	begin := l.line
	l.advance(2)
	if sign != 0 {
		l.advance(1)
	}
	switch tag {
	case "{#":
		l.comment(begin)
	case "{{":
		l.emit(tokVarBegin, tag)
		l.inside(begin, tokVarEnd)
	default:
		l.emit(tokBlockBegin, tag)
		l.inside(begin, tokBlockEnd)
	}
}

func nextTag(s string) int {
	for i := 0; i+1 < len(s); i++ {
		n := strings.IndexByte(s[i:], '{')
		if n < 0 || i+n+1 >= len(s) {
			return -1
		}
		i += n
		if c := s[i+1]; c == '%' || c == '{' || c == '#' {
			return i
		}
	}
	return -1
}

// data emits the text before a tag, less the white space that the tag takes.
func (l *lexer) data(text string, sign byte, lstrip bool) {
	switch {
	case sign == '-':
		text = strings.TrimRightFunc(text, IsSpace)
	case sign == 0 && lstrip:
		start := strings.LastIndexByte(text, '\n') + 1
		if (start > 0 || l.lineStart) && strings.TrimLeftFunc(text[start:], IsSpace) == "" {
			text = text[:start]
		}
	}
	if text != "" {
		l.emit(tokData, text)
	}
}

// end consumes the tag end at the current position, if one is there, with
// the white space that it takes.
func (l *lexer) end(closing string) bool {
	rest := l.src[l.pos:]
	switch {
	case strings.HasPrefix(rest, "-"+closing):
		l.advance(3)
		l.skipSpace()
	case strings.HasPrefix(rest, "+"+closing) && closing != "}}":
		l.advance(3)
	case strings.HasPrefix(rest, closing):
		l.advance(2)
		if closing != "}}" && strings.HasPrefix(l.src[l.pos:], "\n") {
			l.advance(1)
		}
	default:
		return false
	}
	return true
}

func (l *lexer) comment(begin int) {
	n := strings.Index(l.src[l.pos:], "#}")
	if n < 0 {
		l.line = begin
		l.fail("a comment that is not closed, want \"#}\"")
	}
	if n > 0 && strings.ContainsRune("+-", rune(l.src[l.pos+n-1])) {
		n--
	}
	l.advance(n)
	l.end("#}")
}

// raw reads a whole {% raw %} block if one starts here.
func (l *lexer) raw() bool {
	n, minus := rawTag(l.src[l.pos:], "raw")
	if n == 0 {
		return false
	}
	begin := l.line
	l.advance(n)
	if minus {
		l.skipSpace()
	}
	for at := l.pos; ; at++ {
		i := strings.Index(l.src[at:], "{%")
		if i < 0 {
			l.line = begin
			l.fail("a raw block that is not closed, want \"{%% endraw %%}\"")
		}
		at += i
		n, _ := rawTag(l.src[at:], "endraw")
		if n == 0 {
			continue
		}
		sign := l.src[at+2]
		if sign != '-' && sign != '+' {
			sign = 0
		}
		l.data(l.src[l.pos:at], sign, true)
		l.advance(at + n - l.pos)
		l.pos -= 2
		if c := l.src[l.pos-1]; c == '-' || c == '+' {
			l.pos--
		}
		l.end("%}")
		return true
	}
}

// rawTag returns the length of the tag {% word %} at the start of s, and
// whether it ends in a minus; 0 if it is not there.
func rawTag(s, word string) (int, bool) {
	rest := s[2:]
	if rest != "" && (rest[0] == '-' || rest[0] == '+') {
		rest = rest[1:]
	}
	rest, found := strings.CutPrefix(strings.TrimLeftFunc(rest, IsSpace), word)
	if !found {
		return 0, false
	}
	rest = strings.TrimLeftFunc(rest, IsSpace)
	tail, minus := strings.CutPrefix(rest, "-")
	if !minus && word == "endraw" {
		tail = strings.TrimPrefix(rest, "+")
	}
	if !strings.HasPrefix(tail, "%}") {
		return 0, false
	}
	return len(s) - len(tail) + 2, minus
}

// inside reads the tokens of a tag up to and with its end.
func (l *lexer) inside(begin int, closing kind) {
	endText := map[kind]string{tokVarEnd: "}}", tokBlockEnd: "%}"}[closing]
	l.brackets = l.brackets[:0]
	for l.pos < len(l.src) {
		line := l.line
		if len(l.brackets) == 0 && l.end(endText) {
			l.tokens = append(l.tokens, token{closing, endText, line})
			return
		}
		l.token()
	}
	l.line = begin
	l.fail("a tag that is not closed, want %q", endText)
}

// IsWord reports whether a character may stand in a name.
func IsWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) }

func (l *lexer) token() {
	rest := l.src[l.pos:]
	r, _ := utf8.DecodeRuneInString(rest)
	switch {
	case IsSpace(r):
		l.skipSpace()
	case r >= '0' && r <= '9':
		l.number(rest)
	case IsWord(r):
		n := len(rest) - len(strings.TrimLeftFunc(rest, IsWord))
		l.emit(tokName, rest[:n])
		l.advance(n)
	case r == '\'' || r == '"':
		l.quoted(rest)
	default:
		l.operator(rest, r)
	}
}

func (l *lexer) operator(rest string, r rune) {
	op := rest[:1]
	for _, two := range []string{"//", "**", "==", "!=", ">=", "<="} {
		if strings.HasPrefix(rest, two) {
			op = two
		}
	}
	if !strings.Contains("+-/*%~[](){}><=.:|,; // ** == != >= <=", op) || r >= utf8.RuneSelf {
		l.fail("unexpected character %q", r)
	}
	switch op[0] {
	case '(', '[', '{':
		l.brackets = append(l.brackets, op[0]+1+op[0]/'[') // the closing one
	case ')', ']', '}':
		n := len(l.brackets) - 1
		if n < 0 {
			l.fail("unexpected %q", op)
		}
		if l.brackets[n] != op[0] {
			l.fail("unexpected %q, want %q", op, l.brackets[n])
		}
		l.brackets = l.brackets[:n]
	}
	l.emit(tokOp, op)
	l.advance(len(op))
}

// digits returns the length of a run of digits with single underscores.
func digits(s, set string) int {
	n := 0
	for n < len(s) {
		if s[n] == '_' && n > 0 && n+1 < len(s) && strings.IndexByte(set, s[n+1]) >= 0 {
			n++
		}
		if strings.IndexByte(set, s[n]) < 0 {
			break
		}
		n++
	}
	return n
}

func (l *lexer) number(s string) {
	const decimal = "0123456789"
	for prefix, set := range map[string]string{"0x": "0123456789abcdefABCDEF", "0o": "01234567", "0b": "01"} {
		if len(s) > 2 && strings.EqualFold(s[:2], prefix) {
			if n := digits(s[2:], set); n > 0 {
				l.emit(tokInt, s[:2+n])
				l.advance(2 + n)
				return
			}
		}
	}
	n := digits(s, decimal)
	k := tokInt
	if l.pos == 0 || l.src[l.pos-1] != '.' {
		if n+1 < len(s) && s[n] == '.' {
			if f := digits(s[n+1:], decimal); f > 0 {
				n, k = n+1+f, tokFloat
			}
		}
		if n < len(s) && (s[n] == 'e' || s[n] == 'E') {
			e := n + 1
			if e < len(s) && (s[e] == '+' || s[e] == '-') {
				e++
			}
			if f := digits(s[min(e, len(s)):], decimal); f > 0 {
				n, k = e+f, tokFloat
			}
		}
	}
	l.emit(k, strings.ReplaceAll(s[:n], "_", ""))
	l.advance(n)
}

// quoted reads a string literal; its escapes are Python's.
func (l *lexer) quoted(s string) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			l.emit(tokString, l.unescape(s[1:i]))
			l.advance(i + 1)
			return
		}
	}
	l.fail("a string that is not closed, want %q", s[:1])
}

var simpleEscapes = map[byte]string{
	'n': "\n", 't': "\t", 'r': "\r", '\\': "\\", '\'': "'", '"': "\"",
	'a': "\a", 'b': "\b", 'f': "\f", 'v': "\v", '\n': "",
}

func (l *lexer) unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		c := s[i]
		width := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
		text, simple := simpleEscapes[c]
		switch {
		case simple:
			b.WriteString(text)
		case width > 0:
			i++
			b.WriteRune(l.codePoint(s[i:min(i+width, len(s))], width, 16))
			i += width - 1
		case c >= '0' && c <= '7':
			n := 1
			for n < 3 && i+n < len(s) && s[i+n] >= '0' && s[i+n] <= '7' {
				n++
			}
			b.WriteRune(l.codePoint(s[i:i+n], n, 8))
			i += n - 1
		case c == 'N':
			l.fail(`the escape \N{...} is not supported`)
		default: // kept as it stands
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String()
}

func (l *lexer) codePoint(s string, width, base int) rune {
	n, err := strconv.ParseUint(s, base, 32)
	if err != nil || len(s) != width {
		l.fail("the escape \\%s is not complete", s)
	}
	if n > unicode.MaxRune || n >= 0xd800 && n < 0xe000 {
		l.fail("the escape \\%s is no character", s)
	}
	return rune(n)
}
