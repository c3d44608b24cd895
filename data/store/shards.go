package store

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"lwtrain/data/record"
)

// A store's conversations lie in shards, Arrow IPC files of record batches. A batch is
// the unit of reading, so it is small; a shard is the unit of checking.
const (
	batchTokens = 1 << 16
	shardTokens = 1 << 26
)

// shardSchema is docs/formats/sample-store.md. target holds the bounds of the
// target ranges, start and end in turn.
var shardSchema = arrow.NewSchema([]arrow.Field{
	{Name: "ids", Type: arrow.ListOf(arrow.PrimitiveTypes.Int32)},
	{Name: "target", Type: arrow.ListOf(arrow.PrimitiveTypes.Int32)},
	{Name: "line", Type: arrow.PrimitiveTypes.Int64},
	{Name: "turns", Type: arrow.PrimitiveTypes.Int32},
	{Name: "words", Type: arrow.PrimitiveTypes.Int32},
	{Name: "kind", Type: arrow.PrimitiveTypes.Int32},
}, nil)

// shardWriter writes conversations into dir/samples-00000.arrow and so on. The same
// conversations give the same bytes.
type shardWriter struct {
	dir     string
	most    int64 // tokens in a shard, about
	files   []file
	records int // conversations that were added
	index   rowsWriter
	facts   rowsWriter
	row     []byte // of one of them
	near    []record.Sketch

	out    *hashedFile
	ipc    *ipc.FileWriter
	build  *array.RecordBuilder
	tokens int64 // in the shard
	rows   int32 // in the batch
	held   int   // tokens in the batch
	batch  int32 // in the shard
}

func newShardWriter(dir string, most int64) *shardWriter {
	build := array.NewRecordBuilder(memory.DefaultAllocator, shardSchema)
	return &shardWriter{
		dir: dir, most: most, build: build,
		index: rowsWriter{path: filepath.Join(dir, indexName)}, facts: rowsWriter{path: filepath.Join(dir, factsName)},
	}
}

func (w *shardWriter) add(t record.Tokenised) error {
	if w.out == nil {
		if err := w.open(); err != nil {
			return err
		}
	}
	ids := w.build.Field(0).(*array.ListBuilder)
	ids.Append(true)
	ids.ValueBuilder().(*array.Int32Builder).AppendValues(t.IDs, nil)
	target := w.build.Field(1).(*array.ListBuilder)
	target.Append(true)
	bounds := target.ValueBuilder().(*array.Int32Builder)
	for _, r := range t.Target {
		bounds.Append(r[0])
		bounds.Append(r[1])
	}
	w.build.Field(2).(*array.Int64Builder).Append(t.Line)
	w.build.Field(3).(*array.Int32Builder).Append(t.Turns)
	w.build.Field(4).(*array.Int32Builder).Append(t.Words)
	w.build.Field(5).(*array.Int32Builder).Append(int32(t.Kind))

	e := entryOf(t)
	e.Shard, e.Batch, e.Row = int32(len(w.files)), w.batch, w.rows
	if t.Sketch != nil {
		w.near = append(w.near, *t.Sketch)
	}
	if err := w.addRows(e, t.Facts); err != nil {
		return err
	}
	w.rows++
	w.held += len(t.IDs)
	w.tokens += int64(len(t.IDs))
	if w.held < batchTokens {
		return nil
	}
	if err := w.flush(); err != nil || w.tokens < w.most {
		return err
	}
	return w.close()
}

// addRows adds a conversation to the index and to the facts.
func (w *shardWriter) addRows(e Entry, f record.Facts) error {
	w.records++
	w.row = e.appendTo(w.row[:0])
	if err := w.index.add(w.row); err != nil {
		return err
	}
	w.row = appendFacts(w.row[:0], f)
	return w.facts.add(w.row)
}

func (w *shardWriter) open() error {
	out, err := createHashed(filepath.Join(w.dir, fmt.Sprintf("samples-%05d.arrow", len(w.files))))
	if err != nil {
		return err
	}
	w.out = out
	w.ipc, err = ipc.NewFileWriter(w.out, ipc.WithSchema(shardSchema))
	return err
}

// flush writes the batch at hand.
func (w *shardWriter) flush() error {
	if w.rows == 0 {
		return nil
	}
	rec := w.build.NewRecord()
	defer rec.Release()
	w.rows, w.held = 0, 0
	w.batch++
	return w.ipc.Write(rec)
}

// close finishes the shard at hand, if there is one.
func (w *shardWriter) close() error {
	if w.out == nil {
		return nil
	}
	defer func() { w.out.Close(); w.out, w.ipc, w.tokens, w.batch = nil, nil, 0, 0 }()
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.ipc.Close(); err != nil {
		return err
	}
	size, err := w.out.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	w.files = append(w.files, w.out.written(size))
	return w.out.Sync()
}

// abandon closes what is open of a store that is not finished.
func (w *shardWriter) abandon() {
	if w.out != nil {
		w.out.Close()
	}
	for _, rows := range []*rowsWriter{&w.index, &w.facts} {
		if rows.out != nil {
			rows.out.Close()
		}
	}
}
