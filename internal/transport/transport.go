// Package transport holds the rules by which servers are asked over HTTP: what one
// request is, which failures may pass, and when a request is made again.
//
// [RoundTrip] makes a request, [ReadAll] or [Watch] read its reply, and [Retry.Do]
// makes both again after an [UnreachableError] or a [BusyError]. Who asks says which
// replies are busy ones, and follows redirects where it wants to. No error shows the key
// that was sent, whatever a server says: see [Mask].
package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// A reply that is watched must bring at least stallBytes within stallAfter.
const (
	stallAfter = 60 * time.Second
	stallBytes = 1 << 10
)

// UnreachableError is a failure of the network, not of what was asked for.
type UnreachableError struct{ Err error }

func (e UnreachableError) Error() string { return inWords(e.Err) }
func (e UnreachableError) Unwrap() error { return e.Err }

// inWords is what a failure of the network is called, without what Go's library calls where it came up.
func inWords(err error) string {
	var name *net.DNSError
	var op *net.OpError
	var cause syscall.Errno
	why := "it does not answer"
	if errors.As(err, &cause) {
		why = cause.Error()
	}
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return fmt.Sprintf("there is no host %.200q", name.Name)
	case errors.As(err, &name):
		return fmt.Sprintf("no name server knows where %.200q is", name.Name)
	case errors.As(err, &op) && op.Op == "dial" && op.Addr != nil && (cause != 0 || op.Timeout()):
		return fmt.Sprintf("no connection to %s: %s", op.Addr, why)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection ended before the answer did"
	case errors.As(err, &op) && cause != 0:
		return "the connection broke: " + why
	}
	return err.Error()
}

// RoundTrip makes a request once, with key as bearer token unless it is empty. It
// follows no redirect: whether another host may have the key, and what becomes of a
// POST, is for the caller to say. The error is the cause for which the request's
// context has ended, else an [UnreachableError]. A reply that is none, but the beginning of
// another protocol whose bytes no context ends, is an error that stays.
func RoundTrip(t http.RoundTripper, req *http.Request, key string) (*http.Response, error) {
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the key holds blanks or other characters that no key has")
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := t.RoundTrip(req)
	if err == nil && res.StatusCode == http.StatusSwitchingProtocols {
		res.Body.Close()
		return nil, errors.New("status 101: the server begins another protocol, want an answer over HTTP")
	}
	if err == nil {
		return res, nil
	}
	var plain tls.RecordHeaderError
	if errors.As(err, &plain) && string(plain.RecordHeader[:]) == "HTTP/" {
		err = http.ErrSchemeMismatch
	}
	var late net.Error
	if wire, ok := t.(*http.Transport); ok && errors.As(err, &late) && late.Timeout() && strings.Contains(err.Error(), "response headers") {
		err = fmt.Errorf("no answer within %v", wire.ResponseHeaderTimeout)
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
	after time.Duration
	came  int // bytes since the timer was set
}

// Watch returns a body whose request ends by cancel, with an [UnreachableError], when
// next to nothing has come of it for a minute. Stop it once it is read.
func Watch(body io.Reader, cancel context.CancelCauseFunc) *Watched {
	return watch(body, cancel, stallAfter)
}

func watch(body io.Reader, cancel context.CancelCauseFunc, after time.Duration) *Watched {
	return &Watched{body: body, after: after, timer: time.AfterFunc(after, func() {
		cancel(UnreachableError{fmt.Errorf("less than %d bytes came in %s", stallBytes, after)})
	})}
}

// Read reads from the body.
func (w *Watched) Read(p []byte) (int, error) {
	n, err := w.body.Read(p)
	if w.came += n; w.came >= stallBytes {
		w.came = 0
		w.timer.Reset(w.after)
	}
	return n, err
}

// Stop ends the watch.
func (w *Watched) Stop() { w.timer.Stop() }
