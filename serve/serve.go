// Package serve answers over HTTP as OpenAI's API does, with one model: requests join and leave
// a running batch ([model.Generator.Serve]), and a text's tokens do not depend on what is written
// beside it. What a request asks for and is not there is refused by its name.
//
// What all requests together may take of memory is bounded: see [Server.Memory].
package serve

import (
	"context"
	"crypto/subtle"
	"fmt"
	"log"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"lwtrain/chat"
	"lwtrain/model"
	"lwtrain/tokenizer"
)

// Options say what a server takes.
type Options struct {
	Name    string        // of the model
	Key     string        // that requests must have; "": none is asked for
	Batch   int           // texts that are written together
	Waiting int           // texts that may wait for their turn
	Context int           // tokens of a prompt and its answer together
	Drain   time.Duration // that answers under way may take when the server is to stop
	Say     func(line string)
}

// Bounds of what is not the model's. All of them are in docs/limits.md.
const (
	mostBody   = 4 << 20  // bytes of a request
	mostBodies = 64 << 20 // bytes of requests that are being read
	mostValues = 1 << 16  // of JSON in one
	// mostForgotten is how much is read of a request that is refused, so that its sender gets to read why.
	mostForgotten = 64 << 20
	connections   = 512
	headerTime    = 10 * time.Second // for the head of a request to come
	bodyTime      = 20 * time.Second // for all of it
	writeTime     = 30 * time.Second // for a piece of an answer to go
	stopTime      = time.Second      // for the last words, when the server stops
)

// Server answers requests. Its model must not change while [Server.Serve] runs.
type Server struct {
	Options
	weights  *model.Model
	tok      *tokenizer.Tokenizer
	template *chat.Template // nil: there is no chat

	header, body time.Duration // headerTime and bodyTime

	began  time.Time
	bodies budget
	pool   pool
	parse  sync.Mutex // one request is rendered at a time, which bounds the memory of it
}

// New returns a server. Without a template it has no chat/completions.
func New(m *model.Model, tok *tokenizer.Tokenizer, template *chat.Template, o Options) *Server {
	s := &Server{Options: o, weights: m, tok: tok, template: template, header: headerTime, body: bodyTime, began: time.Now(),
		bodies: budget{left: mostBodies}}
	s.pool = pool{most: o.Batch + o.Waiting, came: make(chan struct{}, 1)}
	if s.Say == nil {
		s.Say = func(string) {}
	}
	return s
}

// Memory is about how many bytes the server takes at most beside the weights: keys and values of a full batch, the reading
// of a prompt, bodies, the rendering of one of them, and what connections hold.
func (s *Server) Memory() int64 {
	const rendering, connection, piece = 50 * mostBody, 96 << 10, 4 << 10
	texts := int64(s.Batch) * (s.weights.KeysBytes(s.Context) + int64(s.Context)*piece)
	waiting := int64(s.Waiting) * int64(s.Context) * 4
	return texts + waiting + s.weights.ReadingBytes(s.Context, s.Batch) + mostBodies + rendering + connections*connection
}

// State is how things stand.
type State struct {
	Running int `json:"running"` // texts that are being written
	Waiting int `json:"waiting"` // texts that wait for their turn
	Answers int `json:"answers"` // that have ended
	Tokens  int `json:"tokens"`  // that were written
}

// State says how things stand.
func (s *Server) State() State { return s.pool.state() }

// Serve answers what comes in until ctx ends, which is no error. Then no connection is taken any more, answers under way have
// Options.Drain to end, what is left is told that the server stops, and a second later all connections are closed.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	hs := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: s.header, IdleTimeout: time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: log.New(sayer(s.Say), "", 0),
	}
	writing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	written, listened := make(chan error, 1), make(chan error, 1)
	go func() { written <- s.write(writing) }()
	go func() { listened <- hs.Serve(newLimited(l, connections)) }()
	var err error
	select {
	case <-ctx.Done():
	case err = <-listened:
	}
	s.pool.close()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Drain)
	defer cancel()
	if hs.Shutdown(drain) != nil {
		stop()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		_ = hs.Shutdown(last)
		_ = hs.Close()
	}
	stop()
	if ended := <-written; err == nil {
		err = ended
	}
	return err
}

// write writes texts until ctx ends.
func (s *Server) write(ctx context.Context) error {
	err := model.NewGenerator(s.weights).Serve(ctx, s.Batch, func(idle bool) *model.Guest { return s.pool.next(ctx, idle) })
	s.pool.fail(errStopped)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// sayer says what net/http logs.
type sayer func(line string)

func (say sayer) Write(p []byte) (int, error) {
	say(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

// handler is what the server answers.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		send(w, http.StatusOK, struct {
			Status string `json:"status"`
			State
		}{"ok", s.State()})
	})
	type entry struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Created int64  `json:"created"`
		Owner   string `json:"owned_by"`
		Context int    `json:"max_model_len"`
	}
	only := entry{s.Name, "model", s.began.Unix(), "lwtrain", s.Context}
	mux.HandleFunc("GET /v1/models", s.keyed(func(w http.ResponseWriter, _ *http.Request) {
		send(w, http.StatusOK, struct {
			Object string  `json:"object"`
			Data   []entry `json:"data"`
		}{"list", []entry{only}})
	}))
	mux.HandleFunc("GET /v1/models/{name...}", s.keyed(func(w http.ResponseWriter, r *http.Request) {
		if name := r.PathValue("name"); name != s.Name {
			refuse(w, s.unknown(fmt.Sprintf("%.100q", name)))
			return
		}
		send(w, http.StatusOK, only)
	}))
	mux.HandleFunc("POST /v1/chat/completions", s.keyed(func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, chatForm) }))
	mux.HandleFunc("POST /v1/completions", s.keyed(func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, textForm) }))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, &problem{status: http.StatusNotFound, code: "not_found", text: fmt.Sprintf("%.20s %.100s is not there, want "+
			"POST /v1/chat/completions, POST /v1/completions, GET /v1/models, GET /v1/models/NAME or GET /health", r.Method, r.URL.Path)})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if e := recover(); e != nil {
				s.Say(fmt.Sprintf("this is a bug in lwtrain: %v\n%s", e, debug.Stack()))
				panic(http.ErrAbortHandler)
			}
		}()
		if p := s.rebound(r); p != nil {
			refuse(w, p)
		} else {
			mux.ServeHTTP(w, r)
		}
		s.linger(w, r)
	})
}

// rebound refuses a page of a browser that has led its own name to this machine: a server that only this machine
// reaches is asked by an address of it.
func (s *Server) rebound(r *http.Request) *problem {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	tcp, ok := local.(*net.TCPAddr)
	if !ok || !tcp.IP.IsLoopback() {
		return nil
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return &problem{status: http.StatusForbidden, code: "wrong_host",
		text: fmt.Sprintf("the host is %.100q, want localhost or 127.0.0.1", host)}
}

// keyed wants the key, where there is one.
func (s *Server) keyed(then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if s.Key != "" && subtle.ConstantTimeCompare([]byte(given), []byte(s.Key)) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, &problem{status: http.StatusUnauthorized, code: "invalid_api_key",
				text: "want the server's key as Authorization: Bearer"})
			return
		}
		then(w, r)
	}
}
