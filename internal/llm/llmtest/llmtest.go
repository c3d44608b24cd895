// Package llmtest plays an OpenAI-compatible server for tests.
package llmtest

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// Server answers chat/completions. Its fields may be changed between requests.
type Server struct {
	URL string // up to the version
	Key string // that it wants; "": none

	Text   func(Request) string                           // what it writes; nil: as [Words] does
	Say    func(Request) Said                             // or all that it says; nil: what it writes, whole
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
	TopLogprobs int      `json:"top_logprobs"`
	Stream      bool     `json:"stream"`
	Body        string   `json:"-"` // all of it, as it came
}

// Said is a reply with all that servers do and claim.
type Said struct {
	Text, Reasoning string
	Finish          string // "": it does not say
	Tokens, Prompt  int    // that it claims to have written and read; 0: it does not say
	Logprobs        []map[string]float64
	Whole           bool          // at once, also where a stream is asked for
	Torn            bool          // the stream ends before its end
	Pause           time.Duration // before each word but the first
	Status          int           // other than 200: Text is the refusal
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
// of what it is shown, plans and writes where AgentWrite asks for it, and answers as [Words] does elsewhere.
func Judge(r Request) string {
	q := r.Messages[0].Content
	switch {
	case strings.Contains(q, "break down the following long-form writing instruction"):
		return "Paragraph 1 - Main Point: how it began - Word Count: 350 words\n" +
			"Paragraph 2 - Main Point: how it ended - Word Count: 350 words"
	case strings.Contains(q, "You are an excellent writing assistant"):
		return paragraph(q)
	case strings.Contains(q, "<written_text_A>"):
		return "A"
	case strings.Contains(q, "<written_text>"):
		return fmt.Sprint(1 + len(q)%5)
	case strings.Contains(q, "<User Request>"):
		return "no marks today"
	}
	if !strings.Contains(q, "<request>") {
		return Words(r)
	}
	return fmt.Sprintf(`{"Relevance": %d, "Accuracy": 4, "Coherence": 3, "Clarity": 2, "Breadth and Depth": 1, "Reading Experience": 5}`,
		1+len(q)%5)
}

// paragraph is a text of 350 words that no other prompt has.
func paragraph(prompt string) string {
	h := fnv.New64a()
	h.Write([]byte(prompt))
	random := rand.New(rand.NewPCG(h.Sum64(), 0))
	var out strings.Builder
	for range 35 {
		out.WriteString("The")
		for range 9 {
			fmt.Fprintf(&out, " %c%c%c%c", 'a'+random.IntN(26), 'a'+random.IntN(26), 'a'+random.IntN(26), 'a'+random.IntN(26))
		}
		out.WriteString(". ")
	}
	return out.String()
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	in := Request{Body: string(raw)}
	if err == nil {
		err = json.Unmarshal(raw, &in)
	}
	switch {
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
	said := Said{Finish: "stop"}
	switch {
	case s.Say != nil:
		said = s.Say(in)
	case s.Text != nil:
		said.Text = s.Text(in)
	default:
		said.Text = Words(in)
	}
	if s.Say == nil && in.Stream {
		said.Tokens = len(strings.SplitAfter(said.Text, " "))
	} else if s.Say == nil {
		said.Tokens = len(said.Text)
	}
	s.mu.Lock()
	s.asked[fmt.Sprint(in.Messages, in.Seed)]++
	s.mu.Unlock()
	switch {
	case said.Status != 0 && said.Status != http.StatusOK:
		http.Error(w, said.Text, said.Status)
	case in.Stream && !said.Whole:
		said.stream(w)
	default:
		json.NewEncoder(w).Encode(said.piece("message", said.Text, said.Reasoning, said.Finish, said.Logprobs, true))
	}
}

// piece is a reply, or an event of a stream.
func (s Said) piece(as, text, reasoning, finish string, logprobs []map[string]float64, usage bool) map[string]any {
	choice := map[string]any{as: map[string]any{"role": "assistant", "content": text}, "finish_reason": nil}
	if reasoning != "" {
		choice[as].(map[string]any)["reasoning_content"] = reasoning
	}
	if finish != "" {
		choice["finish_reason"] = finish
	}
	if len(logprobs) > 0 {
		var content []any
		for _, at := range logprobs {
			top := []any{}
			for token, p := range at {
				top = append(top, map[string]any{"token": token, "logprob": p, "bytes": nil})
			}
			content = append(content, map[string]any{"top_logprobs": top})
		}
		choice["logprobs"] = map[string]any{"content": content}
	}
	out := map[string]any{"choices": []any{choice}}
	if usage && s.Tokens > 0 {
		out["usage"] = map[string]any{"completion_tokens": s.Tokens, "prompt_tokens": s.Prompt, "total_tokens": s.Prompt + s.Tokens}
	}
	return out
}

// stream says it word by word.
func (s Said) stream(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	event := func(v any) {
		raw, _ := json.Marshal(v)
		fmt.Fprintf(w, "data: %s\n\n", raw)
		w.(http.Flusher).Flush()
	}
	fmt.Fprint(w, ": a comment\n\n")
	if s.Reasoning != "" {
		event(s.piece("delta", "", s.Reasoning, "", nil, false))
	}
	for i, word := range strings.SplitAfter(s.Text, " ") {
		if i > 0 && s.Pause > 0 {
			time.Sleep(s.Pause)
		}
		var logprobs []map[string]float64
		if i < len(s.Logprobs) {
			logprobs = s.Logprobs[i : i+1]
		}
		event(s.piece("delta", word, "", "", logprobs, false))
	}
	if s.Torn {
		return
	}
	event(s.piece("delta", "", "", s.Finish, nil, false))
	if s.Tokens > 0 {
		event(map[string]any{"choices": []any{}, "usage": map[string]any{
			"completion_tokens": s.Tokens, "prompt_tokens": s.Prompt, "total_tokens": s.Prompt + s.Tokens,
		}})
	}
	fmt.Fprint(w, "data: [DONE]\n\n")
}
