package store

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	"github.com/apache/arrow/go/v17/arrow/ipc"
	flatbuffers "github.com/google/flatbuffers/go"

	"lwtrain/data/record"
)

// shard is a shard open for reading. It is safe for concurrent use. Rows are read where they lie: Arrow's own reader has no way to
// one but through its batch, which for samples of ten tokens is six thousand times as much.
type shard struct {
	f       *os.File
	batches []batch
}

// batch is where a batch lies in its file: how many rows it has, and of ids and targets the offsets of the rows and the values.
type batch struct {
	rows                                int64
	ids, idValues, target, targetValues int64
}

// Places in the tables of Arrow's File.fbs and Message.fbs, and the buffers of shardSchema in their order: each list has its validity,
// offsets, and the validity and the values of its items.
const (
	footerBatches, messageHeader, batchLength, batchBuffers = 10, 8, 4, 8

	blockBytes, bufferBytes                                     = 24, 16
	idsBuffer, idValuesBuffer, targetBuffer, targetValuesBuffer = 1, 3, 5, 7
)

// openShard checks the whole file against the manifest first: a reader of Arrow
// trusts its input, and a flipped bit could make it ask for any amount of
// memory. One that this run has just written was hashed as it was written, and is not
// read back.
func openShard(dir string, want file, written bool) (_ *shard, err error) {
	open := openFile
	if written {
		open = func(dir string, want file) (*os.File, error) { return os.Open(filepath.Join(dir, want.Name)) }
	}
	f, err := open(dir, want)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
			err = fmt.Errorf("%s: %w", f.Name(), err)
		}
	}()
	if _, err := ipc.NewFileReader(f, ipc.WithSchema(shardSchema)); err != nil {
		return nil, err
	}
	s := &shard{f: f}
	return s, s.findBatches(want.Bytes)
}

// findBatches reads where the batches lie, by the footer and their heads.
func (s *shard) findBatches(size int64) error {
	const magic = len("ARROW1")
	tail := make([]byte, 4+magic)
	if _, err := s.f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return err
	}
	footer := make([]byte, binary.LittleEndian.Uint32(tail))
	if _, err := s.f.ReadAt(footer, size-int64(len(tail)+len(footer))); err != nil {
		return err
	}
	list := vector(flatbuffers.Table{Bytes: footer, Pos: flatbuffers.GetUOffsetT(footer)}, footerBatches, blockBytes)
	for ; len(list) > 0; list = list[blockBytes:] {
		at, head := int64(binary.LittleEndian.Uint64(list)), int64(binary.LittleEndian.Uint32(list[8:]))
		meta := make([]byte, head)
		if _, err := s.f.ReadAt(meta, at); err != nil {
			return err
		}
		meta = meta[8:] // behind the mark of a message and its length
		message := flatbuffers.Table{Bytes: meta, Pos: flatbuffers.GetUOffsetT(meta)}
		var t flatbuffers.Table
		message.Union(&t, flatbuffers.UOffsetT(message.Offset(messageHeader)))
		buffers := vector(t, batchBuffers, bufferBytes)
		begin := func(i int) int64 { return at + head + int64(binary.LittleEndian.Uint64(buffers[i*bufferBytes:])) }
		s.batches = append(s.batches, batch{
			rows: t.GetInt64Slot(batchLength, 0), ids: begin(idsBuffer), idValues: begin(idValuesBuffer),
			target: begin(targetBuffer), targetValues: begin(targetValuesBuffer),
		})
	}
	return nil
}

// vector is the bytes of a list of structs of so many bytes each.
func vector(t flatbuffers.Table, field flatbuffers.VOffsetT, each int) []byte {
	o := flatbuffers.UOffsetT(t.Offset(field))
	if o == 0 {
		return nil
	}
	at := t.Vector(o)
	return t.Bytes[at:][:t.VectorLen(o)*each]
}

// read returns the tokens of a conversation. The slices are its own.
func (s *shard) read(e Entry) (t record.Tokenised, err error) {
	t = record.Tokenised{Line: e.Line, Turns: e.Turns, Words: e.Words}
	lists := s.lists(0)
	if t.Target, err = s.targets(e, lists); err != nil {
		return t, err
	}
	b := s.batches[e.Batch]
	t.IDs, err = lists.row(b.ids, b.idValues, e.Row, e.Tokens)
	if err == nil && len(t.IDs) != int(e.Tokens) {
		err = fmt.Errorf("%s: row %d of batch %d has %d tokens, want the %d of the index", s.f.Name(), e.Row, e.Batch, len(t.IDs), e.Tokens)
	}
	return t, err
}

// targets returns the target ranges of a conversation.
func (s *shard) targets(e Entry, lists *lists) (out [][2]int32, err error) {
	if int(e.Batch) >= len(s.batches) || int64(e.Row) >= s.batches[e.Batch].rows {
		return nil, fmt.Errorf("%s: row %d of batch %d is not there", s.f.Name(), e.Row, e.Batch)
	}
	b := s.batches[e.Batch]
	bounds, err := lists.row(b.target, b.targetValues, e.Row, 2*e.Tokens)
	for i := 0; i+1 < len(bounds); i += 2 {
		out = append(out, [2]int32{bounds[i], bounds[i+1]})
	}
	return out, err
}

// lists reads columns of lists: the offsets of their rows, and their values.
type lists struct{ offsets, values ahead }

// lists reads on by so many bytes.
func (s *shard) lists(size int) *lists {
	return &lists{ahead{f: s.f, size: size}, ahead{f: s.f, size: size}}
}

// row reads a row of a column, which has at most so many values. It is the caller's own.
func (l *lists) row(offsets, values int64, row, most int32) ([]int32, error) {
	ends, err := l.offsets.bytes(offsets+4*int64(row), 8)
	if err != nil {
		return nil, err
	}
	from, to := int32(binary.LittleEndian.Uint32(ends)), int32(binary.LittleEndian.Uint32(ends[4:]))
	if from < 0 || to < from || to-from > most {
		return nil, fmt.Errorf("%s: row %d goes from value %d to %d, want at most %d of them", l.offsets.f.Name(), row, from, to, most)
	}
	raw, err := l.values.bytes(values+4*int64(from), 4*int(to-from))
	if err != nil {
		return nil, err
	}
	out := make([]int32, to-from)
	for i := range out {
		out[i] = int32(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return out, nil
}
