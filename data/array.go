package data

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"lwtrain/internal/fault"
)

// newRecords reads the records of a source: the lines of a .jsonl file, or, where
// a .json file holds one, the elements of an array.
func newRecords(path string, r io.Reader) records {
	if !strings.HasSuffix(path, ".json") {
		return newLines(r)
	}
	in := bufio.NewReaderSize(r, 1<<16)
	if head, _ := in.Peek(3); string(head) == "\ufeff" {
		in.Discard(3) // it is there
	}
	for n := 1; ; n++ {
		head, err := in.Peek(n)
		if err != nil { // blank, or read below
			return newLines(in)
		}
		switch head[n-1] {
		case ' ', '\t', '\r', '\n':
		case '[':
			return newArray(path, in)
		default:
			return newLines(in)
		}
	}
}

// jsonArray reads the elements of a JSON array one by one, so that a file of any size
// takes the memory of its largest element. An element's number is the line that it
// begins on or, where several begin on one line, one more than the number of the
// element before: no two have the same.
type jsonArray struct {
	path   string
	in     *arrayReader
	dec    *json.Decoder
	began  bool
	number int
}

func newArray(path string, r io.Reader) *jsonArray {
	in := &arrayReader{r: r, line: 1}
	return &jsonArray{path: path, in: in, dec: json.NewDecoder(in)}
}

func (a *jsonArray) bytes() int64 { return a.in.read }

func (a *jsonArray) next() (line, error) {
	if !a.began {
		a.began = true
		if _, err := a.dec.Token(); err != nil { // the bracket that newRecords saw
			return line{}, a.broken(err)
		}
	}
	if !a.dec.More() {
		if _, err := a.dec.Token(); err != nil { // the closing bracket
			return line{}, a.broken(err)
		}
		if _, err := a.dec.Token(); !errors.Is(err, io.EOF) {
			return line{}, a.broken(errors.New("more behind the array"))
		}
		return line{}, io.EOF
	}
	a.in.allow(a.dec.InputOffset())
	var raw json.RawMessage
	if err := a.dec.Decode(&raw); err != nil {
		return line{}, a.broken(err)
	}
	begins := a.dec.InputOffset() - int64(len(raw))
	a.number = max(a.in.lineAt(begins), a.number+1)
	if len(raw) > maxLine {
		return line{number: a.number, tooLong: true}, nil
	}
	return line{number: a.number, text: raw}, nil
}

// broken is the error of an array that cannot be read on.
func (a *jsonArray) broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends in the middle")
	}
	at := a.in.lineAt(a.dec.InputOffset())
	return fault.Usage(fault.Hint(fmt.Errorf("%s:%d: broken JSON in or behind the record here: %w", a.path, at, err),
		"nothing behind this place can be read: mend the file"))
}

// arrayReader bounds how far a decoder reads without having finished an element,
// and knows where lines begin.
type arrayReader struct {
	r      io.Reader
	read   int64   // bytes
	most   int64   // read may come to this
	line   int     // of byte at
	at     int64   //
	breaks []int64 // offsets of the line ends behind at
}

var errTooLarge = fmt.Errorf("a record of more than %d MiB", maxLine>>20)

// allow lets the reader go on to the end of a record that begins at offset.
func (r *arrayReader) allow(offset int64) { r.most = offset + 2*maxLine }

func (r *arrayReader) Read(b []byte) (int, error) {
	if r.most > 0 && r.read > r.most {
		return 0, errTooLarge
	}
	n, err := r.r.Read(b)
	for i, c := range b[:n] {
		if c == '\n' {
			r.breaks = append(r.breaks, r.read+int64(i))
		}
	}
	r.read += int64(n)
	return n, err
}

// lineAt is the line of the byte at offset; offsets must not fall.
func (r *arrayReader) lineAt(offset int64) int {
	n := 0
	for n < len(r.breaks) && r.breaks[n] < offset {
		n++
	}
	r.line += n
	r.breaks = append(r.breaks[:0], r.breaks[n:]...)
	return r.line
}
