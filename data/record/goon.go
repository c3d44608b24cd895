package record

import (
	"slices"
	"strings"

	"lwtrain/chat"
)

// goesOn reports whether message n is the last one and goes on with an answer before it: both are
// the assistant's, and neither calls a tool.
func goesOn(messages []chat.Message, n int) bool {
	answers := func(m chat.Message) bool { return m.Role == "assistant" && m.Extra["tool_calls"] == nil }
	return n > 0 && len(messages) == n+1 && answers(messages[n-1]) && answers(messages[n])
}

// goOn makes the last two messages, the begin of an answer that is message n and what goes on with
// it, one: their texts as they are, with nothing between.
func goOn(messages []chat.Message, n int) ([]chat.Message, error) {
	begin, rest := messages[n], messages[n+1]
	switch {
	case strings.TrimSpace(begin.Content) == "":
		return nil, bad("invalid_prompt", "the prompt ends with an empty answer of the assistant, want its begin")
	case strings.TrimSpace(rest.Content) == "":
		return nil, bad("empty_answer", "nothing goes on with the answer that the prompt begins")
	case rest.Reasoning != "":
		return nil, lostKey(rest.ReasoningKey, "is of an answer whose begin is in the prompt, want it in that")
	}
	one := begin
	one.Content, one.Given, one.Mark = begin.Content+rest.Content, len(begin.Content), rest.Mark
	return append(slices.Clone(messages[:n]), one), nil
}
