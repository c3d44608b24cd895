package data

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"

	"lwtrain/internal/fault"
)

// records hands out the records of a source one after the other, each as the
// text of a JSON object.
type records interface {
	// next returns the next record in memory of its own, or io.EOF. A
	// *brokenFile says that the rest of the file can't be read at all.
	next() (line, error)
	// position is how many bytes of the file are behind the reader.
	position() int64
}

// brokenFile is the error of a file that can't be read on, as against that of a
// record that is bad: nobody could count what is lost.
type brokenFile struct {
	number int // line or row at which it ends
	detail string
	hint   string
}

func (e *brokenFile) Error() string { return e.detail }

func broken(number int, format string, args ...any) error {
	return &brokenFile{number: number, detail: fmt.Sprintf(format, args...)}
}

// reader reads a source in whatever container it lies.
type reader struct {
	records
	src  Source
	file fs.File
	sum  hash.Hash // of what was read; nil: the file is not read from front to back
}

// randomAccess is what files are beside fs.File, on the disk and in the binary.
type randomAccess interface {
	io.ReaderAt
	io.ReadSeeker
}

// records opens a source. The container is recognised by how the file begins:
// Parquet and Arrow by their magic bytes, a JSON array by its bracket; what is
// left is JSONL. Of Parquet and Arrow only the columns in names are read.
func (s Source) records(names map[string]bool) (*reader, error) {
	f, size, err := s.open()
	if err != nil {
		return nil, err
	}
	r := &reader{src: s, file: f}
	if err := r.start(size, names); err != nil {
		f.Close()
		return nil, r.fail(err)
	}
	return r, nil
}

func (r *reader) start(size int64, names map[string]bool) error {
	whole, ok := r.file.(randomAccess)
	if !ok {
		return fmt.Errorf("%s: can not be read at any place", r.src.Path)
	}
	head := make([]byte, 1<<12)
	n, err := whole.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return err
	}
	head = head[:n]
	has := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n"); {
	case has("PAR1"):
		r.records, err = newParquetRows(whole, size, names)
		return err
	case has("PARE"):
		return &brokenFile{detail: "an encrypted Parquet file, want one that is not"}
	case has("ARROW1"), has("\xff\xff\xff\xff"):
		r.records, err = newArrowRows(whole, size, has("ARROW1"), names)
		return err
	case has("FEA1"):
		return &brokenFile{detail: "a file in the first Feather format", hint: "write it again with a version of pyarrow from 1.0 on"}
	case has("\x1f\x8b"), has("\x28\xb5\x2f\xfd"), has("PK\x03\x04"), has("BZh"), has("\xfd7zXZ"):
		return &brokenFile{detail: "a compressed file", hint: "unpack it first"}
	default:
		r.sum = sha256.New()
		from := io.TeeReader(r.file, r.sum)
		if len(text) > 0 && text[0] == '[' {
			r.records = newJSONArray(from)
		} else {
			r.records = newLines(from)
		}
		return nil
	}
}

// fail says where a file is broken.
func (r *reader) fail(err error) error {
	var b *brokenFile
	if !errors.As(err, &b) {
		return err
	}
	at := r.src.Path
	if b.number > 0 {
		at = fmt.Sprintf("%s:%d", at, b.number)
	}
	hint := b.hint
	if hint == "" {
		hint = "the file is damaged or cut short, and what is lost can not be counted; get it again"
	}
	return fault.Usage(fault.Hint(fmt.Errorf("%s: %w", at, b), hint))
}

// unchanged compares what was read with the SHA-256 that was taken before: what
// was made of another file would be kept under the wrong name.
func (r *reader) unchanged(sum string) error {
	now := ""
	if r.sum != nil {
		if _, err := io.Copy(r.sum, r.file); err != nil { // what lies behind the last record
			return err
		}
		now = hex.EncodeToString(r.sum.Sum(nil))
	} else {
		var err error
		if now, err = r.src.hash(); err != nil {
			return err
		}
	}
	if now != sum {
		return fault.Hint(fmt.Errorf("%s: changed while it was read", r.src.Path), "start again when nothing writes to it")
	}
	return nil
}

func (r *reader) close() { r.file.Close() }
