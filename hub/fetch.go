package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/internal/machine"
	"lwtrain/internal/transport"
)

// atOnce is how many files are fetched at a time.
const atOnce = 4

// spare is what is left of a disk.
const spare = 64 << 20

// Fetch asks the hub for the newest commit of the revision, and fetches what is
// wanted of it and not there yet. What is there of a file after an interruption is
// gone on from. progress may be nil.
func (c *Client) Fetch(ctx context.Context, ref Ref, want Want, progress Progress) (*Snapshot, error) {
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
	var mu sync.Mutex // progress is told by one at a time
	done := int64(0)
	tell := func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		if done += n; progress != nil {
			progress(done, total)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan File)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for f := range work {
				if err := c.file(ctx, s, f, tell); err != nil {
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
	return fault.Usage(fault.Hint(fmt.Errorf("%s: %.1f GB are to be fetched, and the disk of %s has %.1f GB left", s.Ref, float64(need)/1e9, c.Cache, float64(disk.Free)/1e9),
		"make room, or give HF_HUB_CACHE a folder on another disk"))
}

// begin notes the commit and its files in the cache.
func (c *Client) begin(s *Snapshot, all []File) error {
	dir := filepath.Join(c.Cache, s.folder())
	for _, sub := range []string{filepath.Join(dir, "blobs"), s.Dir, c.locks(s)} {
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return err
		}
	}
	const tag = "Signature: 8a477f597d28d172789f06886806bc55\n# This file is a cache directory tag created by huggingface_hub.\n# For information about cache directory tags, see:\n#\thttps://bford.info/cachedir/\n"
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

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (c *Client) locks(s *Snapshot) string { return filepath.Join(c.Cache, ".locks", s.folder()) }

func (c *Client) blob(s *Snapshot, f File) string {
	return filepath.Join(c.Cache, s.folder(), "blobs", f.blob)
}

// file brings a file into the snapshot.
func (c *Client) file(ctx context.Context, s *Snapshot, f File, tell func(int64)) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case c.has(s, f):
		tell(f.Size)
		return nil
	case f.blob == "":
		return errors.New("the hub gives no hash of it")
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
	if info, err := os.Stat(c.blob(s, f)); err == nil && info.Size() == f.Size {
		tell(f.Size)
	} else if err := c.content(ctx, s, f, tell); err != nil {
		return err
	}
	return link(s.Dir, f)
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

// content fetches a blob, or what is missing of it, and gives it its name once its
// hash is right. The caller holds its lock.
func (c *Client) content(ctx context.Context, s *Snapshot, f File, tell func(int64)) (err error) {
	name := c.blob(s, f)
	part, err := os.OpenFile(name+".incomplete", os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o666)
	if err != nil {
		return err
	}
	defer part.Close()
	d := &download{Client: c, s: s, f: f, part: part, tell: tell}
	defer func() {
		if err != nil && d.have == 0 {
			os.Remove(part.Name())
		}
	}()
	if err := d.resume(); err != nil {
		return err
	}
	resumed := d.have > 0
	for {
		before := d.have
		if err := c.retry.Do(ctx, func() error { return d.more(ctx) }); err != nil {
			if isDown(err) && d.have > before {
				continue // the network fails now and then, and it goes forward
			}
			return err
		}
		if d.right() {
			break
		}
		if err := d.restart(); err != nil {
			return err
		}
		if !resumed {
			return fault.Hint(fmt.Errorf("its content does not have the hash that the hub gives (%s)", f.blob), "what came is thrown away; try again, or another HF_ENDPOINT")
		}
		resumed = false // what was there before was not what it should be
	}
	if err := part.Sync(); err != nil {
		return err
	}
	if err := os.Rename(part.Name(), name); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(name))
}

// download is a blob on its way.
type download struct {
	*Client
	s    *Snapshot
	f    File
	part *os.File
	have int64
	sum  hash.Hash // of what is there
	tell func(int64)
}

// newSum is the hash that a blob is named by.
func (d *download) newSum() {
	if len(d.f.blob) == 2*sha256.Size {
		d.sum = sha256.New()
		return
	}
	d.sum = sha1.New()
	fmt.Fprintf(d.sum, "blob %d\x00", d.f.Size) // as git does
}

func (d *download) right() bool {
	return d.have == d.f.Size && hex.EncodeToString(d.sum.Sum(nil)) == d.f.blob
}

// resume takes what is there.
func (d *download) resume() error {
	d.newSum()
	n, err := io.Copy(d.sum, io.LimitReader(d.part, d.f.Size+1))
	if err != nil {
		return err
	}
	if n > d.f.Size {
		return d.restart()
	}
	d.have = n
	d.tell(n)
	return nil
}

func (d *download) restart() error {
	d.tell(-d.have)
	d.have = 0
	d.newSum()
	if err := d.part.Truncate(0); err != nil {
		return err
	}
	_, err := d.part.Seek(0, io.SeekStart)
	return err
}

// more fetches from where it stands to the end.
func (d *download) more(ctx context.Context) error {
	if d.have == d.f.Size {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	address := d.Endpoint + "/"
	if d.s.Kind == Dataset {
		address += "datasets/"
	}
	address += d.s.Repo + "/resolve/" + d.s.Commit
	for part := range strings.SplitSeq(d.f.Path, "/") {
		address += "/" + url.PathEscape(part)
	}
	ask := http.Header{}
	if d.have > 0 {
		ask.Set("Range", fmt.Sprintf("bytes=%d-", d.have))
	}
	res, err := d.get(ctx, address, ask, d.announced)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
		if d.have > 0 {
			if err := d.restart(); err != nil {
				return err
			}
		}
	case http.StatusPartialContent:
		if want := fmt.Sprintf("bytes %d-%d/%d", d.have, d.f.Size-1, d.f.Size); res.Header.Get("Content-Range") != want {
			return fmt.Errorf("the server sends %q, want %q", res.Header.Get("Content-Range"), want)
		}
	case http.StatusRequestedRangeNotSatisfiable:
		if err := d.restart(); err != nil {
			return err
		}
		return &transport.BusyError{Err: fmt.Errorf("%s: the server has no such part of it", d.s.at(d.f.Path))}
	default:
		return d.refused(d.s.at(d.f.Path), res)
	}
	if n := res.ContentLength; n >= 0 && n != d.f.Size-d.have {
		return fmt.Errorf("the server sends %d bytes, want %d", n, d.f.Size-d.have)
	}
	body := transport.Watch(res.Body, cancel)
	defer body.Stop()
	buf := make([]byte, 1<<18)
	for {
		n, err := body.Read(buf)
		if int64(n) > d.f.Size-d.have {
			return fmt.Errorf("the server sends more than the %d bytes that it announced", d.f.Size)
		}
		if n > 0 {
			if _, err := d.part.Write(buf[:n]); err != nil {
				return err
			}
			d.sum.Write(buf[:n])
			d.have += int64(n)
			d.tell(int64(n))
		}
		switch {
		case err == io.EOF && d.have == d.f.Size:
			return nil
		case err == io.EOF:
			return transport.UnreachableError{Err: fmt.Errorf("the connection ended after %d of %d bytes", d.have, d.f.Size)}
		case err != nil && context.Cause(ctx) != nil:
			return context.Cause(ctx)
		case err != nil:
			return transport.UnreachableError{Err: err}
		}
	}
}

// announced compares what the hub says of a file with its list of files.
func (d *download) announced(h http.Header) error {
	if commit := h.Get("X-Repo-Commit"); commit != "" && commit != d.s.Commit {
		return fmt.Errorf("the hub sends it of commit %.40q, want %s", commit, d.s.Commit)
	}
	etag := h.Get("X-Linked-Etag")
	if etag == "" {
		etag = h.Get("ETag")
	}
	etag = strings.Trim(strings.TrimPrefix(etag, "W/"), `"`)
	if blobHash.MatchString(etag) && len(etag) == len(d.f.blob) && etag != d.f.blob {
		return fmt.Errorf("the hub sends %s, and its list of files says %s", etag, d.f.blob)
	}
	if size := h.Get("X-Linked-Size"); size != "" && size != fmt.Sprint(d.f.Size) {
		return fmt.Errorf("the hub announces %.20s bytes, and its list of files %d", size, d.f.Size)
	}
	return nil
}
