package record

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"lwtrain/chat"
	"lwtrain/internal/plainjson"
)

// Calls of tools have one form for templates, that of transformers: a list of {"type":
// "function", "function": {"name": ..., "arguments": {...}}}. Records have several.

// toolCalls brings the value of tool_calls into that form.
func (l Layout) toolCalls(raw json.RawMessage) (json.RawMessage, error) {
	raw = decoded(raw)
	list, ok := cutList(raw)
	if raw[0] == '{' {
		list, ok = []json.RawMessage{raw}, true
	}
	if !ok {
		return nil, bad("invalid_tool_calls", "tool_calls is %s, want a list of calls", kindOf(raw))
	}
	var out []json.RawMessage
	for i, one := range list {
		one = decoded(one)
		f, ok := cutObject(one)
		switch {
		case !ok:
			return nil, bad("invalid_tool_calls", "tool_calls[%d] is %s, want {\"function\": {\"name\": ..., \"arguments\": {...}}}", i,
				kindOf(one))
		case len(f) == 0:
			continue
		case plainjson.Repeated(one) != "":
			return nil, repeatedKey(plainjson.Repeated(one))
		case f["function"] != nil && decoded(f["function"])[0] == '{':
			function := decoded(f["function"])
			given := argumentsKey(f)
			inner, _ := cutObject(function)
			switch own := argumentsKey(inner); {
			case says(inner, own):
				if says(f, "arguments") && string(decoded(f["arguments"])) != string(decoded(inner[own])) {
					return nil, bad("two_arguments",
						"tool_calls[%d] has other arguments beside its function than in it, want one of them", i)
				}
			case says(f, given): // beside it
				function = renamed(function, "", "arguments", f[given])
				one = replaced(one, given, json.RawMessage("null"))
			}
			one = replaced(one, "function", l.function(function))
		case f["name"] != nil && !says(f, "function"):
			one = l.bareCall(one, f)
		}
		if twice := plainjson.Repeated(one); twice != "" { // in what was carried as text
			return nil, repeatedKey(twice)
		}
		if problem := brokenArguments(one); problem != nil {
			return nil, bad("invalid_arguments", "tool_calls[%d]: its arguments are the text of an object, and %v", i, problem)
		}
		out = append(out, one)
	}
	if out == nil {
		return nil, nil
	}
	return json.Marshal(out)
}

// bareCall puts the name and the arguments of a call into a function.
func (l Layout) bareCall(call json.RawMessage, f fields) json.RawMessage {
	given := argumentsKey(f)
	inner := fmt.Sprintf(`{"name": %s}`, f["name"])
	if arguments, ok := f[given]; ok {
		inner = fmt.Sprintf(`{"name": %s, %s: %s}`, f["name"], quoted(given), arguments)
	}
	out := []byte(`{"type": "function"`)
	eachKey(call, func(key string, value json.RawMessage) {
		if key != "name" && key != given && key != "type" && key != "function" {
			out = fmt.Appendf(out, `, %s: %s`, quoted(key), value)
		}
	})
	return fmt.Appendf(out, `, "function": %s}`, l.function(json.RawMessage(inner)))
}

// function gives the arguments of a function the form that the template wants: an object, or
// the text of one. Text that is no object stays.
func (l Layout) function(raw json.RawMessage) json.RawMessage {
	f, _ := cutObject(raw)
	given := argumentsKey(f)
	arguments, ok := f[given]
	if !ok || absent(arguments) || absent(decoded(arguments)) {
		arguments = json.RawMessage("{}")
	}
	switch object := decoded(arguments); {
	case !l.textArguments && object[0] == '{':
		arguments = object
	case l.textArguments && (arguments[0] != '"' || object[0] == '{' && isQuoted(arguments)):
		arguments = quoted(string(object))
	}
	return renamed(raw, given, "arguments", arguments)
}

// brokenArguments says what is wrong with the arguments of a call in its form for templates, which begin as an object
// and are none: cut short, or as Python writes it. Other text, such as code, is what a function without a schema takes.
func brokenArguments(call json.RawMessage) error {
	outer, _ := cutObject(call)
	if outer["function"] == nil {
		return nil
	}
	inner, _ := cutObject(outer["function"])
	arguments := inner["arguments"]
	if arguments == nil || arguments[0] != '"' || !strings.HasPrefix(strings.TrimSpace(cutText(arguments)), "{") {
		return nil
	}
	return brokenText(arguments)
}

// isQuoted reports whether a text is that of a text.
func isQuoted(raw json.RawMessage) bool {
	return strings.HasPrefix(strings.TrimSpace(cutText(raw)), `"`)
}

// argumentsKey is what a call names its arguments: as OpenAI does, or Anthropic (input) and
// others.
func argumentsKey(f fields) string {
	for _, key := range []string{"arguments", "parameters", "input", "args", "kwargs"} {
		if says(f, key) {
			return key
		}
	}
	return "arguments"
}

// says reports whether a key holds something.
func says(f fields, key string) bool {
	raw, ok := f[key]
	return ok && !absent(raw) && !absent(decoded(raw))
}

// callKeys are the keys of calls and of their functions in the form for templates.
var callKeys = []string{"type", "id", "index", "function", "name", "arguments"}

// unreadOfCalls lists the keys of calls, and of their functions, that a template did not write in
// text: neither the key in quotes, as in the call's JSON, nor its first value alone. It looks
// for mostUnread keys, which bounds what a conversation costs; where there are more, these tell enough.
func unreadOfCalls(messages []chat.Message, text string) (keys []string) {
	var seen []string
	look := func(key string, value json.RawMessage) {
		if slices.Contains(callKeys, key) || absent(value) || len(seen) == mostUnread || slices.Contains(seen, key) {
			return
		}
		seen = append(seen, key)
		if !strings.Contains(text, string(quoted(key))) && (value[0] != '"' || !strings.Contains(text, cutText(value))) {
			keys = append(keys, "tool_calls."+key)
		}
	}
	for _, m := range messages {
		calls, _ := m.Extra["tool_calls"].(json.RawMessage)
		if calls == nil {
			continue
		}
		list, _ := cutList(calls)
		for _, call := range list {
			eachKey(call, func(key string, value json.RawMessage) {
				if key == "function" && value[0] == '{' {
					eachKey(value, look)
					return
				}
				look(key, value)
			})
		}
	}
	return keys
}

// unreadOfTools lists the keys that tools have beside their functions and a template did not write, as [unreadOfCalls] does.
func unreadOfTools(vars []Var, text string) (keys []string) {
	for _, v := range vars {
		if v.Name != "tools" {
			continue
		}
		var seen []string
		list, _ := cutList(v.Value)
		for _, tool := range list {
			eachKey(tool, func(key string, value json.RawMessage) {
				if key == "type" || key == "function" || absent(value) || len(seen) == mostUnread || slices.Contains(seen, key) {
					return
				}
				seen = append(seen, key)
				if !strings.Contains(text, string(quoted(key))) {
					keys = append(keys, "tools."+key)
				}
			})
		}
	}
	return keys
}

// without is an object without a key.
func without(object json.RawMessage, key string) json.RawMessage {
	out := []byte{'{'}
	eachKey(object, func(k string, v json.RawMessage) {
		if k == key {
			return
		}
		if len(out) > 1 {
			out = append(out, ", "...)
		}
		out = fmt.Appendf(out, "%s: %s", quoted(k), v)
	})
	return append(out, '}')
}

// replaced is an object with another value of a key, in its place or at the end.
func replaced(object json.RawMessage, key string, value json.RawMessage) json.RawMessage {
	return renamed(object, key, key, value)
}

// renamed is replaced for a key that gets another name.
func renamed(object json.RawMessage, from, key string, value json.RawMessage) json.RawMessage {
	out, found := []byte{'{'}, false
	add := func(k string, v json.RawMessage) {
		if len(out) > 1 {
			out = append(out, ", "...)
		}
		out = fmt.Appendf(out, "%s: %s", quoted(k), v)
	}
	eachKey(object, func(k string, v json.RawMessage) {
		switch {
		case k == from:
			k, v, found = key, value, true
		case k == key: // it says nothing, and the other name does
			return
		}
		add(k, v)
	})
	if !found {
		add(key, value)
	}
	return append(out, '}')
}

func quoted(text string) json.RawMessage {
	raw, err := json.Marshal(text)
	if err != nil {
		panic(fmt.Sprintf("record: %v", err)) // a text
	}
	return raw
}

// called turns a message into the one that makes calls, each {"name", "arguments"}: those of
// ShareGPT's role function_call, and of OpenAI's key of that name. Where the template has
// GLM-4's role observation, that is the function's name as metadata and its arguments as
// content.
func (l Layout) called(m chat.Message, raw json.RawMessage) (chat.Message, error) {
	if raw = decoded(raw); raw[0] == '{' {
		raw = json.RawMessage("[" + string(raw) + "]")
	}
	list, ok := cutList(raw)
	if twice := plainjson.Repeated(raw); twice != "" {
		return m, repeatedKey(twice)
	}
	if !ok || len(list) == 0 {
		return m, bad("invalid_function_call", "a function_call that is no call, want {\"name\": ..., \"arguments\": {...}} as JSON")
	}
	for _, one := range list {
		var call struct {
			Name      string
			Arguments json.RawMessage
		}
		switch {
		case one[0] != '{' || json.Unmarshal(one, &call) != nil:
			return m, bad("invalid_function_call", "a function_call that is no call, want {\"name\": ..., \"arguments\": {...}} as JSON")
		case call.Name == "" || len(call.Arguments) == 0:
			return m, bad("invalid_function_call", "a function_call without a name or arguments")
		case l.toolRole == "observation" && strings.TrimSpace(m.Content) == "":
			if len(list) > 1 {
				return m, bad("invalid_function_call", "%d calls in one message, and the template has a form for one", len(list))
			}
			m.Extra, m.Content = with(m.Extra, "metadata", call.Name), string(decoded(call.Arguments))
			return m, nil
		}
	}
	calls, err := l.toolCalls(raw)
	m.Extra = with(m.Extra, "tool_calls", calls)
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

func with(m map[string]any, key string, v any) map[string]any {
	if m == nil {
		m = map[string]any{}
	}
	m[key] = v
	return m
}

// toolsOf reads the tools of a record, a list or the text of one, in the form that
// chat templates expect: {"type": "function", "function": {...}}.
func toolsOf(raw json.RawMessage) (json.RawMessage, error) {
	raw = decoded(raw)
	list, ok := cutList(raw)
	if !ok {
		return nil, bad("invalid_tools", "tools: %s, want a list of functions, or the text of one", kindOf(raw))
	}
	var out []json.RawMessage
	for i, tool := range list {
		tool = decoded(tool)
		f, ok := cutObject(tool)
		switch {
		case !ok:
			return nil, bad("invalid_tools", "tools[%d]: %s, want a function", i, kindOf(tool))
		case len(f) == 0:
			continue
		case says(f, "function"):
			tool = replaced(tool, "function", decoded(f["function"]))
		case f["name"] != nil:
			if string(f["type"]) == `"function"` { // as OpenAI's Responses have them
				tool = without(without(tool, "type"), "function")
			}
			tool = json.RawMessage(fmt.Sprintf(`{"type": "function", "function": %s}`, tool))
		}
		if twice := plainjson.Repeated(tool); twice != "" {
			return nil, repeatedKey(twice)
		}
		out = append(out, tool)
	}
	if out == nil {
		return nil, nil
	}
	return json.Marshal(out)
}
