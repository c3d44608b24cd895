package data

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/data/read"
	"lwtrain/data/record"
	"lwtrain/internal/fault"
)

// AllPaths lists what the source names.
func (s Source) AllPaths() []string {
	if s.Path == "" {
		return s.Paths
	}
	return append([]string{s.Path}, s.Paths...)
}

// SetPath changes one of [Source.AllPaths].
func (s *Source) SetPath(i int, path string) {
	if s.Path != "" {
		if i == 0 {
			s.Path = path
			return
		}
		i--
	}
	s.Paths = slices.Clone(s.Paths)
	s.Paths[i] = path
}

// source is a source whose files are known.
type source struct {
	Source
	files []read.File
	shown string   // its path, for people: of several the first, and how many more
	notes []string // what of its paths was left out
}

// locate finds the files of a source. known has those of paths that are none of this
// machine, such as datasets of a hub.
func locate(s Source, known map[string][]read.File) (source, error) {
	out := source{Source: s}
	for _, path := range s.AllPaths() {
		files, ok := known[path]
		if !ok {
			var note string
			var err error
			if files, note, err = read.Expand(path); err != nil {
				return out, err
			}
			if note != "" && len(s.AllPaths()) > 1 {
				note = path + ": " + note
			}
			if note != "" {
				out.notes = append(out.notes, note)
			}
		}
		out.files = append(out.files, files...)
	}
	if len(out.files) == 0 {
		return out, fault.Usage(fmt.Errorf("source %s has no files", s.Name))
	}
	seen := map[string]string{}
	for _, f := range out.files {
		at := filepath.Clean(f.Path)
		if real, err := filepath.EvalSymlinks(at); err == nil && len(known) == 0 { // a hub's cache has one file for all of the same content
			at = real
		}
		if first, there := seen[at]; there {
			what := "named twice"
			if first != f.Name {
				what = "a link to " + first + ", which is named, too,"
			}
			return out, fault.Usage(fault.Hint(fmt.Errorf("%s: %s by source %s", f.Name, what, s.Name),
				"repeat: 2 of the source takes each sample twice"))
		}
		seen[at] = f.Name
	}
	all := s.AllPaths()
	out.shown = all[0]
	if n := len(all) - 1; n > 0 && s.Path == "" {
		out.shown += fmt.Sprintf(" and %d more", n)
	}
	return out, nil
}

// open begins to read the source, of tables the columns that are named.
func (s source) open(columns map[string]bool) (*read.Reader, error) {
	return read.Open(s.files, read.Options{Columns: columns, KeepNulls: s.Nulls == "keep"})
}

// reading says how the records are read.
func (s source) reading() record.Options {
	return record.Options{
		Format: s.Format, Columns: s.Columns, Roles: s.Roles, TrainOn: s.TrainOn, Nulls: s.Nulls, Ignore: s.Ignore, Filter: s.Filter,
		Cut: s.CutAnswer, NoReasoning: s.TrainReasoning == "false",
	}
}

// otherFormat is a record of another format than those before it, on a line of the source.
type otherFormat struct {
	*record.OtherFormat
	line int
}

// twoFormats says where the records of two formats are, if err is that one of them is not like
// those before it.
func (s source) twoFormats(err error, first int, at read.Places) error {
	var other *otherFormat
	if !errors.As(err, &other) || other.Settles() {
		return err
	}
	return fault.Usage(fault.Hint(
		fmt.Errorf("%s: %w, as on %s; want one format in a source", at.At(other.line), other.OtherFormat, at.At(first)),
		fmt.Sprintf("make two sources of them, or name one with `format: %s` of the source and skip the others with "+
			"data.on_bad_record: skip",
			other.Before)))
}

// emptyFiles names the files that hold no record, by their index; "" where all do.
func (s source) emptyFiles(which []int) string {
	const most = 3
	var names []string
	for _, i := range which {
		names = append(names, s.files[i].Name)
	}
	switch n := len(names); {
	case n == 0:
		return ""
	case n > most:
		names = append(names[:most], fmt.Sprintf("%d more", n-most))
	}
	return "no record in " + strings.Join(names, ", ")
}

// unusable is the error of records that can't be used: the first of them by their
// places, and how many more there are.
func (s source) unusable(list []record.Dropped, starts []int64) error {
	var found []record.Problem
	left := 0
	for _, d := range list {
		found = append(found, d.First...)
		left += d.Count
	}
	slices.SortFunc(found, func(a, b record.Problem) int { return a.Line - b.Line })
	found = found[:min(len(found), record.MostNamed)]
	at := read.Places{Files: s.files, Starts: starts}
	hint := "mend the record, or count and skip such records with data.on_bad_record: skip"
	if list[0].Reason == "no_messages" && list[0].First[0].Line == found[0].Line {
		hint = "say which keys hold what with columns: {prompt: ..., completion: ...} of the source"
	}
	var lines []string
	for _, p := range found {
		lines = append(lines, at.At(p.Line)+": "+p.Detail)
	}
	if left -= len(found); left > 0 {
		lines = append(lines, fmt.Sprintf("%s: %d more records can not be used", s.shown, left))
	}
	return fault.Usage(fault.Hint(errors.New(strings.Join(lines, "\n")), hint))
}
