package chat

import (
	"maps"
	"slices"

	"lwtrain/internal/jinja"
)

// Prompt renders a conversation with the generation prompt behind it, as
// apply_chat_template(add_generation_prompt=True) does, for the model to go on
// from. The conversation may end in any turn.
func (t *Template) Prompt(msgs []Message) (text string, ids []int32, err error) {
	if err := checkRoles(msgs); err != nil {
		return "", nil, err
	}
	out, err := t.render(msgs, true)
	if err != nil {
		return "", nil, err
	}
	return out.Text, t.tok.EncodeText(out.Text), nil
}

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

// span is a range of bytes of a rendering.
type span = jinja.Span

// answerParts locates message i in a rendering.
type answerParts struct {
	text   span // from its first to its last byte
	before int  // where the text of other messages ends before it
	after  int  // where the text of other messages begins behind it
}

// locate finds message i by the marks of its bytes: by its text, or if it shows
// none (a call without arguments) by the first of its names. ok is false if
// nothing of it is there, or if another message's text stands inside.
func locate(out jinja.Output, i int) (a answerParts, ok bool) {
	source := textOf(i)
	if !slices.ContainsFunc(out.Sources, func(s jinja.SourceSpan) bool { return s.Source == source }) {
		source = namesOf(i)
	}
	a = answerParts{text: span{Start: -1}, after: len(out.Text)}
	for _, s := range out.Sources {
		switch {
		case s.Source == source && a.after < len(out.Text):
			return a, source == namesOf(i)
		case s.Source == source:
			if a.text.Start < 0 {
				a.text = span{Start: s.Start, End: s.End}
			} else if source == textOf(i) {
				a.text.End = s.End
			}
		case s.Source == textOf(i), s.Source == namesOf(i):
		case a.text.Start < 0:
			a.before = s.End
		case a.after == len(out.Text):
			a.after = s.Start
		}
	}
	return a, a.text.Start >= 0
}
