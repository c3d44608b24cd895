package read

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Bounds of a compressed file. Text is packed to a tenth, seldom to a hundredth.
const (
	mostRatio  = 1000
	alwaysFine = 64 << 20  // bytes that a file may unpack to however small it is
	maxWindow  = 128 << 20 // of zstd: what --long=27 takes
)

// unpacker reads the text of a gzip or zstd file, in bounded memory.
type unpacker struct {
	from  io.Reader
	read  int64 // compressed bytes so far
	text  io.Reader
	left  int64 // bytes of text that it may still have
	close func()
}

// unpack begins to read a compressed file of size bytes.
func unpack(from io.Reader, gz bool, size int64) (*unpacker, lines, error) {
	u := &unpacker{from: from, left: alwaysFine + mostRatio*size, close: func() {}}
	if gz {
		z, err := gzip.NewReader(packedBytes{u})
		if err != nil {
			return nil, nil, damaged(err)
		}
		u.text = z
	} else {
		z, err := zstd.NewReader(packedBytes{u},
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
	for magic, what := range map[string]string{
		"PAR1": "Parquet", "ARROW1": "Arrow", "\x1f\x8b": "gzip", "\x28\xb5\x2f\xfd": "zstd", "PK\x03\x04": "zip",
	} {
		if bytes.HasPrefix(head, []byte(magic)) {
			u.close()
			return nil, nil, &brokenFile{
				detail: "a compressed file with " + what + " in it, want JSONL or a JSON array", hint: "unpack it first",
			}
		}
	}
	if len(head) > 262 && string(head[257:262]) == "ustar" {
		u.close()
		return nil, nil, &brokenFile{detail: "a compressed tar archive, want JSONL or a JSON array", hint: "unpack it, and name its folder"}
	}
	return u, ofText(text, head), nil
}

// packedBytes counts what is read of the file.
type packedBytes struct{ *unpacker }

func (p packedBytes) Read(b []byte) (int, error) {
	n, err := p.from.Read(b)
	p.read += int64(n)
	return n, err
}

func (u *unpacker) Read(b []byte) (int, error) {
	n, err := u.text.Read(b)
	if u.left -= int64(n); u.left < 0 {
		return 0, &brokenFile{
			detail: "the file unpacks to more than 1,000 times its size, which text does not", hint: "unpack it first, if that is right",
		}
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
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return &brokenFile{detail: "a compressed file that does not unpack: " + err.Error()}
}
