package data

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"lwtrain/tokenizer"
)

// badRecord is the error of a record that can't be used. Dropped records are
// counted by its reason.
type badRecord struct {
	reason string // in snake case, a key of statistics
	detail string
}

func (e *badRecord) Error() string { return e.detail }

func bad(reason, format string, args ...any) error {
	return &badRecord{reason, fmt.Sprintf(format, args...)}
}

// conversation is a record as it is read: its messages, and the tools that the
// template is told of (nil: none).
type conversation struct {
	messages []tokenizer.Message
	tools    json.RawMessage
}

// ParseRecord reads a line of a JSONL source, {"messages": [{"role": ...,
// "content": ...}, ...]}. Other keys of a message are kept in Extra, as the
// template may use them; other keys of the record are ignored.
func ParseRecord(line []byte) ([]tokenizer.Message, error) {
	c, err := parseRecord(line)
	return c.messages, err
}

func parseRecord(line []byte) (conversation, error) {
	var none conversation
	record, err := parseObject(line)
	if err != nil {
		return none, err
	}
	raw, ok := record["messages"]
	if !ok {
		return none, bad("no_messages", "a record without the key messages (%s), want {\"messages\": [...]}", keysOf(record))
	}
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return none, bad("invalid_messages", "messages is %s, want a list of {\"role\": ..., \"content\": ...}", kindOf(raw))
	}
	c := conversation{messages: make([]tokenizer.Message, len(list))}
	for i, fields := range list {
		m, err := parseMessage(fields)
		if err != nil {
			return none, bad("invalid_messages", "messages[%d]: %v", i, err)
		}
		c.messages[i] = m
	}
	if tools, ok := record["tools"]; ok && string(tools) != "null" && string(tools) != "[]" {
		c.tools = tools
	}
	return c, nil
}

// parseObject reads a record's keys.
func parseObject(line []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(line) {
		return nil, bad("invalid_utf8", "byte %d is no valid UTF-8", invalidAt(line))
	}
	if at := loneSurrogate(line); at >= 0 {
		return nil, bad("invalid_utf8", "%s at byte %d is half a surrogate pair and no character", line[at:at+6], at+1)
	}
	var record map[string]json.RawMessage
	if err := json.Unmarshal(line, &record); err != nil {
		return nil, bad("invalid_json", "%v", jsonProblem(line, err))
	}
	return record, nil
}

func parseMessage(fields map[string]json.RawMessage) (tokenizer.Message, error) {
	var m tokenizer.Message
	for key, raw := range fields {
		var text string
		isText := raw[0] == '"' && json.Unmarshal(raw, &text) == nil
		switch {
		case key == "role" && !isText:
			return m, fmt.Errorf("role is %s, want text", kindOf(raw))
		case key == "role":
			m.Role = text
		case key == "content" && isText:
			m.Content = text
		default:
			if m.Extra == nil {
				m.Extra = map[string]any{}
			}
			if isText {
				m.Extra[key] = text
			} else {
				m.Extra[key] = raw // keeps the order of keys, and 1 apart from 1.0
			}
		}
	}
	content, said := fields["content"]
	switch {
	case m.Role == "":
		return m, fmt.Errorf("no role, want system, user or assistant")
	case !said && fields["tool_calls"] == nil:
		return m, fmt.Errorf("no content, want text")
	case said && (content[0] == '{' || content[0] == 't' || content[0] == 'f' || content[0] == '-' || '0' <= content[0] && content[0] <= '9'):
		return m, fmt.Errorf("content is %s, want text", kindOf(content))
	}
	if said && string(content) == "null" {
		m.Extra["content"] = nil
	}
	return m, nil
}

func invalidAt(line []byte) int {
	for i := 0; i < len(line); {
		r, size := utf8.DecodeRune(line[i:])
		if r == utf8.RuneError && size == 1 {
			return i + 1
		}
		i += size
	}
	return 0
}

// loneSurrogate finds an escape such as \ud83d without its other half, which
// encoding/json would read as U+FFFD without a word; -1: there is none.
func loneSurrogate(line []byte) int {
	half := func(at int) byte { // 'h'igh, 'l'ow or 0
		if at+6 > len(line) || line[at] != '\\' || line[at+1] != 'u' || line[at+2]|0x20 != 'd' {
			return 0
		}
		switch c := line[at+3] | 0x20; {
		case '8' <= line[at+3] && line[at+3] <= '9' || c == 'a' || c == 'b':
			return 'h'
		case 'c' <= c && c <= 'f':
			return 'l'
		}
		return 0
	}
	for at := 0; ; {
		i := bytes.IndexByte(line[at:], '\\')
		if i < 0 {
			return -1
		}
		at += i
		switch half(at) {
		case 'l':
			return at
		case 'h':
			if half(at+6) != 'l' {
				return at
			}
			at += 12
		default:
			at = min(at+2, len(line)) // the escaped character may be a backslash
		}
	}
}

// jsonProblem adds the place to what encoding/json says.
func jsonProblem(line []byte, err error) error {
	switch e := err.(type) {
	case *json.SyntaxError:
		if strings.HasPrefix(e.Error(), "unexpected end") {
			return fmt.Errorf("broken JSON: it ends in the middle, after %d bytes", len(line))
		}
		return fmt.Errorf("broken JSON at byte %d: %v", e.Offset, err)
	case *json.UnmarshalTypeError:
		return fmt.Errorf("the record is %s, want an object with the key messages", kindOf(line))
	}
	return err
}

// kindOf names a JSON value.
func kindOf(raw []byte) string {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '"':
		return "text"
	case '{':
		return "an object"
	case '[':
		return "a list"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	}
	return "a number"
}

func keysOf(record map[string]json.RawMessage) string {
	if len(record) == 0 {
		return "it has none"
	}
	names := make([]string, 0, len(record))
	for k := range record {
		names = append(names, fmt.Sprintf("%.40q", k))
	}
	slices.Sort(names)
	const most = 6
	if len(names) > most {
		names = append(names[:most], "...")
	}
	return "it has " + strings.Join(names, ", ")
}
