package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"lwtrain/internal/fault"
	"lwtrain/internal/plainjson"
)

// fileRanks is a tiktoken rank file in the folders that GLM-4-9B was published
// in; in most others a file of this name is a SentencePiece model.
const fileRanks = "tokenizer.model"

// classGLM4 is the tokenizer_class whose tokenizer.model is read. A rank file
// does not say how text is split before it applies; that is known for this class.
const classGLM4 = "ChatGLM4Tokenizer"

// Limits on a rank file. GLM-4's has under 3 MB, and the longest tokens in use
// have 128 bytes. Every way to cut a token in two is looked up, so that its length
// counts squared.
const (
	maxRankFile  = 16 << 20
	maxRankToken = 1 << 10
)

const convertHint = "let transformers convert it: AutoTokenizer.from_pretrained(dir, use_fast=True).save_pretrained(dir)"

// readRanks reads a tiktoken rank file, lines of a token's bytes in base64, a
// space and its rank, and returns the tokens by rank. Each rank from 0 on must be
// there once, and so must each of the 256 bytes as a token. Errors start with the
// file's name and the line.
func readRanks(data []byte) ([]string, error) {
	if len(data) > maxRankFile {
		return nil, fmt.Errorf("%s: %d bytes, want at most %d", fileRanks, len(data), maxRankFile)
	}
	n, line := 0, 0 // n: lines that are not empty
	for text := range bytes.Lines(data) {
		if len(bytes.TrimSpace(text)) > 0 {
			n++
		}
	}
	if n > maxID+1 {
		return nil, fmt.Errorf("%s: %d ranks, want at most %d", fileRanks, n, maxID+1)
	}
	tokens := make([]string, n)
	lines := make(map[string]int, n) // by token
	for text := range bytes.Lines(data) {
		line++
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		at := func(format string, args ...any) error {
			return fmt.Errorf("%s:%d: %w", fileRanks, line, fmt.Errorf(format, args...))
		}
		code, number, _ := bytes.Cut(text, []byte(" "))
		rank, err := strconv.Atoi(string(number))
		if err != nil {
			err = at("%.40q, want a token in base64, a space and its rank", text)
			if len(lines) == 0 {
				err = fault.Hint(err, "this is no tiktoken rank file; if it is a SentencePiece model, "+convertHint)
			}
			return nil, err
		}
		raw, err := base64.StdEncoding.Strict().AppendDecode(nil, code)
		token := string(raw)
		switch {
		case err != nil:
			return nil, at("token %.40q: %w", code, err)
		case token == "" || len(token) > maxRankToken:
			return nil, at("token of %d bytes, want 1 to %d", len(token), maxRankToken)
		case rank < 0 || rank >= n:
			return nil, at("rank %d, want 0 to %d: the file has %d lines, and a rank on each", rank, n-1, n)
		case tokens[rank] != "":
			return nil, at("rank %d, which line %d has too", rank, lines[tokens[rank]])
		case lines[token] != 0:
			return nil, at("token %.40q, which line %d has too", code, lines[token])
		}
		tokens[rank], lines[token] = token, line
	}
	for b := range 256 {
		if lines[string([]byte{byte(b)})] == 0 {
			return nil, fmt.Errorf("%s: no rank for the byte 0x%02x, want one for each of the 256", fileRanks, b)
		}
	}
	return tokens, nil
}

// convertGLM4 makes the tokenizer.json of GLM-4-9B from tokenizer.model and
// tokenizer_config.json, as transformers' converter of tiktoken files does.
func convertGLM4(ranks, config []byte) (*tokenizerFile, error) {
	var c struct {
		Class string                `json:"tokenizer_class"`
		Added map[string]addedToken `json:"added_tokens_decoder"`
	}
	if config != nil {
		if err := plainjson.Decode(config, maxValues, &c); err != nil {
			return nil, plainjson.In(fileConfig, err)
		}
	}
	if c.Class != classGLM4 {
		return nil, fault.Hint(fmt.Errorf("%s: tokenizer_class is %.40q, want %s: there is no %s, and of %s only GLM-4's is known",
			fileConfig, c.Class, classGLM4, fileTokenizer, fileRanks), convertHint)
	}
	tokens, err := readRanks(ranks)
	if err != nil {
		return nil, err
	}
	f := &tokenizerFile{
		Version: "1.0",
		PreTokenizer: marshal(map[string]any{"type": "Sequence", "pretokenizers": []any{
			map[string]any{"type": "Split", "pattern": map[string]string{"Regex": patternCL100K}, "behavior": "Isolated", "invert": false},
			map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
		}}),
		Decoder: json.RawMessage(`{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}`),
		Model:   modelFile{Type: "BPE", IgnoreMerges: true, Vocab: make(map[string]int64, len(tokens))},
	}
	chars := make([]string, len(tokens))
	for rank, token := range tokens {
		chars[rank] = tokenChars(token)
		f.Model.Vocab[chars[rank]] = int64(rank)
	}
	if f.Model.Merges, err = mergesOf(tokens, chars); err != nil {
		return nil, fmt.Errorf("%s: %w", fileRanks, err)
	}
	if f.AddedTokens, err = addedGLM4(c.Added, len(tokens)); err != nil {
		return nil, fmt.Errorf("%s: added_tokens_decoder: %w", fileConfig, err)
	}
	f.PostProcessor, err = prefixGLM4(f.AddedTokens)
	return f, err
}

// mergesOf returns every way to cut a token in two tokens, by the token's rank
// and then by the left part's.
//
// tiktoken joins the neighbours whose bytes have the lowest rank, the leftmost
// first; a merge list that gives each cut a rank of its own comes to the same ids.
// What lies between two boundaries that still stand has been joined as it would be
// alone, in an order that is fixed, so that of all cuts of a token only one ever
// meets, and which goes before which does not matter.
func mergesOf(tokens, chars []string) ([]mergeFile, error) {
	ids := make(map[string]int32, len(tokens))
	for rank, token := range tokens {
		ids[token] = int32(rank)
	}
	merges := make([]mergeFile, 0, 2*len(tokens))
	var cuts [][2]int32
	for _, token := range tokens {
		cuts = cuts[:0]
		for i := 1; i < len(token); i++ {
			left, ok := ids[token[:i]]
			if !ok {
				continue
			}
			if right, ok := ids[token[i:]]; ok {
				cuts = append(cuts, [2]int32{left, right})
			}
		}
		slices.SortFunc(cuts, func(a, b [2]int32) int { return cmp.Compare(a[0], b[0]) })
		for _, c := range cuts {
			merges = append(merges, mergeFile{left: chars[c[0]], right: chars[c[1]]})
		}
		if len(merges) > maxMerges {
			return nil, fmt.Errorf("more than %d ways to make a token of two, want fewer", maxMerges)
		}
	}
	return merges, nil
}

// addedGLM4 returns the special tokens by id. They must follow the ranks without
// a gap: the class counts them on from there, whatever the file says.
func addedGLM4(byID map[string]addedToken, next int) ([]addedToken, error) {
	if len(byID) == 0 {
		return nil, fmt.Errorf("not there or empty, want the special tokens from id %d on", next)
	}
	added := make([]addedToken, 0, len(byID))
	for _, key := range slices.Sorted(maps.Keys(byID)) {
		a := byID[key]
		id, err := strconv.Atoi(key)
		if err != nil {
			return nil, fmt.Errorf("key %.40q, want an id", key)
		}
		if a.Content == "" {
			return nil, fmt.Errorf("id %d has no content", id)
		}
		a.ID = int64(id)
		added = append(added, a)
	}
	slices.SortStableFunc(added, func(a, b addedToken) int { return cmp.Compare(a.ID, b.ID) })
	for i, a := range added {
		if want := int64(next + i); a.ID != want {
			return nil, fmt.Errorf("%.40q has the id %d, want %d: %s has %d ranks, and the special tokens follow them",
				a.Content, a.ID, want, fileRanks, next)
		}
	}
	return added, nil
}

// prefixGLM4 returns the post-processor that puts [gMASK]<sop> before a text, as
// the class's build_inputs_with_special_tokens does.
func prefixGLM4(added []addedToken) (json.RawMessage, error) {
	var single []any
	special := map[string]any{}
	for _, content := range []string{"[gMASK]", "<sop>"} {
		i := slices.IndexFunc(added, func(a addedToken) bool { return a.Content == content })
		if i < 0 {
			return nil, fmt.Errorf("%s: added_tokens_decoder: no %s, want it: GLM-4 puts it before every text", fileConfig, content)
		}
		single = append(single, map[string]any{"SpecialToken": map[string]any{"id": content, "type_id": 0}})
		special[content] = map[string]any{"id": content, "ids": []int64{added[i].ID}, "tokens": []string{content}}
	}
	single = append(single, map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}})
	pair := append(slices.Clone(single), map[string]any{"Sequence": map[string]any{"id": "B", "type_id": 1}})
	return marshal(map[string]any{"type": "Sequence", "processors": []any{
		map[string]any{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true},
		map[string]any{"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special},
	}}), nil
}

// tokenChars writes a token's bytes as GPT-2's characters; [tokenBytes] reads them.
func tokenChars(token string) string {
	var b strings.Builder
	b.Grow(2 * len(token))
	for i := 0; i < len(token); i++ {
		b.WriteRune(byteChars[token[i]])
	}
	return b.String()
}
