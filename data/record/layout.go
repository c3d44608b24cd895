package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"lwtrain/chat"
	"lwtrain/data/read"
)

// Record is what a line says: a conversation, or two that begin alike and end in a
// better and a worse answer.
type Record struct {
	Conversation               // of a pair, the one with the chosen answer
	Rejected     *Conversation // of a pair
}

// Conversation is a list of messages, and the tools that the template is told of (nil:
// none).
type Conversation struct {
	Kind     Kind
	Messages []chat.Message
	First    int // the answers before this message belong to the prompt
	Tools    json.RawMessage
}

// Kind says what a conversation is.
type Kind int32

const (
	Plain    Kind = iota // to be learnt
	Chosen               // of a pair; the rejected one is kept right behind it
	Rejected             //
	Liked                // labelled true, without a counterpart of its own
	Disliked             // labelled false
)

// Side is what a conversation is called beside its counterpart: "chosen" or "rejected" of
// a pair, "good" or "bad" where it is labelled, else "".
func (k Kind) Side() string {
	return [...]string{Plain: "", Chosen: "chosen", Rejected: "rejected", Liked: "good", Disliked: "bad"}[k]
}

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

// fields is a record or a message, by its keys.
type fields map[string]json.RawMessage

// fieldsOf reads the JSON of a line.
func fieldsOf(l read.Line) (f fields, err error) {
	text := l.Text
	if l.TooLong {
		return nil, bad("too_many_bytes", "a record of more than %d MiB", read.MaxLine>>20)
	}
	if !utf8.Valid(text) {
		return nil, bad("invalid_utf8", "byte %d is no valid UTF-8", invalidAt(text))
	}
	if at := loneSurrogate(text); at >= 0 {
		return nil, bad("invalid_utf8", "%s at byte %d is half a surrogate pair and no character", text[at:at+6], at+1)
	}
	if json.Valid(text) {
		var ok bool
		if f, ok = cutObject(bytes.TrimSpace(text)); ok {
			return f, nil
		}
	}
	return nil, bad("invalid_json", "%v", jsonProblem(text, json.Unmarshal(text, &f)))
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

// IsPreference reports whether records of a format are pairs, or labelled answers.
func IsPreference(format string) bool { return format == preferenceFormat || format == ktoFormat }

// Parse reads the record of a line. Its error is an [Error].
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
	return Record{}, bad("no_messages", "a record without the key messages (%s), want {\"messages\": [...]}, or a format that docs/formats/data.md lists", keysOf(f))
}

// conversation reads a record of one of the three formats of conversations.
func (l Layout) conversation(f fields, format string) (c Conversation, err error) {
	switch format {
	case messagesFormat:
		raw, ok := l.get(f, "messages")
		if !ok {
			return c, l.lacks(f, "messages")
		}
		c.Messages, err = l.turns(raw, l.names["messages"][0])
	case alpacaFormat:
		c.Messages, err = l.instruction(f)
		if err == nil {
			var output string
			if output, err = l.text(f, "output"); err == nil {
				c.Messages = append(c.Messages, chat.Message{Role: "assistant", Content: output})
			}
		}
	case promptFormat:
		if c.Messages, err = l.side(f, "prompt", "user"); err == nil {
			var answer []chat.Message
			answer, err = l.side(f, "completion", "assistant")
			c.Messages = append(c.Messages, answer...)
		}
	}
	if err != nil {
		return c, err
	}
	return l.withSystem(f, c)
}

// withSystem adds what a record says beside its messages.
func (l Layout) withSystem(f fields, c Conversation) (Conversation, error) {
	if _, ok := l.get(f, "system"); ok {
		system, err := l.text(f, "system")
		if err != nil {
			return c, err
		}
		first := len(c.Messages) > 0 && c.Messages[0].Role == "system"
		if first && system != "" && c.Messages[0].Content != system {
			return c, bad("two_systems", "the record says system, and its first message another one, want one of them")
		}
		if system != "" && !first {
			c.Messages = slices.Insert(c.Messages, 0, chat.Message{Role: "system", Content: system})
			if c.First > 0 {
				c.First++
			}
		}
	}
	var err error
	c.Tools, err = l.tools(f)
	return c, err
}

// instruction reads Alpaca's prompt: the history, and an instruction with its
// input on a line of its own.
func (l Layout) instruction(f fields) ([]chat.Message, error) {
	var out []chat.Message
	if raw, ok := l.get(f, "history"); ok {
		var turns [][]string
		if err := json.Unmarshal(raw, &turns); err != nil {
			return nil, bad("invalid_history", "history is %s, want a list of [question, answer]", kindOf(raw))
		}
		for i, t := range turns {
			if len(t) != 2 {
				return nil, bad("invalid_history", "history[%d] has %d texts, want a question and an answer", i, len(t))
			}
			out = append(out, chat.Message{Role: "user", Content: t[0]}, chat.Message{Role: "assistant", Content: t[1]})
		}
	}
	prompt, err := l.text(f, "instruction")
	if err != nil {
		return nil, err
	}
	if _, ok := l.get(f, "input"); ok {
		input, err := l.text(f, "input")
		if err != nil {
			return nil, err
		}
		if prompt != "" && input != "" {
			prompt += "\n"
		}
		prompt += input
	}
	return append(out, chat.Message{Role: "user", Content: prompt}), nil
}

// text reads a column that holds text.
func (l Layout) text(f fields, column string) (string, error) {
	raw, ok := l.get(f, column)
	if !ok {
		return "", l.lacks(f, column)
	}
	text, isText, err := textOf(raw)
	if err != nil {
		return "", bad("invalid_"+column, "%s: %v", column, err)
	}
	if !isText {
		return "", bad("invalid_"+column, "%s is %s, want text", column, kindOf(raw))
	}
	return text, nil
}

// side reads a column that holds text, a message or a list of messages. Text is
// said by role.
func (l Layout) side(f fields, column, role string) ([]chat.Message, error) {
	raw, ok := l.get(f, column)
	if !ok {
		return nil, l.lacks(f, column)
	}
	switch raw[0] {
	case '"':
		text, err := l.text(f, column)
		return []chat.Message{{Role: role, Content: text}}, err
	case '{':
		return l.turns(json.RawMessage("["+string(raw)+"]"), column)
	}
	return l.turns(raw, column)
}

// lacks is the error of a record that is not like those before it.
func (l Layout) lacks(f fields, column string) error {
	return bad("no_"+column, "a record without the key %s (%s), want a record of the format %s", strings.Join(l.names[column], " or "), keysOf(f), l.Format)
}

// tools reads the tools of a record, a list or the text of one, in the form that
// chat templates expect: {"type": "function", "function": {...}}.
func (l Layout) tools(f fields) (json.RawMessage, error) {
	raw, ok := l.get(f, "tools")
	if !ok {
		return nil, nil
	}
	if text, isText, _ := textOf(raw); isText && raw[0] == '"' {
		if raw = json.RawMessage(strings.TrimSpace(text)); len(raw) == 0 {
			return nil, nil
		}
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, bad("invalid_tools", "tools: %s, want a list of functions, or the text of one", kindOf(raw))
	}
	if len(list) == 0 {
		return nil, nil
	}
	for i, tool := range list {
		var keys fields
		if json.Unmarshal(tool, &keys) == nil && keys["function"] == nil && keys["name"] != nil && string(keys["type"]) != `"function"` {
			list[i] = json.RawMessage(fmt.Sprintf(`{"type": "function", "function": %s}`, tool))
		}
	}
	return json.Marshal(list)
}
