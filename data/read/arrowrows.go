package read

import (
	"encoding/binary"
	"fmt"
	"io"
	"runtime"

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
	may      *budget
	held     int64 // bytes of the record batch
	columns  []int // that are read
	features *feature
	write    arrowWriter
	others   []string
	rec      arrow.Record
	row      int
	number   int
	text     []byte
	err      error
}

// collectFrom is from how many bytes on a record batch is collected before the next is read, so that
// there is memory for one and not for two.
const collectFrom = 64 << 20

func newArrowRows(f randomAccess, size int64, isFile bool, want Options) (_ lines, err error) {
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
	may := newBudget(size)
	a := &arrowRows{
		may: may, write: arrowWriter{want.KeepNulls, may},
		messages: &arrowMessages{r: io.NewSectionReader(f, from, to-from), size: to - from},
	}
	a.r, err = ipc.NewReaderFromMessageReader(a.messages, ipc.WithAllocator(boundedMemory{memory.NewGoAllocator(), may, &a.held}))
	if err != nil {
		return nil, brokenTable(0, "Arrow", err)
	}
	if a.features, err = arrowFeatures(a.r.Schema()); err != nil {
		return nil, err
	}
	var all []string
	for i, f := range a.r.Schema().Fields() {
		all = append(all, fmt.Sprintf("%.40q", f.Name))
		if want.Columns[f.Name] {
			if err := unreadable(f, f.Name, 0); err != nil {
				return nil, brokenTable(0, "Arrow", err)
			}
			a.columns = append(a.columns, i)
		} else {
			a.others = append(a.others, f.Name)
		}
	}
	if len(a.columns) == 0 {
		return nil, noColumns(all)
	}
	return a, nil
}

// arrowFeatures are the features of a schema's columns.
func arrowFeatures(s *arrow.Schema) (*feature, error) {
	metadata := s.Metadata()
	text, ok := metadata.GetValue(featuresKey)
	if !ok {
		return nil, nil
	}
	return featuresOf(text)
}

func (a *arrowRows) position() int64 { return a.messages.read }

func (a *arrowRows) passed() []string { return a.others }

func (a *arrowRows) classes(column string) []string { return a.features.member(column).names() }

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
		if a.rec = nil; a.held+a.messages.body > collectFrom { // the one before is no more
			runtime.GC()
		}
		a.held = 0
		if !a.r.Next() {
			if err := a.r.Err(); err != nil {
				return Line{}, brokenTable(a.number+1, "Arrow", err)
			}
			return Line{}, io.EOF
		}
		a.rec, a.row = a.r.Record(), 0
	}
	a.number++
	a.text = append(a.text[:0], '{')
	for _, i := range a.columns {
		a.text = appendKey(a.text, a.rec.ColumnName(i))
		a.text = a.write.append(a.text, a.rec.Schema().Field(i), a.features.member(a.rec.ColumnName(i)), a.rec.Column(i), a.row, 0)
	}
	a.row++
	a.may.mustTake(rowCost + int64(len(a.text)))
	return rowLine(a.number, append(a.text, '}')), nil
}
