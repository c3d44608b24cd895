package checkpoints

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"

	"lwtrain/internal/atomicfile"
	"lwtrain/internal/plainjson"
	"lwtrain/internal/tensorfile"
)

// Tensor is a named array in row-major order; Data is as long as the product
// of Shape.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// Stream is a tensor whose values are made while they are written. Read fills dst
// with the values from offset on; it is called with rising offsets, each a
// multiple of [StreamChunk].
type Stream struct {
	Name  string
	Shape []int
	Read  func(offset int, dst []float32) error

	// raw, where it is there, is the tensor as bytes of dtype, whatever the others are
	// written in: [Weights.Raw].
	raw   io.Reader
	dtype string
}

// in is the dtype that a stream is written as in a file of the given one.
func (s Stream) in(dtype string) string {
	if s.raw != nil {
		return s.dtype
	}
	return dtype
}

// Size is how many bytes the tensor takes in a file of a dtype.
func (s Stream) Size(dtype string) int64 {
	n, _ := tensorfile.Product(s.Shape)
	return n * int64(tensorfile.Size(s.in(dtype)))
}

// StreamChunk is how many values a [Stream] is asked for at once, at most.
const StreamChunk = tensorfile.ChunkBytes / 4

// Stream is the tensor as a [Stream].
func (t Tensor) Stream() Stream {
	return Stream{Name: t.Name, Shape: t.Shape, Read: func(offset int, dst []float32) error {
		copy(dst, t.Data[offset:])
		return nil
	}}
}

// StreamSafetensors writes tensors to a safetensors file of dtype F32 or BF16
// (rounded to the nearest, ties to even), whole or not at all. Hugging Face
// expects metadata {"format": "pt"} in the files of a model. The bytes follow
// from the tensors alone, whatever their order in the list: they are those that the format's
// reference implementation writes.
func StreamSafetensors(path, dtype string, tensors []Stream, metadata map[string]string) error {
	return writeStreams(path, dtype, tensors, metadata, nil)
}

// StreamWeights writes the weights of a model into dir under the names that
// Hugging Face gives them: model.safetensors, or shards of at most maxShard
// bytes of data each and model.safetensors.index.json. A tensor larger than
// maxShard gets a shard of its own; with maxShard 0 there is one file. The
// index is written last: a folder without it, after a crash, has no weights.
// progress, which may be nil, is told the bytes written. Tensors of [Weights.Raw] keep
// their own dtype.
func StreamWeights(dir, dtype string, all []Stream, maxShard int64, progress func(done, total int64)) error {
	metadata := map[string]string{"format": "pt"}
	var shards [][]Stream
	var used, total int64
	for i, s := range slices.SortedFunc(slices.Values(all), func(a, b Stream) int { return cmp.Compare(a.Name, b.Name) }) {
		size := s.Size(dtype)
		if i == 0 || maxShard > 0 && used > 0 && used+size > maxShard {
			shards = append(shards, nil)
			used = 0
		}
		shards[len(shards)-1] = append(shards[len(shards)-1], s)
		used += size
		total += size
	}
	var done int64
	wrote := func(bytes int) {
		if done += int64(bytes); progress != nil {
			progress(done, total)
		}
	}
	if len(shards) <= 1 {
		return writeStreams(filepath.Join(dir, singleFile), dtype, all, metadata, wrote)
	}
	weightMap := make(map[string]string)
	for i, shard := range shards {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		if err := writeStreams(filepath.Join(dir, name), dtype, shard, metadata, wrote); err != nil {
			return err
		}
		for _, s := range shard {
			weightMap[s.Name] = name
		}
	}
	index, err := plainjson.MarshalFile(map[string]any{"metadata": map[string]any{"total_size": total}, "weight_map": weightMap})
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(dir, indexFile), index)
}

// order is that of dtypes in a file of the format's reference implementation, the widest first, so
// that all values lie at multiples of their size.
var order = []string{"U64", "I64", "F64", "C64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16", "F8_E8M0", "F8_E4M3", "F8_E5M2", "I8",
	"U8", "BOOL"}

// sortStreams brings the tensors of a file into the order of dtypes, and of names.
func sortStreams(all []Stream, dtype string) []Stream {
	return slices.SortedFunc(slices.Values(all), func(a, b Stream) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.in(dtype)), slices.Index(order, b.in(dtype))), cmp.Compare(a.Name, b.Name))
	})
}

// writeStreams writes a file; wrote, which may be nil, is told of each chunk
// of data.
func writeStreams(path, dtype string, all []Stream, metadata map[string]string, wrote func(bytes int)) error {
	if dtype != "F32" && dtype != "BF16" {
		return fmt.Errorf("%s: dtype is %q, want F32 or BF16", path, dtype)
	}
	all = sortStreams(all, dtype)
	header, err := buildHeader(dtype, all, metadata)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	err = atomicfile.Write(path, func(w io.Writer) error {
		if _, err := w.Write(header); err != nil {
			return err
		}
		values, raw := make([]float32, StreamChunk), make([]byte, tensorfile.ChunkBytes)
		for _, s := range all {
			if err := s.write(w, dtype, values, raw, wrote); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (s Stream) write(w io.Writer, dtype string, values []float32, raw []byte, wrote func(bytes int)) error {
	n, _ := tensorfile.Product(s.Shape)
	if s.raw != nil {
		return s.copy(w, n*int64(tensorfile.Size(s.dtype)), raw, wrote)
	}
	for at := 0; at < int(n); at += len(values) {
		part := values[:min(len(values), int(n)-at)]
		if err := s.Read(at, part); err != nil {
			return fmt.Errorf("tensor %s: %w", s.Name, err)
		}
		out := raw[:len(part)*tensorfile.Size(dtype)]
		tensorfile.Encode(out, part, dtype)
		if _, err := w.Write(out); err != nil {
			return err
		}
		if wrote != nil {
			wrote(len(out))
		}
	}
	return nil
}

// Bytes writes the tensor as a file of float32 has it, or in its own dtype where it is of [Weights.Raw].
func (s Stream) Bytes(w io.Writer) error {
	return s.write(w, "F32", make([]float32, StreamChunk), make([]byte, tensorfile.ChunkBytes), nil)
}

// copy writes size bytes of a tensor as they are.
func (s Stream) copy(w io.Writer, size int64, buf []byte, wrote func(bytes int)) error {
	for left := size; left > 0; {
		part := buf[:min(int64(len(buf)), left)]
		if _, err := io.ReadFull(s.raw, part); err != nil {
			return fmt.Errorf("tensor %s: %w", s.Name, err)
		}
		if _, err := w.Write(part); err != nil {
			return err
		}
		if wrote != nil {
			wrote(len(part))
		}
		left -= int64(len(part))
	}
	return nil
}

// buildHeader makes the length and the JSON, padded with spaces so that the
// data start at a multiple of 8.
func buildHeader(dtype string, sorted []Stream, metadata map[string]string) ([]byte, error) {
	var b bytes.Buffer
	b.Write(make([]byte, 8))
	b.WriteByte('{')
	if metadata != nil {
		fmt.Fprintf(&b, "%s:{", plainjson.Quote(metadataKey))
		for i, key := range slices.Sorted(maps.Keys(metadata)) {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "%s:%s", plainjson.Quote(key), plainjson.Quote(metadata[key]))
		}
		b.WriteByte('}')
	}
	var at int64
	taken := map[string]bool{metadataKey: true}
	for _, s := range sorted {
		if taken[s.Name] {
			return nil, fmt.Errorf("tensor %s: the name is taken", s.Name)
		}
		taken[s.Name] = true
		dtype := s.in(dtype)
		size, ok := tensorfile.Product(append([]int{tensorfile.Size(dtype)}, s.Shape...))
		if !ok {
			return nil, fmt.Errorf("tensor %s: shape %v overflows", s.Name, s.Shape)
		}
		if b.Len() > 9 {
			b.WriteByte(',')
		}
		shape, err := json.Marshal(append([]int{}, s.Shape...))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, `%s:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`, plainjson.Quote(s.Name), dtype, shape, at, at+size)
		at += size
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	if n := b.Len() - 8; n > maxHeader {
		return nil, fmt.Errorf("header of %d bytes, the format allows %d", n, maxHeader)
	}
	binary.LittleEndian.PutUint64(b.Bytes(), uint64(b.Len()-8))
	return b.Bytes(), nil
}
