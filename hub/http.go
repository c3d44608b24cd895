package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"lwtrain/internal/fault"
	"lwtrain/internal/transport"
)

const (
	maxRedirects = 5
	tryLater     = "try again later; what is fetched already is kept"
)

// get asks for an address and follows redirects itself: the token goes to the
// endpoint and nowhere else, not to its subdomains either, and what began under
// https stays there. first sees the headers of the first answer, in which the hub
// says what it redirects to.
func (c *Client) get(ctx context.Context, address string, ask http.Header, first func(http.Header) error) (*http.Response, error) {
	at, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	home, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil, err
	}
	for hop := 0; ; hop++ {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
		if err != nil {
			return nil, err
		}
		req.Header = ask.Clone()
		if req.Header == nil {
			req.Header = http.Header{}
		}
		req.Header.Set("User-Agent", "lwtrain")
		req.Header.Set("Accept-Encoding", "identity")
		token := ""
		if at.Scheme == home.Scheme && at.Host == home.Host {
			token = c.Token
		}
		res, err := transport.RoundTrip(c.http, req, token)
		switch {
		case err == nil:
		case isDown(err) || ctx.Err() == nil:
			return nil, fmt.Errorf("%s: %w", at.Host, err)
		default:
			return nil, err
		}
		if hop == 0 && first != nil && res.StatusCode < 400 {
			if err := first(res.Header); err != nil {
				res.Body.Close()
				return nil, err
			}
		}
		switch res.StatusCode {
		case 301, 302, 303, 307, 308:
		default:
			return res, nil
		}
		res.Body.Close()
		next, err := at.Parse(res.Header.Get("Location"))
		switch {
		case err != nil || res.Header.Get("Location") == "":
			return nil, fmt.Errorf("%s redirects to nowhere", at.Host)
		case hop == maxRedirects:
			return nil, fmt.Errorf("%s redirects more than %d times", home.Host, maxRedirects)
		case next.Scheme != "https" && (next.Scheme != "http" || at.Scheme == "https"):
			return nil, fmt.Errorf("%s redirects to %s://%s, want https", at.Host, next.Scheme, next.Host)
		}
		at = next
	}
}

// again asks until it succeeds, fails for good, or has failed so many times more.
func (c *Client) again(ctx context.Context, times int, once func() error) error {
	r := c.retry
	r.Times, r.Key, r.Told = times, c.Token, c.Pausing
	return r.Do(ctx, once)
}

// isDown reports whether the network failed, not what was asked for.
func isDown(err error) bool {
	var down transport.UnreachableError
	return errors.As(err, &down)
}

// refusal is an answer that will stay the same.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// refused turns an answer that is no success into an error for people.
func (c *Client) refused(ref Ref, res *http.Response) error {
	page := c.Endpoint + "/"
	if ref.Kind == Dataset {
		page += "datasets/"
	}
	page += ref.Repo
	code := res.Header.Get("X-Error-Code")
	say := func(what, hint string) error {
		return refusal{fault.Usage(fault.Hint(fmt.Errorf("%s: %s", ref, what), hint))}
	}
	token := "for a private one set HF_TOKEN, or log in with `hf auth login`"
	if c.Token != "" {
		token = "the token that was sent may not see it, if it is a private one"
	}
	if home, err := url.Parse(c.Endpoint); err == nil && res.Request.URL.Host != home.Host { // an address that has expired, say
		return &transport.BusyError{
			Err: fault.Hint(fmt.Errorf("%s: %s answers %s", ref, res.Request.URL.Host, strings.TrimSpace(res.Status)), tryLater),
		}
	}
	switch {
	case code == "" && res.StatusCode == 401 && c.Token != "":
		return say("the hub does not know the token that was sent",
			"set HF_TOKEN to one that has not expired, or log in anew with `hf auth login`")
	case code == "RevisionNotFound":
		return say(fmt.Sprintf("there is no revision %q of it", ref.Revision), "its branches and tags are listed on "+page+"/tree/main")
	case code == "EntryNotFound":
		return say("there is no such file in it", "its files are listed on "+page+"/tree/main")
	case code == "GatedRepo":
		return say("a gated "+string(ref.Kind)+": its owner must have agreed to your reading it",
			"accept its terms on "+page+", then set HF_TOKEN to a token of the same account, or log in with `hf auth login`")
	case code == "RepoNotFound", res.StatusCode == 404, res.StatusCode == 401:
		return say(fmt.Sprintf("the hub shows no such %s", ref.Kind), "check how the name is spelt ("+page+"); "+token)
	case res.StatusCode == 403:
		return say("the hub does not let this be read", token+"; see "+page)
	case transport.IsBusy(res.StatusCode):
		hint := tryLater
		if res.StatusCode == 429 && c.Token == "" {
			hint = "try again later; with a token (HF_TOKEN) the hub answers more often"
		}
		return &transport.BusyError{
			Err:   fault.Hint(fmt.Errorf("%s: the hub answers %s", ref, strings.TrimSpace(res.Status)), hint),
			After: transport.RetryAfter(res.Header),
		}
	}
	return fmt.Errorf("%s: the hub answers %s", ref, strings.TrimSpace(res.Status))
}
