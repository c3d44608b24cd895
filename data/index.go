package data

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"lwtrain/internal/atomicfile"
)

// The index holds the entries of a store one after the other, little-endian, in
// the order of the source, so that a store opens without reading its samples.
const indexName = "index.bin"

// chunkRows is how many rows are encoded at a time, so that writing or reading a file
// of them takes no second copy.
const chunkRows = 4096

// writeRows writes rows of a fixed size one after the other, little-endian.
func writeRows[T any](dir, name string, rows []T) (file, error) {
	sum, size := sha256.New(), int64(0)
	err := atomicfile.Write(filepath.Join(dir, name), func(w io.Writer) error {
		var raw []byte
		for some := range slices.Chunk(rows, chunkRows) {
			var err error
			if raw, err = binary.Append(raw[:0], binary.LittleEndian, some); err != nil {
				return err
			}
			sum.Write(raw)
			size += int64(len(raw))
			if _, err := w.Write(raw); err != nil {
				return err
			}
		}
		return nil
	})
	return file{name, hex.EncodeToString(sum.Sum(nil)), size}, err
}

func readRows[T any](dir string, want file, records int) ([]T, error) {
	size, err := sizeOfRows[T](dir, want, records)
	if err != nil {
		return nil, err
	}
	f, err := openFile(dir, want)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows := make([]T, records)
	raw := make([]byte, min(records, chunkRows)*size)
	for some := range slices.Chunk(rows, chunkRows) {
		raw = raw[:len(some)*size]
		if _, err := io.ReadFull(f, raw); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		if _, err := binary.Decode(raw, binary.LittleEndian, some); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
	}
	return rows, nil
}

// sizeOfRows is the size of a row, if a file with so many is as large as the manifest says.
func sizeOfRows[T any](dir string, f file, records int) (int, error) {
	size := binary.Size(*new(T))
	if f.Bytes%int64(size) != 0 || f.Bytes/int64(size) != int64(records) {
		return 0, fmt.Errorf("%s: %d bytes of %s for %d records, want %d for each", dir, f.Bytes, f.Name, records, size)
	}
	return size, nil
}

// The facts lie beside the index, one row to each entry, and are read from
// front to back when statistics are asked for: training needs none of them.
const factsName = "facts.bin"

// factsRows is how many rows are read at a time.
const factsRows = 4096

// factsWriter writes facts.bin row by row.
type factsWriter struct {
	dir   string
	out   *hashedFile
	buf   *bufio.Writer
	row   []byte
	bytes int64
}

func (w *factsWriter) add(f facts) (err error) {
	if err := w.open(); err != nil {
		return err
	}
	if w.row, err = binary.Append(w.row[:0], binary.LittleEndian, f); err != nil {
		return err
	}
	w.bytes += int64(len(w.row))
	_, err = w.buf.Write(w.row)
	return err
}

func (w *factsWriter) open() error {
	if w.out != nil {
		return nil
	}
	f, err := os.Create(filepath.Join(w.dir, factsName))
	if err != nil {
		return err
	}
	w.out = &hashedFile{f, sha256.New()}
	w.buf = bufio.NewWriterSize(w.out, 1<<16)
	return nil
}

// finished is what was written so far, once it is on the disk.
func (w *factsWriter) finished() (file, error) {
	if err := w.open(); err != nil {
		return file{}, err
	}
	if err := w.buf.Flush(); err != nil {
		return file{}, err
	}
	return file{factsName, hex.EncodeToString(w.out.sum.Sum(nil)), w.bytes}, w.out.Sync()
}

// goOn goes on behind the part of the file that is known to be finished.
func (w *factsWriter) goOn(known file) error {
	f, err := os.OpenFile(filepath.Join(w.dir, factsName), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	w.out, w.bytes = &hashedFile{f, sha256.New()}, known.Bytes
	w.buf = bufio.NewWriterSize(w.out, 1<<16)
	_, err = io.Copy(w.out.sum, f)
	return err
}

// close finishes the file, which is there even if nothing was added.
func (w *factsWriter) close() (file, error) {
	about, err := w.finished()
	if w.out != nil {
		w.out.Close()
	}
	return about, err
}

// openFacts checks the file against the manifest.
func openFacts(dir string, want file, rows int) (*os.File, error) {
	if _, err := sizeOfRows[facts](dir, want, rows); err != nil {
		return nil, err
	}
	return openFile(dir, want)
}

// factsReader reads the rows of a file, fast where they are asked for in order.
type factsReader struct {
	f     *os.File
	rows  int
	from  int
	block []facts
}

func (r *factsReader) at(i int) (facts, error) {
	if i < r.from || i >= r.from+len(r.block) {
		size := binary.Size(facts{})
		r.from = i
		r.block = make([]facts, min(factsRows, r.rows-i))
		raw := make([]byte, size*len(r.block))
		if _, err := r.f.ReadAt(raw, int64(i)*int64(size)); err != nil {
			return facts{}, fmt.Errorf("%s: %w", r.f.Name(), err)
		}
		if _, err := binary.Decode(raw, binary.LittleEndian, r.block); err != nil {
			return facts{}, fmt.Errorf("%s: %w", r.f.Name(), err)
		}
	}
	return r.block[i-r.from], nil
}
