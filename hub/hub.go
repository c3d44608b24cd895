// Package hub fetches models and datasets from the Hugging Face hub, or from
// another server that speaks as it does, into Hugging Face's own cache, which
// other programs read and fill as well:
//
//	hub/models--owner--name/refs/main                   the commit that main was at
//	hub/models--owner--name/trees/<commit>.json         the files of the commit
//	hub/models--owner--name/blobs/<hash>                content, by SHA-256 or git's SHA-1
//	hub/models--owner--name/blobs/<hash>.incomplete     what is there of it so far
//	hub/models--owner--name/snapshots/<commit>/<file>   a link to its blob
//	hub/.locks/models--owner--name/<hash>.lock          who fetches it
//
// Make a [Client] by [FromEnv] and call [Client.Get]: it takes what is in the cache
// and fetches what is not. The server is not trusted: a blob gets its name when its
// content has the hash and the size that were announced, names of files stay in
// the snapshot, and the token goes to no other host.
package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lwtrain/internal/fault"
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

// Progress is told how many bytes are there of all that are wanted.
type Progress func(done, total int64)

// Get returns what is wanted of a repository: from the cache if all of it is
// there, at the commit that was fetched last, else from the hub. So a run that goes
// on reads what it began with; [Client.Fetch] looks for something newer.
func (c *Client) Get(ctx context.Context, ref Ref, want Want, progress Progress) (*Snapshot, error) {
	found, sure, err := c.Find(ref, want)
	if err == nil && (sure || c.Offline) {
		return found, nil
	}
	if c.Offline {
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return nil, fault.Usage(fault.Hint(fmt.Errorf("%s is not in %s, and HF_HUB_OFFLINE is set", ref, c.Cache), "unset it, or fetch with `lwtrain pull` where there is a network"))
	}
	pinned := ref
	if found != nil { // it may be part of what is wanted: its commit is kept
		pinned.Revision = found.Commit
	}
	s, err := c.Fetch(ctx, pinned, want, progress)
	var no refusal
	if found != nil && (isDown(err) || errors.As(err, &no)) {
		return found, nil
	}
	if s != nil {
		s.Ref = ref
	}
	return s, err
}

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

// Look asks the hub what is wanted and how much of it is missing, and fetches
// nothing.
func (c *Client) Look(ctx context.Context, ref Ref, want Want) (s *Snapshot, missing int64, err error) {
	s, _, err = c.look(ctx, ref, want)
	if err != nil {
		return nil, 0, err
	}
	for _, f := range s.Files {
		if !c.has(s, f) {
			missing += f.Size
		}
	}
	return s, missing, nil
}

// look returns what is wanted, and all files of the commit.
func (c *Client) look(ctx context.Context, ref Ref, want Want) (*Snapshot, []File, error) {
	if c.Offline {
		return nil, nil, fault.Usage(fault.Hint(fmt.Errorf("%s can not be fetched: HF_HUB_OFFLINE is set", ref), "unset it"))
	}
	commit, err := c.resolve(ctx, ref)
	if err != nil {
		return nil, nil, hintDown(err, c.Endpoint)
	}
	all, err := c.readTree(ref, commit)
	if err != nil {
		if all, err = c.list(ctx, ref, commit); err != nil {
			return nil, nil, hintDown(err, c.Endpoint)
		}
	}
	s := &Snapshot{Ref: ref, Commit: commit, Dir: c.snapshot(ref, commit)}
	s.Files, err = want(ref, all, c.fromHub(ctx, s))
	return s, all, err
}

// has reports whether a file is there.
func (c *Client) has(s *Snapshot, f File) bool {
	info, err := os.Stat(s.Path(f))
	return err == nil && info.Size() == f.Size
}

func hintDown(err error, endpoint string) error {
	if isDown(err) && fault.HintOf(err) == "" {
		return fault.Hint(err, "is there a network? HF_ENDPOINT names another hub than "+endpoint+", HTTPS_PROXY a proxy")
	}
	return err
}
