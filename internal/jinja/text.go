package jinja

import (
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"lwtrain/internal/jinja/syntax"
)

// noSource marks bytes that are the template's own.
const noSource = -1

// mark says where a range of a string's bytes came from.
type mark struct {
	start, end int
	source     int // noSource: the template
	block      int // which execution of a {% generation %} block, 0: none
}

// String is a text value: bytes and the marks on them, ascending and apart
// from each other. Bytes without a mark are the template's own.
type String struct {
	s     string
	marks []mark
	safe  bool // Markup: what is added to it by + is escaped
}

func lit(s string) String { return String{s: s} }

// sourced is s, all of it from one source.
func sourced(s string, source int) String {
	if source == noSource || s == "" {
		return String{s: s}
	}
	return String{s: s, marks: []mark{{0, len(s), source, 0}}}
}

// origin returns the source that all of s's marked bytes share, noSource if
// there is none or more than one.
func (s String) origin() int {
	source := noSource
	for i, m := range s.marks {
		if i > 0 && m.source != source {
			return noSource
		}
		source = m.source
	}
	return source
}

// cut returns the bytes [from,to) with their marks.
func (s String) cut(from, to int) String {
	out := String{s: s.s[from:to], safe: s.safe}
	if len(s.marks) == 0 || from == to {
		return out
	}
	if len(s.marks) == 1 && s.marks[0].start <= from && s.marks[0].end >= to {
		m := s.marks[0]
		m.start, m.end = 0, to-from
		out.marks = []mark{m}
		return out
	}
	first := sort.Search(len(s.marks), func(i int) bool { return s.marks[i].end > from })
	for _, m := range s.marks[first:] {
		if m.start >= to {
			break
		}
		m.start, m.end = max(m.start, from)-from, min(m.end, to)-from
		out.marks = append(out.marks, m)
	}
	return out
}

// size is what s takes of the memory that a rendering may use.
func (s String) size() int { return len(s.s) + 32*len(s.marks) }

// runes returns how many characters s has.
func (s String) runes() int { return utf8.RuneCountInString(s.s) }

// at returns the byte position of character n; 0 <= n <= runes.
func (s String) at(n int) int {
	if len(s.s) == s.runes() {
		return n
	}
	pos := 0
	for ; n > 0; n-- {
		_, size := utf8.DecodeRuneInString(s.s[pos:])
		pos += size
	}
	return pos
}

// strip cuts what in holds of, from the left, the right or both.
func (s String) strip(in func(rune) bool, left, right bool) String {
	from, to := 0, len(s.s)
	if left {
		from = to - len(strings.TrimLeftFunc(s.s, in))
	}
	if right {
		to = from + len(strings.TrimRightFunc(s.s[from:], in))
	}
	return s.cut(from, to)
}

// isLineEnd is the set that str.splitlines splits at.
func isLineEnd(r rune) bool {
	switch r {
	case '\n', '\r', '\v', '\f', 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
		return true
	}
	return false
}

func (r *run) lines(s String, keepEnds bool) []Value {
	r.step(len(s.s) / 8)
	var out []Value
	for from := 0; from < len(s.s); {
		r.alloc(perItem)
		n := strings.IndexFunc(s.s[from:], isLineEnd)
		if n < 0 {
			return append(out, s.cut(from, len(s.s)))
		}
		end := from + n
		_, size := utf8.DecodeRuneInString(s.s[end:])
		if strings.HasPrefix(s.s[end:], "\r\n") {
			size = 2
		}
		if keepEnds {
			out = append(out, s.cut(from, end+size))
		} else {
			out = append(out, s.cut(from, end))
		}
		from = end + size
	}
	return out
}

func (r *run) splitAt(s String, sep string, most int, fromRight bool) []Value {
	var out []Value
	from, to := 0, len(s.s)
	for len(out) < most {
		r.alloc(perItem)
		if fromRight {
			n := strings.LastIndex(s.s[:to], sep)
			if n < 0 {
				break
			}
			out = append(out, s.cut(n+len(sep), to))
			to = n
		} else {
			n := strings.Index(s.s[from:], sep)
			if n < 0 {
				break
			}
			out = append(out, s.cut(from, from+n))
			from += n + len(sep)
		}
	}
	out = append(out, s.cut(from, to))
	if fromRight {
		slices.Reverse(out)
	}
	return out
}

func (r *run) splitSpace(s String, most int, fromRight bool) []Value {
	var out []Value
	from, to := 0, len(s.s)
	skip := func() {
		if fromRight {
			to = len(strings.TrimRightFunc(s.s[:to], syntax.IsSpace))
		} else {
			from = to - len(strings.TrimLeftFunc(s.s[from:to], syntax.IsSpace))
		}
	}
	for skip(); from < to; skip() {
		r.alloc(perItem)
		n := strings.IndexFunc(s.s[from:to], syntax.IsSpace)
		if fromRight {
			n = strings.LastIndexFunc(s.s[from:to], syntax.IsSpace)
		}
		if n < 0 || len(out) == most {
			out = append(out, s.cut(from, to)) // what is left keeps its white space
			break
		}
		n += from
		if fromRight {
			_, size := utf8.DecodeRuneInString(s.s[n:])
			out = append(out, s.cut(n+size, to))
			to = n
		} else {
			out = append(out, s.cut(from, n))
			from = n
		}
	}
	if fromRight {
		slices.Reverse(out)
	}
	return out
}

// builder puts a string together.
type builder struct {
	text  strings.Builder
	marks []mark
}

func (b *builder) size() int { return b.text.Len() }

func (b *builder) lit(s string) { b.text.WriteString(s) }

func (b *builder) add(s String) {
	at := b.size()
	b.text.WriteString(s.s)
	for _, m := range s.marks {
		b.mark(mark{m.start + at, m.end + at, m.source, m.block})
	}
}

// put appends text that takes the place of s's bytes [from,to), and their
// marks if they are of one kind.
func (b *builder) put(text string, s String, from, to int) {
	at := b.size()
	b.text.WriteString(text)
	i := sort.Search(len(s.marks), func(i int) bool { return s.marks[i].end >= to })
	if i < len(s.marks) && s.marks[i].start <= from {
		b.mark(mark{at, b.size(), s.marks[i].source, s.marks[i].block})
	}
}

func (b *builder) mark(m mark) {
	if m.start == m.end {
		return
	}
	if n := len(b.marks) - 1; n >= 0 {
		if last := &b.marks[n]; last.end == m.start && last.source == m.source && last.block == m.block {
			last.end = m.end
			return
		}
	}
	b.marks = append(b.marks, m)
}

// from marks what was written from at on as coming from one source.
func (b *builder) from(source, at int) {
	if source != noSource {
		b.mark(mark{at, b.size(), source, 0})
	}
}

func (b *builder) string() String { return String{s: b.text.String(), marks: b.marks} }

// output is the finished rendering.
func (b *builder) output() Output {
	out := Output{Text: b.text.String()}
	for _, m := range b.marks {
		if n := len(out.Sources) - 1; m.source != noSource {
			if n >= 0 && out.Sources[n].End == m.start && out.Sources[n].Source == m.source {
				out.Sources[n].End = m.end
			} else {
				out.Sources = append(out.Sources, SourceSpan{m.start, m.end, m.source})
			}
		}
	}
	block := 0
	for _, m := range b.marks {
		if m.block == 0 {
			continue
		}
		if n := len(out.Generation) - 1; m.block == block && out.Generation[n].End == m.start {
			out.Generation[n].End = m.end
		} else {
			out.Generation = append(out.Generation, Span{m.start, m.end})
		}
		block = m.block
	}
	return out
}

// inBlock marks every byte of s as rendered by a generation block. An inner
// block keeps its own number.
func (s String) inBlock(block int) String {
	out := String{s: s.s}
	pos := 0
	for _, m := range s.marks {
		if pos < m.start {
			out.marks = append(out.marks, mark{pos, m.start, noSource, block})
		}
		if m.block == 0 {
			m.block = block
		}
		out.marks = append(out.marks, m)
		pos = m.end
	}
	if pos < len(s.s) {
		out.marks = append(out.marks, mark{pos, len(s.s), noSource, block})
	}
	return out
}
