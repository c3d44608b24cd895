// Package tokenizer turns text into token ids and back exactly as the Hugging
// Face libraries do for BPE models: those of bytes (SmolLM2, Llama 3, Qwen, GLM-4,
// DeepSeek, gpt-oss) and those of characters as SentencePiece trains them (Gemma,
// Llama 2, Mistral).
//
// Call [Load] on a model folder (or [Bytes] for the built-in byte-level
// tokenizer) first; then [Tokenizer.Encode] and [Tokenizer.Decode].
//
// The package promises the ids of the tokenizers library, version 0.23, its
// Unicode versions included, for every file that it loads, and refuses files
// with parts it does not know: an unknown pre-tokenizer, normalizer, model or part
// of a split pattern is an error and never a guess. Text that is no valid UTF-8
// is read as Python reads it with errors="replace": U+FFFD for each maximal
// broken part. A file's truncation and padding settings do not apply, as in
// transformers. GLM-4-9B's tiktoken file gives tiktoken's ids. The package knows
// nothing of WordPiece or Unigram.
package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Tokenizer maps text to token ids and back. It is safe for concurrent use
// after [Load].
type Tokenizer struct {
	files  map[string][]byte // what Save writes, by file name
	config map[string]any    // tokenizer_config.json, nil if there is none
	eos    []int32

	model       bpe
	classes     *classTable
	normalizers []normalizer
	meta        *metaspace // what comes before the stages
	stages      []stage
	raw         matcher // added tokens that are looked for in the text
	normalized  matcher // and those that are looked for after normalisation
	before      []int32 // what the post-processor puts before the text's ids
	after       []int32
	ids         map[string]int32
	tokens      []string // by id, "" where there is none
	texts       []string // the bytes that each id stands for
	decoding    decoding
	special     []bool
	foreign     []addedToken // those of other files than tokenizer.json
	fingerprint string
	pool        sync.Pool // of *encoder
}

// File returns the content of one of the files that [Tokenizer.Save] writes
// (chat_template.jinja, say), nil if the folder has none of that name. It must
// not be changed.
func (t *Tokenizer) File(name string) []byte { return t.files[name] }

// FilesHash is the SHA-256, in hexadecimal, over the names and contents of the files that Save writes again.
// [Tokenizer.Fingerprint] knows those of them alone that decide on ids.
func (t *Tokenizer) FilesHash() string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(t.files)) {
		fmt.Fprintf(h, "%s %x\n", name, sha256.Sum256(t.files[name]))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Templates returns the chat templates of the folder's additional_chat_templates by their names.
func (t *Tokenizer) Templates() map[string]string {
	out := map[string]string{}
	for file, text := range t.files {
		if filepath.Dir(file) == templatesDir {
			out[strings.TrimSuffix(filepath.Base(file), ".jinja")] = string(text)
		}
	}
	return out
}

// Config returns tokenizer_config.json as decoded JSON, nil if there is none. It
// must not be changed.
func (t *Tokenizer) Config() map[string]any { return t.config }

// SpecialToken returns the text of one of tokenizer_config.json's named tokens
// (bos_token, eos_token, pad_token, unk_token), written there as a string or as
// an object with a content key; "" if it is not set.
func (t *Tokenizer) SpecialToken(name string) string {
	switch v := t.config[name].(type) {
	case string:
		return v
	case map[string]any:
		s, _ := v["content"].(string)
		return s
	}
	return ""
}

// VocabSize returns the highest id plus one. A model's embedding can have more
// rows than that.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// Foreign lists the tokens with ids from id on that other files than tokenizer.json have
// added. A model need not have rows for them: AutoTokenizer adds them all the same.
func (t *Tokenizer) Foreign(id int) (tokens []string) {
	for _, a := range t.foreign {
		if a.ID >= int64(id) {
			tokens = append(tokens, a.Content)
		}
	}
	return tokens
}

// ID returns the id of a token, given as it stands in the vocabulary.
func (t *Tokenizer) ID(token string) (int32, bool) {
	id, ok := t.ids[token]
	return id, ok
}

// Token returns the token of an id as it stands in the vocabulary (bytes
// written as GPT-2's characters), "" if there is none.
func (t *Tokenizer) Token(id int32) string {
	if id < 0 || int(id) >= len(t.tokens) {
		return ""
	}
	return t.tokens[id]
}

// IsSpecial reports whether id is an added token marked as special.
func (t *Tokenizer) IsSpecial(id int32) bool {
	return id >= 0 && int(id) < len(t.special) && t.special[id]
}

// EOS returns the ids that stop generation: eos_token_id of
// generation_config.json, else of config.json, else tokenizer_config.json's
// eos_token; each id once, in the order of the file.
func (t *Tokenizer) EOS() []int32 { return slices.Clone(t.eos) }

// Fingerprint returns the SHA-256, in hexadecimal, over everything that
// changes ids: two tokenizers with the same fingerprint encode all text alike.
func (t *Tokenizer) Fingerprint() string { return t.fingerprint }
