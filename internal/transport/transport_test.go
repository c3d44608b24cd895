package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestWhatIsTriedAgainAndWhen(t *testing.T) {
	down, busy, broken := UnreachableError{errors.New("down")}, &BusyError{Err: errors.New("busy")}, errors.New("broken")
	after := func(d time.Duration) error { return fmt.Errorf("x: %w", &BusyError{errors.New("busy"), d}) }
	second, jitter := Retry{Times: 3, Pause: time.Second}, Retry{Times: 3, Pause: time.Second, Jitter: true}
	for name, c := range map[string]struct {
		retry Retry
		fails []error // of the tries; then they succeed
		want  error
		waits string
	}{
		"a success":                     {second, nil, nil, "[]"},
		"a failure that stays":          {second, []error{broken}, broken, "[]"},
		"the network and a server":      {second, []error{down, busy, down}, nil, "[1s 2s 4s]"},
		"the last failure is the error": {second, []error{busy, busy, busy, down}, down, "[1s 2s 4s]"},
		"then one that stays":           {second, []error{down, broken}, broken, "[1s]"},
		"as the server says":            {second, []error{down, after(7 * time.Second), down}, nil, "[1s 7s 4s]"},
		"sooner than the pause":         {second, []error{down, after(time.Second)}, nil, "[1s 1s]"},
		"a minute at most":              {second, []error{after(time.Hour)}, nil, "[1m0s]"},
		"a minute at most, of doublings": {
			Retry{Times: 9, Pause: 10 * time.Second}, []error{down, down, down, down}, nil, "[10s 20s 40s 1m0s]",
		},
		"never":                            {Retry{Pause: time.Second}, []error{down}, down, "[]"},
		"with jitter, as the server says":  {jitter, []error{after(17 * time.Second)}, nil, "[17s]"},
		"with jitter, also a minute of it": {jitter, []error{after(time.Hour)}, nil, "[1m0s]"},
	} {
		t.Run(name, func(t *testing.T) {
			waits := []time.Duration{}
			c.retry.Sleep = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
			tries := 0
			err := c.retry.Do(t.Context(), func() error {
				if tries++; tries <= len(c.fails) {
					return c.fails[tries-1]
				}
				return nil
			})
			if err != c.want || fmt.Sprint(waits) != c.waits {
				t.Errorf("got %v after pauses of %v, want %v after %s", err, waits, c.want, c.waits)
			}
		})
	}
}

func TestJitterIsHalfThePauseMoreOrLess(t *testing.T) {
	r := Retry{Pause: 8 * time.Second, Jitter: true}
	least, most := time.Hour, time.Duration(0)
	for range 1000 {
		d := r.pause(1, 0)
		least, most = min(least, d), max(most, d)
		if d := r.pause(1, 7*time.Second); d < 8*time.Second {
			t.Fatalf("%s, want Retry-After not to shorten it", d)
		}
	}
	if least < 8*time.Second || least > 9*time.Second || most < 23*time.Second || most > 24*time.Second {
		t.Errorf("from %s to %s, want 8s to 24s", least, most)
	}
}

func TestAnEndOfTheContextIsTheError(t *testing.T) {
	cause := errors.New("the cause")
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := (Retry{Times: 1, Pause: time.Hour}).Do(ctx, func() error {
		time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
		return UnreachableError{errors.New("down")}
	}); err != cause {
		t.Errorf("while it waits: %v, want the cause", err)
	}
	if err := (Retry{}).Do(ctx, func() error { return errors.New("broken") }); err != cause {
		t.Errorf("while it asks: %v, want the cause", err)
	}
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:1/", nil)
	if _, err := RoundTrip(http.DefaultTransport, req, ""); err != cause {
		t.Errorf("a request: %v, want the cause", err)
	}
}

func TestOneRoundTrip(t *testing.T) {
	keys := []string{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Authorization"))
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	defer s.Close()
	get := func(address, key string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		return RoundTrip(http.DefaultTransport, req, key)
	}
	for _, key := range []string{"", "k"} {
		res, err := get(s.URL, key)
		if err != nil || res.StatusCode != http.StatusFound {
			t.Fatalf("%v, %v, want the redirect itself", res, err)
		}
		if _, err := ReadAll(t.Context(), res.Body, 1<<20); err != nil {
			t.Error(err)
		}
		res.Body.Close()
	}
	if len(keys) != 2 || keys[0] != "" || keys[1] != "Bearer k" {
		t.Errorf("it was sent %q", keys)
	}
	var down UnreachableError
	if _, err := get("http://127.0.0.1:1/", ""); !errors.As(err, &down) {
		t.Errorf("nobody there: %v, want an UnreachableError", err)
	}
	if _, err := get("https"+strings.TrimPrefix(s.URL, "http"), ""); !errors.As(err, &down) || !errors.Is(err, http.ErrSchemeMismatch) {
		t.Errorf("https where there is none: %v, want %v", err, http.ErrSchemeMismatch)
	}
	if _, err := ReadAll(t.Context(), strings.NewReader(strings.Repeat("x", 1<<20+1)), 1<<20); err == nil || errors.As(err, &down) {
		t.Errorf("too long a reply: %v, want an error that stays", err)
	}
}
