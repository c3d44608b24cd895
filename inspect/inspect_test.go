package inspect

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/checkpoints"
	"lwtrain/checkpoints/checkpointstest"
	"lwtrain/internal/fault"
)

func TestTheValuesOfAModelAreCountedByPart(t *testing.T) {
	const hidden, ffn, vocab, layers = 32, 48, 96, 2 // of all forms in model/testdata
	for name, want := range map[string]Parts{
		// q, k, v and o: 4 heads and 2 of keys and values of 16 or 8
		"llama-tied": {Embedding: vocab * hidden, MLP: layers * 3 * hidden * ffn, Norms: (2*layers + 1) * hidden},
		"qwen3": {Embedding: vocab * hidden, Attention: layers * hidden * 16 * (4 + 2 + 2 + 4), MLP: layers * 3 * hidden * ffn,
			Norms: (2*layers+1)*hidden + layers*2*16},
		"glm4": {Embedding: vocab * hidden, Attention: layers * (hidden*16*12 + 16*8), MLP: layers * 3 * hidden * ffn,
			Norms: (4*layers + 1) * hidden, Head: vocab * hidden},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Read(filepath.Join("..", "model", "testdata", name))
			if err != nil || r.Kind != "folder" || r.Family != r.Config.Type || r.Context != 256 {
				t.Fatalf("%+v, %v", r, err)
			}
			if want.Attention == 0 {
				want.Attention = r.Parts.Attention
			}
			want.Total = want.Embedding + want.Attention + want.MLP + want.Norms + want.Head
			if *r.Parts != want || r.Parts.Total != r.Config.Parameters() {
				t.Errorf("got %+v, want %+v", *r.Parts, want)
			}
			if n := r.Tensors.Values; n != r.Parts.Total || r.Tensors.Bytes != 4*n || r.Types["F32"].Count != len(r.Tensors.List) {
				t.Errorf("%d values of %d in %d bytes", n, r.Parts.Total, r.Tensors.Bytes)
			}
			if named := partsByName(r.Tensors.List); named.Total != r.Parts.Total || named.Embedding != want.Embedding ||
				named.Attention+named.Norms != want.Attention+want.Norms || named.MLP != want.MLP || named.Other != 0 {
				t.Errorf("by names %+v, want %+v", *named, want)
			}
		})
	}
}

func TestAGGUFFileIsReadAsItsFolderWouldBe(t *testing.T) {
	r, err := Read("../convert/testdata/tiny-qwen2.gguf")
	if err != nil || r.Kind != "gguf" || r.Family != "qwen2" || r.Context != 512 || len(r.Refused) > 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if r.Tokenizer.Vocabulary != 335 || r.Tokenizer.Special["eos_token"] != "<|im_end|>" || r.Template.Stop[0] != "<|im_end|>" {
		t.Errorf("%+v, %+v", r.Tokenizer, r.Template)
	}
	if r.Types["Q5_1"].Count != 12 || r.Types["Q5_1"].Bytes != 16896/32*24 {
		t.Errorf("%+v, want 24 bytes for each 32 values", r.Types["Q5_1"])
	}
}

func TestWhatIsNotImplementedIsToldAndWhatIsBrokenIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		config string
		family string // of a model that is refused
		want   string // in why, or in the error
	}{
		"a mixture of experts": {`{"model_type": "mixtral", "max_position_embeddings": 99}`, "mixtral", "model_type"},
		"a window of attention": {
			`{"model_type": "llama", "use_sliding_window": true, "max_position_embeddings": 99}`, "llama", "use_sliding_window",
		},
		"no JSON":          {`{`, "", "config.json"},
		"impossible sizes": {`{"model_type": "llama", "hidden_size": -1}`, "", "hidden_size is -1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(c.config), 0o644); err != nil {
				t.Fatal(err)
			}
			r, err := Read(dir)
			if c.family == "" {
				if err == nil || !fault.IsUsage(err) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want an error with %q", err, c.want)
				}
				return
			}
			if err != nil || r.Config != nil || r.Family != c.family || r.Context != 99 {
				t.Fatalf("%+v, %v", r, err)
			}
			if f := r.Refused[0]; f.Part != "model" || !strings.Contains(f.Why, c.want) || f.Hint == "" {
				t.Errorf("%+v, want %q and a hint", f, c.want)
			}
		})
	}
}

func TestTensorsOfUnknownModelsAreCountedByTheirNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	var all []checkpoints.Tensor
	for i, name := range []string{
		"transformer.wte.weight", "transformer.h.0.attn.c_attn.weight", "transformer.h.0.mlp.c_fc.weight", "transformer.h.0.ln_1.weight",
		"lm_head.weight", "model.layers.0.block_sparse_moe.experts.0.w1.weight", "visual.patch",
	} {
		all = append(all, checkpoints.Tensor{Name: name, Shape: []int{1 << i}, Data: make([]float32, 1<<i)})
	}
	if err := checkpoints.StreamSafetensors(path, "F32", checkpointstest.Streams(all), nil); err != nil {
		t.Fatal(err)
	}
	r, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Parts{127, 1, 2, 4 + 32, 8, 16, 64}); *r.Parts != want || r.Kind != "safetensors" || r.Sizes != nil {
		t.Errorf("%+v, want %+v", *r.Parts, want)
	}
}
