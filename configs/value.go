package configs

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// read takes the value of a key from a node without nodes below it. problem, if not
// "", says what is there and what is wanted.
func (f *field) read(s *yaml.Node) (v any, problem string) {
	if s.Kind == yaml.ScalarNode {
		switch f.kind {
		case whole:
			if f.typ.Kind() == reflect.Uint64 {
				if u, ok := asUint(s); ok && f.within(float64(u)) {
					return u, ""
				}
			} else if i, ok := asInt(s); ok && f.within(float64(i)) && int64(int(i)) == i {
				return int(i), ""
			}
		case number:
			if x, ok := asFloat(s); ok && f.within(x) {
				return x, ""
			}
		case boolean:
			if s.ShortTag() == "!!bool" {
				return s.Value == "true" || s.Value == "True" || s.Value == "TRUE", ""
			}
		case coded:
			if t := s.ShortTag(); t == "!!str" || t == "!!int" {
				return f.decode(s.Value)
			}
		case text:
			if s.ShortTag() == "!!str" {
				v, problem := f.readText(s.Value)
				switch quoted := s.Style&yaml.DoubleQuotedStyle != 0; {
				case quoted && strings.ContainsFunc(s.Value, control):
					problem += "; " + backslashes
				case quoted && drive.MatchString(s.Value):
					problem = describe(s) + " has a blank or a line end that an escape made, want plain text; " + backslashes
				}
				return v, problem
			}
			// true and false of an enumeration may stand without quotes
			if low := strings.ToLower(s.Value); s.ShortTag() == "!!bool" && slices.Contains(f.enum, low) {
				return low, ""
			}
		}
	}
	return nil, describe(s) + ", want " + f.want() + f.remark(s)
}

func (f *field) readText(s string) (v any, problem string) {
	switch {
	case f.enum != nil && !slices.Contains(f.enum, s):
		return nil, quoted(s) + ", want " + f.want() + nearest(s, f.enum)
	case f.enum == nil && (s == "~" || strings.HasPrefix(s, "~/") || strings.HasPrefix(s, "$")):
		return nil, quoted(s) + ", want it written out: ~ and $ mean something to a shell only"
	case strings.ContainsFunc(s, control) || !utf8.ValidString(s):
		return nil, quoted(s) + " has a control character, want text of one line"
	}
	return s, ""
}

func (f *field) decode(s string) (v any, problem string) {
	x := reflect.New(f.typ)
	if err := x.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
		return nil, err.Error()
	}
	return x.Elem().Interface(), ""
}

// remark is advice on a mistake of which the cause can be seen.
func (f *field) remark(s *yaml.Node) string {
	if s.Kind != yaml.ScalarNode {
		return ""
	}
	switch tag := s.ShortTag(); {
	case f.kind == section:
		if tag == "!!bool" && f.name == "packing" {
			return " (samples are always packed, and never see each other)"
		}
		if first := f.keys[0]; tag == "!!str" && first.kind == text {
			return printable(fmt.Sprintf("; did you mean {%s: %s}?", first.name, scalar(s.Value)))
		}
	case f.kind == list:
		return asSource(s, "; did you mean [{path: %s}]?")
	case tag == "!!null" && f.kind == text:
		return "; text that begins with # needs quotes; leave the key out for the default"
	case tag == "!!null":
		return "; leave the key out for the default"
	case f.kind == text && f.enum == nil:
		return "; put it in quotes"
	case tag == "!!str" && (f.kind == whole || f.kind == number):
		if _, err := strconv.ParseFloat(s.Value, 64); err == nil {
			return ", without quotes"
		}
		if point := strings.Replace(s.Value, ",", ".", 1); f.kind == number && point != s.Value {
			if _, err := strconv.ParseFloat(point, 64); err == nil {
				return ", with a point: " + point
			}
		}
		if durationLike(s.Value) {
			return "; steps are counted, not timed"
		}
	case tag == "!!float" && f.kind == whole:
		if v, ok := asFloat(s); ok && v == float64(int64(v)) {
			return fmt.Sprintf(": write %d", int64(v))
		}
	case tag == "!!int" && !decimal.MatchString(s.Value):
		return ", written in decimal"
	case tag == "!!str" && f.kind == boolean:
		return " without quotes"
	}
	return ""
}

// asSource suggests a source for text that stands where one is wanted.
func asSource(s *yaml.Node, format string) string {
	if s.Kind != yaml.ScalarNode || s.ShortTag() != "!!str" {
		return ""
	}
	return printable(fmt.Sprintf(format, scalar(s.Value)))
}

// durationLike recognises 10m, 1h30m, 500ms.
func durationLike(s string) bool {
	digits := strings.TrimRight(s, "hmsun")
	return digits != s && digits != "" && strings.Trim(digits, "0123456789.hms") == ""
}
