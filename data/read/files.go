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
	"regexp"
	"slices"
	"strings"
	"syscall"

	"lwtrain/examples"
	"lwtrain/internal/fault"
	"lwtrain/internal/rundir"
)

// Builtin is how the path of a file that ships with lwtrain begins.
const Builtin = examples.Scheme

// File is a file of conversations.
type File struct {
	Name string // as it is shown
	Path string // where it lies
}

func notThere(name string) error {
	hint := fault.Nearby(name)
	switch owner, rest, _ := strings.Cut(name, "/"); {
	case strings.Contains(name, "://"):
		hint = "files of this machine are read, and hf://owner/name of the Hugging Face hub; fetch it first"
	case rest != "" && owner != "" && !strings.ContainsAny(rest, `/\`) && path.Ext(rest) == "":
		hint = "hf://" + name + " names a dataset of the Hugging Face hub; " + hint
	}
	return fault.Usage(fault.Hint(fmt.Errorf("%s: no such file, want conversations", name), hint))
}

// caches are what map, filter and the like of datasets leave beside the data.
var caches = regexp.MustCompile(`^(cache-[0-9a-f]{8,}|tmp[0-9a-z_]{8}).*\.arrow$|^indices.*\.arrow$`)

// noData reports whether a file is none of data by its name: hidden, a cache, half of a
// download, about the data.
func noData(name string) bool {
	base := filepath.Base(name)
	switch base {
	case "dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "config.json", "package.json", "pace.json":
		return true
	}
	low := strings.ToLower(base)
	if caches.MatchString(low) || strings.HasPrefix(base, ".") || strings.HasPrefix(low, "readme") || strings.HasPrefix(low, "license") {
		return true
	}
	return slices.Contains([]string{".lock", ".incomplete", ".tmp", ".part", ".crdownload", ".metadata", ".md", ".py"}, path.Ext(low))
}

// isOwn reports whether a file or folder is one that a run wrote, or the cache: output.dir may lie
// among the data, and what a run writes is none.
func isOwn(at string) bool {
	there := func(names ...string) bool {
		_, err := os.Lstat(filepath.Join(names...))
		return err == nil
	}
	switch filepath.Base(at) {
	case rundir.File, rundir.Metrics, rundir.Answers, rundir.Best, rundir.Checkpoints, "data.json":
		return there(filepath.Dir(at), rundir.File)
	}
	return there(at, "manifest.json") && (there(at, "facts.bin") || there(at, "scores.arrow"))
}

// formatOf is the format that a file's name speaks of, or "".
func formatOf(name string) string {
	if noData(name) {
		return ""
	}
	name = strings.ToLower(name)
	packed := strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")
	switch ext := path.Ext(packed); ext {
	case ".parquet", ".arrow":
		if packed == name {
			return ext
		}
	case ".jsonl", ".json", ".csv", ".tsv":
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
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
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
