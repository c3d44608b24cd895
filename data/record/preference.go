package record

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"lwtrain/chat"
)

// pair reads a preference record: two answers to one prompt. The prompt is a
// column of its own (messages, a prompt, or an instruction with its input), or
// what both sides begin with; an answer is text, a message or a list of them.
func (l Layout) pair(f fields) (Record, error) {
	var sides [2][]chat.Message
	for i, column := range []string{"chosen", "rejected"} {
		var err error
		if !l.has(f, column) {
			return Record{}, bad("no_pair", "a record without the key %s (%s), want chosen and rejected", column, keysOf(f))
		}
		if sides[i], err = l.side(f, column, "assistant"); err != nil {
			return Record{}, err
		}
	}
	prompt, err := l.promptOf(f)
	if err != nil {
		return Record{}, err
	}
	c, r := sides[0], sides[1]
	switch {
	case prompt == nil && isText(f, l, "chosen") && isText(f, l, "rejected"):
		c, r = sharedText(c[0].Content, r[0].Content)
	case prompt == nil:
	case len(prompt) == 0:
		return Record{}, bad("empty_prompt", "the prompt has no messages, want at least one")
	case answers(c) && answers(r):
		c, r = slices.Concat(prompt, c), slices.Concat(prompt, r)
	case !holds(c, prompt) || !holds(r, prompt):
		return Record{}, bad("prompts_differ", "chosen and rejected hold another prompt than the record's own")
	}
	n := 0
	for n < min(len(c), len(r)) && reflect.DeepEqual(c[n], r[n]) {
		n++
	}
	if n > 0 && n == len(c) && n == len(r) && c[n-1].Role == "assistant" && !isBlank(c[n-1]) {
		return Record{}, bad("equal_answers", "chosen and rejected are the same")
	}
	if err := checkPair(c, r, n); err != nil {
		return Record{}, err
	}
	better, err := l.withSystem(f, Conversation{Kind: Chosen, Messages: c, First: n})
	if err != nil {
		return Record{}, err
	}
	worse, err := l.withSystem(f, Conversation{Kind: Rejected, Messages: r, First: n})
	return Record{better, &worse}, err
}

// checkPair refuses what is no preference. The first n messages are the same.
func checkPair(c, r []chat.Message, n int) error {
	for i, side := range [][]chat.Message{c, r} {
		name := []string{"chosen", "rejected"}[i]
		if len(side) == n {
			return bad("empty_answer", "%s has no answer behind the prompt", name)
		}
		switch last := side[len(side)-1]; {
		case n == 0 && side[0].Role == "assistant":
			return bad("no_prompt", "no prompt, messages or instruction, and nothing in common before the answers")
		case n == 0 || side[n].Role != "assistant":
			return bad("prompts_differ",
				"%s has a message of the role %s where the two part, want the same prompt before two answers", name, side[n].Role)
		case last.Role != "assistant":
			return bad("no_answer", "%s ends with a message of the role %s, want the assistant's", name, last.Role)
		case isBlank(last):
			return bad("empty_answer", "the answer of %s is empty", name)
		}
	}
	if c[n-1].Role == "assistant" {
		return bad("invalid_prompt", "the prompt ends with an answer of the assistant, want one that is to be answered")
	}
	return nil
}

// promptOf reads the prompt of a preference record, nil where it has none.
func (l Layout) promptOf(f fields) ([]chat.Message, error) {
	switch {
	case l.has(f, "prompt") && l.has(f, "instruction"):
		return nil, bad("invalid_prompt", "a prompt and an instruction, want one of them")
	case l.has(f, "prompt"):
		return l.side(f, "prompt", "user")
	case l.has(f, "instruction"):
		return l.instruction(f)
	case l.has(f, "messages"):
		raw, _ := l.get(f, "messages")
		return l.turns(raw, l.nameOf(f, "messages"))
	}
	return nil, nil
}

func isText(f fields, l Layout, column string) bool {
	raw, _ := l.get(f, column)
	return raw[0] == '"'
}

// answers reports whether a side begins with the assistant's turn, so that the
// prompt comes before it.
func answers(side []chat.Message) bool { return len(side) == 0 || side[0].Role == "assistant" }

// holds reports whether a side that begins with the prompt holds this one: all
// its messages, or its last one where the side has another system prompt.
func holds(side, prompt []chat.Message) bool {
	last := prompt[len(prompt)-1]
	return slices.ContainsFunc(side, func(m chat.Message) bool { return m.Role == last.Role && m.Content == last.Content })
}

func isBlank(m chat.Message) bool {
	return strings.TrimSpace(m.Content) == "" && m.Extra["tool_calls"] == nil
}

// labelled reads a record of KTO: a conversation, and whether its last answer is
// a good one. The answers before it are its prompt.
func (l Layout) labelled(f fields) (Record, error) {
	raw, ok := l.get(f, "label")
	if !ok {
		return Record{}, l.lacks(f, "label")
	}
	var good bool
	if err := json.Unmarshal(raw, &good); err != nil {
		return Record{}, bad("invalid_label", "label is %s, want true or false", kindOf(raw))
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
		return Record{}, err
	}
	n := len(c.Messages)
	if n == 0 || c.Messages[n-1].Role != "assistant" {
		return Record{}, bad("no_answer", "a labelled record without an answer at its end")
	}
	c.First = n - 1
	c.Kind = Disliked
	if good {
		c.Kind = Liked
	}
	return Record{Conversation: c}, nil
}

// sharedText makes two conversations of two texts that begin alike. Texts with
// the turns of "\n\nHuman:" and "\n\nAssistant:" are read as such; else the
// prompt is all they share up to the last white space, as in TRL.
func sharedText(a, b string) (first, second []chat.Message) {
	if x, y := transcript(a), transcript(b); x != nil && y != nil {
		return x, y
	}
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	if n == len(a) && n == len(b) {
		same := []chat.Message{{Role: "assistant", Content: a}}
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
		return []chat.Message{{Role: "assistant", Content: a}}, []chat.Message{{Role: "assistant", Content: b}}
	}
	of := func(s string) []chat.Message {
		return []chat.Message{{Role: "user", Content: prompt}, {Role: "assistant", Content: strings.TrimLeftFunc(s[n:], unicode.IsSpace)}}
	}
	return of(a), of(b)
}

// transcript reads the turns of Anthropic's texts, nil for other text.
func transcript(text string) []chat.Message {
	const human, assistant = "\n\nHuman:", "\n\nAssistant:"
	text = "\n\n" + strings.TrimLeft(text, "\n")
	if !strings.HasPrefix(text, human) {
		return nil
	}
	var out []chat.Message
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
		out = append(out, chat.Message{Role: role, Content: strings.TrimSpace(text[:end])})
		text = text[end:]
	}
	return out
}
