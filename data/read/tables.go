package read

import (
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v17/arrow/memory"
)

// table is what holds rows in columns.
type table interface {
	passed() []string // the columns that are not read
}

// classed is a table that may say what its numbers mean.
type classed interface {
	classes(column string) []string // the names of the classes that a column holds; nil: it holds none
}

// mostBatch bounds what is held in memory of a file at a time: a record batch,
// or the pages of Parquet; the collector lets twice as much pile up.
const mostBatch = 400 << 20

// mostFooter bounds what a table says of itself, in bytes, and maxNesting how deep its schema may be nested.
const (
	mostFooter = 64 << 20
	maxNesting = 32
)

// smaller is what helps where more than mostBatch would be held.
const smaller = "write smaller pages or record batches"

// boundedMemory gives out memory for what the library unpacks: sizes are read from files.
type boundedMemory struct {
	memory.Allocator
	may  *budget
	held *int64 // bytes since the batch began; nil: only one piece is bounded
}

func (b boundedMemory) Allocate(size int) []byte {
	b.check(size, size)
	return b.Allocator.Allocate(size)
}

func (b boundedMemory) Reallocate(size int, old []byte) []byte {
	b.check(size, size-len(old))
	return b.Allocator.Reallocate(size, old)
}

func (b boundedMemory) check(size, more int) {
	if size < 0 || size > mostBatch {
		panic(&brokenFile{detail: fmt.Sprintf("%d bytes in one piece, want at most %d MiB", size, mostBatch>>20), hint: smaller})
	}
	b.may.mustTake(int64(max(0, more)))
	if b.held == nil {
		return
	}
	if *b.held += int64(max(0, more)); *b.held > mostBatch {
		panic(&brokenFile{detail: fmt.Sprintf("a record batch of more than %d MiB", mostBatch>>20), hint: smaller})
	}
}

// recovered turns a panic of the Arrow library, which trusts its files, into an
// error of the file.
func recovered(number int, kind string, err *error) {
	if p := recover(); p != nil {
		cause, ok := p.(error)
		if !ok {
			cause = fmt.Errorf("%v", p)
		}
		*err = brokenTable(number, kind, cause)
	}
}

// brokenTable says that a table is broken at a row, or what else was found by one of ours.
func brokenTable(number int, kind string, cause error) error {
	var ours *brokenFile
	if errors.As(cause, &ours) {
		return &brokenFile{number, ours.detail, ours.hint}
	}
	return broken(number, "a broken %s file: %v", kind, cause)
}

// badColumn is the error of a column that can't be read.
func badColumn(path, holds string) error {
	return &brokenFile{detail: fmt.Sprintf("column %.80q: %s, want text, numbers, dates, lists or structs", path, holds),
		hint: "write that column as text, or without it"}
}

// noColumns is the error of a table without any column of conversations.
func noColumns(all []string) error {
	const most = 12
	if len(all) > most {
		all = append(all[:most], "...")
	}
	return &brokenFile{
		detail: fmt.Sprintf("the columns are %s, want messages, conversations, instruction and output, "+
			"prompt and completion, or chosen and rejected", strings.Join(all, ", ")),
		hint: "say which columns hold what with columns: {messages: ..., ...} of the source",
	}
}

// rowLine makes a line of a row's text, which is copied.
func rowLine(number int, text []byte) Line {
	if len(text) > MaxLine {
		return Line{Number: number, TooLong: true}
	}
	return Line{Number: number, Text: append([]byte(nil), text...)}
}
