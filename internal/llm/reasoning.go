package llm

import (
	"strings"

	"lwtrain/tokenizer"
)

// SplitReasoning takes what a model thought from the beginning of its reply, where it stands in <think> and </think>.
// Without its end all is thought. open: the prompt ended behind <think>; of a server's prompts that is not known, so what
// closes and was not opened tells it.
func SplitReasoning(text string, open bool) (reasoning, answer string) {
	const opens, closes = "<think>", "</think>"
	inside, found := strings.CutPrefix(strings.TrimLeft(text, " \t\r\n"), opens)
	before, _, closed := strings.Cut(text, closes)
	switch {
	case found:
	case open, closed && !strings.Contains(before, opens):
		inside = text
	default:
		return "", text
	}
	reasoning, answer, _ = strings.Cut(inside, closes)
	return strings.TrimSpace(reasoning), strings.TrimLeft(answer, " \t\r\n")
}

// Thinks reports whether a prompt ends behind <think>, as templates of models that always think have it.
func Thinks(t *tokenizer.Tokenizer, prompt []int32) bool {
	tail := t.Decode(prompt[max(0, len(prompt)-16):], false)
	return strings.HasSuffix(strings.TrimSpace(tail), "<think>")
}
