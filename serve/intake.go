package serve

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"sync"
	"time"

	"lwtrain/internal/plainjson"
)

// problem is why a request gets no answer, as OpenAI's errors say it.
type problem struct {
	status int
	param  string // that is wrong; "": none by itself
	code   string // "": none
	text   string
	after  int // seconds after which it may be asked again; 0: nothing is said of that
}

func (p *problem) Error() string { return p.text }

// body is the error as JSON.
func (p *problem) body() any {
	type inner struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	}
	kind := "invalid_request_error"
	switch {
	case p.status == http.StatusTooManyRequests:
		kind = "rate_limit_error"
	case p.status >= http.StatusInternalServerError:
		kind = "server_error"
	}
	known := func(text string) *string {
		if text == "" {
			return nil
		}
		return &text
	}
	return struct {
		Error inner `json:"error"`
	}{inner{p.text, kind, known(p.param), known(p.code)}}
}

// wrong is a parameter that is not as it should be.
func wrong(param, format string, args ...any) *problem {
	return &problem{status: http.StatusBadRequest, param: param, text: param + ": " + fmt.Sprintf(format, args...)}
}

// broken is a request that is none.
func broken(err error) *problem {
	return &problem{status: http.StatusBadRequest, code: "invalid_json", text: "the request is no JSON object: " + err.Error()}
}

var (
	errStopped = &problem{status: http.StatusServiceUnavailable, code: "stopping", text: "the server stops"}
	errCrowded = &problem{status: http.StatusServiceUnavailable, code: "overloaded", after: 1,
		text: fmt.Sprintf("requests of %d bytes together are being read, want less at a time", mostBodies)}
)

// refuse tells a problem.
func refuse(w http.ResponseWriter, p *problem) {
	if p.after > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(p.after))
	}
	send(w, p.status, p.body())
}

// send sends JSON.
func send(w http.ResponseWriter, status int, v any) {
	raw, err := plainjson.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("serve: %v", err)) // texts and numbers
	}
	raw = append(raw, '\n')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", fmt.Sprint(len(raw)))                        // who has that much need not wait for the end
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime)) // what can not, has none
	w.WriteHeader(status)
	_, _ = w.Write(raw) // who has left reads nothing
}

// linger tells what was said, then reads and forgets what else the request sends: a connection that is closed with bytes
// unread is reset, and many clients send all before they read why they were refused.
func (s *Server) linger(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 {
		return
	}
	control := http.NewResponseController(w)
	_ = control.EnableFullDuplex() // else some of it would be read before a word is said
	if control.Flush() != nil {
		return
	}
	end := time.Now().Add(s.body)
	const step = 64 << 10
	for left := mostForgotten; left > 0 && time.Now().Before(end); left -= step {
		_ = control.SetReadDeadline(time.Now().Add(s.body / 10))
		if _, err := io.CopyN(io.Discard, r.Body, step); err != nil {
			break
		}
	}
	_ = control.SetReadDeadline(time.Time{})
}

// budget is bytes that may be taken, by all together.
type budget struct {
	mu   sync.Mutex
	left int
}

func (b *budget) take(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.left {
		return false
	}
	b.left -= n
	return true
}

func (b *budget) giveBack(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += n
}

// receive reads a request whole, and calls use with it. Its memory is taken from the budget as it comes, so that who sends
// slowly holds little.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, use func(raw []byte) error) error {
	// What a page of a browser may send without being allowed to is of another type.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return &problem{status: http.StatusUnsupportedMediaType, code: "wrong_type", text: "want Content-Type: application/json"}
	}
	tooLarge := &problem{status: http.StatusRequestEntityTooLarge, code: "too_large",
		text: fmt.Sprintf("a request of more than %d bytes", mostBody)}
	if r.ContentLength > mostBody {
		w.Header().Set("Connection", "close")
		return tooLarge
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(s.body))
	in := http.MaxBytesReader(w, r.Body, mostBody)
	const step = 16 << 10
	var raw []byte
	taken := 0
	defer func() { s.bodies.giveBack(taken) }()
	for {
		if cap(raw)-len(raw) < step {
			size := max(step, 2*cap(raw))
			if !s.bodies.take(size) {
				return errCrowded
			}
			taken += size // the old one, too, until the collector has it
			raw = append(make([]byte, 0, size), raw...)
		}
		n, err := in.Read(raw[len(raw):cap(raw)])
		raw = raw[:len(raw)+n]
		var more *http.MaxBytesError
		var late net.Error
		switch {
		case err == nil:
			continue
		case err == io.EOF:
			_ = control.SetReadDeadline(time.Time{})
			return use(raw)
		case errors.As(err, &more):
			return tooLarge
		case errors.As(err, &late) && late.Timeout():
			w.Header().Set("Connection", "close")
			return &problem{status: http.StatusRequestTimeout, code: "too_slow",
				text: fmt.Sprintf("a request that takes more than %s to come", s.body)}
		}
		return &problem{status: http.StatusBadRequest, text: "the request ended before its end"}
	}
}

// limited is a listener with so many connections at a time: others wait to be taken.
type limited struct {
	net.Listener
	free   chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newLimited(l net.Listener, most int) *limited {
	return &limited{Listener: l, free: make(chan struct{}, most), closed: make(chan struct{})}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &counted{Conn: c, end: sync.OnceFunc(func() { <-l.free })}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type counted struct {
	net.Conn
	end func()
}

func (c *counted) Close() error {
	defer c.end()
	return c.Conn.Close()
}
