package record

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// content is what a text, or a list of parts, says.
type content struct {
	text      string
	reasoning string // of parts that are thoughts
}

// textParts and reasoningParts are the types of parts that are read.
var (
	textParts      = []string{"", "text", "input_text", "output_text"}
	reasoningParts = []string{"thinking", "reasoning", "reasoning.text"}
)

// textOf reads text, or a list of parts that are text, which are joined. What is neither
// comes back as isText false; a list of bare texts is none: nobody knows what joins them.
func textOf(raw json.RawMessage) (c content, isText bool, err error) {
	switch raw[0] {
	case '"':
		return content{text: cutText(raw)}, true, nil
	case '[':
	default:
		return c, false, nil
	}
	parts, _ := cutList(raw)
	if !slices.ContainsFunc(parts, func(p json.RawMessage) bool { return p[0] == '{' }) {
		return c, false, nil
	}
	var text, reasoning strings.Builder
	for i, p := range parts {
		if p[0] == '"' {
			text.WriteString(cutText(p))
			continue
		}
		var part struct {
			Type, Text, Value, Content, Thinking, Reasoning *string
		}
		if p[0] != '{' || json.Unmarshal(p, &part) != nil {
			return c, false, fmt.Errorf("part %d of the content is %s, want {\"type\": \"text\", \"text\": ...}", i, kindOf(p))
		}
		kind := ""
		if part.Type != nil {
			kind = *part.Type
		}
		said := firstOf(part.Text, part.Value, part.Content, part.Thinking, part.Reasoning)
		switch {
		case !slices.Contains(textParts, kind) && !slices.Contains(reasoningParts, kind):
			return c, false, bad("not_text", "part %d of the content is of the type %.40q, want text alone", i, kind)
		case said == nil:
			return c, false, fmt.Errorf("part %d of the content is %s, want {\"type\": \"text\", \"text\": ...}", i, kindOf(p))
		case slices.Contains(reasoningParts, kind):
			reasoning.WriteString(*said)
		default:
			text.WriteString(*said)
		}
	}
	return content{text.String(), reasoning.String()}, true, nil
}

func firstOf(texts ...*string) *string {
	for _, t := range texts {
		if t != nil {
			return t
		}
	}
	return nil
}
