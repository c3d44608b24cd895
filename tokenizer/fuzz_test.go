package tokenizer

import (
	"io/fs"
	"os"
	"slices"
	"testing"
	"time"
	"unicode/utf8"
)

// fuzzFiles are the files of a model folder, as small as they get.
const (
	fuzzTokenizer = `{"version":"1.0","added_tokens":[{"id":4,"content":"<e>","special":true,
"lstrip":false,"rstrip":true,"normalized":false,"single_word":false}],
"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"}]},"pre_tokenizer":
{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true},
"post_processor":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"},
"model":{"type":"BPE","byte_fallback":false,"ignore_merges":true,"unk_token":"u","vocab":{"a":0,"b":1,"ab":2,"u":3},"merges":["a b"]}}`
	fuzzConfig = `{"chat_template":"{% for m in messages %}{{ m.role }}{{ m.content }}<e>` +
		`{% endfor %}","eos_token":"<e>","bos_token":{"content":"a"}}`
	fuzzGenerate = `{"eos_token_id":[4,3]}`
)

// FuzzLoad reads the files of a hostile folder. What is accepted must encode
// and decode within bounds.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(fuzzTokenizer), []byte(fuzzConfig), []byte(fuzzGenerate))
	f.Add([]byte(`{"model":{"type":"BPE","vocab":{"a":0},"merges":[["a","a"]]}}`),
		[]byte(`{"chat_template":[{"name":"default","template":"{{ x }}"}]}`), []byte(`{}`))
	for _, name := range []string{"added", "unknown", "smollm2"} {
		raw, err := os.ReadFile("testdata/" + name + "/tokenizer.json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, []byte(fuzzConfig), []byte("{}"))
	}
	f.Fuzz(func(t *testing.T, tokenizer, config, generation []byte) {
		if len(tokenizer)+len(config)+len(generation) > 1<<15 {
			t.Skip("small files only")
		}
		began := time.Now()
		tok, err := load(func(name string) ([]byte, error) {
			switch name {
			case fileTokenizer:
				return tokenizer, nil
			case fileConfig:
				return config, nil
			case fileGeneration:
				return generation, nil
			}
			return nil, fs.ErrNotExist
		})
		if err == nil {
			useFuzzed(t, tok)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Fatalf("it took %v", took)
		}
	})
}

func useFuzzed(t *testing.T, tok *Tokenizer) {
	const text = "ab a<e> \u00e9\n1234 it's"
	ids, spans := tok.Offsets(text)
	for i, id := range ids {
		if id < 0 || int(id) >= tok.VocabSize() || spans[i][0] > spans[i][1] || int(spans[i][1]) > len(text) {
			t.Fatalf("id %d of %d with the span %v", id, tok.VocabSize(), spans[i])
		}
	}
	if got := tok.Decode(ids, false); !utf8.ValidString(got) {
		t.Fatalf("it decodes to %q", got)
	}
	tok.Encode(text)
}

func TestTheSmallestFilesLoad(t *testing.T) {
	tok, err := load(func(name string) ([]byte, error) {
		text, ok := map[string]string{fileTokenizer: fuzzTokenizer, fileConfig: fuzzConfig, fileGeneration: fuzzGenerate}[name]
		if !ok {
			return nil, fs.ErrNotExist
		}
		return []byte(text), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Encode("ab<e>"); !slices.Equal(got, []int32{2, 4}) || !slices.Equal(tok.EOS(), []int32{4, 3}) {
		t.Errorf("ids %v, ends %v", got, tok.EOS())
	}
	useFuzzed(t, tok)
}
