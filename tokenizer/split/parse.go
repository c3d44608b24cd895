package split

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of a pattern, several times above those of the published ones.
const (
	maxPattern = 4096 // bytes
	maxNested  = 32   // groups in each other
	maxRepeat  = 64   // in {n,m}
)

type op uint8

const (
	opSet    op = iota // one code point of a set
	opLook             // the next code point is of a set, or the text ends
	opCat              // one after the other
	opAlt              // the first that leads to a match
	opRepeat           // min to max times (max -1: any number), as often as possible or, lazy, as seldom
)

// node is a pattern's tree.
type node struct {
	op       op
	set      set
	end      bool // of a look: the end of the text will do
	subs     []*node
	min, max int
	lazy     bool
}

// nullable reports whether a node matches nothing of a text.
func (n *node) nullable() bool {
	switch n.op {
	case opSet:
		return false
	case opCat:
		for _, s := range n.subs {
			if !s.nullable() {
				return false
			}
		}
		return true
	case opAlt:
		for _, s := range n.subs {
			if s.nullable() {
				return true
			}
		}
		return false
	case opRepeat:
		return n.min == 0 || n.subs[0].nullable()
	}
	return true
}

// single is the set of a node that is one code point, whichever way it is written.
func (n *node) single() (set, bool) {
	switch {
	case n.op == opSet:
		return n.set, true
	case n.op == opCat && len(n.subs) == 1:
		return n.subs[0].single()
	case n.op == opAlt:
		var all set
		for _, s := range n.subs {
			one, ok := s.single()
			if !ok {
				return nil, false
			}
			all = all.or(one)
		}
		return all, true
	}
	return nil, false
}

// parser reads a pattern as Oniguruma does with its own syntax, and refuses what is not known.
type parser struct {
	src   string
	i     int
	depth int
}

// unknown is the refusal of a part of a pattern.
func (p *parser) unknown(from int, why string) error {
	return fmt.Errorf("%.40q at byte %d: %s", p.src[from:min(len(p.src), max(p.i, from+1))], from, why)
}

func parse(src string) (*node, error) {
	p := &parser{src: src}
	if len(src) > maxPattern || !utf8.ValidString(src) {
		return nil, fmt.Errorf("%d bytes, want at most %d of UTF-8", len(src), maxPattern)
	}
	n, err := p.alternation(false)
	if err == nil && p.i < len(src) {
		err = p.unknown(p.i, "no group is open, want one")
	}
	return n, err
}

func (p *parser) looking(at string) bool { return strings.HasPrefix(p.src[p.i:], at) }

func (p *parser) take(text string) bool {
	if p.looking(text) {
		p.i += len(text)
		return true
	}
	return false
}

// next takes a code point, which is there.
func (p *parser) next() rune {
	r, size := utf8.DecodeRuneInString(p.src[p.i:])
	p.i += size
	return r
}

func (p *parser) alternation(fold bool) (*node, error) {
	if p.depth++; p.depth > maxNested {
		return nil, p.unknown(p.i, fmt.Sprintf("groups in each other, want at most %d", maxNested))
	}
	defer func() { p.depth-- }()
	alt := &node{op: opAlt}
	for {
		cat, err := p.sequence(fold)
		if err != nil {
			return nil, err
		}
		alt.subs = append(alt.subs, cat)
		if !p.take("|") {
			break
		}
	}
	if len(alt.subs) == 1 {
		return alt.subs[0], nil
	}
	return alt, nil
}

func (p *parser) sequence(fold bool) (*node, error) {
	cat := &node{op: opCat}
	var before set // what the part before can end with, where case does not count
	for p.i < len(p.src) && !p.looking("|") && !p.looking(")") {
		from := p.i
		if p.take("(?i)") { // to the end of the group
			rest, err := p.alternation(true)
			if err != nil {
				return nil, err
			}
			cat.subs = append(cat.subs, rest)
			break
		}
		n, err := p.atom(fold)
		if err != nil {
			return nil, err
		}
		if fold {
			now := everything
			if n.op == opSet {
				now = n.set
			}
			if joined(before, now) {
				return nil, p.unknown(from, "two letters that one character is equal to but for case")
			}
			before = now
		}
		if n, err = p.repeat(n, from); err != nil {
			return nil, err
		}
		cat.subs = append(cat.subs, n)
	}
	return cat, nil
}

// joined reports whether a character of one set and one of another are, but for case, what one character is equal to:
// the sharp s, and ligatures.
func joined(a, b set) bool {
	for _, pair := range []string{"ss", "st", "ff", "fi", "fl"} {
		if a.has(rune(pair[0])) && b.has(rune(pair[1])) {
			return true
		}
	}
	return false
}

// repeat reads the quantifier of a node, if there is one.
func (p *parser) repeat(n *node, from int) (*node, error) {
	for stacked := false; ; stacked = true {
		least, most, braces := 1, 1, false
		switch {
		case p.take("*"):
			least, most = 0, -1
		case p.take("+"):
			most = -1
		case p.take("?"):
			least = 0
		case p.looking("{"):
			var err error
			if least, most, err = p.braces(); err != nil {
				return nil, err
			}
			braces = true
		default:
			return n, nil
		}
		// {1,3}+ is no possessive quantifier, but one of another.
		if stacked && !(n.op == opRepeat && most == -1 && least == 1 && !braces) {
			return nil, p.unknown(from, "a quantifier of a quantifier")
		}
		if most != 1 && n.nullable() {
			return nil, p.unknown(from, "a quantifier of what may be nothing")
		}
		if !braces && p.take("+") {
			return p.possessive(n, least, most, from)
		}
		out := &node{op: opRepeat, subs: []*node{n}, min: least, max: most}
		if p.take("?") {
			if braces && least == most {
				return nil, p.unknown(from, "{n}?, which others read in another way")
			}
			out.lazy = true
			return out, nil
		}
		if !braces {
			return out, nil
		}
		n = out
	}
}

// possessive is a repetition that gives nothing back. Of single code points that is one behind which none of them stands.
func (p *parser) possessive(n *node, least, most, from int) (*node, error) {
	one, ok := n.single()
	if !ok {
		return nil, p.unknown(from, "a possessive quantifier of more than one character")
	}
	stop := &node{op: opLook, set: one.not(), end: true}
	if most == 1 {
		return &node{op: opAlt, subs: []*node{n, stop}}, nil
	}
	return &node{op: opCat, subs: []*node{{op: opRepeat, subs: []*node{n}, min: least, max: most}, stop}}, nil
}

// braces reads {n}, {n,}, {n,m} or {,m}.
func (p *parser) braces() (least, most int, err error) {
	from := p.i
	text, _, ok := strings.Cut(p.src[p.i+1:], "}")
	low, high, ranged := strings.Cut(text, ",")
	p.i += len(text) + 2
	bad := func() error {
		p.i = min(p.i, len(p.src))
		return p.unknown(from, fmt.Sprintf("want {n,m} of numbers up to %d", maxRepeat))
	}
	if !ok || low == "" && high == "" {
		return 0, 0, bad()
	}
	number := func(s string, absent int) int {
		v, e := strconv.Atoi(s)
		if s == "" {
			return absent
		}
		if e != nil || v < 0 || v > maxRepeat || s[0] == '+' {
			err = bad()
		}
		return v
	}
	least = number(low, 0)
	most = least
	if ranged {
		most = number(high, -1)
	}
	if err == nil && (most >= 0 && most < least || most == 0) {
		err = bad()
	}
	return least, most, err
}

// atom reads a character, a class, a group or an assertion.
func (p *parser) atom(fold bool) (*node, error) {
	from := p.i
	switch c := p.next(); c {
	case '(':
		return p.group(fold, from)
	case '[':
		s, err := p.class(from, fold)
		return &node{op: opSet, set: s}, err
	case '.':
		return &node{op: opSet, set: of(span{'\n', '\n'}).not()}, nil
	case '$':
		return &node{op: opLook, set: of(span{'\n', '\n'}), end: true}, nil
	case '^', '{', '}', '*', '+', '?':
		return nil, p.unknown(from, "not known there")
	case '\\':
		if p.take("z") {
			return &node{op: opLook, end: true}, nil
		}
		s, isClass, err := p.escape(from)
		if err != nil || !fold || !isClass {
			return p.literal(s, fold, from, err)
		}
		return nil, p.unknown(from, "a class where case does not count")
	default:
		return p.literal(of(span{c, c}), fold, from, nil)
	}
}

func (p *parser) literal(s set, fold bool, from int, err error) (*node, error) {
	if err == nil && fold {
		if s[0].lo >= utf8.RuneSelf {
			return nil, p.unknown(from, "a character beyond ASCII where case does not count")
		}
		s = s.folded()
	}
	return &node{op: opSet, set: s}, err
}

func (p *parser) group(fold bool, from int) (n *node, err error) {
	switch {
	case p.take("?:"):
		n, err = p.alternation(fold)
	case p.take("?i:"):
		n, err = p.alternation(true)
	case p.take("?!"), p.take("?="):
		not := p.src[p.i-1] == '!'
		n, err = p.alternation(fold)
		if err == nil {
			n, err = p.look(n, not, from)
		}
	case p.looking("?"), p.looking("*"):
		p.i += 2
		return nil, p.unknown(from, "a group of a kind that is not known")
	default:
		n, err = p.alternation(fold)
	}
	if err == nil && !p.take(")") {
		err = p.unknown(from, "a group that does not end")
	}
	return n, err
}

// look is an assertion about the next code point.
func (p *parser) look(n *node, not bool, from int) (*node, error) {
	s, ok := n.single()
	if !ok {
		return nil, p.unknown(from, "an assertion about more than one character")
	}
	if not {
		return &node{op: opLook, set: s.not(), end: true}, nil
	}
	return &node{op: opLook, set: s}, nil
}
