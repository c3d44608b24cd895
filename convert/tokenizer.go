package convert

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"lwtrain/internal/fault"
	"lwtrain/internal/gguf"
	"lwtrain/tokenizer"
)

// Types of tokens in tokenizer.ggml.token_type.
const (
	tokenNormal  = 1
	tokenUnknown = 2
	tokenControl = 3 // special: not shown
	tokenUser    = 4 // added, but shown
	tokenUnused  = 5 // fills the embedding table up
	tokenByte    = 6
)

// object is one of JSON.
type object = map[string]any

// bpeTokenizer is a BPE tokenizer as the metadata of a GGUF file
// give it.
type bpeTokenizer struct {
	pre      *preTokenizer
	tokens   []string
	types    []int // as long as tokens
	merges   []string
	inVocab  int // the tokens before this one are the BPE's own
	template string
	addBOS   bool
	pieces   *tokenizer.Pieces // in the place of pre and merges: a SentencePiece model

	bos, eos, unknown, padding int   // -1: none
	stops                      []int // eos and the other tokens that end a turn
}

// preTokenizer is what a name in tokenizer.ggml.pre stands for: the parts of
// tokenizer.json that the metadata leave out.
type preTokenizer struct {
	splits       []string // as [tokenizer.Parts] has them
	normalizer   any
	steps        []any // before the byte-level step
	splitWords   bool
	ignoreMerges bool
	either       bool // tokenizers with ignore_merges have this name, too: their merges make every token
	addBOS       bool // where tokenizer.ggml.add_bos_token is not there
}

// splitBy cuts a text into the words that regular expressions find, one after the other.
func splitBy(patterns ...string) (steps []any) {
	for _, pattern := range patterns {
		steps = append(steps, object{"type": "Split", "behavior": "Isolated", "invert": false, "pattern": object{"Regex": pattern}})
	}
	return steps
}

// preTokenizers are the names that are known. A wrong guess would give wrong
// ids in silence, so any other is refused. llama.cpp does not normalise, whatever the name.
var preTokenizers = map[string]*preTokenizer{
	"gpt-2": {splits: []string{tokenizer.SplitGPT2}, splitWords: true},
	"smollm": {splits: []string{tokenizer.SplitDigits, tokenizer.SplitGPT2},
		steps: []any{object{"type": "Digits", "individual_digits": true}}, splitWords: true},
	"llama-bpe":   {splits: []string{tokenizer.SplitCL100K}, steps: splitBy(tokenizer.SplitCL100K), ignoreMerges: true, addBOS: true},
	"glm4":        {splits: []string{tokenizer.SplitCL100K}, steps: splitBy(tokenizer.SplitCL100K)},
	"qwen2":       {splits: []string{tokenizer.SplitQwen}, steps: splitBy(tokenizer.SplitQwen), normalizer: object{"type": "NFC"}},
	"qwen35":      {splits: []string{tokenizer.SplitQwen35}, steps: splitBy(tokenizer.SplitQwen35), normalizer: object{"type": "NFC"}},
	"gpt-4o":      {splits: []string{tokenizer.SplitO200K}, steps: splitBy(tokenizer.SplitO200K), either: true},
	"tekken":      {splits: []string{tokenizer.SplitTekken}, steps: splitBy(tokenizer.SplitTekken), ignoreMerges: true, addBOS: true},
	"deepseek-v3": {splits: tokenizer.SplitsDeepSeek(), steps: splitBy(tokenizer.SplitsDeepSeek()...)},
	"stablelm2":   {splits: []string{tokenizer.SplitQwen}, steps: splitBy(tokenizer.SplitQwen)},
}

// sameAs are names that mean what another one does, and are not written.
var sameAs = map[string]string{"lfm2": "llama-bpe"}

// preOf is the name of a tokenizer's pre-tokenizer.
func preOf(parts *tokenizer.Parts) (string, error) {
	if parts.Changes {
		return "", fmt.Errorf("the tokenizer has a normalizer or Metaspace, for which GGUF files have no place")
	}
	if len(parts.Merges) == 0 && !parts.IgnoreMerges && !parts.NFC {
		return "gpt-2", nil // each byte is a word
	}
	for _, name := range slices.Sorted(maps.Keys(preTokenizers)) {
		p := preTokenizers[name]
		merges := p.either || p.ignoreMerges == parts.IgnoreMerges
		if slices.Equal(p.splits, parts.Splits) && merges && (p.normalizer != nil) == parts.NFC {
			return name, nil
		}
	}
	return "", fault.Hint(fmt.Errorf("the tokenizer splits words by %q (NFC %t, ignore_merges %t), for which GGUF files have no name",
		parts.Splits, parts.NFC, parts.IgnoreMerges),
		"GGUF files name the pre-tokenizers of SmolLM2, Llama 3, Qwen 2 to 3.5, GLM-4, GPT-4o, Mistral and DeepSeek-V3")
}

// readTokenizer reads and checks the tokenizer of a model with vocab rows of
// embeddings.
func readTokenizer(g *gguf.File, vocab int) (*bpeTokenizer, error) {
	model, err := g.Text("tokenizer.ggml.model")
	if err != nil {
		return nil, err
	}
	t := &bpeTokenizer{}
	switch model {
	case "gpt2":
		name, err := g.Text("tokenizer.ggml.pre")
		if err != nil {
			return nil, err
		}
		if t.pre = preTokenizers[cmp.Or(sameAs[name], name)]; t.pre == nil {
			known := slices.AppendSeq(slices.Collect(maps.Keys(preTokenizers)), maps.Keys(sameAs))
			slices.Sort(known)
			return nil, fault.Hint(fmt.Errorf("tokenizer.ggml.pre is %.80q, want %s", name, strings.Join(known, ", ")),
				"take the model's own folder with tokenizer.json instead")
		}
	case "llama":
		t.pieces = &tokenizer.Pieces{BOS: -1, EOS: -1}
	default:
		return nil, fmt.Errorf("tokenizer.ggml.model is %.80q, want gpt2 (byte-level bpe) or llama (SentencePiece)", model)
	}
	if err := t.readTokens(g, vocab); err != nil {
		return nil, err
	}
	read := t.readMerges
	if t.pieces != nil {
		read = t.readPieces
	}
	if err := read(g); err != nil {
		return nil, err
	}
	if err := t.readSpecial(g); err != nil {
		return nil, err
	}
	if t.pieces != nil && t.addBOS {
		t.pieces.BOS = t.bos
	}
	if v, ok := g.Values["tokenizer.chat_template"]; ok {
		if t.template, ok = v.(string); !ok {
			return nil, fmt.Errorf("tokenizer.chat_template is %s, want a text", gguf.Show(v))
		}
	}
	return t, nil
}

func (t *bpeTokenizer) readTokens(g *gguf.File, vocab int) error {
	t.tokens, _ = g.Values["tokenizer.ggml.tokens"].([]string)
	if len(t.tokens) == 0 || len(t.tokens) > vocab {
		return fmt.Errorf("tokenizer.ggml.tokens is %s, want 1 to %d texts, one for each row of token_embd.weight",
			gguf.Show(g.Values["tokenizer.ggml.tokens"]), vocab)
	}
	types, _ := g.Values["tokenizer.ggml.token_type"].(gguf.Numbers)
	if types.Count != len(t.tokens) {
		return fmt.Errorf("tokenizer.ggml.token_type is %s, want one number for each of %d tokens",
			gguf.Show(g.Values["tokenizer.ggml.token_type"]), len(t.tokens))
	}
	t.types = make([]int, types.Count)
	for i := range t.types {
		kind, _ := types.At(i).(int64)
		if t.pieces != nil && (kind == tokenUnknown || kind == tokenByte) {
			t.types[i] = int(kind)
			continue
		}
		switch kind {
		case tokenNormal, tokenControl, tokenUser, tokenUnused:
			t.types[i] = int(kind)
		default:
			return fmt.Errorf("token %d (%.40q) has the type %v, want normal (1), control (3), user-defined (4) or unused (5)",
				i, t.tokens[i], types.At(i))
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

// added reports whether a token is looked for in a text before anything else.
func (t *bpeTokenizer) added(id int) bool {
	return t.types[id] == tokenControl || t.types[id] == tokenUser || t.types[id] == tokenUnknown
}

// readPieces makes a SentencePiece model of the tokens.
func (t *bpeTokenizer) readPieces(g *gguf.File) error {
	scores, _ := g.Values["tokenizer.ggml.scores"].(gguf.Numbers)
	if scores.Count < len(t.tokens) {
		return fmt.Errorf("tokenizer.ggml.scores is %s, want one number for each of %d tokens",
			gguf.Show(g.Values["tokenizer.ggml.scores"]), len(t.tokens))
	}
	for id, text := range t.tokens {
		score, ok := scores.At(id).(float64)
		if !ok {
			return fmt.Errorf("tokenizer.ggml.scores is %s, want float32", gguf.Show(g.Values["tokenizer.ggml.scores"]))
		}
		t.pieces.List = append(t.pieces.List, tokenizer.Piece{Text: text, Score: float32(score), Kind: tokenizer.PieceKind(t.types[id])})
	}
	t.pieces.Prefix = true
	if v, ok := g.Values["tokenizer.ggml.add_space_prefix"]; ok {
		if t.pieces.Prefix, ok = v.(bool); !ok {
			return fmt.Errorf("tokenizer.ggml.add_space_prefix is %s, want a boolean", gguf.Show(v))
		}
	}
	if v, ok := g.Values["tokenizer.ggml.remove_extra_whitespaces"]; ok && v != false {
		return fmt.Errorf("tokenizer.ggml.remove_extra_whitespaces is %s, want false", gguf.Show(v))
	}
	if _, ok := g.Values["tokenizer.ggml.precompiled_charsmap"]; ok {
		return fmt.Errorf("tokenizer.ggml.precompiled_charsmap is there, want no characters that are replaced")
	}
	return nil
}

// readMerges checks that every merge makes one token of the vocabulary from
// two, as the tokenizers library insists.
func (t *bpeTokenizer) readMerges(g *gguf.File) error {
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
	if t.merges, ok = g.Values["tokenizer.ggml.merges"].([]string); !ok {
		return fmt.Errorf("tokenizer.ggml.merges is %s, want texts", gguf.Show(g.Values["tokenizer.ggml.merges"]))
	}
	for i, merge := range t.merges {
		left, right, ok := strings.Cut(merge, " ")
		if !ok || strings.Contains(right, " ") {
			return fmt.Errorf("merge %d is %.80q, want two parts with a space between them", i, merge)
		}
		for _, token := range []string{left, right, left + right} {
			if id, ok := known[token]; !ok || id >= t.inVocab {
				return fmt.Errorf("merge %d (%.80q): token %.80q is not in the vocabulary", i, merge, token)
			}
		}
	}
	return nil
}

func (t *bpeTokenizer) readSpecial(g *gguf.File) error {
	for _, special := range []struct {
		key string
		id  *int
	}{{"bos", &t.bos}, {"eos", &t.eos}, {"unknown", &t.unknown}, {"padding", &t.padding}} {
		v, err := g.Int("tokenizer.ggml."+special.key+"_token_id", -1, -1, len(t.tokens)-1)
		if err != nil {
			return err
		}
		*special.id = v
	}
	if t.eos < 0 {
		return fmt.Errorf("no tokenizer.ggml.eos_token_id")
	}
	t.stops = []int{t.eos}
	for _, key := range []string{"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"} {
		id, err := g.Int(key, -1, -1, len(t.tokens)-1)
		if err != nil {
			return err
		}
		if id >= 0 && !slices.Contains(t.stops, id) {
			t.stops = append(t.stops, id)
		}
	}
	t.addBOS = t.pieces != nil || t.pre.addBOS
	if v, ok := g.Values["tokenizer.ggml.add_bos_token"]; ok {
		if t.addBOS, ok = v.(bool); !ok {
			return fmt.Errorf("tokenizer.ggml.add_bos_token is %s, want a boolean", gguf.Show(v))
		}
	}
	for _, key := range []string{"tokenizer.ggml.add_eos_token", "tokenizer.ggml.add_space_prefix"} {
		if t.pieces != nil && key == "tokenizer.ggml.add_space_prefix" {
			continue
		}
		if v, ok := g.Values[key]; ok && v != false {
			return fmt.Errorf("%s is %s, want false", key, gguf.Show(v))
		}
	}
	if t.addBOS && t.bos < 0 {
		return fmt.Errorf("no tokenizer.ggml.bos_token_id, which is put before every text")
	}
	return nil
}
