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
// message, that is an error. Where the begin of the last answer is given
// ([Message.Given]), only what goes on is a target; with [Targets.NoReasoning] what
// follows the reasoning.
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
	m := masker{template: t, msgs: msgs, out: out, learn: targets.Of(msgs), noReasoning: targets.NoReasoning}
	if err := m.tokenise(); err != nil {
		return Rendered{}, err
	}
	if err := m.checkRendered(); err != nil {
		return Rendered{}, err
	}
	m.addUnread()
	if len(out.Generation) > 0 {
		err = m.blocks()
	} else {
		err = m.turns()
	}
	if err != nil {
		return Rendered{}, err
	}
	m.leaveOut()
	return Rendered{Text: out.Text, IDs: m.ids, Target: m.target, Injected: m.injected(), Unread: m.unread, Bytes: m.spans,
		out: out, tok: t.tok}, nil
}

// masker finds the targets of one rendering.
type masker struct {
	template    *Template
	msgs        []Message
	out         rendering
	ids         []int32
	spans       [][2]int32 // bytes of each id
	target      []Span
	skip        []span // bytes that are no targets, wherever they stand
	learn       []bool // which messages are targets
	noReasoning bool
	unread      []string
	contents    map[int][]span // see contentSpans
}

func (m *masker) fail(reason Reason, i int, format string, args ...any) error {
	return &ConversationError{Reason: reason, Message: i, Role: m.msgs[i].Role, Detail: fmt.Sprintf(format, args...)}
}

// turns adds the targets of every assistant message.
func (m *masker) turns() error {
	places := m.out.places()
	for i := range m.msgs {
		if !m.learn[i] {
			continue
		}
		a, ok := answerParts{}, i < len(places)
		if ok {
			a, ok = m.out.locateAt(i, places[i])
		}
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
		m.passReasoning(i, places[i], a.before+start)
	}
	return nil
}

// turn adds the target of message i, which begins at byte start.
func (m *masker) turn(i int, a answerParts, start int) error {
	first := m.tokenAt(start)
	if first < len(m.spans) {
		if s, ok := m.source(int(m.spans[first][0]), start); ok {
			return m.fail(NoExactTarget, i, "one token holds text of messages[%d] and the begin of the answer", m.out.message(s))
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
	inside := make([]bool, len(m.msgs))
	learned, passed := make([]bool, len(m.out.Generation)), make([]bool, len(m.out.Generation))
	m.inBlocks(func(block, message int) {
		inside[message] = true
		learned[block] = learned[block] || m.learn[message]
		passed[block] = passed[block] || m.msgs[message].Role == "assistant" && !m.learn[message]
	})
	all := true
	for i, msg := range m.msgs {
		if m.learn[i] && !inside[i] {
			return m.fail(NoExactTarget, i, "it stands outside of the template's generation blocks")
		}
		all = all && (m.learn[i] || msg.Role != "assistant")
	}
	places := m.out.places()
	for block, g := range m.out.Generation {
		if !passed[block] && (all || learned[block]) {
			m.add(m.tokenAt(g.Start), m.tokenAt(g.End-1)+1)
		}
	}
	seen := make([]bool, len(m.msgs))
	m.inBlocks(func(block, message int) {
		if m.learn[message] && !seen[message] {
			seen[message] = true
			m.passReasoning(message, places[message], m.out.Generation[block].Start)
		}
	})
	return nil
}

// inBlocks visits the messages in each generation block, in one walk over both.
func (m *masker) inBlocks(visit func(block, message int)) {
	at := 0
	for block, g := range m.out.Generation {
		for at < len(m.out.Sources) && m.out.Sources[at].End <= g.Start {
			at++
		}
		for _, s := range m.out.Sources[at:] {
			if s.Start >= g.End {
				break
			}
			visit(block, m.out.message(s))
		}
	}
}

// source is the first text of a message in a range of bytes.
func (m *masker) source(from, to int) (s jinja.SourceSpan, ok bool) {
	n, _ := slices.BinarySearchFunc(m.out.Sources, from, func(s jinja.SourceSpan, pos int) int {
		if s.End <= pos {
			return -1
		}
		return 1
	})
	if n == len(m.out.Sources) || m.out.Sources[n].Start >= to {
		return s, false
	}
	return m.out.Sources[n], true
}

// marked reports whether a range of bytes holds text of a message.
func (m *masker) marked(bytes [2]int32) bool {
	_, ok := m.source(int(bytes[0]), int(bytes[1]))
	return ok
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
