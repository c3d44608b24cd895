package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
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

func TestHowLongAServerWantsToBeLeftAlone(t *testing.T) {
	for said, want := range map[string]time.Duration{
		"":                              0,
		"17":                            17 * time.Second,
		"0.5":                           500 * time.Millisecond,
		"-5":                            0,
		"soon":                          0,
		"NaN":                           0,
		"86400":                         time.Minute,
		"10000000000":                   time.Minute, // seconds that are no time.Duration
		"1" + strings.Repeat("0", 400):  time.Minute,
		"Wed, 21 Oct 2015 07:28:00 GMT": 0,
		"Wed, 21 Oct 2122 07:28:00 GMT": time.Minute,
	} {
		if got := RetryAfter(http.Header{"Retry-After": {said}}); got != want {
			t.Errorf("%q: %s, want %s", said, got, want)
		}
	}
	said := time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat)
	if got := RetryAfter(http.Header{"Retry-After": {said}}); got < 18*time.Second || got > 20*time.Second {
		t.Errorf("in 20 seconds: %s", got)
	}
}

func TestWhoWaitsIsToldWhyAndForHowLong(t *testing.T) {
	var told []string
	r := Retry{
		Times: 3, Pause: time.Second, Key: "sk-secret",
		Told:  func(err error, pause time.Duration) { told = append(told, fmt.Sprint(err, ", ", pause)) },
		Sleep: func(context.Context, time.Duration) error { return nil },
	}
	busy := &BusyError{errors.New("you sent sk-secret"), 9 * time.Second}
	fails := []error{UnreachableError{errors.New("down")}, busy, errors.New("sk-secret?")}
	err := r.Do(t.Context(), func() (err error) { err, fails = fails[0], fails[1:]; return err })
	if fmt.Sprint(told) != "[down, 1s you sent [key], 9s]" || err == nil || err.Error() != "[key]?" {
		t.Errorf("told %q, then %v", told, err)
	}
}

func TestAKeyIsNotShown(t *testing.T) {
	for _, c := range []struct{ name, said, key, want string }{
		{"no key", "no key", "", "no key"},
		{"a word that stands for none", "none of them", "none", "none of them"},
		{"as it is", "Bearer sk-abc/def+ghi, sk-abc/def+ghi", "sk-abc/def+ghi", "Bearer [key], [key]"},
		{"as JSON escapes it", `"sk-abc\/def+ghi"`, "sk-abc/def+ghi", `"[key]"`},
		{"in an address", "?k=sk-abc%2Fdef%2Bghi&l", "sk-abc/def+ghi", "?k=[key]&l"},
		{"cut off", `header "Bearer sk-abc/def+g`, "sk-abc/def+ghi", `header "Bearer [key]`},
		{"as servers shorten it", "sk-ab***hi", "sk-abc/def+ghi", "sk-ab***hi"},
	} {
		if got := Mask(c.said, c.key); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	down := UnreachableError{errors.New("sk-abcdef is wrong")}
	err := Masked(fmt.Errorf("x: %w", down), "sk-abcdef")
	if !errors.As(err, &down) || err.Error() != "x: [key] is wrong" {
		t.Errorf("got %v", err)
	}
}

func TestJitterIsHalfThePauseMoreOrLess(t *testing.T) {
	r := Retry{Pause: 8 * time.Second, Jitter: true}
	least, most := time.Hour, time.Duration(0)
	for range 1000 {
		d := r.After(1, 0)
		least, most = min(least, d), max(most, d)
		if d := r.After(1, 7*time.Second); d < 8*time.Second {
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

// TestRepliesThatAreNone asks a server that says the bytes as they stand.
func TestRepliesThatAreNone(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	for _, c := range []struct {
		name, said string
		open       bool // the connection stays so
		want       string
		down       bool // it may pass
	}{
		{"another protocol", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", true, "status 101", false},
		{"another protocol, unasked", "HTTP/1.1 101 Switching Protocols\r\n\r\n", true, "status 101", false},
		{"hints without an end", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100), true, "too late", true},
		{"go on, without an end", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 100), true, "too late", true},
		{"a hint and an answer", "HTTP/1.1 103 Early Hints\r\n\r\n" + head + "Content-Length: 2\r\n\r\nok", true, "", false},
		{"headers without an end", head + strings.Repeat("X: "+strings.Repeat("y", 1<<16)+"\r\n", 200), true, "exceeded", true},
		{"nothing", "", true, "too late", true},
		{"half a header", head, true, "too late", true},
		{"no end of the body", head + "Content-Length: 5\r\n\r\nok", true, "too late", true},
		{"chunks without an end", head + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", true, "too late", true},
		{"a body that is cut off", head + "Content-Length: 5\r\n\r\nok", false, "the connection ended before the answer did", true},
		{"a chunk that is none", head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", false, "chunk", true},
		{"two lengths", head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nokokok", false, "Content-Length", true},
		{"no HTTP", "SSH-2.0-OpenSSH_9\r\n", false, "malformed", true},
		{"nothing and the end", "", false, "the connection ended before the answer did", true},
		{"no content", "HTTP/1.1 204 No Content\r\n\r\n", true, "", false},
		{"not modified", "HTTP/1.1 304 Not Modified\r\n\r\n", true, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			limit := time.Minute
			if c.want == "too late" {
				limit = 500 * time.Millisecond
			}
			ctx, cancel := context.WithTimeoutCause(t.Context(), limit, UnreachableError{errors.New("too late")})
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, say(t, c.said, c.open), strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			res, err := RoundTrip(&http.Transport{}, req, "key-key-key")
			if err == nil {
				_, err = ReadAll(ctx, res.Body, 1<<20)
				res.Body.Close()
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			var down UnreachableError
			if errors.As(err, &down) != c.down {
				t.Errorf("%v may pass: %v, want %v", err, !c.down, c.down)
			}
		})
	}
}

// say serves some bytes to who asks, and leaves the connection open or not.
func say(t *testing.T, bytes string, open bool) (address string) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		io.WriteString(conn, bytes)
		if !open {
			conn.Close()
			return
		}
		t.Cleanup(func() { conn.Close() })
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestABodyThatHardlyComesIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	r, w := io.Pipe()
	go func() {
		for ctx.Err() == nil {
			w.Write([]byte("x"))
			time.Sleep(10 * time.Millisecond)
		}
		w.Close()
	}()
	body := watch(r, cancel, 100*time.Millisecond)
	defer body.Stop()
	io.Copy(io.Discard, body)
	var down UnreachableError
	if err := context.Cause(ctx); !errors.As(err, &down) || err.Error() != "less than 1024 bytes came in 100ms" {
		t.Errorf("got %v", err)
	}
}

func TestAKeyWithBlanksIsNotSent(t *testing.T) {
	for _, key := range []string{"a b", "key\n", "kéy"} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:1/", nil)
		var down UnreachableError
		if _, err := RoundTrip(http.DefaultTransport, req, key); err == nil || errors.As(err, &down) || strings.Contains(err.Error(), key) {
			t.Errorf("%q: %v", key, err)
		}
	}
}

func TestAServerThatDoesNotBeginToAnswerIsSaidInWords(t *testing.T) {
	asked := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-asked }))
	defer s.Close()
	defer close(asked)
	wire := &http.Transport{ResponseHeaderTimeout: 20 * time.Millisecond}
	req, err := http.NewRequest(http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	var down UnreachableError
	if _, err := RoundTrip(wire, req, ""); !errors.As(err, &down) || err.Error() != "no answer within 20ms" {
		t.Errorf("got %v", err)
	}
}

func TestFailuresOfTheNetworkAreSaidInWords(t *testing.T) {
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8000}
	call := func(name string, errno syscall.Errno) error { return os.NewSyscallError(name, errno) }
	for want, err := range map[string]error{
		"no connection to 127.0.0.1:8000: connection refused": &net.OpError{Op: "dial", Addr: addr,
			Err: call("connect", syscall.ECONNREFUSED)},
		"no connection to 127.0.0.1:8000: it does not answer": &net.OpError{Op: "dial", Addr: addr, Err: os.ErrDeadlineExceeded},
		`there is no host "nowhere.example"`: &net.OpError{Op: "dial",
			Err: &net.DNSError{Err: "no such host", Name: "nowhere.example", IsNotFound: true}},
		`no name server knows where "hub.example" is`: &net.DNSError{Err: "server misbehaving", Name: "hub.example", IsTemporary: true},
		"the connection broke: connection reset by peer": fmt.Errorf("readLoopPeekFailLocked: %w",
			&net.OpError{Op: "read", Addr: addr, Err: call("read", syscall.ECONNRESET)}),
		"the connection ended before the answer did": io.EOF,
		"down": errors.New("down"),
	} {
		if got := (UnreachableError{err}).Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
