// Package syntax reads the text of chat templates in Jinja into a tree of statements
// and expressions: [Parse]. What they mean is for package jinja to say.
package syntax

import (
	"fmt"
	"strings"
)

// The bounds of a template.
const (
	maxSource  = 1 << 20 // bytes
	maxNesting = 200     // blocks, brackets and signs inside each other
)

// Error says where a template failed, and why.
type Error struct {
	Name   string // the template's name
	Line   int
	Msg    string
	Raised bool // the template refused its input itself, by raise_exception
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.Name, e.Line, e.Msg) }

// Excerpt is what an error shows of a text that a template or its input made.
func Excerpt(s string) string {
	const most = 400 // bytes
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// Names are what a template speaks of, whether it gets there or not.
type Names struct {
	Variables map[string]bool // that it reads
	Keys      map[string]bool // attributes that it reads, and its constant texts, which may be keys
}

// Parse reads a template of at most 1 MiB. The name stands in its errors, each of
// which is an [*Error]. constant makes the values of the tree's constants from a
// string, an int64, a float64, a bool or nil, once.
func Parse(name, source string, constant func(any) any) (body []Stmt, names Names, err error) {
	defer func() { Rescue(recover(), name, 0, &err) }()
	if len(source) > maxSource {
		return nil, Names{}, &Error{Name: name, Line: 1, Msg: fmt.Sprintf("%d bytes, want at most %d", len(source), maxSource)}
	}
	p := &parser{name: name, tokens: lex(name, source), constant: constant, names: Names{map[string]bool{}, map[string]bool{}}}
	return p.template(), p.names, nil
}

// Rescue turns what a panic carried, p, into an error at a line of a template.
func Rescue(p any, name string, line int, err *error) {
	switch p := p.(type) {
	case nil:
	case *Error:
		*err = p
	default:
		*err = &Error{Name: name, Line: line, Msg: fmt.Sprintf("internal error: %v", p)}
	}
}

// IsSpace is Python's str.isspace for one character.
func IsSpace(r rune) bool {
	switch {
	case r >= 0x09 && r <= 0x0d, r >= 0x1c && r <= 0x20, r == 0x85, r == 0xa0, r == 0x1680,
		r >= 0x2000 && r <= 0x200a, r == 0x2028, r == 0x2029, r == 0x202f, r == 0x205f, r == 0x3000:
		return true
	}
	return false
}
