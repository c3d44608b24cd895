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
	reasoning string   // of parts that are thoughts
	beside    []member // keys of parts that nothing reads
}

type member struct {
	key   string
	value json.RawMessage
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
		part, twice, ok := cutOnce(p)
		if !ok || p[0] != '{' {
			return c, false, fmt.Errorf("part %d of the content is %s, want {\"type\": \"text\", \"text\": ...}", i, kindOf(p))
		}
		if twice != "" {
			return c, false, repeatedKey(twice)
		}
		kind := ""
		if raw := part["type"]; raw != nil && raw[0] == '"' {
			kind = cutText(raw)
		}
		if !slices.Contains(textParts, kind) && !slices.Contains(reasoningParts, kind) {
			return c, false, bad("not_text", "part %d of the content is of the type %.40q, want text alone", i, kind)
		}
		said, err := part.saidBy(i)
		switch {
		case err != nil:
			return c, false, err
		case slices.Contains(reasoningParts, kind):
			reasoning.WriteString(said)
		default:
			text.WriteString(said)
		}
		for key, raw := range part {
			if !slices.Contains(partKeys, key) {
				c.beside = append(c.beside, member{key, raw})
			}
		}
	}
	c.text, c.reasoning = text.String(), reasoning.String()
	return c, true, nil
}

// partTexts are the keys of a part that may hold what it says, and partOthers those with content
// or a meaning that would be lost.
var (
	partTexts  = []string{"text", "value", "content", "thinking", "reasoning"}
	partOthers = []string{
		"image", "image_url", "images", "video", "video_url", "audio", "input_audio", "file", "train", "weight", "loss_weight",
	}
	// partKeys are all that is read of a part, or says how it was made or kept.
	partKeys = slices.Concat(partTexts, []string{"type", "signature", "format", "cache_control"})
)

// saidBy is what part i of a content says, under the one of its keys that says something.
func (part fields) saidBy(i int) (said string, err error) {
	found := ""
	for _, key := range partTexts {
		raw := part[key]
		switch {
		case raw == nil || raw[0] == 'n':
		case raw[0] != '"':
			return "", fmt.Errorf("%s of part %d of the content is %s, want text", key, i, kindOf(raw))
		case found == "", said == "":
			found, said = key, cutText(raw)
		case len(raw) > 2 && cutText(raw) != said:
			return "", bad("not_text", "part %d of the content says one thing as %s and another as %s, want one of them", i, found, key)
		}
	}
	if found == "" {
		return "", fmt.Errorf("part %d of the content has no text (%s), want {\"type\": \"text\", \"text\": ...}", i, keysOf(part))
	}
	beside := ""
	for key, raw := range part {
		name := strings.ToLower(key)
		other := slices.Contains(partOthers, name) || name != key && slices.Contains(partTexts, name)
		if other && raw[0] != 'n' && (beside == "" || key < beside) {
			beside = key
		}
	}
	if beside != "" {
		return "", bad("not_text", "part %d of the content has %s beside its text, want text alone", i, beside)
	}
	return said, nil
}
