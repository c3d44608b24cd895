package record

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"lwtrain/chat"
	"lwtrain/data/read"
	"lwtrain/internal/prose"
)

// Columns of a record of a prompt: its own id, and the range of words that is asked for.
const (
	IDColumn  = "id"
	MinColumn = "min_words"
	MaxColumn = "max_words"
)

// Prompt is a conversation that waits for an answer.
type Prompt struct {
	Messages []chat.Message  // the last one is not the assistant's
	Required int             // words that are asked for; 0: no length is stated
	Least    int             // words of the range that the record asks for; 0: no lower end
	Most     int             // 0: no upper end
	ID       json.RawMessage // the record's own id, text or a number; nil: it has none
	Line     int             // its number in its source, from 1; 0 from [Layout.Prompt]
	Origin   string          // file:line; empty from [Layout.Prompt]
}

// Prompt reads what the record of a line asks, whatever it holds besides. The words
// asked for are those of the column length, where the record has it, or a range (min_words,
// max_words), else what the last message states; where no column is named, that alone. Who
// answers is told roles and contents alone: a prompt with more is refused.
func (l Layout) Prompt(x read.Line, length string) (p Prompt, err error) {
	f, err := l.fields(x)
	if err != nil {
		return p, err
	}
	r := &reader{Layout: l, f: f}
	messages, err := r.promptOf()
	if err != nil {
		return p, err
	}
	c, err := r.withSystem(Conversation{Messages: messages})
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
	case isBlank(p.Messages[n-1]):
		return p, bad("empty_prompt", "the prompt is empty")
	}
	if err := r.refuseMore(p.Messages, c.Vars); err != nil {
		return p, err
	}
	if id := f[IDColumn]; id != nil && !absent(id) && id[0] != '{' && id[0] != '[' {
		p.ID = id
	}
	said := false
	for _, column := range []struct {
		name string
		to   *int
	}{{length, &p.Required}, {MinColumn, &p.Least}, {MaxColumn, &p.Most}} {
		if raw, ok := f[column.name]; ok && !absent(raw) && length != "" {
			said = true
			if *column.to, err = wordsAsked(raw); err != nil {
				return p, bad("invalid_length", "%s is %s, want a number of words", column.name, err)
			}
		}
	}
	switch {
	case p.Required > 0 && p.Least+p.Most > 0:
		return p, bad("invalid_length", "%s beside %s or %s, want one of them", length, MinColumn, MaxColumn)
	case p.Most > 0 && p.Most < p.Least:
		return p, bad("invalid_length", "%s is %d, want at least %s (%d)", MaxColumn, p.Most, MinColumn, p.Least)
	case !said:
		p.Required = prose.StatedLength(p.Messages[n-1].Content).Words()
	}
	return p, nil
}

// Ranged reports whether a range of words is asked for.
func (p Prompt) Ranged() bool { return p.Least+p.Most > 0 }

// wordsAsked reads a number of words. Tables may have it as 2000.0, and CSV as text. Its error
// says what is there instead.
func wordsAsked(raw json.RawMessage) (int, error) {
	text := string(raw)
	if raw[0] == '"' {
		text = strings.TrimSpace(cutText(raw))
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || v != math.Trunc(v) || v < 0 || v > 1<<30 {
		return 0, errors.New(kindOf(raw))
	}
	return int(v), nil
}

// refuseMore refuses a prompt that says more than roles and contents.
func (r *reader) refuseMore(messages []chat.Message, vars []Var) error {
	for _, v := range vars {
		switch v.Name {
		case "tools":
			return bad("tools", "a record with tools, want a prompt without any")
		case "documents":
			return lostKey(v.Name, "is content that a prompt does not have, want it in the prompt")
		}
		return lostKey("chat_template_kwargs", "has %s, which prompts do without", v.Name)
	}
	for i, m := range messages {
		switch {
		case m.Extra["tool_calls"] != nil:
			return bad("tools", "messages[%d] (%s): a call of tools, want a prompt without any", i, m.Role)
		case m.Reasoning != "":
			return lostKey(cmp.Or(m.ReasoningKey, "reasoning"), "of messages[%d] (%s) is content that prompts do without", i, m.Role)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(lost)) {
		raw, ok := r.f[key]
		ofAnswer := key == "tool_calls" || key == "function_call"
		if ok && !ofAnswer && !absent(raw) && !slices.Contains(r.read, key) {
			return lostKey(key, "is content that is not read, %s", lost[key])
		}
	}
	return nil
}
