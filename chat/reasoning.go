package chat

import (
	"regexp"
	"strings"
)

// closing is a tag with blanks around it, as templates close reasoning with one.
var closing = regexp.MustCompile(`^\s*(<[^<>\s]{1,40}>|\[/[A-Z_]{1,40}\])\s*`)

// passReasoning takes the reasoning of message i out of the targets, where it is not to be one: from
// where its turn begins to behind the tag that closes it. places are the message's Sources.
func (m *masker) passReasoning(i int, places []int32, begin int) {
	if !m.noReasoning {
		return
	}
	end := -1
	for _, at := range places {
		if s := m.out.Sources[at]; m.out.part(s) == reasoningPart {
			end = s.End
		}
	}
	const open, shut = "<think>", "</think>"
	switch content := strings.TrimSpace(m.msgs[i].Content); {
	case end >= begin:
		tag := closing.FindString(m.out.Text[end:])
		if _, own := m.source(end, end+len(tag)); !own { // else the answer itself begins with it
			end += len(tag)
		}
	case end < 0 && strings.HasPrefix(content, open):
		at := strings.Index(m.out.Text[begin:], shut)
		if at < 0 || !strings.Contains(content, shut) {
			return
		}
		rest := m.out.Text[begin+at+len(shut):]
		end = len(m.out.Text) - len(strings.TrimLeft(rest, " \t\r\n"))
	default:
		return
	}
	m.skip = append(m.skip, span{Start: begin, End: end})
}
