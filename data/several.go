package data

import (
	"fmt"
	"io"
	"path"

	"lwtrain/internal/fault"
)

// reader reads the files of a source as if they were one: the numbers of records
// go on from each file to the next.
type reader struct {
	src     Source
	columns map[string]bool
	one     *fileReader
	at      int     // of one, in src.Files
	last    int     // number of the last record of one, in it
	behind  int64   // bytes of the files before it
	starts  []int64 // of each file so far: the numbers before its records
	sums    []string
}

// records opens a source.
func (s Source) records(columns map[string]bool) (*reader, error) {
	if s.Files == nil {
		var err error
		if s, err = s.located(); err != nil {
			return nil, err
		}
	}
	if len(s.Files) == 0 {
		return nil, fault.Usage(fmt.Errorf("source %s has no files", s.Name))
	}
	r := &reader{src: s, columns: columns, starts: []int64{0}}
	var err error
	r.one, err = openRecords(s.Files[0], columns)
	return r, err
}

// next returns the next record, with its number among those of all files.
func (r *reader) next() (line, error) {
	for {
		l, err := r.one.next()
		if err == nil {
			r.last = l.number
			l.number += int(r.starts[r.at])
			return l, nil
		}
		if err != io.EOF || r.at+1 == len(r.src.Files) {
			return l, err
		}
		sum, err := r.one.sha256()
		if err != nil {
			return line{}, err
		}
		info, err := r.one.file.Stat()
		if err != nil {
			return line{}, err
		}
		next, err := openRecords(r.src.Files[r.at+1], r.columns)
		if err != nil {
			return line{}, err
		}
		r.one.close()
		r.sums = append(r.sums, sum)
		r.starts = append(r.starts, r.starts[r.at]+int64(r.last))
		r.behind += info.Size()
		r.one, r.last = next, 0
		r.at++
	}
}

func (r *reader) position() int64 { return r.behind + r.one.position() }

// fail says where a file is broken.
func (r *reader) fail(err error) error { return r.one.fail(err) }

// unchanged compares what was read with the SHA-256 that was taken before: what
// was made of another file would be kept under the wrong name.
func (r *reader) unchanged(sum string) error {
	last, err := r.one.sha256()
	if err != nil {
		return err
	}
	if now := hashOfAll(append(r.sums, last)); now != sum {
		return fault.Hint(fmt.Errorf("%s: changed while it was read", r.src.Path), "start again when nothing writes to it")
	}
	return nil
}

func (r *reader) close() { r.one.close() }

// where is the file and the number in it of a record's number among all files.
func (s Source) where(starts []int64, number int64) (File, int) {
	i := 0
	for i+1 < len(starts) && i+1 < len(s.Files) && starts[i+1] < number {
		i++
	}
	if i < len(starts) {
		number -= starts[i]
	}
	if len(s.Files) == 0 {
		return File{Name: s.Path}, int(number)
	}
	return s.Files[i], int(number)
}

// at is file:number.
func (s Source) at(starts []int64, number int64) string {
	f, n := s.where(starts, number)
	return fmt.Sprintf("%s:%d", f.Name, n)
}

// At says where a record of a source is, as file:number. Numbers are those of
// [Set.Place].
func (s *Set) At(source, number int) string {
	return s.from[source].at(s.parts[source].starts, int64(number))
}

// Number is the number of the record of a file, which is named by its path or the
// last part of it; ok is false if the source has no such file.
func (s *Set) Number(source int, file string, number int) (_ int, ok bool) {
	for i, f := range s.from[source].Files {
		if f.Name != file && path.Base(f.Name) != file {
			continue
		}
		if starts := s.parts[source].starts; i < len(starts) {
			return number + int(starts[i]), true
		}
		return number, i == 0
	}
	return number, false
}
