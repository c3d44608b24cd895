package hub

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lwtrain/hub/hubtest"
	"lwtrain/internal/fault"
	"lwtrain/internal/transport"
)

func TestTheTokenGoesToTheHubAlone(t *testing.T) {
	h, c := newHub(t)
	c.Token, h.Token = "hf_secret", "hf_secret"
	h.Private["owner/model"], h.PageSize = true, 2
	if _, err := c.Get(t.Context(), ref(t, Model, "owner/model"), WholeModel, nil); err != nil {
		t.Fatal(err)
	}
	cdn := 0
	for _, line := range h.Asked() {
		if sent := strings.HasSuffix(line, " token"); sent != strings.HasPrefix(line, "hub ") {
			t.Errorf("%s", line)
		}
		if strings.HasPrefix(line, "cdn ") {
			cdn++
		}
	}
	if cdn != 2 {
		t.Errorf("%d files came from the other host, want 2", cdn)
	}
}

func TestAHubThatRepeatsTheTokenDoesNotGetItShown(t *testing.T) {
	const token = "hf_secretsecretsecretsecretsecretsecret"
	for name, reply := range map[string]http.HandlerFunc{
		"as its commit": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"sha": %q}`, token) },
		"as a file's name": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `[{"type": "file", "path": "../%s"}]`, token)
		},
		"as a host": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://"+token+".localhost:1/")
			w.WriteHeader(302)
		},
		"as a scheme": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "x:"+token)
			w.WriteHeader(302)
		},
		"as the next": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "<http://"+token+`/>; rel="next"`)
			fmt.Fprint(w, "[]")
		},
		"as a status": func(w http.ResponseWriter, _ *http.Request) { hijack(w, "HTTP/1.1 418 "+token+"\r\n\r\n") },
		"as no HTTP":  func(w http.ResponseWriter, _ *http.Request) { hijack(w, token+"\r\n\r\n") },
		"as a commit of": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Repo-Commit", token)
			w.WriteHeader(500)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(reply)
			defer s.Close()
			var told []string
			c := &Client{
				Endpoint: s.URL, Cache: t.TempDir(), Token: token, http: &http.Transport{}, retry: transport.Retry{Times: 1},
				Pausing: func(err error, _ time.Duration) { told = append(told, err.Error()) },
			}
			at := Ref{Kind: Model, Repo: "owner/model", Revision: hubtest.Commit}
			if name == "as its commit" {
				at.Revision = "main"
			}
			_, err := c.Fetch(t.Context(), at, WholeModel, nil)
			if text := fmt.Sprint(err, fault.HintOf(err), told); err == nil || strings.Contains(text, token[3:20]) {
				t.Errorf("got %s", text)
			}
		})
	}
}

// hijack answers with bytes as they stand.
func hijack(w http.ResponseWriter, bytes string) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		io.WriteString(conn, bytes)
		conn.Close()
	}
}

func TestWhatTheHubRefuses(t *testing.T) {
	for _, c := range []struct {
		name, ref, token string
		change           func(*hubtest.Hub)
		want, hint       string
	}{
		{
			"a gated model without a token", "owner/model", "", func(h *hubtest.Hub) { h.Gated["owner/model"] = true }, "a gated model",
			"accept its terms",
		},
		{
			"a gated model with the token of another", "owner/model", "other", func(h *hubtest.Hub) { h.Gated["owner/model"] = true },
			"a gated model", "accept its terms",
		},
		{
			"a private model without a token", "owner/model", "", func(h *hubtest.Hub) { h.Private["owner/model"] = true },
			"no such model", "set HF_TOKEN",
		},
		{
			"a private model with a token of another", "owner/model", "other", func(h *hubtest.Hub) { h.Private["owner/model"] = true },
			"no such model", "the token that was sent",
		},
		{"a token that has expired", "owner/model", "expired", nil, "does not know the token", "hf auth login"},
		{"another host in trouble", "owner/model", "", func(h *hubtest.Hub) {
			h.CDNHandler = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }
		}, "answers 403 Forbidden", "try again later"},
		{"a misspelt name", "owner/modle", "", nil, "no such model", "how the name is spelt"},
		{"a revision that is not there", "owner/model@v9", "", nil, `no revision "v9"`, "branches and tags"},
		{
			"too many requests", "owner/model", "", func(h *hubtest.Hub) { h.Fail = func(*http.Request) int { return 429 } }, "429",
			"with a token",
		},
		{
			"a hub in trouble", "owner/model", "", func(h *hubtest.Hub) { h.Fail = func(*http.Request) int { return 503 } }, "503",
			"try again",
		},
		{
			"weights that are no safetensors", "owner/model", "",
			func(h *hubtest.Hub) { delete(h.Models["owner/model"], "model.safetensors") }, "no weights in safetensors",
			"safe_serialization",
		},
		{
			"nothing of a model", "owner/model", "", func(h *hubtest.Hub) { h.Models["owner/model"] = hubtest.Repo{"a.gguf": "x"} },
			"no config.json", "hf://owner/model/a.gguf",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, cl := newHub(t)
			h.Token, cl.Token = "right", c.token
			if c.change != nil {
				c.change(h)
			}
			_, err := cl.Get(t.Context(), ref(t, Model, c.ref), WholeModel, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(fault.HintOf(err), c.hint) {
				t.Fatalf("%v\nhint: %s\nwant %q and %q", err, fault.HintOf(err), c.want, c.hint)
			}
			if left, _ := filepath.Glob(filepath.Join(cl.Cache, "*", "blobs", "*.incomplete")); len(left) > 0 {
				t.Errorf("it left %v", left)
			}
			if n := strings.Count(err.Error(), "hf://"); n != 1 {
				t.Errorf("%v: names what it speaks of %d times", err, n)
			}
		})
	}
}

func TestAHostileHub(t *testing.T) {
	rename := func(to string) func(*hubtest.Hub) {
		return func(h *hubtest.Hub) { h.Tree = func(e []hubtest.Entry) { e[2].Path = to } }
	}
	for _, c := range []struct {
		name   string
		change func(*hubtest.Hub)
		want   string
	}{
		{"names a file outside of the cache", rename("../../evil.json"), "want a plain relative name"},
		{"names an absolute file", rename("/etc/evil.json"), "want a plain relative name"},
		{"names a file with a backslash", rename(`..\evil.json`), "want a plain relative name"},
		{"names a file with a control character", rename("evil\x1b[2J.json"), "want a plain relative name"},
		{"names a file twice", rename("config.json"), "twice"},
		{
			"names a file that is a folder as well", func(h *hubtest.Hub) { h.Models["owner/model"]["config.json/x.json"] = "x" },
			"as a file and as a folder",
		},
		{
			"gives a hash that is a path",
			func(h *hubtest.Hub) { h.Tree = func(e []hubtest.Entry) { e[2].OID, e[2].LFS = "../../x", nil } },
			"want hexadecimal digits",
		},
		{"gives a negative size", func(h *hubtest.Hub) { h.Tree = func(e []hubtest.Entry) { e[2].Size, e[2].LFS = -1, nil } }, "-1 bytes"},
		{"sends more than it announced", func(h *hubtest.Hub) {
			h.CDNHandler = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Transfer-Encoding", "chunked")
				for range 100 {
					w.Write([]byte(big))
				}
			}
		}, "more than the"},
		{"announces another size with the content", func(h *hubtest.Hub) {
			h.CDNHandler = func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("short")) }
		}, "the server sends 5 bytes"},
		{"sends another content", func(h *hubtest.Hub) {
			h.CDNHandler = func(w http.ResponseWriter, r *http.Request) {
				n := len(big)
				if !strings.HasSuffix(r.URL.Path, sha(big)) {
					n = 2000
				}
				w.Header().Set("Content-Length", fmt.Sprint(n))
				w.Write([]byte(strings.Repeat("x", n)))
			}
		}, "does not have the hash"},
		{"redirects in a circle", func(h *hubtest.Hub) {
			h.CDNHandler = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, 302) }
		}, "redirects more than 5 times"},
		{
			"redirects to a file of this machine",
			func(h *hubtest.Hub) { h.Redirect = func(string) string { return "file:///etc/passwd" } }, "redirects to file://",
		},
		{"begins another protocol", func(h *hubtest.Hub) {
			h.CDNHandler = func(w http.ResponseWriter, _ *http.Request) { hijack(w, "HTTP/1.1 101 Switching Protocols\r\n\r\n") }
		}, "status 101"},
		{"has its next page on another host", func(h *hubtest.Hub) {
			h.PageSize = 2
			h.URL = h.CDN
		}, "next page"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, cl := newHub(t)
			outer := t.TempDir()
			cl.Cache, cl.retry.Times = filepath.Join(outer, "a", "b", "hub"), 1
			c.change(h)
			s, err := cl.Get(t.Context(), ref(t, Model, "owner/model"), WholeModel, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, %v, want %q", s, err, c.want)
			}
			filepath.WalkDir(outer, func(path string, d fs.DirEntry, _ error) error {
				if strings.Contains(path, "evil") {
					t.Errorf("%s was written", path)
				}
				if d.Name() == sha(big) {
					t.Errorf("%s has its name", path)
				}
				return nil
			})
		})
	}
}

func TestLinksInTheCacheAreNotFollowedOut(t *testing.T) {
	h, c := newHub(t)
	h.Datasets["owner/data"] = hubtest.Repo{"sub/a.jsonl": "{}\n"}
	outside := t.TempDir()
	dir := c.snapshot(Ref{Kind: Dataset, Repo: "owner/data"}, hubtest.Commit)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "sub")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Fetch(t.Context(), ref(t, Dataset, "owner/data"), wantData, nil); err == nil {
		t.Error("no error")
	}
	if left, _ := os.ReadDir(outside); len(left) > 0 {
		t.Errorf("%v was written outside of the cache", left)
	}
}
