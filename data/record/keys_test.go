package record

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/chat"
	"lwtrain/data/read"
)

// templateOf is a template by its text.
func templateOf(t testing.TB, source string) *chat.Template {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.jinja")
	if err := os.WriteFile(path, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	return template(t, path)
}

const (
	// plainChatML knows roles and contents alone.
	plainChatML = `{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}` +
		`{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`
	// thinks writes the reasoning of the last answer, under the name that Qwen3 has for it.
	thinks = `{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.reasoning_content and loop.last %}` +
		`{{ '<think>' + m.reasoning_content + '</think>' }}{% endif %}{{ m.content + '<|im_end|>\n' }}{% endfor %}` +
		`{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`
	// strips leaves out what answers think, as DeepSeek-R1's does.
	strips = `{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content.split('</think>')[-1] + '<|im_end|>\n' }}{% endfor %}` +
		`{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}`
	// modal reads a variable and prints documents.
	modal = `{% if mode is defined %}{{ 'mode ' ~ mode ~ '\n' }}{% endif %}{% for d in documents or [] %}{{ d.text + '\n' }}{% endfor %}` +
		plainChatML
)

// fate is what becomes of a record: how it is rendered and what is not read of it, or the reason
// why it is not used.
func fate(t *testing.T, o Options, source, record string) string {
	t.Helper()
	template := templateOf(t, source)
	line := read.Line{Number: 1, Text: []byte(record)}
	layout := o.Layout(template)
	layout.Settle([]read.Line{line})
	r := NewRenderer(layout, template)
	sides, unread, err := r.Render(line)
	if err == nil {
		_, err = r.Keep(sides, line)
	}
	var lost *Error
	var talk *chat.ConversationError
	switch {
	case errors.As(err, &lost):
		return lost.Reason
	case errors.As(err, &talk):
		return string(talk.Reason)
	case err != nil:
		return err.Error()
	}
	last := sides[0].Text[strings.LastIndex(sides[0].Text, "<|im_start|>assistant\n"):]
	out := strings.TrimSuffix(strings.TrimPrefix(last, "<|im_start|>assistant\n"), "<|im_end|>\n")
	if len(unread) > 0 {
		out += fmt.Sprint(" unread ", unread)
	}
	return out
}

// fates are records with what becomes of them.
type fates map[string]struct{ template, record, want string }

func (all fates) check(t *testing.T) {
	for name, c := range all {
		t.Run(name, func(t *testing.T) {
			if got := fate(t, Options{}, c.template, c.record); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// question is a record of a question and an answer, with more keys of the answer and of the record.
func question(answer, beside string) string {
	return `{"messages": [` + user("q") + `, {"role": "assistant", "content": "a"` + answer + `}]` + beside + `}`
}

func TestReasoningIsRenderedOrRefused(t *testing.T) {
	longer := func(content string) string {
		return `{"messages": [` + user("q") + `, ` + assistant(content) + `, ` + user("q") + `, ` + assistant("b") + `]}`
	}
	fates{
		"reasoning_content is rendered":          {thinks, question(`, "reasoning_content": "r"`, ""), "<think>r</think>a"},
		"thinking is, under the template's name": {thinks, question(`, "thinking": "r"`, ""), "<think>r</think>a"},
		"so is reasoning":                        {thinks, question(`, "reasoning": "r"`, ""), "<think>r</think>a"},
		"and parts of a content that are thoughts": {thinks, `{"messages": [` + user("q") +
			`, {"role": "assistant", "content": [{"type": "thinking", "thinking": "r"}, {"type": "text", "text": "a"}]}]}`,
			"<think>r</think>a"},
		"and OpenRouter's details": {thinks,
			question(`, "reasoning": "r", "reasoning_details": [{"type": "reasoning.text", "text": "r"}]`, ""), "<think>r</think>a"},
		"a template that does not know it loses it": {plainChatML, question(`, "reasoning_content": "r"`, ""),
			"reasoning_content_not_read"},
		"by its own name": {plainChatML, question(`, "thinking": "r"`, ""), "thinking_not_read"},
		"empty reasoning is none": {plainChatML, question(`, "reasoning_content": "", "thinking": null, "reasoning": "\n"`,
			""), "a"},
		"reasoning that says how is no text": {plainChatML, question("", `, "reasoning": "on", "thinking": true`),
			"a unread [reasoning thinking]"},
		"reasoning of the user is nobody's": {thinks, `{"messages": [{"role": "user", "content": "q", "reasoning_content": "r"}, ` +
			assistant("a") + `]}`, "reasoning_content_not_read"},
		"reasoning that is an object":       {thinks, question(`, "reasoning": {"content": "r"}`, ""), "invalid_reasoning"},
		"reasoning that is a list of texts": {thinks, question(`, "reasoning": ["r", "s"]`, ""), "invalid_reasoning"},
		"an object that says how": {thinks, question(`, "reasoning": {"effort": "high", "tokens": 9}`, ""),
			"a unread [messages.reasoning]"},
		"one beside a content that thinks itself": {thinks, `{"messages": [` + user("q") +
			`, {"role": "assistant", "content": "<think>r</think>a", "reasoning_content": "r"}]}`, "two_reasonings"},
		"one beside an answer that thinks itself": {thinks, `{"prompt": "q", "completion": "<think>r</think>a", "reasoning": "r"}`,
			"two_reasonings"},
		"two that differ": {thinks, question(`, "reasoning": "r", "thinking": "s"`, ""), "two_reasonings"},
		"reasoning of earlier answers is said": {thinks, `{"messages": [` + user("q") +
			`, {"role": "assistant", "content": "a", "reasoning": "r"}, ` + user("q") + `, ` + assistant("b") + `]}`,
			"b unread [reasoning of earlier answers]"},
		"reasoning beside an instruction": {thinks, `{"instruction": "q", "input": "", "output": "a", "reasoning_content": "r"}`,
			"<think>r</think>a"},
		"which a template loses": {plainChatML, `{"instruction": "q", "output": "a", "reasoning_content": "r"}`,
			"reasoning_content_not_read"},
		"beside a completion": {thinks, `{"prompt": "q", "completion": "a", "thinking": "r"}`, "<think>r</think>a"},
		"beside a labelled answer": {thinks, `{"prompt": "q", "completion": "a", "label": true, "cot": "r"}`,
			"<think>r</think>a"},
		"beside messages it is nobody's": {thinks, question("", `, "reasoning_content": "r"`), "reasoning_content_not_read"},
		"beside a pair it is nobody's": {thinks, `{"prompt": "q", "chosen": "a", "rejected": "b", "reasoning": "r"}`,
			"reasoning_not_read"},
		"the reasoning of both sides of a pair": {plainChatML,
			`{"prompt": "q", "chosen": {"role": "assistant", "content": "a", "reasoning": "r"}, "rejected": "b"}`, "reasoning_not_read"},
		"a thought in the last answer": {plainChatML, `{"messages": [` + user("q") + `, ` + assistant("<think>r</think>a") +
			`]}`, "<think>r</think>a"},
		"a thought that is stripped": {strips, `{"messages": [` + user("q") + `, ` + assistant("<think>r</think>a") + `]}`,
			"reasoning not rendered by the template"},
		"an empty thought is none": {strips, `{"messages": [` + user("q") + `, ` + assistant("<think>\n\n</think>\n\na") +
			`]}`, "\n\na"},
		"a thought of an earlier answer": {strips, longer("<think>r</think>a"), "b unread [reasoning of earlier answers]"},
		"a content that is cut": {strings.Replace(plainChatML, "m.content", "m.content[:4]", 1), `{"messages": [` +
			user("q") + `, ` + assistant("four and more") + `]}`, "content not rendered by the template"},
		"a question that is cut": {strings.Replace(plainChatML, "m.content", "m.content[:4]", 1), `{"messages": [` +
			user("four and more") + `, ` + assistant("a") + `]}`, "content not rendered by the template"},
		"a content that is trimmed": {strings.Replace(plainChatML, "m.content", "m.content | trim", 1), `{"messages": [` +
			user("q") + `, ` + assistant(" a\n\n") + `]}`, "a"},
		"a content that is rewritten": {strings.Replace(plainChatML, "m.content", "m.content | upper", 1), question("", ""), "A"},
	}.check(t)
}

// TestQwen3WritesReasoningAndCallsWhateverTheirForm: the texts are those of transformers 5.24
// (apply_chat_template of the same messages).
func TestQwen3WritesReasoningAndCallsWhateverTheirForm(t *testing.T) {
	qwen3 := template(t, "../../chat/testdata/chat_qwen3.jinja")
	const answered = "<|im_start|>user\n7 times 8?<|im_end|>\n<|im_start|>assistant\n<think>\n7*8 is 56, sure.\n</think>\n\n56<|im_end|>\n"
	const called = "<|im_start|>user\nTide?<|im_end|>\n<|im_start|>assistant\n<tool_call>\n{\"name\": \"tide\", \"arguments\": " +
		"{\"port\": \"Brest\"}}\n" +
		"</tool_call><|im_end|>\n<|im_start|>user\n<tool_response>\n4 " +
		"m\n</tool_response><|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n" +
		"Four.<|im_end|>\n"
	for _, key := range []string{"reasoning_content", "thinking", "reasoning"} {
		record := `{"messages": [` + user("7 times 8?") + `, {"role": "assistant", "` + key + `": "7*8 is 56, sure.", "content": "56"}]}`
		if r, _, err := Render(qwen3, []byte(record)); err != nil || r.Text != answered {
			t.Errorf("%s: %q, %v, want %q", key, r.Text, err, answered)
		}
	}
	for _, content := range []string{`"content": null, `, `"content": "", `, `"content": [], `, ""} {
		record := `{"messages": [` + user("Tide?") + `, {"role": "assistant", ` + content +
			`"tool_calls": [{"id": "c1", "type": "function", ` +
			`"function": {"name": "tide", "arguments": "{\"port\": \"Brest\"}"}}]}, {"role": "tool", "content": "4 m"}, ` +
			assistant("Four.") + `]}`
		if r, _, err := Render(qwen3, []byte(record)); err != nil || r.Text != called {
			t.Errorf("%s: %q, %v, want %q", content, r.Text, err, called)
		}
	}
}

func TestEveryKeyHasAFate(t *testing.T) {
	parts := func(part string) string {
		return `{"messages": [{"role": "user", "content": [` + part + `]}, ` + assistant("a") + `]}`
	}
	fates{
		"kwargs reach the template": {modal, question("", `, "chat_template_kwargs": {"mode": "short"}`), "a"},
		"kwargs that it does not know": {plainChatML, question("", `, "chat_template_kwargs": {"mode": "short"}`),
			"chat_template_kwargs_not_read"},
		"kwargs that say nothing": {plainChatML, question("",
			`, "chat_template_kwargs": {"mode": "", "thinking": false, "tools": []}`), "a"},
		"kwargs that are no object": {modal, question("", `, "chat_template_kwargs": [1]`), "invalid_chat_template_kwargs"},
		"kwargs that are none of the template's": {modal, question("", `, "chat_template_kwargs": {"add_generation_prompt": true}`),
			"invalid_chat_template_kwargs"},
		"documents reach the template":    {modal, question("", `, "documents": [{"text": "d"}]`), "a"},
		"documents that it does not know": {plainChatML, question("", `, "documents": [{"text": "d"}]`), "documents_not_read"},
		"images":                          {plainChatML, question("", `, "images": ["a.png"]`), "images_not_read"},
		"no images":                       {plainChatML, question("", `, "images": []`), "a"},
		"history beside messages":         {plainChatML, question("", `, "history": [["o", "b"]]`), "history_not_read"},
		"ids, sources and dates have no content": {plainChatML, question(`, "id": "m1", "name": "bot"`,
			`, "id": 7, "prompt_id": "x", "source": "web", "created_at": "2024", "num_turns": 1, "metadata": {"a": 1}`), "a"},
		"other keys are said": {plainChatML, question(`, "mood": "calm", "score": 3`,
			`, "topic": "sea", "quality": 0.5, "tags": []`), "a unread [messages.mood messages.score quality topic]"},
		"a key that the template writes": {strings.Replace(plainChatML, "m.content", "(m.mood or '') + m.content", 1),
			question(`, "mood": "calm "`, ""), "calm a"},
		"a key of a call that the template does not write": {callsTools, `{"messages": [` + user("q") +
			`, {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "result": "4 m"}, "why": "to know"}]}]}`,
			`<call>f {}</call> unread [messages.tool_calls.result messages.tool_calls.why]`},
		"a call that the template writes whole": {strings.Replace(callsTools, "(c.function.arguments | tojson)", "(c | tojson)", 1),
			`{"messages": [` + user("q") +
				`, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}, "why": "to know"}]}]}`,
			`<call>f {"function": {"name": "f", "arguments": {}}, "why": "to know"}</call>`},
		"a part with an image beside its text": {plainChatML, parts(`{"type": "text", "text": "q", "image_url": "x"}`), "not_text"},
		"a part whose text lies under another name": {plainChatML, `{"messages": [` + user("q") +
			`, {"role": "assistant", "content": [{"type": "text", "text": "", "content": "a"}]}]}`, "a"},
		"a part that says two things":           {plainChatML, parts(`{"type": "text", "text": "q", "thinking": "r"}`), "not_text"},
		"a part that has its text twice":        {plainChatML, parts(`{"type": "text", "text": "q", "text": "r"}`), "repeated_key"},
		"a part with a key in capitals":         {plainChatML, parts(`{"type": "text", "Text": "q"}`), "invalid_messages"},
		"a part with a second text in capitals": {plainChatML, parts(`{"type": "text", "text": "q", "Text": "r"}`), "not_text"},
		"a part that is not to be trained":      {plainChatML, parts(`{"type": "text", "text": "q", "train": false}`), "not_text"},
		"images of a message":                   {plainChatML, question(`, "images": ["a.png"]`, ""), "images_not_read"},
		"an address of one":                     {plainChatML, question("", `, "image_url": "a.png"`), "image_url_not_read"},
		"tools of a message, unwritten":         {plainChatML, question(`, "tools": [{"name": "f"}]`, ""), "tools_not_read"},
		"tools of a message, written": {strings.Replace(plainChatML, "m.content", "(m.tools or '') ~ m.content", 1),
			question(`, "tools": "f "`, ""), "f a"},
		"calls beside an answer": {callsTools, `{"prompt": "q", "completion": "a", "tool_calls": [{"function": {"name": "f"}}]}`,
			"tool_calls_not_read"},
		"reasoning beside a call of ShareGPT": {callsTools, `{"conversations": [` + user("q") + `, {"from": "function_call", ` +
			`"thinking": "r", "value": "{\"name\": \"f\", \"arguments\": {}}"}]}`, "thinking_not_read"},
		"citations of a part": {plainChatML, `{"messages": [` + user("q") +
			`, {"role": "assistant", "content": [{"type": "text", "text": "a", ` +
			`"annotations": [{"url": "u"}], "id": 3, "cache_control": {"type": "ephemeral"}, "citations": []}]}]}`,
			"a unread [messages.content.annotations]"},
		"one of an instruction": {plainChatML, `{"instruction": [{"type": "text", "text": "q", "citations": ["c"]}], "output": "a"}`,
			"a unread [instruction.citations]"},
		"what a tool has beside its function": {`{% for t in tools or [] %}{{ t.function.name }}{% endfor %}` + plainChatML,
			question("", `, "tools": [{"type": "function", "function": {"name": "f"}, "strict": true, "defer": null}]`),
			"a unread [tools.strict]"},
		"and the template writes": {`{% for t in tools or [] %}{{ t | tojson }}{% endfor %}` + plainChatML,
			question("", `, "tools": [{"type": "function", "function": {"name": "f"}, "strict": true}]`), "a"},
		"a mask on an answer":         {plainChatML, question(`, "mask": 1`, ""), "mask_not_read"},
		"a label on an answer":        {plainChatML, question(`, "label": false`, ""), "label_not_read"},
		"a loss that was measured":    {plainChatML, question(`, "loss": 0.3`, ""), "a unread [messages.loss]"},
		"a record that is not learnt": {plainChatML, question("", `, "train": false`), "train_not_read"},
		"a record of no weight":       {plainChatML, question("", `, "weight": 0`), "weight_not_read"},
		"a record that weighs half":   {plainChatML, question("", `, "weight": 0.5`), "a unread [weight]"},
		"other messages of the same texts": {thinks, question("", `, "conversations": [`+user("q")+
			`, {"role": "assistant", "content": "a", "reasoning": "r"}]`), "a unread [conversations]"},
		"the same messages with the same reasoning": {thinks, question(`, "reasoning": "r"`, `, "conversations": [`+user("q")+
			`, {"from": "gpt", "value": "a", "thinking": "r", "id": 7}]`), "<think>r</think>a"},
		"what the conversation says anyway": {plainChatML, question("", `, "prompt": "q"`), "a"},
		"all messages of a pair, once more": {plainChatML, `{"prompt": "q", "chosen": "a", "rejected": "b", "messages": [` +
			user("q") + `, ` + assistant("a") + `]}`, "a"},
		"another prompt": {plainChatML, question("", `, "prompt": "another one"`), "a unread [prompt]"},
		"two sides of the same tokens": {strings.Replace(plainChatML, "m.content", "m.content | trim", 1),
			`{"prompt": "q", "chosen": "a ", "rejected": "a"}`, "equal_answers"},
		"a prompt at the start of both answers": {plainChatML,
			`{"prompt": "Name a colour for wall 0.", "chosen": "Name a colour for wall 0. Blue.", "rejected": "Name a colour for wall ` +
				`0. No."}`, "prompt_repeated"},
		"a greeting that both return": {plainChatML,
			`{"prompt": "Good morning", "chosen": "Good morning!", "rejected": "Good morning?"}`, "Good morning!"},
		"a list of texts as an answer": {plainChatML, `{"question": "q", "answer": ["a", "b"]}`, "invalid_completion"},
		"a list of texts as a content": {plainChatML, `{"messages": [` + user("q") +
			`, {"role": "assistant", "content": ["a", "b"]}]}`, "invalid_messages"},
		"a list of texts as an instruction": {plainChatML, `{"instruction": ["a", "b"], "output": ["c", "d"]}`,
			"invalid_instruction"},
		"a question of null": {plainChatML, `{"messages": [{"role": "user", "content": null}, ` + assistant("a") +
			`]}`, "invalid_messages"},
		"a key that is there twice": {plainChatML, `{"prompt": "q", "completion": "a", "completion": "b"}`, "repeated_key"},
		"a key of a message that is there twice": {plainChatML, `{"messages": [` + user("q") +
			`, {"role": "assistant", "content": "a", "content": "b"}]}`, "repeated_key"},
		"an answer of null": {plainChatML, `{"messages": [` + user("q") +
			`, {"role": "assistant", "content": null}]}`, "empty answer"},
	}.check(t)
}

func TestWeightsOfPairsAndEmptySystemMessages(t *testing.T) {
	fates{
		"a weight of 0 on one side of a pair": {plainChatML,
			`{"prompt": "q", "chosen": [{"role": "assistant", "content": "a", "weight": 0}], "rejected": "b"}`, "invalid_weight"},
		"train: false on both": {plainChatML, `{"prompt": "q", "chosen": {"role": "assistant", "content": "a", "train": false}, ` +
			`"rejected": {"role": "assistant", "content": "b", "train": false}}`, "invalid_weight"},
		"a weight of 0 on a labelled answer": {plainChatML,
			`{"prompt": "q", "completion": {"role": "assistant", "content": "a", "weight": 0}, "label": true}`, "invalid_weight"},
		"a weight of 0 in the prompt of one side": {plainChatML, `{"chosen": [` + user("q") +
			`, {"role": "assistant", "content": "o", "weight": 0}, ` + user("r") + `, ` + assistant("a") +
			`], "rejected": [` + user("q") + `, ` + assistant("o") + `, ` + user("r") + `, ` + assistant("b") + `]}`, "a"},
		"an empty system message beside the record's own": {plainChatML, `{"system": "s", "messages": [` + system(" ") + `, ` + user("q") +
			`, ` + assistant("a") + `]}`, "a"},
		"an empty system beside a message of one": {plainChatML, `{"system": "", "messages": [` + system("s") + `, ` + user("q") +
			`, ` + assistant("a") + `]}`, "a"},
		"two system messages": {plainChatML, `{"system": "s", "messages": [` + system("t") + `, ` + user("q") +
			`, ` + assistant("a") + `]}`, "two_systems"},
	}.check(t)
}

func TestKeysThatAreIgnoredAreNotThere(t *testing.T) {
	for name, c := range map[string]struct {
		ignore       []string
		record, want string
	}{
		"reasoning": {[]string{"reasoning"}, `{"messages": [` + user("q") + `, {"role": "assistant", "content": "a", "reasoning": "r"}]}`,
			"a"},
		"a label": {[]string{"label"}, `{"prompt": "q", "completion": "a", "label": false}`, "a"},
		"images":  {[]string{"images"}, `{"prompt": "q", "completion": "a", "images": ["x"]}`, "a"},
		"a key of a part": {[]string{"annotations"}, `{"messages": [` + user("q") +
			`, {"role": "assistant", "content": [{"type": "text", "text": "a", "annotations": [1]}]}]}`, "a"},
		"others": {[]string{"topic"}, `{"prompt": "q", "completion": "a", "topic": "x", "score": 3}`, "a unread [score]"},
		"the prompt that both answers begin with": {[]string{"prompt"},
			`{"prompt": "Name a colour for wall 0.", "chosen": "Name a colour for wall 0. Blue.", ` +
				`"rejected": "Name a colour for wall 0. No."}`, "Blue."},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fate(t, Options{Ignore: c.ignore}, plainChatML, c.record); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	if o := (Options{Ignore: []string{"a"}}); o.Key(false) == "" || o.Key(false) == (Options{Ignore: []string{"b"}}).Key(false) {
		t.Error("what is ignored is no part of the store's name")
	}
	columns := Options{Ignore: []string{"reasoning"}}.Layout(nil).Columns()
	if !columns["reasoning_content"] || !columns["images"] || columns["reasoning"] || columns["topic"] {
		t.Errorf("columns that are read: %v", columns)
	}
}

func TestAFormatThatIsSaidTakesNoBadAnswers(t *testing.T) {
	for label, want := range map[string]string{"false": "labelled_bad", "0": "labelled_bad", `"bad"`: "labelled_bad", "true": "a",
		"null": "a", `"sea"`: "a unread [label]", "3": "a unread [label]", "0.9": "invalid_label", `"0.1"`: "invalid_label",
		"1.0": "a", `{"value": false}`: "invalid_label", "[0]": "invalid_label", "[]": "a", `"neg"`: "labelled_bad", `"pos"`: "a"} {
		record := `{"prompt": "q", "completion": "a", "label": ` + label + `}`
		if got := fate(t, Options{Format: "prompt_completion"}, plainChatML, record); got != want {
			t.Errorf("label %s: %q, want %q", label, got, want)
		}
	}
}

func TestPromptsWithMoreThanTextsAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ record, want string }{
		"history":   {`{"query": "q", "history": [["o", "b"]]}`, "o b q"},
		"tools":     {`{"prompt": "q", "tools": [{"name": "f"}]}`, "tools"},
		"no tools":  {`{"prompt": "q", "tools": "[]", "chat_template_kwargs": {}}`, "q"},
		"kwargs":    {`{"prompt": "q", "chat_template_kwargs": {"mode": "short"}}`, "chat_template_kwargs_not_read"},
		"documents": {`{"prompt": "q", "documents": [{"text": "d"}]}`, "documents_not_read"},
		"images":    {`{"prompt": "q", "images": ["a.png"]}`, "images_not_read"},
		"reasoning": {`{"messages": [` + user("o") + `, {"role": "assistant", "content": "b", "reasoning": "r"}, ` + user("q") + `]}`,
			"reasoning_not_read"},
		"calls": {`{"messages": [` + user("o") +
			`, {"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}, {"role": "tool", "content": "b"}, ` + user("q") + `]}`,
			"tools"},
		"an answer": {`{"prompt": "q", "completion": "a", "reasoning": "r", "label": false}`, "q"},
	} {
		p, err := Options{}.Layout(nil).Prompt(read.Line{Text: []byte(c.record)}, "")
		var texts []string
		for _, m := range p.Messages {
			texts = append(texts, m.Content)
		}
		got := strings.Join(texts, " ")
		var lost *Error
		if errors.As(err, &lost) {
			got = lost.Reason
		}
		if got != c.want {
			t.Errorf("%s: %q (%v), want %q", name, got, err, c.want)
		}
	}
}

func TestARecordThatIsNotToBeLearntIsRefused(t *testing.T) {
	fates{
		"a record of no weight, as tables have it":  {plainChatML, question("", `, "weight": "0"`), "weight_not_read"},
		"a record that a table says not to learn":   {plainChatML, question("", `, "train": "False"`), "train_not_read"},
		"a text that is not learnt":                 {plainChatML, `{"text": "a b", "train": false}`, "train_not_read"},
		"a loss that the record had":                {plainChatML, question("", `, "loss": 0.0`), "a unread [loss]"},
		"an answer that is not the chosen one":      {plainChatML, question("", `, "is_chosen": false`), "is_chosen_not_read"},
		"an answer that is none chosen":             {plainChatML, question("", `, "chosen": "False"`), "chosen_not_read"},
		"an undesirable answer":                     {plainChatML, question("", `, "undesirable": true`), "undesirable_not_read"},
		"an answer whose thumb is not up":           {plainChatML, question("", `, "thumbs_up": false`), "thumbs_up_not_read"},
		"an answer that is not correct":             {plainChatML, question("", `, "is_correct": "false"`), "is_correct_not_read"},
		"an answer that is disliked":                {plainChatML, question("", `, "disliked": true`), "disliked_not_read"},
		"an answer that is not correct, in numbers": {plainChatML, question("", `, "is_correct": 0`), "is_correct_not_read"},
		"one that tables call rejected":             {plainChatML, question("", `, "is_rejected": "1.0"`), "is_rejected_not_read"},
		"one that is not accepted, in words":        {plainChatML, question("", `, "accepted": "No"`), "accepted_not_read"},
		"a bad answer":                              {plainChatML, question("", `, "bad": "yes"`), "bad_not_read"},
		"an answer that nobody has called good":     {plainChatML, question("", `, "good": 0`), "a unread [good]"},
		"an answer that somebody likes less":        {plainChatML, question("", `, "thumbs_down": 1`), "a unread [thumbs_down]"},
		"an answer that is correct, in numbers":     {plainChatML, question("", `, "is_correct": 1`), "a unread [is_correct]"},
		"one that is not bad":                       {plainChatML, question("", `, "is_bad": 0`), "a unread [is_bad]"},
		"an answer that is correct":                 {plainChatML, question("", `, "correct": true`), "a unread [correct]"},
		"the letter that is correct":                {plainChatML, question("", `, "correct": "B"`), "a unread [correct]"},
		"a desirable answer":                        {plainChatML, question("", `, "desirable": true`), "a unread [desirable]"},
	}.check(t)
}
