package chat

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"lwtrain/tokenizer"
)

// fuzzTokenizer is a tokenizer.json as small as it gets.
const fuzzTokenizer = `{"version":"1.0","added_tokens":[{"id":4,"content":"<e>","special":true,
"lstrip":false,"rstrip":true,"normalized":false,"single_word":false}],
"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"}]},"pre_tokenizer":
{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true},
"post_processor":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"},
"model":{"type":"BPE","byte_fallback":false,"ignore_merges":true,"unk_token":"u","vocab":{"a":0,"b":1,"ab":2,"u":3},"merges":["a b"]}}`

// FuzzOpen opens the template of a hostile folder. It must not take the program
// down, and what it renders must lie within bounds.
func FuzzOpen(f *testing.F) {
	config := []byte(`{"chat_template":"{% for m in messages %}{{ m.role }}{{ m.content }}<e>` +
		`{% endfor %}","eos_token":"<e>","bos_token":{"content":"a"}}`)
	f.Add([]byte(fuzzTokenizer), config, []byte(`{"eos_token_id":[4,3]}`))
	f.Add([]byte(fuzzTokenizer), []byte(`{"chat_template":[{"name":"default","template":"{{ x }}"}]}`), []byte(`{}`))
	f.Add(must(os.ReadFile(filepath.Join(tokenizers, "smollm2/tokenizer.json"))), config, []byte("{}"))
	f.Fuzz(func(t *testing.T, vocabulary, config, generation []byte) {
		if len(vocabulary)+len(config)+len(generation) > 1<<15 {
			t.Skip("small files only")
		}
		began := time.Now()
		dir := t.TempDir()
		for name, data := range map[string][]byte{"tokenizer.json": vocabulary, fileConfig: config, "generation_config.json": generation} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if tok, err := tokenizer.Load(dir); err == nil {
			useFuzzed(t, tok)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Fatalf("it took %v", took)
		}
	})
}

func useFuzzed(t *testing.T, tok *tokenizer.Tokenizer) {
	template, err := Open(tok, "auto")
	if err != nil {
		return
	}
	r, err := template.Render([]Message{user("a b"), assistant("ab")}, Targets{})
	if err != nil {
		return
	}
	last := int32(0)
	for _, span := range r.Target {
		if span.Start < last || span.End <= span.Start || int(span.End) > len(r.IDs) {
			t.Fatalf("targets %v in %d ids", r.Target, len(r.IDs))
		}
		last = span.End
	}
	if slices.ContainsFunc(r.IDs, func(id int32) bool { return id < 0 || int(id) >= tok.VocabSize() }) {
		t.Fatalf("ids %v, want below %d", r.IDs, tok.VocabSize())
	}
}
