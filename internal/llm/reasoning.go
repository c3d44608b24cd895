package llm

import (
	"strings"

	"lwtrain/tokenizer"
)

const opens, closes = "<think>", "</think>"

// SplitReasoning takes what a model thought from the beginning of its reply, where it stands in <think> and </think>.
// Without its end all is thought. open: the prompt ended behind <think> ([Thinks]).
func SplitReasoning(text string, open bool) (reasoning, answer string) {
	inside, found := strings.CutPrefix(strings.TrimLeft(text, " \t\r\n"), opens)
	switch {
	case found:
	case open:
		inside = text
	default:
		return "", text
	}
	reasoning, answer, _ = strings.Cut(inside, closes)
	return strings.TrimSpace(reasoning), strings.TrimLeft(answer, " \t\r\n")
}

// openedBefore reports whether a server's prompt ended behind <think>, which is not known of it: what closes and was not
// opened tells it.
func openedBefore(reply string) bool {
	before, _, closed := strings.Cut(reply, closes)
	return closed && !strings.Contains(before, opens)
}

// Thinks reports whether a prompt ends behind <think>, as templates of models that always think have it.
func Thinks(t *tokenizer.Tokenizer, prompt []int32) bool {
	tail := t.Decode(prompt[max(0, len(prompt)-16):], false)
	return strings.HasSuffix(strings.TrimSpace(tail), "<think>")
}
