package record

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"lwtrain/chat"
)

// conversation reads a record of one of the three formats of conversations.
func (l Layout) conversation(f fields, format string) (c Conversation, err error) {
	switch format {
	case messagesFormat:
		raw, ok := l.get(f, "messages")
		if !ok {
			return c, l.lacks(f, "messages")
		}
		c.Messages, err = l.turns(raw, l.names["messages"][0])
	case alpacaFormat:
		c.Messages, err = l.instruction(f)
		if err == nil {
			var output string
			if output, err = l.text(f, "output"); err == nil {
				c.Messages = append(c.Messages, chat.Message{Role: "assistant", Content: output})
			}
		}
	case promptFormat:
		if c.Messages, err = l.side(f, "prompt", "user"); err == nil {
			var answer []chat.Message
			answer, err = l.side(f, "completion", "assistant")
			c.Messages = append(c.Messages, answer...)
		}
	}
	if err != nil {
		return c, err
	}
	return l.withSystem(f, c)
}

// withSystem adds what a record says beside its messages.
func (l Layout) withSystem(f fields, c Conversation) (Conversation, error) {
	if _, ok := l.get(f, "system"); ok {
		system, err := l.text(f, "system")
		if err != nil {
			return c, err
		}
		first := len(c.Messages) > 0 && c.Messages[0].Role == "system"
		if first && system != "" && c.Messages[0].Content != system {
			return c, bad("two_systems", "the record says system, and its first message another one, want one of them")
		}
		if system != "" && !first {
			c.Messages = slices.Insert(c.Messages, 0, chat.Message{Role: "system", Content: system})
			if c.First > 0 {
				c.First++
			}
		}
	}
	var err error
	c.Tools, err = l.tools(f)
	return c, err
}

// instruction reads Alpaca's prompt: the history, and an instruction with its
// input on a line of its own.
func (l Layout) instruction(f fields) ([]chat.Message, error) {
	var out []chat.Message
	if raw, ok := l.get(f, "history"); ok {
		var turns [][]string
		if err := json.Unmarshal(raw, &turns); err != nil {
			return nil, bad("invalid_history", "history is %s, want a list of [question, answer]", kindOf(raw))
		}
		for i, t := range turns {
			if len(t) != 2 {
				return nil, bad("invalid_history", "history[%d] has %d texts, want a question and an answer", i, len(t))
			}
			out = append(out, chat.Message{Role: "user", Content: t[0]}, chat.Message{Role: "assistant", Content: t[1]})
		}
	}
	prompt, err := l.text(f, "instruction")
	if err != nil {
		return nil, err
	}
	if _, ok := l.get(f, "input"); ok {
		input, err := l.text(f, "input")
		if err != nil {
			return nil, err
		}
		if prompt != "" && input != "" {
			prompt += "\n"
		}
		prompt += input
	}
	return append(out, chat.Message{Role: "user", Content: prompt}), nil
}

// text reads a column that holds text.
func (l Layout) text(f fields, column string) (string, error) {
	raw, ok := l.get(f, column)
	if !ok {
		return "", l.lacks(f, column)
	}
	text, isText, err := textOf(raw)
	if err != nil {
		return "", bad("invalid_"+column, "%s: %v", column, err)
	}
	if !isText {
		return "", bad("invalid_"+column, "%s is %s, want text", column, kindOf(raw))
	}
	return text, nil
}

// side reads a column that holds text, a message or a list of messages. Text is
// said by role.
func (l Layout) side(f fields, column, role string) ([]chat.Message, error) {
	raw, ok := l.get(f, column)
	if !ok {
		return nil, l.lacks(f, column)
	}
	switch raw[0] {
	case '"':
		text, err := l.text(f, column)
		return []chat.Message{{Role: role, Content: text}}, err
	case '{':
		return l.turns(json.RawMessage("["+string(raw)+"]"), column)
	}
	return l.turns(raw, column)
}

// tools reads the tools of a record, a list or the text of one, in the form that
// chat templates expect: {"type": "function", "function": {...}}.
func (l Layout) tools(f fields) (json.RawMessage, error) {
	raw, ok := l.get(f, "tools")
	if !ok {
		return nil, nil
	}
	if text, isText, _ := textOf(raw); isText && raw[0] == '"' {
		if raw = json.RawMessage(strings.TrimSpace(text)); len(raw) == 0 {
			return nil, nil
		}
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, bad("invalid_tools", "tools: %s, want a list of functions, or the text of one", kindOf(raw))
	}
	if len(list) == 0 {
		return nil, nil
	}
	for i, tool := range list {
		var keys fields
		if json.Unmarshal(tool, &keys) == nil && keys["function"] == nil && keys["name"] != nil && string(keys["type"]) != `"function"` {
			list[i] = json.RawMessage(fmt.Sprintf(`{"type": "function", "function": %s}`, tool))
		}
	}
	return json.Marshal(list)
}
