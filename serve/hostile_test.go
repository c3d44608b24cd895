package serve

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWhatIsRefused(t *testing.T) {
	s := start(t, Options{})
	stops := strings.Repeat(`"x",`, 1000) + `"y"`
	for _, c := range []struct {
		name, more string
		status     int
		param      string
		want       string
	}{
		{"an unknown parameter", `"mirostat": 2`, 400, "mirostat", "mirostat is not supported"},
		{"a penalty", `"frequency_penalty": 0.5`, 400, "frequency_penalty", "0.5 is not supported, want 0 or none"},
		{"a penalty of nothing", `"frequency_penalty": 0.0, "presence_penalty": null`, 200, "", ""},
		{"a form of replies", `"response_format": {"type": "json_object"}`, 400, "response_format", "is not supported"},
		{"the form that there is", `"response_format": { "type": "text" }`, 200, "", ""},
		{"who asks", `"user": "somebody"`, 200, "", ""},
		{"another model", `"model": "gpt-4"`, 404, "model", `\"gpt-4\", want \"tiny\"`},
		{"a temperature of text", `"temperature": "hot"`, 400, "temperature", `want a number from 0 on`},
		{"a temperature below 0", `"temperature": -1`, 400, "temperature", `-1, want a number from 0 on`},
		{"a temperature that is no number", `"temperature": NaN`, 400, "", `no JSON object`},
		{"too much of top_p", `"top_p": 1.5`, 400, "top_p", "want a number from 0 to 1"},
		{"no top_p", `"top_p": 0`, 400, "top_p", "want above 0"},
		{"half a token", `"max_tokens": 1.5`, 400, "max_tokens", "want a whole number from 1"},
		{"no token", `"max_tokens": 0`, 400, "max_tokens", "want a whole number from 1"},
		{"two limits", `"max_tokens": 3, "max_completion_tokens": 4`, 400, "max_tokens", "want one of them"},
		{"one limit twice", `"max_tokens": 3, "max_completion_tokens": 3`, 200, "", ""},
		{"a key twice", `"seed": 1, "seed": 2`, 400, "", "is there twice"},
		{"a thousand stops", `"stop": [` + stops + `]`, 400, "stop", "1001 texts, want at most 16"},
		{"an empty stop", `"stop": ""`, 400, "stop", "0 bytes, want 1 to 256"},
		{"a long stop", `"stop": "` + strings.Repeat("x", 257) + `"`, 400, "stop", "257 bytes"},
		{"a stop that is no text", `"stop": 5`, 400, "stop", "want a text or a list"},
		{"a seed of text", `"seed": "x"`, 400, "seed", "want a whole number of 64 bits"},
		{"a large seed", `"seed": 18446744073709551615`, 200, "", ""},
		{"a negative seed", `"seed": -1`, 200, "", ""},
		{"many choices", `"n": 17`, 400, "n", "want a whole number from 1 to 16"},
		{"candidates without logprobs", `"top_logprobs": 3`, 400, "top_logprobs", "want it with logprobs: true"},
		{"many candidates", `"logprobs": true, "top_logprobs": 21`, 400, "top_logprobs", "from 0 to 20"},
		{"options of no stream", `"stream_options": {"include_usage": true}`, 400, "stream_options", "without stream"},
		{"other options of a stream", `"stream": true, "stream_options": {"pace": 1}`, 400, "stream_options", "want include_usage"},
		{"tools that the template does not write", `"tools": [{"type": "function", "function": {"name": "f"}}]`, 400, "tools",
			"does not write"},
		{"a choice of tools", `"tool_choice": "required"`, 400, "tool_choice", "is not supported"},
		{"no tool of none", `"tool_choice": "none"`, 200, "", ""},
		{"thinking that the template does not know", `"chat_template_kwargs": {"enable_thinking": false}`, 200, "", ""},
		{"thinking that it is to know", `"chat_template_kwargs": {"enable_thinking": true}`, 400, "chat_template_kwargs", "does not know"},
		{"effort that it does not know", `"reasoning_effort": "low"`, 400, "reasoning_effort", "does not know it"},
		{"what our own client sends", `"top_k": -1, "min_p": 0, "repetition_penalty": 1, "repeat_penalty": 1, "top_p": 1`, 200, "", ""},
		{"to go on with a question", `"continue_final_message": true`, 400, "continue_final_message", "true, want false"},
		{"more than there is room for", `"max_tokens": 500`, 400, "max_tokens",
			"500 behind a prompt of 20 tokens is 520, and the context has 512, want at most 492"},
	} {
		t.Run(c.name, func(t *testing.T) {
			more := c.more
			if c.status == 200 && !strings.Contains(more, "max_tokens") {
				more += `, "max_tokens": 2`
			}
			status, _, raw := s.post(t, "/v1/chat/completions", `{`+question+`, `+more+`}`)
			param := `"param":"` + c.param + `"`
			if c.param == "" {
				param = `"param":null`
			}
			if status != c.status || status != 200 && !(strings.Contains(raw, c.want) && strings.Contains(raw, param)) {
				t.Errorf("status %d: %.300s", status, raw)
			}
		})
	}
}

func TestRequestsThatAreNone(t *testing.T) {
	s := start(t, Options{Key: "sk-secret"})
	deep := strings.Repeat("[", 100_000)
	long := strings.Repeat("word ", 1000)
	for _, c := range []struct {
		name, path, kind, key, host, body string
		status                            int
		want                              string
	}{
		{"all well", "chat/completions", "application/json; charset=utf-8", "sk-secret", "localhost", `{` + question +
			`, "max_tokens": 1}`, 200, ""},
		{"no key", "chat/completions", "application/json", "", "", `{}`, 401, "invalid_api_key"},
		{"another key", "completions", "application/json", "sk-secret2", "", `{}`, 401, "invalid_api_key"},
		{"a form of a page", "chat/completions", "text/plain", "sk-secret", "", `{}`, 415, "want Content-Type: application/json"},
		{"another name of this machine", "chat/completions", "application/json", "sk-secret", "evil.example", `{}`, 403, "want localhost"},
		{"nothing", "chat/completions", "application/json", "sk-secret", "", ``, 400, "no JSON object"},
		{"null", "chat/completions", "application/json", "sk-secret", "", `null`, 400, "no JSON object"},
		{"a list", "chat/completions", "application/json", "sk-secret", "", `[]`, 400, "no JSON object"},
		{"deep JSON", "chat/completions", "application/json", "sk-secret", "", `{"messages": ` + deep, 400, "no JSON object"},
		{"deep JSON with its ends", "chat/completions", "application/json", "sk-secret", "",
			`{"messages": ` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`, 400, "messages"},
		{"a million values", "chat/completions", "application/json", "sk-secret", "", `{"messages": [` + strings.Repeat("1,", 1e6) +
			`1]}`, 400, "more than 65536 values"},
		{"no messages", "chat/completions", "application/json", "sk-secret", "", `{}`, 400, "messages: missing"},
		{"no list of messages", "chat/completions", "application/json", "sk-secret", "", `{"messages": "q"}`, 400, "messages"},
		{"an empty list of messages", "chat/completions", "application/json", "sk-secret", "", `{"messages": []}`, 400, "messages"},
		{"a picture", "chat/completions", "application/json", "sk-secret", "",
			`{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}`, 400, "image_url"},
		{"half a character", "chat/completions", "application/json", "sk-secret", "",
			`{"messages": [{"role": "user", "content": "\ud83d"}]}`, 400, ""},
		{"a prompt that is too long", "chat/completions", "application/json", "sk-secret", "",
			`{"messages": [{"role": "user", "content": "` + long + `"}]}`, 400, "and the context has 512, want at least one less"},
		{"a text that is too long", "completions", "application/json", "sk-secret", "", `{"prompt": "` + long + `"}`, 400,
			"prompt: 5000 tokens"},
		{"no prompt", "completions", "application/json", "sk-secret", "", `{}`, 400, "prompt: missing"},
		{"two prompts", "completions", "application/json", "sk-secret", "", `{"prompt": ["a", "b"]}`, 400,
			"want one text or a list of token ids"},
		{"an empty prompt", "completions", "application/json", "sk-secret", "", `{"prompt": ""}`, 400, "empty"},
		{"an id that is none", "completions", "application/json", "sk-secret", "", `{"prompt": [1, 259]}`, 400,
			"the token id 259, want 0 to 258"},
		{"an echo", "completions", "application/json", "sk-secret", "", `{"prompt": "a", "echo": true}`, 400,
			"echo: true is not supported"},
		{"another place", "embeddings", "application/json", "sk-secret", "", `{}`, 404, "is not there, want"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, _ := http.NewRequest(http.MethodPost, s.url+"/v1/"+c.path, strings.NewReader(c.body))
			req.Header.Set("Content-Type", c.kind)
			if c.key != "" {
				req.Header.Set("Authorization", "Bearer "+c.key)
			}
			if c.host != "" {
				req.Host = c.host
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			raw, _ := io.ReadAll(res.Body)
			if res.StatusCode != c.status || !strings.Contains(string(raw), c.want) || c.status != 200 &&
				!strings.HasPrefix(string(raw), `{"error":{"message":"`) {
				t.Errorf("status %d: %.300s", res.StatusCode, raw)
			}
		})
	}
	res, err := http.Get(s.url + "/health")
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if !strings.Contains(string(raw), `"status":"ok","running":0,"waiting":0`) {
		t.Errorf("%s", raw)
	}
}

// endless sends one byte again and again.
type endless struct{ left int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = ' '
	}
	e.left -= int64(len(p))
	return len(p), nil
}

func TestALargeBodyIsNotRead(t *testing.T) {
	s := start(t, Options{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, known := range []bool{true, false} {
		body := &endless{2 << 30}
		req, _ := http.NewRequest(http.MethodPost, s.url+"/v1/chat/completions", io.NopCloser(body))
		req.Header.Set("Content-Type", "application/json")
		if known {
			req.ContentLength = body.left
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil { // the server has closed the connection before all was sent
			continue
		}
		res.Body.Close()
		if res.StatusCode != http.StatusRequestEntityTooLarge || body.left < 1<<30 {
			t.Errorf("status %d, %d bytes are left", res.StatusCode, body.left)
		}
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
		t.Errorf("%d bytes for a body that is refused", took)
	}
	if status, _, raw := s.post(t, "/v1/chat/completions", `{`+question+`, "max_tokens": 1}`); status != 200 {
		t.Errorf("and then %d: %s", status, raw)
	}
	if s.bodies.left != mostBodies {
		t.Errorf("%d bytes are left for bodies, want %d", s.bodies.left, mostBodies)
	}
}

// TestWhoSendsAllBeforeReadingHearsWhy sends a body whole before it reads, as many clients do: a connection that is closed
// with bytes unread would be reset, and the answer lost.
func TestWhoSendsAllBeforeReadingHearsWhy(t *testing.T) {
	s := start(t, Options{Key: "sk-secret"})
	for _, c := range []struct {
		name, path, head string
		size, status     int
	}{
		{"a body that is too large", "chat/completions", "Authorization: Bearer sk-secret\r\nContent-Type: application/json", 5 << 20, 413},
		{"without a key", "chat/completions", "Content-Type: application/json", 3 << 20, 401},
		{"of another type", "completions", "Authorization: Bearer sk-secret\r\nContent-Type: text/plain", 40 << 20, 415},
		{"another place", "embeddings", "Authorization: Bearer sk-secret", 5 << 20, 404},
		{"another host", "completions", "Host: evil.example", 5 << 20, 403},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, in chunks: %t", c.name, chunked), func(t *testing.T) {
				conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
				head, length := c.head, fmt.Sprintf("Content-Length: %d", c.size)
				if !strings.Contains(head, "Host:") {
					head += "\r\nHost: localhost"
				}
				if chunked {
					length = "Transfer-Encoding: chunked"
				}
				body := strings.Repeat(" ", c.size)
				if chunked {
					body = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", c.size, body)
				}
				if _, err := fmt.Fprintf(conn, "POST /v1/%s HTTP/1.1\r\n%s\r\n%s\r\n\r\n%s", c.path, head, length, body); err != nil {
					t.Fatal(err)
				}
				time.Sleep(50 * time.Millisecond) // what would be reset is
				res, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				if raw, err := io.ReadAll(res.Body); res.StatusCode != c.status || err != nil || !strings.Contains(string(raw), "error") {
					t.Errorf("status %d: %.200s %v", res.StatusCode, raw, err)
				}
			})
		}
	}
}

func TestManyBodiesAtOnceAreTooMany(t *testing.T) {
	s := start(t, Options{}, func(s *Server) { s.bodies.left = 1 << 20 })
	half := func() net.Conn {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+
			"Content-Length: 400000\r\n\r\n%s",
			strings.Repeat(" ", 300_000))
		return c
	}
	half()
	within(t, "the first body comes", func() bool { s.bodies.mu.Lock(); defer s.bodies.mu.Unlock(); return s.bodies.left < 200_000 })
	status, header, raw := s.post(t, "/v1/chat/completions", `{`+question+strings.Repeat(" ", 600_000)+`}`)
	if status != 503 || header.Get("Retry-After") != "1" {
		t.Errorf("status %d: %.200s", status, raw)
	}
}

// within waits until something is so.
func within(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in 20 seconds: %s", what)
		}
	}
}

func TestWhoSendsSlowlyHoldsNobodyUp(t *testing.T) {
	s := start(t, Options{}, func(s *Server) { s.header, s.body = 600*time.Millisecond, 600*time.Millisecond })
	var slow []net.Conn
	for i := range 40 {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		head := "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
		if i%2 == 0 {
			head += "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
		}
		fmt.Fprint(c, head)
		slow = append(slow, c)
	}
	if status, _, raw := s.post(t, "/v1/chat/completions", `{`+question+`, "max_tokens": 3}`); status != 200 {
		t.Errorf("status %d: %s", status, raw)
	}
	for i, c := range slow { // a byte now and then changes nothing
		fmt.Fprint(c, " ")
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		switch {
		case err != nil && i%2 == 0:
			t.Errorf("%d: %v", i, err)
		case err == nil && res.StatusCode != http.StatusRequestTimeout:
			t.Errorf("%d: status %d", i, res.StatusCode)
		}
	}
}

func TestWhoLeavesMakesRoom(t *testing.T) {
	s := start(t, Options{Context: 1 << 19, Batch: 1, Waiting: 2})
	for _, stream := range []bool{true, false} {
		ask := func(ctx context.Context) (*http.Response, error) {
			req, _ := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/chat/completions",
				strings.NewReader(fmt.Sprintf(`{%s, "max_tokens": 500000, "temperature": 0, "stream": %t}`, question, stream)))
			req.Header.Set("Content-Type", "application/json")
			return http.DefaultClient.Do(req)
		}
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan bool)
		go func() {
			if res, err := ask(ctx); err == nil {
				_, _ = res.Body.Read(make([]byte, 1)) // what has begun to come; it may leave before
				<-ctx.Done()
				res.Body.Close()
			}
			left <- true
		}()
		within(t, "one is written", func() bool { return s.State().Running == 1 })
		waiting, stopWaiting := context.WithCancel(t.Context())
		for range 2 {
			go func() {
				if res, err := ask(waiting); err == nil { // the head of a stream comes at once
					<-waiting.Done()
					res.Body.Close()
				}
				left <- true
			}()
		}
		within(t, "two wait", func() bool { return s.State().Waiting == 2 })
		status, header, raw := s.post(t, "/v1/chat/completions", `{`+question+`}`)
		if status != 429 || header.Get("Retry-After") == "" || !strings.Contains(raw,
			"3 texts are written or wait, and 1 more would be more than 3") {
			t.Errorf("a fourth one: %d: %s", status, raw)
		}
		stopWaiting()
		<-left
		<-left
		within(t, "nobody waits", func() bool { return s.State().Waiting == 0 })
		leave()
		<-left
		within(t, "its row is free", func() bool { return s.State().Running == 0 })
	}
	if status, _, raw := s.post(t, "/v1/chat/completions", `{`+question+`, "max_tokens": 3}`); status != 200 {
		t.Errorf("and then %d: %s", status, raw)
	}
}

func TestAServerStops(t *testing.T) {
	long := `{` + question + `, "temperature": 0, "stream": true, "max_tokens": %d}`
	for _, c := range []struct {
		name   string
		tokens int
		drain  time.Duration
		want   string // at the end of the answer under way
	}{
		{"after the answers under way", 600, time.Minute, "data: [DONE]\n\n"},
		{"or when they have had their time", 500_000, 200 * time.Millisecond,
			`"message":"the server stops","type":"server_error","param":null,"code":"stopping"}}` + "\n\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, Options{Context: 1 << 19, Batch: 4, Waiting: 4, Drain: c.drain})
			res, err := http.Post(s.url+"/v1/chat/completions", "application/json", strings.NewReader(fmt.Sprintf(long, c.tokens)))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			began := time.Now()
			s.stop()
			raw, err := io.ReadAll(res.Body)
			if err != nil || !strings.HasSuffix(string(raw), c.want) {
				t.Errorf("%v, the stream ends with %q", err, string(raw[max(0, len(raw)-200):]))
			}
			err = <-s.ended
			if took := time.Since(began); err != nil || took > c.drain+30*time.Second { // the second would take many minutes
				t.Errorf("%v after %v", err, took)
			}
			s.ended <- nil
			if _, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://")); err == nil {
				t.Error("it still takes connections")
			}
		})
	}
}

// TestAStopIsFoundHoweverTheTextComes cuts texts into pieces.
func TestAStopIsFoundHoweverTheTextComes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.RuneFrom([]rune("abc")), 0, 40, -1).Draw(t, "text")
		e := ending{stops: rapid.SliceOfN(rapid.StringOfN(rapid.RuneFrom([]rune("abc")), 1, 4, -1), 0, 3).Draw(t, "stops")}
		got, stopped := "", false
		for at := 0; at < len(text) && !stopped; {
			n := rapid.IntRange(1, len(text)-at).Draw(t, "piece")
			var more string
			more, stopped = e.add(text[at : at+n])
			got += more
			at += n
		}
		if !stopped {
			got += e.rest()
		}
		if !strings.HasPrefix(text, got) || stopped == (got == text && !anyIn(text, e.stops)) {
			t.Fatalf("%q is what is left of %q with %q (stopped: %t)", got, text, e.stops, stopped)
		}
		if anyIn(got, e.stops) || !stopped && anyIn(text, e.stops) {
			t.Fatalf("%q holds a stop of %q", got, e.stops)
		}
		if rest := text[len(got):]; stopped && !startsWithAny(rest, e.stops) {
			t.Fatalf("%q ends before %q, which begins with none of %q", got, rest, e.stops)
		}
	})
}

func anyIn(text string, of []string) bool {
	for _, s := range of {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}

func startsWithAny(text string, of []string) bool {
	for _, s := range of {
		if strings.HasPrefix(text, s) {
			return true
		}
	}
	return false
}
