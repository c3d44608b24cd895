package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"lwtrain/internal/plainjson"
	"slices"
	"strconv"
	"strings"
)

// Files beside tokenizer.json that name tokens.
const (
	fileSpecial = "special_tokens_map.json"
	fileAdded   = "added_tokens.json"
)

// namedTokens are the keys of special tokens, in the order in which AutoTokenizer adds
// those that are missing.
var namedTokens = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

// configured adds tokens that other files name to those of tokenizer.json, as AutoTokenizer
// of transformers does: those of added_tokens_decoder, with its flags also for tokens that are
// known, then special tokens by name, then the list of extra ones. One that the vocabulary
// has keeps its id, another one gets the next that is free, whatever the files say. Without
// an added_tokens_decoder the files of before it say the same.
type configured struct {
	list  []addedToken
	at    map[string]int // in list, by content
	vocab map[string]int64
	next  int64 // id
}

// addConfigured is what [configured] describes.
func (f *tokenizerFile) addConfigured(files map[string][]byte) error {
	c := configured{list: f.AddedTokens, at: map[string]int{}, vocab: f.Model.Vocab, next: int64(len(f.Model.Vocab))}
	for i, a := range c.list {
		c.at[a.Content] = i
		c.next = max(c.next, a.ID+1)
	}
	f.own = len(c.list)
	config := object{}
	if data, ok := files[fileConfig]; ok {
		if err := plainjson.Decode(data, maxValues, &config); err != nil {
			return plainjson.In(fileConfig, err)
		}
	}
	decoder, name, err := config.decoder()
	if err == nil && name == "" {
		decoder, name, err = config.legacy(files, c.list)
	}
	if err != nil {
		return plainjson.In(cmp.Or(name, fileConfig), err)
	}
	named, extra, err := config.specialTokens()
	if err != nil {
		return fmt.Errorf("%s: %w", fileConfig, err)
	}
	isNamed := map[string]bool{}
	for _, a := range named {
		isNamed[a.Content] = true
	}
	for _, a := range decoder {
		a.Special = a.Special || isNamed[a.Content]
		c.add(a)
	}
	for _, a := range slices.Concat(named, extra) {
		if _, known := c.at[a.Content]; !known {
			c.add(a)
		}
	}
	f.AddedTokens = c.list
	return nil
}

// add adds a token, or gives one that is known its flags. What is special stays so.
func (c *configured) add(a addedToken) {
	if a.Content == "" {
		return
	}
	if i, known := c.at[a.Content]; known {
		a.ID, a.Special = c.list[i].ID, a.Special || c.list[i].Special
		c.list[i] = a
		return
	}
	id, ok := c.vocab[a.Content]
	if !ok {
		id = c.next
		c.next++
	}
	a.ID = id
	c.at[a.Content] = len(c.list)
	c.list = append(c.list, a)
}

// object is a JSON object that keeps the order of its keys.
type object struct {
	keys   []string
	values map[string]json.RawMessage
}

// UnmarshalJSON reads an object; of a key that comes twice the last value.
func (o *object) UnmarshalJSON(data []byte) error {
	if err := plainjson.Unmarshal(data, &o.values); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	seen := map[string]bool{}
	dec.Token()      // {
	for dec.More() { // what was read above fails at nothing
		key, _ := dec.Token()
		var ignored json.RawMessage
		_ = dec.Decode(&ignored)
		if name := key.(string); !seen[name] {
			seen[name] = true
			o.keys = append(o.keys, name)
		}
	}
	return nil
}

func (o *object) set(key string, value json.RawMessage) {
	if _, there := o.values[key]; !there {
		o.keys = append(o.keys, key)
	}
	if o.values == nil {
		o.values = map[string]json.RawMessage{}
	}
	o.values[key] = value
}

// decoder are the tokens of added_tokens_decoder in the order of their ids; file is "" where
// there is none.
func (o *object) decoder() (tokens []addedToken, file string, err error) {
	const key = "added_tokens_decoder"
	raw, ok := o.values[key]
	if !ok {
		return nil, "", nil
	}
	var byID map[string]*flagged
	if json.Unmarshal(raw, &byID) != nil {
		return nil, fileConfig, fmt.Errorf("%s is no object of tokens by their ids", key)
	}
	for text, t := range byID {
		if _, err := strconv.Atoi(text); err != nil || t == nil {
			return nil, fileConfig, fmt.Errorf("%s is no object of tokens by their ids", key)
		}
		a := t.token()
		a.ID, _ = strconv.ParseInt(text, 10, 64)
		tokens = append(tokens, a)
	}
	slices.SortFunc(tokens, func(a, b addedToken) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Content, b.Content)) })
	return tokens, fileConfig, nil
}

// legacy takes over what special_tokens_map.json says, and returns the tokens of
// added_tokens.json in the order of their ids.
func (o *object) legacy(files map[string][]byte, known []addedToken) (tokens []addedToken, file string, err error) {
	special := object{}
	if data, ok := files[fileSpecial]; ok {
		if err := plainjson.Decode(data, maxValues, &special); err != nil {
			return nil, fileSpecial, err
		}
	}
	for _, key := range special.keys {
		raw := special.values[key]
		if flags := map[string]any{}; raw[0] == '{' && json.Unmarshal(raw, &flags) == nil && flags["content"] != nil {
			flags["__type"], flags["special"] = typeAdded, true
			raw = marshal(flags)
		}
		o.set(key, raw)
	}
	data, ok := files[fileAdded]
	if !ok {
		return nil, fileSpecial, nil
	}
	var ids map[string]int64
	if err := plainjson.Decode(data, maxValues, &ids); err != nil {
		return nil, fileAdded, err
	}
	named, extra, err := o.specialTokens()
	if err != nil {
		return nil, fileSpecial, err
	}
	for content, id := range ids {
		taken := slices.ContainsFunc(known, func(a addedToken) bool { return a.ID == id })
		if taken { // tokenizer.json says what that one is
			continue
		}
		isSpecial := slices.ContainsFunc(slices.Concat(named, extra), func(a addedToken) bool { return a.Content == content })
		tokens = append(tokens, addedToken{ID: id, Content: content, Special: isSpecial, Normalized: !isSpecial})
	}
	slices.SortFunc(tokens, func(a, b addedToken) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Content, b.Content)) })
	return tokens, fileAdded, nil
}

// specialTokens are the tokens that have a name, among them those of a model's own
// (image_token), and the list of extra ones.
func (o *object) specialTokens() (named, extra []addedToken, err error) {
	add := func(to *[]addedToken, key string, raw json.RawMessage) {
		a, e := parseSpecial(key, raw)
		err = errors.Join(err, e)
		*to = append(*to, a)
	}
	for _, key := range namedTokens {
		if raw := o.values[key]; !isNull(raw) {
			add(&named, key, raw)
		}
	}
	for _, key := range o.keys {
		raw := o.values[key]
		if strings.HasSuffix(key, "_token") && !slices.Contains(namedTokens, key) && (raw[0] == '"' || raw[0] == '{') {
			add(&named, key, raw)
		}
	}
	for _, key := range []string{"extra_special_tokens", "additional_special_tokens"} { // the second is the older name
		var list []json.RawMessage
		var own object
		switch raw := o.values[key]; {
		case isNull(raw):
		case raw[0] == '{':
			err = errors.Join(err, plainjson.Unmarshal(raw, &own)) // of an object it fails at nothing
		case json.Unmarshal(raw, &list) != nil:
			err = errors.Join(err, fmt.Errorf("%s is %.40s, want a list of tokens", key, raw))
		}
		for _, name := range own.keys {
			add(&named, key+"."+name, own.values[name])
		}
		for _, raw := range list {
			add(&extra, key, raw)
		}
		if len(own.keys)+len(list) > 0 {
			break
		}
	}
	return named, extra, err
}

// typeAdded is what an object says of itself that stands for a token with flags.
const typeAdded = "AddedToken"

// parseSpecial reads a special token: text, or an object with its flags. An object that does
// not say that it is one is no token for AutoTokenizer, and an empty one here.
func parseSpecial(key string, raw json.RawMessage) (addedToken, error) {
	special := true
	t := flagged{Special: &special}
	var err error
	switch raw[0] {
	case '"':
		err = plainjson.Unmarshal(raw, &t.Content)
	case '{':
		err = plainjson.Unmarshal(raw, &t)
	default:
		err = fmt.Errorf("%.40s", raw)
	}
	if err != nil {
		return addedToken{}, fmt.Errorf("%s is %.40s, want text or a token", key, raw)
	}
	if raw[0] == '{' && t.Type != typeAdded {
		return addedToken{}, nil
	}
	return t.token(), nil
}

// flagged is a token whose flags may be left out.
type flagged struct {
	addedToken
	Type       string `json:"__type"`
	Special    *bool  `json:"special"`    // nil: no
	Normalized *bool  `json:"normalized"` // nil: unless it is special
}

func (t flagged) token() addedToken {
	a := t.addedToken
	a.Special = t.Special != nil && *t.Special
	a.Normalized = !a.Special
	setIf(&a.Normalized, t.Normalized)
	return a
}

func setIf(dst, v *bool) {
	if v != nil {
		*dst = *v
	}
}
