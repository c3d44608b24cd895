package tokenizer

import (
	"strings"
	"unicode/utf8"

	"lwtrain/tokenizer/split"
)

// normalizer is one step of a normalizer: form C, a replacement, or text that is put before.
type normalizer struct {
	nfc     *composer
	literal string         // what is replaced,
	pattern *split.Pattern // or what finds it
	content string         // by what; without the two above it is put before the text
}

// prepends reports whether it puts text before a text.
func (n *normalizer) prepends() bool { return n.nfc == nil && n.literal == "" && n.pattern == nil }

// apply returns the normalised text and, where it is to say so, what it changed, which takes 16 bytes for each change.
func (n *normalizer) apply(s string, say bool) (string, edits) {
	switch {
	case n.nfc != nil:
		return n.nfc.normalize(s, say)
	case n.literal != "":
		return replace(s, n.literal, n.content, say)
	case n.pattern != nil:
		return n.replaceMatches(s, say)
	}
	return prepend(s, n.content, say)
}

// growth is how many times as long as before a text may be.
func (n *normalizer) growth() int {
	switch {
	case n.nfc != nil:
		return 1
	case n.literal != "":
		return max(1, (len(n.content)+len(n.literal)-1)/len(n.literal))
	case n.pattern != nil:
		return max(1, len(n.content))
	}
	return 1 + len(n.content)
}

// prepend puts text before s, if there is any s. Its first character then stands for both.
func prepend(s, text string, say bool) (string, edits) {
	if s == "" || text == "" {
		return s, nil
	}
	if !say {
		return text + s, nil
	}
	_, size := utf8.DecodeRuneInString(s)
	return text + s, edits{{0, int32(len(text) + size), 0, int32(size)}}
}

// replace is strings.ReplaceAll that says what it did.
func replace(s, old, by string, say bool) (string, edits) {
	count := strings.Count(s, old)
	if count == 0 {
		return s, nil
	}
	if !say {
		return strings.ReplaceAll(s, old, by), nil
	}
	changes := make(edits, 0, count)
	var out strings.Builder
	out.Grow(len(s) + count*(len(by)-len(old)))
	done := 0
	for range count {
		at := done + strings.Index(s[done:], old)
		out.WriteString(s[done:at])
		start := int32(out.Len())
		out.WriteString(by)
		done = at + len(old)
		changes = append(changes, edit{start, int32(out.Len()), int32(at), int32(done)})
	}
	out.WriteString(s[done:])
	return out.String(), changes
}

// replaceMatches replaces what the pattern finds.
func (n *normalizer) replaceMatches(s string, say bool) (string, edits) {
	var changes edits
	var out strings.Builder
	matches := n.pattern.Scan(s)
	done := 0
	for {
		from, end := matches.Next(done)
		out.WriteString(s[done:from])
		if from == len(s) {
			break
		}
		start := int32(out.Len())
		out.WriteString(n.content)
		if say {
			changes = append(changes, edit{start, int32(out.Len()), int32(from), int32(end)})
		}
		done = end
	}
	if done == 0 {
		return s, nil
	}
	return out.String(), changes
}

// metaspace is the pre-tokenizer that marks spaces: it replaces each by its mark and may put one before a text.
type metaspace struct {
	space  string // what is replaced; "": nothing
	mark   string
	always bool // before each text that does not begin with it
	first  bool // before the first one alone
}

// apply is [normalizer.apply]; first says that the text begins what is encoded.
func (m *metaspace) apply(s string, first, say bool) (string, edits) {
	var changes edits
	if m.space != "" {
		s, changes = replace(s, m.space, m.mark, say)
	}
	if !(m.always || m.first && first) || strings.HasPrefix(s, m.mark) {
		return s, changes
	}
	s, before := prepend(s, m.mark, say)
	if len(changes) == 0 || before == nil {
		return s, append(before, changes...)
	}
	// The first character is no space, which would have become a mark: the changes lie behind what was put before it.
	for i := range changes {
		changes[i].newStart += int32(len(m.mark))
		changes[i].newEnd += int32(len(m.mark))
	}
	return s, append(before, changes...)
}

// decoding is what a file's decoder does beside joining the texts of tokens, which [Tokenizer.texts] has.
type decoding struct {
	bytes      map[int32]byte // tokens of bytes: a run of them is text if all of it is UTF-8, and U+FFFD each if not
	strip      int            // up to so many
	stripped   rune           // of these are taken from the begin of a text
	firstMark  string         // is left out of the first token
	characters bool           // tokens are text: no bytes of several of them make a character
}
