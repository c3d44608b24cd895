package tokenizer

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lwtrain/internal/fault"
)

// rankFile writes tokens as a rank file, in the order of their ranks.
func rankFile(tokens []string) []byte {
	var b []byte
	for rank, token := range tokens {
		b = fmt.Appendf(b, "%s %d\n", base64.StdEncoding.EncodeToString([]byte(token)), rank)
	}
	return b
}

// byteTokens are the 256 tokens that every rank file has.
func byteTokens() []string {
	tokens := make([]string, 256)
	for b := range tokens {
		tokens[b] = string([]byte{byte(b)})
	}
	return tokens
}

// glm4Config is a tokenizer_config.json with special tokens from id n on.
func glm4Config(n int, more string) []byte {
	added := map[int]map[string]any{}
	for i, s := range []string{"<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>", "<|assistant|>",
		"<|observation|>", "<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>"} {
		added[n+i] = map[string]any{"content": s, "special": true}
	}
	return fmt.Appendf(nil, `{"tokenizer_class": "ChatGLM4Tokenizer", "eos_token": "<|endoftext|>", "added_tokens_decoder": %s%s}`,
		marshal(added), more)
}

// fromFiles is a load function of files by name.
func fromFiles(files map[string][]byte) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if data, ok := files[name]; ok {
			return data, nil
		}
		return nil, fs.ErrNotExist
	}
}

// joinByRank is tiktoken's rule, word for word: of all neighbours those whose
// bytes have the lowest rank are joined, the leftmost first.
func joinByRank(ranks map[string]int32, word string) []int32 {
	if id, ok := ranks[word]; ok {
		return []int32{id}
	}
	parts := strings.Split(word, "")[:0]
	for i := range len(word) {
		parts = append(parts, word[i:i+1])
	}
	for {
		best, at := int32(math.MaxInt32), -1
		for i := range len(parts) - 1 {
			if rank, ok := ranks[parts[i]+parts[i+1]]; ok && rank < best {
				best, at = rank, i
			}
		}
		if at < 0 {
			break
		}
		parts[at] += parts[at+1]
		parts = slices.Delete(parts, at+1, at+2)
	}
	ids := make([]int32, len(parts))
	for i, p := range parts {
		ids[i] = ranks[p]
	}
	return ids
}

func checkJoins(t interface {
	Helper()
	Fatalf(string, ...any)
}, tokens []string, words ...string) {
	t.Helper()
	ranks := map[string]int32{}
	for rank, token := range tokens {
		ranks[token] = int32(rank)
	}
	tok, err := load(fromFiles(map[string][]byte{fileRanks: rankFile(tokens), fileConfig: glm4Config(len(tokens), "")}))
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, w := range words {
		got := tok.model.encode(nil, w, new(scratch))
		if want := joinByRank(ranks, w); !slices.Equal(got, want) {
			t.Fatalf("%q is %v, tiktoken's rule gives %v; ranks from 256 on: %q", w, got, want, tokens[256:])
		}
	}
}

// TestAnyRanksJoinAsInTiktoken: whatever the ranks, trained or not (tokens that
// no join reaches, parts with higher ranks than their whole), in short words and
// in those that take the heap.
func TestAnyRanksJoinAsInTiktoken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.StringOfN(rapid.SampledFrom([]rune("abc")[:rapid.IntRange(1, 3).Draw(t, "letters")]), 2, 7, -1)
		more := rapid.SliceOfNDistinct(letters, 0, 40, rapid.ID[string]).Draw(t, "tokens")
		words := rapid.SliceOfN(rapid.StringOfN(rapid.SampledFrom([]rune("aabbcd")), 1, 60, -1), 1, 20).Draw(t, "words")
		words = append(words, strings.Join(words, ""), strings.Repeat(words[0], 8))
		if rapid.Bool().Draw(t, "by length") { // as training would leave them
			slices.SortStableFunc(more, func(a, b string) int { return cmp.Compare(len(a), len(b)) })
		}
		checkJoins(t, append(byteTokens(), more...), words...)
	})
}

func TestTheConversionIsTransformers(t *testing.T) {
	ours, theirs := loadFixture(t, "tiktoken"), loadFixture(t, "tiktoken/converted")
	if ours.Fingerprint() != theirs.Fingerprint() {
		t.Error("the fingerprint differs from that of transformers' tokenizer.json")
	}
}

func TestASavedRankFileIsTheSameTokenizer(t *testing.T) {
	from, dir := "testdata/tiktoken", t.TempDir()
	tok := loadFixture(t, "tiktoken")
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{fileRanks, fileConfig, fileGeneration} {
		if a, b := must(os.ReadFile(filepath.Join(from, name))), must(os.ReadFile(filepath.Join(dir, name))); !slices.Equal(a, b) {
			t.Errorf("%s is not saved as it was", name)
		}
	}
	again := must(Load(dir))
	if again.Fingerprint() != tok.Fingerprint() || !slices.Equal(again.EOS(), tok.EOS()) {
		t.Errorf("saved and loaded: EOS %v, was %v; fingerprint %s, was %s", again.EOS(), tok.EOS(), again.Fingerprint(), tok.Fingerprint())
	}
	for _, v := range readVectors(t, filepath.Join(from, "vectors.json")) {
		if err := v.check(again, v.text(t)); err != nil {
			t.Error(err)
		}
	}
	twice := t.TempDir()
	if err := again.Save(twice); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{fileTokenizer, fileRanks} {
		if a, b := must(os.ReadFile(filepath.Join(dir, name))), must(os.ReadFile(filepath.Join(twice, name))); !slices.Equal(a, b) {
			t.Errorf("%s is not the same when it is saved again", name)
		}
	}
}

func TestRankFilesThatAreRefused(t *testing.T) {
	good := string(rankFile(byteTokens()))
	config := string(glm4Config(256, ""))
	cases := []struct{ name, ranks, config, want, hint string }{
		{"another class of tokenizer", good, `{"tokenizer_class": "LlamaTokenizer"}`,
			`tokenizer_config.json: tokenizer_class is "LlamaTokenizer", want ChatGLM4Tokenizer`, "let transformers convert it"},
		{"no class", good, `{}`, `tokenizer_class is "", want ChatGLM4Tokenizer`, "let transformers convert it"},
		{"a broken config", good, "{\n]", "tokenizer_config.json:2:", ""},
		{"a SentencePiece model of the type Unigram", "\n\x0e\n\x05<unk>\x15\x00\x00\x00\x00\x18\x02", config,
			"tokenizer.model: the SentencePiece model is of the type Unigram, want BPE", "let transformers convert it"},
		{"a SentencePiece model that ends", "\x0a\x0e\x0b", config, "tokenizer.model: byte 1: a field that is longer than the file",
			"let transformers convert it"},
		{"a Git LFS pointer", "version https://git-lfs.github.com/spec/v1\n", config,
			`tokenizer.model:1: "version https://git-lfs.github.com/spec/"`, "no tiktoken rank file"},
		{"an empty file", "", config, "tokenizer.model: no rank for the byte 0x00", ""},
		{"a token without a rank", good + "YWI=\n", config, `tokenizer.model:257: "YWI=", want a token in base64, a space and its rank`,
			""},
		{"a rank that is no number", good + "YWI= x\n", config, `tokenizer.model:257: "YWI= x", want`, ""},
		{"a rank beyond all numbers", good + "YWI= 99999999999999999999\n", config, `tokenizer.model:257:`, ""},
		{"base64 that is none", good + "Y!I= 256\n", config, `tokenizer.model:257: token "Y!I=": illegal base64 data at input byte 1`, ""},
		{"base64 cut short", good + "YWI 256\n", config, `tokenizer.model:257: token "YWI": illegal base64`, ""},
		{"an empty token", good + " 256\n", config, `tokenizer.model:257: "256", want a token`, ""},
		{"a token that is too long", good + base64.StdEncoding.EncodeToString(make([]byte, maxRankToken+1)) + " 256\n", config,
			"tokenizer.model:257: token of 1025 bytes, want 1 to 1024", ""},
		{"a hole in the ranks", good + "YWI= 257\n", config, "tokenizer.model:257: rank 257, want 0 to 256", ""},
		{"a rank below zero", good + "YWI= -1\n", config, "tokenizer.model:257: rank -1", ""},
		{"a rank twice", good + "YWI= 7\n", config, "tokenizer.model:257: rank 7, which line 8 has too", ""},
		{"a token twice", good + "QQ== 256\n", config, `tokenizer.model:257: token "QQ==", which line 66 has too`, ""},
		{"a byte without a rank", strings.Replace(good, "QQ== 65\n", "QUE= 65\n", 1), config, "tokenizer.model: no rank for the byte 0x41",
			""},
		{"no special tokens", good, `{"tokenizer_class": "ChatGLM4Tokenizer"}`,
			"tokenizer_config.json: added_tokens_decoder: not there or empty, want the special tokens from id 256 on", ""},
		{"special tokens of another rank file", good, string(glm4Config(300, "")),
			`added_tokens_decoder: "<|endoftext|>" has the id 300, want 256: tokenizer.model has 256 ranks`, ""},
		{"a special token without an id", good, strings.Replace(config, `"256"`, `"first"`, 1),
			`added_tokens_decoder: key "first", want an id`, ""},
		{"a special token twice", good, strings.Replace(config, "[MASK]", "<sop>", 1), `"<sop>" is there twice`, ""},
		{"a special token that is a rank", good, strings.Replace(config, "[MASK]", "A", 1), `"A") has the id 257, want 65`, ""},
		{"no <sop>", good, strings.Replace(config, "<sop>", "<begin>", 1), "no <sop>, want it", ""},
		{"a special token without a text", good, strings.Replace(config, "<sop>", "", 1), "id 260 has no content", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{fileRanks: c.ranks, fileConfig: c.config} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Load(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), dir) {
				t.Fatalf("error %v, want %s", err, c.want)
			}
			if hint := fault.HintOf(err); !strings.Contains(hint, c.hint) {
				t.Errorf("hint %q, want %q", hint, c.hint)
			}
			if !fault.IsUsage(err) {
				t.Error("the error is not marked as one of what was asked for")
			}
		})
	}
}

// asPublished is a folder with as many ranks as GLM-4-9B's.
func asPublished() map[string][]byte {
	tokens := byteTokens()
	for i := 0; len(tokens) < 151_329; i++ {
		token := []byte{byte(i), byte(i >> 8)}
		if i >= 1<<16 {
			token = append(token, byte(i>>16))
		}
		tokens = append(tokens, string(token))
	}
	return map[string][]byte{
		fileRanks: rankFile(tokens), fileConfig: glm4Config(len(tokens), ""),
		fileModel: []byte(`{"model_type": "chatglm", "eos_token_id": [151329, 151336, 151338], "pad_token_id": 151329}`),
	}
}

func TestGLM4HasItsPublishedIDs(t *testing.T) {
	tok := must(load(fromFiles(asPublished())))
	if got, want := tok.EOS(), []int32{151329, 151336, 151338}; !slices.Equal(got, want) {
		t.Errorf("EOS %v, want %v", got, want)
	}
	got := tok.Encode("<|user|>\n<|assistant|><|end_of_video|>")
	if want := []int32{151331, 151333, 151336, 10, 151337, 151342}; !slices.Equal(got, want) {
		t.Errorf("ids %v, want %v", got, want)
	}
	if n := tok.VocabSize(); n != 151343 {
		t.Errorf("%d ids, want 151343", n)
	}
}

// FuzzRanks reads what the fuzzer says behind the 256 bytes. What is accepted
// must be read again from what it says, and join as tiktoken's rule does.
func FuzzRanks(f *testing.F) {
	f.Add([]byte("YWI= 256\nYWJj 257\n"), "abcab")
	f.Add([]byte("\r\nYWFh 257\r\n\nYWE= 256"), "aaaaaa")
	f.Add([]byte("YWI 256\n"), "")
	f.Fuzz(func(t *testing.T, lines []byte, word string) {
		readRanks(lines)
		tokens, err := readRanks(append(rankFile(byteTokens()), lines...))
		if err != nil {
			return
		}
		again, err := readRanks(rankFile(tokens))
		if err != nil || !slices.Equal(again, tokens) {
			t.Fatalf("%q are read again as %q (%v)", tokens, again, err)
		}
		if word = word[:min(len(word), 200)]; word != "" && len(lines) < 1<<12 {
			checkJoins(t, tokens, word)
		}
	})
}

func BenchmarkLoadRanks(b *testing.B) {
	files := fromFiles(asPublished())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := load(files); err != nil {
			b.Fatal(err)
		}
	}
}
