package plainjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Unmarshal is json.Unmarshal whose errors are in words of JSON.
func Unmarshal(data []byte, v any) error {
	if data == nil {
		data = []byte{}
	}
	return InWords(data, json.Unmarshal(data, v))
}

// InWords is an error of encoding/json about a text in words of JSON: at which byte it breaks, what is there and what is
// wanted, or which value is of another kind than the one wanted, without names of Go's types. Others stay as they are, and
// so does an error of a broken text where the text is nil: somebody else knows it.
func InWords(text []byte, err error) error {
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind):
		return wrongKind(text, kind)
	case text != nil && isBroken(err):
		return whatIsBroken(text, err).from(0)
	}
	if key, ok := Unknown(err); ok {
		return fmt.Errorf("unknown key %s", key)
	}
	return err
}

// Unknown is the key, in quotes, that a decoder was not to know.
func Unknown(err error) (key string, ok bool) {
	return strings.CutPrefix(fmt.Sprint(err), "json: unknown field ")
}

// onLine is an error of a line.
type onLine struct {
	line int
	err  error
}

func (e *onLine) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }
func (e *onLine) Unwrap() error { return e.err }

// OnLine is an error that knows its line, from 1.
func OnLine(line int, err error) error { return &onLine{line, err} }

// In is an error of a file, with the line where it knows one.
func In(file string, err error) error {
	if e, ok := err.(*onLine); ok {
		return fmt.Errorf("%s:%d: %w", file, e.line, e.err)
	}
	return fmt.Errorf("%s: %w", file, err)
}

// isBroken reports whether an error is of a text that is no JSON.
func isBroken(err error) bool {
	var syntax *json.SyntaxError
	return errors.As(err, &syntax) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// broken is why a text is no JSON, and at which byte, from 0.
type broken struct {
	at  int
	why string
}

// from is the error, with bytes counted from the one where a line begins.
func (b broken) from(begins int) error {
	if b.why == "" {
		return errors.New(nothing)
	}
	if b.at < 0 {
		return fmt.Errorf("broken JSON: %s", b.why)
	}
	return fmt.Errorf("broken JSON at byte %d: %s", b.at+1-begins, b.why)
}

const nothing = "nothing is there, want JSON"

// lineOf is the line of a place, from 1, and where the line begins.
func lineOf(text []byte, at int) (line, begins int) {
	before := text[:min(max(0, at), len(text))]
	return 1 + bytes.Count(before, []byte("\n")), 1 + bytes.LastIndexByte(before, '\n')
}

// whatIsBroken says what a text is instead of JSON, where err says that it is none.
func whatIsBroken(text []byte, err error) broken {
	var ignored json.RawMessage
	var syntax *json.SyntaxError
	if !errors.As(json.Unmarshal(text, &ignored), &syntax) && !errors.As(err, &syntax) { // what decoders say has no place
		return broken{-1, "it ends in the middle"}
	}
	says, at := syntax.Error(), int(syntax.Offset)-1
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return broken{at: 0}
	case strings.HasPrefix(says, "unexpected end"):
		return broken{-1, fmt.Sprintf("it ends in the middle, after %d bytes", len(text))}
	case at < 0 || at >= len(text):
		return broken{-1, "it is none"}
	}
	want, what := wanted(says), mistake{}
	if !strings.Contains(says, " in string ") && !strings.Contains(says, "escape") {
		what = found(text, at)
	}
	if what.is == "" {
		what = mistake{at: at, is: fmt.Sprintf("a byte %#02x", text[at])}
		if r, size := utf8.DecodeRune(text[at:]); r != utf8.RuneError || size > 1 {
			what.is = fmt.Sprintf("%q", r)
		}
	}
	if what.want != "" {
		want = what.want
	}
	return broken{what.at, what.is + ", want " + want}
}

// mistake is what people and programs write instead of JSON.
type mistake struct {
	at       int
	is, want string
}

// found recognises what breaks a text at a place.
func found(text []byte, at int) mistake {
	for _, word := range []string{"NaN", "-Infinity", "Infinity", "None", "True", "False"} {
		from := at - strings.IndexAny(word, "NITF")
		if from >= 0 && bytes.HasPrefix(text[from:], []byte(word)) {
			return mistake{from, word + ", which Python writes and JSON does not have", "null or what it has"}
		}
	}
	switch before := bytes.TrimRight(text[:at], " \t\r\n"); {
	case text[at] == '\'':
		return mistake{at, "a single quote, as Python's repr writes it", "JSON (json.dumps)"}
	case text[at] == '/':
		return mistake{at, "a comment, which JSON does not have", ""}
	case bytes.HasSuffix(before, []byte(",")) && (text[at] == '}' || text[at] == ']'):
		return mistake{len(before) - 1, fmt.Sprintf("a comma before %q", text[at]), "none there"}
	}
	return mistake{}
}

// contexts are what encoding/json says of where a byte is that it cannot read, and what would be right there.
var contexts = []struct{ says, want string }{
	{"beginning of value", "a value"},
	{"object key string", "a key in double quotes"},
	{"after object key:value pair", "a comma or }"},
	{"after object key", "a colon behind the key"},
	{"after array element", "a comma or ]"},
	{"after top-level value", "nothing behind the value"},
	{"in string escape code", `one of "\/bfnrtu behind \`},
	{"hexadecimal character escape", `four hexadecimal digits behind \u`},
	{"in string literal", `it as an escape, such as \n`},
	{"numeric literal", "a digit"},
	{"literal true", "true"},
	{"literal false", "false"},
	{"literal null", "null"},
	{"max depth", "fewer lists and objects in each other"},
}

func wanted(says string) string {
	for _, c := range contexts {
		if strings.Contains(says, c.says) {
			return c.want
		}
	}
	return "JSON"
}

func wrongKind(text []byte, err *json.UnmarshalTypeError) error {
	at, is := err.Field, kinds[err.Value]
	if text != nil {
		at = pathAt(text, int(err.Offset)-1)
	}
	if at == "" {
		at = "the value"
	}
	if is == "" {
		is = strings.TrimPrefix(err.Value, "number ")
	}
	return fmt.Errorf("%.200s is %.40s, want %s", at, is, kindOf(err.Type)+rangeOf(is, err.Type))
}

// pathAt is where in a text of JSON the value lies that the byte at at is of, such as layers[2].size; "" for all of it.
func pathAt(text []byte, at int) string {
	type container struct {
		key   string
		place int // in a list; -1: it is an object
	}
	var open []container
	for i := 0; i < min(at, len(text)); i++ {
		switch text[i] {
		case '{':
			open = append(open, container{place: -1})
		case '[':
			open = append(open, container{})
		case '}', ']':
			open = open[:max(0, len(open)-1)]
		case ',':
			if n := len(open) - 1; n >= 0 && open[n].place >= 0 {
				open[n].place++
			}
		case '"':
			end := i + textEnd(text[i:])
			if behind := bytes.TrimLeft(text[min(end+1, len(text)):], " \t\r\n"); len(open) > 0 && bytes.HasPrefix(behind, []byte(":")) {
				open[len(open)-1].key = keyOf(text[i : end+1])
			}
			i = end
		}
	}
	path := ""
	for _, c := range open {
		if c.place >= 0 {
			path += fmt.Sprintf("[%d]", c.place)
		} else {
			path += "." + c.key
		}
	}
	return strings.TrimPrefix(path, ".")
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
		if t == reflect.TypeFor[json.Number]() {
			return "a number"
		}
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
