package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/internal/transport"
)

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

// leastProgress is how many bytes the tries of a download must bring so that it is tried on:
// a server that sends a byte a minute is as good as none.
const leastProgress = 16 << 10

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
		if err := c.again(ctx, c.retry.Times, func() error { return d.more(ctx) }); err != nil {
			if isDown(err) && d.have-before >= leastProgress {
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
			return fault.Hint(fmt.Errorf("its content does not have the hash that the hub gives (%s)", f.blob),
				"what came is thrown away; try again, or another HF_ENDPOINT")
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

func (d *download) newSum() { d.sum = d.f.newSum() }

// newSum begins the hash that a blob is named by.
func (f File) newSum() hash.Hash {
	if len(f.blob) == 2*sha256.Size {
		return sha256.New()
	}
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", f.Size) // as git does
	return h
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
