package record

import (
	"encoding/json"

	"lwtrain/chat"
	"lwtrain/data/read"
	"lwtrain/internal/prose"
)

// Prompt is a conversation that waits for an answer.
type Prompt struct {
	Messages []chat.Message // the last one is not the assistant's
	Required int            // words that are asked for; 0: no length is stated
	Origin   string         // file:line; empty from [Layout.Prompt]
}

// Prompt reads what the record of a line asks, whatever it holds besides. The words
// asked for are those of the column length, where the record has it, else what the last
// message states.
func (l Layout) Prompt(x read.Line, length string) (p Prompt, err error) {
	f, err := fieldsOf(x)
	if err != nil {
		return p, err
	}
	if p.Messages, err = l.promptOf(f); err != nil {
		return p, err
	}
	c, err := l.withSystem(f, Conversation{Messages: p.Messages})
	if err != nil {
		return p, err
	}
	p.Messages = c.Messages
	for n := len(p.Messages); n > 0 && p.Messages[n-1].Role == "assistant"; n-- {
		p.Messages = p.Messages[:n-1]
	}
	n := len(p.Messages)
	switch {
	case n == 0 || p.Messages[n-1].Role == "system":
		return p, bad("no_prompt", "a record without a prompt, messages or an instruction (%s)", keysOf(f))
	case c.Tools != nil:
		return p, bad("tools", "a record with tools, want a prompt without any")
	case isBlank(p.Messages[n-1]):
		return p, bad("empty_prompt", "the prompt is empty")
	}
	if raw, ok := f[length]; ok && string(raw) != "null" {
		if json.Unmarshal(raw, &p.Required) != nil || p.Required < 0 || p.Required > 1<<30 {
			return p, bad("invalid_length", "%s is %s, want a number of words", length, kindOf(raw))
		}
	} else {
		p.Required = prose.StatedLength(p.Messages[n-1].Content).Words()
	}
	return p, nil
}
