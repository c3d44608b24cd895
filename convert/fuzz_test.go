package convert

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"lwtrain/checkpoints"
	"lwtrain/internal/gguf"
	"lwtrain/internal/tensorfile"
)

func FuzzGGUF(f *testing.F) {
	// A small seed: the fuzzer spends its time on making large ones smaller.
	data, err := os.ReadFile("testdata/smallest.gguf")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := gguf.Parse(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		m, err := plan(g)
		if err != nil {
			return
		}
		for name, content := range m.files {
			if filepath.Ext(name) == ".json" && !json.Valid(content) {
				t.Fatalf("%s is not valid json", name)
			}
		}
		for _, s := range m.tensors {
			n, _ := tensorfile.Product(s.Shape)
			if err := s.Read(0, make([]float32, min(int(n), checkpoints.StreamChunk))); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestTheSmallestModelIsImported(t *testing.T) {
	if m, err := plan(parseFile(t, "testdata/smallest.gguf")); err != nil || len(m.tensors) != 11 {
		t.Errorf("%v", err)
	}
}
