package record

import (
	"encoding/json"
	"maps"

	"lwtrain/chat"
	"lwtrain/data/read"
)

// Layout is how records are read for a template, which may be nil where nothing is
// rendered.
func (o Options) Layout(template *chat.Template) Layout {
	l := Layout{names: map[string][]string{}, roles: map[string]string{}, toolRole: "tool", trainOn: o.TrainOn}
	if template != nil {
		l.toolRole = toolRole(template)
	}
	switch o.Format {
	case "", "auto":
	case "sharegpt":
		l.Format = messagesFormat
	default:
		l.Format = o.Format
	}
	named := o.Columns.byKey()
	for column, names := range columnNames {
		if name := named[column]; name != "" {
			names = []string{name}
		}
		l.names[column] = names
	}
	maps.Copy(l.roles, roleNames)
	maps.Copy(l.roles, o.Roles)
	return l
}

// Settle recognises the format from the first lines, where it was not said: the first
// that has one decides, and the others must agree with it.
func (l *Layout) Settle(lines []read.Line) {
	if l.Format != "" {
		return
	}
	for _, x := range lines {
		var f fields
		if json.Unmarshal(x.Text, &f) == nil {
			if l.Format = l.recognise(f); l.Format != "" {
				return
			}
		}
	}
}

// Parse reads the record of a line. Its error says why the record can not be used, see
// [Drops.Add].
func (l Layout) Parse(x read.Line) (Record, error) {
	f, err := fieldsOf(x)
	if err != nil {
		return Record{}, err
	}
	switch l.Format {
	case messagesFormat, alpacaFormat, promptFormat:
		c, err := l.conversation(f, l.Format)
		return Record{Conversation: c}, err
	case preferenceFormat:
		return l.pair(f)
	case ktoFormat:
		return l.labelled(f)
	}
	return Record{}, bad("no_messages",
		"a record without the key messages (%s), want {\"messages\": [...]}, or a format that docs/formats/data.md lists", keysOf(f))
}
