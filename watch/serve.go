package watch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"lwtrain/internal/human"
	"lwtrain/report"
)

// refresh is how often a page asks to be shown anew, and lookEvery how often a folder is looked at, however
// many ask.
const refresh, lookEvery = 5 * time.Second, time.Second

// Address is where a page is served: a port alone is one of this machine.
func Address(text string) (string, error) {
	if _, err := strconv.Atoi(text); err == nil {
		text = ":" + text
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", fmt.Errorf("%q, want an address as 127.0.0.1:7860 or a port: %w", text, err)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// server shows one folder.
type server struct {
	local bool // it is for this machine alone

	mu     sync.Mutex
	w      *Watcher
	looked time.Time
	page   []byte
	text   []byte // for Prometheus
	json   []byte
	err    error
}

// Handler shows a folder at / as a page, at /status.json as `lwtrain watch --json`, and at /metrics as
// Prometheus reads it. It answers GET and HEAD. local is for one that listens on this machine alone:
// other names of it are refused, so that no page of elsewhere can ask in a browser's name.
func Handler(w *Watcher, local bool) http.Handler {
	s := &server{w: w, local: local}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.show("text/html; charset=utf-8", func() []byte { return s.page }))
	mux.HandleFunc("GET /status.json", s.show("application/json", func() []byte { return s.json }))
	mux.HandleFunc("GET /metrics", s.show("text/plain; version=0.0.4; charset=utf-8", func() []byte { return s.text }))
	return mux
}

func (s *server) show(kind string, content func() []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.local && !isLocal(r.Host) {
			http.Error(w, "this page is for this machine alone", http.StatusForbidden)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if time.Since(s.looked) >= lookEvery {
			s.err = s.look()
			s.looked = time.Now()
		}
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		if s.err != nil {
			h.Set("Refresh", strconv.Itoa(int(refresh.Seconds())))
			http.Error(w, s.err.Error(), http.StatusServiceUnavailable)
			return
		}
		h.Set("Content-Type", kind)
		w.Write(content()) // who is gone misses nothing
	}
}

// isLocal reports whether a request's host is a name of this machine.
func isLocal(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback()
}

// look reads the folder and makes all that is shown of it.
func (s *server) look() error {
	status, err := s.w.Look()
	if err != nil {
		return err
	}
	var page, text bytes.Buffer
	if err := report.WriteLive(&page, status.live(s.w.now())); err != nil {
		return err
	}
	raw, err := json.Marshal(status)
	if err != nil {
		return err
	}
	status.prometheus(&text)
	s.page, s.text, s.json = page.Bytes(), text.Bytes(), append(raw, '\n')
	return nil
}

// live is what a page shows.
func (s *Status) live(now time.Time) report.Live {
	l := report.Live{Dir: s.Dir, Kind: s.Kind, State: string(s.State), Note: s.Note, Refresh: int(refresh.Seconds()), Run: s.Run}
	if s.Updated != nil {
		l.Ago = human.Span(now.Sub(*s.Updated)) + " ago"
	}
	training := s.Training
	for _, step := range s.Steps {
		l.Rows = append(l.Rows, []string{step.Name, step.Command, string(step.State), step.Figure})
		if step.Inner != nil && step.Inner.Training != nil {
			training, l.Run = step.Inner.Training, step.Inner.Run
		}
	}
	for _, f := range s.Files {
		l.Counts = append(l.Counts, report.LiveCount{N: f.N, What: f.What + f.Total()})
	}
	if training != nil && training.Left != nil {
		l.Left = human.Span(time.Duration(*training.Left * float64(time.Second)))
	}
	return l
}

// prometheus writes the numbers in Prometheus' text format.
func (s *Status) prometheus(w io.Writer) {
	run := label("run", s.Dir)
	gauge := func(name, help string, samples ...string) {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
		for _, x := range samples {
			fmt.Fprintf(w, "%s%s\n", name, x)
		}
	}
	one := func(v float64) string { return "{" + run + "} " + strconv.FormatFloat(v, 'g', -1, 64) }
	var states []string
	for _, state := range []State{Running, Finished, Stopped, Died, Unknown} {
		is := 0
		if s.State == state {
			is = 1
		}
		states = append(states, fmt.Sprintf("{%s,%s,%s} %d", run, label("kind", s.Kind), label("state", string(state)), is))
	}
	gauge("lwtrain_state", "1 for the state that the work is in.", states...)
	if s.Updated != nil {
		gauge("lwtrain_updated_timestamp_seconds", "When the work wrote last.", one(float64(s.Updated.UnixMilli())/1000))
	}
	var lines, steps []string
	for _, f := range s.Files {
		lines = append(lines, fmt.Sprintf("{%s,%s} %d", run, label("file", f.Name), f.N))
	}
	for _, step := range s.Steps {
		is := 0
		if step.State == Finished {
			is = 1
		}
		steps = append(steps, fmt.Sprintf("{%s,%s} %d", run, label("step", step.Name), is))
	}
	if len(lines) > 0 {
		gauge("lwtrain_lines", "Lines of a file that the work appends to.", lines...)
	}
	if len(steps) > 0 {
		gauge("lwtrain_chain_step_done", "1 for the steps of a chain that are done.", steps...)
	}
	t := s.Training
	if t == nil {
		return
	}
	gauge("lwtrain_step", "Optimiser steps that are done.", one(float64(t.Step)))
	gauge("lwtrain_steps_planned", "Optimiser steps of the whole run.", one(float64(t.Planned)))
	gauge("lwtrain_saved_step", "Step of the newest checkpoint.", one(float64(t.Saved)))
	if t.Left != nil {
		gauge("lwtrain_seconds_left", "How long the rest takes, by the last steps.", one(*t.Left))
	}
	var metrics []string
	for _, key := range slices.Sorted(maps.Keys(t.Metrics)) {
		metrics = append(metrics, fmt.Sprintf("{%s,%s} %s", run, label("key", key), strconv.FormatFloat(t.Metrics[key], 'g', -1, 64)))
	}
	gauge("lwtrain_metric", "The last value of a number of metrics.jsonl.", metrics...)
}

// label is a label of Prometheus, its value escaped.
func label(name, value string) string {
	value = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(strings.ToValidUTF8(value, "\uFFFD"))
	return name + `="` + value + `"`
}
