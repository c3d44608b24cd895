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

// parse reads one YAML document. nil without a problem stands for an empty one.
func parse(raw []byte) (root *yaml.Node, bad *unreadable) {
	if len(raw) > maxBytes {
		return nil, &unreadable{1, 1, fmt.Sprintf("%d bytes, want at most %d", len(raw), maxBytes), ""}
	}
	if bytes.HasPrefix(raw, []byte("\xff\xfe")) || bytes.HasPrefix(raw, []byte("\xfe\xff")) {
		return nil, &unreadable{1, 1, "text in UTF-16, want UTF-8: save the file as UTF-8", ""}
	}
	if at := invalidUTF8(raw); at >= 0 {
		return nil, unreadableAt(raw, at, "a byte that is not UTF-8, want UTF-8 text", "")
	}
	// The library gives up on some malformed input by panicking.
	defer func() {
		if e := recover(); e != nil {
			root, bad = nil, &unreadable{1, 1, fmt.Sprintf("not YAML (%v)", e), ""}
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
		return nil, &unreadable{max(1, second.Line), 1, "a second YAML document, want one", ""}
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
