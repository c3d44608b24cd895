package convert

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lwtrain/checkpoints"
	"lwtrain/internal/fault"
	"lwtrain/internal/fault/faulttest"
	"lwtrain/internal/gguf"
	"lwtrain/internal/tensorfile"
	"lwtrain/tokenizer"
)

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func parseFile(t *testing.T, path string) *gguf.File {
	t.Helper()
	data := readFile(t, path)
	g, err := gguf.Parse(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// goldenImport is what an import must give; testdata/golden.py makes it.
type goldenImport struct {
	File    string            `json:"file"`
	SHA256  string            `json:"sha256"`
	Tensors map[string]string `json:"tensors"`
	Vectors []struct {
		Text string  `json:"text"`
		IDs  []int32 `json:"ids"`
	} `json:"vectors"`
}

func readGolden(t *testing.T, path string) (g goldenImport) {
	t.Helper()
	if err := json.Unmarshal(readFile(t, path), &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// checkTensors compares the SHA-256 of every tensor.
func checkTensors(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	w, err := checkpoints.OpenWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if names := slices.Sorted(maps.Keys(want)); !slices.Equal(w.Names(), names) {
		t.Fatalf("tensors %v, want %v", w.Names(), names)
	}
	for name, sum := range want {
		info, _ := w.Info(name)
		n, _ := tensorfile.Product(info.Shape)
		values, raw := make([]float32, n), make([]byte, 4*n)
		if err := w.Read(name, values); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".A_log") { // has passed through its power
			for i, v := range values {
				values[i] = float32(math.Round(float64(v)*64) / 64)
			}
		}
		tensorfile.Encode(raw, values, "F32")
		if have := sha256.Sum256(raw); hex.EncodeToString(have[:]) != sum {
			t.Errorf("tensor %s differs from the reference implementation's", name)
		}
	}
}

var files = []string{"tiny-smollm", "tiny-llama31", "tiny-qwen2", "tiny-lfm2", "tiny-qwen35", "tiny-qwen35-next"}

func TestImportGivesTheReferenceWeightsAndIDs(t *testing.T) {
	for _, family := range files {
		t.Run(family, func(t *testing.T) {
			golden := readGolden(t, "testdata/"+family+".json")
			dir := filepath.Join(t.TempDir(), "models", family)
			var reports []int64
			err := FromGGUF("testdata/"+family+".gguf", dir, func(done, total int64) {
				reports = append(reports, done, total)
			})
			if err != nil {
				t.Fatal(err)
			}
			checkTensors(t, dir, golden.Tensors)
			info, err := os.Stat(filepath.Join(dir, "model.safetensors"))
			if n := len(reports); err != nil || n == 0 || reports[n-2] != reports[n-1] || reports[n-1] >= info.Size() ||
				reports[n-1] < info.Size()-1<<14 {
				t.Errorf("progress %v for a file of %d bytes", reports, info.Size())
			}
			tok, err := tokenizer.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range golden.Vectors {
				if have := tok.Encode(v.Text); !slices.Equal(have, v.IDs) {
					t.Errorf("%q has the ids %v, want %v", v.Text, have, v.IDs)
				}
			}
		})
	}
}

func TestImportWritesTheConfigsOfEachFamily(t *testing.T) {
	for _, c := range []struct{ family, file, want string }{
		{"tiny-smollm", "config.json", `{"architectures":["LlamaForCausalLM"],"attention_bias":false,"attention_dropout":0.0,
			"bos_token_id":1,"eos_token_id":2,"head_dim":8,
			"hidden_act":"silu","hidden_size":32,"initializer_range":0.02,"intermediate_size":64,"max_position_embeddings":512,
			"mlp_bias":false,"model_type":"llama",
			"num_attention_heads":4,"num_hidden_layers":2,"num_key_value_heads":2,"rms_norm_eps":1e-05,"rope_scaling":null,
			"rope_theta":100000.0,"tie_word_embeddings":true,
			"torch_dtype":"float32","use_cache":true,"vocab_size":330}`},
		{"tiny-smollm", "generation_config.json", `{"bos_token_id":1,"eos_token_id":2,"pad_token_id":2}`},
		{"tiny-smollm", "special_tokens_map.json",
			`{"bos_token":"<|im_start|>","eos_token":"<|im_end|>","pad_token":"<|im_end|>","unk_token":"<|endoftext|>"}`},
		{"tiny-llama31", "config.json", `{"architectures":["LlamaForCausalLM"],"attention_bias":false,"attention_dropout":0.0,
			"bos_token_id":330,"eos_token_id":[331,332],"head_dim":8,
			"hidden_act":"silu","hidden_size":32,"initializer_range":0.02,"intermediate_size":64,"max_position_embeddings":512,
			"mlp_bias":false,"model_type":"llama",
			"num_attention_heads":4,"num_hidden_layers":2,"num_key_value_heads":2,"rms_norm_eps":1e-05,
			"rope_scaling":{"factor":8.0,"high_freq_factor":4.0,"low_freq_factor":1.0,"original_max_position_embeddings":8192,
			"rope_type":"llama3"},
			"rope_theta":500000.0,"tie_word_embeddings":false,"torch_dtype":"float32","use_cache":true,"vocab_size":333}`},
		{"tiny-llama31", "generation_config.json", `{"bos_token_id":330,"eos_token_id":[331,332]}`},
		{"tiny-qwen2", "config.json", `{"architectures":["Qwen2ForCausalLM"],"attention_dropout":0.0,"eos_token_id":332,
			"hidden_act":"silu","hidden_size":32,"initializer_range":0.02,
			"intermediate_size":64,"max_position_embeddings":512,"model_type":"qwen2","num_attention_heads":4,"num_hidden_layers":2,
			"num_key_value_heads":2,"rms_norm_eps":1e-05,
			"rope_scaling":null,"rope_theta":1000000.0,"tie_word_embeddings":true,"torch_dtype":"float32","use_cache":true,
			"use_sliding_window":false,"vocab_size":340}`},
		{"tiny-qwen2", "special_tokens_map.json", `{"eos_token":"<|im_end|>","pad_token":"<|endoftext|>"}`},
	} {
		t.Run(c.family+" "+c.file, func(t *testing.T) {
			m, err := plan(parseFile(t, "testdata/"+c.family+".gguf"))
			if err != nil {
				t.Fatal(err)
			}
			var have, want bytes.Buffer
			if err := errors.Join(json.Compact(&have, m.files[c.file]), json.Compact(&want, []byte(c.want))); err != nil {
				t.Fatal(err)
			}
			if have.String() != want.String() {
				t.Errorf("\n%s\nwant\n%s", have.String(), want.String())
			}
		})
	}
}

func TestTheChatTemplateIsKeptByteForByte(t *testing.T) {
	g := parseFile(t, "testdata/tiny-smollm.gguf")
	m, err := plan(g)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Template string `json:"chat_template"`
	}
	if err := json.Unmarshal(m.files["tokenizer_config.json"], &config); err != nil {
		t.Fatal(err)
	}
	want := g.Values["tokenizer.chat_template"]
	if config.Template != want || string(m.files["chat_template.jinja"]) != want {
		t.Errorf("%q and %q, want %q", config.Template, m.files["chat_template.jinja"], want)
	}
	delete(g.Values, "tokenizer.chat_template")
	if m, err = plan(g); err != nil || m.files["chat_template.jinja"] != nil {
		t.Errorf("a file without a template: %q, %v", m.files["chat_template.jinja"], err)
	}
}

// numbers makes an array of int32.
func numbers(values ...int) gguf.Numbers {
	n := gguf.Numbers{Kind: 5, Count: len(values)}
	for _, v := range values {
		n.Raw = append(n.Raw, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
	}
	return n
}

func TestModelsThatCannotBeReproducedAreRefusedByName(t *testing.T) {
	set := func(key string, v any) func(*gguf.File) { return func(g *gguf.File) { g.Values[key] = v } }
	unset := func(key string) func(*gguf.File) { return func(g *gguf.File) { delete(g.Values, key) } }
	token := func(i int, s string) func(*gguf.File) {
		return func(g *gguf.File) { g.Values["tokenizer.ggml.tokens"].([]string)[i] = s }
	}
	merge := func(i int, s string) func(*gguf.File) {
		return func(g *gguf.File) { g.Values["tokenizer.ggml.merges"].([]string)[i] = s }
	}
	for _, c := range []struct {
		name, want string
		change     func(*gguf.File)
	}{
		{"an unknown architecture",
			`general.architecture is "mamba", want chatglm or cohere2 or command-r or exaone4 or gemma3 or glm4 or granite or ` +
				`hunyuan-dense or lfm2 or llama or mistral3 or olmo2 or phi3 or qwen2 or qwen3 or qwen35 or smollm3`,
			set("general.architecture", "mamba")},
		{"no architecture", "no general.architecture", unset("general.architecture")},
		{"an architecture that is no text", "general.architecture is 5, want a text", set("general.architecture", int64(5))},
		{"a size that is missing", "no llama.context_length", unset("llama.context_length")},
		{"a size of zero", "llama.embedding_length is 0, want 1 to 1048576", set("llama.embedding_length", int64(0))},
		{"a size without bound", "llama.block_count is 18446744073709551615, want 1 to 7281", set("llama.block_count", ^uint64(0))},
		{"a size that is an array", "llama.attention.head_count_kv is an array of 2 numbers, want 1 to 1048576",
			set("llama.attention.head_count_kv", numbers(2, 2))},
		{"a norm's epsilon that is missing", "no llama.attention.layer_norm_rms_epsilon",
			unset("llama.attention.layer_norm_rms_epsilon")},
		{"a norm's epsilon of zero", "llama.attention.layer_norm_rms_epsilon is 0, want a number above 0",
			set("llama.attention.layer_norm_rms_epsilon", 0.0)},
		{"heads that share no number", "4 heads of 8 values and 3 key/value heads, want a multiple and an even size",
			set("llama.attention.head_count_kv", int64(3))},
		{"heads of an odd size", "4 heads of 7 values and 2 key/value heads, want a multiple and an even size",
			set("llama.attention.key_length", int64(7))},
		{"values of another size", "llama.attention.value_length is 16, want attention.key_length (8)",
			set("llama.attention.value_length", int64(16))},
		{"rotation of a part of the head", "llama.rope.dimension_count is 4, want all 8 of a head",
			set("llama.rope.dimension_count", int64(4))},
		{"experts", "llama.expert_count is 8, want a model without experts", set("llama.expert_count", int64(8))},
		{"another stretching of the frequencies", `llama.rope.scaling.type is "yarn", want none or linear`,
			set("llama.rope.scaling.type", "yarn")},
		{"a tensor that is missing", "no tensor blk.1.ffn_up.weight, which llama with 2 layers calls for",
			func(g *gguf.File) { delete(g.Tensors, "blk.1.ffn_up.weight") }},
		{"no embeddings", "no tensor token_embd.weight of two dimensions", func(g *gguf.File) { delete(g.Tensors, "token_embd.weight") }},
		{"a layer more", "no tensor blk.2.attn_norm.weight, which llama with 3 layers calls for", set("llama.block_count", int64(3))},
		{"a layer less", `tensor "blk.1.attn_k.weight" is not part of llama with 1 layers`, set("llama.block_count", int64(1))},
		{"a tensor that does not belong", `tensor "blk.0.attn_output.bias" is not part of llama with 2 layers`,
			func(g *gguf.File) { g.Tensors["blk.0.attn_output.bias"] = g.Tensors["output_norm.weight"] }},
		{"a tensor of another shape", "tensor blk.0.ffn_gate.weight has the shape [64 32], want [96 32]",
			set("llama.feed_forward_length", int64(96))},
		{"a tokenizer of another kind", `tokenizer.ggml.model is "bert", want gpt2 (byte-level bpe) or llama (SentencePiece)`,
			set("tokenizer.ggml.model", "bert")},
		{"pieces without scores", "tokenizer.ggml.scores is <nil>, want one number for each of 330 tokens",
			set("tokenizer.ggml.model", "llama")},
		{"an unknown pre-tokenizer",
			`tokenizer.ggml.pre is "falcon", want deepseek-v3, glm4, gpt-2, gpt-4o, lfm2, llama-bpe, qwen2, qwen35, smollm, stablelm2, ` +
				"tekken",
			set("tokenizer.ggml.pre", "falcon")},
		{"no pre-tokenizer", "no tokenizer.ggml.pre", unset("tokenizer.ggml.pre")},
		{"no tokens", "tokenizer.ggml.tokens is <nil>, want 1 to 330 texts, one for each row of token_embd.weight",
			unset("tokenizer.ggml.tokens")},
		{"more tokens than embeddings", "tokenizer.ggml.tokens is an array of 331 texts, want 1 to 330 texts, one for each row of " +
			"token_embd.weight", set("tokenizer.ggml.tokens", make([]string, 331))},
		{"types of other tokens", "tokenizer.ggml.token_type is an array of 2 numbers, want one number for each of 330 tokens",
			set("tokenizer.ggml.token_type", numbers(1, 1))},
		{"a type of token that is not known",
			`token 0 ("<|endoftext|>") has the type 6, want normal (1), control (3), user-defined (4) or unused (5)`, func(g *gguf.File) {
				g.Values["tokenizer.ggml.token_type"].(gguf.Numbers).Raw[0] = 6
			}},
		{"the same token twice", `tokens 5 and 9 are both "#"`, token(9, "#")},
		{"an empty token", "token 9 is empty", token(9, "")},
		{"no merges", "tokenizer.ggml.merges is <nil>, want texts", unset("tokenizer.ggml.merges")},
		{"a merge of one part", `merge 3 is "ab", want two parts with a space between them`, merge(3, "ab")},
		{"a merge of three parts", `merge 3 is "a b c", want two parts with a space between them`, merge(3, "a b c")},
		{"a merge of unknown tokens", `merge 3 ("qqq z"): token "qqq" is not in the vocabulary`, merge(3, "qqq z")},
		{"a special token behind the vocabulary", "tokenizer.ggml.eos_token_id is 330, want -1 to 329",
			set("tokenizer.ggml.eos_token_id", int64(330))},
		{"no token that ends", "no tokenizer.ggml.eos_token_id", unset("tokenizer.ggml.eos_token_id")},
		{"a beginning that is missing", "no tokenizer.ggml.bos_token_id, which is put before every text", func(g *gguf.File) {
			unset("tokenizer.ggml.bos_token_id")(g)
			set("tokenizer.ggml.add_bos_token", true)(g)
		}},
		{"a beginning that is no boolean", "tokenizer.ggml.add_bos_token is 1, want a boolean",
			set("tokenizer.ggml.add_bos_token", int64(1))},
		{"an end after every text", "tokenizer.ggml.add_eos_token is true, want false", set("tokenizer.ggml.add_eos_token", true)},
		{"a space before every text", "tokenizer.ggml.add_space_prefix is true, want false", set("tokenizer.ggml.add_space_prefix",
			true)},
		{"a template that is no text", "tokenizer.chat_template is an array of 1 numbers, want a text",
			set("tokenizer.chat_template", numbers(1))},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := parseFile(t, "testdata/tiny-smollm.gguf")
			c.change(g)
			_, err := plan(g)
			faulttest.Want(t, err, "DIR", c.want)
		})
	}
}

func TestRopeFactorsOfAnotherKindAreRefused(t *testing.T) {
	g := parseFile(t, "testdata/tiny-llama31.gguf")
	a, err := readArchitecture(g)
	if err != nil {
		t.Fatal(err)
	}
	if a.rope.Scaling.Factor != 8 {
		t.Errorf("factor is %g, want 8", a.rope.Scaling.Factor)
	}
	g.Values["llama.rope.freq_base"] = 400000.0
	_, err = readArchitecture(g)
	if err == nil || !strings.HasPrefix(err.Error(), "tensor rope_freqs.weight: factor 2 is ") {
		t.Errorf("factors of another base: %v", err)
	}
	g.Tensors["rope_freqs.weight"].Shape = []int{5}
	_, err = readArchitecture(g)
	faulttest.Want(t, err, "DIR", "tensor rope_freqs.weight has the shape [5], want [4] of F32")
}

func TestImportRefusesAFolderThatIsInUse(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := FromGGUF("testdata/tiny-smollm.gguf", dir, nil)
	faulttest.Want(t, err, dir, "DIR: holds 1 files, want a folder that does not exist")
	if !fault.IsUsage(err) || string(readFile(t, filepath.Join(dir, "mine"))) != "x" {
		t.Error("the folder was touched, or the error is not marked")
	}
	err = FromGGUF(filepath.Join(dir, "none.gguf"), filepath.Join(dir, "out"), nil)
	faulttest.Want(t, err, dir, "stat DIR/none.gguf: no such file or directory")
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	// What an import that was killed left behind goes; what only looks like it stays.
	for _, name := range []string{".empty.writing-123", ".empty.writing-mine"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := FromGGUF("testdata/tiny-smollm.gguf", empty, nil); err != nil {
		t.Error(err)
	}
	if exists(filepath.Join(dir, ".empty.writing-123")) || !exists(filepath.Join(dir, ".empty.writing-mine")) {
		t.Error("leftovers are wrong")
	}
}

// TestImportOfARealModel compares a whole published model with the reference
// implementation. LWTRAIN_TEST_GGUF names its file; testdata/golden.py makes
// the golden file of another one.
func TestImportOfARealModel(t *testing.T) {
	path := os.Getenv("LWTRAIN_TEST_GGUF")
	if path == "" {
		t.Skip("LWTRAIN_TEST_GGUF does not name SmolLM2-135M-Instruct.Q4_1.gguf")
	}
	stem := strings.TrimSuffix(filepath.Base(path), ".gguf")
	golden := readGolden(t, "testdata/"+strings.ToLower(strings.ReplaceAll(stem, ".", "-"))+".json")
	if sum := sha256.Sum256(readFile(t, path)); hex.EncodeToString(sum[:]) != golden.SHA256 {
		t.Fatalf("%s is not the file that the golden values are from", path)
	}
	dir := filepath.Join(t.TempDir(), "model")
	if err := FromGGUF(path, dir, nil); err != nil {
		t.Fatal(err)
	}
	checkTensors(t, dir, golden.Tensors)
}
