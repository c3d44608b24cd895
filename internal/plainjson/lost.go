package plainjson

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Lost is the error of valid JSON of which encoding/json would lose something: half a surrogate pair, or the
// first of two values of a key.
func Lost(text []byte) error {
	if at := LoneSurrogate(text); at >= 0 {
		return fmt.Errorf("%s at byte %d is half a surrogate pair and no character", text[at:at+6], at+1)
	}
	if key := Repeated(text); key != "" {
		return fmt.Errorf("the key %.40q is there twice, want it once", key)
	}
	return nil
}

// LoneSurrogate finds an escape such as \ud83d without its other half, which
// encoding/json would read as U+FFFD without a word; -1: there is none.
func LoneSurrogate(line []byte) int {
	half := func(at int) byte { // 'h'igh, 'l'ow or 0
		if at+6 > len(line) || line[at] != '\\' || line[at+1] != 'u' || line[at+2]|0x20 != 'd' {
			return 0
		}
		switch c := line[at+3] | 0x20; {
		case '8' <= line[at+3] && line[at+3] <= '9' || c == 'a' || c == 'b':
			return 'h'
		case 'c' <= c && c <= 'f':
			return 'l'
		}
		return 0
	}
	for at := 0; ; {
		i := bytes.IndexByte(line[at:], '\\')
		if i < 0 {
			return -1
		}
		at += i
		switch half(at) {
		case 'l':
			return at
		case 'h':
			if half(at+6) != 'l' {
				return at
			}
			at += 12
		default:
			at = min(at+2, len(line)) // the escaped character may be a backslash
		}
	}
}

// Repeated names a key that an object within a value of JSON has twice, "" for none: encoding/json would take the
// last of its values and say nothing of the others.
func Repeated(raw []byte) string {
	var open []map[string]bool // of what is open, the keys; nil: it has none, or is a list
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '{', '[':
			open = append(open, nil)
		case '}', ']':
			open = open[:len(open)-1]
		case '"':
			end := i + textEnd(raw[i:])
			next := end + 1
			for next < len(raw) && bytes.IndexByte([]byte(" \t\r\n"), raw[next]) >= 0 {
				next++
			}
			if next < len(raw) && raw[next] == ':' {
				key, keys := keyOf(raw[i:end+1]), &open[len(open)-1]
				if (*keys)[key] {
					return key
				}
				if *keys == nil {
					*keys = map[string]bool{}
				}
				(*keys)[key] = true
			}
			i = end
		}
	}
	return ""
}

// keyOf is what a quoted key says.
func keyOf(quoted []byte) (key string) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	json.Unmarshal(quoted, &key) // it is valid
	return key
}
