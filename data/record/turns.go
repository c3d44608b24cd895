package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"lwtrain/chat"
)

// turns reads a list of messages, in OpenAI's form ({"role", "content"}) or
// ShareGPT's ({"from", "value"}). column is what it is called.
func (l Layout) turns(raw json.RawMessage, column string) ([]chat.Message, error) {
	list, ok := cutList(raw)
	if !ok {
		return nil, bad("invalid_messages", "%s is %s, want a list of {\"role\": ..., \"content\": ...}", column, kindOf(raw))
	}
	out := make([]chat.Message, len(list))
	for i, one := range list {
		f, ok := cutObject(one)
		if !ok {
			return nil, bad("invalid_messages", "%s[%d] is %s, want {\"role\": ..., \"content\": ...}", column, i, kindOf(one))
		}
		m, err := l.message(f)
		if err != nil {
			if r, ok := err.(*Error); ok {
				return nil, bad(r.Reason, "%s[%d]: %v", column, i, err)
			}
			return nil, bad("invalid_messages", "%s[%d]: %v", column, i, err)
		}
		out[i] = m
	}
	return out, nil
}

// message reads one message. What is neither its role, its content nor its
// weight stays in Extra, as the template may use it.
func (l Layout) message(f fields) (m chat.Message, err error) {
	rawRole, ok := l.get(f, "role")
	if !ok {
		return m, fmt.Errorf("no role, want system, user or assistant")
	}
	role, isText, _ := textOf(rawRole)
	if !isText || rawRole[0] != '"' {
		return m, fmt.Errorf("role is %s, want text", kindOf(rawRole))
	}
	m.Role = role
	if to, ok := l.roles[role]; ok {
		m.Role = to
	}
	if m.Role == "" {
		return m, fmt.Errorf("no role, want system, user or assistant")
	}
	content, said := l.get(f, "content")
	if said {
		text, isText, err := textOf(content)
		switch {
		case err != nil:
			return m, err
		case !isText:
			return m, fmt.Errorf("content is %s, want text", kindOf(content))
		}
		m.Content = text
	}
	l.extra(f, &m)
	_, null := l.first(f, "content")
	switch {
	case said:
	case null:
		m.Extra = with(m.Extra, "content", nil)
	case m.Extra["tool_calls"] == nil:
		return m, fmt.Errorf("no content, want text")
	}
	if err := checkWeight(f, &m); err != nil {
		return m, err
	}
	switch m.Role {
	case "function_call":
		return l.call(m)
	case "observation":
		m.Role = l.toolRole
	}
	return m, nil
}

// weightKeys say how much a message is trained on.
var weightKeys = []string{"train", "weight", "loss_weight"}

// extra keeps the other keys of a message. null says as little as no key.
func (l Layout) extra(f fields, m *chat.Message) {
	role, content := l.nameOf(f, "role"), l.nameOf(f, "content")
	for key, raw := range f {
		if key == role || key == content || slices.Contains(weightKeys, key) || string(raw) == "null" {
			continue
		}
		if raw[0] == '"' {
			m.Extra = with(m.Extra, key, cutText(raw))
			continue
		}
		// As it stands there: the order of keys is kept, and 1 apart from 1.0. A copy, for
		// a message may be kept long after its record.
		m.Extra = with(m.Extra, key, json.RawMessage(bytes.Clone(raw)))
	}
}

func with(m map[string]any, key string, v any) map[string]any {
	if m == nil {
		m = map[string]any{}
	}
	m[key] = v
	return m
}

// textOf reads text, or a list of parts that are text, which are joined. Text
// that is none comes back as isText false.
func textOf(raw json.RawMessage) (text string, isText bool, err error) {
	switch raw[0] {
	case '"':
		return cutText(raw), true, nil
	case '[':
	default:
		return "", false, nil
	}
	parts, _ := cutList(raw)
	if len(parts) == 0 {
		return "", false, nil
	}
	var all strings.Builder
	for i, p := range parts {
		var part struct {
			Type string
			Text *string
		}
		switch {
		case p[0] == '"':
			all.WriteString(cutText(p))
		case p[0] == '{' && json.Unmarshal(p, &part) == nil && part.Text != nil && (part.Type == "" || part.Type == "text"):
			all.WriteString(*part.Text)
		case p[0] == '{' && part.Type != "" && part.Type != "text":
			return "", false, bad("not_text", "part %d of the content is of the type %.40q, want text alone", i, part.Type)
		default:
			return "", false, fmt.Errorf("part %d of the content is %s, want {\"type\": \"text\", \"text\": ...}", i, kindOf(p))
		}
	}
	return all.String(), true, nil
}

// checkWeight reads what a message says of its own weight: train: false, or a
// weight of 0, take it out of the targets; true and 1 mark it as one.
func checkWeight(f fields, m *chat.Message) error {
	for _, key := range weightKeys {
		raw, ok := f[key]
		if !ok || string(raw) == "null" {
			continue
		}
		weight, err := strconv.ParseFloat(string(raw), 64)
		switch {
		case string(raw) == "true" && m.Role != "assistant" && m.Role != "function_call":
			return bad("untrainable_role", "%s: true on a message of the role %s, want it on the assistant's alone", key, m.Role)
		case string(raw) == "true":
			m.Mark = max(m.Mark, chat.Trained)
		case string(raw) == "false":
			m.Mark = chat.NotTrained
		case key == "train" || err != nil:
			return bad("invalid_weight", "%s is %s, want true or false%s", key, raw, map[bool]string{true: ", 0 or 1"}[key != "train"])
		case weight == 0:
			m.Mark = chat.NotTrained
		case weight == 1:
			m.Mark = max(m.Mark, chat.Trained)
		default:
			return bad("unsupported_weight", "%s is %s, want 0 or 1: a message is trained on or it is not, "+
				"and whole sources are weighed by their loss_factor", key, raw)
		}
	}
	return nil
}

// call turns ShareGPT's function_call, whose content is a call {"name",
// "arguments"} or a list of them as JSON, into the assistant's message that
// makes it. Where the template has GLM-4's role observation, that is the
// function's name as metadata and its arguments as content.
func (l Layout) call(m chat.Message) (chat.Message, error) {
	type call struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	}
	var calls []call
	raw := []byte(strings.TrimSpace(m.Content))
	if len(raw) > 0 && raw[0] == '{' {
		raw = slices.Concat([]byte("["), raw, []byte("]"))
	}
	if err := json.Unmarshal(raw, &calls); err != nil || len(calls) == 0 {
		return m, bad("invalid_function_call",
			"the content of a function_call is no call, want {\"name\": ..., \"arguments\": {...}} as JSON")
	}
	for _, c := range calls {
		if c.Name == "" || len(c.Arguments) == 0 {
			return m, bad("invalid_function_call", "a function_call without a name or arguments")
		}
	}
	m.Role = "assistant"
	if l.toolRole == "observation" {
		if len(calls) > 1 {
			return m, bad("invalid_function_call", "%d calls in one message, and the template has a form for one", len(calls))
		}
		m.Extra, m.Content = with(m.Extra, "metadata", calls[0].Name), string(calls[0].Arguments)
		return m, nil
	}
	list := make([]json.RawMessage, len(calls))
	for i, c := range calls {
		name, err := json.Marshal(c.Name)
		if err != nil {
			return m, err
		}
		list[i] = json.RawMessage(fmt.Sprintf(`{"type": "function", "function": {"name": %s, "arguments": %s}}`, name, c.Arguments))
	}
	tools, err := json.Marshal(list)
	m.Content = ""
	m.Extra = with(m.Extra, "tool_calls", json.RawMessage(tools))
	return m, err
}

// toolRole is the role that a template has for the answers of tools: tool, or
// GLM-4's observation where that is shorter in tokens, being one of its own.
func toolRole(template *chat.Template) string {
	const mark = "42 degrees"
	length := func(role string) int {
		text, ids, err := template.Prompt([]chat.Message{
			{Role: "user", Content: "a"}, {Role: "assistant", Content: "b"}, {Role: role, Content: mark},
		})
		if err != nil || !strings.Contains(text, mark) {
			return 1 << 30
		}
		return len(ids)
	}
	if length("observation") < length("tool") {
		return "observation"
	}
	return "tool"
}

// checkOrder refuses an order of roles that no conversation has. Two messages of
// the assistant may follow each other: a text and a call, or a draft that is not
// trained on.
func checkOrder(messages []chat.Message) error {
	last := ""
	for i, m := range messages {
		says := ""
		switch m.Role {
		case "system", "developer":
			if last != "" && last != "system" && last != "developer" {
				says = "want it before all others"
			}
		case "user":
			if last == "user" {
				says = "want an answer of the assistant between two of the user"
			}
		case "assistant":
			if last == "" || last == "system" || last == "developer" {
				says = "want a message of the user before it"
			}
		default: // of a tool
			if last == "" || last == "system" || last == "developer" || last == "user" {
				says = "want a call of the assistant before it"
			}
		}
		if says != "" {
			return bad("role_order", "messages[%d] (%s): out of order, %s", i, m.Role, says)
		}
		last = m.Role
	}
	return nil
}
