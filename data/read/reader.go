package read

import (
	"io"
	"maps"
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
}

// Open begins to read files, of which there is at least one. An error is of the user's
// making: a file that is not there, or that is damaged.
func Open(files []File, options Options) (*Reader, error) {
	one, err := openLines(files[0], options)
	if err != nil {
		return nil, err
	}
	return &Reader{places: Places{Files: files, Starts: []int64{0}}, options: options, one: one, passed: map[string]int{}}, nil
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
	r.passed, r.empty = r.Passed(), r.Empty()
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
