// Package tokenizer turns text into token ids and back exactly as the Hugging
// Face libraries do for byte-level BPE models (SmolLM2, Llama 3, Qwen, GLM-4),
// renders chat templates, and marks the tokens that training targets.
//
// Call [Load] on a model folder (or [Bytes] for the built-in byte-level
// tokenizer) first; then [Tokenizer.Encode] and [Tokenizer.Decode] for text, or
// [Tokenizer.Chat] for conversations.
package tokenizer

// Message is one message of a conversation.
type Message struct {
	Role, Content string
	// Extra holds every other key of the record's message as decoded JSON
	// (tool_calls, name, reasoning_content and so on).
	Extra map[string]any
}

// Span is a half-open range of token positions.
type Span struct{ Start, End int32 }

// Rendered is a conversation as training sees it: its text, its ids, and the
// ranges of ids that are targets.
type Rendered struct {
	Text   string
	IDs    []int32
	Target []Span
}

// Tokenizer maps text to token ids and back. It is safe for concurrent use
// after [Load].
type Tokenizer struct {
	files  map[string][]byte // what Save writes, by file name
	config map[string]any    // tokenizer_config.json, nil if there is none
	jinja  string            // chat_template.jinja, "" if there is none
}

// specialToken returns the text of one of tokenizer_config.json's named tokens
// (bos_token, eos_token, pad_token, unk_token), written there as a string or as
// an object with a content key; "" if it is not set.
func (t *Tokenizer) specialToken(name string) string {
	switch v := t.config[name].(type) {
	case string:
		return v
	case map[string]any:
		s, _ := v["content"].(string)
		return s
	}
	return ""
}

// EncodeText returns the ids of text without the tokens that the
// post-processor adds (Llama's leading BOS). Added tokens in the text become
// their ids.
func (t *Tokenizer) EncodeText(text string) []int32 { return nil }

// Offsets is [Tokenizer.EncodeText] with, for each id, the half-open range of
// bytes of text that it stands for.
func (t *Tokenizer) Offsets(text string) ([]int32, [][2]int) { return nil, nil }

// ID returns the id of a token, given as it stands in the vocabulary.
func (t *Tokenizer) ID(token string) (int32, bool) { return 0, false }

// Token returns the token of an id as it stands in the vocabulary, "" if there
// is none.
func (t *Tokenizer) Token(id int32) string { return "" }

// IsSpecial reports whether id is an added token marked as special.
func (t *Tokenizer) IsSpecial(id int32) bool { return false }

// EOS returns the ids that stop generation.
func (t *Tokenizer) EOS() []int32 { return nil }

// Fingerprint returns the SHA-256, in hexadecimal, over everything that
// changes ids.
func (t *Tokenizer) Fingerprint() string { return "" }

// Bytes returns the built-in byte-level tokenizer.
func Bytes() *Tokenizer { return nil }

// Load reads a tokenizer from a folder in Hugging Face layout.
func Load(dir string) (*Tokenizer, error) { return nil, nil }
