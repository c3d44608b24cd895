package read

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

// Builtin is how the path of a file that ships with lwtrain begins.
const Builtin = "builtin:"

// File is a file of conversations.
type File struct {
	Name string // as it is shown
	Path string // where it lies
}

// Expand lists the files that a path stands for: itself, those of a folder that
// [Pick] picks, or those that a glob matches, each in the order of their names.
func Expand(at string) ([]File, error) {
	if strings.HasPrefix(at, Builtin) {
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
			return nil, fault.Usage(fault.Hint(fmt.Errorf("%s: no file matches", at), relative))
		}
		return files, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, notThere(at)
	}
	return []File{{at, at}}, nil
}

const relative = "relative paths start at the folder that lwtrain runs in"

func notThere(name string) error {
	return fault.Usage(fault.Hint(fmt.Errorf("%s: no such file, want conversations", name), relative))
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
		return nil, fault.Hint(fmt.Errorf("its files are for evaluation alone, by their names: %s", some(other)),
			"name the file that is meant")
	case slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, ".py") }):
		return nil, fault.Hint(errors.New("a script makes this dataset, and there are no files of data"),
			"the hub may have made Parquet files of it: hf://owner/name@refs/convert/parquet")
	}
	return nil, fault.Hint(fmt.Errorf("no file of data among %s", some(names)),
		"want JSONL, JSON, Parquet or Arrow; JSONL may be .gz or .zst")
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
	between := func(r rune) bool { return r < '0' || r > '9' && r < 'a' || r > 'z' && r < 0x80 }
	for part := range strings.FieldsFuncSeq(strings.ToLower(name), between) {
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

// randomAccess is what files are beside fs.File, on the disk and in the binary.
type randomAccess interface {
	io.ReaderAt
	io.ReadSeeker
}

// open opens a file and says how large it is.
func (f File) open() (fs.File, int64, error) {
	var file fs.File
	var err error
	if name, ok := strings.CutPrefix(f.Path, Builtin); ok {
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

// Size is the number of bytes in files. A file that is not there is an error.
func Size(files []File) (total int64, err error) {
	for _, f := range files {
		file, size, err := f.open()
		if err != nil {
			return 0, err
		}
		file.Close()
		total += size
	}
	return total, nil
}

// Hash is the SHA-256 of what is in files, in hexadecimal digits: that of the only one
// or, of several, of their hashes in their order.
func Hash(files []File) (string, error) {
	var sums []string
	for _, f := range files {
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
	all := sha256.Sum256([]byte(strings.Join(sums, "\n")))
	return hex.EncodeToString(all[:])
}
