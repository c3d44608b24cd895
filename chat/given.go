package chat

import "slices"

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

// given returns where message i, the last one, goes on in the rendering: behind what
// apply_chat_template(continue_final_message=True) writes of its begin. A template that trims an
// answer writes the blanks at the end of the begin as part of what goes on.
func (m *masker) given(i int) (int, error) {
	short := slices.Clone(m.msgs)
	short[i].Content = short[i].Content[:short[i].Given]
	out, err := m.template.render(short, false)
	if err != nil {
		return 0, err
	}
	a, ok := out.locate(i)
	end := a.text.End
	if !ok || len(m.out.Text) < end || m.out.Text[:end] != out.Text[:end] {
		return 0, m.fail(NoExactTarget, i, "the template writes its begin otherwise where it goes on")
	}
	return end, nil
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
