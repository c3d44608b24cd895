package read

import "fmt"

// maxLine bounds a record. A longer line is a bad record, and passed over
// without being held in memory.
const MaxLine = 64 << 20

// line is one line of a source. Number counts from 1, blank lines included.
type Line struct {
	Number  int
	Text    []byte // without its end
	TooLong bool   // text is empty
}

// records hands out the records of a source one after the other, each as the
// text of a JSON object.
type lines interface {
	// next returns the next record in memory of its own, or io.EOF. A
	// *brokenFile says that the rest of the file can't be read at all.
	next() (Line, error)
	// position is how many bytes of the file are behind the reader.
	position() int64
}

// brokenFile is the error of a file that can't be read on, as against that of a
// record that is bad: nobody could count what is lost.
type brokenFile struct {
	number int // line or row at which it ends
	detail string
	hint   string
}

func (e *brokenFile) Error() string { return e.detail }

func broken(number int, format string, args ...any) error {
	return &brokenFile{number: number, detail: fmt.Sprintf(format, args...)}
}
