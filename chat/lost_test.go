package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// writes is ChatML with another expression for what a message says.
func writes(expression string) string {
	return strings.Replace(plainChatML, "m.content", expression, 1)
}

func TestWhatATemplateLeavesOutIsRefusedOrSaid(t *testing.T) {
	thought := func(s string) Message {
		return Message{Role: "assistant", Content: s, Reasoning: "why", ReasoningKey: "thinking"}
	}
	const tail = "m.content.split('</think>')[-1]"
	for name, c := range map[string]struct {
		template string
		msgs     []Message
		targets  Targets
		want     string // the last target, a reason, or what is unread
	}{
		"reasoning under the first name": {writes("(m.reasoning_content or '') + m.content"), []Message{user("q"), thought("a")},
			Targets{}, "whya<|im_end|>"},
		"reasoning under the second name": {writes("(m.thinking or '') + m.content"), []Message{user("q"), thought("a")}, Targets{},
			"whya<|im_end|>"},
		"reasoning under the third name": {writes("(m['reasoning'] or '') + m.content"), []Message{user("q"), thought("a")}, Targets{},
			"whya<|im_end|>"},
		"reasoning under none": {plainChatML, []Message{user("q"), thought("a")}, Targets{},
			"reasoning not rendered by the template: thinking"},
		"an answer that is no target": {plainChatML, []Message{user("q"), thought("a"), user("r"), assistant("b")},
			Targets{Turns: "last"}, "b<|im_end|>"},
		"an earlier target": {plainChatML, []Message{user("q"), thought("a"), user("r"), assistant("b")}, Targets{},
			"b<|im_end|> reasoning of earlier answers"},
		"the only target, in the middle": {plainChatML, []Message{user("q"), {Role: "assistant", Content: "a", Reasoning: "why",
			Mark: Trained}, user("r"),
			assistant("b")}, Targets{Turns: "marked"}, "reasoning not rendered by the template: "},
		"thoughts in a content": {writes(tail), []Message{user("q"), assistant("<think>\nhm, 5\n</think>\n\na")}, Targets{},
			"reasoning not rendered by the template: "},
		"thoughts of an earlier answer": {writes(tail), []Message{user("q"), assistant("<think>hm</think>a"), user("r"),
			assistant("b")}, Targets{}, "b<|im_end|> reasoning of earlier answers"},
		"tags alone": {writes(tail), []Message{user("q"), assistant("<think>\n\n</think>\n\na")}, Targets{},
			"\n\na<|im_end|>"},
		"tags that the template writes anew": {writes("m.content | replace('<think>', '[T]') | replace('</think>', '[/T]')"),
			[]Message{user("q"), assistant("<think>hm</think>a")}, Targets{}, "[T]hm[/T]a<|im_end|>"},
		"thoughts that end in a letter of their tag": {
			writes("m.content.split('</think>')[0].split('<think>')[-1].strip() + m.content.split('</think>')[-1].strip()"),
			[]Message{user("q"), assistant("<think>\nthe claim is right\n</think>\n\nYes.")}, Targets{},
			"the claim is rightYes.<|im_end|>"},
		"the end of a content": {writes("m.content[:3]"), []Message{user("q"), assistant("abcdef")}, Targets{},
			"content not rendered by the template: "},
		"a system prompt cut short": {writes("m.content[:3]"), []Message{{Role: "system", Content: "abcdef"}, user("q"),
			assistant("a")}, Targets{}, "content not rendered by the template: "},
		"white space around and in a content": {writes("m.content.split() | join(' ')"), []Message{user("q"), assistant(" a \n\n b ")},
			Targets{}, "a b<|im_end|>"},
		"letters that the template changes": {writes("m.content | upper"), []Message{user("q"), assistant("äß b")}, Targets{},
			"ÄSS B<|im_end|>"},
		"keys that it does not know": {plainChatML, []Message{user("q"), {Role: "assistant", Content: "a",
			Extra: map[string]any{"mood": "calm", "name": "bot", "score": json.RawMessage("3")}}},
			Targets{}, "a<|im_end|> mood name score"},
		"keys that it knows": {writes("('~' if m.score else '') + (m.mood or '') + m.content"),
			[]Message{user("q"), {Role: "assistant", Content: "a", Extra: map[string]any{"mood": "calm", "score": json.RawMessage("3")}}},
			Targets{}, "~calma<|im_end|>"},
	} {
		t.Run(name, func(t *testing.T) {
			chat := chatOf(t, c.template)
			r, err := chat.Render(c.msgs, c.targets)
			var got string
			var lost *ConversationError
			switch {
			case errors.As(err, &lost):
				got = strings.TrimSpace(fmt.Sprintf("%s: %s", lost.Reason, lost.Key))
			case err != nil:
				t.Fatal(err)
			default:
				all := targets(chat, r)
				got = strings.TrimSpace(all[len(all)-1] + " " + strings.Join(r.Unread, " "))
			}
			if got != strings.TrimSpace(c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestTheTemplateForToolsIsTakenWhereThereAreTools: as transformers' get_chat_template does.
func TestTheTemplateForToolsIsTakenWhereThereAreTools(t *testing.T) {
	tools := "{{ 'tools ' + (tools | tojson) + '\n' }}" + plainChatML
	config := func(list string) string { return `{"eos_token": "<|im_end|>", "chat_template": ` + list + `}` }
	named := func(name, source string) string { return fmt.Sprintf(`{"name": %q, "template": %q}`, name, source) }
	both, err := Open(withConfig(t, config(`[`+named("tool_use", tools)+`, `+named("default", plainChatML)+`]`), ""), "auto")
	if err != nil {
		t.Fatal(err)
	}
	text, _, err := both.Prompt([]Message{user("q")})
	if want := "<|im_start|>user\nq"; err != nil || !strings.HasPrefix(text, want) {
		t.Errorf("without tools: %q, %v, want %q", text, err, want)
	}
	with := must(both.With(map[string]any{"tools": json.RawMessage(`[{"name": "f"}]`)}))
	text, _, err = with.Prompt([]Message{user("q")})
	if want := `tools [{"name": "f"}]` + "\n<|im_start|>user\nq"; err != nil || !strings.HasPrefix(text, want) {
		t.Errorf("with tools: %q, %v, want %q", text, err, want)
	}
	one := must(Open(withConfig(t, config(`[`+named("default", plainChatML)+`]`), ""), "auto"))
	if one.Fingerprint() == both.Fingerprint() {
		t.Error("the template for tools is no part of the fingerprint")
	}
	if _, err := Open(withConfig(t, config(`[`+named("tool_use", tools)+`]`), ""), "auto"); err == nil ||
		!strings.Contains(err.Error(), `the templates ["tool_use"], want one named default`) {
		t.Errorf("no default: %v", err)
	}
	broken := must(Open(withConfig(t, config(`[`+named("default", plainChatML)+`, `+named("tool_use", "{% if %}")+`]`), ""), "auto"))
	if _, err := broken.With(map[string]any{"tools": []any{}}); err == nil || !strings.Contains(err.Error(), "chat_template tool_use:1") {
		t.Errorf("a broken template for tools: %v", err)
	}
}

func TestSpecialTokensThatAConfigWouldSplitAreSaid(t *testing.T) {
	for value, want := range map[string]int{"true": 1, "false": 0, "null": 0} {
		c := must(Open(withConfig(t, `{"eos_token": "<|im_end|>", "split_special_tokens": `+value+`}`, plainChatML), "auto"))
		w := c.Warnings()
		if len(w) != want || want == 1 && !strings.HasPrefix(w[0], "split_special_tokens of tokenizer_config.json is true") {
			t.Errorf("%s: %q", value, w)
		}
	}
}

func TestGenerationBlocksWithoutTheEndAreSaid(t *testing.T) {
	block := func(body string) string {
		return "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}" + body +
			"{% else %}{{ m.content + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}" +
			"{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
	}
	without := chatOf(t, block("{% generation %}{{ m.content }}{% endgeneration %}{{ '<|im_end|>' }}"))
	if w := without.Warnings(); len(w) != 1 || !strings.Contains(w[0], "leave out <|im_end|>, which ends an answer") {
		t.Errorf("a block without the end: %q", w)
	}
	r := must(without.Render([]Message{user("q"), assistant("a")}, Targets{}))
	if got := targets(without, r); !slices.Equal(got, []string{"a"}) {
		t.Errorf("targets %q, want what the block says", got)
	}
	for name, template := range map[string]string{
		"a block with it": block("{% generation %}{{ m.content + '<|im_end|>' }}{% endgeneration %}"), "no block": plainChatML,
	} {
		if w := chatOf(t, template).Warnings(); w != nil {
			t.Errorf("%s: %q", name, w)
		}
	}
}

func TestATemplateSpeaksOfWhatItReads(t *testing.T) {
	chat := chatOf(t, "{# mode #}{% if style is defined and tone == 'mood' %}{{ style }}{% endif %}"+plainChatML)
	for name, want := range map[string]bool{"style": true, "tone": true, "mode": false, "mood": false, "messages": true} {
		if got := chat.Reads(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestSomeTemplatesWantArgumentsAsText(t *testing.T) {
	calls := func(arguments string) string {
		return writes("m.content ~ (m.tool_calls[0].function.name ~ " + arguments + " if m.tool_calls else '')")
	}
	for name, c := range map[string]struct {
		template string
		want     bool
	}{
		"written as JSON":     {calls("(m.tool_calls[0].function.arguments | tojson)"), false},
		"joined to text":      {calls("(' ' + m.tool_calls[0].function.arguments)"), true},
		"printed as they are": {calls("m.tool_calls[0].function.arguments"), true},
		"written one by one":  {calls("(m.tool_calls[0].function.arguments.items() | list | tojson)"), false},
		"written in a form of its own, and text as it is": {calls("(m.tool_calls[0].function.arguments if " +
			"m.tool_calls[0].function.arguments is string else m.tool_calls[0].function.arguments | items | list | join(':'))"), false},
		"either": {calls("(m.tool_calls[0].function.arguments if m.tool_calls[0].function.arguments is " +
			"string else m.tool_calls[0].function.arguments | tojson)"), false},
		"a template that knows no calls":    {plainChatML, false},
		"a template that knows names alone": {calls("''"), false},
	} {
		if got := chatOf(t, c.template).ArgumentsAreText(); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
