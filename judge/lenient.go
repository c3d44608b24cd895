package judge

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// JSON as models write it: with single quotes, quotes that are not escaped, commas at the
// end, names without quotes. A value is a text, bare (a number or a word), object or
// list. It has no value that the reply does not spell out.
type (
	bare   string
	object []member
	list   []any
	member struct {
		key   string
		value any
	}
)

const deepest = 16 // objects and lists inside of each other

var errBroken = errors.New("no JSON")

// lenient reads a value.
type lenient struct {
	text string
	at   int
	torn bool // the text ended before the value did
}

// objects are the outermost objects of a text, and the text without them. One that is cut off
// has the members that are whole.
func objects(text string) (found []object, around string) {
	const most = 64 // times the text, that are read of it
	var rest strings.Builder
	from, work := 0, 0
	for from < len(text) {
		open := strings.IndexByte(text[from:], '{')
		if open < 0 || work > most*len(text) {
			break
		}
		rest.WriteString(text[from : from+open])
		p := lenient{text: text, at: from + open}
		v, err := p.value(0)
		work += p.at - from
		if o, ok := v.(object); ok && err == nil && len(o) > 0 {
			found = append(found, o)
			rest.WriteByte('\n')
			from = p.at
			continue
		}
		rest.WriteByte('{')
		from += open + 1
	}
	rest.WriteString(text[min(from, len(text)):])
	return found, rest.String()
}

func (p *lenient) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// ended reports whether the text is over.
func (p *lenient) ended() bool {
	p.torn = p.torn || p.at >= len(p.text)
	return p.torn
}

func (p *lenient) value(depth int) (any, error) {
	p.space()
	if p.ended() {
		return nil, nil
	}
	if depth > deepest {
		return nil, errBroken
	}
	switch p.text[p.at] {
	case '{':
		return p.object(depth)
	case '[':
		return p.list(depth)
	case '"', '\'':
		return p.quoted(), nil
	}
	end := strings.IndexAny(p.text[p.at:], ",]}\n{\"")
	if end < 0 {
		p.at = len(p.text)
		p.ended()
		return nil, nil
	}
	word := strings.TrimSpace(p.text[p.at : p.at+end])
	p.at += end
	if word == "" || p.text[p.at] == '{' {
		return nil, errBroken
	}
	return bare(word), nil
}

func (p *lenient) object(depth int) (any, error) {
	var o object
	p.at++
	for {
		p.space()
		if p.ended() {
			return o, nil
		}
		switch c := p.text[p.at]; {
		case c == '}':
			p.at++
			return o, nil
		case c == ',':
			p.at++
			continue
		}
		key, err := p.key()
		if err != nil || p.torn {
			return o, err
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if _, whole := v.(object); !p.torn || whole { // the rest of a value that is cut off is not known
			o = append(o, member{key, v})
		}
	}
}

// key reads the name of a member, and the colon behind it.
func (p *lenient) key() (string, error) {
	var key string
	if c := p.text[p.at]; c == '"' || c == '\'' {
		key = p.quoted()
		p.space()
		if p.ended() {
			return "", nil
		}
		if p.text[p.at] != ':' {
			return "", errBroken
		}
	} else {
		end := strings.IndexAny(p.text[p.at:], ":{}[],\n")
		if end < 0 {
			p.at = len(p.text)
			p.ended()
			return "", nil
		}
		if p.text[p.at+end] != ':' {
			return "", errBroken
		}
		key = p.text[p.at : p.at+end]
		p.at += end
	}
	p.at++
	return key, nil
}

func (p *lenient) list(depth int) (any, error) {
	var l list
	p.at++
	for {
		p.space()
		if p.ended() {
			return l, nil
		}
		switch p.text[p.at] {
		case ']':
			p.at++
			return l, nil
		case ',':
			p.at++
			continue
		case '}':
			return nil, errBroken
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		l = append(l, v)
	}
}

// quoted reads a text in quotes. The quote that ends it is one behind which JSON goes on: a
// model forgets to escape the others.
func (p *lenient) quoted() string {
	quote := p.text[p.at]
	p.at++
	var out strings.Builder
	for p.at < len(p.text) {
		c := p.text[p.at]
		p.at++
		switch {
		case c == '\\' && p.at < len(p.text):
			p.escaped(&out)
		case c == quote && p.closes():
			return out.String()
		default:
			out.WriteByte(c)
		}
	}
	p.ended()
	return out.String()
}

// closes reports whether JSON goes on where p is.
func (p *lenient) closes() bool {
	const most = 64 // blanks that are looked over
	line := false   // ends before what follows
	for i := p.at; i < len(p.text) && i < p.at+most; i++ {
		switch c := p.text[i]; c {
		case ' ', '\t', '\r', '\n':
			line = line || c == '\n'
			continue
		case ',', ':', '}', ']':
			return true
		default:
			return line && c == '"' // a comma that was forgotten
		}
	}
	return true
}

// escaped reads what follows a backslash.
func (p *lenient) escaped(out *strings.Builder) {
	c := p.text[p.at]
	p.at++
	switch c {
	case 'n', 'r', 't':
		out.WriteByte(' ')
	case 'u':
		if p.at+4 <= len(p.text) {
			if n, err := strconv.ParseUint(p.text[p.at:p.at+4], 16, 32); err == nil {
				p.at += 4
				out.Write(utf8.AppendRune(nil, rune(n)))
				return
			}
		}
		out.WriteString(`\u`)
	default:
		out.WriteByte(c)
	}
}
