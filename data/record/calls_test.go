package record

import (
	"errors"
	"strings"
	"testing"

	"lwtrain/data/read"
	"lwtrain/internal/plainjson"
)

// callsTools writes tools, calls and reasoning as most templates do.
const callsTools = `{%- if tools %}{{- 'Tools: ' + (tools | tojson) + '\n' }}{%- endif %}
{%- for m in messages %}
{{- '<|im_start|>' + m.role + '\n' }}
{%- if m.content %}{{- m.content }}{%- endif %}
{%- for c in m.tool_calls or [] %}{{- '<call>' + c.function.name + ' ' + (c.function.arguments | tojson) + '</call>' }}{%- endfor %}
{{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}`

// joinsArguments joins the arguments of calls to other text, as DeepSeek's template does.
var joinsArguments = strings.Replace(callsTools, "(c.function.arguments | tojson)", "c.function.arguments", 1)

func TestCallsAreTheSameWhateverFormTheyHave(t *testing.T) {
	const want = "<|im_start|>user\nTide?<|im_end|>\n<|im_start|>assistant\n<call>tide {\"port\": \"Brest\"}</call><|im_end|>\n" +
		"<|im_start|>tool\n4 m<|im_end|>\n<|im_start|>assistant\nFour.<|im_end|>\n"
	result := func(role string) string {
		return `, {"role": "` + role + `", "content": "4 m"}, ` + assistant("Four.") + `]}`
	}
	for name, record := range map[string]string{
		"arguments that are an object": `{"messages": [` + user("Tide?") +
			`, {"role": "assistant", "content": "", "tool_calls": [{"type": "function", ` +
			`"function": {"name": "tide", "arguments": {"port": "Brest"}}}]}` + result("tool"),
		"arguments that are text": `{"messages": [` + user("Tide?") +
			`, {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", ` +
			`"function": {"name": "tide", "arguments": "{\"port\": \"Brest\"}"}}]}` + result("tool"),
		"calls that are text": `{"messages": [` + user("Tide?") + `, {"role": "assistant", "tool_calls": ` +
			`"[{\"function\": {\"name\": \"tide\", \"arguments\": {\"port\": \"Brest\"}}}]"}` + result("tool"),
		"a call that is text": `{"messages": [` + user("Tide?") + `, {"role": "assistant", "content": [], "tool_calls": ` +
			`["{\"function\": \"{\\\"name\\\": \\\"tide\\\", \\\"arguments\\\": {\\\"port\\\": \\\"Brest\\\"}}\"}"]}` + result("tool"),
		"a call without function": `{"messages": [` + user("Tide?") +
			`, {"role": "assistant", "content": [{"type": "text", "text": ""}], "tool_calls": ` +
			`{"id": "c1", "name": "tide", "arguments": {"port": "Brest"}}}` + result("tool"),
		"arguments that are text twice over": `{"messages": [` + user("Tide?") +
			`, {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "tide", "arguments": ` +
			`"\"{\\\"port\\\": \\\"Brest\\\"}\""}}]}` + result("tool"),
		"arguments beside the function": `{"messages": [` + user("Tide?") +
			`, {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "tide"}, "arguments": {"port": "Brest"}}]}` +
			result("tool"),
		"arguments beside the function, under another name": `{"messages": [` + user("Tide?") +
			`, {"role": "assistant", "content": null, "tool_calls": [{"parameters": {"port": "Brest"}, "function": ` +
			`{"name": "tide", "arguments": ""}}]}` + result("tool"),
		"a function of null": `{"messages": [` + user("Tide?") + `, {"role": "assistant", "content": null, "tool_calls": ` +
			`[{"function": null, "name": "tide", "arguments": "{\"port\": \"Brest\"}"}]}` + result("tool"),
		"arguments under Anthropic's name": `{"messages": [` + user("Tide?") +
			`, {"role": "assistant", "content": null, "tool_calls": [{"name": "tide", "input": {"port": "Brest"}, "arguments": null}]}` +
			result("tool"),
		"arguments under the name of their schema": `{"messages": [` + user("Tide?") +
			`, {"role": "assistant", "content": null, "tool_calls": [{"function": {"parameters": {"port": "Brest"}, "name": "tide"}}]}` +
			result("tool"),
		"OpenAI's function_call": `{"messages": [` + user("Tide?") +
			`, {"role": "assistant", "content": null, "tool_calls": [], "function_call": ` +
			`{"name": "tide", "arguments": "{\"port\": \"Brest\"}"}}` + result("function"),
		"ShareGPT's function_call": `{"messages": [` + user("Tide?") + `, {"role": "function_call", "content": ` +
			`"{\"name\": \"tide\", \"arguments\": {\"port\": \"Brest\"}}"}` + result("observation"),
	} {
		for source, template := range map[string]string{"an object": callsTools, "text": joinsArguments} {
			t.Run(name+", for a template that wants "+source, func(t *testing.T) {
				r, _, err := Render(templateOf(t, template), []byte(record))
				if err != nil || r.Text != want {
					t.Errorf("%v\n%s\nwant\n%s", err, r.Text, want)
				}
			})
		}
	}
}

// TestACallWithoutContentHasNone: as transformers 5.24 renders it, which leaves out what is null; a template that fails then
// gets an empty content.
func TestACallWithoutContentHasNone(t *testing.T) {
	tells := strings.Replace(callsTools, "{%- if m.content %}", "{%- if 'content' not in m %}-{%- endif %}{%- if m.content %}", 1)
	fails := strings.Replace(callsTools, "{%- if m.content %}{{- m.content }}{%- endif %}", "{{- m.content + '.' }}", 1)
	for _, c := range []struct{ name, template, content, want string }{
		{"null", tells, `"content": null, `, "-<call>"},
		{"not there", tells, "", "-<call>"},
		{"empty", tells, `"content": "", `, "assistant\n<call>"},
		{"null, and the template adds to it", fails, `"content": null, `, "assistant\n.<call>"},
		{"text beside the call", tells, `"content": "So:", `, "assistant\nSo:<call>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			record := `{"messages": [` + user("Tide?") + `, {"role": "assistant", ` + c.content +
				`"tool_calls": [{"type": "function", "function": {"name": "tide", "arguments": {}}}]}, ` +
				`{"role": "tool", "content": "4 m"}, ` + assistant("Four.") + `]}`
			r, _, err := Render(templateOf(t, c.template), []byte(record))
			if err != nil || !strings.Contains(r.Text, c.want) {
				t.Errorf("%v\n%s\nwant %q in it", err, r.Text, c.want)
			}
		})
	}
}

func TestCallsWithoutArgumentsHaveNone(t *testing.T) {
	for name, arguments := range map[string]string{
		"empty text": `, "arguments": ""`, "null": `, "arguments": null`, "the text of an empty object": `, "arguments": "{}"`,
		"no key": "",
	} {
		record := `{"messages": [` + user("q") + `, {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f"` +
			arguments + `}}]}]}`
		if r, _, err := Render(templateOf(t, callsTools), []byte(record)); err != nil || !strings.Contains(r.Text, "<call>f {}</call>") {
			t.Errorf("%s: %v\n%s", name, err, r.Text)
		}
	}
	record := `{"messages": [` + user("q") +
		`, {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": "print(1)"}}]}]}`
	r, _, err := Render(templateOf(t, callsTools), []byte(record))
	if err != nil || !strings.Contains(r.Text, `<call>f "print(1)"</call>`) {
		t.Errorf("text that is no JSON: %v\n%s", err, r.Text)
	}
}

func TestToolsAreTheSameWhateverFormTheyHave(t *testing.T) {
	const want = `Tools: [{"type": "function", "function": {"name": "f", "parameters": {"x": 1.0}}}]` + "\n<|im_start|>user\n"
	for name, tools := range map[string]string{
		"a list": `"tools": [{"type": "function", "function": {"name": "f", "parameters": {"x": 1.0}}}]`,
		"the text of one": `"tools": "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": ` +
			`{\"x\": 1.0}}}]"`,
		"a list of texts": `"tools": ["{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": ` +
			`{\"x\": 1.0}}}"]`,
		"functions alone":                `"tools": [{"name": "f", "parameters": {"x": 1.0}}]`,
		"OpenAI's functions":             `"functions": [{"name": "f", "parameters": {"x": 1.0}}]`,
		"functions beside empty tools":   `"tools": [], "functions": [{"name": "f", "parameters": {"x": 1.0}}]`,
		"tools in the template's kwargs": `"chat_template_kwargs": {"tools": [{"name": "f", "parameters": {"x": 1.0}}]}`,
	} {
		record := `{"messages": [` + user("q") + `, ` + assistant("a") + `], ` + tools + `}`
		if r, _, err := Render(templateOf(t, callsTools), []byte(record)); err != nil || !strings.HasPrefix(r.Text, want) {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, r.Text, want)
		}
	}
	for _, empty := range []string{`""`, `"[]"`, `[]`, `{}`, `null`, `"null"`, `[null]`} {
		record := `{"messages": [` + user("q") + `, ` + assistant("a") + `], "tools": ` + empty + `}`
		if r, _, err := Render(templateOf(t, callsTools), []byte(record)); err != nil || !strings.HasPrefix(r.Text, "<|im_start|>user") {
			t.Errorf("tools: %s: %v\n%s", empty, err, r.Text)
		}
	}
}

func TestCallsThatAreNoneSayWhy(t *testing.T) {
	for name, c := range map[string]struct{ message, reason, says string }{
		"tool_calls of a number":  {`"tool_calls": 5`, "invalid_tool_calls", "tool_calls is a number, want a list of calls"},
		"a call of a number":      {`"tool_calls": [5]`, "invalid_tool_calls", "tool_calls[0] is a number"},
		"a function_call of text": {`"function_call": "auto"`, "invalid_function_call", "is no call"},
		"other arguments beside the function": {`"tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}, "arguments": {"x": 2}}]`,
			"two_arguments", "tool_calls[0] has other arguments beside its function"},
		"an argument twice": {`"tool_calls": [{"function": {"name": "f", "arguments": {"x": [{"y": 1, "y": 2}]}}}]`, "repeated_key", `"y"`},
		"an argument twice in the text of arguments": {`"tool_calls": [{"name": "f", "arguments": "{\"x\": 1, \"x\": 2}"}]`,
			"repeated_key", `"x"`},
		"a name twice":                      {`"tool_calls": [{"function": {"name": "f", "name": "g"}}]`, "repeated_key", `"name"`},
		"a function_call with a name twice": {`"function_call": {"name": "f", "name": "g", "arguments": {}}`, "repeated_key", `"name"`},
		"a key twice in another key":        {`"sound": {"a": {"b": 1}, "a": 2}`, "repeated_key", `"a"`},
		"arguments that are cut short": {`"tool_calls": [{"name": "f"}, {"name": "f", "arguments": "{\"x\": \"Bre"}]`,
			"invalid_arguments", "tool_calls[1]: its arguments are the text of an object, and broken JSON: it ends in the middle"},
		"arguments as Python writes them": {`"tool_calls": [{"function": {"name": "f", "arguments": " {'x': 1}"}}]`,
			"invalid_arguments", "a single quote, as Python's repr writes it"},
		"arguments of a function_call that are cut short": {`"function_call": {"name": "f", "arguments": "{"}`,
			"invalid_arguments", "its arguments are the text of an object"},
		"two ways at once": {`"tool_calls": [{"function": {"name": "f"}}], "function_call": {"name": "f", "arguments": "{}"}`,
			"invalid_function_call", "want one of them"},
	} {
		record := `{"messages": [` + user("q") + `, {"role": "assistant", "content": "a", ` + c.message + `}]}`
		_, err := Options{Format: "messages"}.Layout(nil).Parse(read.Line{Text: []byte(record)})
		var b *Error
		if !errors.As(err, &b) || b.Reason != c.reason || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %s: %s", name, err, c.reason, c.says)
		}
	}
}

func TestKeysThatAreThereTwiceAreFoundAtEveryDepth(t *testing.T) {
	deep := strings.Repeat(`{"a":[`, 1000)
	for text, want := range map[string]string{
		`{"a": 1, "b": {"a": 1}, "c": [{"a": 1}, {"a": 2}]}`:   "",
		`[{"a": ["b", "b"], "b": "a"}]`:                        "",
		`{"a": {"b" : 1, "c": {"b": ":"}, "b": 2}}`:            "b",
		`[[], {"\u0061": "{", "a": 1}]`:                        "a",
		deep + `{"b": 1, "b": 2}` + strings.Repeat("]}", 1000): "b",
		`"text: \"a\": 1"`:                                     "",
	} {
		if got := plainjson.Repeated([]byte(text)); got != want {
			t.Errorf("%.60s: %q, want %q", text, got, want)
		}
	}
	for _, tools := range []string{`[{"name": "f", "description": "a", "description": "b"}]`,
		`["{\"function\": \"{\\\"name\\\": 1, \\\"name\\\": 2}\"}"]`} {
		record := `{"messages": [` + user("q") + `, ` + assistant("a") + `], "tools": ` + tools + `}`
		_, err := Options{Format: "messages"}.Layout(nil).Parse(read.Line{Text: []byte(record)})
		var b *Error
		if !errors.As(err, &b) || b.Reason != "repeated_key" {
			t.Errorf("%s: %v", tools, err)
		}
	}
}
