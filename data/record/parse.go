package record

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"lwtrain/chat"
	"lwtrain/data/read"
)

// Layout is how records are read for a template, which may be nil where nothing is
// rendered.
func (o Options) Layout(template *chat.Template) Layout {
	l := Layout{
		names: map[string][]string{}, columns: map[string][]string{}, marked: map[string][]string{},
		roles: map[string]string{}, toolRole: "tool", ignored: &ignored{o.Ignore, make([]atomic.Bool, len(o.Ignore))},
		trainOn: o.TrainOn, cut: o.Cut, noReasoning: o.NoReasoning,
	}
	if template != nil {
		l.toolRole, l.textArguments = toolRole(template), template.ArgumentsAreText()
	}
	switch o.Format {
	case "", "auto":
	case "sharegpt":
		l.Format = messagesFormat
	default:
		l.Format = o.Format
	}
	l.said = l.Format != ""
	named := o.Columns.byKey()
	taken := slices.Collect(maps.Values(named)) // a name that is said to be one column is no other
	for _, column := range slices.Sorted(maps.Keys(columnNames)) {
		l.names[column] = slices.DeleteFunc(slices.Clone(columnNames[column]),
			func(name string) bool { return slices.Contains(taken, name) })
		if name := named[column]; name != "" {
			l.names[column] = []string{name}
			if column != "role" && column != "content" {
				l.mapped = append(l.mapped, name)
			}
		}
		for _, name := range l.names[column] {
			l.columns[name] = append(l.columns[name], column)
		}
	}
	for name, columns := range l.columns {
		for _, format := range formatNames {
			if slices.ContainsFunc(columns, func(column string) bool { return slices.Contains(marks[format], column) }) {
				l.marked[name] = append(l.marked[name], format)
			}
		}
	}
	maps.Copy(l.roles, roleNames)
	maps.Copy(l.roles, o.Roles)
	return l
}

// holdsRecords is the key of a record without a format that holds a list of records with one, or "".
func (l Layout) holdsRecords(f fields) string {
	for _, key := range slices.Sorted(maps.Keys(f)) {
		if list, ok := cutList(f[key]); ok && len(list) > 0 {
			if inner, ok := cutObject(list[0]); ok {
				if format := l.recognise(inner); format != "" && format != textFormat { // parts of contents have text, too
					return key
				}
			}
		}
	}
	return ""
}

// Parse reads the record of a line. Its error is an [Error], or an [OtherFormat].
func (l Layout) Parse(x read.Line) (out Record, err error) {
	f, err := l.fields(x)
	if err != nil {
		return out, err
	}
	if err := l.agree(f); err != nil {
		return out, err
	}
	var unread []string
	l.unread = &unread
	r := &reader{Layout: l, f: f, read: make([]string, 0, 8)}
	switch l.Format {
	case messagesFormat, alpacaFormat, promptFormat:
		if out.Conversation, err = r.conversation(l.Format); err == nil {
			err = r.refuseBad()
		}
	case preferenceFormat:
		out, err = r.pair()
	case ktoFormat:
		out.Conversation, err = r.labelled()
	case textFormat:
		out.Conversation, err = r.plainText()
	default:
		if key := l.holdsRecords(f); key != "" {
			return out, bad("nested_records", "the key %s holds a list of records, want each of them on its own; "+
				"`jq -c '.[\"%s\"][]' FILE > records.jsonl` takes them out", key, key)
		}
		missing := slices.DeleteFunc(slices.Clone(l.mapped), func(name string) bool { return f[name] != nil })
		if len(missing) > 0 {
			slices.Sort(missing)
			return out, bad("no_messages", "a record without the key %s, which `columns:` names (%s)",
				strings.Join(missing, " or "), keysOf(f))
		}
		err = bad("no_messages",
			"a record without the key messages (%s), want {\"messages\": [...]}, or a format that docs/formats/data.md lists", keysOf(f))
	}
	if err != nil {
		return out, err
	}
	sides := []Conversation{out.Conversation}
	if out.Rejected != nil {
		sides = append(sides, *out.Rejected)
	}
	if out.Unread, err = r.notRead(sides...); err != nil {
		return out, err
	}
	out.Unread = append(out.Unread, unread...)
	for _, side := range sides {
		if err := l.cutAnswers(side); err != nil {
			return out, err
		}
	}
	return out, nil
}
