package data

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"lwtrain/examples"
	"lwtrain/internal/fault"
)

// builtin is the start of the path of a source that ships with lwtrain.
const builtin = "builtin:"

// File is one of the files of a source.
type File struct {
	Name string // as it is shown
	Path string // where it lies
}

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

// located is the source with its files, and with a path to show.
func (s Source) located() (Source, error) {
	if s.Files == nil {
		for _, path := range s.AllPaths() {
			files, err := Expand(path)
			if err != nil {
				return s, err
			}
			s.Files = append(s.Files, files...)
		}
	}
	seen := map[string]bool{}
	for _, f := range s.Files {
		if seen[filepath.Clean(f.Path)] {
			return s, fault.Usage(fault.Hint(fmt.Errorf("%s: named twice by source %s", f.Name, s.Name), "repeat: 2 of the source takes each sample twice"))
		}
		seen[filepath.Clean(f.Path)] = true
	}
	if all := s.AllPaths(); s.Path == "" && len(all) > 0 {
		s.Path = all[0]
		if n := len(all) - 1; n > 0 {
			s.Path += fmt.Sprintf(" and %d more", n)
		}
	}
	return s, nil
}

// Expand lists the files that a path stands for: itself, those of a folder that
// [Pick] picks, or those that a glob matches, each in the order of their names.
func Expand(at string) ([]File, error) {
	if strings.HasPrefix(at, builtin) {
		return []File{{at, at}}, nil
	}
	info, err := os.Stat(at)
	switch {
	case err == nil && info.IsDir():
		return folder(at)
	case err != nil && strings.ContainsAny(at, "*?["):
		found, err := filepath.Glob(at)
		if err != nil {
			return nil, fault.Usage(fmt.Errorf("%s: %w", at, err))
		}
		var files []File
		for _, f := range found {
			if info, err := os.Stat(f); err == nil && !info.IsDir() {
				files = append(files, File{f, f})
			}
		}
		if len(files) == 0 {
			return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: no file matches", at), "relative paths start at the folder that lwtrain runs in"))
		}
		return files, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, notThere(at)
	}
	return []File{{at, at}}, nil
}

func notThere(name string) error {
	return fault.Usage(fault.Hint(fmt.Errorf("%s: no such file, want conversations", name), "relative paths start at the folder that lwtrain runs in"))
}

// maxFiles bounds the files of a folder.
const maxFiles = 100_000

func folder(dir string) ([]File, error) {
	var names []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !d.IsDir():
			names = append(names, name)
		}
		if len(names) > maxFiles {
			return fmt.Errorf("more than %d files", maxFiles)
		}
		return nil
	})
	if err == nil {
		names, err = Pick(names)
	}
	if err != nil {
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: %w", dir, err), fault.HintOf(err)))
	}
	var files []File
	for _, name := range names {
		p := filepath.Join(dir, filepath.FromSlash(name))
		files = append(files, File{p, p})
	}
	return files, nil
}

// Pick lists the files to train on among those of a folder or a dataset. As in
// Hugging Face's datasets, names tell the splits: if some speak of training, those;
// else all that do not speak of validation or test. Of several formats the one with
// the most files is taken.
func Pick(names []string) ([]string, error) {
	var train, rest, other []string
	for _, name := range slices.Sorted(slices.Values(names)) {
		switch {
		case formatOf(name) == "":
		case speaksOf(name, "train", "training"):
			train = append(train, name)
		case speaksOf(name, "validation", "valid", "val", "dev", "test", "testing", "eval", "evaluation"):
			other = append(other, name)
		default:
			rest = append(rest, name)
		}
	}
	if len(train) == 0 {
		train = rest
	}
	switch {
	case len(train) > 0:
		return oneFormat(train), nil
	case len(other) > 0:
		return nil, fault.Hint(fmt.Errorf("its files are for evaluation alone, by their names: %s", some(other)), "name the file that is meant")
	case slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, ".py") }):
		return nil, fault.Hint(errors.New("a script makes this dataset, and there are no files of data"), "the hub may have made Parquet files of it: hf://owner/name@refs/convert/parquet")
	}
	return nil, fault.Hint(fmt.Errorf("no file of data among %s", some(names)), "want JSONL, JSON, Parquet or Arrow; JSONL may be .gz or .zst")
}

// formatOf is the format that a file's name speaks of, or "".
func formatOf(name string) string {
	switch path.Base(name) {
	case "dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "config.json", "package.json":
		return ""
	}
	name = strings.ToLower(name)
	for _, packed := range []string{".gz", ".zst"} {
		if inner, ok := strings.CutSuffix(name, packed); ok && (strings.HasSuffix(inner, ".jsonl") || strings.HasSuffix(inner, ".json")) {
			name = inner
		}
	}
	switch ext := path.Ext(name); ext {
	case ".jsonl", ".json", ".parquet", ".arrow":
		return ext
	case ".ndjson":
		return ".jsonl"
	}
	return ""
}

// speaksOf reports whether one of the words stands in a name, as a word.
func speaksOf(name string, words ...string) bool {
	for part := range strings.FieldsFuncSeq(strings.ToLower(name), func(r rune) bool { return r < '0' || r > '9' && r < 'a' || r > 'z' && r < 0x80 }) {
		if slices.Contains(words, part) {
			return true
		}
	}
	return false
}

func oneFormat(names []string) []string {
	count := map[string]int{}
	for _, name := range names {
		count[formatOf(name)]++
	}
	best := ""
	for _, format := range []string{".parquet", ".jsonl", ".json", ".arrow"} {
		if count[format] > count[best] {
			best = format
		}
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return formatOf(name) != best })
}

// some names the first of many.
func some(names []string) string {
	const most = 6
	if len(names) == 0 {
		return "no files"
	}
	s := strings.Join(names[:min(most, len(names))], ", ")
	if n := len(names) - most; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}

// open opens a file and says how large it is.
func (f File) open() (fs.File, int64, error) {
	var file fs.File
	var err error
	if name, ok := strings.CutPrefix(f.Path, builtin); ok {
		file, err = examples.FS.Open(name)
	} else {
		var info fs.FileInfo
		if info, err = os.Stat(f.Path); err == nil && !info.Mode().IsRegular() { // opening a pipe would wait for ever
			return nil, 0, fault.Usage(fmt.Errorf("%s: no regular file, want a file of conversations", f.Name))
		}
		if err == nil {
			file, err = os.Open(f.Path)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, notThere(f.Name)
	}
	if err != nil {
		return nil, 0, fault.Usage(err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: no regular file, want a file of conversations", f.Name)
	}
	if err != nil {
		file.Close()
		return nil, 0, fault.Usage(err)
	}
	return file, info.Size(), nil
}

// hash is the SHA-256 of a file's content.
func (f File) hash() (string, error) {
	file, _, err := f.open()
	if err != nil {
		return "", err
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "", fmt.Errorf("%s: %w", f.Name, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// size is that of all files of a source that is located.
func (s Source) size() (total int64, err error) {
	for _, f := range s.Files {
		file, size, err := f.open() // all of them: a missing file is known at once
		if err != nil {
			return 0, err
		}
		file.Close()
		total += size
	}
	return total, nil
}

// hash is the SHA-256 of a source's content: that of its file or, of several,
// of their hashes in their order.
func (s Source) hash() (string, error) {
	var sums []string
	for _, f := range s.Files {
		sum, err := f.hash()
		if err != nil {
			return "", err
		}
		sums = append(sums, sum)
	}
	return hashOfAll(sums), nil
}

func hashOfAll(sums []string) string {
	if len(sums) == 1 {
		return sums[0]
	}
	return hashOf([]byte(strings.Join(sums, "\n")))
}

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
// [Store.Place].
func (s *Store) At(source, number int) string {
	return s.from[source].at(s.parts[source].starts, int64(number))
}

// Number is the number of the record of a file, which is named by its path or the
// last part of it; ok is false if the source has no such file.
func (s *Store) Number(source int, file string, number int) (_ int, ok bool) {
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
