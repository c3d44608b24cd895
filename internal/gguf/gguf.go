// Package gguf reads GGUF files, in which llama.cpp keeps models: the metadata, and
// the tensors, dequantised to float32.
//
// Call [Parse] on an open file; then ask [File.Text], [File.Int] and [File.Float]
// for metadata, and [Tensor.Read] for values. Every file is taken for hostile:
// counts, sizes and places are checked before memory is taken for them. What the
// metadata and tensors mean is for others to say.
package gguf

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"lwtrain/internal/fault"
	"lwtrain/internal/tensorfile"
)

// File is an open GGUF file, version 2 or 3: its metadata, and where its
// tensors lie. A value is an int64, uint64, float64, bool, string, []string or
// Numbers.
type File struct {
	Values  map[string]any
	Tensors map[string]*Tensor
}

// Parse reads the metadata of a GGUF file and checks where its tensors lie.
func Parse(file io.ReaderAt, size int64) (*File, error) {
	r := &reader{r: bufio.NewReaderSize(io.NewSectionReader(file, 0, size), 1<<16), size: min(size, maxMetadata)}
	var magic [4]byte
	r.read(magic[:])
	if r.err == nil && string(magic[:]) != "GGUF" {
		return nil, fmt.Errorf("starts with %q, want \"GGUF\"", magic[:])
	}
	version := r.u32()
	if r.err == nil && version != 2 && version != 3 {
		err := fmt.Errorf("gguf version %d, want 2 or 3", version)
		if version&0xffff == 0 {
			err = errors.New("a big-endian gguf file, want a little-endian one")
		}
		return nil, err
	}
	tensors, keys := r.u64(), r.u64()
	if tensors > MaxTensors {
		r.fail("%d tensors, want at most %d", tensors, MaxTensors)
	}
	if keys > maxKeys {
		r.fail("%d metadata keys, want at most %d", keys, maxKeys)
	}
	g := &File{Values: make(map[string]any), Tensors: make(map[string]*Tensor)}
	for i := uint64(0); i < keys && r.err == nil; i++ {
		g.readValue(r)
	}
	var order []*Tensor
	for i := uint64(0); i < tensors && r.err == nil; i++ {
		order = append(order, g.readTensor(r))
	}
	if r.err != nil {
		if errors.Is(r.err, tensorfile.ErrCutShort) {
			r.err = fault.Hint(r.err, "fetch or copy the file again")
		}
		return nil, r.err
	}
	return g, g.place(order, file, r.at, size)
}

func (g *File) readValue(r *reader) {
	key := r.text("key", maxName)
	if _, twice := g.Values[key]; twice {
		r.fail("key %.80q is there twice", key)
	}
	kind := r.u32()
	var v any
	switch {
	case kind == kindArray:
		v = r.array(key)
	case kind == kindString:
		v = r.text("value of "+key, maxMetadata)
	case int(kind) < len(kindSize):
		raw := r.buf[:kindSize[kind]]
		r.read(raw)
		v = number(kind, raw)
	default:
		r.fail("%s has the value type %d, want 0 to %d", key, kind, len(kindSize)-1)
	}
	g.Values[key] = v
}

func (g *File) readTensor(r *reader) *Tensor {
	t := &Tensor{Name: r.text("tensor name", maxName)}
	rank := r.u32()
	if rank > maxRank {
		r.fail("tensor %.80q has %d dimensions, want at most %d", t.Name, rank, maxRank)
		return t
	}
	for range rank {
		d := r.u64()
		if r.err == nil && (d == 0 || d > math.MaxInt32) {
			r.fail("tensor %.80q has a dimension of %d, want 1 to %d", t.Name, d, math.MaxInt32)
		}
		t.Shape = append(t.Shape, int(d))
	}
	slices.Reverse(t.Shape)
	kind := r.u32()
	offset := r.u64()
	if r.err != nil {
		return t
	}
	if g.Tensors[t.Name] != nil {
		r.fail("tensor %.80q is there twice", t.Name)
	}
	g.Tensors[t.Name] = t
	if offset > math.MaxInt64 {
		r.fail("tensor %.80q lies at byte %d of the data", t.Name, offset)
	}
	t.offset = int64(offset)
	if r.err == nil {
		r.err = t.setKind(kind)
	}
	return t
}

// place turns the offsets of the tensors into places in the file, all aligned,
// inside it and apart from each other. metadata is where the metadata end.
func (g *File) place(order []*Tensor, file io.ReaderAt, metadata, size int64) error {
	alignment := int64(32)
	if v, ok := g.Values["general.alignment"]; ok {
		a, _ := v.(int64)
		if a < 1 || a > maxAlignment || a&(a-1) != 0 {
			return fmt.Errorf("general.alignment is %v, want a power of two up to %d", v, maxAlignment)
		}
		alignment = a
	}
	data := (metadata + alignment - 1) / alignment * alignment
	slices.SortFunc(order, func(a, b *Tensor) int {
		return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.Name, b.Name))
	})
	var end int64
	for _, t := range order {
		if t.offset%alignment != 0 {
			return fmt.Errorf("tensor %.80q lies at byte %d of the data, want a multiple of %d", t.Name, t.offset, alignment)
		}
		if t.offset < end {
			return fmt.Errorf("tensor %.80q lies at byte %d of the data, inside the tensor before it, which ends at %d",
				t.Name, t.offset, end)
		}
		if room := size - data; t.offset > room || t.size > room-t.offset {
			return fault.Hint(fmt.Errorf("tensor %.80q takes %d bytes from byte %d of the data, which has %d: %w",
				t.Name, t.size, t.offset, max(0, room), tensorfile.ErrCutShort),
				"fetch or copy the file again")
		}
		end = t.offset + t.size
		t.offset += data
		t.file = file
	}
	return nil
}
