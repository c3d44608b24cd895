package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"lwtrain/internal/atomicfile"
	"lwtrain/internal/plainjson"
)

// Snapshot is what was wanted of a repository, on the disk.
type Snapshot struct {
	Ref
	Commit string
	Dir    string // of the snapshot
	Files  []File // that were wanted; all are there
}

// Path is where a file of the snapshot lies.
func (s *Snapshot) Path(f File) string { return filepath.Join(s.Dir, filepath.FromSlash(f.Path)) }

// Size is the number of bytes of the files that were wanted.
func (s *Snapshot) Size() (n int64) {
	for _, f := range s.Files {
		n += f.Size
	}
	return n
}

func (c *Client) snapshot(ref Ref, commit string) string {
	return filepath.Join(c.Cache, ref.folder(), "snapshots", commit)
}

func (c *Client) locks(s *Snapshot) string { return filepath.Join(c.Cache, ".locks", s.folder()) }

func (c *Client) blob(s *Snapshot, f File) string {
	return filepath.Join(c.Cache, s.folder(), "blobs", f.blob)
}

// has reports whether a file is there.
func (c *Client) has(s *Snapshot, f File) bool {
	info, err := os.Stat(s.Path(f))
	return err == nil && info.Size() == f.Size
}

// The list of a commit's files never changes. It is kept in the cache as
// huggingface_hub keeps it since version 2: trees/<commit>.json.

const treeFormat = 1

type tree struct {
	Format int                 `json:"format_version"`
	Files  map[string]treeFile `json:"files"`
}

func (c *Client) treePath(ref Ref, commit string) string {
	return filepath.Join(c.Cache, ref.folder(), "trees", commit+".json")
}

// readTree returns the list that is kept, or an error of fs.ErrNotExist. One that
// can't be read is as good as none.
func (c *Client) readTree(ref Ref, commit string) ([]File, error) {
	raw, err := readSmall(c.treePath(ref, commit), maxListing)
	if err != nil {
		return nil, err
	}
	var t tree
	if plainjson.Decode(raw, maxValues, &t) != nil || t.Format != treeFormat {
		return nil, fs.ErrNotExist
	}
	var files []File
	for path, said := range t.Files {
		files = append(files, newFile(path, said))
	}
	return files, check(ref, files)
}

func (c *Client) writeTree(ref Ref, commit string, files []File) error {
	t := tree{treeFormat, map[string]treeFile{}}
	for _, f := range files {
		t.Files[f.Path] = f.said
	}
	var raw bytes.Buffer
	e := json.NewEncoder(&raw)
	e.SetIndent("", " ")
	e.SetEscapeHTML(false)
	if err := e.Encode(t); err != nil {
		return err
	}
	return writeWhole(c.treePath(ref, commit), bytes.TrimSuffix(raw.Bytes(), []byte("\n")))
}

// local lists what there is of a commit in the cache, where no list is kept.
func (c *Client) local(ref Ref, commit string) ([]File, error) {
	dir := c.snapshot(ref, commit)
	var files []File
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) { // a link whose blob was removed
			return nil
		}
		if err == nil {
			files = append(files, File{Path: filepath.ToSlash(rel), Size: info.Size()})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return files, check(ref, files)
}

// take waits for a lock that huggingface_hub goes by too. It ends with the file, or
// with the process.
func take(ctx context.Context, path string, wait func()) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, err
	}
	for tries := 0; ; tries++ {
		if tries == 10 { // a second
			wait()
		}
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		}
	}
}

// link puts a link to a blob into a snapshot. The root keeps it there, whatever
// links lie on the way.
func link(dir string, f File) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	name := filepath.FromSlash(f.Path)
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	target := strings.Repeat("../", strings.Count(f.Path, "/")) + path.Join("../../blobs", f.blob)
	if got, err := root.Readlink(name); err == nil && got == target {
		return nil
	}
	if err := root.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := root.Symlink(target, name); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

func readSmall(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(raw)) > most {
		err = fmt.Errorf("%s: more than %d bytes", path, most)
	}
	return raw, err
}

func writeWhole(path string, raw []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.WriteBytes(path, raw)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
