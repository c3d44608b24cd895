package tokenizer

import (
	"fmt"

	"lwtrain/tokenizer/split"
)

// Split patterns that other formats have names for.
const (
	patternGPT2   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	patternCL100K = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	patternQwen   = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	patternQwen35 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*` + endSpaces
	patternO200K  = upper + "*" + lower + "+" + shortened + "|" + upper + "+" + lower + "*" + shortened +
		`|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*` + endSpaces
	patternTekken = upper + "*" + lower + "+|" + upper + "+" + lower + `*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*` + endSpaces

	endSpaces = `|\s*[\r\n]+|\s+(?!\S)|\s+`
	upper     = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`
	lower     = `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
	shortened = `(?i:'s|'t|'re|'ve|'m|'ll|'d)?`

	nameDigits    = "digits"
	nameDigitRuns = "digit runs"
)

// splitsDeepSeek are those of DeepSeek-V3, one after the other.
var splitsDeepSeek = []string{`\p{N}{1,3}`, `[一-龥぀-ゟ゠-ヿ]+`,
	"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*" +
		"|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"}

// behavior is what becomes of the matches of a pattern and of what lies between them.
type behavior string

const (
	isolated           behavior = "Isolated" // each is a piece
	removed            behavior = "Removed"  // matches are left out
	contiguous         behavior = "Contiguous"
	mergedWithPrevious behavior = "MergedWithPrevious" // a match joins what lies before it, unless that is a match
	mergedWithNext     behavior = "MergedWithNext"
)

// stage is one splitting step of a pre-tokenizer: the pieces of a stage are
// split again by the next one, each on its own.
type stage struct {
	name    string // goes into the fingerprint
	pattern *split.Pattern
	behavior
	invert bool // what lies between the matches are the matches
}

// newStage makes a stage of an expression.
func newStage(name string, pattern *split.Pattern, b behavior, invert bool) (stage, error) {
	switch b {
	case isolated, removed, contiguous, mergedWithPrevious, mergedWithNext:
	default:
		return stage{}, unknownPart("pre_tokenizer Split has", fmt.Sprintf("the behavior %.40q", b),
			"Isolated, Removed, Contiguous, MergedWithPrevious or MergedWithNext")
	}
	if b == removed && invert && pattern.Covers() || b == isolated {
		b, invert = isolated, false // nothing lies between the matches
	} else {
		name = fmt.Sprintf("%s %s %t", name, b, invert)
	}
	return stage{name, pattern, b, invert}, nil
}

// split calls piece for each piece of a text.
func (st *stage) split(s string, piece func(start, end int)) {
	type part struct {
		start, end int
		match      bool
	}
	var held part // not yet given away: the next part may join it
	emit := func(p part) {
		if p.end > p.start && !(st.behavior == removed && p.match) {
			piece(p.start, p.end)
		}
	}
	last := false // whether the part before was a match
	add := func(p part) {
		if p.start == p.end {
			return
		}
		joins := false
		switch st.behavior {
		case contiguous:
			joins = held.match == p.match
		case mergedWithPrevious:
			joins = p.match && !last
		case mergedWithNext:
			joins = last && !p.match
		}
		last = p.match
		if joins && held.end > held.start {
			held.end = p.end
			return
		}
		emit(held)
		held = p
	}
	matches := st.pattern.Scan(s)
	for i := 0; i < len(s); {
		start, end := matches.Next(i)
		add(part{i, start, st.invert})
		add(part{start, end, !st.invert})
		i = end
	}
	emit(held)
}
