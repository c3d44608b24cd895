package store

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"lwtrain/data/record"
	"lwtrain/internal/prose"
)

// The facts lie beside the index, one row to each entry, and are read from
// front to back when statistics are asked for: training needs none of them.
const factsName = "facts.bin"

// factsBytes is the size of a row.
const factsBytes = 36

// appendFacts appends a row: the fields in their order, as encoding/binary has them, which takes ten times as long.
func appendFacts(raw []byte, f record.Facts) []byte {
	raw = binary.LittleEndian.AppendUint64(raw, f.Hash)
	for _, v := range [...]int32{f.PromptWords, f.PromptChars, f.AnswerChars, f.Required.Min, f.Required.Max, f.Real} {
		raw = binary.LittleEndian.AppendUint32(raw, uint32(v))
	}
	return append(binary.LittleEndian.AppendUint16(raw, f.Repeated), byte(f.Language), f.Suspicions)
}

func decodeFacts(raw []byte) record.Facts {
	raw = raw[:factsBytes]
	at := func(i int) int32 { return int32(binary.LittleEndian.Uint32(raw[i:])) }
	return record.Facts{
		Hash: binary.LittleEndian.Uint64(raw), PromptWords: at(8), PromptChars: at(12), AnswerChars: at(16),
		Required: prose.Length{Min: at(20), Max: at(24)}, Real: at(28),
		Repeated: binary.LittleEndian.Uint16(raw[32:]), Language: prose.Language(raw[34]), Suspicions: raw[35],
	}
}

// rowsWriter writes a file with a row for each conversation, row by row.
type rowsWriter struct {
	path  string
	out   *hashedFile
	buf   *bufio.Writer
	bytes int64
}

// add adds a row.
func (w *rowsWriter) add(row []byte) error {
	if err := w.open(); err != nil {
		return err
	}
	w.bytes += int64(len(row))
	_, err := w.buf.Write(row)
	return err
}

func (w *rowsWriter) open() error {
	if w.out != nil {
		return nil
	}
	out, err := createHashed(w.path)
	if err != nil {
		return err
	}
	w.out = out
	w.buf = bufio.NewWriterSize(w.out, 1<<16)
	return nil
}

// finished is what was written so far, once it is on the disk.
func (w *rowsWriter) finished() (file, error) {
	if err := w.open(); err != nil {
		return file{}, err
	}
	if err := w.buf.Flush(); err != nil {
		return file{}, err
	}
	return w.out.written(w.bytes), w.out.Sync()
}

// goOn goes on behind the part of the file that is known to be finished.
func (w *rowsWriter) goOn(known file) error {
	f, err := os.OpenFile(w.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	w.out, w.bytes = &hashedFile{f, sha256.New()}, known.Bytes
	w.buf = bufio.NewWriterSize(w.out, 1<<16)
	_, err = io.Copy(w.out.sum, f)
	return err
}

// close finishes the file, which is there even if nothing was added.
func (w *rowsWriter) close() (file, error) {
	about, err := w.finished()
	if w.out != nil {
		w.out.Close()
	}
	return about, err
}

// openFacts checks the file against the manifest.
func openFacts(dir string, want file, rows int) (*os.File, error) {
	if want.Bytes != int64(rows)*factsBytes {
		return nil, wrongSize(dir, want, rows, factsBytes)
	}
	return openFile(dir, want)
}

// FactsReader reads the facts of a store's conversations, fast where they are asked for
// in order.
type FactsReader struct{ rows ahead }

// Facts returns a reader of facts, which a dry run does not keep.
func (s *Store) Facts() (*FactsReader, error) {
	if s.facts == nil && s.Entries.Len() > 0 {
		return nil, fmt.Errorf("a dry run keeps no statistics of the text")
	}
	return &FactsReader{ahead{f: s.facts, size: aheadBytes}}, nil
}

// row is that of conversation i.
func (r *FactsReader) row(i int) ([]byte, error) {
	return r.rows.bytes(int64(i)*factsBytes, factsBytes)
}

// At returns the facts of conversation i.
func (r *FactsReader) At(i int) (record.Facts, error) {
	row, err := r.row(i)
	if err != nil {
		return record.Facts{}, err
	}
	return decodeFacts(row), nil
}

// Hash returns their hash alone.
func (r *FactsReader) Hash(i int) (uint64, error) {
	row, err := r.row(i)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(row), nil
}
