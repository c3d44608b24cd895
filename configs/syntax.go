package configs

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

var (
	yamlLine      = regexp.MustCompile(`^line (\d+): `)
	tabIndent     = regexp.MustCompile(`(?m)^[ -]*\t`)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// unreadable is why a text could not be read at all, and where, from 1. The text ends with
// the advice, where there is some.
type unreadable struct {
	line, column int
	text, advice string
}

// expected is what the library's parser says that it did not find. Its lines are those of
// what the parser was in the middle of, from 0; the scanner's are from 1, and exact.
var expected = []string{"key", "'-' indicator", "node content", "',' or ']'", "',' or '}'", "<document start>", "<stream-start>"}

// mistakes are what the library says of text that is not YAML, by a part of it, with what
// people did and what helps. signs are what the text begins with that is at fault.
var mistakes = []struct{ says, signs, advice string }{
	{"tab character", "", noTabs},
	{"cannot start any token", "@`%", noTabs},
	{"alphabetic or numeric character", "*&", "text that begins with * or & needs quotes"},
	{"comment or line break", "|>", "text that begins with | or > needs quotes"},
	{"block sequence entries are not allowed", "-", "text that begins with - and a blank needs quotes"},
	{"mapping keys are not allowed", "?", "text that begins with ? and a blank needs quotes"},
	{"mapping values are not allowed", "", "a key is indented more or less than its neighbours, or text with \": \" in it needs quotes"},
	{"',' or", "", "a bracket that opens here is not closed, or a comma is missing"},
	{" key", "[{'\"",
		"a key is indented more or less than its neighbours, a quote ends too early, or text that begins with [ or { needs quotes"},
	{"'-' indicator", "[{'\"",
		"a line is indented more or less than its neighbours, a quote ends too early, or text that begins with [ or { needs quotes"},
	{"unexpected end of stream", "\"'", "a quote that opens here is not closed"},
}

const noTabs = "YAML is indented with spaces, not tabs, and text that begins with @, ` or % needs quotes"

// backslashes is the way out where a path of Windows stands in double quotes.
const backslashes = "in double quotes a backslash begins an escape; use single quotes or /"

// syntax takes the library's error apart.
func syntax(raw []byte, err error) *unreadable {
	line, s := placeOf(err)
	text := "not YAML: " + printable(s)
	if m := unknownAnchor.FindStringSubmatch(s); m != nil {
		return unreadableAt(raw, max(0, bytes.Index(raw, []byte("*"+m[1]))), text, "text that begins with * needs quotes")
	}
	if strings.Contains(s, "escape") || strings.Contains(s, "hexdecimal") {
		if at, escape := badEscape(raw, lineStart(raw, line)); at >= 0 {
			return unreadableAt(raw, at, fmt.Sprintf("not YAML: %s is no escape", printable(escape)), backslashes)
		}
	}
	if slices.Contains(expected, strings.TrimPrefix(s, "did not find expected ")) {
		line = failsFrom(raw, line, err.Error())
	}
	at := lineStart(raw, min(line, 1+bytes.Count(raw, []byte("\n"))))
	this, _, _ := bytes.Cut(raw[at:], []byte("\n"))
	column := len(this) - len(bytes.TrimLeft(this, " "))
	advice := ""
	for _, m := range mistakes {
		if !strings.Contains(s, m.says) {
			continue
		}
		advice = m.advice
		if tab := tabIndent.FindIndex(raw[at:lineStart(raw, line+2)]); tab != nil && advice == noTabs {
			column = tab[1] - 1
		} else if i := beginsWith(this, m.signs); i >= 0 {
			column = i
		}
		break
	}
	return unreadableAt(raw, at+column, text, advice)
}

// placeOf is the line that an error of the library names, from 1, and what it says.
func placeOf(err error) (line int, says string) {
	says = strings.TrimPrefix(err.Error(), "yaml: ")
	line = 1
	if m := yamlLine.FindStringSubmatch(says); m != nil {
		line, _ = strconv.Atoi(m[1])
		says = says[len(m[0]):]
		if slices.Contains(expected, strings.TrimPrefix(says, "did not find expected ")) {
			line++
		}
	}
	return line, says
}

// failsFrom is the first line, from one on, up to which the text fails as all of it does:
// the library names the start of what it was in the middle of.
func failsFrom(raw []byte, line int, says string) int {
	fails := func(upTo int) bool {
		dec := yaml.NewDecoder(bytes.NewReader(raw[:lineStart(raw, upTo+1)]))
		for {
			var doc yaml.Node
			switch err := dec.Decode(&doc); {
			case err == io.EOF:
				return false
			case err != nil:
				return err.Error() == says
			}
		}
	}
	last := line + bytes.Count(raw[lineStart(raw, line):], []byte("\n"))
	for line < last {
		if middle := (line + last) / 2; fails(middle) {
			last = middle
		} else {
			line = middle + 1
		}
	}
	return line
}

// badEscape finds the first escape from a place on, in a text in double quotes, that YAML
// has not: its place, and the escape; -1 for none.
func badEscape(raw []byte, from int) (at int, escape string) {
	quoted := false
	for i := from; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\n' && !quoted:
			return -1, ""
		case c == '\\' && quoted && i+1 < len(raw):
			digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[raw[i+1]]
			end := i + 2
			for end < len(raw) && end < i+2+digits && strings.IndexByte("0123456789abcdefABCDEF", raw[end]) >= 0 {
				end++
			}
			code, _ := strconv.ParseUint(string(raw[i+2:end]), 16, 64)
			if end < i+2+digits || code > utf8.MaxRune || strings.IndexByte("0abt\tnvfre \"/\\N_LPxuU\n\r", raw[i+1]) < 0 {
				_, size := utf8.DecodeRune(raw[i+1:])
				return i, string(raw[i : i+1+size])
			}
			i++
		}
	}
	return -1, ""
}

// beginsWith finds a value of a line that begins with one of some signs; -1 for none.
func beginsWith(line []byte, signs string) int {
	if signs == "" {
		return -1
	}
	starts := true
	for i, c := range line {
		switch {
		case starts && strings.IndexByte(signs, c) >= 0:
			return i
		case c == ' ':
			starts = starts || i > 0 && strings.IndexByte(":-,?", line[i-1]) >= 0
		default:
			starts = strings.IndexByte("[{,", c) >= 0 || c == '-' && starts
		}
	}
	return -1
}

// lineStart is the offset at which a line, from 1, begins.
func lineStart(raw []byte, line int) int {
	at := 0
	for ; line > 1; line-- {
		n := bytes.IndexByte(raw[at:], '\n')
		if n < 0 {
			return len(raw)
		}
		at += n + 1
	}
	return at
}

// unreadableAt is an error at an offset.
func unreadableAt(raw []byte, at int, text, advice string) *unreadable {
	before := raw[:min(at, len(raw))]
	start := bytes.LastIndexByte(before, '\n') + 1
	if advice != "" {
		text += "; " + advice
	}
	return &unreadable{1 + bytes.Count(before, []byte("\n")), 1 + utf8.RuneCount(before[start:]), text, advice}
}
