package convert

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"lwtrain/internal/plainjson"
)

// vocabulary is a JSON object in the order of the ids.
type vocabulary []string

func (v vocabulary) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for id, token := range v {
		if id > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s:%d", plainjson.Quote(token), id)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// addedToken is an entry of added_tokens, and, without the id, of
// added_tokens_decoder.
type addedToken struct {
	ID         *int   `json:"id,omitempty"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

func (t *bpeTokenizer) addedTokens() []addedToken {
	out := []addedToken{}
	for id := range t.tokens {
		if t.added(id) {
			out = append(out, addedToken{ID: &id, Content: t.tokens[id], Special: t.types[id] != tokenUser})
		}
	}
	return out
}

// tokenizerJSON is tokenizer.json as the tokenizers library reads it.
func (t *bpeTokenizer) tokenizerJSON() (any, error) {
	if t.pieces != nil {
		text, err := t.pieces.JSON()
		return json.RawMessage(text), err
	}
	return t.byteLevelJSON(), nil
}

func (t *bpeTokenizer) byteLevelJSON() any {
	byteLevel := func(addPrefixSpace, useRegex bool) object {
		return object{"type": "ByteLevel", "add_prefix_space": addPrefixSpace, "trim_offsets": true, "use_regex": useRegex}
	}
	steps := append(slices.Clone(t.pre.steps), byteLevel(false, t.pre.splitWords))
	return struct {
		Version       string       `json:"version"`
		Truncation    any          `json:"truncation"`
		Padding       any          `json:"padding"`
		AddedTokens   []addedToken `json:"added_tokens"`
		Normalizer    any          `json:"normalizer"`
		PreTokenizer  any          `json:"pre_tokenizer"`
		PostProcessor any          `json:"post_processor"`
		Decoder       any          `json:"decoder"`
		Model         any          `json:"model"`
	}{
		Version: "1.0", AddedTokens: t.addedTokens(), Normalizer: t.pre.normalizer,
		PreTokenizer:  object{"type": "Sequence", "pretokenizers": steps},
		PostProcessor: t.postProcessor(),
		Decoder:       byteLevel(true, true),
		Model: struct {
			Type         string     `json:"type"`
			Dropout      any        `json:"dropout"`
			Unknown      any        `json:"unk_token"`
			Prefix       any        `json:"continuing_subword_prefix"`
			Suffix       any        `json:"end_of_word_suffix"`
			FuseUnknown  bool       `json:"fuse_unk"`
			ByteFallback bool       `json:"byte_fallback"`
			IgnoreMerges bool       `json:"ignore_merges"`
			Vocab        vocabulary `json:"vocab"`
			Merges       []string   `json:"merges"`
		}{Type: "BPE", IgnoreMerges: t.pre.ignoreMerges, Vocab: t.tokens[:t.inVocab], Merges: append([]string{}, t.merges...)},
	}
}

// postProcessor puts the token that begins a text before it, if the model
// wants that.
func (t *bpeTokenizer) postProcessor() any {
	if !t.addBOS {
		return nil
	}
	bos := t.tokens[t.bos]
	begin := func(kind int) any { return object{"SpecialToken": object{"id": bos, "type_id": kind}} }
	text := func(id string, kind int) any { return object{"Sequence": object{"id": id, "type_id": kind}} }
	return object{
		"type":           "TemplateProcessing",
		"single":         []any{begin(0), text("A", 0)},
		"pair":           []any{begin(0), text("A", 0), begin(1), text("B", 1)},
		"special_tokens": object{bos: object{"id": bos, "ids": []int{t.bos}, "tokens": []string{bos}}},
	}
}

// specialTokens is special_tokens_map.json.
func (t *bpeTokenizer) specialTokens() object {
	out := object{}
	for key, id := range map[string]int{"bos_token": t.bos, "eos_token": t.eos, "unk_token": t.unknown, "pad_token": t.padding} {
		if id >= 0 {
			out[key] = t.tokens[id]
		}
	}
	return out
}

// config is tokenizer_config.json.
func (t *bpeTokenizer) config(maxLength int) any {
	decoder := object{}
	for _, a := range t.addedTokens() {
		id := *a.ID
		a.ID = nil
		decoder[fmt.Sprint(id)] = a
	}
	c := object{
		"added_tokens_decoder":         decoder,
		"clean_up_tokenization_spaces": false,
		"model_input_names":            []string{"input_ids", "attention_mask"},
		"model_max_length":             maxLength,
		"tokenizer_class":              "PreTrainedTokenizerFast",
	}
	maps.Copy(c, t.specialTokens())
	if t.template != "" {
		c["chat_template"] = t.template
	}
	return c
}

// generationConfig is generation_config.json.
func (t *bpeTokenizer) generationConfig() any {
	c := object{}
	t.addIDs(c)
	if t.padding >= 0 {
		c["pad_token_id"] = t.padding
	}
	return c
}

// addIDs enters the ids that begin and end a text; where several end one, as a
// list.
func (t *bpeTokenizer) addIDs(c map[string]any) {
	if t.bos >= 0 {
		c["bos_token_id"] = t.bos
	}
	c["eos_token_id"] = t.eos
	if len(t.stops) > 1 {
		c["eos_token_id"] = t.stops
	}
}
