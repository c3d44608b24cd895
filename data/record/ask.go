package record

import (
	"fmt"
	"strings"

	"lwtrain/chat"
	"lwtrain/data/read"
)

// Ask renders an object of messages, with tools and chat_template_kwargs beside them, for the model to go on
// from, as [chat.Template.Ask] does. Messages have the forms of training data, in any order of roles that data
// has; what nothing reads is an error.
func Ask(template *chat.Template, text []byte) (chat.Rendered, error) {
	layout := Options{Format: messagesFormat}.Layout(template)
	record, err := layout.Parse(read.Line{Text: text})
	if err != nil {
		return chat.Rendered{}, err
	}
	r := NewRenderer(layout, template)
	if template, err = r.of(record.Vars); err != nil {
		return chat.Rendered{}, err
	}
	out, err := template.Ask(record.Messages)
	if err != nil {
		return out, err
	}
	if unread := r.unread(record.Unread, []Rendered{{Conversation: record.Conversation, Rendered: out}}); len(unread) > 0 {
		return out, fmt.Errorf("%s: nothing reads it, want it out", strings.Join(unread, ", "))
	}
	return out, nil
}
