package record

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"lwtrain/chat"
	"lwtrain/data/read"
	"lwtrain/internal/fault"
)

// Layout says how the records of a source are read.
type Layout struct {
	Format string // of the records; "": not known yet
	First  int    // the number of the line that it was recognised from
	Keys   string // of that line's record, for people

	said          bool                // the options name the format
	names         map[string][]string // what a column may be called; the first that is there counts
	columns       map[string][]string // the columns of a name
	marked        map[string][]string // the formats that it marks
	mapped        []string            // names of a record's columns that the options say
	ignored       *ignored            // keys that are as good as not there
	unread        *[]string           // takes the keys of parts of contents that nothing reads; nil: nobody asks
	roles         map[string]string
	toolRole      string // how the template calls the answers of tools
	textArguments bool   // the template wants the arguments of calls as text
	trainOn       string
	cut           Cut
	noReasoning   bool
}

// Formats of records.
const (
	messagesFormat   = "messages"
	alpacaFormat     = "alpaca"
	promptFormat     = "prompt_completion"
	preferenceFormat = "preference"
	ktoFormat        = "kto"
	textFormat       = "text"
)

// Texts is the format of texts that are no conversations.
const Texts = textFormat

// Labels is the format of labelled answers.
const Labels = ktoFormat

// IsPreference reports whether records of a format are pairs, or labelled answers.
func IsPreference(format string) bool { return format == preferenceFormat || format == ktoFormat }

// marks are the columns by which records of a format are known.
var marks = map[string][]string{
	messagesFormat: {"messages"}, alpacaFormat: {"instruction", "output"}, promptFormat: {"prompt", "completion"},
	preferenceFormat: {"chosen", "rejected"}, ktoFormat: {"label"},
	textFormat: {"text"},
}

// columnNames is what columns are called where nothing is said.
var columnNames = map[string][]string{
	"messages":    {"messages", "conversations", "conversation"},
	"system":      {"system", "system_prompt", "system_message"},
	"tools":       {"tools", "functions"},
	"instruction": {"instruction"},
	"input":       {"input", "context"},
	"output":      {"output", "response"},
	"history":     {"history"},
	"prompt":      {"prompt", "query", "question"},
	"completion":  {"completion", "response", "answer"},
	"chosen":      {"chosen", "chosen_response", "chosen_messages", "preferred_output"},
	"rejected":    {"rejected", "rejected_response", "rejected_messages", "non_preferred_output"},
	"label":       {"label", "kto_tag"},
	"text":        {"text"},
	"documents":   {"documents"},
	"kwargs":      {"chat_template_kwargs"},
	"role":        {"role", "from"},
	"content":     {"content", "value"},
}

// roleNames are the roles of ShareGPT by their names in chat templates.
var roleNames = map[string]string{"human": "user", "gpt": "assistant", "chatgpt": "assistant"}

// Targets says which of the conversation's messages are trained on.
func (l Layout) Targets(c Conversation) chat.Targets {
	return chat.Targets{First: c.First, Turns: l.trainOn, NoReasoning: l.noReasoning}
}

// byKey is the columns that are named, by their keys.
func (c Columns) byKey() map[string]string {
	return map[string]string{
		"messages": c.Messages, "role": c.Role, "content": c.Content, "system": c.System, "tools": c.Tools,
		"instruction": c.Instruction, "input": c.Input, "output": c.Output, "history": c.History,
		"prompt": c.Prompt, "completion": c.Completion, "chosen": c.Chosen, "rejected": c.Rejected, "label": c.Label,
		"text": c.Text,
	}
}

// Columns are the names of a record's keys that are read, or whose content may not be lost.
// Others need not be read, since [Layout.Passed] tells what to say of them.
func (l Layout) Columns() map[string]bool {
	out := map[string]bool{}
	for name := range l.columns {
		out[name] = true
	}
	for _, name := range reasoningNames {
		out[name] = true
	}
	for name := range lost {
		out[name] = true
	}
	for name := range verdicts {
		out[name] = true
	}
	for _, name := range weightKeys {
		out[name] = true
	}
	for _, name := range slices.Concat(l.names["role"], l.names["content"], l.ignored.keys) {
		delete(out, name)
	}
	return out
}

// Passed reports whether the owner of a key that is not read is to hear of it.
func (l Layout) Passed(key string) bool { return !bare(key) && !slices.Contains(l.ignored.keys, key) }

// find returns a column's value with the name that it has, whichever that is: the first that
// says something, else the first. null is as good as nothing.
func (l Layout) find(f fields, column string) (name string, value json.RawMessage, there bool) {
	for _, n := range l.names[column] {
		v, ok := f[n]
		if ok && !absent(v) {
			return n, v, true
		}
		if ok && !there && v[0] != 'n' {
			name, value, there = n, v, true
		}
	}
	return name, value, there
}

func (l Layout) has(f fields, columns ...string) bool {
	for _, c := range columns {
		if _, _, ok := l.find(f, c); !ok {
			return false
		}
	}
	return true
}

// says reports whether a column holds something.
func (l Layout) says(f fields, column string) bool {
	_, v, ok := l.find(f, column)
	return ok && !absent(v)
}

// recognise tells the format of a record by its keys, "" for none.
func (l Layout) recognise(f fields) string {
	talk := l.talk(f)
	_, label := l.ownLabel(f)
	rejected := l.says(f, "rejected")
	switch {
	case rejected && (talk != "" || l.says(f, "chosen")):
		return preferenceFormat
	case talk != "" && label:
		return ktoFormat
	case talk == "" && l.has(f, "chosen", "rejected"):
		return preferenceFormat
	case talk == "" && l.has(f, "text"):
		return textFormat
	}
	return talk
}

// talk is the format of the conversation in a record: one whose columns say something comes
// before one whose columns are there and empty, as in tables that have them all.
func (l Layout) talk(f fields) string {
	there := ""
	for _, format := range []string{messagesFormat, alpacaFormat, promptFormat} {
		columns := marks[format]
		if !l.has(f, columns...) {
			continue
		}
		if slices.ContainsFunc(columns, func(c string) bool { return l.says(f, c) }) {
			return format
		}
		if there == "" {
			there = format
		}
	}
	return there
}

// goodLabels and badLabels are the names of labels, in small letters.
var (
	goodLabels = []string{
		"true", "1", "1.0", "yes", "good", "desirable", "chosen", "positive", "pos", "thumbs_up", "preferred", "liked", "like",
		"accepted", "accept", "upvote", "better", "correct", "👍",
	}
	badLabels = []string{
		"false", "0", "0.0", "-1", "-1.0", "no", "bad", "undesirable", "rejected", "negative", "neg", "thumbs_down", "dispreferred",
		"disliked", "dislike", "reject", "downvote", "worse", "incorrect", "wrong", "not_preferred", "👎",
	}
)

// verdicts are keys beside the label that say whether an answer is a good one, and what they say of a bad one.
var verdicts = map[string]bool{
	"desirable": false, "is_desirable": false, "chosen": false, "is_chosen": false, "preferred": false, "is_preferred": false,
	"is_good": false, "undesirable": true, "is_undesirable": true, "is_rejected": true, "is_bad": true,
	"good": false, "thumbs_up": false, "thumbs_down": true, "liked": false, "disliked": true, "accepted": false,
	"is_accepted": false, "correct": false, "is_correct": false, "is_positive": false, "is_negative": true, "bad": true,
}

// counted are those of them whose number may be how often it was said.
var counted = []string{"good", "bad", "thumbs_up", "thumbs_down"}

// callsBad reports whether a key beside the label says that the answer is a bad one.
func callsBad(key string, raw json.RawMessage) bool {
	bad, is := verdicts[key]
	if !is {
		return false
	}
	switch strings.ToLower(labelText(raw)) {
	case "true", "yes":
		return bad
	case "false", "no":
		return !bad
	case "1", "1.0":
		return bad && !slices.Contains(counted, key)
	case "0", "0.0":
		return !bad && !slices.Contains(counted, key)
	}
	return false
}

// labelOf reads a label: true and false, 1 and 0, or their names. known is false for other values.
func labelOf(text string) (good, known bool) {
	text = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(text)), " ", "_")
	if strings.Contains(text, "s-") { // thumbs-up
		text = strings.ReplaceAll(text, "-", "_")
	}
	good = slices.Contains(goodLabels, text)
	return good, good || slices.Contains(badLabels, text)
}

// ownLabel returns what a record has as its label, and whether that is one, or something that looks like
// one and says neither: a number between others, as 0.9, or what holds several values. Other texts and
// numbers are classes.
func (l Layout) ownLabel(f fields) (raw json.RawMessage, is bool) {
	_, raw, there := l.find(f, "label")
	if !there || absent(raw) {
		return raw, false
	}
	if raw[0] == '[' || raw[0] == '{' {
		return raw, true
	}
	text := labelText(raw)
	if _, known := labelOf(text); known {
		return raw, true
	}
	_, notWhole := strconv.Atoi(text)
	v, err := strconv.ParseFloat(text, 64)
	return raw, err == nil && notWhole != nil && v == v
}

func labelText(raw json.RawMessage) string {
	if raw[0] == '"' {
		return strings.TrimSpace(cutText(raw))
	}
	return string(raw)
}

// CheckClasses refuses a column of labels that holds classes whose names are none of labels: as numbers
// they would look like some. classes has their names by column.
func (l Layout) CheckClasses(classes map[string][]string) error {
	if l.Format == preferenceFormat || l.Format == textFormat {
		return nil
	}
	for _, column := range l.names["label"] {
		unknown := func(name string) bool { _, known := labelOf(name); return !known }
		if names := classes[column]; slices.ContainsFunc(names, unknown) && !slices.Contains(l.ignored.keys, column) {
			const most = 6
			more := ""
			if len(names) > most {
				names, more = names[:most], fmt.Sprintf(" and %d more", len(names)-most)
			}
			return fault.Usage(fault.Hint(
				fmt.Errorf("%s holds the classes %s%s, want labels of good and bad answers", column, strings.Join(names, ", "), more),
				fmt.Sprintf("`ignore: [%s]` of the source takes it for no label; labels are true and false, or such names as pos and neg",
					column)))
		}
	}
	return nil
}

// OtherFormat is the error of a record of another format than those before it.
type OtherFormat struct{ Format, Before string }

func (e *OtherFormat) Error() string {
	return fmt.Sprintf("a record of the format %s (%s), and those before it are of the format %s (%s)",
		e.Format, strings.Join(marks[e.Format], ", "), e.Before, strings.Join(marks[e.Before], ", "))
}

// Settles reports whether the records before can be read as that format, too: they had none,
// or they are conversations without a label, which may begin later.
func (e *OtherFormat) Settles() bool {
	return e.Before == "" || e.Format == ktoFormat && !IsPreference(e.Before)
}

// Settle recognises the format from the first lines, where it was not said: the first
// that has one decides, and the others must agree with it ([OtherFormat]).
func (l *Layout) Settle(lines []read.Line) {
	if l.Format != "" {
		return
	}
	for _, x := range lines {
		f, err := l.fields(x)
		if err != nil {
			continue
		}
		if l.Format = l.recognise(f); l.Format != "" {
			l.First, l.Keys = x.Number, keysOf(f)
			return
		}
	}
}

// Labelled reports whether a record has a label, where the options do not name another format.
func (l Layout) Labelled(x read.Line) bool {
	f, err := l.fields(x)
	return err == nil && !l.said && l.recognise(f) == ktoFormat
}

// fields reads the keys of a line, but for those that are ignored.
func (l Layout) fields(x read.Line) (fields, error) {
	f, err := fieldsOf(x)
	l.leaveOut(f)
	if err != nil {
		return f, err
	}
	return f, l.unwrap(f)
}

// unwrap takes the prompt of a pair out of its input where that is one of OpenAI's requests ({"messages", "tools"}), whose keys are
// then those of the record.
func (l Layout) unwrap(f fields) error {
	name, raw, there := l.find(f, "input")
	if !there || f["preferred_output"] == nil && f["non_preferred_output"] == nil {
		return nil
	}
	inner, twice, ok := cutOnce(decoded(raw))
	if !ok || inner["messages"] == nil {
		return nil
	}
	for key := range inner {
		if _, both := f[key]; both && twice == "" {
			return bad("invalid_prompt", "%s of the record and of its %s, want one of them", key, name)
		}
	}
	if twice != "" {
		return repeatedKey(twice)
	}
	l.leaveOut(inner)
	delete(f, name)
	maps.Copy(f, inner)
	return nil
}

func (l Layout) leaveOut(f fields) {
	for i, key := range l.ignored.keys {
		if _, there := f[key]; there {
			delete(f, key)
			l.ignored.met(i)
		}
	}
}

// ignored are the keys that the options tell to ignore, and which of them were met: by all who read the source.
type ignored struct {
	keys []string
	seen []atomic.Bool
}

func (x *ignored) met(i int) {
	if !x.seen[i].Load() {
		x.seen[i].Store(true)
	}
}

// NeverMet are the keys to be ignored that no record had, and no table as one of the columns that were passed over.
func (l Layout) NeverMet(passed map[string]int) (keys []string) {
	for i, key := range l.ignored.keys {
		if !l.ignored.seen[i].Load() && passed[key] == 0 {
			keys = append(keys, key)
		}
	}
	return keys
}

// tell tells of keys of a content's parts, under the name of the content.
func (l Layout) tell(name string, c content) {
	for _, m := range c.beside {
		if l.unread != nil && l.Passed(m.key) && !absent(m.value) {
			*l.unread = append(*l.unread, name+"."+m.key)
		}
	}
}

// agree refuses a record of another format than those before it, where theirs was
// recognised. Most records are known by their keys: none of them marks another format.
func (l Layout) agree(f fields) error {
	if l.said {
		return nil
	}
	found := false
	for name := range f {
		of := l.marked[name]
		found = found || len(of) > 0 && !slices.Contains(of, l.Format)
	}
	if !found {
		return nil
	}
	format := l.recognise(f)
	own := slices.ContainsFunc(marks[l.Format], func(c string) bool { return l.says(f, c) })
	switch {
	case format == "" || format == l.Format:
	case format == preferenceFormat, format == ktoFormat && !IsPreference(l.Format), !own && l.Format != ktoFormat:
		return &OtherFormat{format, l.Format}
	}
	return nil
}

// formatNames are the formats that can be recognised.
var formatNames = []string{messagesFormat, alpacaFormat, promptFormat, preferenceFormat, ktoFormat, textFormat}
