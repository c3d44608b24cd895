package record

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf16"
)

// A record is checked by encoding/json as a whole. Its pieces, messages and their texts,
// are then cut out of it as they stand there, instead of having every level read, and
// checked, again. These functions want valid JSON without blanks around it.

// fields is a record or a message, by its keys.
type fields map[string]json.RawMessage

// cutObject cuts an object into the values of its keys; of two that are the same the
// later one counts. null is an object without keys; ok is false for all else.
func cutObject(raw []byte) (f fields, ok bool) {
	f, _, ok = cutOnce(raw)
	return f, ok
}

// cutOnce is cutObject, and names a key that is there twice, "" for none.
func cutOnce(raw []byte) (f fields, twice string, ok bool) {
	if string(raw) == "null" {
		return nil, "", true
	}
	f = fields{}
	ok = eachKey(raw, func(key string, value json.RawMessage) {
		before := len(f)
		if f[key] = value; len(f) == before {
			twice = key
		}
	})
	return f, twice, ok
}

// eachKey hands out the keys of an object with their values, in their order. It reports
// whether it is one.
func eachKey(raw []byte, take func(key string, value json.RawMessage)) bool {
	return cut(raw, '{', func(s []byte) int {
		key := textEnd(s)
		from := key + blanks(s[key:]) + 1 // behind the colon
		from += blanks(s[from:])
		to := from + valueEnd(s[from:])
		take(cutText(s[:key]), s[from:to:to])
		return to
	})
}

// cutList cuts a list into its values. null is an empty one.
func cutList(raw []byte) (list []json.RawMessage, ok bool) {
	if string(raw) == "null" {
		return nil, true
	}
	ok = cut(raw, '[', func(s []byte) int {
		to := valueEnd(s)
		list = append(list, s[:to:to])
		return to
	})
	return list, ok
}

// cut hands what begins with an item to item, which returns where that ends, for all
// items of an object or a list.
func cut(raw []byte, open byte, item func([]byte) int) bool {
	if raw[0] != open {
		return false
	}
	s := raw[1:]
	for {
		s = s[blanks(s):]
		switch s[0] {
		case '}', ']':
			return true
		case ',':
			s = s[1:]
		default:
			s = s[item(s):]
		}
	}
}

// blanks counts the blanks before a value.
func blanks(s []byte) int {
	n := 0
	for n < len(s) && (s[n] == ' ' || s[n] == '\t' || s[n] == '\n' || s[n] == '\r') {
		n++
	}
	return n
}

// valueEnd is where the value that s begins with ends.
func valueEnd(s []byte) int {
	switch s[0] {
	case '"':
		return textEnd(s)
	case '{', '[':
	default: // a number, true, false or null
		if i := bytes.IndexAny(s, ",]} \t\r\n"); i >= 0 {
			return i
		}
		return len(s)
	}
	for i, depth := 0, 0; ; {
		switch s[i] {
		case '"':
			i += textEnd(s[i:])
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if i++; depth == 0 {
			return i
		}
	}
}

// textEnd is where the text that s begins with ends, its quote included.
func textEnd(s []byte) int {
	for end := 1; ; {
		end += bytes.IndexByte(s[end:], '"') + 1
		escapes := 0
		for s[end-2-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return end
		}
	}
}

// cutText is the text that a quoted one stands for.
func cutText(quoted []byte) string {
	s := quoted[1 : len(quoted)-1]
	at := bytes.IndexByte(s, '\\')
	if at < 0 {
		return string(s)
	}
	var out strings.Builder
	out.Grow(len(s))
	for ; at >= 0; at = bytes.IndexByte(s, '\\') {
		out.Write(s[:at])
		c := s[at+1]
		s = s[at+2:]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r := hex4(s)
			s = s[4:]
			if utf16.IsSurrogate(r) {
				low := rune(0)
				if len(s) >= 6 && s[0] == '\\' && s[1] == 'u' {
					low = hex4(s[2:])
				}
				if r = utf16.DecodeRune(r, low); r != '\uFFFD' {
					s = s[6:]
				}
			}
			out.WriteRune(r)
			continue
		}
		out.WriteByte(c) // of \", \\ and \/ itself
	}
	out.Write(s)
	return out.String()
}

func hex4(s []byte) (r rune) {
	for _, c := range s[:4] {
		switch {
		case c >= 'a':
			c -= 'a' - 10
		case c >= 'A':
			c -= 'A' - 10
		default:
			c -= '0'
		}
		r = r<<4 | rune(c)
	}
	return r
}

// absent reports whether a value says nothing: null, blank text, an empty list or object.
func absent(raw json.RawMessage) bool {
	switch raw[0] {
	case 'n':
		return true
	case '[', '{':
		return len(bytes.TrimSpace(raw[1:len(raw)-1])) == 0
	case '"':
		for s := raw[1 : len(raw)-1]; len(s) > 0; s = s[1:] {
			if s[0] == '\\' {
				s = s[1:]
				if !bytes.ContainsRune([]byte("nrt"), rune(s[0])) {
					return false
				}
			} else if s[0] != ' ' {
				return false
			}
		}
		return true
	}
	return false
}
