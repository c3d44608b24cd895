package hub

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lwtrain/hub/hubtest"
	"lwtrain/internal/fault"
)

// writer is a client whose token may write to h.
func writer(t *testing.T, h *hubtest.Hub) *Client {
	t.Helper()
	h.Token = "secret"
	env := map[string]string{"HF_ENDPOINT": h.URL, "HF_HUB_CACHE": t.TempDir(), "HF_TOKEN": "secret"}
	c, err := FromEnv(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	c.retry.Pause = 1
	return c
}

func TestPushMakesOneCommitAndSendsWhatIsNew(t *testing.T) {
	for _, pieces := range []int64{0, 1000} {
		h := hubtest.New()
		defer h.Close()
		h.Pieces = pieces
		c := writer(t, h)
		weights := filepath.Join(t.TempDir(), "model.safetensors")
		big := strings.Repeat("0123456789", 500)
		if err := os.WriteFile(weights, []byte(big), 0o644); err != nil {
			t.Fatal(err)
		}
		files := []Upload{{Path: "model.safetensors", File: weights}, {Path: "README.md", Content: []byte("hello")}, {Path: "empty.txt"},
			{Path: "copy.bin", File: weights}}
		var done, total int64
		ref := Ref{Kind: Model, Repo: "me/mine", Revision: "main"}
		got, err := c.Push(t.Context(), ref, files, "a first one", true, func(a, b int64) { done, total = a, b })
		if err != nil {
			t.Fatal(err)
		}
		repo := h.Models["me/mine"]
		if repo["model.safetensors"] != big || repo["copy.bin"] != big || repo["README.md"] != "hello" || len(repo) != 4 ||
			!h.Private["me/mine"] {
			t.Errorf("in pieces of %d the repository holds %d files, private %v", pieces, len(repo), h.Private["me/mine"])
		}
		if got.Commit != hubtest.Commit || len(got.Sent) != 4 || done != total || total != 5000 {
			t.Errorf("commit %s, %d sent, %d of %d bytes", got.Commit, len(got.Sent), done, total)
		}
		for _, line := range h.Asked() {
			if strings.HasPrefix(line, "cdn") && strings.HasSuffix(line, "token") {
				t.Errorf("another host got the token: %s", line)
			}
		}
		h.Forget()
		files[1].Content = []byte("hello again")
		if got, err = c.Push(t.Context(), ref, files, "a second one", true, nil); err != nil {
			t.Fatal(err)
		}
		if len(got.Sent) != 1 || got.Sent[0] != "README.md" || repo["README.md"] != "hello again" {
			t.Errorf("the second push sent %v", got.Sent)
		}
		for _, line := range h.Asked() {
			if strings.HasPrefix(line, "cdn") {
				t.Errorf("what was there was sent again: %s", line)
			}
		}
		if got, err = c.Push(t.Context(), ref, files, "nothing", true, nil); err != nil || got.Commit != "" || len(h.Messages) != 2 {
			t.Errorf("a push of nothing new made commit %q (%v)", got.Commit, err)
		}
	}
}

func TestWhatFailsInAPushIsSaidAndGoneOnWith(t *testing.T) {
	small := []Upload{{Path: "a", Content: []byte("a")}, {Path: "big", Content: []byte(strings.Repeat("b", 4000))}}
	ref := Ref{Kind: Model, Repo: "me/mine", Revision: "main"}
	cases := []struct {
		name   string
		change func(*hubtest.Hub, *Client)
		files  []Upload
		want   string // "": it succeeds
	}{
		{"a client without a token", func(_ *hubtest.Hub, c *Client) { c.Token = "" }, small, "no token, want one that may write"},
		{"a token that may not write", func(h *hubtest.Hub, _ *Client) { h.Token = "another" }, small, "Invalid credentials"},
		{"a network that is not asked", func(_ *hubtest.Hub, c *Client) { c.Offline = true }, small, "HF_HUB_OFFLINE"},
		{"a file that .gitignore leaves out", nil, []Upload{{Path: "a.ignored", Content: []byte("a")}},
			".gitignore of the repository leaves out a.ignored"},
		{"a file that is not there", nil, []Upload{{Path: "a", File: "nowhere"}}, "nowhere"},
		{"a hub that is busy twice", func(h *hubtest.Hub, _ *Client) {
			n := 0
			h.Fail = func(*http.Request) int {
				if n++; n < 3 {
					return 503
				}
				return 0
			}
		}, small, ""},
		{"a store that loses what it gets once", func(h *hubtest.Hub, _ *Client) {
			n := 0
			h.CDNHandler = func(w http.ResponseWriter, r *http.Request) {
				if n++; n == 1 {
					w.WriteHeader(500)
					return
				}
				h.CDNHandler = nil
				h.Put(w, r)
			}
		}, small, ""},
		{"a store that keeps something else", func(h *hubtest.Hub, _ *Client) {
			h.CDNHandler = func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(200) }
		}, small, "another hash"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			h := hubtest.New()
			defer h.Close()
			c := writer(t, h)
			if tc.change != nil {
				tc.change(h, c)
			}
			_, err := c.Push(t.Context(), ref, tc.files, "m", false, nil)
			switch {
			case tc.want == "" && err != nil:
				t.Fatal(err)
			case tc.want == "" && h.Models["me/mine"]["big"] == "":
				t.Error("the large file is not there")
			case tc.want != "" && (err == nil || !strings.Contains(err.Error()+fault.HintOf(err), tc.want)):
				t.Errorf("error %v, want %q", err, tc.want)
			case tc.want != "" && strings.Contains(err.Error(), "secret"):
				t.Errorf("the token is shown: %v", err)
			}
		})
	}
}
