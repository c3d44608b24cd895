package convert

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
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
			err := s.Read(0, make([]float32, min(int(n), checkpoints.StreamChunk)))
			if err != nil && !strings.HasSuffix(s.Name, ".A_log") { // the logarithm of what the file says
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

func TestRatesOfForgettingThatHaveNoLogarithmAreRefused(t *testing.T) {
	g := parseFile(t, "testdata/tiny-qwen35.gguf")
	g.Tensors["blk.0.ssm_a"] = g.Tensors["blk.0.ssm_dt.bias"]
	m, err := plan(g)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range m.tensors {
		if s.Name == "model.layers.0.linear_attn.A_log" {
			if err = s.Read(0, make([]float32, 6)); err == nil || !strings.HasSuffix(err.Error(), ", want a number below 0") {
				t.Errorf("error %v, want that a number below 0 is wanted", err)
			}
		}
	}
}
