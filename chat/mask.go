package chat

import (
	"fmt"
	"slices"

	"lwtrain/internal/jinja"
)

// Render renders a whole conversation for training. Text is what
// apply_chat_template(tokenize=False) returns, IDs its encoding as a whole
// without added tokens; where the template ends the last answer with no token
// (GLM-4), the id of eos_token follows.
//
// Target covers, for each message that is one ([Targets.Of]), what the model must
// produce: from
// behind the generation prompt of its turn (so a <think> block that the
// template writes counts) up to and with the token that ends the turn, and
// nothing behind that (not ChatML's newline). For GLM-4 the end is the next
// role's token. Both ends are found in the one full rendering, from the marks
// that the template engine leaves on each byte of a message, so text that looks
// like a role's token changes nothing. A template with {% generation %} blocks
// says itself what the targets of a message are.
//
// A token that holds bytes from both sides of the place where the answer
// begins is a target, as in transformers' assistant_masks: the bytes of the
// answer can't be learned otherwise. If such a token held bytes of another
// message, that is an error.
//
// Special tokens inside a message's text become their ids, as in transformers;
// [Rendered.Injected] says where. Everything that can't be found exactly is a
// [*ConversationError] that names the message: an unknown role, an empty
// answer, a message that the template leaves out, a turn without its header or
// its end.
func (t *Template) Render(msgs []Message, targets Targets) (Rendered, error) {
	if err := checkAnswers(msgs); err != nil {
		return Rendered{}, err
	}
	out, err := t.render(msgs, false)
	if err != nil {
		return Rendered{}, err
	}
	m := masker{template: t, msgs: msgs, out: out, learn: targets.Of(msgs)}
	m.ids, m.spans = t.tok.Offsets(out.Text)
	if err := m.checkRendered(); err != nil {
		return Rendered{}, err
	}
	if len(out.Generation) > 0 {
		err = m.blocks()
	} else {
		err = m.turns()
	}
	if err != nil {
		return Rendered{}, err
	}
	return Rendered{Text: out.Text, IDs: m.ids, Target: m.target, Injected: m.injected(), Bytes: m.spans, sources: out.Sources,
		tok: t.tok}, nil
}

// masker finds the targets of one rendering.
type masker struct {
	template *Template
	msgs     []Message
	out      jinja.Output
	ids      []int32
	spans    [][2]int32 // bytes of each id
	target   []Span
	learn    []bool // which messages are targets
}

func (m *masker) fail(reason Reason, i int, format string, args ...any) error {
	return &ConversationError{Reason: reason, Message: i, Role: m.msgs[i].Role, Detail: fmt.Sprintf(format, args...)}
}

// checkRendered refuses a template that leaves a message out, or its calls of
// tools: these have names, which every template that knows them writes.
func (m *masker) checkRendered() error {
	seen, named := make([]bool, len(m.msgs)), make([]bool, len(m.msgs))
	for _, s := range m.out.Sources {
		seen[s.Source/2] = true
		named[s.Source/2] = named[s.Source/2] || s.Source == namesOf(s.Source/2)
	}
	for i, msg := range m.msgs {
		if !seen[i] && (msg.Role == "assistant" || !isBlank(msg)) {
			return m.fail(NotRendered, i, "the template renders nothing of it")
		}
		if !named[i] && msg.Extra["tool_calls"] != nil {
			return m.fail(NotRendered, i, "the template renders nothing of its tool_calls")
		}
	}
	return nil
}

// turns adds the targets of every assistant message.
func (m *masker) turns() error {
	for i := range m.msgs {
		if !m.learn[i] {
			continue
		}
		a, ok := locate(m.out, i)
		if !ok {
			return m.fail(NoExactTarget, i, "the template mixes its text with that of other messages")
		}
		start, ok := m.template.form.begin(m.out.Text[a.before:a.text.Start])
		if !ok {
			return m.fail(NoExactTarget, i, "no generation prompt before it, or more than one: %.80q", m.out.Text[a.before:a.text.Start])
		}
		if err := m.turn(i, a, a.before+start); err != nil {
			return err
		}
	}
	return nil
}

// turn adds the target of message i, which begins at byte start.
func (m *masker) turn(i int, a answerParts, start int) error {
	first := m.tokenAt(start)
	for _, s := range m.out.Sources {
		if first < len(m.spans) && s.Start < start && s.End > int(m.spans[first][0]) {
			return m.fail(NoExactTarget, i, "one token holds text of messages[%d] and the begin of the answer", s.Source/2)
		}
	}
	form := &m.template.form
	for j := m.tokenAt(a.text.End); j < len(m.ids) && int(m.spans[j][0]) < a.after; j++ {
		ends := slices.Contains(form.ends, m.ids[j]) || form.byRole && m.template.tok.IsSpecial(m.ids[j])
		if ends && int(m.spans[j][0]) >= a.text.End && !m.marked(m.spans[j]) {
			m.add(first, j+1)
			return nil
		}
	}
	if form.closes && a.after == len(m.out.Text) {
		m.ids = append(m.ids, form.eos)
		m.spans = append(m.spans, [2]int32{int32(len(m.out.Text)), int32(len(m.out.Text))})
		m.add(first, len(m.ids))
		return nil
	}
	return m.fail(NoExactTarget, i, "no token that ends the turn behind it: %.80q", m.out.Text[a.text.End:a.after])
}

// tokenAt returns the first token that reaches beyond byte pos.
func (m *masker) tokenAt(pos int) int {
	n, _ := slices.BinarySearchFunc(m.spans, pos, func(s [2]int32, pos int) int {
		if int(s[1]) <= pos {
			return -1
		}
		return 1
	})
	return n
}

// add appends a target, joined with the one before if they touch.
func (m *masker) add(from, to int) {
	if n := len(m.target) - 1; n >= 0 && int(m.target[n].End) >= from {
		m.target[n].End = max(m.target[n].End, int32(to))
		return
	}
	m.target = append(m.target, Span{int32(from), int32(to)})
}

// blocks takes the targets from the template's {% generation %} blocks: every
// token with a byte in one, as transformers' assistant_masks.
func (m *masker) blocks() error {
	for i := range m.msgs {
		if !m.learn[i] {
			continue
		}
		inside := func(s jinja.SourceSpan) bool {
			return s.Source/2 == i && slices.ContainsFunc(m.out.Generation,
				func(g jinja.Span) bool { return g.Start < s.End && s.Start < g.End })
		}
		if !slices.ContainsFunc(m.out.Sources, inside) {
			return m.fail(NoExactTarget, i, "it stands outside of the template's generation blocks")
		}
	}
	all := true
	for i, msg := range m.msgs {
		all = all && (m.learn[i] || msg.Role != "assistant")
	}
	for _, g := range m.out.Generation {
		holds := func(of func(message int) bool) bool {
			return slices.ContainsFunc(m.out.Sources, func(s jinja.SourceSpan) bool {
				return of(s.Source/2) && g.Start < s.End && s.Start < g.End
			})
		}
		passed := func(i int) bool { return m.msgs[i].Role == "assistant" && !m.learn[i] }
		if holds(passed) || !all && !holds(func(i int) bool { return m.learn[i] }) {
			continue
		}
		m.add(m.tokenAt(g.Start), m.tokenAt(g.End-1)+1)
	}
	return nil
}

// marked reports whether a range of bytes holds text of a message.
func (m *masker) marked(bytes [2]int32) bool {
	n, _ := slices.BinarySearchFunc(m.out.Sources, int(bytes[0]), func(s jinja.SourceSpan, pos int) int {
		if s.End <= pos {
			return -1
		}
		return 1
	})
	return n < len(m.out.Sources) && m.out.Sources[n].Start < int(bytes[1])
}

// injected returns the special tokens that stand in the messages' own text.
func (m *masker) injected() []int32 {
	var at []int32
	for i, s := range m.spans {
		if m.template.tok.IsSpecial(m.ids[i]) && m.marked(s) {
			at = append(at, int32(i))
		}
	}
	return at
}
