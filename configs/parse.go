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

// unreadable is why a text could not be read at all, and where, from 1.
type unreadable struct {
	line, column int
	text         string
}

// parse reads one YAML document. nil without a problem stands for an empty one.
func parse(raw []byte) (root *yaml.Node, bad *unreadable) {
	if len(raw) > maxBytes {
		return nil, &unreadable{1, 1, fmt.Sprintf("%d bytes, want at most %d", len(raw), maxBytes)}
	}
	if at := invalidUTF8(raw); at >= 0 {
		return nil, unreadableAt(raw, at, "a byte that is not UTF-8, want UTF-8 text")
	}
	// The library gives up on some malformed input by panicking.
	defer func() {
		if e := recover(); e != nil {
			root, bad = nil, &unreadable{1, 1, fmt.Sprintf("not YAML (%v)", e)}
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, syntax(raw, err)
	}
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, syntax(raw, err)
	default:
		return nil, &unreadable{max(1, second.Line), 1, "a second YAML document, want one"}
	}
	if len(doc.Content) != 1 {
		return nil, nil
	}
	return doc.Content[0], nil
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

var (
	yamlLine      = regexp.MustCompile(`^line (\d+): `)
	tabIndent     = regexp.MustCompile(`(?m)^ *\t`)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// syntax takes the library's error apart. Its lines are those of the scanner's
// errors from 1, and of the parser's, which all begin alike, from 0.
func syntax(raw []byte, err error) *unreadable {
	s := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := yamlLine.FindStringSubmatch(s); m != nil {
		line, _ = strconv.Atoi(m[1])
		s = s[len(m[0]):]
		if strings.HasPrefix(s, "did not find expected") {
			line++
		}
	}
	text := "not YAML: " + printable(s)
	if m := unknownAnchor.FindStringSubmatch(s); m != nil {
		return unreadableAt(raw, max(0, bytes.Index(raw, []byte("*"+m[1]))), text+"; text that begins with * needs quotes")
	}
	switch {
	case strings.Contains(s, "tab character"), strings.Contains(s, "cannot start any token"):
		text += "; YAML is indented with spaces, not tabs, and text that begins with @, ` or % needs quotes"
		if m := tabIndent.FindIndex(raw[lineStart(raw, line):lineStart(raw, line+2)]); m != nil {
			return unreadableAt(raw, lineStart(raw, line)+m[1]-1, text)
		}
	case strings.Contains(s, "mapping values are not allowed"):
		text += "; a key is indented more or less than its neighbours, or text with \": \" in it needs quotes"
	case strings.Contains(s, "',' or"):
		text += "; a bracket that opens here is not closed, or a comma is missing"
	case strings.Contains(s, "expected key"):
		text += "; a key is indented more or less than its neighbours, or a quote ends too early"
	}
	at := lineStart(raw, line)
	return unreadableAt(raw, len(raw)-len(bytes.TrimLeft(raw[at:], " ")), text)
}

// lineStart is the offset at which a line, from 1, begins.
func lineStart(raw []byte, line int) int {
	at := 0
	for ; line > 1; line-- {
		n := bytes.IndexByte(raw[at:], '\n')
		if n < 0 {
			break
		}
		at += n + 1
	}
	return at
}

func unreadableAt(raw []byte, at int, text string) *unreadable {
	before := raw[:min(at, len(raw))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return &unreadable{1 + bytes.Count(before, []byte("\n")), 1 + utf8.RuneCount(before[start:]), text}
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
