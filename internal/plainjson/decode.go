package plainjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Decode decodes JSON that others made, of at most most values: one of two bytes
// becomes a hundred in memory, so that the size of a file is no bound on what it takes.
// Errors are in words of JSON ([InWords]) and know their line, for [In].
func Decode(data []byte, most int, v any) error {
	err := decode(data, most, v)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		b := whatIsBroken(data, err)
		if b.at < 0 {
			line, _ := lineOf(data, len(data))
			return OnLine(line, b.from(0))
		}
		line, begins := lineOf(data, b.at)
		return OnLine(line, b.from(begins))
	case errors.As(err, &kind):
		line, _ := lineOf(data, int(kind.Offset)-1)
		return OnLine(line, wrongKind(data, kind))
	}
	return InWords(data, err)
}

// DecodeLine is [Decode] of a line, whose number is somebody else's to say. What encoding/json would lose
// without a word is an error ([Lost]).
func DecodeLine(line []byte, most int, v any) error {
	if err := decode(line, most, v); err != nil {
		return InWords(line, err)
	}
	return Lost(line)
}

func decode(data []byte, most int, v any) error {
	if !utf8.Valid(data) {
		return errors.New("not valid utf-8, want json")
	}
	if bytes.HasPrefix(data, []byte("\ufeff")) {
		return OnLine(1, errors.New("it begins with a byte order mark, want JSON in UTF-8 without one"))
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
