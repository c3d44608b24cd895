// Package read turns files into lines, which are numbered: those of JSONL, JSON objects and
// the elements of a JSON array, or the rows of CSV, Parquet and Arrow tables as JSON, whatever
// the file is called. Several files are read as one. Files are not trusted: what they claim of their
// sizes is checked before memory is made for it.
//
// What a line says is package record's.
package read

import "fmt"

// MaxLine is how many bytes a line may have. A longer one is passed over without being
// held in memory.
const MaxLine = 64 << 20

// Line is what a file hands out at a time: a line of JSONL, an element of a JSON array, or
// a row of a table as a JSON object.
type Line struct {
	Number  int    // from 1; of JSONL blank lines are counted
	Text    []byte // without its end, in memory of its own
	TooLong bool   // it has more than [MaxLine] bytes; Text is empty
	Bad     string // why it can be no record, whatever is in it; "": it may be one
}

// Options say what of files is read.
type Options struct {
	// Columns are those of tables and CSV that are read.
	Columns map[string]bool
	// KeepNulls keeps the keys of objects within the rows of tables that are null. Else they
	// are as if they were not there: a table has every key in every row.
	KeepNulls bool
}

// lines hands out the lines of a file one after the other.
type lines interface {
	// next returns the next line or io.EOF. A *brokenFile says that the rest of the file
	// can't be read at all.
	next() (Line, error)
	// position is how many bytes of the file are behind the reader.
	position() int64
}

// brokenFile is the error of a file that can't be read on, as against that of a
// line that is bad: nobody could count what is lost.
type brokenFile struct {
	number int // line or row at which it ends
	detail string
	hint   string
}

func (e *brokenFile) Error() string { return e.detail }

func broken(number int, format string, args ...any) error {
	return &brokenFile{number: number, detail: fmt.Sprintf(format, args...)}
}

// nothing is the error of a file without anything in it: what failed to be copied looks so.
func nothing(what string) error {
	return &brokenFile{detail: what + ", want records", hint: "a copy or a download may have failed; get it again, or leave it out"}
}
