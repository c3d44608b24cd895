// Package tensorfile is what the files of tensors, safetensors and GGUF, have in
// common: how values lie in them as bytes, and how a file that may be hostile is
// opened and read.
package tensorfile

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"sync"
)

// ErrCutShort is the error of a file that ends before what it says it holds.
var ErrCutShort = errors.New("the file is cut short or was never complete")

// Open opens a file that must be a regular one, and tells its size in bytes:
// opening a pipe would wait for ever.
func Open(path string) (*os.File, int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s: not a regular file", path)
	}
	f, err := os.Open(path)
	return f, info.Size(), err
}

// Product multiplies sizes that are not negative, such as those of a shape; false
// if it overflows.
func Product(sizes []int) (int64, bool) {
	if slices.Contains(sizes, 0) {
		return 0, true
	}
	p := int64(1)
	for _, s := range sizes {
		if int64(s) > math.MaxInt64/p {
			return 0, false
		}
		p *= int64(s)
	}
	return p, true
}

// ChunkBytes is the unit of reading and writing: large enough for the disk, small
// enough for the cache of a core.
const ChunkBytes = 1 << 20

var chunks = sync.Pool{New: func() any { return new([ChunkBytes]byte) }}

// Read fills dst, whole blocks of block values that take size bytes each, with
// what decode makes of the bytes from at on. Where the file ends before, the
// error is [ErrCutShort]. It is safe for concurrent use.
func Read(file io.ReaderAt, at int64, dst []float32, block, size int, decode func(dst []float32, src []byte)) error {
	buf := chunks.Get().(*[ChunkBytes]byte)
	defer chunks.Put(buf)
	for len(dst) > 0 {
		n := min(len(dst)/block, ChunkBytes/size) // blocks
		raw := buf[:n*size]
		if _, err := file.ReadAt(raw, at); err == io.EOF {
			return ErrCutShort
		} else if err != nil {
			return err
		}
		decode(dst[:n*block], raw)
		dst, at = dst[n*block:], at+int64(len(raw))
	}
	return nil
}
