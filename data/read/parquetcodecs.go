package read

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/apache/arrow/go/v17/parquet/compress"
	"github.com/klauspost/compress/zstd"
)

// The library's codecs unpack whatever a page holds, and compare its size with
// what the page's head says afterwards: a few kilobytes made it ask for gigabytes.
// These stop at the size that was said, which boundedMemory has given out.
var unpackers = map[compress.Compression]func(c compress.Codec, dst, src []byte) (n int, err error){
	compress.Codecs.Snappy: unpackSnappy,
	compress.Codecs.Gzip:   unpackStream,
	compress.Codecs.Brotli: unpackStream,
	compress.Codecs.Zstd:   unpackZstd,
}

func init() {
	for kind, unpack := range unpackers {
		codec, err := compress.GetCodec(kind)
		if err != nil {
			panic(err) // the library has them all
		}
		compress.RegisterCodec(kind, boundedCodec{codec, unpack})
	}
}

// boundedCodec unpacks to as many bytes as there is room for. The library takes
// an error of Decode as a panic, which recovered catches.
type boundedCodec struct {
	compress.Codec
	unpack func(c compress.Codec, dst, src []byte) (int, error)
}

func (b boundedCodec) Decode(dst, src []byte) []byte {
	if len(dst) == 0 {
		return dst
	}
	n, err := b.unpack(b.Codec, dst, src)
	if err == nil && n != len(dst) {
		err = fmt.Errorf("a page unpacks to %d bytes or more, and says %d", n, len(dst))
	}
	if err != nil {
		panic(err)
	}
	return dst
}

// unpackStream reads one byte more than there should be.
func unpackStream(c compress.Codec, dst, src []byte) (int, error) {
	r := c.NewReader(bytes.NewReader(src))
	defer r.Close()
	n, err := io.ReadFull(r, dst)
	if err != nil {
		return n, err
	}
	switch extra, err := io.ReadFull(r, make([]byte, 1)); {
	case extra > 0:
		return n + extra, nil
	case err != io.EOF:
		return n, err
	}
	return n, nil
}

// unpackSnappy: a block begins with its length.
func unpackSnappy(c compress.Codec, dst, src []byte) (int, error) {
	if n, _ := binary.Uvarint(src); n != uint64(len(dst)) {
		return int(n), nil
	}
	return len(c.Decode(dst, src)), nil
}

var zstdDecoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxMemory(mostBatch))
})

func unpackZstd(_ compress.Codec, dst, src []byte) (int, error) {
	d, err := zstdDecoder()
	if err != nil {
		return 0, err
	}
	out, err := d.DecodeAll(src, dst[:0:len(dst)])
	return len(out), err
}
