package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// A store's samples lie in shards, Arrow IPC files of record batches. A batch is
// the unit of reading, so it is small; a shard is the unit of checking.
const batchTokens = 1 << 16

var shardTokens int64 = 1 << 26 // 256 MiB; tests have small ones

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

// record is a conversation after tokenising.
type record struct {
	ids              []int32
	target           [][2]int32
	line             int64
	turns            int32 // messages of the assistant
	words            int32 // in them
	facts            facts
	kind             kind
	hash, promptHash uint64
	sketch           *sketched // for near copies; nil where they are not looked for
}

// prompt is the number of tokens before the first target.
func (r record) prompt() int32 {
	if len(r.target) == 0 {
		return int32(len(r.ids))
	}
	return r.target[0][0]
}

// entry is what is held in memory of a stored record: where it lies, and what
// packing and statistics need of it.
type entry struct {
	Line              int64
	Tokens, Words     int32
	Targets           int32 // without the first token, which nothing precedes
	Turns             int32
	Shard, Batch, Row int32
	Kind              kind
	Prompt            int32  // tokens before the first target
	Hash              uint64 // of ids and targets
	PromptHash        uint64 // of the ids before the first target
}

func (r record) entry() entry {
	e := entry{Line: r.line, Tokens: int32(len(r.ids)), Words: r.words, Turns: r.turns}
	e.Kind, e.Prompt, e.Hash, e.PromptHash = r.kind, r.prompt(), r.hash, r.promptHash
	for _, t := range r.target {
		e.Targets += t[1] - max(t[0], 1)
	}
	return e
}

// fingerprint fills the hashes of a record.
func (r *record) fingerprint() {
	h := sha256.New()
	n := r.prompt()
	writeInts(h, r.ids[:n])
	r.promptHash = binary.LittleEndian.Uint64(h.Sum(nil))
	writeInts(h, r.ids[n:])
	for _, t := range r.target {
		writeInts(h, t[:])
	}
	r.hash = binary.LittleEndian.Uint64(h.Sum(nil))
}

func writeInts(w io.Writer, list []int32) {
	var b [1 << 10]byte
	for len(list) > 0 {
		n := min(len(list), len(b)/4)
		for i, v := range list[:n] {
			binary.LittleEndian.PutUint32(b[4*i:], uint32(v))
		}
		w.Write(b[:4*n])
		list = list[n:]
	}
}

// file is a file of the store, as the manifest knows it.
type file struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
}

// shardWriter writes records into dir/samples-00000.arrow and so on. The same
// records give the same bytes.
type shardWriter struct {
	dir     string
	files   []file
	entries []entry
	facts   *factsWriter
	near    []sketched

	out    *hashedFile
	ipc    *ipc.FileWriter
	build  *array.RecordBuilder
	tokens int64 // in the shard
	rows   int32 // in the batch
	held   int   // tokens in the batch
	batch  int32 // in the shard
}

// hashedFile is a file that is written from front to back.
type hashedFile struct {
	*os.File
	sum hash.Hash
}

func (f *hashedFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	f.sum.Write(b[:n])
	return n, err
}

func newShardWriter(dir string) *shardWriter {
	return &shardWriter{dir: dir, facts: &factsWriter{dir: dir}, build: array.NewRecordBuilder(memory.DefaultAllocator, shardSchema)}
}

func (w *shardWriter) add(r record) error {
	if w.out == nil {
		if err := w.open(); err != nil {
			return err
		}
	}
	ids := w.build.Field(0).(*array.ListBuilder)
	ids.Append(true)
	ids.ValueBuilder().(*array.Int32Builder).AppendValues(r.ids, nil)
	target := w.build.Field(1).(*array.ListBuilder)
	target.Append(true)
	bounds := target.ValueBuilder().(*array.Int32Builder)
	for _, t := range r.target {
		bounds.Append(t[0])
		bounds.Append(t[1])
	}
	w.build.Field(2).(*array.Int64Builder).Append(r.line)
	w.build.Field(3).(*array.Int32Builder).Append(r.turns)
	w.build.Field(4).(*array.Int32Builder).Append(r.words)
	w.build.Field(5).(*array.Int32Builder).Append(int32(r.kind))

	e := r.entry()
	e.Shard, e.Batch, e.Row = int32(len(w.files)), w.batch, w.rows
	w.entries = append(w.entries, e)
	if r.sketch != nil {
		w.near = append(w.near, *r.sketch)
	}
	if err := w.facts.add(r.facts); err != nil {
		return err
	}
	w.rows++
	w.held += len(r.ids)
	w.tokens += int64(len(r.ids))
	if w.held < batchTokens {
		return nil
	}
	if err := w.flush(); err != nil || w.tokens < shardTokens {
		return err
	}
	return w.close()
}

func (w *shardWriter) open() error {
	out, err := os.Create(filepath.Join(w.dir, fmt.Sprintf("samples-%05d.arrow", len(w.files))))
	if err != nil {
		return err
	}
	w.out = &hashedFile{out, sha256.New()}
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
	w.files = append(w.files, file{filepath.Base(w.out.Name()), hex.EncodeToString(w.out.sum.Sum(nil)), size})
	return w.out.Sync()
}

// shard is a shard open for reading. It is safe for concurrent use.
type shard struct {
	f *os.File
	r *ipc.FileReader
}

// openShard checks the whole file against the manifest first: Arrow's reader
// trusts its input, and a flipped bit could make it ask for any amount of
// memory. One that this run has just written was hashed as it was written, and is not
// read back.
func openShard(dir string, want file, written bool) (*shard, error) {
	open := openFile
	if written {
		open = func(dir string, want file) (*os.File, error) { return os.Open(filepath.Join(dir, want.Name)) }
	}
	f, err := open(dir, want)
	if err != nil {
		return nil, err
	}
	r, err := ipc.NewFileReader(f, ipc.WithSchema(shardSchema))
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return &shard{f, r}, nil
}

// openFile opens a file of a store and checks its hash.
func openFile(dir string, want file) (*os.File, error) {
	if filepath.Base(want.Name) != want.Name {
		return nil, fmt.Errorf("%s: the manifest names the file %q, want a name without a folder", dir, want.Name)
	}
	f, err := os.Open(filepath.Join(dir, want.Name))
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err == nil && (n != want.Bytes || hex.EncodeToString(h.Sum(nil)) != want.SHA256) {
		err = fmt.Errorf("%s: %d bytes with another hash, want the %d bytes of the manifest", f.Name(), n, want.Bytes)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// read returns one record. Its slices are its own.
func (s *shard) read(e entry) (r record, err error) {
	rec, err := s.r.RecordAt(int(e.Batch))
	if err != nil {
		return r, fmt.Errorf("%s: batch %d: %w", s.f.Name(), e.Batch, err)
	}
	defer rec.Release()
	r = record{line: e.Line, turns: e.Turns, words: e.Words}
	r.ids = append(r.ids, listValues(rec.Column(0), e.Row)...)
	bounds := listValues(rec.Column(1), e.Row)
	for i := 0; i+1 < len(bounds); i += 2 {
		r.target = append(r.target, [2]int32{bounds[i], bounds[i+1]})
	}
	return r, nil
}

func listValues(column arrow.Array, row int32) []int32 {
	list := column.(*array.List)
	from, to := list.ValueOffsets(int(row))
	return list.ListValues().(*array.Int32).Int32Values()[from:to]
}
