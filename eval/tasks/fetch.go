package tasks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lwtrain/internal/atomicfile"
	"lwtrain/internal/fault"
	"lwtrain/internal/human"
	"lwtrain/internal/transport"
)

// remote is a file of a public repository.
type remote struct {
	repository, commit, path string // on GitHub
	sha256                   string
	bytes                    int64
}

func (r remote) url() string {
	return "https://raw.githubusercontent.com/" + r.repository + "/" + r.commit + "/" + r.path
}

// place is where a file lies in the user's cache.
func (r remote) place() (string, error) {
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "lwtrain", "tasks", strings.ReplaceAll(r.repository, "/", "-"), r.commit[:12], filepath.Base(r.path)), err
}

// read is the file, as it lies in the cache.
func (r remote) read() ([]byte, error) {
	place, err := r.place()
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(place)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.Usage(r.byHand(fmt.Errorf("%s is not there yet", place)))
	case err != nil:
		return nil, err
	case !r.is(raw):
		return nil, fault.Usage(r.byHand(fmt.Errorf("%s is another file, want sha256 %s", place, r.sha256)))
	}
	return raw, nil
}

func (r remote) is(raw []byte) bool {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]) == r.sha256
}

// byHand adds how a file is fetched without lwtrain.
func (r remote) byHand(err error) error {
	place, _ := r.place()
	return fault.Hint(err, "fetch "+r.url()+" (sha256 "+r.sha256+") and put it at "+place)
}

// Fetched reports whether all data of the task is there: it ships, or lies in the user's cache.
func (t Task) Fetched() bool {
	for _, r := range t.remotes {
		if _, err := r.read(); err != nil {
			return false
		}
	}
	return true
}

// Data says in a few words where the data is.
func (t Task) Data() string {
	bytes := int64(0)
	for _, r := range t.remotes {
		bytes += r.bytes
	}
	switch {
	case len(t.remotes) == 0:
		return "ships"
	case t.Fetched():
		return "in the cache"
	}
	return "to be fetched (" + human.Bytes(bytes) + " of github.com/" + t.remotes[0].repository + ")"
}

// Fetcher gets data that does not ship. Each of its functions may be nil.
type Fetcher struct {
	DryRun   bool                                       // nothing is fetched
	Fetching func(repository string, done, total int64) // bytes
	Pausing  func(err error, pause time.Duration)       // before the server is asked again: why and for how long
	Ended    func(err error)                            // the fetch that was told of last; nil: it is done

	wire  http.RoundTripper // nil: the network
	retry transport.Retry
}

// Fetch gets what data of the task is not there yet into the user's cache. With HF_HUB_OFFLINE nobody is asked.
func (t Task) Fetch(ctx context.Context, f Fetcher) error {
	for _, r := range t.remotes {
		if _, err := r.read(); err == nil {
			continue
		}
		if why := f.not(); why != "" {
			return fault.Usage(r.byHand(fmt.Errorf("%s wants %s, which is not there yet, and %s", t.Name, r.url(), why)))
		}
		err := f.fetch(ctx, r)
		if f.Ended != nil {
			f.Ended(err)
		}
		if err != nil {
			return r.byHand(fmt.Errorf("%s: %w", r.url(), err))
		}
	}
	return nil
}

// not says why nothing is fetched; "": it is.
func (f Fetcher) not() string {
	switch strings.ToUpper(os.Getenv("HF_HUB_OFFLINE")) {
	case "1", "ON", "YES", "TRUE":
		return "HF_HUB_OFFLINE is set"
	}
	if f.DryRun {
		return "a dry run fetches nothing"
	}
	return ""
}

func (f Fetcher) fetch(ctx context.Context, r remote) error {
	place, err := r.place()
	if err != nil {
		return err
	}
	if f.wire == nil {
		wire := http.DefaultTransport.(*http.Transport).Clone()
		wire.ResponseHeaderTimeout = 30 * time.Second
		f.wire, f.retry = wire, transport.Retry{Times: 5, Pause: time.Second}
	}
	if f.Fetching != nil {
		f.Fetching(r.repository, 0, r.bytes)
	}
	f.retry.Told = f.Pausing
	var raw []byte
	if err := f.retry.Do(ctx, func() (err error) { raw, err = r.ask(ctx, f.wire); return err }); err != nil {
		return err
	}
	if f.Fetching != nil {
		f.Fetching(r.repository, r.bytes, r.bytes)
	}
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		return err
	}
	return atomicfile.WriteBytes(place, raw)
}

// ask makes one request for the file.
func (r remote) ask(ctx context.Context, wire http.RoundTripper) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "lwtrain")
	res, err := transport.RoundTrip(wire, req, "")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if transport.IsBusy(res.StatusCode) {
		return nil, &transport.BusyError{Err: fmt.Errorf("the server answers %s", res.Status), After: transport.RetryAfter(res.Header)}
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answers %s", res.Status)
	}
	body := transport.Watch(res.Body, cancel)
	defer body.Stop()
	raw, err := transport.ReadAll(ctx, body, r.bytes)
	if err != nil {
		return nil, err
	}
	if !r.is(raw) {
		return nil, fmt.Errorf("what came is another file (%d bytes), want sha256 %s", len(raw), r.sha256)
	}
	return raw, nil
}
