package chat

import (
	"slices"
	"strings"
)

// tokenise encodes the rendering. Where the begin of the last answer is given, what stands up to
// there and what goes on are encoded apart, as where a model goes on with a prompt: prompts are
// then the same tokens, whatever follows them.
func (m *masker) tokenise() (err error) {
	cut := 0
	if last := len(m.msgs) - 1; last >= 0 && m.msgs[last].Given > 0 {
		if cut, err = m.given(last); err != nil {
			return err
		}
		m.skip = append(m.skip, span{Start: 0, End: cut})
	}
	m.ids, m.spans = m.template.tok.Offsets(m.out.Text[:cut])
	ids, spans := m.template.tok.Offsets(m.out.Text[cut:])
	for _, s := range spans {
		m.spans = append(m.spans, [2]int32{s[0] + int32(cut), s[1] + int32(cut)})
	}
	m.ids = append(m.ids, ids...)
	return nil
}

// given returns where message i, the last one, goes on in the rendering. A template that trims an
// answer writes the blanks at the end of the begin as part of what goes on.
func (m *masker) given(i int) (int, error) {
	short := slices.Clone(m.msgs)
	short[i].Content = short[i].Content[:short[i].Given]
	out, err := m.template.render(short, false)
	if err != nil {
		return 0, err
	}
	end, ok := out.begins(i)
	if !ok || len(m.out.Text) < end || m.out.Text[:end] != out.Text[:end] {
		return 0, m.fail(NoExactTarget, i, "the template writes its begin otherwise where it goes on")
	}
	return end, nil
}

// begins returns where message i, the last one and the begin of an answer, ends: behind what
// apply_chat_template(continue_final_message=True) writes of it.
func (r rendering) begins(i int) (end int, ok bool) {
	a, ok := r.locate(i)
	return a.text.End, ok
}

// Ask renders a conversation for the model to go on from, as [Template.Prompt] does; one that ends in the text of an
// assistant up to there, so that the model goes on with it. Of the messages all is in the text but what Unread names, and
// the reasoning of answers, which templates take from models: what they leave out else is an error.
func (t *Template) Ask(msgs []Message) (Rendered, error) {
	if err := checkRoles(msgs); err != nil {
		return Rendered{}, err
	}
	last := len(msgs) - 1
	goesOn := msgs[last].Role == "assistant" && msgs[last].Extra["tool_calls"] == nil
	out, err := t.render(msgs, !goesOn)
	if err != nil {
		return Rendered{}, err
	}
	m := masker{template: t, msgs: msgs, out: out, learn: make([]bool, len(msgs))}
	if err := m.checkRendered(); err != nil {
		return Rendered{}, err
	}
	for i, msg := range msgs {
		if msg.Reasoning != "" && !slices.ContainsFunc(reasoningKeys, t.parsed.ReadsKey) {
			return Rendered{}, m.fail(LostReasoning, i, "the template speaks of no reasoning")
		}
	}
	m.addUnread()
	text := out.Text
	if goesOn {
		begin := strings.TrimSpace(msgs[last].Content)
		end, ok := out.begins(last)
		if begin == "" || !ok || !strings.HasSuffix(strings.TrimSpace(text[:end]), begin) {
			return Rendered{}, m.fail(NoExactTarget, last, "no begin of an answer that the template writes as it is")
		}
		text = text[:end]
	}
	return Rendered{Text: text, IDs: t.tok.EncodeText(text), Unread: m.unread}, nil
}

// leaveOut takes tokens out of the targets all of whose bytes lie in m.skip, in one walk over both.
func (m *masker) leaveOut() {
	if len(m.skip) == 0 {
		return
	}
	slices.SortFunc(m.skip, func(a, b span) int { return a.Start - b.Start })
	var left []Span
	k := 0
	for _, t := range m.target {
		for at := t.Start; at < t.End; {
			from, to := t.End, t.End
			if k < len(m.skip) {
				from, to = int32(m.tokenAt(m.skip[k].Start)), int32(m.tokenAt(m.skip[k].End))
			}
			if end := min(from, t.End); at < end {
				left = append(left, Span{at, end})
			}
			if at = max(at, to); to < t.End {
				k++
			}
		}
	}
	m.target = left
}
