// Package plainjson is JSON as other programs write it, with <, > and & as they
// are, where encoding/json escapes them for HTML.
package plainjson

import (
	"bytes"
	"encoding/json"
)

// Marshal returns the JSON of a value, on one line.
func Marshal(v any) ([]byte, error) { return marshal(v, "") }

// MarshalFile returns the text of a JSON file: indented by two spaces, with a
// newline at its end.
func MarshalFile(v any) ([]byte, error) {
	b, err := marshal(v, "  ")
	return append(b, '\n'), err
}

// Quote returns text as JSON.
func Quote(s string) string {
	b, err := marshal(s, "")
	if err != nil {
		panic(err) // a string always has a JSON form
	}
	return string(b)
}

func marshal(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
