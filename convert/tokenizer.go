package checkpoints

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"lwtrain/internal/fault"
)

// Types of tokens in tokenizer.ggml.token_type.
const (
	tokenNormal  = 1
	tokenControl = 3 // special: not shown
	tokenUser    = 4 // added, but shown
	tokenUnused  = 5 // fills the embedding table up
)

// ggufTokenizer is a byte-level BPE tokenizer as the metadata of a GGUF file
// give it.
type ggufTokenizer struct {
	pre      *preTokenizer
	tokens   []string
	types    []int // as long as tokens
	merges   []string
	inVocab  int // the tokens before this one are the BPE's own
	template string
	addBOS   bool

	bos, eos, unknown, padding int   // -1: none
	stops                      []int // eos and the other tokens that end a turn
}

// preTokenizer is what a name in tokenizer.ggml.pre stands for: the parts of
// tokenizer.json that the metadata leave out.
type preTokenizer struct {
	normalizer   any
	split        any // before the byte-level step
	splitWords   bool
	ignoreMerges bool
	addBOS       bool // where tokenizer.ggml.add_bos_token is not there
}

type object = map[string]any

// wordPattern is the split of Llama 3 and Qwen 2, which take runs of up to 3
// digits and single digits.
func wordPattern(digits string) any {
	return object{
		"type": "Split", "behavior": "Isolated", "invert": false,
		"pattern": object{"Regex": `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|` + digits +
			`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`},
	}
}

// preTokenizers are the names that are known. A wrong guess would give wrong
// ids in silence, so any other is refused.
var preTokenizers = map[string]*preTokenizer{
	"smollm":    {split: object{"type": "Digits", "individual_digits": true}, splitWords: true},
	"llama-bpe": {split: wordPattern(`\p{N}{1,3}`), ignoreMerges: true, addBOS: true},
	"qwen2":     {split: wordPattern(`\p{N}`), normalizer: object{"type": "NFC"}},
}

// readTokenizer reads and checks the tokenizer of a model with vocab rows of
// embeddings.
func readTokenizer(g *ggufFile, vocab int) (*ggufTokenizer, error) {
	model, err := ggufText(g, "tokenizer.ggml.model")
	if err != nil {
		return nil, err
	}
	if model != "gpt2" {
		return nil, fmt.Errorf("tokenizer.ggml.model is %.80q, wanted gpt2 (byte-level bpe)", model)
	}
	name, err := ggufText(g, "tokenizer.ggml.pre")
	if err != nil {
		return nil, err
	}
	t := &ggufTokenizer{pre: preTokenizers[name]}
	if t.pre == nil {
		return nil, fault.Hint(fmt.Errorf("tokenizer.ggml.pre is %.80q, wanted %s", name, strings.Join(slices.Sorted(maps.Keys(preTokenizers)), ", ")),
			"take the model's own folder with tokenizer.json instead")
	}
	if err := t.readTokens(g, vocab); err != nil {
		return nil, err
	}
	if err := t.readMerges(g); err != nil {
		return nil, err
	}
	if err := t.readSpecial(g); err != nil {
		return nil, err
	}
	if v, ok := g.values["tokenizer.chat_template"]; ok {
		if t.template, ok = v.(string); !ok {
			return nil, fmt.Errorf("tokenizer.chat_template is %s, wanted a text", ggufShow(v))
		}
	}
	return t, nil
}

func (t *ggufTokenizer) readTokens(g *ggufFile, vocab int) error {
	t.tokens, _ = g.values["tokenizer.ggml.tokens"].([]string)
	if len(t.tokens) == 0 || len(t.tokens) > vocab {
		return fmt.Errorf("tokenizer.ggml.tokens is %s, wanted 1 to %d texts, one for each row of token_embd.weight",
			ggufShow(g.values["tokenizer.ggml.tokens"]), vocab)
	}
	types, _ := g.values["tokenizer.ggml.token_type"].(ggufNumbers)
	if types.count != len(t.tokens) {
		return fmt.Errorf("tokenizer.ggml.token_type is %s, wanted one number for each of %d tokens",
			ggufShow(g.values["tokenizer.ggml.token_type"]), len(t.tokens))
	}
	t.types = make([]int, types.count)
	for i := range t.types {
		kind, _ := types.at(i).(int64)
		switch kind {
		case tokenNormal, tokenControl, tokenUser, tokenUnused:
			t.types[i] = int(kind)
		default:
			return fmt.Errorf("token %d (%.40q) has the type %v, wanted normal (1), control (3), user-defined (4) or unused (5)", i, t.tokens[i], types.at(i))
		}
	}
	// Tokens that only fill the table up are no tokens of the tokenizer. The
	// added ones at the end stay outside of the BPE's vocabulary, as they are in
	// the files of the models; added ones among its own have a place in it.
	for len(t.types) > 0 && t.types[len(t.types)-1] == tokenUnused {
		t.types = t.types[:len(t.types)-1]
	}
	t.tokens = t.tokens[:len(t.types)]
	t.inVocab = len(t.tokens)
	for t.inVocab > 0 && t.added(t.inVocab-1) {
		t.inVocab--
	}
	return nil
}

func (t *ggufTokenizer) added(id int) bool {
	return t.types[id] == tokenControl || t.types[id] == tokenUser
}

// readMerges checks that every merge makes one token of the vocabulary from
// two, as the tokenizers library insists.
func (t *ggufTokenizer) readMerges(g *ggufFile) error {
	known := make(map[string]int, len(t.tokens))
	for i, token := range t.tokens {
		if first, twice := known[token]; twice {
			return fmt.Errorf("tokens %d and %d are both %.40q", first, i, token)
		}
		if token == "" {
			return fmt.Errorf("token %d is empty", i)
		}
		known[token] = i
	}
	var ok bool
	if t.merges, ok = g.values["tokenizer.ggml.merges"].([]string); !ok {
		return fmt.Errorf("tokenizer.ggml.merges is %s, wanted texts", ggufShow(g.values["tokenizer.ggml.merges"]))
	}
	for i, merge := range t.merges {
		left, right, ok := strings.Cut(merge, " ")
		if !ok || strings.Contains(right, " ") {
			return fmt.Errorf("merge %d is %.80q, wanted two parts with a space between them", i, merge)
		}
		for _, token := range []string{left, right, left + right} {
			if id, ok := known[token]; !ok || id >= t.inVocab {
				return fmt.Errorf("merge %d (%.80q): token %.80q is not in the vocabulary", i, merge, token)
			}
		}
	}
	return nil
}

func (t *ggufTokenizer) readSpecial(g *ggufFile) error {
	for key, id := range map[string]*int{"bos": &t.bos, "eos": &t.eos, "unknown": &t.unknown, "padding": &t.padding} {
		v, err := ggufInt(g, "tokenizer.ggml."+key+"_token_id", -1, -1, len(t.tokens)-1)
		if err != nil {
			return err
		}
		*id = v
	}
	if t.eos < 0 {
		return fmt.Errorf("no tokenizer.ggml.eos_token_id")
	}
	t.stops = []int{t.eos}
	for _, key := range []string{"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"} {
		id, err := ggufInt(g, key, -1, -1, len(t.tokens)-1)
		if err != nil {
			return err
		}
		if id >= 0 && !slices.Contains(t.stops, id) {
			t.stops = append(t.stops, id)
		}
	}
	t.addBOS = t.pre.addBOS
	if v, ok := g.values["tokenizer.ggml.add_bos_token"]; ok {
		if t.addBOS, ok = v.(bool); !ok {
			return fmt.Errorf("tokenizer.ggml.add_bos_token is %s, wanted a boolean", ggufShow(v))
		}
	}
	for _, key := range []string{"tokenizer.ggml.add_eos_token", "tokenizer.ggml.add_space_prefix"} {
		if v, ok := g.values[key]; ok && v != false {
			return fmt.Errorf("%s is %s, wanted false", key, ggufShow(v))
		}
	}
	if t.addBOS && t.bos < 0 {
		return fmt.Errorf("no tokenizer.ggml.bos_token_id, which is put before every text")
	}
	return nil
}

// vocabulary is a JSON object in the order of the ids.
type vocabulary []string

func (v vocabulary) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for id, token := range v {
		if id > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s:%d", jsonString(token), id)
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

func (t *ggufTokenizer) addedTokens() []addedToken {
	out := []addedToken{}
	for id := range t.tokens {
		if t.added(id) {
			out = append(out, addedToken{ID: &id, Content: t.tokens[id], Special: t.types[id] == tokenControl})
		}
	}
	return out
}

// tokenizerJSON is tokenizer.json as the tokenizers library reads it.
func (t *ggufTokenizer) tokenizerJSON() any {
	byteLevel := func(addPrefixSpace, useRegex bool) object {
		return object{"type": "ByteLevel", "add_prefix_space": addPrefixSpace, "trim_offsets": true, "use_regex": useRegex}
	}
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
		PreTokenizer:  object{"type": "Sequence", "pretokenizers": []any{t.pre.split, byteLevel(false, t.pre.splitWords)}},
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
func (t *ggufTokenizer) postProcessor() any {
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
func (t *ggufTokenizer) specialTokens() object {
	out := object{}
	for key, id := range map[string]int{"bos_token": t.bos, "eos_token": t.eos, "unk_token": t.unknown, "pad_token": t.padding} {
		if id >= 0 {
			out[key] = t.tokens[id]
		}
	}
	return out
}

// config is tokenizer_config.json.
func (t *ggufTokenizer) config(maxLength int) any {
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
func (t *ggufTokenizer) generationConfig() any {
	c := object{}
	t.addIDs(c)
	if t.padding >= 0 {
		c["pad_token_id"] = t.padding
	}
	return c
}

// addIDs enters the ids that begin and end a text; where several end one, as a
// list.
func (t *ggufTokenizer) addIDs(c map[string]any) {
	if t.bos >= 0 {
		c["bos_token_id"] = t.bos
	}
	c["eos_token_id"] = t.eos
	if len(t.stops) > 1 {
		c["eos_token_id"] = t.stops
	}
}
