package report

import (
	"io"
	"path/filepath"

	"lwtrain/internal/human"
)

// Live is work that goes on, for a page that a browser asks for again and again.
type Live struct {
	Dir, Kind   string
	State, Note string
	Ago         string // when it wrote last; "": not known
	Left        string // of a training run; "": not known
	Refresh     int    // seconds
	Run         *Run   // of training; nil: there is none, or it has no metrics yet
	Counts      []LiveCount
	Rows        [][]string // of the steps of a chain: name, command, state, what came of it
}

// LiveCount is how much there is of something.
type LiveCount struct {
	N    int64
	What string
}

// WriteLive writes the page.
func WriteLive(w io.Writer, l Live) error {
	v := runView{Title: filepath.Clean(l.Dir), Kind: l.Kind, Refresh: l.Refresh}
	tiles := []tile{{l.State, "now"}}
	if l.Ago != "" {
		tiles[0].Label = "written to " + l.Ago
	}
	if l.Left != "" {
		tiles = append(tiles, tile{l.Left, "left"})
	}
	for _, c := range l.Counts {
		tiles = append(tiles, tile{human.Grouped(c.N), c.What})
	}
	if len(l.Rows) > 0 {
		t := table{Head: []string{"step", "command", "state", "what came of it"}, Wrap: true}
		for _, cells := range l.Rows {
			t.Rows = append(t.Rows, tableRow{Cells: cells})
		}
		v.Steps = &t
	}
	if l.Run != nil {
		of := l.Run.view()
		v.About, v.Curves, v.Settings, v.Answers = of.About, of.Curves, of.Settings, of.Answers
		tiles = append(tiles, of.Tiles...)
	}
	if l.Note != "" {
		v.About = append([]string{l.Note}, v.About...)
	}
	v.Tiles = tiles
	return render(w, "run", v)
}
