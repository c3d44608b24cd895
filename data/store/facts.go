package store

import (
	"bufio"
	"crypto/sha256"
	"io"
	"os"

	"lwtrain/data/record"
)

// The facts lie beside the index, one row to each entry, and are read from
// front to back when statistics are asked for: training needs none of them.
const factsName = "facts.bin"

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
	if _, err := sizeOfRows[record.Facts](dir, want, rows); err != nil {
		return nil, err
	}
	return openFile(dir, want)
}
