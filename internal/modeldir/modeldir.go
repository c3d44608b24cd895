// Package modeldir reads the small files of a model folder, which comes from
// anywhere: their names lead down, their size is bounded, and no link leads out
// of the folder, so that nothing of another place is read or ends up in a
// checkpoint.
package modeldir

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"lwtrain/internal/fault"
)

// Read returns the content of a file of dir or of a folder in it, of at most most bytes. A link is
// followed within dir and, where dir is a snapshot in Hugging Face's cache,
// within the cache of that model, whose files are links into its blobs. The
// error wraps fs.ErrNotExist if there is no such file; it does not name the file.
func Read(dir, name string, most int64) ([]byte, error) {
	path := filepath.Join(dir, name)
	if !filepath.IsLocal(name) || name != filepath.Clean(name) {
		return nil, fmt.Errorf("%q, want the name of a file below the folder", name)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular(): // opening a pipe would wait for ever
		return nil, errors.New("not a regular file")
	case info.Size() > most:
		return nil, fmt.Errorf("%d bytes, want at most %d", info.Size(), most)
	}
	if err := stays(dir, path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("more than %d bytes", most)
	}
	return data, err
}

func stays(dir, path string) error {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if up := filepath.Dir(root); filepath.Base(up) == "snapshots" {
		root = filepath.Dir(up)
	}
	if rel, err := filepath.Rel(root, target); err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return fault.Hint(fmt.Errorf("a link to %s, want a file of the folder itself", target), "put a copy there instead of the link")
	}
	return nil
}
