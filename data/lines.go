package data

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// maxLine bounds a record. A longer line is a bad record, and passed over
// without being held in memory.
const maxLine = 64 << 20

// line is one line of a source. Number counts from 1, blank lines included.
type line struct {
	number  int
	text    []byte // without its end
	tooLong bool   // text is empty
}

// lines reads a file line by line: a byte order mark at the start and a
// carriage return at the end are no part of a line, and blank lines are passed
// over.
type lines struct {
	r      *bufio.Reader
	most   int // bytes in a line
	number int
	read   int64 // bytes so far
	err    error
}

func (l *lines) position() int64 { return l.read }

func newLines(r io.Reader) *lines { return &lines{r: bufio.NewReaderSize(r, 1<<20), most: maxLine} }

// next returns the next line that is not blank, in memory of its own, or
// io.EOF.
func (l *lines) next() (line, error) {
	for l.err == nil {
		text, tooLong := l.one()
		if l.err != nil && l.err != io.EOF { // it is no whole line
			break
		}
		if l.number++; l.number == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff"))
		}
		text = bytes.TrimRight(text, "\r\n")
		if tooLong || len(bytes.TrimSpace(text)) > 0 {
			return line{l.number, text, tooLong}, nil
		}
	}
	return line{}, l.err
}

// one reads up to and with the next line end, and keeps the reader's error for
// the call after.
func (l *lines) one() (text []byte, tooLong bool) {
	for {
		part, err := l.r.ReadSlice('\n')
		l.read += int64(len(part))
		if len(text)+len(part) > l.most {
			text, tooLong = nil, true
		}
		if !tooLong {
			text = append(text, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			l.err = err
			return text, tooLong
		}
	}
}
