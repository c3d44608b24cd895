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
// Parquet and Arrow by their magic bytes, gzip and zstd by theirs; what is left is a
// text.
func openLines(of File, want Options) (*fileReader, error) {
	f, size, err := of.open()
	if err != nil {
		return nil, err
	}
	r := &fileReader{of: of, file: f}
	if err := r.start(size, want); err != nil {
		f.Close()
		return nil, r.fail(err)
	}
	return r, nil
}

func (r *fileReader) start(size int64, want Options) error {
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
	case size == 0:
		return nothing("an empty file (0 bytes)")
	case has("PAR1"):
		r.lines, err = newParquetRows(whole, size, want)
		return err
	case has("ARROW1"), has("\xff\xff\xff\xff"):
		r.lines, err = newArrowRows(whole, size, has("ARROW1"), want)
		return err
	case has("\x1f\x8b"), isZstd(head):
		r.sum = sha256.New()
		r.packed, r.lines, err = unpack(io.TeeReader(r.file, r.sum), has("\x1f\x8b"), size, want.Columns)
		return err
	}
	if err := refused(head); err != nil {
		return err
	}
	r.sum = sha256.New()
	r.lines, err = ofText(io.TeeReader(r.file, r.sum), head, want.Columns)
	return err
}

// isZstd recognises zstd by its frames, of which the first may be one to be passed over.
func isZstd(head []byte) bool {
	return len(head) >= 4 && (string(head[:4]) == "\x28\xb5\x2f\xfd" || head[0]&0xf0 == 0x50 && string(head[1:4]) == "\x2a\x4d\x18")
}

func (r *fileReader) position() int64 {
	if r.packed != nil {
		return r.packed.from.n
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
