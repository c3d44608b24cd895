package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"lwtrain/internal/fault"
)

const (
	maxRedirects = 5
	stallAfter   = 60 * time.Second // without a byte
	maxPause     = 60 * time.Second
)

// unreachable is a failure of the network, not of what was asked for.
type unreachable struct{ error }

func (u unreachable) Unwrap() error { return u.error }

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
		if c.Token != "" && at.Scheme == home.Scheme && at.Host == home.Host {
			req.Header.Set("Authorization", "Bearer "+c.Token)
		}
		res, err := c.http.RoundTrip(req)
		if err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, unreachable{fmt.Errorf("%s: %w", at.Host, err)}
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

// again calls once until it succeeds, fails for good, or has failed too often in
// ways that may pass: no answer, too many requests, a server in trouble.
func (c *Client) again(ctx context.Context, retries int, once func() error) error {
	pause := c.pause
	for try := 0; ; try++ {
		err := once()
		var down unreachable
		var busy *busyError
		if err == nil || try >= retries || !errors.As(err, &down) && !errors.As(err, &busy) {
			return err
		}
		wait := pause
		if busy != nil && busy.after > 0 {
			wait = min(busy.after, maxPause)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		pause = min(2*pause, maxPause)
	}
}

// refusal is an answer that will stay the same.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// busyError is an answer that may be another one later.
type busyError struct {
	error
	after time.Duration
}

func (b *busyError) Unwrap() error { return b.error }

// refused turns an answer that is no success into an error for people.
func (c *Client) refused(ref Ref, res *http.Response) error {
	io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16))
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
		return &busyError{fault.Hint(fmt.Errorf("%s: %s answers %s", ref, res.Request.URL.Host, strings.TrimSpace(res.Status)), "try again later; what is fetched already is kept"), 0}
	}
	switch {
	case code == "" && res.StatusCode == 401 && c.Token != "":
		return say("the hub does not know the token that was sent", "set HF_TOKEN to one that has not expired, or log in anew with `hf auth login`")
	case code == "RevisionNotFound":
		return say(fmt.Sprintf("there is no revision %q of it", ref.Revision), "its branches and tags are listed on "+page+"/tree/main")
	case code == "EntryNotFound":
		return say("there is no such file in it", "its files are listed on "+page+"/tree/main")
	case code == "GatedRepo":
		return say("a gated "+string(ref.Kind)+": its owner must have agreed to your reading it", "accept its terms on "+page+", then set HF_TOKEN to a token of the same account, or log in with `hf auth login`")
	case code == "RepoNotFound", res.StatusCode == 404, res.StatusCode == 401:
		return say(fmt.Sprintf("the hub shows no such %s", ref.Kind), "check how the name is spelt ("+page+"); "+token)
	case res.StatusCode == 403:
		return say("the hub does not let this be read", token+"; see "+page)
	case res.StatusCode == 429 || res.StatusCode >= 500:
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
		hint := "try again later; what is fetched already is kept"
		if res.StatusCode == 429 && c.Token == "" {
			hint = "try again later; with a token (HF_TOKEN) the hub answers more often"
		}
		return &busyError{fault.Hint(fmt.Errorf("%s: the hub answers %s", ref, strings.TrimSpace(res.Status)), hint), time.Duration(seconds) * time.Second}
	}
	return fmt.Errorf("%s: the hub answers %s", ref, strings.TrimSpace(res.Status))
}

// watched reads a body that must not stand still.
type watched struct {
	r     io.Reader
	timer *time.Timer
}

func watch(r io.Reader, cancel context.CancelCauseFunc) *watched {
	return &watched{r, time.AfterFunc(stallAfter, func() {
		cancel(unreachable{fmt.Errorf("nothing came for %s", stallAfter)})
	})}
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if n > 0 {
		w.timer.Reset(stallAfter)
	}
	return n, err
}
