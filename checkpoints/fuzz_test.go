package checkpoints

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"lwtrain/internal/plainjson"
	"lwtrain/internal/tensorfile"
)

// fuzzLimit bounds how many values a fuzz target reads of one tensor.
const fuzzLimit = 1 << 16

func FuzzSafetensors(f *testing.F) {
	for _, path := range []string{"testdata/f32.safetensors", "testdata/bf16.safetensors", "testdata/dtypes.safetensors"} {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(file(`{"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[0,4],"data_offsets":[0,0]}}`, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := readHeader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		// What passes owns every byte of the data, once, and can be read.
		var owned int64
		w := &Weights{entries: entries}
		for name, e := range entries {
			owned += e.end - e.begin
			if !tensorfile.IsFloat(e.DType) {
				continue
			}
			if err := w.ReadAt(name, 0, make([]float32, min(e.elements(), fuzzLimit))); err != nil {
				t.Fatal(err)
			}
		}
		if header := int64(len(data)) - owned; header < 8 {
			t.Fatalf("%d bytes of tensors in a file of %d", owned, len(data))
		}
	})
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":8},"weight_map":{"a":"model-00001-of-00002.safetensors"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		weightMap, err := parseIndex(data)
		if err != nil {
			return
		}
		for _, shard := range weightMap {
			if filepath.Base(shard) != shard || filepath.Dir(filepath.Join("dir", shard)) != "dir" {
				t.Fatalf("shard %q leads out of its folder", shard)
			}
		}
	})
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"format":"lwtrain ` +
		`checkpoint","version":1,"step":7,"files":[{"name":"a/b","size":3,` +
		`"sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseManifest(data)
		if err != nil {
			return
		}
		for _, file := range m.Files {
			if rel, err := filepath.Rel("dir", filepath.Join("dir", filepath.FromSlash(file.Name))); err != nil || !filepath.IsLocal(rel) ||
				rel == "." {
				t.Fatalf("%q leads out of its folder", file.Name)
			}
		}
		text, err := plainjson.MarshalFile(m)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseManifest(text)
		if err != nil || again.Step != m.Step || !slices.Equal(again.Files, m.Files) {
			t.Fatalf("written and read again: %+v, %v", again, err)
		}
	})
}

// saveNow waits for a save whose files write writes all.
func saveNow(d disk, root string, step int, write func(dir string) error) (string, error) {
	s, err := d.save(root, step, func(dir string) (func() error, error) { return nil, write(dir) })
	if err != nil {
		return "", err
	}
	return s.Wait()
}
