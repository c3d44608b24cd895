package record

import (
	"cmp"
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
// what both sides begin with; an answer is text, a message or a list of them. Where only the
// rejected answer has a column, the chosen one is the answer of the record's conversation.
func (r *reader) pair() (Record, error) {
	for _, column := range []string{"chosen", "rejected"} {
		_, there := r.get(column)
		if !there && (column == "rejected" || r.talk(r.f) == "" || !r.says(r.f, "rejected")) {
			return Record{}, bad("no_pair", "a record without the key %s (%s), want chosen and rejected", column, keysOf(r.f))
		}
	}
	c, w, begun, err := r.sides()
	if err != nil {
		return Record{}, err
	}
	n := 0
	for n < min(len(c), len(w)) && reflect.DeepEqual(unmarked(c[n]), unmarked(w[n])) {
		n++
	}
	if n > 0 && n == len(c) && n == len(w) && c[n-1].Role == "assistant" && !isBlank(c[n-1]) {
		return Record{}, bad("equal_answers", "chosen and rejected are the same")
	}
	if begun && goesOn(c, n) && goesOn(w, n) {
		n--
		for _, side := range []*[]chat.Message{&c, &w} {
			if *side, err = goOn(*side, n); err != nil {
				return Record{}, err
			}
		}
	}
	if err := checkPair(c, w, n); err != nil {
		return Record{}, err
	}
	better, err := r.withSystem(Conversation{Kind: Chosen, Messages: c, First: n})
	if err != nil {
		return Record{}, err
	}
	worse, err := r.withSystem(Conversation{Kind: Rejected, Messages: w, First: n})
	return Record{Conversation: better, Rejected: &worse}, err
}

// unmarked is a message as the model sees it, whatever is learnt of it.
func unmarked(m chat.Message) chat.Message {
	m.Mark = 0
	return m
}

// sides reads the two conversations of a pair, as far as they have a prompt. begun: that has a
// column of its own, and ends with the begin of an answer.
func (r *reader) sides() (c, w []chat.Message, begun bool, err error) {
	if w, err = r.side("rejected", "assistant"); err != nil {
		return nil, nil, false, err
	}
	if !r.says(r.f, "chosen") && r.talk(r.f) != "" {
		talk, err := r.conversation(r.talk(r.f))
		if err != nil {
			return nil, nil, false, err
		}
		c = talk.Messages
		n := len(c) - 1
		if n < 1 || c[n].Role != "assistant" {
			return nil, nil, false, bad("no_answer", "no answer at the end of the conversation, want one beside the rejected one")
		}
		if answers(w) {
			w = slices.Concat(c[:n], w)
		}
		return c, w, false, nil
	}
	if c, err = r.side("chosen", "assistant"); err != nil {
		return nil, nil, false, err
	}
	prompt, err := r.promptOf()
	switch {
	case err != nil:
		return nil, nil, false, err
	case prompt == nil && r.isPlain("chosen") && r.isPlain("rejected"):
		c, w = sharedText(c[0].Content, w[0].Content)
	case prompt == nil, isNothing(prompt) && !answers(c) && !answers(w): // the sides hold it
	case len(prompt) == 0:
		return nil, nil, false, bad("empty_prompt", "the prompt has no messages, want at least one")
	case answers(c) && answers(w):
		asked := prompt[len(prompt)-1].Content
		if len(c) > 0 && len(w) > 0 && repeats(asked, c[0].Content) && repeats(asked, w[0].Content) {
			return nil, nil, false, bad("prompt_repeated",
				"chosen and rejected begin with the prompt, which would be trained on as their answer, "+
					"want the answers alone; `ignore: [%s]` of the source takes it from these",
				cmp.Or(r.nameOf("prompt"), r.nameOf("instruction"), r.nameOf("messages"), r.nameOf("input")))
		}
		c, w = slices.Concat(prompt, c), slices.Concat(prompt, w)
	case !holds(c, prompt) || !holds(w, prompt):
		return nil, nil, false, bad("prompts_differ", "chosen and rejected hold another prompt than the record's own")
	}
	begun = len(prompt) > 0 && prompt[len(prompt)-1].Role == "assistant" && r.has(r.f, "prompt")
	return c, w, begun, nil
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
		case last.Mark == chat.NotTrained:
			return notCompared("the answer of " + name)
		}
	}
	if c[n-1].Role == "assistant" {
		return bad("invalid_prompt", "the prompt ends with an answer of the assistant, want one that is to be answered, "+
			"or the begin of an answer in the column prompt, which both sides go on with")
	}
	return nil
}

// notCompared is the error of an answer that is to be compared and not to be learnt.
func notCompared(answer string) error {
	return bad("invalid_weight", "%s has a weight of 0, or train: false, and the two of a pair are compared whole: "+
		"leave the record out, or what it says of weights (`ignore: [weight, train]` of the source)", answer)
}

// promptOf reads the prompt of a preference record, nil where it has none. An input alone is one.
func (r *reader) promptOf() ([]chat.Message, error) {
	if r.says(r.f, "prompt") && r.says(r.f, "instruction") {
		return nil, bad("invalid_prompt", "a prompt and an instruction, want one of them")
	}
	there := r.says
	if !slices.ContainsFunc([]string{"prompt", "instruction", "messages", "input"}, func(c string) bool { return r.says(r.f, c) }) {
		there = func(f fields, column string) bool { return column != "input" && r.has(f, column) } // one that says nothing
	}
	switch {
	case there(r.f, "prompt"):
		return r.prompt()
	case there(r.f, "instruction"):
		return r.instruction()
	case there(r.f, "messages"):
		raw, _ := r.get("messages")
		return r.turns(raw, r.nameOf("messages"))
	case !there(r.f, "input"):
		return nil, nil
	}
	asked, err := r.side("input", "user")
	if err != nil {
		return nil, err
	}
	return r.behindHistory(asked)
}

// answers reports whether a side begins with the assistant's turn, so that the
// prompt comes before it.
func answers(side []chat.Message) bool { return len(side) == 0 || side[0].Role == "assistant" }

// isNothing reports whether a prompt says nothing.
func isNothing(prompt []chat.Message) bool {
	return !slices.ContainsFunc(prompt, func(m chat.Message) bool { return !isBlank(m) })
}

// holds reports whether a side that begins with the prompt holds this one: all
// its messages, or its last one where the side has another system prompt.
func holds(side, prompt []chat.Message) bool {
	last := prompt[len(prompt)-1]
	return slices.ContainsFunc(side, func(m chat.Message) bool { return m.Role == last.Role && m.Content == last.Content })
}

// labelled reads a record of KTO: a conversation, and whether its last answer is
// a good one. The answers before it are its prompt.
func (r *reader) labelled() (c Conversation, err error) {
	raw, ok := r.optional("label")
	if !ok {
		return c, r.lacks("label")
	}
	good, err := r.goodLabel(raw)
	if err != nil {
		return c, err
	}
	format := r.talk(r.f)
	if format == "" {
		format = promptFormat
	}
	if c, err = r.conversation(format); err != nil {
		return c, err
	}
	n := len(c.Messages)
	if n == 0 || c.Messages[n-1].Role != "assistant" {
		return c, bad("no_answer", "a labelled record without an answer at its end")
	}
	if c.Messages[n-1].Mark == chat.NotTrained {
		return c, notCompared("the labelled answer")
	}
	c.First = n - 1
	c.Kind = Disliked
	if good {
		c.Kind = Liked
	}
	return c, nil
}

// goodLabel reads the label of a record that has one.
func (r *reader) goodLabel(raw json.RawMessage) (bool, error) {
	good, known := labelOf(labelText(raw))
	if !known {
		return false, bad("invalid_label",
			"label is %.40s, want true or false, or 1 or 0; `ignore: [%s]` of the source takes it for no label", raw, r.nameOf("label"))
	}
	return good, nil
}

// refuseBad refuses a conversation whose label says that it is a bad one, where the options
// say that records are conversations.
func (r *reader) refuseBad() error {
	raw, is := r.ownLabel(r.f)
	if !is {
		return nil
	}
	good, err := r.goodLabel(raw)
	if err != nil {
		return err
	}
	if name := r.nameOf("label"); !good {
		return bad("labelled_bad", "%s says that the answer is a bad one, want a good one; `ignore: [%s]` of the source takes all, "+
			"`format: kto` and `side: chosen` the good ones", name, name)
	}
	r.get("label")
	return nil
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

// transcript reads the turns of Anthropic's texts, nil for other text. What is said before the
// first one is a system prompt, where both come after it.
func transcript(text string) []chat.Message {
	const human, assistant = "\n\nHuman:", "\n\nAssistant:"
	text = "\n\n" + strings.TrimLeft(text, "\n")
	var out []chat.Message
	switch first := strings.Index(text, human); {
	case first < 0, first > 0 && first > strings.Index(text, assistant): // it has none, or one before
		return nil
	case first > 0:
		out = append(out, chat.Message{Role: "system", Content: strings.TrimSpace(text[:first])})
		text = text[first:]
	}
	for text != "" {
		role, mark := "user", human
		if strings.HasPrefix(text, assistant) {
			role, mark = "assistant", assistant
		}
		text = text[len(mark):]
		end := 0
		for end < len(text) && !strings.HasPrefix(text[end:], human) && !strings.HasPrefix(text[end:], assistant) {
			if next := strings.Index(text[end+1:], "\n\n"); next >= 0 {
				end += 1 + next
			} else {
				end = len(text)
			}
		}
		out = append(out, chat.Message{Role: role, Content: strings.TrimSpace(text[:end])})
		text = text[end:]
	}
	return out
}
