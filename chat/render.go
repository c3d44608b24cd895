package chat

import (
	"maps"
	"slices"

	"lwtrain/internal/jinja"
)

// render renders messages, all their strings but the roles marked.
func (t *Template) render(msgs []Message, prompt bool) (jinja.Output, error) {
	return t.renderWithin(jinja.Limits{}, msgs, prompt)
}

func (t *Template) renderWithin(limits jinja.Limits, msgs []Message, prompt bool) (jinja.Output, error) {
	vars := maps.Clone(t.vars)
	list := make([]jinja.Map, len(msgs))
	for i, m := range msgs {
		list[i] = templateMessage(i, m)
	}
	vars["messages"] = list
	vars["add_generation_prompt"] = prompt
	out, err := t.parsed.Render(vars, jinja.Options{Limits: limits, Now: t.now})
	if err != nil {
		return out, &ConversationError{Reason: RefusedByTemplate, Message: -1, Detail: err.Error(), err: err}
	}
	return out, nil
}

// The engine marks what a message itself says as source 2i and its names (of
// functions, calls, speakers) as 2i+1: templates write names into headers, of
// the message itself and of those that answer it, so they say little about where
// a message stands.
func textOf(i int) int  { return 2 * i }
func namesOf(i int) int { return 2*i + 1 }

// nameKeys are the keys of a message, or of what lies in it, that hold names.
var nameKeys = []string{"name", "id", "type", "tool_call_id", "metadata", "recipient"}

// templateMessage is message i as the template sees it: role, content, and the
// other keys sorted. A content in Extra (a list of parts, or nil) replaces
// Content.
func templateMessage(i int, m Message) jinja.Map {
	keys := map[string]int{"arguments": textOf(i)} // an argument called name is text
	for _, key := range nameKeys {
		keys[key] = namesOf(i)
	}
	var content any = m.Content
	if v, ok := m.Extra["content"]; ok {
		content = v
	}
	out := jinja.Map{{Key: "role", Value: m.Role}, {Key: "content", Value: jinja.From{Source: textOf(i), Value: content, Keys: keys}}}
	for _, name := range slices.Sorted(maps.Keys(m.Extra)) {
		if name == "role" || name == "content" {
			continue
		}
		from := jinja.From{Source: textOf(i), Value: m.Extra[name], Keys: keys}
		if slices.Contains(nameKeys, name) {
			from.Source = namesOf(i)
		}
		out = append(out, jinja.Pair{Key: name, Value: from})
	}
	return out
}
