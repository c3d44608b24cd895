package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"lwtrain/chat"
	"lwtrain/data/read"
)

// said is a conversation as text: role and content of each message, with what
// else it has, and - before those that are no target.
func said(c Conversation) string {
	var out []string
	for i, m := range c.Messages {
		text := m.Role + " " + m.Content
		if m.Mark == chat.NotTrained || i < c.First && m.Role == "assistant" {
			text = "-" + text
		}
		if len(m.Extra) > 0 {
			raw, err := json.Marshal(m.Extra)
			if err != nil {
				panic(err)
			}
			text += " " + string(raw)
		}
		out = append(out, text)
	}
	for _, v := range c.Vars {
		out = append(out, v.Name+" "+string(v.Value))
	}
	return strings.Join(out, " | ")
}

func TestEveryFormatIsRecognisedAndRead(t *testing.T) {
	for name, c := range map[string]struct{ record, format, want string }{
		"messages": {`{"messages": [` + user("q") + `, ` + assistant("a") + `], "label": 3}`, "messages",
			"user q | assistant a"},
		"ShareGPT": {`{"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}], "system": ` +
			`"s", "tools": "[]"}`, "messages", "system s | user q | assistant a"},
		"conversations of roles": {`{"conversations": [` + user("q") + `, ` + assistant("a") + `]}`, "messages", "user q | assistant a"},
		"Alpaca":                 {`{"instruction": "i", "input": "", "output": "a"}`, "alpaca", "user i | assistant a"},
		"Alpaca with all": {`{"instruction": "i", "input": "x", "output": "a", "system": "s", "history": [["q", "b"]]}`, "alpaca",
			"system s | user q | assistant b | user i\nx | assistant a"},
		"an instruction with a response": {`{"instruction": "i", "response": "a"}`, "alpaca", "user i | assistant a"},
		"Dolly": {`{"instruction": "i", "context": "x", "response": "a", "category": "qa"}`, "alpaca",
			"user i\nx | assistant a"},
		"OpenOrca": {`{"id": "1", "system_prompt": "s", "question": "q", "response": "a"}`, "prompt_completion",
			"system s | user q | assistant a"},
		"prompt and completion": {`{"prompt": "q", "completion": "a"}`, "prompt_completion", "user q | assistant a"},
		"prompt and response":   {`{"query": "q", "response": "a"}`, "prompt_completion", "user q | assistant a"},
		"completions of messages": {`{"prompt": [` + system("s") + `, ` + user("q") + `], "completion": [` + assistant("a") + `]}`,
			"prompt_completion", "system s | user q | assistant a"},
		"a text":               {`{"text": "a b", "meta": {"book": 1}}`, "text", "assistant a b"},
		"a label":              {`{"prompt": "q", "completion": "a", "label": false}`, "kto", "user q | assistant a"},
		"a label of 1":         {`{"prompt": "q", "completion": "a", "label": 1}`, "kto", "user q | assistant a"},
		"a label that is text": {`{"instruction": "q", "output": "a", "label": "False"}`, "kto", "user q | assistant a"},
		"the name of a class":  {`{"prompt": "q", "completion": "a", "label": "neg"}`, "kto", "user q | assistant a"},
		"a label of null":      {`{"prompt": "q", "completion": "a", "label": null}`, "prompt_completion", "user q | assistant a"},
		"a class":              {`{"prompt": "q", "completion": "a", "label": "sports"}`, "prompt_completion", "user q | assistant a"},
		"history before a query": {`{"query": "q", "response": "a", "history": [["o", "b"]], "system": "s"}`, "prompt_completion",
			"system s | user o | assistant b | user q | assistant a"},
		"history of messages": {`{"prompt": [` + system("s") + `, ` + user("q") + `], "completion": "a", "history": [` + user("o") + `, ` +
			assistant("b") + `]}`,
			"prompt_completion", "system s | user o | assistant b | user q | assistant a"},
		"history as text": {`{"instruction": "q", "output": "a", "history": "[[\"o\", \"b\"]]"}`, "alpaca",
			"user o | assistant b | user q | assistant a"},
		"ms-swift's rejected response": {`{"messages": [` + user("q") + `, ` + assistant("a") + `], "rejected_response": "b"}`,
			"preference", "user q | assistant a"},
		"empty columns of other formats": {`{"messages": [` + user("q") + `, ` + assistant("a") +
			`], "chosen": "", "rejected": "", "instruction": "", ` +
			`"output": "", "system": "", "tools": "", "history": [], "label": ""}`, "messages", "user q | assistant a"},
		"a column of messages that is text": {`{"messages": "[{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", ` +
			`\"content\": \"a\"}]"}`,
			"messages", "user q | assistant a"},
		"messages that are texts": {`{"messages": ["{\"role\": \"user\", \"content\": \"q\"}", "{\"role\": \"assistant\", ` +
			`\"content\": \"a\"}"]}`,
			"messages", "user q | assistant a"},
		"messages as a struct of lists": {`{"messages": {"role": ["user", "assistant"], "content": ["q", "a"], "name": [null, null]}}`,
			"messages", "user q | assistant a"},
		"prompts that are texts of messages": {`{"prompt": "[{\"role\": \"user\", \"content\": \"q\"}]", "completion": "{\"role\": ` +
			`\"assistant\", \"content\": \"a\"}"}`,
			"prompt_completion", "user q | assistant a"},
		"an answer that is JSON and no messages": {`{"prompt": "q", "completion": "[{\"port\": \"Brest\"}]"}`, "prompt_completion",
			`user q | assistant [{"port": "Brest"}]`},
		"parts of other tools": {`{"messages": [{"role": "user", "content": [{"type": "input_text", "text": "q"}]}, {"role": ` +
			`"assistant", ` +
			`"content": [{"type": "text", "value": "a"}]}]}`, "messages", "user q | assistant a"},
		"a system prompt of null": {`{"messages": [{"role": "system", "content": null}, ` + user("q") + `, ` + assistant("a") + `]}`,
			"messages",
			"system  | user q | assistant a"},
		"LLaMA-Factory's label": {`{"messages": [` + user("q") + `, ` + assistant("a") + `, ` + user("r") + `, ` + assistant("b") +
			`], "kto_tag": true}`, "kto", "user q | -assistant a | user r | assistant b"},
		"a pair": {`{"prompt": "q", "chosen": "a", "rejected": "b"}`, "preference", "user q | assistant a"},
		"text parts": {`{"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}, {"type": "text", "text": "r"}, "s"]}, ` +
			assistant("a") + `]}`, "messages", "user qrs | assistant a"},
		"a question about a context": {`{"question": "q", "context": "c", "answer": "a"}`, "prompt_completion", "user q\nc | assistant a"},
		"a prompt that holds its input": {`{"prompt": "About c: q", "input": "c", "completion": "a"}`, "prompt_completion",
			"user About c: q | assistant a"},
		"ms-swift's losses": {`{"messages": [` + user("q") + `, {"role": "assistant", "content": "a", "loss": false}, ` +
			`{"role": "assistant", "content": "b", "trainable": false}, {"role": "assistant", "content": "c", "loss": true}]}`,
			"messages", "user q | -assistant a | -assistant b | assistant c"},
		"thumbs": {`{"prompt": "q", "completion": "a", "label": "thumbs_down"}`, "kto", "user q | assistant a"},
		"tools of OpenAI's Responses": {`{"messages": [` + user("q") + `, ` + assistant("a") +
			`], "tools": [{"type": "function", "name": "f", "strict": true}]}`, "messages",
			`user q | assistant a | tools [{"type":"function","function":{"name":"f","strict":true}}]`},
		"weights": {`{"messages": [{"role": "user", "content": "q", "weight": 1}, {"role": "assistant", "content": "a", "train": ` +
			`false}, {"role": "assistant", "content": "b", "weight": 0}, {"role": "assistant", "content": "c", "loss_weight": 1.0}, ` +
			`{"role": "assistant", "content": "d", "train": true}]}`,
			"messages", "user q | -assistant a | -assistant b | assistant c | assistant d"},
		"null is no key": {`{"messages": [{"role": "user", "content": "q", "name": null, "weight": null}, {"role": "assistant", ` +
			`"content": "a", "tool_calls": null}], "tools": null}`, "messages", "user q | assistant a"},
		"a call without content": {`{"messages": [` + user("q") +
			`, {"role": "assistant", "content": null, "tool_calls": [{"id": 9007199254740993}]}]}`, "messages",
			`user q | assistant  {"content":null,"tool_calls":[{"id":9007199254740993}]}`},
		"a call in ShareGPT": {`{"conversations": [{"from": "human", "value": "q"}, {"from": "function_call", "value": "{\"name\": ` +
			`\"f\", \"arguments\": {\"x\": 1.0}}"}, {"from": "observation", "value": "42"}, {"from": "gpt", "value": "a"}], "tools": ` +
			`"[{\"name\": \"f\"}]"}`, "messages",
			`user q | assistant  {"tool_calls":[{"type":"function","function":{"name":"f","arguments":{"x":1.0}}}]} | tool 42 | ` +
				`assistant a | tools [{"type":"function","function":{"name":"f"}}]`},
		"tools of OpenAI": {`{"messages": [` + user("q") + `, ` + assistant("a") +
			`], "tools": [{"type": "function", "function": {"name": "f"}}]}`, "messages", `user q | assistant a | tools ` +
			`[{"type":"function","function":{"name":"f"}}]`},
	} {
		t.Run(name, func(t *testing.T) {
			l := Options{}.Layout(nil)
			l.Settle([]read.Line{{Text: []byte("broken")}, {Text: []byte(c.record)}, {Text: []byte(`{"messages": []}`)}})
			e, err := l.Parse(read.Line{Text: []byte(c.record)})
			if err != nil || l.Format != c.format || said(e.Conversation) != c.want {
				t.Errorf("format %s, %v:\n%s\nwant %s\n%s", l.Format, err, said(e.Conversation), c.format, c.want)
			}
		})
	}
}

func TestRecordsOfOpenAIAndMsSwiftAreRecognisedAndRead(t *testing.T) {
	for name, c := range map[string]struct{ record, format, want string }{
		"ms-swift's calls, those of one turn": {`{"messages": [` + user("q") + `, ` + assistant("so") + `, ` +
			`{"role": "tool_call", "content": "{\"name\": \"f\", \"arguments\": {\"x\": 1}}"}, ` +
			`{"role": "tool_call", "content": "{\"name\": \"g\", \"arguments\": {}}"}, {"role": "tool_response", "content": "42"}, ` +
			`{"role": "tool_response", "content": "43"}, ` + assistant("a") + `]}`, "messages",
			`user q | assistant so {"tool_calls":[{"type":"function","function":{"name":"f","arguments":{"x":1}}},` +
				`{"type":"function","function":{"name":"g","arguments":{}}}]} | tool 42 | tool 43 | assistant a`},
		"ms-swift's calls of different weight": {`{"messages": [` + user("q") + `, {"role": "assistant", "content": "b", "loss": false}, ` +
			`{"role": "tool_call", "content": "{\"name\": \"f\", \"arguments\": {}}", "loss": true}]}`, "messages",
			`user q | -assistant b | assistant  {"tool_calls":[{"type":"function","function":{"name":"f","arguments":{}}}]}`},
		"OpenAI's preferences": {`{"input": {"messages": [` + system("s") + `, ` + user("q") + `], "tools": [{"type": "function", ` +
			`"function": {"name": "f"}}], "parallel_tool_calls": true}, "preferred_output": [` + assistant("a") +
			`], "non_preferred_output": [` + assistant("b") + `]}`, "preference",
			`system s | user q | assistant a | tools [{"type":"function","function":{"name":"f"}}]`},
		"OpenAI's preferences as text": {`{"input": "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}]}", ` +
			`"preferred_output": "a", "non_preferred_output": "b"}`, "preference", "user q | assistant a"},
		"preferred outputs of an input that is text": {`{"input": "q", "preferred_output": "a", "non_preferred_output": "b"}`, "preference",
			"user q | assistant a"},
	} {
		l := Options{}.Layout(nil)
		l.Settle([]read.Line{{Text: []byte(c.record)}})
		e, err := l.Parse(read.Line{Text: []byte(c.record)})
		if err != nil || l.Format != c.format || said(e.Conversation) != c.want {
			t.Errorf("%s: format %s, %v:\n%s\nwant %s\n%s", name, l.Format, err, said(e.Conversation), c.format, c.want)
		}
	}
}

func TestColumnsThatTablesHaveAsTextAreRead(t *testing.T) {
	for name, c := range map[string]struct{ record, format, want string }{
		"Alpaca with an input of none": {`{"instruction": "i", "input": [], "output": "a"}`, "alpaca", "user i | assistant a"},
		"a label of two words":         {`{"prompt": "q", "completion": "a", "label": "Thumbs down"}`, "kto", "user q | assistant a"},
		"a label with a hyphen":        {`{"prompt": "q", "completion": "a", "label": "thumbs-up"}`, "kto", "user q | assistant a"},
		"a label of what is wrong":     {`{"prompt": "q", "completion": "a", "label": "incorrect"}`, "kto", "user q | assistant a"},
		"no history, as text":          {`{"instruction": "q", "output": "a", "history": "[]"}`, "alpaca", "user q | assistant a"},
		"null as the text of history": {`{"prompt": "q", "completion": "a", "history": "null"}`, "prompt_completion",
			"user q | assistant a"},
		"an answer that is the text of a call": {`{"prompt": "q", "completion": ` +
			`"[{\"role\": \"assistant\", \"content\": null, \"tool_calls\": ` +
			`[{\"name\": \"f\", \"arguments\": {}}]}]"}`, "prompt_completion",
			`user q | assistant  {"content":null,"tool_calls":[{"type":"function","function":{"name":"f","arguments":{}}}]}`},
	} {
		l := Options{}.Layout(nil)
		l.Settle([]read.Line{{Text: []byte(c.record)}})
		e, err := l.Parse(read.Line{Text: []byte(c.record)})
		if err != nil || l.Format != c.format || said(e.Conversation) != c.want {
			t.Errorf("%s: format %s, %v:\n%s\nwant %s\n%s", name, l.Format, err, said(e.Conversation), c.format, c.want)
		}
	}
}

func TestWeightsOfOtherToolsAreWeights(t *testing.T) {
	for name, c := range map[string]struct{ extra, want string }{
		"axolotl's training":          {`, "training": false`, "user q | -assistant a"},
		"ms-swift's loss_scale of 0":  {`, "loss_scale": 0.0`, "user q | -assistant a"},
		"ms-swift's loss_scale of 1":  {`, "loss_scale": 1`, "user q | assistant a"},
		"a weight of 0 in one of two": {`, "training": true, "loss_scale": 0`, "user q | -assistant a"},
	} {
		record := []byte(`{"messages": [` + user("q") + `, {"role": "assistant", "content": "a"` + c.extra + `}]}`)
		got, err := Options{Format: "messages"}.Layout(nil).Parse(read.Line{Text: record})
		if err != nil || said(got.Conversation) != c.want {
			t.Errorf("%s: %s, %v, want %s", name, said(got.Conversation), err, c.want)
		}
	}
}

func TestRecordsThatCanNotBeUsedSayWhy(t *testing.T) {
	talks := func(extra string) string {
		return `{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"` + extra + `}]}`
	}
	for name, c := range map[string]struct{ record, reason, says string }{
		"a weight between":      {talks(`, "loss_weight": 0.5`), "unsupported_weight", "loss_weight is 0.5, want 0 or 1"},
		"a weight that is text": {talks(`, "weight": "1"`), "invalid_weight", `want true or false, 0 or 1`},
		"a number as train":     {talks(`, "train": 0`), "invalid_weight", "train is 0, want true or false"},
		"a loss scale between":  {talks(`, "loss_scale": 2.0`), "unsupported_weight", "loss_scale is 2.0, want 0 or 1"},
		"parts of an answer that are learnt": {talks(`, "train_detail": [{"begin_offset": 0, "end_offset": 1, "train": false}]`),
			"train_detail_not_read", "messages[1]: train_detail says which parts of an answer are learnt"},
		"OpenAI's preferences with messages twice": {`{"messages": [` + user("r") + `, ` + assistant("c") + `], "input": {"messages": [` +
			user("q") + `]}, "preferred_output": "a", "non_preferred_output": "b"}`, "invalid_prompt",
			"messages of the record and of its input, want one of them"},
		"a key of OpenAI's preferences twice": {`{"input": {"messages": [` + user("q") + `], "messages": []}, "preferred_output": "a", ` +
			`"non_preferred_output": "b"}`, "repeated_key", `"messages"`},
		"ms-swift's call that is none": {`{"messages": [` + user("q") + `, {"role": "tool_call", "content": "f(x)"}]}`,
			"invalid_function_call", "messages[1]: a function_call that is no call"},
		"messages as Python writes them": {`{"messages": "[{'role': 'user', 'content': 'q'}]"}`, "invalid_messages",
			"messages is the text of a list, and broken JSON at byte 3: a single quote, as Python's repr writes it"},
		"messages that are cut short": {`{"messages": "[{\"role\": \"us"}`, "invalid_messages", "broken JSON: it ends in the middle"},
		"NaN, as Python writes it": {`{"messages": [], "score": NaN}`, "invalid_json",
			"broken JSON at byte 27: NaN, which Python writes and JSON does not have"},
		"an infinity, as Python writes it": {`{"messages": [], "score": -Infinity}`, "invalid_json",
			"broken JSON at byte 27: -Infinity, which"},
		"messages of null": {`{"messages": null}`, "no_messages", `(it has "messages" (null))`},
		"a user that is trained on": {`{"messages": [{"role": "user", "content": "q", "train": true}]}`, "untrainable_role",
			"messages[0]: train: true on a message of the role user"},
		"an image": {`{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}`, "not_text",
			`messages[0]: part 0 of the content is of the type "image_url"`},
		"a part without text": {`{"messages": [{"role": "user", "content": [{"type": "text"}]}]}`, "invalid_messages",
			"part 0 of the content has no text (it has"},
		"a call that is none": {`{"conversations": [{"from": "function_call", "value": "f(x)"}]}`, "invalid_function_call",
			"is no call"},
		"two system prompts":      {`{"system": "s", "messages": [` + system("t") + `, ` + user("q") + `]}`, "two_systems", "another one"},
		"tools that are no list":  {`{"messages": [], "tools": {"a": 1}}`, "invalid_tools", "tools: an object"},
		"a number as instruction": {`{"instruction": 5, "output": "a"}`, "invalid_instruction", "instruction is a number, want text"},
	} {
		t.Run(name, func(t *testing.T) {
			l := Options{}.Layout(nil)
			l.Settle([]read.Line{{Text: []byte(c.record)}})
			_, err := l.Parse(read.Line{Text: []byte(c.record)})
			var b *Error
			if !errors.As(err, &b) || b.Reason != c.reason || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %s: %s", err, c.reason, c.says)
			}
		})
	}
	l := Options{}.Layout(nil)
	l.Settle([]read.Line{{Text: []byte(`{"instruction": "i", "output": "o"}`)}})
	if _, err := l.Parse(read.Line{Text: []byte(talks(""))}); err == nil || !strings.Contains(err.Error(),
		`a record of the format messages (messages), and those before it are of the format alpaca (instruction, output)`) {
		t.Errorf("a record of another format: %v", err)
	}
	l = Options{Format: "alpaca"}.Layout(nil)
	if _, err := l.Parse(read.Line{Text: []byte(talks(""))}); err == nil ||
		!strings.Contains(err.Error(), `without the key instruction (it has "messages"), want a record of the format alpaca`) {
		t.Errorf("a record of another format than the one that was said: %v", err)
	}
}

func TestColumnsAndRolesAreMapped(t *testing.T) {
	src := Options{Columns: Columns{Messages: "dialog", Role: "speaker", Content: "text", System: "rules"},
		Roles: map[string]string{"alice": "user", "bot": "assistant"}}
	l := src.Layout(nil)
	record := []byte(`{"dialog": [{"speaker": "alice", "text": "q"}, {"speaker": "bot", "text": "a"}], "rules": "s", "system": "other"}`)
	l.Settle([]read.Line{{Text: record}})
	if e, err := l.Parse(read.Line{Text: record}); err != nil || said(e.Conversation) != "system s | user q | assistant a" {
		t.Errorf("%s, %v", said(e.Conversation), err)
	}
	if names := l.Columns(); !names["dialog"] || !names["rules"] || !names["train"] || names["messages"] || names["speaker"] {
		t.Errorf("columns that are read: %v", names)
	}
	record = []byte(`{"dialog": [{"speaker": "alice", "text": "q", "content": "other"}, {"speaker": "bot", "text": "a"}]}`)
	if _, err := l.Parse(read.Line{Text: record}); err == nil ||
		!strings.Contains(err.Error(), "dialog[0]: content is beside text, which") {
		t.Errorf("a content beside the one that is named: %v", err)
	}
	record = []byte(`{"prompt": "q", "note": ""}`)
	if _, err := (Options{Columns: Columns{Messages: "talk"}}).Layout(nil).Parse(read.Line{Text: record}); err == nil ||
		err.Error() != "a record without the key talk, which `columns:` names (it has \"note\" (empty), \"prompt\")" {
		t.Errorf("a column that is named and not there: %v", err)
	}
	l = Options{Format: "prompt_completion", Columns: Columns{Prompt: "messages", Completion: "chosen"}}.Layout(nil)
	record = []byte(`{"messages": "q", "chosen": "a", "rejected": "b"}`)
	if e, err := l.Parse(read.Line{Text: record}); err != nil || said(e.Conversation) != "user q | assistant a" {
		t.Errorf("a format that was said: %s, %v", said(e.Conversation), err)
	}
	l = Options{Columns: Columns{Prompt: "q", Completion: "a", Instruction: "c"}}.Layout(nil)
	record = []byte(`{"q": "Q", "a": "A", "c": "C"}`)
	l.Settle([]read.Line{{Text: record}})
	if _, err := l.Parse(read.Line{Text: record}); err == nil || !strings.Contains(err.Error(), "c is named in `columns:` and not read") {
		t.Errorf("a column that was named and is not of the format: %v", err)
	}
	l = Options{Columns: Columns{Prompt: "instruction", Completion: "response"}}.Layout(nil)
	record = []byte(`{"instruction": "q", "response": [` + assistant("a") + `], "input": "x"}`)
	l.Settle([]read.Line{{Text: record}})
	e, err := l.Parse(read.Line{Text: record})
	if err != nil || l.Format != "prompt_completion" || said(e.Conversation) != "user q\nx | assistant a" || e.Unread != nil {
		t.Errorf("names of Alpaca that were said to be others: %s %s, unread %v, %v", l.Format, said(e.Conversation), e.Unread, err)
	}
}

func TestCallsOfToolsHaveTheFormOfTheTemplate(t *testing.T) {
	const observes = `{% for m in messages %}` +
		`{% if m.role not in ['user','assistant','observation'] %}{{ raise_exception('role') }}{% endif %}` +
		`<|im_start|>{{ m.role }}{{ m.metadata or '' }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`
	path := filepath.Join(t.TempDir(), "t.jinja")
	if err := os.WriteFile(path, []byte(observes), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ template, role, want string }{
		{"chatml", "tool", `assistant  {"tool_calls":[{"type":"function","function":{"name":"f","arguments":{}}}]} | tool 1`},
		{path, "observation", `assistant {} {"metadata":"f"} | observation 1`},
	} {
		l := Options{}.Layout(template(t, c.template))
		if l.toolRole != c.role {
			t.Errorf("%s: the role is %s, want %s", c.template, l.toolRole, c.role)
		}
		record := []byte(`{"conversations": [{"from": "function_call", "value": "{\"name\": \"f\", \"arguments\": {}}"}, {"from": ` +
			`"observation", "value": "1"}]}`)
		l.Settle([]read.Line{{Text: record}})
		if e, err := l.Parse(read.Line{Text: record}); err != nil || said(e.Conversation) != c.want {
			t.Errorf("%s: %s, %v; want %s", c.template, said(e.Conversation), err, c.want)
		}
	}
}

func TestToolsThatTheTemplateDoesNotWriteAreAnError(t *testing.T) {
	record := []byte(`{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],"tools":[{"name":"f"}]}`)
	if _, _, err := Render(template(t, "chatml"), record); err == nil ||
		!strings.Contains(err.Error(), "tools, which the chat template does not write") {
		t.Errorf("got %v", err)
	}
}

func TestAListOfRecordsUnderAKeyIsNamed(t *testing.T) {
	for record, want := range map[string]string{
		`{"version": 1, "data": [{"prompt": "q", "completion": "a"}]}`: "" +
			"the key data holds a list of records, want each of them on its own; " +
			"`jq -c '.[\"data\"][]' FILE",
		`{"data": [{"text": "q"}]}`: `a record without the key messages (it has "data")`,
		`{"data": []}`:              `a record without the key messages (it has "data" (empty))`,
	} {
		if _, err := (Options{}.Layout(nil)).Parse(read.Line{Text: []byte(record)}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", record, err, want)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`))
	f.Add([]byte(`{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":9007199254740993}]}],"tools":[{}]}`))
	f.Add([]byte(`{"messages":[{"role":"user","content":"\ud83d\ude00\\ud83d"}]}`))
	f.Add([]byte("\xff"))
	f.Add([]byte(`{"conversations":[{"from":"human","value":"q"},` +
		`{"from":"function_call","value":"{\"name\":\"f\",\"arguments\":{}}"},{"from":"observation","value":"1"},` +
		`{"from":"gpt","value":[{"type":"text","text":"a"}],"train":false}],"tools":"[]"}`))
	f.Add([]byte(`{"instruction":"a","input":"b","output":"c","history":[["d","e"]],"system":"f"}`))
	f.Add([]byte(`{"prompt":"a","chosen":"b","rejected":{"role":"assistant","content":"c"}}`))
	f.Add([]byte(`{"chosen":"\n\nHuman: a\n\nAssistant: b","rejected":"\n\nHuman: a\n\nAssistant: c"}`))
	f.Add([]byte(`{"prompt":"a","completion":"b","label":true}`))
	f.Add([]byte(`{"messages":{"role":["user","assistant"],"content":["a","b"]},` +
		`"chat_template_kwargs":{"a":[1]},"tools":["{\"name\":\"f\"}"]}`))
	f.Add([]byte(`{"messages":"[{\"role\":\"user\",\"content\":\"a\"},` +
		`{\"role\":\"assistant\",\"thinking\":\"c\",\"tool_calls\":[{\"name\":\"f\",` +
		`\"arguments\":\"{}\"}]}]","history":[["a","b"]]}`))
	f.Add([]byte(`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"rejected_response":"c","topic":"d"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l := Options{}.Layout(nil)
		l.Settle([]read.Line{{Text: text}})
		e, err := l.Parse(read.Line{Text: text})
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without text")
			}
			return
		}
		if (e.Kind == Chosen) != (e.Rejected != nil) {
			t.Errorf("kind %d, rejected %v", e.Kind, e.Rejected)
		}
		for _, m := range e.Messages {
			if m.Role == "" || !utf8.ValidString(m.Content) {
				t.Errorf("role %q, content %q", m.Role, m.Content)
			}
		}
	})
}

// user, assistant and system are messages of a record, as JSON.
func user(content string) string      { return message("user", content) }
func assistant(content string) string { return message("assistant", content) }
func system(content string) string    { return message("system", content) }

func message(role, content string) string {
	return fmt.Sprintf(`{"role": %q, "content": %q}`, role, content)
}
