package tokenizer

import (
	"fmt"
	"slices"
)

// Parts are what a tokenizer is made of, for writing it in another form.
type Parts struct {
	Tokens       []string // by id, "" where there is none; those of bytes written as GPT-2's characters
	Added        []Added  // those among them that are looked for in a text before anything else
	Merges       []string // "left right", the first first
	Splits       []string // what cuts a text into words, in order: [SplitDigits], or a regular expression
	NFC          bool     // the text is normalised before
	IgnoreMerges bool     // a word that is a token is taken as it is
	Before       []int32  // what is put before a text's ids
	After        []int32  // and behind them
	Characters   bool     // its symbols are characters, not bytes; see [Tokenizer.Pieces]
	Changes      bool     // the text is changed before in more ways than by NFC
}

// Added is an added token.
type Added struct {
	ID      int
	Special bool
	Plain   bool // found wherever it stands, without taking white space around it
}

// The names and expressions of [Parts.Splits] that formats without a tokenizer.json have names for.
const (
	SplitDigits = nameDigits // every digit alone
	SplitGPT2   = patternGPT2
	SplitCL100K = patternCL100K
	SplitQwen   = patternQwen
	SplitQwen35 = patternQwen35
	SplitO200K  = patternO200K
	SplitTekken = patternTekken
)

// SplitsDeepSeek are the expressions of DeepSeek-V3.
func SplitsDeepSeek() []string { return slices.Clone(splitsDeepSeek) }

// Parts reads the tokenizer's files once more and takes it apart.
func (t *Tokenizer) Parts() (Parts, error) {
	f, err := t.reread()
	if err != nil {
		return Parts{}, err
	}
	p := Parts{Tokens: slices.Clone(t.tokens), NFC: t.onlyNFC(), IgnoreMerges: f.Model.IgnoreMerges, Before: t.before, After: t.after,
		Characters: t.model.chars != nil, Changes: t.meta != nil || len(t.normalizers) > 0 && !t.onlyNFC()}
	for _, s := range t.stages {
		p.Splits = append(p.Splits, s.name)
	}
	for _, m := range f.Model.Merges {
		if !m.comment {
			p.Merges = append(p.Merges, m.left+" "+m.right)
		}
	}
	for _, a := range slices.Concat(t.raw.tokens, t.normalized.tokens) {
		p.Added = append(p.Added, Added{ID: int(a.ID), Special: t.special[a.ID], Plain: !a.SingleWord && !a.LStrip && !a.RStrip})
	}
	return p, nil
}

// Pieces reads the tokenizer's files once more: it is the SentencePiece model that a tokenizer of characters is, or the error
// says why it is none.
func (t *Tokenizer) Pieces() (*Pieces, error) {
	f, err := t.reread()
	if err != nil {
		return nil, err
	}
	return t.pieces(f)
}

// reread reads the tokenizer's files once more.
func (t *Tokenizer) reread() (f *tokenizerFile, err error) {
	if data, ok := t.files[fileTokenizer]; ok {
		f, err = parse(data)
	} else {
		f, err = convertFiles(t.files)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", fileTokenizer, err)
	}
	return f, err
}
