// Package llmtest plays an OpenAI-compatible server for tests.
package llmtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// Server answers chat/completions. Its fields may be changed between requests.
type Server struct {
	URL string // up to the version
	Key string // that it wants; "": none

	Text   func(Request) string                           // what it writes; nil: as [Words] does
	Script func(n int, w http.ResponseWriter) (done bool) // may answer the n-th request, counted from 1, instead

	mu     sync.Mutex
	count  int
	asked  map[string]int
	server *httptest.Server
}

// Request is what the server is asked.
type Request struct {
	Model    string `json:"model"`
	Messages []struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	} `json:"messages"`
	Temperature float64  `json:"temperature"`
	TopP        *float64 `json:"top_p"` // nil: not sent
	MaxTokens   int      `json:"max_tokens"`
	Seed        uint64   `json:"seed"`
}

// New starts a server. Close it at the end.
func New() *Server {
	s := &Server{asked: map[string]int{}}
	s.server = httptest.NewServer(http.HandlerFunc(s.answer))
	s.URL = s.server.URL + "/v1"
	return s
}

// Close ends the server.
func (s *Server) Close() {
	s.server.CloseClientConnections()
	s.server.Close()
}

// Requests is how often the server was asked, with the right key.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Repeated is how many of the answers had been given before.
func (s *Server) Repeated() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, times := range s.asked {
		n += times - 1
	}
	return n
}

// Words is an answer of 1 to 40 words, as the request's seed says.
func Words(r Request) string {
	return strings.TrimSpace(strings.Repeat("word ", 1+int(r.Seed%40)))
}

// Judge gives the ratings of LongBench-Write where it is asked for them, by the length
// of what it is shown, and answers as [Words] does elsewhere.
func Judge(r Request) string {
	q := r.Messages[0].Content
	if !strings.Contains(q, "<request>") {
		return Words(r)
	}
	return fmt.Sprintf(`{"Relevance": %d, "Accuracy": 4, "Coherence": 3, "Clarity": 2, "Breadth and Depth": 1, "Reading Experience": 5}`,
		1+len(q)%5)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	var in Request
	switch err := json.NewDecoder(r.Body).Decode(&in); {
	case r.Method != http.MethodPost || r.URL.Path != "/v1/chat/completions":
		http.Error(w, "nothing here", http.StatusNotFound)
		return
	case s.Key != "" && r.Header.Get("Authorization") != "Bearer "+s.Key:
		http.Error(w, "who is there?", http.StatusUnauthorized)
		return
	case err != nil || len(in.Messages) == 0:
		http.Error(w, fmt.Sprintf("no request: %v", err), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.count++
	n := s.count
	s.mu.Unlock()
	if s.Script != nil && s.Script(n, w) {
		return
	}
	text := Words(in)
	if s.Text != nil {
		text = s.Text(in)
	}
	s.mu.Lock()
	s.asked[fmt.Sprint(in.Messages, in.Seed)]++
	s.mu.Unlock()
	json.NewEncoder(w).Encode(map[string]any{
		"choices": []any{map[string]any{"message": map[string]any{"role": "assistant", "content": text}, "finish_reason": "stop"}},
		"usage":   map[string]any{"completion_tokens": len(text)},
	})
}
