package gguf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf8"

	"lwtrain/internal/tensorfile"
)

// Limits of what a GGUF file may ask for, several times above the largest
// models in use.
const (
	maxMetadata  = 128 << 20 // bytes of keys, values and tensor descriptions
	maxKeys      = 1 << 16
	MaxTensors   = 1 << 16
	maxName      = 1 << 16
	maxRank      = 4
	maxAlignment = 1 << 20
)

// reader reads the metadata from the front. The first error sticks and
// turns everything after it into zeros.
type reader struct {
	r    *bufio.Reader
	at   int64
	size int64 // of the file, or maxMetadata if that is less
	err  error
	buf  [8]byte
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// need checks that n more bytes can come before memory is taken for them.
func (r *reader) need(n uint64) bool {
	if r.err == nil && n > uint64(r.size-r.at) {
		if r.size == maxMetadata {
			r.fail("metadata of more than %d bytes", maxMetadata)
		} else {
			r.fail("want %d bytes at byte %d of %d: %w", n, r.at, r.size, tensorfile.ErrCutShort)
		}
	}
	return r.err == nil
}

func (r *reader) read(dst []byte) {
	if !r.need(uint64(len(dst))) {
		clear(dst)
		return
	}
	n, err := io.ReadFull(r.r, dst)
	r.at += int64(n)
	if err != nil {
		r.fail("byte %d: %w", r.at, err)
		clear(dst)
	}
}

func (r *reader) u32() uint32 {
	r.read(r.buf[:4])
	return binary.LittleEndian.Uint32(r.buf[:])
}

func (r *reader) u64() uint64 {
	r.read(r.buf[:8])
	return binary.LittleEndian.Uint64(r.buf[:])
}

func (r *reader) text(what string, limit uint64) string {
	n := r.u64()
	if n > limit {
		r.fail("%s of %d bytes at byte %d, want at most %d", what, n, r.at, limit)
	}
	if !r.need(n) {
		return ""
	}
	b := make([]byte, n)
	r.read(b)
	if !utf8.Valid(b) {
		r.fail("%s %.80q at byte %d is not valid utf-8", what, b, r.at)
	}
	return string(b)
}
