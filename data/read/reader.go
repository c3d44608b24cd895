package read

import (
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
)

// Reader reads the lines of several files as if they were of one: their numbers go on
// from each file to the next.
type Reader struct {
	places  Places
	options Options
	one     *fileReader
	at      int   // of one, among the files
	last    int   // number of the last line of one, in it
	behind  int64 // bytes of the files before it
	sums    []string
	passed  map[string]int
	empty   []int
	classes map[string][]string
}

// Open begins to read files, of which there is at least one. An error is of the user's
// making: a file that is not there, or that is damaged.
func Open(files []File, options Options) (*Reader, error) {
	one, err := openLines(files[0], options)
	if err != nil {
		return nil, err
	}
	return &Reader{
		places: Places{Files: files, Starts: []int64{0}}, options: options, one: one,
		passed: map[string]int{}, classes: map[string][]string{},
	}, nil
}

// Next returns the next line, with its number among those of all files, or io.EOF.
func (r *Reader) Next() (Line, error) {
	for {
		l, err := r.one.next()
		if err == nil {
			r.last = l.Number
			l.Number += int(r.places.Starts[r.at])
			return l, nil
		}
		if err != io.EOF {
			return l, r.one.fail(err)
		}
		if r.at+1 == len(r.places.Files) {
			return l, io.EOF
		}
		if err := r.turn(); err != nil {
			return Line{}, err
		}
	}
}

// turn goes on to the next file.
func (r *Reader) turn() error {
	r.passed, r.empty, r.classes = r.Passed(), r.Empty(), r.Classes()
	sum, err := r.one.sha256()
	if err != nil {
		return err
	}
	info, err := r.one.file.Stat()
	if err != nil {
		return err
	}
	next, err := openLines(r.places.Files[r.at+1], r.options)
	if err != nil {
		return err
	}
	r.one.close()
	r.sums = append(r.sums, sum)
	r.places.Starts = append(r.places.Starts, r.places.Starts[r.at]+int64(r.last))
	r.behind += info.Size()
	r.one, r.last = next, 0
	r.at++
	return nil
}

// Passed counts the rows so far by the names of columns of tables that are not read.
func (r *Reader) Passed() map[string]int {
	out := maps.Clone(r.passed)
	if t, ok := r.one.lines.(table); ok {
		for _, name := range t.passed() {
			out[name] += r.last
		}
	}
	return out
}

// Classes are the names of the classes that columns of tables hold, in the files so far: their
// rows have them as numbers.
func (r *Reader) Classes() map[string][]string {
	out := maps.Clone(r.classes)
	t, ok := r.one.lines.(classed)
	if !ok {
		return out
	}
	for column := range r.options.Columns {
		if names := t.classes(column); names != nil && !slices.Equal(names, out[column]) {
			out[column] = slices.Compact(slices.Sorted(slices.Values(slices.Concat(out[column], names))))
		}
	}
	return out
}

// Empty lists the files, by their index, that were read so far and hold no line.
func (r *Reader) Empty() []int {
	if r.last > 0 {
		return r.empty
	}
	return append(r.empty, r.at)
}

// Position is how many bytes of the files, as they lie there, are behind the reader.
func (r *Reader) Position() int64 { return r.behind + r.one.position() }

// Places says where the lines so far are.
func (r *Reader) Places() Places { return r.places }

// Hash is the SHA-256 of what was read, as [Hash] is of the files, once Next has come
// to their end. Where it differs from one taken before, somebody wrote to them.
func (r *Reader) Hash() (string, error) {
	last, err := r.one.sha256()
	return hashOfAll(append(r.sums, last)), err
}

// Close closes the file that is read.
func (r *Reader) Close() { r.one.close() }

// Places says which file and line a number stands for, where the lines of several
// files are numbered as those of one. Starts has for each file how many numbers are
// before its lines; it may be nil for one file.
type Places struct {
	Files  []File
	Starts []int64
}

// Find is the file that a number stands for, and the line in it.
func (p Places) Find(number int) (File, int) {
	i := 0
	for i+1 < len(p.Starts) && i+1 < len(p.Files) && p.Starts[i+1] < int64(number) {
		i++
	}
	if i < len(p.Starts) {
		number -= int(p.Starts[i])
	}
	return p.Files[i], number
}

// At is file:line.
func (p Places) At(number int) string {
	f, line := p.Find(number)
	return fmt.Sprintf("%s:%d", f.Name, line)
}

// Number is the number of the line of a file, which is named by its path or the last
// part of it; ok is false if it is none of these files.
func (p Places) Number(file string, line int) (_ int, ok bool) {
	for i, f := range p.Files {
		if f.Name != file && path.Base(f.Name) != file {
			continue
		}
		if i < len(p.Starts) {
			return line + int(p.Starts[i]), true
		}
		return line, i == 0
	}
	return line, false
}
