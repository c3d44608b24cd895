package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"lwtrain/data/read"
	"lwtrain/internal/plainjson"
)

// maxValues bounds what is in a record. A conversation has six for each message, and a value
// can take two hundred times the memory of its text.
const maxValues = 1 << 21

func within(text []byte) bool { return len(text) <= maxValues || plainjson.Within(text, maxValues) }

// fieldsOf reads the JSON of a line.
func fieldsOf(l read.Line) (f fields, err error) {
	text := l.Text
	if l.TooLong {
		return nil, bad("too_many_bytes", "a record of more than %d MiB", read.MaxLine>>20)
	}
	if l.Bad != "" {
		return nil, bad("invalid_row", "%s", l.Bad)
	}
	if !within(text) {
		return nil, bad("too_many_values", "a record of more than %d values, keys included, want fewer", maxValues)
	}
	if !utf8.Valid(text) {
		return nil, bad("invalid_utf8", "byte %d is no valid UTF-8; a file in another encoding is to be saved in UTF-8", invalidAt(text))
	}
	if at := plainjson.LoneSurrogate(text); at >= 0 {
		return nil, bad("invalid_utf8", "%s at byte %d is half a surrogate pair and no character", text[at:at+6], at+1)
	}
	if json.Valid(text) {
		f, twice, ok := cutOnce(bytes.TrimSpace(text))
		if twice != "" {
			return nil, repeatedKey(twice)
		}
		if ok {
			return f, nil
		}
	}
	return nil, bad("invalid_json", "%v", jsonProblem(text, json.Unmarshal(text, &f)))
}

// repeatedKey is the error of an object with two values of a key, of which one would be lost.
func repeatedKey(key string) error {
	return bad("repeated_key", "the key %.40q is there twice, want it once", key)
}

func invalidAt(line []byte) int {
	for i := 0; i < len(line); {
		r, size := utf8.DecodeRune(line[i:])
		if r == utf8.RuneError && size == 1 {
			return i + 1
		}
		i += size
	}
	return 0
}

// jsonProblem says why a line is no object of JSON.
func jsonProblem(line []byte, err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Errorf("the record is %s, want an object with the key messages", kindOf(line))
	}
	return plainjson.InWords(line, err)
}

// brokenText says what is wrong with a text that begins as a list or an object and is the JSON of none;
// nil: it does not begin so.
func brokenText(raw json.RawMessage) error {
	if raw[0] != '"' {
		return nil
	}
	text := []byte(strings.TrimSpace(cutText(raw)))
	if len(text) == 0 || text[0] != '[' && text[0] != '{' || !within(text) || json.Valid(text) {
		return nil
	}
	var any json.RawMessage
	return plainjson.Unmarshal(text, &any)
}

// kindOf names a JSON value.
func kindOf(raw []byte) string {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '"':
		return "text"
	case '{':
		return "an object"
	case '[':
		return "a list"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	}
	return "a number"
}

func keysOf(record map[string]json.RawMessage) string {
	if len(record) == 0 {
		return "it has none"
	}
	names := make([]string, 0, len(record))
	for k, value := range record {
		null := ""
		switch {
		case value[0] == 'n':
			null = " (null)"
		case absent(value):
			null = " (empty)"
		}
		names = append(names, fmt.Sprintf("%.40q%s", k, null))
	}
	slices.Sort(names)
	const most = 6
	if len(names) > most {
		names = append(names[:most], "...")
	}
	return "it has " + strings.Join(names, ", ")
}
