package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"lwtrain/internal/fault"
	"lwtrain/internal/plainjson"
	"lwtrain/internal/transport"
	"net/http"
	"net/url"
	"strings"
)

// post asks something of the hub that changes it. Redirects are not followed: what was asked for would lie elsewhere.
func (c *Client) post(ctx context.Context, ref Ref, address, kind string, body []byte, into any) error {
	at, err := c.mayGo(address)
	if err != nil {
		return fmt.Errorf("%s: %w", ref, err)
	}
	return c.again(ctx, c.retry.Times, func() error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("User-Agent", "lwtrain")
		req.Header.Set("Content-Type", kind)
		req.Header.Set("Accept", strings.Replace(kind, "x-ndjson", "json", 1))
		res, err := transport.RoundTrip(c.http, req, c.keyFor(at))
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode/100 != 2 {
			return c.answered(ref, res, "refuses "+at.Path)
		}
		watched := transport.Watch(res.Body, cancel)
		defer watched.Stop()
		raw, err := transport.ReadAll(ctx, watched, mostOfAnswer)
		if err != nil || into == nil {
			return err
		}
		if err := plainjson.Decode(raw, maxValues, into); err != nil {
			return fmt.Errorf("%s: the answer of %s is not what a hub says: %w", ref, at.Host, err)
		}
		return nil
	})
}

// mayGo checks an address that the hub names: files go over https, or to where the hub itself lies.
func (c *Client) mayGo(address string) (*url.URL, error) {
	at, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("the hub names %.200q as a place for files, want an address of https", address)
	}
	home, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil, err
	}
	if at.Scheme != "https" && (at.Scheme != "http" || home.Scheme != "http") {
		return nil, fmt.Errorf("the hub names %s://%s as a place for files, want https", at.Scheme, at.Host)
	}
	return at, nil
}

// keyFor is the token for the hub's own address, and none for any other.
func (c *Client) keyFor(at *url.URL) string {
	home, err := url.Parse(c.Endpoint)
	if err != nil || at.Scheme != home.Scheme || at.Host != home.Host {
		return ""
	}
	return c.Token
}

// statusError is an answer that is no success and stays the same.
type statusError struct {
	error
	status int
}

func (e *statusError) Unwrap() error { return e.error }

// answered turns an answer that is no success into an error for people.
func (c *Client) answered(ref Ref, res *http.Response, what string) error {
	raw, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
	said := strings.TrimSpace(res.Status)
	if text := fault.Excerpt(raw); text != "" {
		said += ": " + transport.Mask(text, c.Token)
	}
	err := fmt.Errorf("%s: %s %s (%s)", ref, res.Request.URL.Host, what, said)
	switch {
	case transport.IsBusy(res.StatusCode):
		return &transport.BusyError{Err: fault.Hint(err, "push again later: what has arrived is not sent again"),
			After: transport.RetryAfter(res.Header)}
	case res.StatusCode/100 == 3:
		err = fault.Hint(err, "the repository has moved: push to the name that its page shows")
	case res.StatusCode == 401 || res.StatusCode == 403:
		err = fault.Hint(err, "the token must be one that may write there: see "+c.Endpoint+tokenPage)
	case res.StatusCode == 413 || res.StatusCode == 507:
		err = fault.Hint(err, "the hub has no room for it")
	}
	return &statusError{fault.Usage(err), res.StatusCode}
}

func encoded(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts and numbers alone
	}
	return raw
}
