package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"

	"lwtrain/internal/fault"
	"lwtrain/internal/plainjson"
)

// Limits of what the files of a tokenizer may ask for, several times above those in use:
// the largest tokenizer.json has 33 MB, 262,144 tokens and 580,604 merges, and the
// longest list of added tokens 160,000 of them with 20 bytes each. Of all files together
// a byte becomes up to ten in memory.
const (
	maxFile   = 64 << 20  // bytes of a file
	maxFiles  = 128 << 20 // bytes of all files
	maxMerges = 2 << 20
	maxAdded  = 1 << 18 // added tokens
	maxValues = 2 << 20 // of JSON in tokenizer_config.json and such
	maxParts  = 64      // of a normalizer, a pre-tokenizer and so on,
	maxNested = 8       // and how deep their sequences may nest in each other
	maxAround = 64      // tokens that the post-processor puts around a text
	maxEOS    = 256     // ids that stop generation
	maxGrowth = 64      // times that a normalizer or a decoder may make a text longer
	maxNamed  = 64      // chat templates with names

	maxAddedToken = 256     // bytes of an added token: it is looked for at each byte of a text
	maxAddedText  = 8 << 20 // bytes of all of them
)

// Files of a tokenizer in Hugging Face layout.
const (
	fileTokenizer  = "tokenizer.json"
	fileConfig     = "tokenizer_config.json"
	fileJinja      = "chat_template.jinja"
	templatesDir   = "additional_chat_templates" // has named ones in files of their names
	fileGeneration = "generation_config.json"
	fileModel      = "config.json" // read for its eos_token_id, belongs to the model
)

// tokenizerFile is tokenizer.json. Parts of several types stay raw until their
// type is known.
type tokenizerFile struct {
	Version       string          `json:"version"`
	AddedTokens   addedList       `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         modelFile       `json:"model"`

	own int // how many of the added tokens are the file's own: the first ones
}

type modelFile struct {
	Type         string     `json:"type"`
	Dropout      float64    `json:"dropout,omitempty"`
	Unknown      *string    `json:"unk_token"`
	Prefix       string     `json:"continuing_subword_prefix,omitempty"`
	Suffix       string     `json:"end_of_word_suffix,omitempty"`
	FuseUnknown  bool       `json:"fuse_unk"`
	ByteFallback bool       `json:"byte_fallback"`
	IgnoreMerges bool       `json:"ignore_merges"`
	Vocab        vocabulary `json:"vocab"`
	Merges       mergeList  `json:"merges"`
}

// The three long lists of a file are bounded one by one, before memory is made for them.

type vocabulary map[string]int64

func (v *vocabulary) UnmarshalJSON(data []byte) error {
	return bounded(data, "vocab", 2*(maxID+1), (*map[string]int64)(v))
}

type mergeList []mergeFile

func (m *mergeList) UnmarshalJSON(data []byte) error {
	return bounded(data, "merges", 3*maxMerges, (*[]mergeFile)(m))
}

type addedList []addedToken

func (a *addedList) UnmarshalJSON(data []byte) error {
	return bounded(data, "added_tokens", 16*maxAdded, (*[]addedToken)(a))
}

// bounded decodes a list of which as many elements as are wanted have at most most values.
func bounded(data []byte, what string, most int, v any) error {
	if !plainjson.Within(data, most+2) {
		return fmt.Errorf("%s has more than %d values, want fewer", what, most)
	}
	if err := plainjson.Unmarshal(data, v); err != nil { // the place in the file is not known here
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
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
		if err := plainjson.Unmarshal(data, &pair); err != nil {
			return err
		}
		if len(pair) != 2 {
			return fmt.Errorf("merge of %d parts, want 2", len(pair))
		}
		m.left, m.right = pair[0], pair[1]
		return nil
	}
	var line string
	if err := plainjson.Unmarshal(data, &line); err != nil {
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

// unknownPart is the refusal of a part that is not known.
func unknownPart(what, is, known string) error {
	return fault.Hint(fmt.Errorf("%s %.200s, want %s", what, is, known),
		"lwtrain refuses what it cannot reproduce exactly; BPE of bytes and of characters is known, with split patterns that are regular")
}

// marshal is the JSON of a value that has one.
func marshal(v any) []byte {
	b, err := plainjson.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
