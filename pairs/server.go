package pairs

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"lwtrain/chat"
	"lwtrain/internal/fault"
)

const (
	mostReply   = 64 << 20         // bytes of a server's reply
	longestWait = 60 * time.Second // before a request is made again
)

// client asks a [Server].
type client struct {
	Server
	key  string
	http *http.Client
	wait func(ctx context.Context, d time.Duration) error // for tests
}

func newClient(s Server) *client {
	return &client{
		Server: s, key: os.Getenv(s.KeyEnv), wait: sleep,
		http: &http.Client{
			// Another host must not get the key, and a POST would become a GET.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// message is one as servers, commands and pairs.jsonl have it.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

func messagesOf(messages []chat.Message) []message {
	out := make([]message, len(messages))
	for i, m := range messages {
		out[i] = message{m.Role, m.Content}
	}
	return out
}

// ask is a request for an answer.
type ask struct {
	messages    []chat.Message
	temperature float64
	topP        float64
	maxTokens   int
	seed        uint64
}

// reply is what came of it.
type reply struct {
	text   string
	tokens int
	stop   string // eos, length
}

// ask asks until there is an answer, or an error that asking again does not mend.
func (c *client) ask(ctx context.Context, a ask) (reply, error) {
	body := map[string]any{
		"model": c.Model, "messages": messagesOf(a.messages), "temperature": a.temperature, "max_tokens": a.maxTokens,
		"seed": a.seed >> 11, // JSON's numbers are exact up to 2^53
	}
	if a.topP < 1 {
		body["top_p"] = a.topP
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return reply{}, err
	}
	for try := 0; ; try++ {
		r, again, err := c.once(ctx, raw)
		if err == nil || ctx.Err() != nil {
			return r, errors.Join(ctx.Err(), err)
		}
		if again < 0 || try == c.Retries {
			return r, fmt.Errorf("%s: %w", c.URL, err)
		}
		// Twice as long each time, and not all at the same moment.
		pause := min(longestWait, time.Duration(float64(time.Second)*float64(int(1)<<min(try, 6))*(0.5+rand.Float64())))
		if err := c.wait(ctx, max(pause, min(again, longestWait))); err != nil {
			return r, err
		}
	}
}

// once makes a request. again is how long the server wants to be left alone before
// the next try, below 0 where that would not help.
func (c *client) once(ctx context.Context, body []byte) (r reply, again time.Duration, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(c.Timeout)*time.Second, fmt.Errorf("no answer in %d seconds", c.Timeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(c.URL, "/")+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return r, -1, err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return r, 0, cmp.Or(context.Cause(ctx), errors.Unwrap(err)) // without the address, which is said
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, mostReply+1))
	switch code := resp.StatusCode; {
	case err != nil:
		return r, 0, cmp.Or(context.Cause(ctx), err)
	case len(raw) > mostReply:
		return r, -1, fmt.Errorf("a reply of more than %d MiB", mostReply>>20)
	case code == 429 || code >= 500:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return r, time.Duration(max(0, seconds)) * time.Second, fmt.Errorf("status %d: %s", code, excerpt(raw))
	case code == 401 || code == 403:
		return r, -1, fault.Hint(fmt.Errorf("status %d: %s", code, excerpt(raw)), "the key is taken from the environment variable "+c.KeyEnv)
	case code != 200:
		return r, -1, fmt.Errorf("status %d: %s", code, excerpt(raw))
	}
	var got struct {
		Choices []struct {
			Message struct {
				Content *string `json:"content"`
			} `json:"message"`
			FinishReason string `json:"finish_reason"`
		} `json:"choices"`
		Usage struct {
			CompletionTokens int `json:"completion_tokens"`
		} `json:"usage"`
	}
	if err := json.Unmarshal(raw, &got); err != nil || len(got.Choices) == 0 || got.Choices[0].Message.Content == nil {
		return r, 0, fmt.Errorf("no choices[0].message.content in the reply: %s", excerpt(raw))
	}
	r = reply{text: *got.Choices[0].Message.Content, tokens: got.Usage.CompletionTokens, stop: "eos"}
	if got.Choices[0].FinishReason == "length" {
		r.stop = "length"
	}
	return r, 0, nil
}

// excerpt is the beginning of a reply, on one line.
func excerpt(raw []byte) string {
	const most = 200
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(raw[:min(len(raw), most)]), "?")), " ")
	if len(raw) > most {
		text += "..."
	}
	if text == "" {
		return "nothing more"
	}
	return text
}
