package transport

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

const (
	longestPause = 60 * time.Second
	doublings    = 6 // of a pause
)

// BusyError is a reply that may be another one later.
type BusyError struct {
	Err   error
	After time.Duration // as the server wants it; 0: it does not say
}

func (e *BusyError) Error() string { return e.Err.Error() }
func (e *BusyError) Unwrap() error { return e.Err }

// IsBusy reports whether a status is that of a [BusyError]: too many requests, or a
// server in trouble.
func IsBusy(status int) bool { return status == http.StatusTooManyRequests || status >= 500 }

// RetryAfter is how long a server wants to be left alone, in seconds or until a date, but
// no longer than a pause may be; 0 where it does not say.
func RetryAfter(h http.Header) time.Duration {
	said := h.Get("Retry-After")
	seconds, err := strconv.ParseFloat(said, 64)
	if errors.Is(err, strconv.ErrSyntax) {
		var until time.Time
		if until, err = http.ParseTime(said); err != nil {
			return 0
		}
		seconds = time.Until(until).Seconds()
	}
	if !(seconds > 0) { // NaN, too
		return 0
	}
	return time.Duration(min(seconds, longestPause.Seconds()) * float64(time.Second))
}

// Retry says how often and when a request is made again.
type Retry struct {
	Times int           // after the first; 0: never
	Pause time.Duration // before the first of them; doubled each time, up to a minute

	// Jitter multiplies each pause by 0.5 to 1.5 and lets Retry-After lengthen it only,
	// so that many requests which failed together are not made again together.
	Jitter bool

	Key string // that is sent: errors of what a server said do not show it

	Told  func(err error, pause time.Duration)       // of each pause before it; nil: nobody
	Sleep func(context.Context, time.Duration) error // nil: for the time that it is given
}

// Do calls once until it succeeds, fails for good, or has failed too often in ways
// that may pass. Once ctx has ended, the error is its cause.
func (r Retry) Do(ctx context.Context, once func() error) error {
	sleep := r.Sleep
	if sleep == nil {
		sleep = wait
	}
	for try := 0; ; try++ {
		err := once()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err = Masked(err, r.Key)
		var down UnreachableError
		var busy *BusyError
		if try >= r.Times || !errors.As(err, &down) && !errors.As(err, &busy) {
			return err
		}
		var after time.Duration
		if busy != nil {
			after = busy.After
		}
		pause := r.After(try, after)
		if r.Told != nil {
			r.Told(err, pause)
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// After is how long to wait after a try, counted from 0, whose reply said after.
func (r Retry) After(try int, after time.Duration) time.Duration {
	pause := r.Pause << min(try, doublings)
	switch {
	case r.Jitter:
		pause = max(after, time.Duration(float64(pause)*(0.5+rand.Float64())))
	case after > 0:
		pause = after
	}
	return min(pause, longestPause)
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
