package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"lwtrain/internal/fault"
	"lwtrain/internal/machine"
	"lwtrain/internal/transport"
)

// Progress is told how many bytes are there of all that are wanted.
type Progress func(done, total int64)

// atOnce is how many files are fetched at a time.
const atOnce = 4

// spare is what is left of a disk.
const spare = 64 << 20

// Look asks the hub what is wanted and how much of it is missing, and fetches
// nothing.
func (c *Client) Look(ctx context.Context, ref Ref, want Want) (s *Snapshot, missing int64, err error) {
	s, _, err = c.look(ctx, ref, want)
	if err != nil {
		return nil, 0, transport.Masked(err, c.Token)
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

// fromHub reads what is there, and fetches what is not without keeping it.
func (c *Client) fromHub(ctx context.Context, s *Snapshot) Reader {
	return func(f File) ([]byte, error) {
		if c.has(s, f) {
			return onDisk(s)(f)
		}
		part, err := os.CreateTemp("", "lwtrain-")
		if err != nil {
			return nil, err
		}
		defer os.Remove(part.Name())
		defer part.Close()
		d := &download{Client: c, s: s, f: f, part: part, tell: func(int64) {}}
		d.newSum()
		if err := c.again(ctx, c.retry.Times, func() error { return d.more(ctx) }); err != nil {
			return nil, err
		}
		if !d.right() {
			return nil, fmt.Errorf("%s: its content does not have the hash that the hub gives", s.at(f.Path))
		}
		if _, err := part.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		return io.ReadAll(part)
	}
}

func hintDown(err error, endpoint string) error {
	if isDown(err) && fault.HintOf(err) == "" {
		return fault.Hint(err, "is there a network? HF_ENDPOINT names another hub than "+endpoint+", HTTPS_PROXY a proxy")
	}
	return err
}

// Fetch asks the hub for the newest commit of the revision, and fetches what is
// wanted of it and not there yet, or no longer what it was. What is there of a file after
// an interruption is gone on from. progress may be nil.
func (c *Client) Fetch(ctx context.Context, ref Ref, want Want, progress Progress) (*Snapshot, error) {
	s, err := c.fetch(ctx, ref, want, progress)
	return s, transport.Masked(err, c.Token)
}

func (c *Client) fetch(ctx context.Context, ref Ref, want Want, progress Progress) (*Snapshot, error) {
	s, all, err := c.look(ctx, ref, want)
	if err != nil {
		return nil, err
	}
	if err := c.room(s); err != nil {
		return nil, err
	}
	if err := c.begin(s, all); err != nil {
		return nil, fault.Disk(err)
	}
	total := s.Size()
	var mu sync.Mutex // progress, who waits and who pauses are told by one at a time
	done := int64(0)
	tell := func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		if done += n; progress != nil {
			progress(done, total)
		}
	}
	each := *c // of the files that are fetched at once
	each.Waiting = func(name string) {
		mu.Lock()
		defer mu.Unlock()
		if c.Waiting != nil {
			c.Waiting(name)
		}
	}
	each.Pausing = func(err error, pause time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		if c.Pausing != nil {
			c.Pausing(err, pause)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan File)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for f := range work {
				if err := each.file(ctx, s, f, tell); err != nil {
					var busy *transport.BusyError
					var no refusal
					if !errors.As(err, &busy) && !errors.As(err, &no) { // they name it
						err = fmt.Errorf("%s: %w", s.at(f.Path), err)
					}
					cancel(err)
				}
			}
		})
	}
	for _, f := range s.Files {
		work <- f
	}
	close(work)
	workers.Wait()
	if ctx.Err() != nil {
		return nil, hintDown(fault.Disk(context.Cause(ctx)), c.Endpoint)
	}
	return s, nil
}

// room refuses what the disk can not hold, before anything is fetched.
func (c *Client) room(s *Snapshot) error {
	var need int64
	for _, f := range s.Files {
		if c.has(s, f) {
			continue
		}
		need += f.Size
		if info, err := os.Stat(c.blob(s, f) + ".incomplete"); err == nil {
			need -= min(info.Size(), f.Size)
		}
	}
	disk, err := machine.ReadDisk(machine.Existing(c.Cache))
	if err != nil || need == 0 || need+spare <= disk.Free {
		return nil
	}
	const giga = 1e9
	err = fmt.Errorf("%s: %.1f GB are to be fetched, and the disk of %s has %.1f GB left",
		s.Ref, float64(need)/giga, c.Cache, float64(disk.Free)/giga)
	return fault.Usage(fault.Hint(err, "make room, or give HF_HUB_CACHE a folder on another disk"))
}

// begin notes the commit and its files in the cache.
func (c *Client) begin(s *Snapshot, all []File) error {
	dir := filepath.Join(c.Cache, s.folder())
	for _, sub := range []string{filepath.Join(dir, "blobs"), s.Dir, c.locks(s)} {
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return err
		}
	}
	const tag = "Signature: 8a477f597d28d172789f06886806bc55\n# This file is a cache directory tag created by huggingface_hub.\n" +
		"# For information about cache directory tags, see:\n#\thttps://bford.info/cachedir/\n"
	if at := filepath.Join(c.Cache, "CACHEDIR.TAG"); !exists(at) {
		if err := writeWhole(at, []byte(tag)); err != nil {
			return err
		}
	}
	if err := c.writeTree(s.Ref, s.Commit, all); err != nil {
		return err
	}
	if s.Revision == s.Commit {
		return nil
	}
	return writeWhole(filepath.Join(dir, "refs", filepath.FromSlash(s.Revision)), []byte(s.Commit))
}

// file brings a file into the snapshot.
func (c *Client) file(ctx context.Context, s *Snapshot, f File, tell func(int64)) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case f.blob == "" && c.has(s, f):
		tell(f.Size)
		return nil
	case f.blob == "":
		return errors.New("the hub gives no hash of it")
	}
	if c.has(s, f) {
		if whole, err := isWhole(ctx, s.Path(f), f); whole || err != nil {
			tell(f.Size)
			return err
		}
	}
	lock, err := take(ctx, filepath.Join(c.locks(s), f.blob+".lock"), func() {
		if c.Waiting != nil {
			c.Waiting(s.at(f.Path).String())
		}
	})
	if err != nil {
		return err
	}
	defer lock.Close()
	if c.hasBlob(ctx, s, f) {
		tell(f.Size)
	} else if err := c.content(ctx, s, f, tell); err != nil {
		return err
	}
	return link(s.Dir, f)
}

// hasBlob reports whether the content of a file is there and whole.
func (c *Client) hasBlob(ctx context.Context, s *Snapshot, f File) bool {
	path := c.blob(s, f)
	info, err := os.Stat(path)
	if err != nil || info.Size() != f.Size {
		return false
	}
	whole, err := isWhole(ctx, path, f)
	return whole && err == nil
}
