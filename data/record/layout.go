package record

import (
	"encoding/json"
	"strings"

	"lwtrain/chat"
)

// Layout says how the records of a source are read.
type Layout struct {
	Format string // of the records; "": not known yet

	names    map[string][]string // what a column may be called; the first that is there counts
	roles    map[string]string
	toolRole string // how the template calls the answers of tools
	trainOn  string
}

// Formats of records.
const (
	messagesFormat   = "messages"
	alpacaFormat     = "alpaca"
	promptFormat     = "prompt_completion"
	preferenceFormat = "preference"
	ktoFormat        = "kto"
)

// columnNames is what columns are called where nothing is said.
var columnNames = map[string][]string{
	"messages":    {"messages", "conversations", "conversation"},
	"system":      {"system"},
	"tools":       {"tools"},
	"instruction": {"instruction"},
	"input":       {"input"},
	"output":      {"output"},
	"history":     {"history"},
	"prompt":      {"prompt", "query", "question"},
	"completion":  {"completion", "response", "answer"},
	"chosen":      {"chosen"},
	"rejected":    {"rejected"},
	"label":       {"label", "kto_tag"},
	"role":        {"role", "from"},
	"content":     {"content", "value"},
}

// roleNames are the roles of ShareGPT by their names in chat templates.
var roleNames = map[string]string{"human": "user", "gpt": "assistant", "chatgpt": "assistant"}

// Targets says which of the conversation's messages are trained on.
func (l Layout) Targets(c Conversation) chat.Targets {
	return chat.Targets{First: c.First, Turns: l.trainOn}
}

// byKey is the columns that are named, by their keys.
func (c Columns) byKey() map[string]string {
	return map[string]string{
		"messages": c.Messages, "role": c.Role, "content": c.Content, "system": c.System, "tools": c.Tools,
		"instruction": c.Instruction, "input": c.Input, "output": c.Output, "history": c.History,
		"prompt": c.Prompt, "completion": c.Completion, "chosen": c.Chosen, "rejected": c.Rejected, "label": c.Label,
	}
}

// Columns are all names that a column of a record may have.
func (l Layout) Columns() map[string]bool {
	out := map[string]bool{}
	for column, names := range l.names {
		if column == "role" || column == "content" {
			continue
		}
		for _, n := range names {
			out[n] = true
		}
	}
	return out
}

// get returns a column's value, under whichever name it is there. null is as
// good as nothing.
func (l Layout) get(f fields, column string) (value json.RawMessage, there bool) {
	for _, name := range l.names[column] {
		if v, ok := f[name]; ok && string(v) != "null" {
			return v, true
		}
	}
	return nil, false
}

func (l Layout) has(f fields, columns ...string) bool {
	for _, c := range columns {
		if _, ok := l.get(f, c); !ok {
			return false
		}
	}
	return true
}

// recognise tells the format of a record by its keys, "" for none.
func (l Layout) recognise(f fields) string {
	talks := l.has(f, "messages") || l.has(f, "prompt", "completion") || l.has(f, "instruction", "output")
	label, labelled := l.get(f, "label")
	switch {
	case l.has(f, "chosen", "rejected"):
		return preferenceFormat
	case talks && labelled && (label[0] == 't' || label[0] == 'f'):
		return ktoFormat
	case l.has(f, "messages"):
		return messagesFormat
	case l.has(f, "instruction", "output"):
		return alpacaFormat
	case l.has(f, "prompt", "completion"):
		return promptFormat
	}
	return ""
}

// IsPreference reports whether records of a format are pairs, or labelled answers.
func IsPreference(format string) bool { return format == preferenceFormat || format == ktoFormat }

// first returns the name that a column has in f, null or not.
func (l Layout) first(f fields, column string) (name string, there bool) {
	for _, n := range l.names[column] {
		if _, ok := f[n]; ok {
			return n, true
		}
	}
	return "", false
}

func (l Layout) nameOf(f fields, column string) string {
	name, _ := l.first(f, column)
	return name
}

// lacks is the error of a record that is not like those before it.
func (l Layout) lacks(f fields, column string) error {
	names := strings.Join(l.names[column], " or ")
	return bad("no_"+column, "a record without the key %s (%s), want a record of the format %s", names, keysOf(f), l.Format)
}
