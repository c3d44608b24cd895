package read

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// jsonArray reads the elements of a JSON array one by one, whatever its size, or objects
// that follow each other without one. It looks for where an element ends, and leaves its
// inside to the JSON decoder: a bad element is a bad line, and a file whose elements can't be
// told apart is broken.
type jsonArray struct {
	r        *bufio.Reader
	most     int  // bytes in an element
	sequence bool // there are no brackets around the elements
	line     int  // that the reader stands on, from 1
	last     int  // number of the last element
	read     int64
	opened   bool
	err      error // of the reader, or of the array
}

func newJSONArray(r io.Reader) *jsonArray {
	return &jsonArray{r: bufio.NewReaderSize(r, 1<<20), most: MaxLine, line: 1}
}

// newJSONSequence reads objects that stand on several lines each, or several on one, with or
// without commas between them.
func newJSONSequence(r io.Reader) *jsonArray {
	a := newJSONArray(r)
	a.sequence = true
	return a
}

func (a *jsonArray) position() int64 { return a.read }

// next returns the next element. Its number is the line that it begins on or, where
// several begin on one line, one more than that of the element before: no two have
// the same.
func (a *jsonArray) next() (Line, error) {
	if a.err != nil {
		return Line{}, a.err
	}
	l, err := a.one()
	if err != nil {
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF) && a.sequence:
			err = broken(a.line, "broken JSON: a record ends in the middle, want a } at its end")
		case errors.Is(err, io.ErrUnexpectedEOF):
			err = broken(a.line, "broken JSON: the array ends in the middle, want a ] at its end")
		}
		a.err = err
	}
	return l, err
}

func (a *jsonArray) one() (Line, error) {
	c, err := a.visible()
	if !a.opened && c == 0xEF { // the byte order mark
		a.byte()
		a.byte()
		c, err = a.visible()
	}
	if a.sequence {
		return a.object(c, err)
	}
	if err != nil {
		return Line{}, err
	}
	if !a.opened {
		if c != '[' {
			return Line{}, broken(a.line, "broken JSON: %q, want an array", c)
		}
		a.opened = true
		if c, err = a.visible(); err != nil {
			return Line{}, err
		}
		if c == ']' {
			return Line{}, a.end()
		}
	} else {
		// one stopped at the end of the element before.
		switch c {
		case ']':
			return Line{}, a.end()
		case ',':
		default:
			return Line{}, broken(a.line, "broken JSON: %q behind a record, want a comma or the end of the array", c)
		}
		if c, err = a.visible(); err != nil {
			return Line{}, err
		}
	}
	if c == ']' || c == ',' || c == '}' {
		return Line{}, broken(a.line, "broken JSON: %q where a record should begin", c)
	}
	return a.element(c)
}

// object reads an object of a sequence, from what is before it.
func (a *jsonArray) object(c byte, err error) (Line, error) {
	if c == ',' && a.opened {
		c, err = a.visible()
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return Line{}, io.EOF
	case err != nil:
		return Line{}, err
	case c != '{':
		return Line{}, broken(a.line, "broken JSON: %q where a record should begin, want {", c)
	}
	a.opened = true
	return a.element(c)
}

// element reads an element whose first byte is c, up to what follows it.
func (a *jsonArray) element(c byte) (Line, error) {
	l := Line{Number: max(a.line, a.last+1), Text: []byte{c}}
	a.last = l.Number
	var at within
	at.pass(c)
	for {
		if _, err := a.r.Peek(1); err != nil {
			return Line{}, unexpected(err)
		}
		held, _ := a.r.Peek(a.r.Buffered())
		n, ended := at.end(held)
		if len(l.Text)+n > a.most {
			l.Text, l.TooLong = nil, true
		}
		if !l.TooLong {
			l.Text = append(l.Text, held[:n]...)
		}
		a.line += bytes.Count(held[:n], []byte("\n"))
		a.read += int64(n)
		a.r.Discard(n)
		if ended {
			l.Text = bytes.TrimRight(l.Text, " \t\r\n")
			return l, nil
		}
	}
}

// within is how far into a value of JSON a reader is.
type within struct {
	depth           int
	quoted, escaped bool
	whole           bool // it was an object or a list, which is closed
}

// end finds the end of the value in what follows: behind the bracket that closes it, or before
// the comma or bracket that is none of its own.
func (w *within) end(s []byte) (n int, ended bool) {
	for i, c := range s {
		if w.whole || w.depth == 0 && !w.quoted && (c == ',' || c == ']' || c == '}') {
			return i, true
		}
		w.pass(c)
	}
	return len(s), w.whole
}

func (w *within) pass(c byte) {
	switch {
	case w.escaped:
		w.escaped = false
	case w.quoted:
		w.escaped, w.quoted = c == '\\', c != '"'
	case c == '"':
		w.quoted = true
	case c == '{' || c == '[':
		w.depth++
	case c == '}' || c == ']':
		w.depth--
		w.whole = w.depth == 0
	}
}

// end takes what is behind the array, which is nothing.
func (a *jsonArray) end() error {
	switch c, err := a.visible(); {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return io.EOF
	case err != nil:
		return err
	case c == '[':
		return &brokenFile{number: a.line, detail: "a second array, want one in a file, or an object on each line",
			hint: "where each line is a list of messages: jq -c '{messages: .}' FILE > records.jsonl"}
	default:
		return broken(a.line, "broken JSON: %q behind the array, want nothing there", c)
	}
}

// visible returns the next byte that is no white space.
func (a *jsonArray) visible() (byte, error) {
	for {
		c, err := a.byte()
		if err != nil || c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c, err
		}
	}
}

func (a *jsonArray) byte() (byte, error) {
	c, err := a.r.ReadByte()
	if err != nil {
		return 0, unexpected(err)
	}
	a.read++
	if c == '\n' {
		a.line++
	}
	return c, nil
}

// unexpected turns the end of the file into an error.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
