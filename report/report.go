// Package report makes pages that people look at: what is in the data of a run
// ([WriteStats]) and how a run went ([WriteRun]). A page is one HTML file that
// loads nothing: styles and plots are inline, there is no script, and it follows
// the reader's light or dark scheme.
//
// Everything that it shows is taken for hostile, names and texts of data above
// all: the templates escape by context, the plots escape their labels, and the
// page's own policy forbids scripts and requests.
//
// The package computes no statistics: it draws what package data counted and
// what a run's folder holds.
package report

import (
	"embed"
	"html/template"
	"io"
)

//go:embed page.css *.tmpl
var files embed.FS

func render(w io.Writer, name string, page any) error {
	css, err := files.ReadFile("page.css")
	if err != nil {
		return err
	}
	t, err := template.New("").Funcs(template.FuncMap{
		"css":      func() template.CSS { return template.CSS(css) },
		"labelled": func(label string, a *Answered) labelled { return labelled{label, *a} },
	}).ParseFS(files, "*.tmpl")
	if err != nil {
		return err
	}
	return t.ExecuteTemplate(w, name, page)
}

// figure is a plot with its title, legend and note.
type figure struct {
	Title  string
	Plot   template.HTML
	Narrow template.HTML // in its place where there is little room; "": the same
	Legend template.HTML
	Note   string
}

// table is a table of texts.
type table struct {
	Head []string
	Rows []tableRow
	Text bool // of what was typed, which is broken into lines
	Wrap bool // the last column is broken into lines
}

type tableRow struct {
	Sum   bool
	Head  bool // a row of its own over others
	Cells []string
}

// Columns is how wide a table is.
func (t table) Columns() int { return len(t.Head) }

type tile struct{ Value, Label string }
