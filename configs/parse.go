package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Bounds of a file: a config comes from anywhere, and YAML's aliases and merge
// keys let a short text stand for an endless one.
const (
	maxBytes  = 256 << 10
	maxDepth  = 24
	maxValues = 20_000 // values looked at, those reached again through aliases included
)

// parse reads one YAML document. nil without an error stands for an empty one.
// A problem's position is given by line and column, from 1.
func parse(raw []byte) (root *yaml.Node, line int, problem string) {
	if len(raw) > maxBytes {
		return nil, 1, fmt.Sprintf("%d bytes, want at most %d", len(raw), maxBytes)
	}
	if at := invalidUTF8(raw); at >= 0 {
		return nil, 1 + bytes.Count(raw[:at], []byte("\n")), "a byte that is not UTF-8, want UTF-8 text"
	}
	// The library gives up on some malformed input by panicking.
	defer func() {
		if e := recover(); e != nil {
			root, line, problem = nil, 1, fmt.Sprintf("not YAML (%v)", e)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, 0, ""
	case err != nil:
		line, problem = syntax(err)
		return nil, line, problem
	}
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		line, problem = syntax(err)
		return nil, line, problem
	default:
		return nil, max(1, second.Line), "a second YAML document, want one"
	}
	if len(doc.Content) != 1 {
		return nil, 0, ""
	}
	return doc.Content[0], 0, ""
}

func invalidUTF8(raw []byte) int {
	for i := 0; i < len(raw); {
		r, n := utf8.DecodeRune(raw[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// syntax takes the library's error apart.
func syntax(err error) (line int, problem string) {
	s := strings.TrimPrefix(err.Error(), "yaml: ")
	line = 1
	if m := yamlLine.FindStringSubmatch(s); m != nil {
		line, _ = strconv.Atoi(m[1])
		s = s[len(m[0]):]
	}
	switch {
	case strings.Contains(s, "cannot start any token"):
		s += "; YAML is indented with spaces, not tabs, and text that begins with @, ` or % needs quotes"
	case strings.Contains(s, "mapping values are not allowed"):
		s += "; a key is indented more or less than its neighbours, or text with \": \" in it needs quotes"
	}
	return max(1, line), "not YAML: " + printable(s)
}

// deref follows an alias to what it stands for.
func deref(n *yaml.Node) *yaml.Node {
	for i := 0; n.Kind == yaml.AliasNode && n.Alias != nil && i < maxDepth; i++ {
		n = n.Alias
	}
	return n
}

// describe says what a node is, for "what is there".
func describe(n *yaml.Node) string {
	n = deref(n)
	switch n.Kind {
	case yaml.SequenceNode:
		return fmt.Sprintf("a list of %d", len(n.Content))
	case yaml.MappingNode:
		return "a map of keys"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing (null)"
	case "!!bool", "!!int", "!!float":
		return printable(n.Value)
	case "!!str":
		return quoted(n.Value)
	case "!!timestamp":
		return "the date " + printable(n.Value)
	}
	return fmt.Sprintf("%s tagged %s", quoted(n.Value), printable(n.Tag))
}

func quoted(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "..."
	}
	return strconv.Quote(s)
}

var decimal = regexp.MustCompile(`^[-+]?(0|[1-9][0-9_]*)$`)

// asInt reads an integer written in decimal.
func asInt(n *yaml.Node) (int64, bool) {
	v, err := strconv.ParseInt(digits(n), 10, 64)
	return v, err == nil
}

// asUint reads one that may be as large as 2^64-1.
func asUint(n *yaml.Node) (uint64, bool) {
	v, err := strconv.ParseUint(digits(n), 10, 64)
	return v, err == nil
}

func digits(n *yaml.Node) string {
	if n.ShortTag() != "!!int" || !decimal.MatchString(n.Value) {
		return ""
	}
	return strings.TrimPrefix(strings.ReplaceAll(n.Value, "_", ""), "+")
}

// asFloat reads a finite number.
func asFloat(n *yaml.Node) (float64, bool) {
	switch n.ShortTag() {
	case "!!int":
		if !decimal.MatchString(n.Value) {
			return 0, false
		}
	case "!!float":
	default:
		return 0, false
	}
	v, err := strconv.ParseFloat(strings.ReplaceAll(n.Value, "_", ""), 64)
	return v, err == nil && v-v == 0 // neither infinite nor NaN
}
