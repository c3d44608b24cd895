package data

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"lwtrain/tokenizer"
)

// pair reads a preference record: two answers to one prompt. The prompt is a
// column of its own (messages, a prompt, or an instruction with its input), or
// what both sides begin with; an answer is text, a message or a list of them.
func (l layout) pair(f fields) (example, error) {
	var sides [2][]tokenizer.Message
	for i, column := range []string{"chosen", "rejected"} {
		var err error
		if sides[i], err = l.side(f, column, "assistant"); err != nil {
			return example{}, err
		}
	}
	prompt, err := l.prompt(f)
	if err != nil {
		return example{}, err
	}
	c, r := sides[0], sides[1]
	switch {
	case prompt == nil && isOneText(f, l, "chosen") && isOneText(f, l, "rejected"):
		c, r = sharedText(c[0].Content, r[0].Content)
	case prompt != nil && answers(c) && answers(r):
		c, r = slices.Concat(prompt, c), slices.Concat(prompt, r)
	case prompt != nil && !holds(c, prompt) || prompt != nil && !holds(r, prompt):
		return example{}, bad("prompts_differ", "chosen and rejected hold another prompt than the record's own")
	}
	n := 0
	for n < min(len(c), len(r)) && reflect.DeepEqual(c[n], r[n]) {
		n++
	}
	switch {
	case n > 0 && n == len(c) && n == len(r) && c[n-1].Role == "assistant" && !isEmpty(c[n-1:]):
		return example{}, unwanted("equal_answers", "chosen and rejected are the same")
	case n == 0:
		return example{}, bad("prompts_differ", "chosen and rejected share no prompt, want them to begin with the same messages")
	case isEmpty(c[n:]) || isEmpty(r[n:]):
		return example{}, bad("empty_side", "%s has no answer", map[bool]string{true: "chosen", false: "rejected"}[isEmpty(c[n:])])
	case c[n].Role != "assistant" || r[n].Role != "assistant":
		return example{}, bad("prompts_differ", "chosen and rejected differ in a message of the role %s, want the same prompt before two answers", c[n].Role)
	case c[n-1].Role == "assistant":
		return example{}, bad("prompts_differ", "the prompt ends with an answer of the assistant, want it to end with the user's turn")
	}
	better, err := l.withSystem(f, conversation{messages: onlyBehind(c, n)})
	if err != nil {
		return example{}, err
	}
	worse, err := l.withSystem(f, conversation{messages: onlyBehind(r, n)})
	return example{conversation: better, rejected: &worse, kind: chosen}, err
}

// prompt reads the prompt of a preference record, nil where it has none.
func (l layout) prompt(f fields) ([]tokenizer.Message, error) {
	switch {
	case l.has(f, "messages"):
		raw, _ := l.get(f, "messages")
		return l.turns(raw, l.nameOf(f, "messages"))
	case l.has(f, "instruction"):
		return l.instruction(f)
	case l.has(f, "prompt"):
		return l.side(f, "prompt", "user")
	}
	return nil, nil
}

func isOneText(f fields, l layout, column string) bool {
	raw, _ := l.get(f, column)
	return raw[0] == '"'
}

// answers reports whether a side begins with the assistant's turn, so that the
// prompt comes before it.
func answers(side []tokenizer.Message) bool { return len(side) == 0 || side[0].Role == "assistant" }

// holds reports whether a side that begins with the prompt holds this one: all
// its messages, or its last one where the side has another system prompt.
func holds(side, prompt []tokenizer.Message) bool {
	last := prompt[len(prompt)-1]
	return slices.ContainsFunc(side, func(m tokenizer.Message) bool { return m.Role == last.Role && m.Content == last.Content })
}

func isEmpty(answer []tokenizer.Message) bool {
	for _, m := range answer {
		if strings.TrimSpace(m.Content) != "" || m.Extra["tool_calls"] != nil {
			return false
		}
	}
	return true
}

// onlyBehind takes the answers of the prompt, the first n messages, out of the
// targets.
func onlyBehind(side []tokenizer.Message, n int) []tokenizer.Message {
	out := slices.Clone(side)
	for i := range out[:n] {
		out[i].NoTarget = out[i].NoTarget || out[i].Role == "assistant"
	}
	return out
}

// labelled reads a record of KTO: a conversation, and whether its last answer is
// a good one. The answers before it are its prompt.
func (l layout) labelled(f fields) (example, error) {
	raw, ok := l.get(f, "label")
	if !ok {
		return example{}, l.lacks(f, "label")
	}
	var good bool
	if err := json.Unmarshal(raw, &good); err != nil {
		return example{}, bad("invalid_label", "label is %s, want true or false", kindOf(raw))
	}
	format := promptFormat
	switch {
	case l.has(f, "messages"):
		format = messagesFormat
	case l.has(f, "instruction"):
		format = alpacaFormat
	}
	c, err := l.conversation(f, format)
	if err != nil {
		return example{}, err
	}
	n := len(c.messages)
	if n == 0 || c.messages[n-1].Role != "assistant" {
		return example{}, bad("empty_side", "a labelled record without an answer at its end")
	}
	c.messages = onlyBehind(c.messages, n-1)
	out := example{conversation: c, kind: disliked}
	if good {
		out.kind = liked
	}
	return out, nil
}

// sharedText makes two conversations of two texts that begin alike. Texts with
// the turns of "\n\nHuman:" and "\n\nAssistant:" are read as such; else the
// prompt is all they share up to the last white space, as in TRL.
func sharedText(a, b string) (first, second []tokenizer.Message) {
	if x, y := transcript(a), transcript(b); x != nil && y != nil {
		return x, y
	}
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	if n == len(a) && n == len(b) {
		same := []tokenizer.Message{{Role: "assistant", Content: a}}
		return same, same
	}
	for n > 0 {
		r, size := utf8.DecodeLastRuneInString(a[:n])
		if unicode.IsSpace(r) {
			break
		}
		n -= size
	}
	prompt := strings.TrimSpace(a[:n])
	if prompt == "" {
		return []tokenizer.Message{{Role: "assistant", Content: a}}, []tokenizer.Message{{Role: "assistant", Content: b}}
	}
	of := func(s string) []tokenizer.Message {
		return []tokenizer.Message{{Role: "user", Content: prompt}, {Role: "assistant", Content: strings.TrimLeftFunc(s[n:], unicode.IsSpace)}}
	}
	return of(a), of(b)
}

// transcript reads the turns of Anthropic's texts, nil for other text.
func transcript(text string) []tokenizer.Message {
	const human, assistant = "\n\nHuman:", "\n\nAssistant:"
	text = "\n\n" + strings.TrimLeft(text, "\n")
	if !strings.HasPrefix(text, human) {
		return nil
	}
	var out []tokenizer.Message
	for text != "" {
		role, mark := "user", human
		if strings.HasPrefix(text, assistant) {
			role, mark = "assistant", assistant
		}
		text = text[len(mark):]
		end := len(text)
		for _, m := range []string{human, assistant} {
			if i := strings.Index(text, m); i >= 0 {
				end = min(end, i)
			}
		}
		out = append(out, tokenizer.Message{Role: role, Content: strings.TrimSpace(text[:end])})
		text = text[end:]
	}
	return out
}
