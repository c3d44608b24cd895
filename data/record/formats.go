package record

import (
	"encoding/json"
	"slices"
	"strings"

	"lwtrain/chat"
	"lwtrain/internal/plainjson"
)

// conversation reads a record of one of the three formats of conversations.
func (r *reader) conversation(format string) (c Conversation, err error) {
	switch format {
	case messagesFormat:
		raw, ok := r.get("messages")
		if !ok {
			return c, r.lacks("messages")
		}
		c.Messages, err = r.turns(raw, r.names["messages"][0])
	case alpacaFormat:
		c.Messages, err = r.instruction()
		if err == nil {
			var output string
			if output, err = r.text("output"); err == nil {
				c.Messages = append(c.Messages, chat.Message{Role: "assistant", Content: output})
			}
		}
	case promptFormat:
		if c.Messages, err = r.prompt(); err == nil {
			var answer []chat.Message
			answer, err = r.side("completion", "assistant")
			n := len(c.Messages)
			c.Messages = append(c.Messages, answer...)
			if err == nil && goesOn(c.Messages, n) {
				c.Messages, err = goOn(c.Messages, n-1)
			}
		}
	}
	if err == nil && format != messagesFormat {
		err = r.reasoning(c.Messages)
	}
	if err != nil {
		return c, err
	}
	return r.withSystem(c)
}

// plainText reads a text that is no conversation: one message, which is its own and of nobody else.
func (r *reader) plainText() (Conversation, error) {
	if name, role, there := r.find(r.f, "role"); there && !absent(role) {
		return Conversation{}, bad("message_alone", "%s is %.40s beside a text: a message of a conversation, want all of that in one "+
			"record, {\"messages\": [...]}; `ignore: [%s]` of the source takes it for a text", name, role, name)
	}
	text, err := r.text("text")
	return Conversation{Raw: true, Messages: []chat.Message{{Role: "assistant", Content: text}}}, err
}

// reasoning gives the reasoning that lies beside an answer to it.
func (r *reader) reasoning(messages []chat.Message) error {
	text, names, err := reasoningOf(r.f)
	if err != nil || text == "" || len(messages) == 0 {
		return err
	}
	answer := &messages[len(messages)-1]
	if answer.Given > 0 {
		return lostKey(names[0], "is beside an answer that goes on with its begin in the prompt, want it in that")
	}
	if begunByThought(answer.Content) {
		return bad("two_reasonings", "%s beside an answer that begins with its own, in <think>, want one of them; `ignore: [%s]` of "+
			"the source leaves it out", names[0], names[0])
	}
	if answer.Role != "assistant" || answer.Reasoning != "" && answer.Reasoning != text {
		return lostKey(names[0], "beside an answer with its own, want one of them")
	}
	answer.Reasoning, answer.ReasoningKey = text, names[0]
	r.took(names...)
	return nil
}

// withSystem adds what a record says beside its messages.
func (r *reader) withSystem(c Conversation) (Conversation, error) {
	if _, ok := r.optional("system"); ok {
		system, err := r.text("system")
		if err != nil {
			return c, err
		}
		first := len(c.Messages) > 0 && c.Messages[0].Role == "system"
		if first && isBlank(c.Messages[0]) { // as good as not there
			c.Messages = slices.Clone(c.Messages)
			c.Messages[0].Content = system
		}
		if first && c.Messages[0].Content != system {
			return c, bad("two_systems", "the record says system, and its first message another one, want one of them")
		}
		if !first {
			c.Messages = slices.Insert(c.Messages, 0, chat.Message{Role: "system", Content: system})
			if c.First > 0 {
				c.First++
			}
		}
	}
	var err error
	c.Vars, err = r.vars()
	return c, err
}

func isBlank(m chat.Message) bool {
	return strings.TrimSpace(m.Content) == "" && m.Extra["tool_calls"] == nil
}

// ownVars are the parameters of apply_chat_template that say how it works, and nothing to
// the template.
var ownVars = []string{
	"messages", "conversation", "chat_template", "add_generation_prompt", "continue_final_message", "tokenize", "padding",
	"truncation", "max_length", "return_tensors", "return_dict", "return_assistant_tokens_mask", "tokenizer_kwargs",
}

// vars reads the variables of the template: tools, documents, and all of chat_template_kwargs.
// Those that say nothing are left out.
func (r *reader) vars() (out []Var, err error) {
	add := func(name string, raw json.RawMessage) error {
		if raw = decoded(raw); absent(raw) {
			return nil
		}
		if twice := plainjson.Repeated(raw); twice != "" {
			return repeatedKey(twice)
		}
		if slices.ContainsFunc(out, func(v Var) bool { return v.Name == name }) {
			return bad("invalid_chat_template_kwargs", "%s beside the record's own %s, want one of them", name, name)
		}
		if name == "tools" {
			if raw, err = toolsOf(raw); err != nil || raw == nil {
				return err
			}
		}
		out = append(out, Var{name, raw})
		return nil
	}
	for _, name := range []string{"tools", "documents"} {
		if raw, ok := r.optional(name); ok {
			if err := add(name, raw); err != nil {
				return nil, err
			}
		}
	}
	raw, ok := r.optional("kwargs")
	if !ok {
		return out, nil
	}
	kwargs, ok := cutObject(decoded(raw))
	if !ok {
		return nil, bad("invalid_chat_template_kwargs", "chat_template_kwargs is %s, want an object", kindOf(raw))
	}
	eachKey(decoded(raw), func(name string, _ json.RawMessage) {
		if err == nil && slices.Contains(ownVars, name) && !absent(kwargs[name]) && string(kwargs[name]) != "false" {
			err = bad("invalid_chat_template_kwargs", "chat_template_kwargs has %s, which is none of the template's", name)
		}
		if err == nil {
			err = add(name, kwargs[name])
		}
	})
	return out, err
}

// instruction reads Alpaca's prompt: the history, and an instruction with its
// input on a line of its own.
func (r *reader) instruction() ([]chat.Message, error) {
	prompt, err := r.text("instruction")
	if err != nil {
		return nil, err
	}
	if prompt, err = r.withInput(prompt); err != nil {
		return nil, err
	}
	return r.behindHistory([]chat.Message{{Role: "user", Content: prompt}})
}

// withInput puts the input of a record behind what is asked of it, on a line of its own.
func (r *reader) withInput(prompt string) (string, error) {
	if _, ok := r.optional("input"); !ok {
		return prompt, nil
	}
	input, err := r.text("input")
	if err != nil {
		return "", err
	}
	if prompt != "" && input != "" {
		prompt += "\n"
	}
	return prompt + input, nil
}

// prompt reads a prompt, with the history before it. Where both are text an input follows the
// prompt, unless that holds it already.
func (r *reader) prompt() ([]chat.Message, error) {
	prompt, err := r.side("prompt", "user")
	if err != nil {
		return nil, err
	}
	if r.isPlain("prompt") && r.isPlain("input") && r.says(r.f, "input") {
		text := &prompt[0].Content
		if input, _ := r.text("input"); !strings.Contains(*text, strings.TrimSpace(input)) {
			if *text, err = r.withInput(*text); err != nil {
				return nil, err
			}
		}
	}
	return r.behindHistory(prompt)
}

// isPlain reports whether a column holds text that is not that of messages.
func (r *reader) isPlain(column string) bool {
	_, raw, there := r.find(r.f, column)
	return there && raw[0] == '"' && !r.areMessages(decoded(raw))
}

// behindHistory puts the earlier turns of a record before its prompt: [question, answer] pairs, or
// messages.
func (r *reader) behindHistory(prompt []chat.Message) ([]chat.Message, error) {
	raw, ok := r.optional("history")
	if !ok {
		return prompt, nil
	}
	if raw = decoded(raw); absent(raw) { // the text of none, as tables have it
		return prompt, nil
	}
	list, ok := cutList(raw)
	if !ok {
		return nil, bad("invalid_history", "history is %s, want a list of [question, answer]", kindOf(raw))
	}
	var turns []chat.Message
	if first := decoded(list[0]); first[0] == '{' {
		var err error
		if turns, err = r.turns(raw, "history"); err != nil {
			return nil, err
		}
	} else {
		for i, pair := range list {
			var texts []string
			if json.Unmarshal(decoded(pair), &texts) != nil || len(texts) != 2 {
				return nil, bad("invalid_history", "history[%d] is no pair of texts, want a question and an answer", i)
			}
			turns = append(turns, chat.Message{Role: "user", Content: texts[0]}, chat.Message{Role: "assistant", Content: texts[1]})
		}
	}
	system := 0
	for system < len(prompt) && prompt[system].Role == "system" {
		system++
	}
	return slices.Concat(prompt[:system], turns, prompt[system:]), nil
}
