package read

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// CSV is that of RFC 4180, with a comma, a semicolon, a tab or a bar between fields: a field
// with one of these, a line end or a quote in it stands in quotes, and its quotes are
// doubled. The first row names the columns. A line end in a field is \n, whichever the file has.

const commas = ",\t;|"

// dialect is how a file has its fields.
type dialect struct {
	comma rune
	said  bool // by a line of its own, "sep=;", before the first row
}

// dialectOf recognises CSV by the first row: it names columns that records have. nil: it is
// none.
func dialectOf(text []byte, names map[string]bool) *dialect {
	d := dialect{}
	first, rest, _ := bytes.Cut(text, []byte("\n"))
	if d.said = bytes.HasPrefix(first, []byte("sep=")); d.said { // Excel's
		first, _, _ = bytes.Cut(rest, []byte("\n"))
	}
	most := 0
	for _, comma := range commas {
		known := 0
		for _, name := range headerOf(first, comma) {
			if names[name] {
				known++
			}
		}
		if known > most {
			d.comma, most = comma, known
		}
	}
	if most == 0 {
		return nil
	}
	return &d
}

// headerOf reads a line as names of columns; nil where it can't be read so.
func headerOf(line []byte, comma rune) []string {
	r := csv.NewReader(bytes.NewReader(line))
	r.Comma = comma
	row, err := r.Read()
	if err != nil {
		return nil
	}
	for i := range row {
		row[i] = strings.TrimSpace(row[i])
	}
	return row
}

// endsInCR reports whether the first line of CSV ends in a carriage return alone, as spreadsheets on old
// Macs write.
func endsInCR(text []byte) bool {
	quoted := false
	for i, c := range text {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '\n':
			return false
		case c == '\r':
			return i+1 < len(text) && text[i+1] != '\n'
		}
	}
	return false
}

// ofCR reads a text whose lines end in \r with \n in its place.
type ofCR struct {
	from  io.Reader
	after bool // \r was the last byte
}

func (r *ofCR) Read(b []byte) (int, error) {
	n, err := r.from.Read(b)
	kept := 0
	for _, c := range b[:n] {
		was := r.after
		if r.after = c == '\r'; r.after {
			c = '\n'
		} else if was && c == '\n' {
			continue
		}
		b[kept] = c
		kept++
	}
	return kept, err
}

// csvRows reads the rows of CSV as JSON objects of texts.
type csvRows struct {
	r       *csv.Reader
	bytes   *rowBytes
	header  []string
	columns []int // that are read
	others  []string
	skipped int // lines before those that r counts
	last    int // number of the last row
	text    []byte
	err     error
}

func newCSVRows(from io.Reader, d dialect, names map[string]bool) (lines, error) {
	source := bufio.NewReaderSize(from, 1<<16)
	if mark, err := source.Peek(3); err == nil && string(mark) == "\ufeff" {
		source.Discard(3)
	}
	c := &csvRows{bytes: &rowBytes{from: source, comma: byte(d.comma)}}
	for said := d.said; said; c.skipped++ {
		line, err := source.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		said = len(bytes.TrimSpace(line)) == 0
	}
	c.r = csv.NewReader(c.bytes)
	c.r.Comma, c.r.FieldsPerRecord = d.comma, -1
	header, err := c.r.Read()
	for err == nil && isBlankRow(header) {
		header, err = c.r.Read()
	}
	if err != nil {
		return nil, c.broken(err)
	}
	c.last, _ = c.r.FieldPos(0)
	c.last += c.skipped
	seen := map[string]bool{}
	for i, name := range header {
		name = strings.TrimSpace(name)
		if seen[name] && names[name] {
			return nil, &brokenFile{number: c.last, detail: fmt.Sprintf("two columns %.40q, want one", name), hint: "rename one of them"}
		}
		seen[name] = true
		if names[name] {
			c.columns = append(c.columns, i)
		} else if name != "" {
			c.others = append(c.others, name)
		}
		c.header = append(c.header, name)
	}
	c.r.ReuseRecord = true
	return c, nil
}

func (c *csvRows) position() int64 { return c.bytes.read }

func (c *csvRows) passed() []string { return c.others }

func (c *csvRows) next() (Line, error) {
	for c.err == nil {
		c.bytes.row = c.r.InputOffset()
		row, err := c.r.Read()
		if err != nil {
			c.err = c.broken(err)
			break
		}
		if !isBlankRow(row) {
			return c.line(row), nil
		}
	}
	return Line{}, c.err
}

func isBlankRow(row []string) bool {
	for _, field := range row {
		if strings.TrimSpace(field) != "" {
			return false
		}
	}
	return true
}

func (c *csvRows) line(row []string) Line {
	number, _ := c.r.FieldPos(0)
	number += c.skipped
	c.last = number
	if len(row) != len(c.header) {
		return Line{Number: number, Bad: fmt.Sprintf("a row of %d fields, want %d, as the first row has", len(row), len(c.header))}
	}
	c.text = append(c.text[:0], '{')
	for _, i := range c.columns {
		c.text = appendText(appendKey(c.text, c.header[i]), row[i])
	}
	return rowLine(number, append(c.text, '}'))
}

// broken says where a file can't be read on.
func (c *csvRows) broken(err error) error {
	var b *brokenFile
	var p *csv.ParseError
	switch {
	case errors.As(err, &b):
		b.number = c.last + 1
		return b
	case errors.As(err, &p) && errors.Is(p.Err, csv.ErrBareQuote):
		return &brokenFile{number: p.Line + c.skipped, hint: quoting,
			detail: fmt.Sprintf("broken CSV: a quote in a field without quotes (column %d)", p.Column)}
	case errors.As(err, &p):
		return &brokenFile{number: p.StartLine + c.skipped, hint: quoting,
			detail: fmt.Sprintf("broken CSV: a field in quotes that is not closed, or goes on behind its quote (line %d)",
				p.Line+c.skipped)}
	}
	return err
}

const quoting = "a field with a quote in it stands in quotes, and each quote in it is doubled: \"she said \"\"no\"\"\""

// mostCommas bounds the fields of a row, of which each takes 32 bytes beside its text.
const mostCommas = 4 << 20

// rowBytes hands out the bytes of rows, and stops within one that is too long to be one.
type rowBytes struct {
	from      io.Reader
	comma     byte
	read, row int64 // bytes so far, and up to the row at hand
	counted   int64 // the row whose commas these are
	commas    int
}

func (b *rowBytes) Read(to []byte) (int, error) {
	if b.read-b.row > MaxLine+1<<20 {
		return 0, &brokenFile{hint: "a quote may not be closed; " + quoting,
			detail: fmt.Sprintf("broken CSV: a row of more than %d MiB", MaxLine>>20)}
	}
	if b.counted != b.row {
		b.counted, b.commas = b.row, 0
	}
	if b.commas > mostCommas {
		return 0, &brokenFile{hint: "a quote may not be closed; " + quoting,
			detail: fmt.Sprintf("broken CSV: a row with %q more than %d times", b.comma, mostCommas)}
	}
	n, err := b.from.Read(to)
	b.read += int64(n)
	b.commas += bytes.Count(to[:n], []byte{b.comma})
	return n, err
}
