package record

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"lwtrain/chat"
)

// reader reads one record. What it is asked for is read; [reader.notRead] looks at the rest.
type reader struct {
	Layout
	f    fields
	read []string        // names of keys
	said map[string]bool // by the conversations: texts, and messages as [whole] has them; nil: not asked for
}

// get returns a column's value, under whichever name it is there.
func (r *reader) get(column string) (value json.RawMessage, there bool) {
	name, value, there := r.find(r.f, column)
	if there {
		r.took(name)
	}
	return value, there
}

func (r *reader) took(names ...string) {
	for _, name := range names {
		if !slices.Contains(r.read, name) {
			r.read = append(r.read, name)
		}
	}
}

// optional is get for a column that may say nothing.
func (r *reader) optional(column string) (value json.RawMessage, there bool) {
	value, there = r.get(column)
	return value, there && !absent(value)
}

// lacks is the error of a record that is not like those before it.
func (r *reader) lacks(column string) error {
	names := strings.Join(r.names[column], " or ")
	return bad("no_"+column, "a record without the key %s (%s), want a record of the format %s", names, keysOf(r.f), r.Format)
}

// text reads a column that holds text.
func (r *reader) text(column string) (string, error) {
	raw, ok := r.get(column)
	if !ok {
		return "", r.lacks(column)
	}
	c, isText, err := textOf(raw)
	switch {
	case err != nil:
		return "", bad("invalid_"+column, "%s: %v", column, err)
	case !isText || c.reasoning != "":
		return "", bad("invalid_"+column, "%s is %s, want text", column, kindOf(raw))
	}
	r.tell(r.nameOf(column), c)
	return c.text, nil
}

// side reads a column that holds text, a message or a list of messages. Text is
// said by role, unless it is the JSON of messages.
func (r *reader) side(column, role string) ([]chat.Message, error) {
	raw, ok := r.get(column)
	if !ok {
		return nil, r.lacks(column)
	}
	if raw[0] == '"' {
		inner := decoded(raw)
		if !r.areMessages(inner) {
			text, err := r.text(column)
			return []chat.Message{{Role: role, Content: text}}, err
		}
		raw = inner
	}
	switch raw[0] {
	case '{':
		raw = json.RawMessage("[" + string(raw) + "]")
	case '[', 'n':
	default:
		return nil, bad("invalid_"+column, "%s is %s, want text, or messages", r.nameOf(column), kindOf(raw))
	}
	if list, _ := cutList(raw); len(list) > 0 && list[0][0] == '"' && decoded(list[0])[0] == '"' {
		return nil, bad("invalid_"+column, "%s is a list of texts, want text, or messages", r.nameOf(column))
	}
	return r.turns(raw, r.nameOf(column))
}

// areMessages reports whether a value is a message or a list of them.
func (r *reader) areMessages(raw json.RawMessage) bool {
	list, _ := cutList(raw)
	if raw[0] == '{' {
		list = []json.RawMessage{raw}
	}
	for _, one := range list {
		f, _ := cutObject(one)
		says := func(key string) bool { return f[key] != nil }
		if !r.has(f, "role") || !slices.ContainsFunc(r.names["content"], says) && !says("tool_calls") && !says("function_call") {
			return false
		}
	}
	return len(list) > 0
}

// nameOf is what a column is called in the record.
func (r *reader) nameOf(column string) string {
	name, _, _ := r.find(r.f, column)
	return name
}

// notRead lists the keys that nothing read, and refuses a record where that loses content. What
// the conversation says anyway is no loss: many records hold their prompt twice.
func (r *reader) notRead(conversations ...Conversation) ([]string, error) {
	if len(r.f) == len(r.read) {
		return nil, nil // most records: each key was asked for, once
	}
	reasoning, names, err := reasoningOf(r.f)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, key := range slices.Sorted(maps.Keys(r.f)) {
		raw := r.f[key]
		if absent(raw) || slices.Contains(r.read, key) || r.isSaid(raw, conversations) {
			continue
		}
		switch want := lost[key]; {
		case slices.Contains(r.mapped, key):
			return nil, lostKey(key, "is named in `columns:` and not read of a record of the format %s", r.Format)
		case !IsPreference(r.Format) && callsBad(key, raw):
			return nil, lostKey(key, "is %s, which says that the answer is a bad one, want a good one, or the key as a label "+
				"(`columns: {label: ...}`)", raw)
		case slices.Contains(weightKeys, key) && saysNo(key, raw):
			return nil, lostKey(key, "is %s, which says that the record is not to be learnt: it is to be taken out of the data", raw)
		case want != "":
			return nil, lostKey(key, "is content that is not read, %s", want)
		case reasoning != "" && slices.Contains(names, key):
			return nil, lostKey(key, "is not in a message, want it in that of the assistant")
		case !bare(key):
			out = append(out, key)
		}
	}
	return out, nil
}

// saysNo reports whether the weight of a record takes it out. Tables have it as text; a loss in numbers is one that was measured.
func saysNo(key string, raw json.RawMessage) bool {
	text := labelText(raw)
	return strings.EqualFold(text, "false") || key != "loss" && (text == "0" || text == "0.0")
}

// whole is all that a message says, by which another is known to say the same: its text, or where
// there is more JSON.
func whole(m chat.Message) string {
	text := strings.TrimSpace(m.Content)
	beside := map[string]any{}
	for key, value := range m.Extra {
		if !bare(key) {
			beside[key] = value
		}
	}
	if m.Reasoning == "" && len(beside) == 0 {
		return text
	}
	raw, err := json.Marshal([]any{text, m.Reasoning, beside})
	if err != nil {
		panic(fmt.Sprintf("record: %v", err)) // texts and JSON
	}
	return "\x00" + string(raw)
}

// isSaid reports whether a conversation holds a text, or all messages of a list.
func (r *reader) isSaid(raw json.RawMessage, conversations []Conversation) bool {
	if raw = decoded(raw); raw[0] != '"' && raw[0] != '[' {
		return false
	}
	if r.said == nil {
		r.said = map[string]bool{}
		for _, c := range conversations {
			for _, m := range c.Messages {
				r.said[strings.TrimSpace(m.Content)] = true
				r.said[whole(m)] = true
			}
		}
	}
	switch {
	case raw[0] == '"':
		return r.said[strings.TrimSpace(cutText(raw))]
	case r.areMessages(raw):
		messages, err := r.turns(raw, "")
		return err == nil && !slices.ContainsFunc(messages, func(m chat.Message) bool { return !r.said[whole(m)] })
	}
	return false
}
