package read

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const maxWindow = 128 << 20 // of zstd: what --long=27 takes

// unpacker reads the text of a gzip or zstd file, in bounded memory.
type unpacker struct {
	from  *counted // compressed bytes
	text  io.Reader
	may   *budget
	close func()
}

// unpack begins to read a compressed file of size bytes.
func unpack(from io.Reader, gz bool, size int64, names map[string]bool) (*unpacker, lines, error) {
	u := &unpacker{from: &counted{Reader: from}, may: newBudget(size), close: func() {}}
	if gz {
		z, err := gzip.NewReader(u.from)
		if err != nil {
			return nil, nil, damaged(err)
		}
		u.text = z
	} else {
		z, err := zstd.NewReader(u.from,
			zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, damaged(err)
		}
		u.text, u.close = z, z.Close
	}
	text := bufio.NewReaderSize(u, 1<<16)
	head, err := text.Peek(1 << 12)
	if err != nil && err != io.EOF {
		u.close()
		return nil, nil, err
	}
	l, err := ofUnpacked(text, head, names)
	if err != nil {
		u.close()
	}
	return u, l, err
}

// ofUnpacked begins to read what was compressed, which is a text.
func ofUnpacked(text io.Reader, head []byte, names map[string]bool) (lines, error) {
	if len(head) == 0 {
		return nil, nothing("a compressed file with nothing in it")
	}
	for magic, what := range map[string]string{
		"PAR1": "Parquet", "ARROW1": "Arrow", "\x1f\x8b": "gzip", "\x28\xb5\x2f\xfd": "zstd", "PK\x03\x04": "zip",
	} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return nil, &brokenFile{detail: "a compressed file with " + what + " in it, want JSONL, JSON or CSV", hint: "unpack it first"}
		}
	}
	var b *brokenFile
	if err := refused(head); errors.As(err, &b) {
		return nil, &brokenFile{detail: "a compressed file with " + b.detail + " in it, want JSONL, JSON or CSV", hint: b.hint}
	}
	return ofText(text, head, names)
}

func (u *unpacker) Read(b []byte) (int, error) {
	n, err := u.text.Read(b)
	if err := u.may.take(int64(n)); err != nil {
		return 0, err
	}
	if err != nil && err != io.EOF {
		err = damaged(err)
	}
	return n, err
}

// damaged is an error of the packing.
func damaged(err error) error {
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return &brokenFile{detail: "a zstd file with a window of more than 128 MiB", hint: "pack it with --long=27 at most"}
	}
	why := err.Error()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		why = "it ends in the middle"
	}
	return &brokenFile{detail: "a compressed file that does not unpack: " + why}
}
