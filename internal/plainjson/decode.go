package plainjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Decode decodes JSON that others made, of at most most values: one of two bytes
// becomes a hundred in memory, so that the size of a file is no bound on what it takes.
// Errors begin with the line and are in words of JSON, without names of Go's types.
func Decode(data []byte, most int, v any) error {
	err := decode(data, most, v)
	line := func(offset int64) int {
		return 1 + bytes.Count(data[:min(max(0, offset), int64(len(data)))], []byte("\n"))
	}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("%d: %w", line(syntax.Offset), err)
	case errors.As(err, &kind):
		return fmt.Errorf("%d: %w", line(kind.Offset), wrongKind(kind))
	}
	return err
}

// DecodeLine is [Decode] of a line, whose number is somebody else's to say. What encoding/json would lose
// without a word is an error ([Lost]).
func DecodeLine(line []byte, most int, v any) error {
	if err := decode(line, most, v); err != nil {
		return InWords(err)
	}
	return Lost(line)
}

func decode(data []byte, most int, v any) error {
	if !utf8.Valid(data) {
		return errors.New("not valid utf-8, want json")
	}
	if bytes.HasPrefix(data, []byte("\ufeff")) {
		return errors.New("1: it begins with a byte order mark, want JSON in UTF-8 without one")
	}
	if !Within(data, most) {
		return fmt.Errorf("more than %d values, want fewer", most)
	}
	return json.Unmarshal(data, v)
}

// Within reports whether a text of JSON has at most most values, its keys and what is
// inside of lists and objects among them. It counts commas, colons and brackets that
// open, so that an empty list or object counts as one more.
func Within(data []byte, most int) bool {
	n := 1
	for i := 0; i < len(data) && n <= most; i++ {
		switch data[i] {
		case ',', ':', '[', '{':
			n++
		case '"':
			i += textEnd(data[i:])
		}
	}
	return n <= most
}

// textEnd is how far the quote lies that ends the text which s begins with.
func textEnd(s []byte) int {
	for end := 1; end < len(s); end++ {
		n := bytes.IndexByte(s[end:], '"')
		if n < 0 {
			break
		}
		end += n
		escapes := 0
		for s[end-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return end
		}
	}
	return len(s)
}

// InWords is an error of encoding/json in words of JSON: of a value that is of another type
// than the one wanted it says so without names of Go's types. Others stay as they are.
func InWords(err error) error {
	var kind *json.UnmarshalTypeError
	if !errors.As(err, &kind) {
		return err
	}
	return wrongKind(kind)
}

func wrongKind(err *json.UnmarshalTypeError) error {
	at, is := err.Field, kinds[err.Value]
	if at == "" {
		at = "the value"
	}
	if is == "" {
		is = strings.TrimPrefix(err.Value, "number ")
	}
	return fmt.Errorf("%.200s is %.40s, want %s", at, is, kindOf(err.Type)+rangeOf(is, err.Type))
}

// kinds are the values of JSON by the names that encoding/json has for them.
var kinds = map[string]string{
	"array": "a list", "object": "an object", "string": "text", "bool": "true or false", "number": "a number",
}

// rangeOf says which numbers a type holds, where a number of its kind is none of them.
func rangeOf(number string, t reflect.Type) string {
	if number == "" || strings.IndexByte("-0123456789", number[0]) < 0 { // no number
		return ""
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	whole := !strings.ContainsAny(number, ".eE")
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if whole {
			return fmt.Sprintf(" from %d to %d", int64(-1)<<(t.Bits()-1), int64(math.MaxInt64)>>(64-t.Bits()))
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if whole {
			return fmt.Sprintf(" from 0 to %d", uint64(math.MaxUint64)>>(64-t.Bits()))
		}
	case reflect.Float32, reflect.Float64:
		return " that its type can hold"
	}
	return ""
}

// kindOf is what JSON calls the values that become a type.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return kindOf(t.Elem())
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "an integer"
}
