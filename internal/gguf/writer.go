package gguf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"runtime"
	"sync"
	"unicode/utf8"

	"lwtrain/internal/tensorfile"
)

// Entry is a key of the metadata with its value: a uint32, float32, bool, string, []string, []bool,
// []int32 or []float32.
type Entry struct {
	Key   string
	Value any
}

// Stream is a tensor to be written: its shape has the rows first, and Type is one that
// [CanWrite] knows. Read fills dst with the values from offset on; it is called with rising
// offsets.
type Stream struct {
	Name, Type string
	Shape      []int
	Read       func(offset int, dst []float32) error
}

const alignment = 32 // of tensors, where general.alignment does not say

// Chunk is how many values a [Stream] is asked for at once, at most.
const Chunk = tensorfile.ChunkBytes / 4

// CanWrite reports whether a tensor with rows of so many values can be stored as a type.
func CanWrite(typ string, columns int) bool {
	_, known := quantisers[typ]
	return known && columns%kindOf(typ).block == 0
}

// kindOf is a type by its name, which must be known.
func kindOf(name string) ggmlType { return ggmlTypes[numberOf(name)] }

func numberOf(name string) uint32 {
	for number, kind := range ggmlTypes {
		if kind.name == name {
			return number
		}
	}
	panic("gguf: no type " + name)
}

// Write writes a file of version 3: the metadata and the tensors in their order. A value that
// its type cannot hold, a NaN or an infinity is an error with the tensor's name. progress,
// which may be nil, is told the bytes of tensors written.
func Write(w io.Writer, metadata []Entry, tensors []Stream, progress func(done, total int64)) error {
	header, total, err := head(metadata, tensors)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	most := 0
	for _, t := range tensors {
		n, _ := tensorfile.Product(t.Shape)
		most = max(most, int(min(n, Chunk)))
	}
	values, raw := make([]float32, most), make([]byte, 4*most)
	var done int64
	for _, t := range tensors {
		kind, encode := kindOf(t.Type), quantisers[t.Type]
		n, _ := tensorfile.Product(t.Shape)
		for at := 0; at < int(n); at += len(values) {
			part := values[:min(len(values), int(n)-at)]
			err := t.Read(at, part)
			if err == nil {
				err = fits(part, at, t.Type)
			}
			if err != nil {
				return fmt.Errorf("tensor %s: %w", t.Name, err)
			}
			out := raw[:len(part)/kind.block*kind.bytes]
			encodeAll(out, part, kind, encode)
			if _, err := w.Write(out); err != nil {
				return err
			}
			if done += int64(len(out)); progress != nil {
				progress(done, total)
			}
		}
		if _, err := w.Write(make([]byte, padding(done))); err != nil {
			return err
		}
		done += padding(done)
	}
	return nil
}

// padding is how many bytes lie between the end of a tensor and the next one.
func padding(end int64) int64 { return -end & (alignment - 1) }

// fits refuses what a type cannot hold: all but F32 and BF16 have values or scales of 16 bits.
func fits(values []float32, at int, typ string) error {
	most := float32(tensorfile.MaxHalf)
	if typ == "F32" || typ == "BF16" {
		most = 3.38e38
	}
	for i, v := range values {
		if !(abs(v) <= most) {
			return fmt.Errorf("value %d is %g, want at most %g in size for %s", at+i, v, most, typ)
		}
	}
	return nil
}

// encodeAll stores values in whole blocks, in as many pieces as there are processors.
func encodeAll(dst []byte, src []float32, kind ggmlType, encode func(dst []byte, src []float32)) {
	blocks := len(src) / kind.block
	each := max(1+(blocks-1)/runtime.GOMAXPROCS(0), 4096/kind.block)
	var wait sync.WaitGroup
	for from := 0; from < blocks; from += each {
		to := min(from+each, blocks)
		wait.Go(func() { encode(dst[from*kind.bytes:to*kind.bytes], src[from*kind.block:to*kind.block]) })
	}
	wait.Wait()
}

// head makes all that stands before the tensors, and counts their bytes.
func head(metadata []Entry, tensors []Stream) (header []byte, total int64, err error) {
	if len(tensors) > MaxTensors || len(metadata) > maxKeys {
		return nil, 0, fmt.Errorf("%d tensors and %d keys, want at most %d and %d", len(tensors), len(metadata), MaxTensors, maxKeys)
	}
	b := &writer{}
	b.WriteString("GGUF")
	b.number(uint32(3))
	b.number(uint64(len(tensors)))
	b.number(uint64(len(metadata)))
	taken := map[string]bool{}
	for _, e := range metadata {
		if taken[e.Key] {
			return nil, 0, fmt.Errorf("key %s is there twice", e.Key)
		}
		taken[e.Key] = true
		b.text(e.Key)
		if err := b.value(e.Value); err != nil {
			return nil, 0, fmt.Errorf("key %s: %w", e.Key, err)
		}
	}
	for _, t := range tensors {
		size, err := t.bytes()
		if err != nil {
			return nil, 0, fmt.Errorf("tensor %.80q: %w", t.Name, err)
		}
		if taken["tensor "+t.Name] {
			return nil, 0, fmt.Errorf("tensor %.80q is there twice", t.Name)
		}
		taken["tensor "+t.Name] = true
		b.text(t.Name)
		b.number(uint32(len(t.Shape)))
		for i := range t.Shape {
			b.number(uint64(t.Shape[len(t.Shape)-1-i]))
		}
		b.number(numberOf(t.Type))
		b.number(uint64(total))
		total += size + padding(size)
	}
	if b.broken != "" {
		return nil, 0, fmt.Errorf("text %.80q is not valid utf-8", b.broken)
	}
	b.Write(make([]byte, padding(int64(b.Len()))))
	if b.Len() > maxMetadata {
		return nil, 0, fmt.Errorf("metadata of %d bytes, want at most %d", b.Len(), maxMetadata)
	}
	return b.Bytes(), total, nil
}

// bytes checks that a tensor can be written, and counts what it takes.
func (t *Stream) bytes() (int64, error) {
	values, ok := tensorfile.Product(t.Shape)
	if len(t.Shape) == 0 || len(t.Shape) > maxRank || !ok || values == 0 || values > math.MaxInt64/4 {
		return 0, fmt.Errorf("shape %v, want 1 to %d dimensions above 0", t.Shape, maxRank)
	}
	if columns := t.Shape[len(t.Shape)-1]; !CanWrite(t.Type, columns) {
		return 0, fmt.Errorf("rows of %d values cannot be stored as %q", columns, t.Type)
	}
	kind := kindOf(t.Type)
	return values / int64(kind.block) * int64(kind.bytes), nil
}

// writer collects the metadata.
type writer struct {
	bytes.Buffer
	broken string // a text that is no UTF-8
}

func (w *writer) number(v any) { _ = binary.Write(w, binary.LittleEndian, v) } // a buffer takes all

// text appends a text, which readers want to be UTF-8.
func (w *writer) text(s string) {
	if !utf8.ValidString(s) && w.broken == "" {
		w.broken = s
	}
	w.number(uint64(len(s)))
	w.WriteString(s)
}

func (w *writer) value(v any) error {
	switch v := v.(type) {
	case uint32:
		w.number(uint32(kindUint32))
		w.number(v)
	case float32:
		w.number(uint32(kindFloat32))
		w.number(v)
	case bool:
		w.number(uint32(kindBool))
		w.number(v)
	case string:
		w.number(uint32(kindString))
		w.text(v)
	case []string:
		w.array(kindString, len(v))
		for _, s := range v {
			w.text(s)
		}
	case []bool:
		w.array(kindBool, len(v))
		w.number(v)
	case []int32:
		w.array(kindInt32, len(v))
		w.number(v)
	case []float32:
		w.array(kindFloat32, len(v))
		w.number(v)
	default:
		return fmt.Errorf("a value of the type %T", v)
	}
	return nil
}

func (w *writer) array(kind, n int) {
	w.number(uint32(kindArray))
	w.number(uint32(kind))
	w.number(uint64(n))
}
