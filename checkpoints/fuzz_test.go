package checkpoints

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
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
			if !isFloat(e.DType) {
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

func FuzzGGUF(f *testing.F) {
	// Small seeds: the fuzzer spends its time on making large ones smaller.
	f.Add(smallModel().Bytes())
	blocks := newGGUF(3, uint64(len(ggmlTypes)), 1).text("general.alignment").num(ggufUint32, 16)
	at := 0
	for _, id := range slices.Sorted(maps.Keys(ggmlTypes)) {
		kind := ggmlTypes[id]
		blocks.tensor(kind.name, int(id), uint64(at), uint64(kind.block))
		at += (kind.bytes + 15) / 16 * 16
	}
	f.Add(blocks.data(at).Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := parseGGUF(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		for _, x := range g.tensors {
			n, _ := product(x.shape)
			if err := x.read(0, make([]float32, min(int(n), fuzzLimit/x.kind.block*x.kind.block))); err != nil {
				t.Fatal(err)
			}
		}
		m, err := planImport(g)
		if err != nil {
			return
		}
		for name, content := range m.files {
			if filepath.Ext(name) == ".json" && !json.Valid(content) {
				t.Fatalf("%s is not valid json", name)
			}
		}
		for _, s := range m.tensors {
			n, _ := product(s.shape)
			if err := s.read(0, make([]float32, min(int(n), chunkValues))); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// smallModel is a GGUF file that can be imported, as small as it gets.
func smallModel() *ggufBuilder {
	texts := [][2]string{{"general.architecture", "llama"}, {"tokenizer.ggml.model", "gpt2"}, {"tokenizer.ggml.pre", "smollm"}}
	sizes := []string{"embedding_length", "feed_forward_length", "block_count", "attention.head_count", "attention.head_count_kv", "context_length"}
	b := newGGUF(3, 11, uint64(len(texts)+len(sizes)+5))
	for _, kv := range texts {
		b.text(kv[0]).num(ggufString).text(kv[1])
	}
	for i, key := range sizes {
		b.text("llama."+key).num(ggufUint32, []int{2, 1, 1, 1, 1, 8}[i])
	}
	b.text("llama.attention.layer_norm_rms_epsilon").num(ggufFloat32, float32(1e-5))
	b.text("tokenizer.ggml.tokens").num(ggufArray, ggufString, uint64(4)).text("a").text("b").text("ab").text("<e>")
	b.text("tokenizer.ggml.token_type").num(ggufArray, ggufInt32, uint64(4), 1, 1, 1, 3)
	b.text("tokenizer.ggml.merges").num(ggufArray, ggufString, uint64(1)).text("a b")
	b.text("tokenizer.ggml.eos_token_id").num(ggufUint32, 3)
	at := 0
	for _, x := range []struct {
		name string
		dims []uint64
	}{
		{"token_embd", []uint64{2, 4}}, {"output_norm", []uint64{2}}, {"blk.0.attn_norm", []uint64{2}}, {"blk.0.ffn_norm", []uint64{2}},
		{"blk.0.attn_q", []uint64{2, 2}}, {"blk.0.attn_k", []uint64{2, 2}}, {"blk.0.attn_v", []uint64{2, 2}}, {"blk.0.attn_output", []uint64{2, 2}},
		{"blk.0.ffn_gate", []uint64{2, 1}}, {"blk.0.ffn_up", []uint64{2, 1}}, {"blk.0.ffn_down", []uint64{1, 2}},
	} {
		b.tensor(x.name+".weight", 0, uint64(at), x.dims...)
		at += 32
	}
	return b.data(at)
}

func TestTheSmallestModelIsImported(t *testing.T) {
	b := smallModel()
	g, err := parseGGUF(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := planImport(g); err != nil || len(m.tensors) != 11 {
		t.Errorf("%v", err)
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"format":"lwtrain checkpoint","version":1,"step":7,"files":[{"name":"a/b","size":3,"sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseManifest(data)
		if err != nil {
			return
		}
		for _, file := range m.Files {
			if rel, err := filepath.Rel("dir", filepath.Join("dir", filepath.FromSlash(file.Name))); err != nil || !filepath.IsLocal(rel) || rel == "." {
				t.Fatalf("%q leads out of its folder", file.Name)
			}
		}
		text, err := encodeJSON(m)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseManifest(text)
		if err != nil || again.Step != m.Step || !slices.Equal(again.Files, m.Files) {
			t.Fatalf("written and read again: %+v, %v", again, err)
		}
	})
}
