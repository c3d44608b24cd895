package gguf

import (
	"fmt"
	"io"
	"math"

	"lwtrain/internal/fault"
	"lwtrain/internal/tensorfile"
)

// Tensor describes a tensor. Its shape has the rows first, as in NumPy and
// safetensors; the file has them last.
type Tensor struct {
	Name   string
	Shape  []int
	kind   ggmlType
	offset int64 // of its bytes; while parsing relative to the data, later in the file
	size   int64
	file   io.ReaderAt
}

// setKind finds how many bytes the tensor takes: its rows are whole blocks.
func (t *Tensor) setKind(kind uint32) error {
	var ok bool
	if t.kind, ok = ggmlTypes[kind]; !ok {
		name := ggmlOtherTypes[kind]
		if name == "" {
			name = fmt.Sprint("number ", kind)
		}
		return fault.Hint(fmt.Errorf("tensor %.80q has the type %s, want one of %s", t.Name, name, ggmlNames()),
			"take a file of the same model in one of these, best F16 or Q8_0: the fewer bits, the worse the start")
	}
	if len(t.Shape) == 0 {
		return fmt.Errorf("tensor %.80q has no dimensions", t.Name)
	}
	columns := t.Shape[len(t.Shape)-1]
	if columns%t.kind.block != 0 {
		return fmt.Errorf("tensor %.80q has rows of %d values, want whole blocks of %d for %s", t.Name, columns, t.kind.block, t.kind.name)
	}
	values, ok := tensorfile.Product(t.Shape)
	if !ok || values > math.MaxInt64/int64(t.kind.bytes) {
		return fmt.Errorf("tensor %.80q has the shape %v, which overflows", t.Name, t.Shape)
	}
	t.size = values / int64(t.kind.block) * int64(t.kind.bytes)
	return nil
}

// Type is the name of the way in which the values are stored: F32, Q8_0 and so on.
func (t *Tensor) Type() string { return t.kind.name }

// Bytes is how many the values take in the file.
func (t *Tensor) Bytes() int64 { return t.size }

// Read dequantises the values offset to offset+len(dst); both are multiples of
// the type's block.
func (t *Tensor) Read(offset int, dst []float32) error {
	at := t.offset + int64(offset/t.kind.block)*int64(t.kind.bytes)
	if err := tensorfile.Read(t.file, at, dst, t.kind.block, t.kind.bytes, t.kind.dequantise); err != nil {
		return fmt.Errorf("tensor %.80q: %w", t.Name, err)
	}
	return nil
}
