package checkpoints

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/internal/fault"
	"lwtrain/internal/plainjson"
	"lwtrain/internal/tensorfile"
)

// Names that Hugging Face gives to the weights of a model folder.
const (
	singleFile = "model.safetensors"
	indexFile  = "model.safetensors.index.json"
)

// Bounds of a sharded model: of its index, and of the files that stay open.
const (
	maxIndex  = 64 << 20
	maxShards = 1024
)

// Weights are the tensors of a model folder or of one safetensors file. The
// files stay open until Close; nothing but their headers is in memory. Reading
// is safe for concurrent use. Files are read, not mapped into memory: a
// mapped file that someone cuts short kills the process, a read gives an error.
type Weights struct {
	entries map[string]*entry
	files   []*os.File
}

// OpenWeights opens the weights of a model folder in Hugging Face layout:
// model.safetensors, or where that is not there the shards that
// model.safetensors.index.json lists. All headers are checked, and an index
// that says something else than the shards do is refused.
func OpenWeights(dir string) (*Weights, error) {
	single, index := filepath.Join(dir, singleFile), filepath.Join(dir, indexFile)
	if exists(single) {
		return OpenSafetensors(single)
	}
	if exists(index) {
		w, err := openSharded(dir, index)
		return w, fault.Usage(err)
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, fault.Usage(err)
	}
	err := fmt.Errorf("%s: no weights, want %s or %s", dir, singleFile, indexFile)
	return nil, fault.Usage(fault.Hint(err, otherWeights(dir)))
}

// OpenSafetensors opens one safetensors file.
func OpenSafetensors(path string) (*Weights, error) {
	w := &Weights{entries: make(map[string]*entry)}
	entries, err := w.open(path)
	if err != nil {
		w.Close()
		return nil, fault.Usage(err)
	}
	w.entries = entries
	return w, nil
}

// HasWeights reports whether a folder holds safetensors under the names that
// Hugging Face gives them.
func HasWeights(dir string) bool {
	return exists(filepath.Join(dir, singleFile)) || exists(filepath.Join(dir, indexFile))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// otherWeights is the way out for a folder with weights in another form.
func otherWeights(dir string) string {
	for _, other := range []struct{ pattern, hint string }{
		{"*.gguf", "there is a .gguf file; import it first"},
		{"*.bin", "there is a .bin file, which can run code when it is loaded; save the model with safe_serialization=True instead"},
	} {
		if found, _ := fs.Glob(os.DirFS(dir), other.pattern); len(found) > 0 {
			return other.hint
		}
	}
	return ""
}

func (w *Weights) open(path string) (map[string]*entry, error) {
	f, size, err := tensorfile.Open(path)
	if err != nil {
		return nil, err
	}
	w.files = append(w.files, f)
	entries, err := readHeader(f, size)
	if errors.Is(err, tensorfile.ErrCutShort) {
		err = fault.Hint(err, "fetch or copy the file again")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, e := range entries {
		e.path = path
	}
	return entries, nil
}

// openSharded opens the shards of an index and holds the two against each
// other. The index's total_size is not looked at: published models are often
// wrong about it.
func openSharded(dir, index string) (*Weights, error) {
	weightMap, err := readIndex(index)
	if err != nil {
		return nil, plainjson.In(index, err)
	}
	w := &Weights{entries: make(map[string]*entry, len(weightMap))}
	err = func() error {
		for _, shard := range shardsOf(weightMap) {
			entries, err := w.open(filepath.Join(dir, shard))
			if errors.Is(err, fs.ErrNotExist) {
				return fault.Hint(fmt.Errorf("%s: lists %s, which is not there", index, shard), "fetch or copy the folder again")
			}
			if err != nil {
				return err
			}
			for _, name := range slices.Sorted(maps.Keys(entries)) {
				if listed, ok := weightMap[name]; !ok {
					return fmt.Errorf("%s: does not list tensor %.80q, which %s holds", index, name, shard)
				} else if listed != shard {
					return fmt.Errorf("%s: tensor %.80q is in %s by the index and in %s by the files", index, name, listed, shard)
				}
				w.entries[name] = entries[name]
			}
		}
		for _, name := range slices.Sorted(maps.Keys(weightMap)) {
			if w.entries[name] == nil {
				return fmt.Errorf("%s: tensor %.80q is in %s by the index, which does not hold it", index, name, weightMap[name])
			}
		}
		return nil
	}()
	if err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

func shardsOf(weightMap map[string]string) []string {
	return slices.Compact(slices.Sorted(maps.Values(weightMap)))
}

// readIndex reads which shard holds which tensor. A shard must be a plain name
// of the same folder: an index must not lead anywhere else.
func readIndex(path string) (map[string]string, error) {
	f, size, err := tensorfile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > maxIndex {
		return nil, fmt.Errorf("%d bytes, want at most %d", size, maxIndex)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxIndex))
	if err != nil {
		return nil, err
	}
	return parseIndex(data)
}

func parseIndex(data []byte) (map[string]string, error) {
	if !plainjson.Within(data, maxValues) {
		return nil, fmt.Errorf("more than %d values, want fewer", maxValues)
	}
	var weightMap map[string]string
	dec := json.NewDecoder(bytes.NewReader(data))
	err := eachKey(dec, func(key string) error {
		if key != "weight_map" {
			var ignored json.RawMessage
			return dec.Decode(&ignored)
		}
		if weightMap != nil {
			return errors.New("weight_map is there twice")
		}
		weightMap = make(map[string]string)
		return eachKey(dec, func(name string) error {
			if _, twice := weightMap[name]; twice {
				return fmt.Errorf("tensor %.80q is there twice", name)
			}
			var shard string
			if err := dec.Decode(&shard); err != nil {
				return fmt.Errorf("tensor %.80q: %w", name, plainjson.InWords(nil, err))
			}
			if !filepath.IsLocal(shard) || strings.ContainsAny(shard, `/\:`) || !strings.HasSuffix(shard, ".safetensors") {
				return fmt.Errorf("tensor %.80q is in %.80q, want a .safetensors file of the same folder", name, shard)
			}
			weightMap[name] = shard
			return nil
		})
	})
	if err != nil {
		return nil, plainjson.OnLine(1+bytes.Count(data[:dec.InputOffset()], []byte("\n")), plainjson.InWords(data, err))
	}
	if len(weightMap) == 0 {
		return nil, errors.New("no weight_map")
	}
	if n := len(shardsOf(weightMap)); n > maxShards {
		return nil, fmt.Errorf("%d shards, want at most %d", n, maxShards)
	}
	return weightMap, nil
}

// Names lists the tensors in the order of their names.
func (w *Weights) Names() []string { return slices.Sorted(maps.Keys(w.entries)) }

// Info describes a tensor; false if there is none of that name.
func (w *Weights) Info(name string) (Info, bool) {
	e := w.entries[name]
	if e == nil {
		return Info{}, false
	}
	info := e.Info
	info.Shape = slices.Clone(info.Shape)
	return info, true
}

// Path is the file that a tensor lies in; "" if there is none of that name.
func (w *Weights) Path(name string) string {
	if e := w.entries[name]; e != nil {
		return e.path
	}
	return ""
}

// Raw is a tensor as the files have it: its bytes, in its own dtype, are read once, while the
// files are open. false if there is none of that name.
func (w *Weights) Raw(name string) (Stream, bool) {
	e := w.entries[name]
	if e == nil {
		return Stream{}, false
	}
	raw := io.NewSectionReader(e.file, e.begin, e.end-e.begin)
	return Stream{Name: name, Shape: slices.Clone(e.Shape), raw: raw, dtype: e.DType}, true
}

// Read fills dst with all values of a tensor in row-major order, converted to
// float32: F32, F16 and BF16 exactly, F64 rounded to the nearest, F8_E4M3 with a tensor of
// scales beside it by those. Any other dtype is an error, and so is a dst that is not as long as
// the tensor.
func (w *Weights) Read(name string, dst []float32) error {
	if e := w.entries[name]; e != nil && len(dst) != e.elements() {
		return fmt.Errorf("%s: tensor %s has %d values, the memory for it %d", e.path, name, e.elements(), len(dst))
	}
	return w.ReadAt(name, 0, dst)
}

// ReadAt is [Weights.Read] for the values offset to offset+len(dst), so that
// several goroutines can share a large tensor.
func (w *Weights) ReadAt(name string, offset int, dst []float32) error {
	e := w.entries[name]
	if e == nil {
		return fmt.Errorf("no tensor %s", name)
	}
	if scales := w.scalesOf(name); scales != nil {
		return w.readScaled(e, scales, offset, dst)
	}
	if !tensorfile.IsFloat(e.DType) {
		return fault.Hint(fmt.Errorf("%s: tensor %s has dtype %s, want F32, BF16, F16 or F64", e.path, name, e.DType),
			"quantised weights are not implemented: take the model as it was before")
	}
	return e.read(offset, dst)
}

// read decodes values of a tensor.
func (e *entry) read(offset int, dst []float32) error {
	if offset < 0 || offset > e.elements() || len(dst) > e.elements()-offset {
		return fmt.Errorf("%s: values %d to %d of tensor %s, which has %d", e.path, offset, offset+len(dst), e.Name, e.elements())
	}
	size := tensorfile.Size(e.DType)
	err := tensorfile.Read(e.file, e.begin+int64(offset)*int64(size), dst, 1, size, func(dst []float32, src []byte) {
		tensorfile.Decode(dst, src, e.DType)
	})
	if err == tensorfile.ErrCutShort {
		err = changedSince(err)
	}
	if err != nil {
		return fmt.Errorf("%s: tensor %s: %w", e.path, e.Name, err)
	}
	return nil
}

func changedSince(err error) error {
	return fault.Hint(err, "another program changed it after it was opened")
}

// ReadHalfAt is [Weights.ReadAt] for a tensor that is bf16 in the file, as it is there.
func (w *Weights) ReadHalfAt(name string, offset int, dst []uint16) error {
	e := w.entries[name]
	switch {
	case e == nil:
		return fmt.Errorf("no tensor %s", name)
	case e.DType != "BF16":
		return fmt.Errorf("%s: tensor %s has dtype %s, want BF16", e.path, name, e.DType)
	case offset < 0 || offset > e.elements() || len(dst) > e.elements()-offset:
		return fmt.Errorf("%s: values %d to %d of tensor %s, which has %d", e.path, offset, offset+len(dst), name, e.elements())
	}
	// Straight to where the values are to be: a copy would take as long as reading does.
	_, err := e.file.ReadAt(tensorfile.Bytes(dst), e.begin+2*int64(offset))
	if err == io.EOF {
		err = changedSince(tensorfile.ErrCutShort)
	}
	if err != nil {
		return fmt.Errorf("%s: tensor %s: %w", e.path, name, err)
	}
	return nil
}

// Same reports whether two tensors hold the same values. It reads no further than to the
// first that differs.
func (w *Weights) Same(a, b string) (bool, error) {
	const most = 1 << 18 // values at a time
	x, y := w.entries[a], w.entries[b]
	if x == nil || y == nil || x.elements() != y.elements() {
		return false, nil
	}
	var parts [2][]float32
	for at := 0; at < x.elements(); at += most {
		for i, name := range []string{a, b} {
			parts[i] = append(parts[i][:0], make([]float32, min(most, x.elements()-at))...)
			if err := w.ReadAt(name, at, parts[i]); err != nil {
				return false, err
			}
		}
		if !slices.Equal(parts[0], parts[1]) {
			return false, nil
		}
	}
	return true, nil
}

// Close closes the files. Reads after it fail.
func (w *Weights) Close() error {
	var errs []error
	for _, f := range w.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
