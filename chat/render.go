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
func (t *Template) render(msgs []Message, prompt bool) (rendering, error) {
	return t.renderWithin(jinja.Limits{}, msgs, prompt)
}

func (t *Template) renderWithin(limits jinja.Limits, msgs []Message, prompt bool) (rendering, error) {
	r := rendering{width: otherParts}
	for _, m := range msgs {
		r.width = max(r.width, otherParts+len(m.Extra))
	}
	vars := maps.Clone(t.vars)
	list := make([]jinja.Map, len(msgs))
	for i, m := range msgs {
		list[i] = r.templateMessage(i, m, t.form.filled)
	}
	vars["messages"] = list
	vars["add_generation_prompt"] = prompt
	var err error
	if r.Output, err = t.parsed.Render(vars, jinja.Options{Limits: limits, Now: t.now}); err != nil {
		return r, &ConversationError{Reason: RefusedByTemplate, Message: -1, Detail: err.Error(), err: err}
	}
	return r, checkText(len(r.Text))
}

// rendering is what a template wrote, with the part of a message that each of its bytes
// comes from.
type rendering struct {
	jinja.Output
	width int // how many parts each message has; part p of message i is the source i*width+p
}

// The parts of a message. Its names (of functions, calls, speakers) are apart: templates write
// them into headers, of the message itself and of those that answer it, so they say
// little about where a message stands.
const (
	contentPart = iota
	namesPart
	reasoningPart
	callsPart  // its tool_calls, without the names in them
	otherParts // the first of the keys in Extra, sorted
)

func (r rendering) message(s jinja.SourceSpan) int { return s.Source / r.width }
func (r rendering) part(s jinja.SourceSpan) int    { return s.Source % r.width }

// nameKeys are the keys of a message, or of what lies in it, that hold names.
var nameKeys = []string{"name", "id", "type", "tool_call_id", "metadata", "recipient"}

// reasoningKeys are the names that templates have for reasoning.
var reasoningKeys = []string{"reasoning_content", "thinking", "reasoning"}

// templateMessage is message i as the template sees it: role, content, reasoning, and the
// other keys sorted. A content in Extra (a list of parts) replaces Content; with nil
// there is none, as transformers leaves out what is null, or an empty one, as servers have it, for a template that
// fails without.
func (r rendering) templateMessage(i int, m Message, filled bool) jinja.Map {
	first := i * r.width
	var keys map[string]int
	if len(m.Extra) > 0 { // else there is nothing with keys
		keys = map[string]int{"arguments": first + callsPart} // an argument called name is none
		for _, key := range nameKeys {
			keys[key] = first + namesPart
		}
	}
	var content any = m.Content
	if v, ok := m.Extra["content"]; ok {
		content = v
	}
	if content == nil && filled {
		content = ""
	}
	out := jinja.Map{{Key: "role", Value: m.Role}}
	if content != nil {
		out = append(out, jinja.Pair{Key: "content", Value: jinja.From{Source: first + contentPart, Value: content, Keys: keys}})
	}
	if m.Reasoning != "" {
		for _, name := range reasoningKeys {
			out = append(out, jinja.Pair{Key: name, Value: jinja.From{Source: first + reasoningPart, Value: m.Reasoning}})
		}
	}
	for at, name := range slices.Sorted(maps.Keys(m.Extra)) {
		if name == "role" || name == "content" || m.Reasoning != "" && slices.Contains(reasoningKeys, name) {
			continue
		}
		from := jinja.From{Source: first + otherParts + at, Value: m.Extra[name], Keys: keys}
		switch {
		case name == "tool_calls":
			from.Source = first + callsPart
		case slices.Contains(nameKeys, name):
			from.Source = first + namesPart
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

// places are, for each message, where in Sources it is.
func (r rendering) places() [][]int32 {
	count := make([]int32, 0)
	for _, s := range r.Sources {
		for len(count) <= r.message(s) {
			count = append(count, 0)
		}
		count[r.message(s)]++
	}
	all, out := make([]int32, len(r.Sources)), make([][]int32, len(count))
	for i, n := range count {
		out[i], all = all[:0:n], all[n:]
	}
	for at, s := range r.Sources {
		i := r.message(s)
		out[i] = append(out[i], int32(at))
	}
	return out
}

// locate finds message i in a rendering of few messages.
func (r rendering) locate(i int) (a answerParts, ok bool) {
	places := r.places()
	if i >= len(places) {
		return a, false
	}
	return r.locateAt(i, places[i])
}

// locateAt finds message i by the marks of its bytes, whose places are given: by its
// text, or if it shows none (a call without arguments) by the first of its names. ok is
// false if nothing of it is there, or if another message's text stands inside. It walks
// over no other marks than the next ones, for a conversation may have many messages.
func (r rendering) locateAt(i int, places []int32) (a answerParts, ok bool) {
	isName := func(at int32) bool { return r.part(r.Sources[at]) == namesPart }
	byNames := !slices.ContainsFunc(places, func(at int32) bool { return !isName(at) })
	if !byNames {
		places = slices.DeleteFunc(slices.Clone(places), isName)
	}
	if len(places) == 0 {
		return a, false
	}
	first := int(places[0])
	a = answerParts{text: span{Start: r.Sources[first].Start, End: r.Sources[first].End}, after: len(r.Text)}
	for at := first - 1; at >= 0; at-- {
		if r.message(r.Sources[at]) != i {
			a.before = r.Sources[at].End
			break
		}
	}
	next := first + 1 // the first mark of another message behind it
	for next < len(r.Sources) && r.message(r.Sources[next]) == i {
		next++
	}
	if next < len(r.Sources) {
		a.after = r.Sources[next].Start
	}
	if byNames {
		return a, true
	}
	n := len(places)
	for int(places[n-1]) > next {
		n--
	}
	a.text.End = r.Sources[places[n-1]].End
	return a, n == len(places)
}
