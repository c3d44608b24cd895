package chat

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// checkRendered refuses a template that leaves out what the model is to learn or to be told:
// a message, its calls of tools (these have names, which every template that knows them
// writes), the reasoning of the last answer that is a target or of what is no answer, or some of
// a content.
//
// Of earlier answers many templates leave out the reasoning, since they do so when the model
// answers, too. Where they are targets their owner hears of it ([EarlierReasoning]).
func (m *masker) checkRendered() error {
	type shown struct {
		any, names, reasoning bool
		content               int // bytes
	}
	found := make([]shown, len(m.msgs))
	for _, s := range m.out.Sources {
		f := &found[m.out.message(s)]
		f.any = true
		switch m.out.part(s) {
		case contentPart:
			f.content += s.End - s.Start
		case namesPart:
			f.names = true
		case reasoningPart:
			f.reasoning = true
		}
	}
	last := len(m.learn) - 1
	for last >= 0 && !m.learn[last] {
		last--
	}
	for i, msg := range m.msgs {
		f := found[i]
		switch {
		case !f.any && (msg.Role == "assistant" || !isBlank(msg)):
			return m.fail(NotRendered, i, "the template renders nothing of it")
		case !f.names && msg.Extra["tool_calls"] != nil:
			return m.fail(NotRendered, i, "the template renders nothing of its tool_calls")
		case msg.Role == "assistant" && !m.learn[i]:
		case msg.Reasoning != "" && !f.reasoning && (i == last || msg.Role != "assistant"):
			return &ConversationError{Reason: LostReasoning, Message: i, Role: msg.Role, Key: msg.ReasoningKey,
				Detail: "the template renders nothing of its reasoning"}
		case msg.Reasoning != "" && !f.reasoning && m.learn[i]:
			m.unread = append(m.unread, EarlierReasoning)
		case f.content < len(strings.TrimSpace(msg.Content)):
			switch lost, reasoning := m.lost(i); {
			case reasoning && i == last:
				return m.fail(LostReasoning, i, "the template leaves out the reasoning in its content, %.60q", lost)
			case reasoning && m.learn[i]:
				m.unread = append(m.unread, EarlierReasoning)
			case lost != "":
				return m.fail(LostContent, i, "the template leaves out %.60q of its content", lost)
			}
		}
	}
	return nil
}

// tag is what stands around reasoning in a text: <think>, <|begin_of_thought|>, [THINK].
var tag = regexp.MustCompile(`<[^<>\s]{1,40}>|\[/?[A-Z_]{1,40}\]`)

// lost returns what the template leaves out of the content of message i, and whether that is
// reasoning between tags. White space and tags are not counted, since many templates strip
// texts or write the tags themselves; where one rewrites the text, nothing is known.
func (m *masker) lost(i int) (text string, reasoning bool) {
	content := m.msgs[i].Content
	left := []byte(content) // what was shown is blanked, from the end: templates keep that
	at := len(content)
	for _, s := range slices.Backward(m.contentSpans()[i]) {
		piece := strings.TrimSpace(m.out.Text[s.Start:s.End])
		if at = strings.LastIndex(content[:at], piece); at < 0 {
			return "", false
		}
		for k := range len(piece) {
			left[at+k] = ' '
		}
	}
	text = strings.TrimSpace(tag.ReplaceAllString(string(left), " "))
	if !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsSymbol(r) }) {
		return "", false
	}
	return text, tag.Match(left)
}

// contentSpans are the places of each message's content, found once for all.
func (m *masker) contentSpans() map[int][]span {
	if m.contents == nil {
		m.contents = map[int][]span{}
		for _, s := range m.out.Sources {
			if m.out.part(s) == contentPart {
				i := m.out.message(s)
				m.contents[i] = append(m.contents[i], span{Start: s.Start, End: s.End})
			}
		}
	}
	return m.contents
}

// addUnread finds the keys of messages of which the template writes nothing and does not speak.
func (m *masker) addUnread() {
	shown := map[int]bool{} // sources
	for _, s := range m.out.Sources {
		if m.out.part(s) >= otherParts {
			shown[s.Source] = true
		}
	}
	for i, msg := range m.msgs {
		for at, name := range slices.Sorted(maps.Keys(msg.Extra)) {
			if !shown[i*m.out.width+otherParts+at] && !m.template.parsed.ReadsKey(name) && name != "content" && name != "tool_calls" {
				m.unread = append(m.unread, name)
			}
		}
	}
	slices.Sort(m.unread)
	m.unread = slices.Compact(m.unread)
}
