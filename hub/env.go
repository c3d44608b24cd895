package hub

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lwtrain/internal/fault"
	"lwtrain/internal/transport"
)

// Client fetches from one hub into one cache.
type Client struct {
	Endpoint string // of the hub, without a slash at the end
	Cache    string // the folder hub/ of Hugging Face's cache
	Token    string // sent to the endpoint alone; "": none
	Offline  bool   // nothing is asked of the hub

	// Waiting, which may be nil, is told of files that another program is fetching.
	Waiting func(name string)
	// Pausing, which may be nil, is told why and for how long it waits before it asks the
	// hub again.
	Pausing func(err error, pause time.Duration)

	http  http.RoundTripper
	retry transport.Retry
}

const (
	defaultEndpoint = "https://huggingface.co"
	maxToken        = 4096
)

// FromEnv reads the variables that Hugging Face's own programs go by:
// HF_ENDPOINT, HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, HF_TOKEN, HF_TOKEN_PATH,
// HF_HUB_OFFLINE and their older names. lookup is os.LookupEnv.
func FromEnv(lookup func(string) (string, bool)) (*Client, error) {
	get := func(names ...string) string {
		for _, name := range names {
			if v, _ := lookup(name); v != "" {
				return v
			}
		}
		return ""
	}
	c := &Client{Endpoint: strings.TrimRight(get("HF_ENDPOINT"), "/"), retry: transport.Retry{Times: 5, Pause: time.Second}}
	if c.Endpoint == "" {
		c.Endpoint = defaultEndpoint
	}
	if u, err := url.Parse(c.Endpoint); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fault.Usage(fmt.Errorf("HF_ENDPOINT is %q, want the address of a hub, such as %s", c.Endpoint, defaultEndpoint))
	}
	home := get("HF_HOME")
	if home == "" {
		cache := get("XDG_CACHE_HOME")
		if cache == "" {
			cache = "~/.cache"
		}
		home = filepath.Join(cache, "huggingface")
	}
	home = expand(home, get("HOME"))
	if c.Cache = expand(get("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"), get("HOME")); c.Cache == "" {
		c.Cache = filepath.Join(home, "hub")
	}
	for _, name := range []string{"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} {
		switch strings.ToUpper(get(name)) {
		case "1", "ON", "YES", "TRUE":
			c.Offline = true
		}
	}
	if c.Token = get("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"); c.Token == "" {
		path := expand(get("HF_TOKEN_PATH"), get("HOME"))
		if path == "" {
			path = filepath.Join(home, "token")
		}
		c.Token = readToken(path)
	}
	if c.Token = strings.TrimSpace(c.Token); strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fault.Usage(fmt.Errorf("the token of the hub holds blanks or other characters that no token has"))
	}
	wire := http.DefaultTransport.(*http.Transport).Clone()
	wire.ResponseHeaderTimeout = 30 * time.Second
	wire.DisableCompression = true // sizes are those of the files
	c.http = wire
	return c, nil
}

// expand replaces a ~ at the start of a path.
func expand(path, home string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok && home != "" {
		return filepath.Join(home, rest)
	}
	return path
}

func readToken(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	raw, _ := io.ReadAll(io.LimitReader(f, maxToken))
	return string(raw)
}
