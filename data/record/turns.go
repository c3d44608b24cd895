package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"lwtrain/chat"
	"lwtrain/internal/plainjson"
)

// turns reads a list of messages, in OpenAI's form ({"role", "content"}) or
// ShareGPT's ({"from", "value"}), or the text of one. column is what it is called.
func (l Layout) turns(raw json.RawMessage, column string) ([]chat.Message, error) {
	raw = decoded(raw)
	list, ok := cutList(raw)
	if raw[0] == '{' {
		list, ok = rowsOf(raw)
	}
	if problem := brokenText(raw); !ok && problem != nil {
		return nil, bad("invalid_messages", "%s is the text of a list, and %v", column, problem)
	}
	if !ok {
		return nil, bad("invalid_messages", "%s is %s, want a list of {\"role\": ..., \"content\": ...}", column, kindOf(raw))
	}
	out := make([]chat.Message, 0, len(list))
	legacy := false
	for i, one := range list {
		f, twice, ok := cutOnce(decoded(one))
		if !ok || f == nil {
			return nil, bad("invalid_messages", "%s[%d] is %s, want {\"role\": ..., \"content\": ...}", column, i, kindOf(one))
		}
		l.leaveOut(f)
		m, err := l.message(f)
		if twice != "" {
			err = repeatedKey(twice)
		}
		if err != nil {
			if r, ok := err.(*Error); ok {
				return nil, bad(r.Reason, "%s[%d]: %v", column, i, err)
			}
			return nil, bad("invalid_messages", "%s[%d]: %v", column, i, err)
		}
		if n := len(out); n > 0 && l.roleOf(f) == "tool_call" && joined(&out[n-1], m) {
			continue
		}
		if legacy = legacy || f["function_call"] != nil && !absent(f["function_call"]); legacy && m.Role == "function" {
			m.Role = l.toolRole
		}
		out = append(out, m)
	}
	return out, nil
}

// roleOf is the role that a message names, as the options have it.
func (l Layout) roleOf(f fields) string {
	_, raw, there := l.find(f, "role")
	if !there || raw[0] != '"' {
		return ""
	}
	role := cutText(raw)
	if to, ok := l.roles[role]; ok {
		role = to
	}
	return role
}

// joined adds the calls of a message to the assistant's before it, and reports whether they are one turn, as ms-swift has them: it has
// a message for each call. What is learnt of both must be the same.
func joined(before *chat.Message, m chat.Message) bool {
	calls, _ := m.Extra["tool_calls"].(json.RawMessage)
	if _, null := m.Extra["content"]; null && m.Content == "" {
		m.Extra = maps.Clone(m.Extra)
		delete(m.Extra, "content")
	}
	if before.Role != "assistant" || before.Mark != m.Mark || len(m.Extra) != 1 || calls == nil || m.Reasoning != "" {
		return false
	}
	if earlier, _ := before.Extra["tool_calls"].(json.RawMessage); earlier != nil {
		calls = slices.Concat(earlier[:len(earlier)-1], []byte(","), calls[1:])
	}
	before.Extra = with(before.Extra, "tool_calls", json.RawMessage(calls))
	return true
}

// callRoles are the roles whose content is a call of a tool: ShareGPT's and ms-swift's.
var callRoles = []string{"function_call", "tool_call"}

// rowsOf turns an object of lists of the same length, as tables have lists of structs, into a
// list of objects.
func rowsOf(raw json.RawMessage) (rows []json.RawMessage, ok bool) {
	first, ok := true, true
	var out [][]byte
	eachKey(raw, func(key string, value json.RawMessage) {
		list, isList := cutList(value)
		if first {
			out, first = make([][]byte, len(list)), false
		}
		if ok = ok && isList && value[0] == '[' && len(list) == len(out); !ok {
			return
		}
		for i, v := range list {
			out[i] = fmt.Appendf(out[i], ", %s: %s", quoted(key), v)
		}
	})
	for _, row := range out {
		rows = append(rows, slices.Concat([]byte("{"), row[2:], []byte("}")))
	}
	return rows, ok && !first
}

// message reads one message. What is neither its role, its content, its reasoning nor its
// weight stays in Extra, as the template may use it.
func (l Layout) message(f fields) (m chat.Message, err error) {
	name, rawRole, ok := l.find(f, "role")
	if !ok {
		return m, fmt.Errorf("no role (%s), want system, user or assistant", keysOf(f))
	}
	if rawRole[0] != '"' {
		return m, fmt.Errorf("role is %s, want text", kindOf(rawRole))
	}
	m.Role = cutText(rawRole)
	if to, ok := l.roles[m.Role]; ok {
		m.Role = to
	}
	if m.Role == "" {
		return m, fmt.Errorf("no role, want system, user or assistant")
	}
	taken := append(make([]string, 0, 8), name)
	taken, said, err := l.content(f, &m, taken)
	if err != nil {
		return m, err
	}
	text, names, err := reasoningOf(f)
	switch {
	case err != nil:
		return m, err
	case text != "" && begunByThought(m.Content):
		return m, bad("two_reasonings", "%s beside a content that begins with its own, in <think>, want one of them; `ignore: [%s]` of "+
			"the source leaves it out", names[0], names[0])
	case text != "" && m.Reasoning != "" && text != m.Reasoning:
		return m, bad("two_reasonings", "%s and the parts of the content say different things, want one of them", names[0])
	case text != "":
		m.Reasoning, m.ReasoningKey = text, names[0]
	}
	taken = append(taken, names...)
	if taken, err = l.makesCalls(f, &m, taken); err != nil {
		return m, err
	}
	if err := l.extra(f, &m, taken); err != nil {
		return m, err
	}
	if !said && m.Extra["tool_calls"] == nil && m.Content == "" {
		return m, fmt.Errorf("no content (%s), want text", keysOf(f))
	}
	if err := checkWeight(f, &m); err != nil {
		return m, err
	}
	switch m.Role {
	case "function_call", "tool_call":
		call := quoted(m.Content)
		m.Role, m.Content = "assistant", ""
		return l.called(m, call)
	case "observation", "tool_response":
		m.Role = l.toolRole
	}
	if calls := m.Extra["tool_calls"] != nil; calls && m.Role == "assistant" && m.Content == "" && nothing(f["content"]) {
		m.Extra = with(m.Extra, "content", nil)
	}
	return m, nil
}

// nothing reports whether a content is null or not there: templates see none then, as transformers has it.
func nothing(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// content reads the content of a message, and adds its name to those that are taken. said is
// false where there is none and there should be: null and an empty list are as good as
// nothing, which a system prompt, an answer and a tool's result may say.
func (l Layout) content(f fields, m *chat.Message, taken []string) (_ []string, said bool, err error) {
	name, raw, there := l.find(f, "content")
	if !there {
		for _, n := range l.names["content"] {
			if _, null := f[n]; null {
				return append(taken, n), m.Role != "user", nil
			}
		}
		return taken, false, nil
	}
	taken = append(taken, name)
	if raw[0] == '[' && absent(raw) {
		return taken, m.Role != "user", nil
	}
	c, isText, err := textOf(raw)
	switch {
	case err != nil:
		return taken, true, err
	case !isText:
		return taken, true, fmt.Errorf("content is %s, want text", kindOf(raw))
	case c.reasoning != "" && m.Role != "assistant":
		return taken, true, bad("not_text", "reasoning in a content of the role %s, want text alone", m.Role)
	}
	l.tell("messages."+name, c)
	m.Content = c.text
	m.Reasoning = c.reasoning
	return taken, true, nil
}

// makesCalls reads the calls of tools that a message makes, and adds the names of their keys
// to those that are taken.
func (l Layout) makesCalls(f fields, m *chat.Message, taken []string) ([]string, error) {
	calls, legacy := f["tool_calls"], f["function_call"]
	has := func(raw json.RawMessage) bool { return raw != nil && !absent(raw) && !absent(decoded(raw)) }
	if has(calls) {
		list, err := l.toolCalls(calls)
		if err != nil {
			return taken, err
		}
		if list != nil {
			m.Extra = with(m.Extra, "tool_calls", list)
		}
	}
	taken = append(taken, "tool_calls")
	if !has(legacy) {
		return append(taken, "function_call"), nil
	}
	if m.Extra["tool_calls"] != nil {
		return taken, bad("invalid_function_call", "tool_calls and a function_call, want one of them")
	}
	var err error
	*m, err = l.called(*m, legacy)
	return append(taken, "function_call"), err
}

// weighs reports whether a key says how much is trained on. A loss in numbers is one that was measured.
func weighs(key string, raw json.RawMessage) bool {
	return slices.Contains(weightKeys, key) && (key != "loss" || raw[0] == 't' || raw[0] == 'f')
}

// extra keeps the other keys of a message, but for those that are taken or say nothing, and
// refuses those with content that is not read.
func (l Layout) extra(f fields, m *chat.Message, taken []string) error {
	for _, key := range slices.Sorted(maps.Keys(f)) {
		raw := f[key]
		if slices.Contains(taken, key) || weighs(key, raw) || absent(raw) {
			continue
		}
		answer := m.Role == "assistant" || slices.Contains(callRoles, m.Role)
		switch twice := plainjson.Repeated(raw); {
		case (key == "content" || key == "role") && !slices.Contains(l.names[key], key): // the template would see it in the other's place
			return lostKey(key, "is beside %s, which `columns:` names as the %s", l.names[key][0], key)
		case answer && key == "train_detail":
			return lostKey(key, "says which parts of an answer are learnt, want train: true or false of all of it")
		case lost[key] == textAlone:
			return lostKey(key, "is content that is not read, %s", textAlone)
		case answer && slices.Contains(otherWeights, key) && slices.Contains([]string{"true", "false", "0", "1"}, string(raw)):
			return lostKey(key, "is %s on an answer, and may say that it is not to be learnt: want train: true or false", raw)
		case twice != "":
			return repeatedKey(twice)
		}
		if raw[0] == '"' {
			m.Extra = with(m.Extra, key, cutText(raw))
			continue
		}
		// As it stands there: the order of keys is kept, and 1 apart from 1.0. A copy, for
		// a message may be kept long after its record.
		m.Extra = with(m.Extra, key, json.RawMessage(bytes.Clone(raw)))
	}
	return nil
}

// checkWeight reads what a message says of its own weight: train: false, or a
// weight of 0, take it out of the targets; true and 1 mark it as one.
func checkWeight(f fields, m *chat.Message) error {
	for _, key := range weightKeys {
		raw, ok := f[key]
		if !ok || string(raw) == "null" || !weighs(key, raw) {
			continue
		}
		weight, err := strconv.ParseFloat(string(raw), 64)
		switch {
		case string(raw) == "true" && m.Role != "assistant" && !slices.Contains(callRoles, m.Role):
			return bad("untrainable_role", "%s: true on a message of the role %s, want it on the assistant's alone", key, m.Role)
		case string(raw) == "true":
			m.Mark = max(m.Mark, chat.Trained)
		case string(raw) == "false":
			m.Mark = chat.NotTrained
		case key[0] == 't' || err != nil:
			return bad("invalid_weight", "%s is %s, want true or false%s", key, raw, map[bool]string{true: ", 0 or 1"}[key[0] != 't'])
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
