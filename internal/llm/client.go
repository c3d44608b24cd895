package llm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"lwtrain/internal/fault"
	"lwtrain/internal/plainjson"
	"lwtrain/internal/transport"
)

const mostReply, mostValues = 64 << 20, 1 << 20 // bytes, and values of JSON

// Client asks a [Server]. It is safe for concurrent use.
type Client struct {
	Server
	// Waiting, which may be nil, is told why and for how long it waits before it asks
	// again. Several requests may tell it at once.
	Waiting func(err error, pause time.Duration)

	key   string
	http  http.RoundTripper
	retry transport.Retry
}

var _ Answerer = (*Client)(nil)

// NewClient returns a client that sends the key which the server's environment
// variable holds now.
func NewClient(s Server) *Client {
	key := strings.TrimSpace(os.Getenv(s.KeyEnv))
	return &Client{
		Server: s, key: key, http: http.DefaultTransport,
		retry: transport.Retry{Times: s.Retries, Pause: time.Second, Jitter: true, Key: key},
	}
}

// Answer answers requests, at most Concurrency of them at a time.
func (c *Client) Answer(ctx context.Context, requests []Request, done func(i int, r Reply) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var one sync.Mutex // is told at a time
	next := make(chan int)
	var askers sync.WaitGroup
	for range c.Concurrency {
		askers.Go(func() {
			for i := range next {
				r, err := c.Ask(ctx, requests[i])
				if err == nil {
					one.Lock()
					err = done(i, r)
					one.Unlock()
				}
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range requests {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	askers.Wait()
	return context.Cause(ctx)
}

// Ask asks until there is a reply, or an error that asking again does not mend.
func (c *Client) Ask(ctx context.Context, r Request) (Reply, error) {
	body, err := c.body(r)
	if err != nil {
		return Reply{}, err
	}
	var reply Reply
	retry := c.retry
	if c.Waiting != nil {
		retry.Told = func(err error, pause time.Duration) { c.Waiting(fmt.Errorf("%s: %w", c.URL, err), pause) }
	}
	err = retry.Do(ctx, func() (err error) {
		reply, err = c.once(ctx, body)
		return err
	})
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%s: %w", c.URL, err)
	}
	return reply, err
}

// body is what a server is sent. The same request has the same bytes.
func (c *Client) body(r Request) ([]byte, error) {
	body := map[string]any{
		"model": c.Model, "messages": Messages(r.Messages), "max_tokens": r.MaxTokens, "temperature": r.Sampling.Temperature,
		"seed": r.Sampling.Seed >> 11, // JSON's numbers are exact up to 2^53
	}
	if p := r.Sampling.TopP; p > 0 && p < 1 {
		body["top_p"] = p
	}
	return json.Marshal(body)
}

// once makes a request. A reply that may be another one later, also one that is not
// what a server says, is a [transport.BusyError].
func (c *Client) once(ctx context.Context, body []byte) (Reply, error) {
	late := transport.UnreachableError{Err: fmt.Errorf("no answer in %d seconds", c.Timeout)}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(c.Timeout)*time.Second, late)
	defer cancel()
	address := strings.TrimRight(c.URL, "/") + "/chat/completions"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return Reply{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := transport.RoundTrip(c.http, req, c.key)
	if err != nil {
		return Reply{}, err
	}
	defer res.Body.Close()
	raw, err := transport.ReadAll(ctx, res.Body, mostReply)
	if err != nil {
		return Reply{}, err
	}
	if res.StatusCode != http.StatusOK {
		return Reply{}, c.refused(res, raw)
	}
	reply, err := c.parse(raw)
	if err != nil {
		return Reply{}, &transport.BusyError{Err: err}
	}
	return reply, nil
}

// excerpt is the beginning of what the server said, without the key.
func (c *Client) excerpt(raw []byte) string {
	const enough = 4096 // bytes, of which a few are shown
	return fault.Excerpt([]byte(transport.Mask(string(raw[:min(len(raw), enough)]), c.key)))
}

// refused turns a reply that is no success into an error for people.
func (c *Client) refused(res *http.Response, raw []byte) error {
	err := fmt.Errorf("status %d: %s", res.StatusCode, c.excerpt(raw))
	switch code := res.StatusCode; {
	case transport.IsBusy(code):
		return &transport.BusyError{Err: err, After: transport.RetryAfter(res.Header)}
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return fault.Hint(err, "the key is taken from the environment variable "+c.KeyEnv)
	case code/100 == 3:
		return fault.Hint(err, "redirections are not followed: give the address that the server itself has")
	}
	return err
}

// secretKey is the length from which on a key is no word that a text may hold.
const secretKey = 16

// parse reads what a server says. An answer that repeats the key is none: it would be
// kept.
func (c *Client) parse(raw []byte) (Reply, error) {
	var said struct {
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
	if !plainjson.Within(raw, mostValues) {
		return Reply{}, fmt.Errorf("a reply of more than %d values of JSON", mostValues)
	}
	err := json.Unmarshal(raw, &said)
	if err != nil || len(said.Choices) == 0 || said.Choices[0].Message.Content == nil {
		return Reply{}, errors.New("no choices[0].message.content in the reply: " + c.excerpt(raw))
	}
	first := said.Choices[0]
	if len(c.key) >= secretKey && strings.Contains(*first.Message.Content, c.key) {
		return Reply{}, errors.New("the reply repeats the key that the server was sent")
	}
	r := Reply{Text: *first.Message.Content, Tokens: said.Usage.CompletionTokens, Stop: StopEOS}
	if first.FinishReason == "length" {
		r.Stop = StopLength
	}
	return r, nil
}
