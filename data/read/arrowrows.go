package read

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// arrowRows reads the rows of an Arrow IPC file (Feather from version 2 on) or
// stream. A file is read as the stream that it holds: its footer says nothing
// that is needed here.
type arrowRows struct {
	messages *arrowMessages
	r        *ipc.Reader
	columns  []int // that are read
	rec      arrow.Record
	row      int
	number   int
	text     []byte
	err      error
}

// mostBatch bounds what is held in memory of a file at a time: a record batch,
// or a page of Parquet.
const mostBatch = 1 << 30

// boundedMemory gives out memory up to mostBatch at a time: sizes are read from files.
type boundedMemory struct{ memory.Allocator }

func (b boundedMemory) Allocate(size int) []byte {
	b.check(size)
	return b.Allocator.Allocate(size)
}

func (b boundedMemory) Reallocate(size int, old []byte) []byte {
	b.check(size)
	return b.Allocator.Reallocate(size, old)
}

func (b boundedMemory) check(size int) {
	if size < 0 || size > mostBatch {
		panic(fmt.Errorf("%d bytes in one piece, want at most %d MiB", size, mostBatch>>20))
	}
}

// recovered turns a panic of the Arrow library, which trusts its files, into an
// error of the file.
func recovered(number int, kind string, err *error) {
	if p := recover(); p != nil {
		*err = broken(number, "a broken %s file: %v", kind, p)
	}
}

func newArrowRows(f randomAccess, size int64, isFile bool, names map[string]bool) (_ lines, err error) {
	defer recovered(0, "Arrow", &err)
	from, to := int64(0), size
	if isFile {
		// magic and padding (8), stream, footer, its length (4), magic (6)
		var end [10]byte
		if size < 8+10 {
			return nil, broken(0, "a broken Arrow file: it ends after %d bytes", size)
		}
		if _, err := f.ReadAt(end[:], size-10); err != nil {
			return nil, err
		}
		footer := int64(int32(binary.LittleEndian.Uint32(end[:])))
		if string(end[4:]) != "ARROW1" || footer < 0 || footer > size-18 {
			return nil, broken(0, "a broken Arrow file: it is cut short, its end is missing")
		}
		from, to = 8, size-10-footer
	}
	a := &arrowRows{messages: &arrowMessages{r: io.NewSectionReader(f, from, to-from), size: to - from}}
	a.r, err = ipc.NewReaderFromMessageReader(a.messages, ipc.WithAllocator(boundedMemory{memory.NewGoAllocator()}))
	if err != nil {
		return nil, broken(0, "a broken Arrow file: %v", err)
	}
	var all []string
	for i, f := range a.r.Schema().Fields() {
		all = append(all, fmt.Sprintf("%.40q", f.Name))
		if names[f.Name] {
			a.columns = append(a.columns, i)
		}
	}
	if len(a.columns) == 0 {
		return nil, noColumns(all)
	}
	return a, nil
}

// noColumns is the error of a table without any column of conversations.
func noColumns(all []string) error {
	const most = 12
	if len(all) > most {
		all = append(all[:most], "...")
	}
	return &brokenFile{
		detail: fmt.Sprintf("the columns are %s, want messages, conversations, instruction and output, prompt and completion, or chosen and rejected", strings.Join(all, ", ")),
		hint:   "say which columns hold what with columns: {messages: ..., ...} of the source",
	}
}

func (a *arrowRows) position() int64 { return a.messages.read }

func (a *arrowRows) next() (Line, error) {
	if a.err == nil {
		var l Line
		if l, a.err = a.one(); a.err == nil {
			return l, nil
		}
	}
	return Line{}, a.err
}

func (a *arrowRows) one() (_ Line, err error) {
	defer recovered(a.number+1, "Arrow", &err)
	for a.rec == nil || a.row >= int(a.rec.NumRows()) {
		if !a.r.Next() {
			if err := a.r.Err(); err != nil {
				return Line{}, broken(a.number+1, "a broken Arrow file: %v", err)
			}
			return Line{}, io.EOF
		}
		a.rec, a.row = a.r.Record(), 0
	}
	a.number++
	a.text = append(a.text[:0], '{')
	for _, i := range a.columns {
		a.text = appendKey(a.text, a.rec.ColumnName(i))
		a.text = appendArrow(a.text, a.rec.Column(i), a.row, 0)
	}
	a.row++
	return rowLine(a.number, append(a.text, '}')), nil
}

// rowLine makes a record of a row's text, which is copied.
func rowLine(number int, text []byte) Line {
	if len(text) > MaxLine {
		return Line{Number: number, TooLong: true}
	}
	return Line{Number: number, Text: append([]byte(nil), text...)}
}
