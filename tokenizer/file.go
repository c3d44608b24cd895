package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"lwtrain/internal/fault"
	"lwtrain/internal/plainjson"
)

// Files of a tokenizer in Hugging Face layout.
const (
	fileTokenizer  = "tokenizer.json"
	fileConfig     = "tokenizer_config.json"
	fileJinja      = "chat_template.jinja"
	fileGeneration = "generation_config.json"
	fileModel      = "config.json" // read for its eos_token_id, belongs to the model
)

// tokenizerFile is tokenizer.json. Parts of several types stay raw until their
// type is known.
type tokenizerFile struct {
	Version       string          `json:"version"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         modelFile       `json:"model"`

	own int // how many of the added tokens are the file's own: the first ones
}

type modelFile struct {
	Type         string           `json:"type"`
	Dropout      float64          `json:"dropout,omitempty"`
	Unknown      *string          `json:"unk_token"`
	Prefix       string           `json:"continuing_subword_prefix,omitempty"`
	Suffix       string           `json:"end_of_word_suffix,omitempty"`
	FuseUnknown  bool             `json:"fuse_unk"`
	ByteFallback bool             `json:"byte_fallback"`
	IgnoreMerges bool             `json:"ignore_merges"`
	Vocab        map[string]int64 `json:"vocab"`
	Merges       []mergeFile      `json:"merges"`
}

// mergeFile is one merge, written as "a b" or as ["a", "b"].
type mergeFile struct {
	left, right string
	comment     bool // a "#version" line taken over from merges.txt
}

func (m mergeFile) MarshalJSON() ([]byte, error) { return marshal([]string{m.left, m.right}), nil }

func (m *mergeFile) UnmarshalJSON(data []byte) error {
	if data[0] == '[' {
		var pair []string
		if err := json.Unmarshal(data, &pair); err != nil {
			return err
		}
		if len(pair) != 2 {
			return fmt.Errorf("merge of %d parts, want 2", len(pair))
		}
		m.left, m.right = pair[0], pair[1]
		return nil
	}
	var line string
	if err := json.Unmarshal(data, &line); err != nil {
		return err
	}
	m.comment = strings.HasPrefix(line, "#version")
	left, right, ok := strings.Cut(line, " ")
	if !m.comment && (!ok || strings.Contains(right, " ")) {
		return fmt.Errorf("merge %.40q, want two parts with a space between them", line)
	}
	m.left, m.right = left, right
	return nil
}

// decodeJSON decodes a file's content; errors start with the line.
func decodeJSON(data []byte, v any) error {
	if !utf8.Valid(data) {
		return errors.New("not valid utf-8, want json")
	}
	err := json.Unmarshal(data, v)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	line := func(offset int64) int {
		return 1 + bytes.Count(data[:min(max(0, offset), int64(len(data)))], []byte("\n"))
	}
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("%d: %w", line(syntax.Offset), err)
	case errors.As(err, &kind):
		return fmt.Errorf("%d: %s is a %s, want %s", line(kind.Offset), kind.Field, kind.Value, kind.Type)
	}
	return err
}

// unknownPart is the refusal of a part that is not known.
func unknownPart(what, is, known string) error {
	return fault.Hint(fmt.Errorf("%s %.200s, want %s", what, is, known),
		"lwtrain refuses what it cannot reproduce exactly; the tokenizers of SmolLM2, Llama 3, Qwen 2.5, Qwen 3 and GLM-4 are known")
}

// marshal is the JSON of a value that has one.
func marshal(v any) []byte {
	b, err := plainjson.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
