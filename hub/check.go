package hub

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"lwtrain/internal/fault"
)

// Check holds the files of a snapshot against the hashes that they are named by: a disk
// that fails, or a hand, may have changed them since they were fetched. The error names the
// first that is another; one whose hash nobody has kept is taken as it is. It reads all of
// it, as many files at a time as there are cores.
func (c *Client) Check(ctx context.Context, s *Snapshot) error {
	errs := make([]error, len(s.Files))
	turns := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wait sync.WaitGroup
	for i, f := range s.Files {
		wait.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			whole, err := isWhole(ctx, s.Path(f), f)
			if err == nil && !whole {
				err = fmt.Errorf("%s: its content in the cache (%s) is not what was fetched", s.at(f.Path), s.Path(f))
				err = fault.Usage(fault.Hint(err, "`lwtrain pull` fetches it again"))
			}
			errs[i] = err
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// isWhole reports whether the file at a path has the content that f is named by, as far as
// that is known.
func isWhole(ctx context.Context, path string, f File) (bool, error) {
	if f.blob == "" {
		target, err := os.Readlink(path)
		if f.blob = filepath.Base(target); err != nil || !blobHash.MatchString(f.blob) {
			return true, nil
		}
	}
	in, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer in.Close()
	h := f.newSum()
	buf := make([]byte, 1<<20)
	for {
		n, err := in.Read(buf)
		h.Write(buf[:n])
		switch {
		case err == io.EOF:
			return hex.EncodeToString(h.Sum(nil)) == f.blob, nil
		case err != nil:
			return false, err
		case ctx.Err() != nil:
			return false, context.Cause(ctx)
		}
	}
}
