package chat

import (
	"slices"
	"strings"

	"lwtrain/internal/jinja"
)

// Text is a text that is no conversation, as training sees it: the tokens of [Tokenizer.Encode],
// with what its post-processor puts around a text (Llama's BOS), and eos_token behind them where
// none ends it. All of them are targets. The template writes nothing of it.
func (t *Template) Text(text string) (Rendered, error) {
	if err := checkText(len(text)); err != nil {
		return Rendered{}, err
	}
	if strings.TrimSpace(text) == "" {
		return Rendered{}, &ConversationError{Reason: EmptyAnswer, Message: -1, Detail: "the text is empty"}
	}
	before, after := t.tok.Around()
	ids, spans := t.tok.Offsets(text)
	out := Rendered{Text: text, tok: t.tok}
	out.out = rendering{width: otherParts, Output: jinja.Output{Text: text, Sources: []jinja.SourceSpan{{End: len(text)}}}}
	add := func(list []int32, at int) {
		for _, id := range list {
			out.IDs, out.Bytes = append(out.IDs, id), append(out.Bytes, [2]int32{int32(at), int32(at)})
		}
	}
	add(before, 0)
	for i, id := range ids {
		if t.tok.IsSpecial(id) {
			out.Injected = append(out.Injected, int32(len(before)+i))
		}
	}
	out.IDs, out.Bytes = append(out.IDs, ids...), append(out.Bytes, spans...)
	add(after, len(text))
	if eos := t.endOfText(); len(eos) > 0 && !slices.Contains(t.tok.EOS(), out.IDs[len(out.IDs)-1]) {
		add(eos[:1], len(text))
	}
	out.Target = []Span{{0, int32(len(out.IDs))}}
	return out, nil
}

// endOfText is eos_token, or else the ids at which generation ends.
func (t *Template) endOfText() []int32 {
	if id, ok := t.tok.ID(t.tok.SpecialToken("eos_token")); ok {
		return []int32{id}
	}
	return t.tok.EOS()
}
