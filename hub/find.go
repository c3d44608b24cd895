package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Find looks for what is wanted in the cache, and asks nobody. Without a list of
// the repository's files, which older programs do not keep, it takes those that are
// there for all, and is not sure. The error wraps fs.ErrNotExist where something is
// missing.
func (c *Client) Find(ref Ref, want Want) (s *Snapshot, sure bool, err error) {
	commit := ref.Revision
	if !commitHash.MatchString(commit) {
		raw, err := readSmall(filepath.Join(c.Cache, ref.folder(), "refs", filepath.FromSlash(ref.Revision)), 1<<10)
		if err != nil {
			return nil, false, err
		}
		if commit = strings.TrimSpace(string(raw)); !commitHash.MatchString(commit) {
			return nil, false, fs.ErrNotExist
		}
	}
	s = &Snapshot{Ref: ref, Commit: commit, Dir: c.snapshot(ref, commit)}
	files, err := c.readTree(ref, commit)
	if sure = err == nil; !sure {
		if files, err = c.local(ref, commit); err != nil {
			return nil, false, err
		}
	}
	if s.Files, err = want(ref, files, onDisk(s)); err != nil {
		if sure && !errors.Is(err, fs.ErrNotExist) {
			return nil, true, err
		}
		return nil, false, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	for _, f := range s.Files {
		if info, err := os.Stat(s.Path(f)); err != nil {
			return nil, sure, err
		} else if info.Size() != f.Size {
			return nil, sure, fmt.Errorf("%s: %d bytes, want %d: %w", s.Path(f), info.Size(), f.Size, fs.ErrNotExist)
		}
	}
	return s, sure, nil
}

// onDisk reads files of a snapshot that are there.
func onDisk(s *Snapshot) Reader {
	return func(f File) ([]byte, error) { return readSmall(s.Path(f), maxCard) }
}
