package read

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// ofText begins to read a text, of which head is the start: what it is, is told by how it
// begins. names are the columns that records may have.
func ofText(from io.Reader, head []byte, names map[string]bool) (lines, error) {
	if f := formOf(head); f != nil {
		raw := &counted{Reader: from}
		text := bufio.NewReaderSize(&toUTF8{form: *f, from: raw}, 1<<16)
		head, err := text.Peek(1 << 12)
		if err != nil && err != io.EOF {
			return nil, err
		}
		l, err := ofUTF8(text, bytes.Clone(head), names)
		return inOtherForm{l, raw}, err
	}
	return ofUTF8(from, head, names)
}

// counted counts what is read.
type counted struct {
	io.Reader
	n int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += int64(n)
	return n, err
}

// inOtherForm are lines of a text that is not in UTF-8: their bytes are not those of the
// file.
type inOtherForm struct {
	lines
	raw *counted
}

func (l inOtherForm) position() int64 { return l.raw.n }

func (l inOtherForm) passed() []string {
	if t, ok := l.lines.(table); ok {
		return t.passed()
	}
	return nil
}

func ofUTF8(from io.Reader, head []byte, names map[string]bool) (lines, error) {
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
	switch {
	case len(text) == 0:
		return newJSONLines(from), nil
	case text[0] == '[':
		return newJSONArray(from), nil
	case text[0] == '{' && isSequence(text):
		return newJSONSequence(from), nil
	case text[0] == '{' || len(names) == 0:
		return newJSONLines(from), nil
	}
	if endsInCR(text) {
		from, text = &ofCR{from: from}, bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
	}
	if d := dialectOf(text, names); d != nil {
		return newCSVRows(from, *d, names)
	}
	first, _, _ := bytes.Cut(text, []byte("\n"))
	if json.Valid(first) || bytes.Contains(text, []byte("\n{")) { // its other lines may be records
		return newJSONLines(from), nil
	}
	return nil, unknownText(first)
}

// unknownText is the error of a text whose first line is neither JSON nor the names of columns.
func unknownText(first []byte) error {
	first = bytes.TrimRight(first, " \r")
	var cells []string
	for _, comma := range commas {
		if row := headerOf(first, comma); len(row) > len(cells) {
			cells = row
		}
	}
	if len(cells) > 1 {
		err := noColumns(quotedNames(cells))
		return &brokenFile{number: 1, detail: "the first row of CSV names the columns: " + err.Error(),
			hint: "name them in a row before the others, or say which of these hold what with columns: {messages: ..., ...} of the source"}
	}
	if len(first) > 40 {
		first = append(bytes.Clone(first[:40]), "..."...)
	}
	return &brokenFile{number: 1,
		detail: fmt.Sprintf("a text that begins with %q, want JSONL, a JSON array, or CSV whose first row names the columns", first),
		hint:   "a record is an object on a line: {\"messages\": [{\"role\": \"user\", \"content\": ...}, ...]}"}
}

func quotedNames(names []string) (out []string) {
	for _, n := range names {
		out = append(out, fmt.Sprintf("%.40q", n))
	}
	return out
}

// isSequence reports whether objects are not one a line, by the first two lines: an object
// goes on behind the first, or others follow it there.
func isSequence(text []byte) bool {
	first, rest, whole := bytes.Cut(text, []byte("\n"))
	depth, quoted := 0, false
	for i := 0; i < len(first); i++ {
		switch c := first[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				behind := bytes.TrimLeft(first[i+1:], " \t\r")
				return len(behind) > 0 && (behind[0] == '{' || behind[0] == ',')
			}
		}
	}
	if !whole || quoted || depth < 0 {
		return false // a line that is longer than what is seen of it, or broken
	}
	second, rest, _ := bytes.Cut(bytes.TrimLeft(rest, "\r\n"), []byte("\n"))
	third := bytes.TrimLeft(rest, " \t\r\n")
	switch {
	case len(second) == 0:
		return false
	case second[0] == '{' && json.Valid(second) && (len(third) == 0 || third[0] == '{'):
		return false // the first line is one that was cut
	}
	last := bytes.TrimRight(first, " \t\r")
	next := bytes.TrimLeft(second, " \t")
	return strings.IndexByte("{[,:", last[len(last)-1]) >= 0 || len(next) > 0 && strings.IndexByte(`,:]}"`, next[0]) >= 0
}
