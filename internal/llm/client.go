package llm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"lwtrain/internal/fault"
	"lwtrain/internal/transport"
)

const mostReply, mostValues = 64 << 20, 1 << 20 // bytes, and values of JSON

// Client asks a [Server], as many requests as there are, of which some may come to nothing. A request that fails
// for itself is told as a [Reply] with the reason in Failed, after one more try when all
// others are through; what concerns all requests, and [mostFailures] in a row, end it.
// Replies are streams, each of which may take as long as something of it comes, and what
// shows that one was cut off is looked for. How many requests are under way follows from
// what the server takes, from [fewAtOnce] up to Concurrency. It is safe for concurrent use.
type Client struct {
	Server
	// Waiting, which may be nil, is told why and for how long it waits before it asks
	// again, or before it stops ([ErrStopping]). Several requests may tell it at once.
	Waiting func(err error, pause time.Duration)

	key    string
	http   http.RoundTripper
	retry  transport.Retry
	cool   time.Duration // without new requests, after one that was too many
	traits traits

	whole    atomic.Bool // a reply has come that was no stream
	stopWait time.Duration
	stopping sync.Once
}

var _ Answerer = (*Client)(nil)

// NewClient returns a client that sends the key which the server's environment
// variable holds now.
func NewClient(s Server) *Client {
	key := strings.TrimSpace(os.Getenv(s.KeyEnv))
	return &Client{
		Server: s, key: key, http: http.DefaultTransport, cool: 200 * time.Millisecond, traits: newTraits(s.URL), stopWait: stopWait,
		retry: transport.Retry{Times: s.Retries, Pause: time.Second, Jitter: true, Key: key},
	}
}

// Ask asks until there is a reply, which may be a failed one, or an error that concerns all requests.
func (c *Client) Ask(ctx context.Context, r Request) (Reply, error) {
	var tries int
	reply, _, err := c.ask(ctx, r, nil, &tries)
	return reply, err
}

// ask is Ask, which counts tries, and tells pace, if there is one, how the server takes it: what is too many then
// is not asked again here, but is a [*putOff]. again reports
// whether a reply that has failed may be another one later.
func (c *Client) ask(ctx context.Context, r Request, p *pace, tries *int) (reply Reply, again bool, err error) {
	retry := c.retry
	retry.Times -= *tries
	retry.Told = c.waits
	err = retry.Do(ctx, func() (err error) {
		*tries++
		t := try{began: time.Now()}
		reply, err = c.once(ctx, r, &t)
		if p == nil {
			return err
		}
		pause, news := p.told(t, err)
		if *tries > c.retry.Times || !isTooMany(err) {
			return err
		}
		if !news {
			*tries--
		} else if *tries > 1 { // the first time it may have been one too many, and no more than that
			pause = max(pause, c.retry.After(*tries-1, 0))
		}
		if pause > 0 {
			c.waits(err, pause)
		}
		return &putOff{pause}
	})
	var off *putOff
	if err == nil || ctx.Err() != nil || errors.As(err, &off) {
		return reply, false, err
	}
	if reply.Failed, again = failed(err, *tries); reply.Failed != "" {
		reply.Stop = ""
		return reply, again, nil
	}
	err = fmt.Errorf("%s: %w", c.URL, err)
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		err = fault.Hint(err, "is the server running, and at that address? what was answered is kept, and the same command goes on")
	}
	return Reply{}, false, err
}

// putOff is a request that is asked again in its turn, after a while at the soonest.
type putOff struct{ pause time.Duration }

func (p *putOff) Error() string { return fmt.Sprintf("too many requests, put off for %s", p.pause) }

// waits tells for how long and why it waits.
func (c *Client) waits(err error, pause time.Duration) {
	if c.Waiting != nil {
		c.Waiting(fmt.Errorf("%s: %w", c.URL, transport.Masked(err, c.key)), pause)
	}
}

// once asks once, and at once again without what the server refuses to be told. What that
// is counts for later requests if the server takes this one.
func (c *Client) once(ctx context.Context, r Request, now *try) (Reply, error) {
	t := c.traits.now()
	for {
		body, err := c.body(r, t)
		if err != nil {
			return Reply{}, err
		}
		reply, err := c.post(ctx, r, body, now)
		var refused *statusError
		if errors.As(err, &refused) && t.learn(refused, body) {
			continue
		}
		var came *failure
		if err == nil || errors.As(err, &came) { // the server took the request
			c.traits.keep(t)
		}
		return reply, err
	}
}

// body is what a server is sent. The same request to the same server has the same bytes.
func (c *Client) body(r Request, t traitSet) ([]byte, error) {
	body := map[string]any{
		"model": c.Model, "messages": Messages(r.Messages), "max_tokens": r.MaxTokens, "temperature": r.Sampling.Temperature,
		"seed":   r.Sampling.Seed >> 11, // JSON's numbers are exact up to 2^53
		"stream": true, "stream_options": map[string]any{"include_usage": true},
		// What is not said, the server decides, and a token that ends an answer may be among
		// those that its own limits cut off.
		"top_p": 1, "top_k": -1, "min_p": 0, "repetition_penalty": 1, "repeat_penalty": 1,
	}
	if p := r.Sampling.TopP; p > 0 && p < 1 {
		body["top_p"] = p
	}
	if k := r.Sampling.TopK; k > 0 {
		body["top_k"] = k
	}
	if r.TopLogprobs > 0 {
		body["logprobs"], body["top_logprobs"] = true, r.TopLogprobs
	}
	t.apply(body)
	return json.Marshal(body)
}

// post makes a request. A reply that may be another one later, also one that is not
// what a server says, is a [transport.BusyError].
func (c *Client) post(ctx context.Context, r Request, body []byte, now *try) (Reply, error) {
	ctx, wait := c.patience(ctx)
	defer func() { now.first = wait.since }()
	defer wait.end()
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
	if res.StatusCode != http.StatusOK {
		const enough = 64 << 10
		raw, err := transport.ReadAll(ctx, io.LimitReader(res.Body, enough), enough)
		if err != nil {
			return Reply{}, err
		}
		return Reply{}, c.refused(res, raw)
	}
	return c.read(ctx, r, res.Body, wait)
}

// excerpt is the beginning of what the server said, without the key.
func (c *Client) excerpt(raw []byte) string {
	const enough = 4096 // bytes, of which a few are shown
	return fault.Excerpt([]byte(transport.Mask(string(raw[:min(len(raw), enough)]), c.key)))
}

// statusError is a reply that is no success.
type statusError struct {
	code int
	said string // its beginning, to be shown
	raw  []byte
}

func (e *statusError) Error() string { return fmt.Sprintf("status %d: %s", e.code, e.said) }

// refused turns a reply that is no success into an error for people.
func (c *Client) refused(res *http.Response, raw []byte) error {
	err := &statusError{res.StatusCode, c.excerpt(raw), raw}
	switch code := res.StatusCode; {
	case transport.IsBusy(code):
		return &transport.BusyError{Err: err, After: transport.RetryAfter(res.Header)}
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return fault.Hint(err, "the key is taken from the environment variable "+c.KeyEnv)
	case code == http.StatusNotFound:
		return fault.Hint(err, "the address ends before /chat/completions, mostly with /v1; or the server has no such model")
	case code/100 == 3:
		return fault.Hint(err, "redirections are not followed: give the address that the server itself has")
	}
	return err
}

// secretKey is the length from which on a key is no word that a text may hold.
const secretKey = 16

// An answer that repeats the key is none: it would be kept.
var errKey = errors.New("the reply repeats the key that the server was sent")

// repeatsKey reports whether what a server said holds the key.
func (c *Client) repeatsKey(s *said) bool {
	return len(c.key) >= secretKey && (strings.Contains(s.text.String(), c.key) || strings.Contains(s.reasoning.String(), c.key))
}
