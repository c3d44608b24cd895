package tokenizer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"lwtrain/internal/plainjson"
	"lwtrain/tokenizer/split"
)

// parse reads the content of tokenizer.json.
func parse(data []byte) (*tokenizerFile, error) {
	f := &tokenizerFile{}
	if err := plainjson.Decode(data, len(data), f); err != nil { // its lists are bounded one by one
		return nil, err
	}
	if f.Version != "" && f.Version != "1.0" {
		return nil, fmt.Errorf("version is %.40q, want \"1.0\"", f.Version)
	}
	return f, nil
}

// build makes a tokenizer of a tokenizer.json.
func build(f *tokenizerFile) (*Tokenizer, error) {
	t := &Tokenizer{classes: classes()}
	t.pool.New = func() any { return new(encoder) }
	hash := sha256.New()
	byteLevel := false
	steps := []func() error{
		func() error { return t.parseNormalizer(f.Normalizer) },
		func() (err error) { byteLevel, err = t.parsePreTokenizer(f.PreTokenizer); return err },
		func() error { return t.parseModel(&f.Model, byteLevel) },
		func() error { return t.parseAdded(f.AddedTokens, len(f.Model.Vocab)) },
		func() error { return t.parseDecoder(f.Decoder, byteLevel) },
		func() error { return t.parsePostProcessor(f.PostProcessor) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	t.foreign = f.AddedTokens[f.own:]
	t.writeFingerprint(hash, f)
	t.fingerprint = hex.EncodeToString(hash.Sum(nil))
	return t, nil
}

// part is the union of the keys of normalizers, pre-tokenizers, decoders and
// post-processors that are known.
type part struct {
	Type             string            `json:"type"`
	Normalizers      []json.RawMessage `json:"normalizers"`
	PreTokenizers    []json.RawMessage `json:"pretokenizers"`
	Decoders         []json.RawMessage `json:"decoders"`
	Processors       []json.RawMessage `json:"processors"`
	IndividualDigits bool              `json:"individual_digits"`
	AddPrefixSpace   *bool             `json:"add_prefix_space"`
	UseRegex         *bool             `json:"use_regex"` // default true
	Behavior         string            `json:"behavior"`
	Invert           bool              `json:"invert"`
	Pattern          struct {
		String *string
		Regex  *string
	} `json:"pattern"`
	Content       string          `json:"content"`        // of Replace and Strip
	Prepend       string          `json:"prepend"`        // of Prepend
	Replacement   string          `json:"replacement"`    // of Metaspace
	Scheme        *string         `json:"prepend_scheme"` // of it; older files have add_prefix_space
	Split         *bool           `json:"split"`          // of it, default true
	Start         int             `json:"start"`          // of Strip
	Stop          int             `json:"stop"`
	Single        []templatePiece `json:"single"`
	SpecialTokens map[string]struct {
		IDs []int64 `json:"ids"`
	} `json:"special_tokens"`
}

type templatePiece struct {
	SpecialToken *struct {
		ID string `json:"id"`
	}
	Sequence *struct {
		ID string `json:"id"`
	}
}

func decodePart(data json.RawMessage) (p part, err error) {
	const most = 1 << 14 // values; the most in use are under a hundred
	if !plainjson.Within(data, most) {
		return p, fmt.Errorf("more than %d values, want fewer", most)
	}
	return p, plainjson.Unmarshal(data, &p)
}

func isNull(data json.RawMessage) bool { return len(data) == 0 || string(data) == "null" }

// flatten walks a part and, in order, the parts of sequences in it.
func flatten(data json.RawMessage, what string, inner func(p *part) []json.RawMessage, visit func(p *part) error) error {
	parts := 0
	var walk func(data json.RawMessage, depth int) error
	walk = func(data json.RawMessage, depth int) error {
		p, err := decodePart(data)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if parts++; parts > maxParts {
			return fmt.Errorf("%s has more than %d parts, want fewer", what, maxParts)
		}
		if p.Type != "Sequence" {
			return visit(&p)
		}
		if depth == maxNested {
			return fmt.Errorf("%s: sequences nested more than %d deep", what, maxNested)
		}
		for _, d := range inner(&p) {
			if err := walk(d, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return walk(data, 0)
}

func (t *Tokenizer) parseNormalizer(data json.RawMessage) error {
	if isNull(data) {
		return nil
	}
	growth := 1
	return flatten(data, "normalizer", func(p *part) []json.RawMessage { return p.Normalizers }, func(p *part) error {
		n := normalizer{content: p.Content}
		switch p.Type {
		case "NFC":
			n.nfc = newComposer()
		case "Prepend":
			n.content = p.Prepend
		case "Replace":
			switch {
			case p.Pattern.Regex != nil:
				var err error
				if n.pattern, err = split.Compile(*p.Pattern.Regex); err != nil {
					return unknownPart("normalizer Replace has the pattern", fmt.Sprintf("%.200q", *p.Pattern.Regex),
						"one that is known: "+err.Error())
				}
			case p.Pattern.String == nil || *p.Pattern.String == "":
				return unknownPart("normalizer Replace has", "no pattern", "a String or a Regex")
			default:
				n.literal = *p.Pattern.String
			}
		default:
			return unknownPart("normalizer is", fmt.Sprintf("%.40q", p.Type), "null, NFC, Replace, Prepend or a Sequence of them")
		}
		if growth *= n.growth(); growth > maxGrowth {
			return fmt.Errorf("normalizer: what it puts into a text makes it more than %d times as long, want less", maxGrowth)
		}
		t.normalizers = append(t.normalizers, n)
		return nil
	})
}

// knownPreTokenizers are those that [Tokenizer.parsePreTokenizer] knows.
const knownPreTokenizers = "null, Metaspace, Digits, Split or ByteLevel, Metaspace the first and ByteLevel the last"

// parsePreTokenizer reads what cuts a text into words. byteLevel says whether the words are of bytes.
func (t *Tokenizer) parsePreTokenizer(data json.RawMessage) (byteLevel bool, err error) {
	if isNull(data) {
		return false, nil
	}
	parts := 0
	err = flatten(data, "pre_tokenizer", func(p *part) []json.RawMessage { return p.PreTokenizers }, func(p *part) error {
		if byteLevel { // after it there are no characters left to split by
			return unknownPart("pre_tokenizer has", fmt.Sprintf("%.40q behind ByteLevel", p.Type), knownPreTokenizers)
		}
		first := parts == 0
		parts++
		switch p.Type {
		case "Digits":
			if p.IndividualDigits {
				return t.addStage(nameDigits, split.Digits(true), isolated, false)
			}
			return t.addStage(nameDigitRuns, split.Digits(false), isolated, false)
		case "Split":
			return t.parseSplit(p)
		case "Metaspace":
			if !first {
				return unknownPart("pre_tokenizer has", "Metaspace behind others", knownPreTokenizers)
			}
			return t.parseMetaspace(p)
		case "ByteLevel":
			byteLevel = true
			if p.AddPrefixSpace != nil && *p.AddPrefixSpace {
				if !first {
					return unknownPart("pre_tokenizer ByteLevel has", "add_prefix_space true behind others", "false")
				}
				t.meta = &metaspace{mark: " ", always: true}
			}
			if p.UseRegex == nil || *p.UseRegex {
				return t.addExpression(patternGPT2, isolated, false)
			}
		default:
			return unknownPart("pre_tokenizer is", fmt.Sprintf("%.40q", p.Type), knownPreTokenizers)
		}
		return nil
	})
	return byteLevel, err
}

// parseMetaspace reads the pre-tokenizer that marks spaces.
func (t *Tokenizer) parseMetaspace(p *part) error {
	if utf8.RuneCountInString(p.Replacement) != 1 {
		return unknownPart("pre_tokenizer Metaspace has", fmt.Sprintf("the replacement %.40q", p.Replacement), "one character")
	}
	for _, n := range t.normalizers {
		if n.prepends() {
			return unknownPart("pre_tokenizer is", `"Metaspace" with a normalizer "Prepend"`, "one of them")
		}
	}
	scheme, err := p.scheme()
	if err != nil {
		return err
	}
	t.meta = &metaspace{space: " ", mark: p.Replacement, always: scheme == "always", first: scheme == "first"}
	if p.Split == nil || *p.Split {
		return t.addExpression(regexp.QuoteMeta(p.Replacement), mergedWithNext, false)
	}
	return nil
}

// scheme says when a Metaspace puts its mark before a text.
func (p *part) scheme() (string, error) {
	scheme := "always"
	switch {
	case p.Scheme != nil:
		scheme = strings.ToLower(*p.Scheme)
	case p.AddPrefixSpace != nil && !*p.AddPrefixSpace:
		scheme = "never"
	}
	if scheme != "always" && scheme != "first" && scheme != "never" {
		return "", unknownPart("Metaspace has", fmt.Sprintf("the prepend_scheme %.40q", scheme), "always, first or never")
	}
	return scheme, nil
}

func (t *Tokenizer) parseSplit(p *part) error {
	expression := ""
	switch {
	case p.Pattern.Regex != nil:
		expression = *p.Pattern.Regex
	case p.Pattern.String != nil:
		expression = regexp.QuoteMeta(*p.Pattern.String)
	default:
		return unknownPart("pre_tokenizer Split has", "no pattern", "a Regex or a String")
	}
	return t.addExpression(expression, behavior(p.Behavior), p.Invert)
}

// addExpression adds a stage that splits by a regular expression.
func (t *Tokenizer) addExpression(expression string, b behavior, invert bool) error {
	pattern, err := split.Compile(expression)
	if err != nil {
		return unknownPart("pre_tokenizer Split has the pattern", fmt.Sprintf("%.200q", expression), "one that is known: "+err.Error())
	}
	return t.addStage(expression, pattern, b, invert)
}

func (t *Tokenizer) addStage(name string, pattern *split.Pattern, b behavior, invert bool) error {
	s, err := newStage(name, pattern, b, invert)
	if err == nil {
		t.stages = append(t.stages, s)
	}
	return err
}

const knownDecoders = "ByteLevel, or of Replace and Metaspace, then ByteFallback, Fuse and Strip each at most once"

// parseDecoder reads how ids become text. It follows the model, whose tokens it rewrites.
func (t *Tokenizer) parseDecoder(data json.RawMessage, byteLevel bool) error {
	if isNull(data) {
		return unknownPart("decoder is", "null", knownDecoders)
	}
	stage, growth, d := 0, 1, &t.decoding
	d.characters = !byteLevel
	err := flatten(data, "decoder", func(p *part) []json.RawMessage { return p.Decoders }, func(p *part) error {
		order := map[string]int{"Replace": 1, "Metaspace": 1, "ByteFallback": 2, "Fuse": 3, "Strip": 4, "ByteLevel": 5}[p.Type]
		if order == 0 || order < stage || order == stage && order > 1 || byteLevel != (p.Type == "ByteLevel") {
			return unknownPart("decoder has", fmt.Sprintf("%.40q there", p.Type), knownDecoders)
		}
		fused := stage == 3
		stage = order
		switch p.Type {
		case "Replace":
			if p.Pattern.String == nil || *p.Pattern.String == "" || d.firstMark != "" {
				return unknownPart("decoder Replace has", "no String, or follows Metaspace", "a String before it")
			}
			n := normalizer{literal: *p.Pattern.String, content: p.Content}
			if growth *= n.growth(); growth > maxGrowth {
				return fmt.Errorf("decoder: what it puts into a text makes it more than %d times as long, want less", maxGrowth)
			}
			t.rewrite(*p.Pattern.String, p.Content)
		case "Metaspace":
			scheme, err := p.scheme()
			if err != nil {
				return err
			}
			if p.Replacement == "" || d.firstMark != "" {
				return unknownPart("decoder Metaspace has", "no replacement, or is there twice", "one")
			}
			if scheme != "never" {
				d.firstMark = p.Replacement
			}
			t.rewrite(p.Replacement, " ")
		case "ByteFallback":
			t.findByteTokens()
		case "Strip":
			if utf8.RuneCountInString(p.Content) != 1 || p.Stop != 0 || p.Start < 0 || p.Start > maxGrowth || !fused {
				return unknownPart("decoder Strip has", fmt.Sprintf("content %.40q, start %d, stop %d", p.Content, p.Start, p.Stop),
					"one character and a start, behind Fuse")
			}
			d.strip = p.Start
			d.stripped, _ = utf8.DecodeRuneInString(p.Content)
		}
		return nil
	})
	if err == nil && byteLevel && stage == 0 {
		err = unknownPart("decoder has", "no ByteLevel", "it once")
	}
	return err
}

// rewrite replaces what the texts of tokens hold.
func (t *Tokenizer) rewrite(old, by string) {
	for id, text := range t.texts {
		t.texts[id] = strings.ReplaceAll(text, old, by)
	}
}

// findByteTokens finds the tokens that the decoder reads as bytes, whatever the model makes of them.
func (t *Tokenizer) findByteTokens() {
	t.decoding.bytes = map[int32]byte{}
	for id, token := range t.tokens {
		if len(token) != 6 || token[:3] != "<0x" || token[5] != '>' {
			continue
		}
		if b, err := strconv.ParseUint(token[3:5], 16, 8); err == nil {
			t.decoding.bytes[int32(id)] = byte(b)
			t.texts[id] = string([]byte{byte(b)})
		}
	}
}

func (t *Tokenizer) parsePostProcessor(data json.RawMessage) error {
	if isNull(data) {
		return nil
	}
	return flatten(data, "post_processor", func(p *part) []json.RawMessage { return p.Processors }, func(p *part) error {
		switch p.Type {
		case "ByteLevel": // moves offsets only
			return nil
		case "TemplateProcessing":
			head, tail, err := t.parseTemplate(p)
			t.before, t.after = append(head, t.before...), append(t.after, tail...)
			return err
		}
		return unknownPart("post_processor is", fmt.Sprintf("%.40q", p.Type), "null, ByteLevel, TemplateProcessing or a Sequence of them")
	})
}

// parseTemplate returns what a template puts before and behind sequence A.
func (t *Tokenizer) parseTemplate(p *part) (before, after []int32, err error) {
	sequences := 0
	for _, piece := range p.Single {
		if n := len(before) + len(after); n > maxAround {
			return nil, nil, fmt.Errorf("post_processor puts more than %d tokens around a text, want fewer", maxAround)
		}
		switch {
		case piece.Sequence != nil && piece.Sequence.ID == "A":
			sequences++
		case piece.SpecialToken != nil:
			token, ok := p.SpecialTokens[piece.SpecialToken.ID]
			if !ok {
				return nil, nil, fmt.Errorf("post_processor: token %.40q is not among its special_tokens", piece.SpecialToken.ID)
			}
			for _, id := range token.IDs {
				if id < 0 || id >= int64(len(t.tokens)) {
					return nil, nil, fmt.Errorf("post_processor: token %.40q has the id %d, want less than %d",
						piece.SpecialToken.ID, id, len(t.tokens))
				}
				if sequences == 0 {
					before = append(before, int32(id))
				} else {
					after = append(after, int32(id))
				}
			}
		default:
			return nil, nil, errors.New("post_processor: a piece of the template is neither a SpecialToken nor Sequence A")
		}
	}
	if sequences != 1 {
		return nil, nil, fmt.Errorf("post_processor: the template has sequence A %d times, want once", sequences)
	}
	return before, after, nil
}

// writeFingerprint hashes what decides on ids. Every text is written with its
// length, so that no two tokenizers write the same bytes.
func (t *Tokenizer) writeFingerprint(w interface{ Write([]byte) (int, error) }, f *tokenizerFile) {
	buf := make([]byte, 0, 1<<16)
	number := func(v int64) { buf = binary.LittleEndian.AppendUint64(buf, uint64(v)) }
	text := func(s string) {
		number(int64(len(s)))
		for ; len(s) > 0; s = s[min(len(s), 1<<15):] {
			if buf = append(buf, s[:min(len(s), 1<<15)]...); len(buf) > 1<<15 {
				w.Write(buf)
				buf = buf[:0]
			}
		}
	}
	flag := func(b bool) { buf = append(buf, map[bool]byte{true: 1}[b]) }
	text("lwtrain tokenizer 1")
	flag(t.onlyNFC())
	flag(f.Model.IgnoreMerges)
	flag(t.model.fuse)
	number(int64(t.model.unknown))
	number(int64(len(t.stages)))
	for _, s := range t.stages {
		text(s.name)
	}
	for _, ids := range [][]int32{t.before, t.after} {
		number(int64(len(ids)))
		for _, id := range ids {
			number(int64(id))
		}
	}
	number(int64(len(f.AddedTokens)))
	for _, a := range f.AddedTokens {
		number(a.ID)
		text(a.Content)
		for _, b := range []bool{a.SingleWord, a.LStrip, a.RStrip, a.Normalized, a.Special} {
			flag(b)
		}
	}
	number(int64(len(t.tokens)))
	for _, token := range t.tokens {
		text(token)
	}
	for _, m := range f.Model.Merges {
		if !m.comment {
			text(m.left)
			text(m.right)
		}
	}
	if !t.decoding.characters && t.meta == nil && (len(t.normalizers) == 0 || t.onlyNFC()) {
		w.Write(buf)
		return
	}
	flag(t.model.chars != nil && t.model.chars.fallback)
	for _, part := range []json.RawMessage{f.Normalizer, f.PreTokenizer} {
		if !isNull(part) {
			text(string(part))
		}
	}
	w.Write(buf)
}

// onlyNFC reports whether form C is all that is done to a text.
func (t *Tokenizer) onlyNFC() bool {
	return len(t.normalizers) > 0 && !slices.ContainsFunc(t.normalizers, func(n normalizer) bool { return n.nfc == nil })
}
