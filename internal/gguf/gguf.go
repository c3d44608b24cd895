package checkpoints

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"unicode/utf8"

	"lwtrain/internal/fault"
)

// Limits of what a GGUF file may ask for, several times above the largest
// models in use.
const (
	ggufMaxMetadata  = 128 << 20 // bytes of keys, values and tensor descriptions
	ggufMaxKeys      = 1 << 16
	ggufMaxTensors   = 1 << 16
	ggufMaxName      = 1 << 16
	ggufMaxRank      = 4
	ggufMaxAlignment = 1 << 20
)

// Types of GGUF values.
const (
	ggufUint8 = iota
	ggufInt8
	ggufUint16
	ggufInt16
	ggufUint32
	ggufInt32
	ggufFloat32
	ggufBool
	ggufString
	ggufArray
	ggufUint64
	ggufInt64
	ggufFloat64
)

// ggufSize is the size of a value by type; 0 for strings and arrays.
var ggufSize = [...]int{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8}

// ggufFile is an open GGUF file, version 2 or 3: its metadata, and where its
// tensors lie. A value is an int64, uint64, float64, bool, string, []string or
// ggufNumbers.
type ggufFile struct {
	values  map[string]any
	tensors map[string]*ggufTensor
}

// ggufNumbers is an array of numbers or booleans as it lies in the file: a
// hostile one would grow eightfold if it were widened before it is asked for.
type ggufNumbers struct {
	kind  uint32
	count int
	raw   []byte
}

// ggufTensor describes a tensor. Its shape has the rows first, as in NumPy and
// safetensors; the file has them last.
type ggufTensor struct {
	name   string
	kind   ggmlType
	shape  []int
	offset int64 // of its bytes; while parsing relative to the data, later in the file
	size   int64
	file   io.ReaderAt
}

// ggufReader reads the metadata from the front. The first error sticks and
// turns everything after it into zeros.
type ggufReader struct {
	r    *bufio.Reader
	at   int64
	size int64 // of the file, or ggufMaxMetadata if that is less
	err  error
	buf  [8]byte
}

func (r *ggufReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// need checks that n more bytes can come before memory is taken for them.
func (r *ggufReader) need(n uint64) bool {
	if r.err == nil && n > uint64(r.size-r.at) {
		if r.size == ggufMaxMetadata {
			r.fail("metadata of more than %d bytes", ggufMaxMetadata)
		} else {
			r.fail("%d bytes wanted at byte %d of %d: %w", n, r.at, r.size, errCutShort)
		}
	}
	return r.err == nil
}

func (r *ggufReader) read(dst []byte) {
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

func (r *ggufReader) u32() uint32 {
	r.read(r.buf[:4])
	return binary.LittleEndian.Uint32(r.buf[:])
}

func (r *ggufReader) u64() uint64 {
	r.read(r.buf[:8])
	return binary.LittleEndian.Uint64(r.buf[:])
}

func (r *ggufReader) text(what string, limit uint64) string {
	n := r.u64()
	if n > limit {
		r.fail("%s of %d bytes at byte %d, wanted at most %d", what, n, r.at, limit)
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

// parseGGUF reads the metadata of a GGUF file and checks where its tensors lie.
func parseGGUF(file io.ReaderAt, size int64) (*ggufFile, error) {
	r := &ggufReader{r: bufio.NewReaderSize(io.NewSectionReader(file, 0, size), 1<<16), size: min(size, ggufMaxMetadata)}
	var magic [4]byte
	r.read(magic[:])
	if r.err == nil && string(magic[:]) != "GGUF" {
		return nil, fmt.Errorf("starts with %q, wanted \"GGUF\"", magic[:])
	}
	version := r.u32()
	if r.err == nil && version != 2 && version != 3 {
		err := fmt.Errorf("gguf version %d, wanted 2 or 3", version)
		if version&0xffff == 0 {
			err = errors.New("a big-endian gguf file, wanted a little-endian one")
		}
		return nil, err
	}
	tensors, keys := r.u64(), r.u64()
	if tensors > ggufMaxTensors {
		r.fail("%d tensors, wanted at most %d", tensors, ggufMaxTensors)
	}
	if keys > ggufMaxKeys {
		r.fail("%d metadata keys, wanted at most %d", keys, ggufMaxKeys)
	}
	g := &ggufFile{values: make(map[string]any), tensors: make(map[string]*ggufTensor)}
	for i := uint64(0); i < keys && r.err == nil; i++ {
		g.readValue(r)
	}
	var order []*ggufTensor
	for i := uint64(0); i < tensors && r.err == nil; i++ {
		order = append(order, g.readTensor(r))
	}
	if r.err != nil {
		if errors.Is(r.err, errCutShort) {
			r.err = fault.Hint(r.err, "fetch or copy the file again")
		}
		return nil, r.err
	}
	return g, g.place(order, file, r.at, size)
}

func (g *ggufFile) readValue(r *ggufReader) {
	key := r.text("key", ggufMaxName)
	if _, twice := g.values[key]; twice {
		r.fail("key %.80q is there twice", key)
	}
	kind := r.u32()
	var v any
	switch {
	case kind == ggufArray:
		v = r.array(key)
	case kind == ggufString:
		v = r.text("value of "+key, ggufMaxMetadata)
	case int(kind) < len(ggufSize):
		raw := r.buf[:ggufSize[kind]]
		r.read(raw)
		v = ggufNumber(kind, raw)
	default:
		r.fail("%s has the value type %d, wanted 0 to %d", key, kind, len(ggufSize)-1)
	}
	g.values[key] = v
}

// array reads an array of strings or of numbers. Arrays of arrays are in the
// format but in no model, so they are refused.
func (r *ggufReader) array(key string) any {
	kind, n := r.u32(), r.u64()
	if kind == ggufArray {
		r.fail("%s is an array of arrays, wanted one of numbers or strings", key)
	} else if int(kind) >= len(ggufSize) {
		r.fail("%s is an array of value type %d, wanted 0 to %d", key, kind, len(ggufSize)-1)
	}
	if r.err != nil {
		return nil
	}
	size := uint64(ggufSize[kind])
	if kind == ggufString {
		size = 8 // at least: the length of an empty one
	}
	if n > ggufMaxMetadata {
		r.fail("%s has %d values, wanted at most %d", key, n, ggufMaxMetadata)
	}
	if !r.need(n * size) {
		return nil
	}
	if kind != ggufString {
		raw := make([]byte, n*size)
		r.read(raw)
		return ggufNumbers{kind, int(n), raw}
	}
	texts := make([]string, n)
	for i := range texts {
		if texts[i] = r.text(key, ggufMaxMetadata); r.err != nil {
			return nil
		}
	}
	return texts
}

// ggufNumber decodes one value: an int64, uint64, float64 or bool.
func ggufNumber(kind uint32, raw []byte) any {
	le := binary.LittleEndian
	switch kind {
	case ggufUint8:
		return int64(raw[0])
	case ggufInt8:
		return int64(int8(raw[0]))
	case ggufUint16:
		return int64(le.Uint16(raw))
	case ggufInt16:
		return int64(int16(le.Uint16(raw)))
	case ggufUint32:
		return int64(le.Uint32(raw))
	case ggufInt32:
		return int64(int32(le.Uint32(raw)))
	case ggufFloat32:
		return float64(math.Float32frombits(le.Uint32(raw)))
	case ggufBool:
		return raw[0] != 0
	case ggufUint64:
		return le.Uint64(raw)
	case ggufInt64:
		return int64(le.Uint64(raw))
	default: // ggufFloat64
		return math.Float64frombits(le.Uint64(raw))
	}
}

func (n ggufNumbers) at(i int) any {
	size := ggufSize[n.kind]
	return ggufNumber(n.kind, n.raw[i*size:(i+1)*size])
}

func (g *ggufFile) readTensor(r *ggufReader) *ggufTensor {
	t := &ggufTensor{name: r.text("tensor name", ggufMaxName)}
	rank := r.u32()
	if rank > ggufMaxRank {
		r.fail("tensor %.80q has %d dimensions, wanted at most %d", t.name, rank, ggufMaxRank)
		return t
	}
	for range rank {
		d := r.u64()
		if r.err == nil && (d == 0 || d > math.MaxInt32) {
			r.fail("tensor %.80q has a dimension of %d, wanted 1 to %d", t.name, d, math.MaxInt32)
		}
		t.shape = append(t.shape, int(d))
	}
	slices.Reverse(t.shape)
	kind := r.u32()
	offset := r.u64()
	if r.err != nil {
		return t
	}
	if g.tensors[t.name] != nil {
		r.fail("tensor %.80q is there twice", t.name)
	}
	g.tensors[t.name] = t
	if offset > math.MaxInt64 {
		r.fail("tensor %.80q lies at byte %d of the data", t.name, offset)
	}
	t.offset = int64(offset)
	if r.err == nil {
		r.err = t.setKind(kind)
	}
	return t
}

// setKind finds how many bytes the tensor takes: its rows are whole blocks.
func (t *ggufTensor) setKind(kind uint32) error {
	var ok bool
	if t.kind, ok = ggmlTypes[kind]; !ok {
		name := ggmlOtherTypes[kind]
		if name == "" {
			name = fmt.Sprint("number ", kind)
		}
		return fault.Hint(fmt.Errorf("tensor %.80q has the type %s, wanted one of %s", t.name, name, ggmlNames()),
			"take a file of the same model in one of these, best F16 or Q8_0: the fewer bits, the worse the start")
	}
	if len(t.shape) == 0 {
		return fmt.Errorf("tensor %.80q has no dimensions", t.name)
	}
	columns := t.shape[len(t.shape)-1]
	if columns%t.kind.block != 0 {
		return fmt.Errorf("tensor %.80q has rows of %d values, wanted whole blocks of %d for %s", t.name, columns, t.kind.block, t.kind.name)
	}
	values, ok := product(t.shape)
	if !ok || values > math.MaxInt64/int64(t.kind.bytes) {
		return fmt.Errorf("tensor %.80q has the shape %v, which overflows", t.name, t.shape)
	}
	t.size = values / int64(t.kind.block) * int64(t.kind.bytes)
	return nil
}

// place turns the offsets of the tensors into places in the file, all aligned,
// inside it and apart from each other. metadata is where the metadata end.
func (g *ggufFile) place(order []*ggufTensor, file io.ReaderAt, metadata, size int64) error {
	alignment := int64(32)
	if v, ok := g.values["general.alignment"]; ok {
		a, _ := v.(int64)
		if a < 1 || a > ggufMaxAlignment || a&(a-1) != 0 {
			return fmt.Errorf("general.alignment is %v, wanted a power of two up to %d", v, ggufMaxAlignment)
		}
		alignment = a
	}
	data := (metadata + alignment - 1) / alignment * alignment
	slices.SortFunc(order, func(a, b *ggufTensor) int {
		return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.name, b.name))
	})
	var end int64
	for _, t := range order {
		if t.offset%alignment != 0 {
			return fmt.Errorf("tensor %.80q lies at byte %d of the data, wanted a multiple of %d", t.name, t.offset, alignment)
		}
		if t.offset < end {
			return fmt.Errorf("tensor %.80q lies at byte %d of the data, inside the tensor before it, which ends at %d", t.name, t.offset, end)
		}
		if room := size - data; t.offset > room || t.size > room-t.offset {
			return fault.Hint(fmt.Errorf("tensor %.80q takes %d bytes from byte %d of the data, which has %d: %w", t.name, t.size, t.offset, max(0, room), errCutShort),
				"fetch or copy the file again")
		}
		end = t.offset + t.size
		t.offset += data
		t.file = file
	}
	return nil
}

// read dequantises the values offset to offset+len(dst); both are multiples of
// the type's block.
func (t *ggufTensor) read(offset int, dst []float32) error {
	buf := chunks.Get().(*[chunkBytes]byte)
	defer chunks.Put(buf)
	most := chunkBytes / t.kind.bytes // blocks
	at := t.offset + int64(offset/t.kind.block)*int64(t.kind.bytes)
	for len(dst) > 0 {
		blocks := min(len(dst)/t.kind.block, most)
		raw := buf[:blocks*t.kind.bytes]
		if _, err := t.file.ReadAt(raw, at); err != nil {
			if err == io.EOF {
				err = errCutShort
			}
			return fmt.Errorf("tensor %.80q: %w", t.name, err)
		}
		t.kind.dequantise(dst[:blocks*t.kind.block], raw)
		dst, at = dst[blocks*t.kind.block:], at+int64(len(raw))
	}
	return nil
}
