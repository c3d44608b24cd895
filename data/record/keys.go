package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"lwtrain/internal/plainjson"
)

// What becomes of a key, of a record or of a message, is always known:
//
//   - it is read: a column of the record's format, a message's role, content, weight;
//   - it is rendered: the template writes it, which [chat.Rendered] tells by where each byte
//     comes from;
//   - it has no content ([bare]): ids, sources, dates;
//   - it has content that nothing reads ([lost], reasoning that no template writes): the
//     record can not be used, for a reason that has the key's name;
//   - all others are passed over, and their owner hears of them by name and count
//     ([Drops.Unread]).
//
// One that is empty is as good as not there ([absent]), and so is one that the options tell
// to ignore.

// decoded is a value whose meaning is a list or an object: where it is carried as the text of
// one, that. Tables have no other way to hold values of several forms.
func decoded(raw json.RawMessage) json.RawMessage {
	if raw[0] != '"' {
		return raw
	}
	if s := bytes.TrimLeft(raw[1:len(raw)-1], " "); len(s) > 0 && !bytes.ContainsRune([]byte("[{n\\"), rune(s[0])) {
		return raw
	}
	text := []byte(strings.TrimSpace(cutText(raw)))
	switch {
	case len(text) == 0:
		return json.RawMessage("null")
	case bytes.IndexByte([]byte(`[{"n`), text[0]) < 0, !within(text), !json.Valid(text), plainjson.LoneSurrogate(text) >= 0:
		return raw
	case text[0] == '"': // text of text, half as long
		if inner := decoded(text); inner[0] != '"' {
			return inner
		}
		return raw
	}
	return text
}

// lost are the keys of a record with content that no format has a place for where it is not
// among its columns.
var lost = map[string]string{
	"history":    "want the turns in the messages",
	"tool_calls": "want them in a message", "function_call": "want it in a message",
	"images": textAlone, "image": textAlone, "image_url": textAlone, "image_urls": textAlone, "videos": textAlone, "video": textAlone,
	"video_url": textAlone, "audios": textAlone, "audio": textAlone, "audio_url": textAlone, "input_audio": textAlone,
}

// textAlone is what is wanted instead of media, in records and in messages.
const textAlone = "want text alone"

// lostKey is the error of a record with content that nothing reads.
func lostKey(key, format string, args ...any) error {
	return bad(key+"_not_read", "%s %s; `ignore: [%s]` of the source leaves it out", key, fmt.Sprintf(format, args...), key)
}

// bareNames are names of keys without content.
var bareNames = []string{
	"id", "_id", "uid", "uuid", "guid", "idx", "index", "hash", "sha", "key",
	"source", "sources", "origin", "dataset", "dataset_name", "data_source", "subset", "split", "config", "file", "path",
	"url", "urls", "link", "license", "lang", "language", "author", "user", "version", "model", "model_name", "generator",
	"metadata", "meta", "meta_data", "timestamp", "time", "date", "created", "updated", "turns", "length",
	"name", "type", "recipient", // of messages, where the template does not write them
}

// bare reports whether a key has no content by its name.
func bare(key string) bool {
	key = strings.ToLower(key)
	if slices.Contains(bareNames, key) {
		return true
	}
	for _, ending := range []string{"_id", "_ids", "_idx", "_index", "_hash", "_url", "_at", "_date", "_time", "_count", "_tokens",
		"_length", "_words", "_score"} {
		if strings.HasSuffix(key, ending) {
			return true
		}
	}
	return strings.HasPrefix(key, "num_") || strings.HasPrefix(key, "n_")
}

// reasoningNames are what records call the reasoning beside an answer.
var reasoningNames = []string{
	"reasoning_content", "reasoning", "thinking", "thinking_content", "reasoning_text", "reasoning_details", "thinking_blocks",
	"thought", "thoughts", "think", "chain_of_thought", "cot",
}

// reasoningModes are what the same keys hold where they say how an answer was made.
var reasoningModes = []string{"on", "off", "true", "false", "yes", "no", "none", "auto", "low", "medium", "high", "enabled", "disabled"}

func isMode(text string) bool {
	return slices.Contains(reasoningModes, strings.ToLower(strings.TrimSpace(text)))
}

// onlyModes reports whether an object says how an answer was made and holds no other text.
func onlyModes(raw json.RawMessage) bool {
	only := true
	eachKey(raw, func(_ string, value json.RawMessage) {
		switch value[0] {
		case '"':
			only = only && (absent(value) || isMode(cutText(value)))
		case '{', '[':
			only = only && absent(value)
		}
	})
	return only
}

// reasoningOf reads the reasoning that lies beside an answer, under any of its names, and
// says which these are: text, or parts of it. Several of the same text are one.
func reasoningOf(f fields) (text string, names []string, err error) {
	for _, name := range reasoningNames {
		raw, ok := f[name]
		if !ok || absent(raw) {
			continue
		}
		said := ""
		switch parts, isText, err := textOf(raw); {
		case err != nil:
			return "", nil, bad("invalid_reasoning", "%s: %v", name, err)
		case isText:
			said = parts.text + parts.reasoning
		case raw[0] == '[', raw[0] == '{' && !onlyModes(raw):
			return "", nil, bad("invalid_reasoning", "%s is %s, want text", name, kindOf(raw))
		default: // true, a number of tokens
			continue
		}
		if isMode(said) {
			continue
		}
		if text != "" && text != said {
			return "", nil, bad("two_reasonings", "%s and %s say different things, want one of them", names[0], name)
		}
		text, names = said, append(names, name)
	}
	return text, names, nil
}

// weightKeys say how much a message is trained on, and otherWeights are keys that may: what they
// mean differs.
var (
	weightKeys   = []string{"train", "weight", "loss_weight", "loss", "loss_scale", "trainable", "training"}
	otherWeights = []string{"mask", "label"}
)

// begunByThought reports whether an answer begins with what was thought before it.
func begunByThought(content string) bool {
	thought, ok := strings.CutPrefix(strings.TrimSpace(content), "<think>")
	thought, _, closed := strings.Cut(thought, "</think>")
	return ok && closed && strings.TrimSpace(thought) != ""
}
