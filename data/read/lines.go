package read

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// jsonLines reads a file line by line: a byte order mark at the start (of the file, or of one
// that was put behind another) and a carriage return at the end are no part of a line, and
// blank lines are passed over.
type jsonLines struct {
	r      *bufio.Reader
	most   int // bytes in a line
	number int
	read   int64 // bytes so far
	err    error
}

func (l *jsonLines) position() int64 { return l.read }

func newJSONLines(r io.Reader) *jsonLines {
	return &jsonLines{r: bufio.NewReaderSize(r, 1<<20), most: MaxLine}
}

// next returns the next line that is not blank, in memory of its own, or
// io.EOF.
func (l *jsonLines) next() (Line, error) {
	for l.err == nil {
		text, tooLong := l.one()
		if l.err != nil && l.err != io.EOF { // it is no whole line
			break
		}
		l.number++
		text = bytes.TrimPrefix(text, []byte("\ufeff"))
		text = bytes.TrimRight(text, "\r\n")
		if tooLong || len(bytes.TrimSpace(text)) > 0 {
			return Line{Number: l.number, Text: text, TooLong: tooLong}, nil
		}
	}
	return Line{}, l.err
}

// one reads up to and with the next line end, and keeps the reader's error for
// the call after.
func (l *jsonLines) one() (text []byte, tooLong bool) {
	for {
		part, err := l.r.ReadSlice('\n')
		l.read += int64(len(part))
		if len(text)+len(part) > l.most {
			text, tooLong = nil, true
		}
		blank := err == nil && text == nil && len(bytes.TrimSpace(part)) == 0
		if !tooLong && !blank {
			text = append(text, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			l.err = err
			return text, tooLong
		}
	}
}
