package read

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

// fileReader reads the lines of one file in whatever container it lies.
type fileReader struct {
	lines
	of     File
	file   fs.File
	sum    hash.Hash // of what was read; nil: the file is not read from front to back
	packed *unpacker // nil: not compressed
}

// openLines opens a file. The container is recognised by how the file begins:
// Parquet and Arrow by their magic bytes, gzip and zstd by theirs, a JSON array by its
// bracket; what is left is JSONL. Of Parquet and Arrow only the columns in names are
// read.
func openLines(of File, names map[string]bool) (*fileReader, error) {
	f, size, err := of.open()
	if err != nil {
		return nil, err
	}
	r := &fileReader{of: of, file: f}
	if err := r.start(size, names); err != nil {
		f.Close()
		return nil, r.fail(err)
	}
	return r, nil
}

func (r *fileReader) start(size int64, names map[string]bool) error {
	whole, ok := r.file.(randomAccess)
	if !ok {
		return fmt.Errorf("%s: can not be read at any place", r.of.Name)
	}
	head := make([]byte, 1<<12)
	n, err := whole.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return err
	}
	head = head[:n]
	has := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case has("PAR1"):
		r.lines, err = newParquetRows(whole, size, names)
		return err
	case has("PARE"):
		return &brokenFile{detail: "an encrypted Parquet file, want one that is not"}
	case has("ARROW1"), has("\xff\xff\xff\xff"):
		r.lines, err = newArrowRows(whole, size, has("ARROW1"), names)
		return err
	case has("FEA1"):
		return &brokenFile{detail: "a file in the first Feather format", hint: "write it again with a version of pyarrow from 1.0 on"}
	case has("\x1f\x8b"), has("\x28\xb5\x2f\xfd"):
		r.sum = sha256.New()
		r.packed, r.lines, err = unpack(io.TeeReader(r.file, r.sum), has("\x1f\x8b"), size)
		return err
	case has("PK\x03\x04"), has("BZh"), has("\xfd7zXZ"):
		return &brokenFile{detail: "a compressed file, want gzip or zstd", hint: "unpack it first"}
	case has("version https://git-lfs"):
		return &brokenFile{detail: "a pointer of Git LFS, not the file itself", hint: "`git lfs pull` fetches the file"}
	default:
		r.sum = sha256.New()
		r.lines = ofText(io.TeeReader(r.file, r.sum), head)
		return nil
	}
}

func (r *fileReader) position() int64 {
	if r.packed != nil {
		return r.packed.read
	}
	return r.lines.position()
}

// fail says where a file is broken.
func (r *fileReader) fail(err error) error {
	var b *brokenFile
	if !errors.As(err, &b) {
		return err
	}
	at := r.of.Name
	if b.number > 0 {
		at = fmt.Sprintf("%s:%d", at, b.number)
	}
	hint := b.hint
	if hint == "" {
		hint = "the file is damaged or cut short, and what is lost can not be counted; get it again"
	}
	return fault.Usage(fault.Hint(fmt.Errorf("%s: %w", at, b), hint))
}

// sha256 is that of the whole file, of what was read if it is read from front to
// back.
func (r *fileReader) sha256() (string, error) {
	if r.sum == nil {
		return r.of.hash()
	}
	if _, err := io.Copy(r.sum, r.file); err != nil { // what lies behind the last line
		return "", err
	}
	return hex.EncodeToString(r.sum.Sum(nil)), nil
}

func (r *fileReader) close() {
	if r.packed != nil {
		r.packed.close()
	}
	r.file.Close()
}
