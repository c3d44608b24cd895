// Package transport holds the rules by which servers are asked over HTTP: what one
// request is, which failures may pass, and when a request is made again.
//
// [RoundTrip] makes a request, [ReadAll] or [Watch] read its reply, and [Retry.Do]
// makes both again after an [UnreachableError] or a [BusyError]. Who asks says which
// replies are busy ones, and follows redirects where it wants to.
package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// stallAfter is how long a reply that is watched may stand still.
const stallAfter = 60 * time.Second

// UnreachableError is a failure of the network, not of what was asked for.
type UnreachableError struct{ Err error }

func (e UnreachableError) Error() string { return e.Err.Error() }
func (e UnreachableError) Unwrap() error { return e.Err }

// RoundTrip makes a request once, with key as bearer token unless it is empty. It
// follows no redirect: whether another host may have the key, and what becomes of a
// POST, is for the caller to say. The error is the cause for which the request's
// context has ended, else an [UnreachableError].
func RoundTrip(t http.RoundTripper, req *http.Request, key string) (*http.Response, error) {
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := t.RoundTrip(req)
	if err == nil {
		return res, nil
	}
	var plain tls.RecordHeaderError
	if errors.As(err, &plain) && string(plain.RecordHeader[:]) == "HTTP/" {
		err = http.ErrSchemeMismatch
	}
	return nil, broken(req.Context(), err)
}

// ReadAll reads a reply of at most most bytes; a longer one is an error that stays.
// Otherwise errors are those of [RoundTrip].
func ReadAll(ctx context.Context, body io.Reader, most int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(body, most+1))
	switch {
	case err != nil:
		return nil, broken(ctx, err)
	case int64(len(raw)) > most:
		return nil, fmt.Errorf("a reply of more than %d MiB", most>>20)
	}
	return raw, nil
}

// broken says why a request came to no end.
func broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return UnreachableError{err}
}

// Watched is a body that must not stand still.
type Watched struct {
	body  io.Reader
	timer *time.Timer
}

// Watch returns a body whose request ends by cancel, with an [UnreachableError], when
// nothing has come of it for a minute. Stop it once it is read.
func Watch(body io.Reader, cancel context.CancelCauseFunc) *Watched {
	return &Watched{body, time.AfterFunc(stallAfter, func() {
		cancel(UnreachableError{fmt.Errorf("nothing came for %s", stallAfter)})
	})}
}

// Read reads from the body.
func (w *Watched) Read(p []byte) (int, error) {
	n, err := w.body.Read(p)
	if n > 0 {
		w.timer.Reset(stallAfter)
	}
	return n, err
}

// Stop ends the watch.
func (w *Watched) Stop() { w.timer.Stop() }
