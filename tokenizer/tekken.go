package tokenizer

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"lwtrain/internal/plainjson"
)

// fileTekken is the tokenizer of Mistral's models: tiktoken ranks behind special tokens.
const fileTekken = "tekken.json"

// tekkenDefaults are the special tokens of files that do not list them.
var tekkenDefaults = []string{"<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
	"[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]",
	"[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"}

type tekkenFile struct {
	Config struct {
		Pattern  string `json:"pattern"`
		Size     *int   `json:"default_vocab_size"`
		Specials *int   `json:"default_num_special_tokens"`
	} `json:"config"`
	Vocab   tekkenVocab     `json:"vocab"`
	Special *tekkenSpecials `json:"special_tokens"`
}

type tekkenToken struct {
	Bytes string `json:"token_bytes"`
}

type tekkenSpecial struct {
	Rank int    `json:"rank"`
	Text string `json:"token_str"`
}

type tekkenSpecials []tekkenSpecial

func (s *tekkenSpecials) UnmarshalJSON(data []byte) error {
	return bounded(data, "special_tokens", 16*maxAdded, (*[]tekkenSpecial)(s))
}

type tekkenVocab []tekkenToken

func (v *tekkenVocab) UnmarshalJSON(data []byte) error {
	return bounded(data, "vocab", 8*(maxID+1), (*[]tekkenToken)(v))
}

// specials are the special tokens in the order of their ids.
func (f *tekkenFile) specials() ([]string, error) {
	names := tekkenDefaults
	if f.Special != nil {
		names = make([]string, len(*f.Special))
		for _, s := range *f.Special {
			if s.Rank < 0 || s.Rank >= len(names) || names[s.Rank] != "" || s.Text == "" {
				return nil, fmt.Errorf("special_tokens: %.40q has the rank %d, want each from 0 to %d once", s.Text, s.Rank, len(names)-1)
			}
			names[s.Rank] = s.Text
		}
	}
	n := len(names)
	if f.Config.Specials != nil {
		n = *f.Config.Specials
	}
	if n < len(names) || n > maxAdded {
		return nil, fmt.Errorf("default_num_special_tokens is %d, want %d to %d", n, len(names), maxAdded)
	}
	names = names[:len(names):len(names)]
	for i := len(names); i < n; i++ {
		names = append(names, fmt.Sprintf("<SPECIAL_%d>", i))
	}
	return names, nil
}

// convertTekken makes the tokenizer.json of a tekken.json, as transformers' converter does.
func convertTekken(data []byte) (*tokenizerFile, error) {
	var t tekkenFile
	if err := plainjson.Decode(data, len(data), &t); err != nil {
		return nil, plainjson.In(fileTekken, err)
	}
	f, err := t.convert()
	if err != nil {
		err = fmt.Errorf("%s: %w", fileTekken, err)
	}
	return f, err
}

func (t *tekkenFile) convert() (*tokenizerFile, error) {
	names, err := t.specials()
	if err != nil {
		return nil, err
	}
	vocab := t.Vocab
	if size := t.Config.Size; size != nil { // what is there beyond it is not used
		if *size < len(names) || *size > len(names)+len(vocab) {
			return nil, fmt.Errorf("default_vocab_size is %d, want %d to %d", *size, len(names), len(names)+len(vocab))
		}
		vocab = vocab[:*size-len(names)]
	}
	f := &tokenizerFile{
		Version: "1.0",
		PreTokenizer: marshal(map[string]any{"type": "Sequence", "pretokenizers": []any{
			map[string]any{"type": "Split", "pattern": map[string]string{"Regex": t.Config.Pattern}, "behavior": isolated, "invert": false},
			map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
		}}),
		PostProcessor: json.RawMessage(`{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false,"use_regex":true}`),
		Decoder:       json.RawMessage(`{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}`),
		Model:         modelFile{Type: "BPE", IgnoreMerges: true, Vocab: make(map[string]int64, len(vocab)+len(names))},
	}
	tokens, chars := make([]string, len(vocab)), make([]string, len(vocab))
	for rank, v := range vocab {
		raw, err := base64.StdEncoding.DecodeString(v.Bytes)
		if err != nil || len(raw) == 0 || len(raw) > maxRankToken {
			return nil, fmt.Errorf("vocab: token %d is %.40q, want 1 to %d bytes in base64", rank, v.Bytes, maxRankToken)
		}
		tokens[rank], chars[rank] = string(raw), tokenChars(string(raw))
		if _, twice := f.Model.Vocab[chars[rank]]; twice {
			return nil, fmt.Errorf("vocab: token %d (%.40q) is there twice", rank, v.Bytes)
		}
		f.Model.Vocab[chars[rank]] = int64(rank + len(names))
	}
	if f.Model.Merges, err = mergesOf(tokens, chars); err != nil {
		return nil, err
	}
	for id, name := range names {
		f.Model.Vocab[name] = int64(id)
		f.AddedTokens = append(f.AddedTokens, addedToken{ID: int64(id), Content: name, Special: true})
	}
	return f, nil
}
