package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// page is a document that was read.
type page struct {
	source string
	raw    []byte
	tree   ast.Node
	ids    []string // of its headings
	parts  []heading
	leads  []string // documents that it links to
}

// heading is one of the second level, for the navigation.
type heading struct{ ID, Title string }

var markdown = goldmark.New(goldmark.WithExtensions(extension.Table), goldmark.WithParserOptions(parser.WithAutoHeadingID()))

// read parses a document.
func read(project fs.FS, source string) (*page, error) {
	raw, err := fs.ReadFile(project, source)
	if err != nil {
		return nil, err
	}
	p := &page{source: source, raw: raw}
	p.tree = markdown.Parser().Parse(text.NewReader(raw), parser.WithContext(parser.NewContext(parser.WithIDs(anchors{}))))
	return p, ast.Walk(p.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if h, ok := n.(*ast.Heading); ok && entering {
			at, _ := h.AttributeString("id")
			id := fmt.Sprintf("%s", at)
			p.ids = append(p.ids, id)
			if h.Level == 2 {
				p.parts = append(p.parts, heading{id, p.text(h)})
			}
		}
		return ast.WalkContinue, nil
	})
}

// title is the first heading.
func (p *page) title() string {
	for n := p.tree.FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok {
			return p.text(h)
		}
	}
	return p.source
}

// text is what is read of a node.
func (p *page) text(n ast.Node) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.Text:
			if entering {
				b.Write(n.Segment.Value(p.raw))
			}
		case *ast.String:
			if entering {
				b.Write(n.Value)
			}
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// destinations are where the page's links and pictures lead, to be changed in their places.
func (p *page) destinations() (out []*[]byte) {
	_ = ast.Walk(p.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.Link:
			if entering {
				out = append(out, &n.Destination)
			}
		case *ast.Image:
			if entering {
				out = append(out, &n.Destination)
			}
		}
		return ast.WalkContinue, nil
	})
	return out
}

func (p *page) html() ([]byte, error) {
	var b bytes.Buffer
	err := markdown.Renderer().Render(&b, p.raw, p.tree)
	return b.Bytes(), err
}

// anchors names headings as GitHub does, so that links between documents lead to the same places there and here.
type anchors map[string]int

func (a anchors) Generate(heading []byte, _ ast.NodeKind) []byte {
	var b strings.Builder
	for _, r := range strings.ToLower(strings.TrimSpace(string(heading))) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(r)
		}
	}
	id := b.String()
	n := a[id]
	a[id]++
	if n > 0 {
		id = fmt.Sprintf("%s-%d", id, n)
	}
	return []byte(id)
}

func (a anchors) Put(id []byte) { a[string(id)]++ }
