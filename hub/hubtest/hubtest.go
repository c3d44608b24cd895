// Package hubtest plays the Hugging Face hub for tests: its API, its files and
// the redirect of large ones to another host.
package hubtest

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Commit is the commit of every repository, Other an older one with the same files.
const (
	Commit = "1111111111111111111111111111111111111111"
	Other  = "2222222222222222222222222222222222222222"
)

// Large is from what size on a file lies in LFS.
const Large = 1 << 10

// Repo is a repository: files by name.
type Repo map[string]string

// Hub is a hub with a second server that large files lie on. Its fields may be
// changed between requests.
type Hub struct {
	URL, CDN string // addresses of the two servers

	Models, Datasets map[string]Repo
	Token            string                   // that gated and private repositories want
	Gated, Private   map[string]bool          // by owner/name
	PageSize         int                      // files on a page of a list; 0: all
	Tree             func([]Entry)            // changes a list before it is sent
	CDNHandler       http.HandlerFunc         // instead of the second server's own
	Redirect         func(path string) string // where a large file is said to lie
	Fail             func(*http.Request) int  // a status to answer with; 0: as usual
	Pieces           int64                    // from how many bytes on large files are taken in pieces of as many; 0: never
	Messages         []string                 // of the commits that were pushed

	mu      sync.Mutex
	asked   []string
	pushed  pushed
	servers [2]*httptest.Server
}

// Entry is a file in a list.
type Entry struct {
	Type string `json:"type"`
	Path string `json:"path"`
	OID  string `json:"oid"`
	Size int64  `json:"size"`
	LFS  *LFS   `json:"lfs,omitempty"`
}

// LFS is what a list says of a large file.
type LFS struct {
	OID         string `json:"oid"`
	Size        int64  `json:"size"`
	PointerSize int    `json:"pointerSize"`
}

// New starts a hub. Close it at the end.
func New() *Hub {
	h := &Hub{Models: map[string]Repo{}, Datasets: map[string]Repo{}, Gated: map[string]bool{}, Private: map[string]bool{}}
	h.servers[0] = httptest.NewServer(http.HandlerFunc(h.hub))
	h.servers[1] = httptest.NewServer(http.HandlerFunc(h.cdn))
	h.URL, h.CDN = h.servers[0].URL, h.servers[1].URL
	return h
}

// Close ends both servers.
func (h *Hub) Close() {
	for _, s := range h.servers {
		s.CloseClientConnections()
		s.Close()
	}
}

// Asked lists the requests so far, as "hub GET /path" and "cdn GET /path", with
// their Range and whether a token came with them.
func (h *Hub) Asked() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.asked)
}

// Forget forgets them.
func (h *Hub) Forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = nil
}

func (h *Hub) note(who string, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	line := who + " " + r.Method + " " + r.URL.Path
	if v := r.Header.Get("Range"); v != "" {
		line += " " + v
	}
	if r.Header.Get("Authorization") != "" {
		line += " token"
	}
	h.asked = append(h.asked, line)
}

// Hashes are the names of a content: SHA-256, and git's SHA-1.
func Hashes(content string) (large, small string) {
	a, b := sha256.Sum256([]byte(content)), sha1.Sum([]byte(fmt.Sprintf("blob %d\x00%s", len(content), content)))
	return hex.EncodeToString(a[:]), hex.EncodeToString(b[:])
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("X-Error-Code", code)
	w.WriteHeader(status)
}

func (h *Hub) hub(w http.ResponseWriter, r *http.Request) {
	h.note("hub", r)
	if h.Fail != nil {
		if status := h.Fail(r); status != 0 {
			w.WriteHeader(status)
			return
		}
	}
	if h.push(w, r) {
		return
	}
	path, api := strings.CutPrefix(r.URL.EscapedPath(), "/api/")
	path = strings.Trim(path, "/")
	repos := h.Models
	if rest, ok := strings.CutPrefix(path, "datasets/"); ok {
		repos, path = h.Datasets, rest
	} else if rest, ok := strings.CutPrefix(path, "models/"); ok {
		path = rest
	}
	parts := strings.SplitN(path, "/", 4)
	if len(parts) < 2 {
		refuse(w, 404, "")
		return
	}
	name := parts[0] + "/" + parts[1]
	repo, ok := repos[name]
	allowed := h.Token != "" && r.Header.Get("Authorization") == "Bearer "+h.Token
	switch {
	case !ok, h.Private[name] && !allowed:
		refuse(w, 401, "RepoNotFound")
		return
	case h.Gated[name] && !allowed && !api: // what it holds may be known
		refuse(w, 403, "GatedRepo")
		return
	case h.Token != "" && !allowed && r.Header.Get("Authorization") == "Bearer expired":
		refuse(w, 401, "")
		return
	}
	what, revision := "revision", "main"
	if len(parts) > 2 {
		what = parts[2]
	}
	rest := ""
	if len(parts) > 3 {
		revision, rest, _ = strings.Cut(parts[3], "/")
	}
	if revision, _ = url.PathUnescape(revision); !slices.Contains([]string{"main", "refs/convert/parquet", Commit, Other}, revision) {
		refuse(w, 404, "RevisionNotFound")
		return
	}
	commit := Commit
	if revision == Other {
		commit = Other
	}
	switch {
	case api && what == "revision":
		json.NewEncoder(w).Encode(map[string]any{"id": name, "sha": commit, "siblings": []any{}})
	case api && what == "tree":
		h.tree(w, r, repo)
	case what == "resolve":
		file, _ := url.PathUnescape(rest)
		h.resolve(w, r, repo, file, commit)
	default:
		refuse(w, 404, "")
	}
}

func (h *Hub) tree(w http.ResponseWriter, r *http.Request, repo Repo) {
	entries := []Entry{}
	for name, content := range repo {
		large, small := Hashes(content)
		e := Entry{Type: "file", Path: name, OID: small, Size: int64(len(content))}
		if len(content) >= Large {
			e.LFS = &LFS{large, e.Size, 130}
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	if h.Tree != nil {
		h.Tree(entries)
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
	if h.PageSize > 0 && from+h.PageSize < len(entries) {
		w.Header().Set("Link", fmt.Sprintf(`<%s%s?cursor=%d>; rel="next"`, h.URL, r.URL.Path, from+h.PageSize))
		entries = entries[:from+h.PageSize]
	}
	json.NewEncoder(w).Encode(entries[min(from, len(entries)):])
}

func (h *Hub) resolve(w http.ResponseWriter, r *http.Request, repo Repo, name, commit string) {
	w.Header().Set("X-Repo-Commit", commit)
	content, ok := repo[name]
	if !ok {
		refuse(w, 404, "EntryNotFound")
		return
	}
	large, small := Hashes(content)
	if len(content) < Large {
		w.Header().Set("ETag", `"`+small+`"`)
		serve(w, r, content)
		return
	}
	w.Header().Set("X-Linked-Etag", `"`+large+`"`)
	w.Header().Set("X-Linked-Size", fmt.Sprint(len(content)))
	to := h.CDN + "/" + large
	if h.Redirect != nil {
		to = h.Redirect("/" + large)
	}
	http.Redirect(w, r, to, http.StatusFound)
}

func (h *Hub) cdn(w http.ResponseWriter, r *http.Request) {
	h.note("cdn", r)
	if h.CDNHandler != nil {
		h.CDNHandler(w, r)
		return
	}
	if r.Method == http.MethodPut {
		h.Put(w, r)
		return
	}
	for _, repos := range []map[string]Repo{h.Models, h.Datasets} {
		for _, repo := range repos {
			for _, content := range repo {
				if large, _ := Hashes(content); "/"+large == r.URL.Path {
					serve(w, r, content)
					return
				}
			}
		}
	}
	w.WriteHeader(404)
}

// serve sends a content, or the end of it that Range asks for.
func serve(w http.ResponseWriter, r *http.Request, content string) {
	var from int
	if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); n == 1 {
		if from >= len(content) {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
		w.Header().Set("Content-Length", fmt.Sprint(len(content)-from))
		w.WriteHeader(http.StatusPartialContent)
	} else {
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	}
	if r.Method != http.MethodHead {
		w.Write([]byte(content[from:]))
	}
}

// Example is a hub with a model and a dataset, which golden files are made of.
func Example() *Hub {
	h := New()
	weights := strings.Repeat("0123456789abcdef", 1<<12)
	h.Models["owner/model"] = Repo{
		"config.json": "{}", "tokenizer.json": strings.Repeat("t", 2000), "tokenizer_config.json": "{ }", "model.safetensors": weights,
		"pytorch_model.bin": weights + "bin", "modeling.py": "import os", "README.md": "# m",
		"onnx/model.onnx": "o", "original/params.json": "{}",
	}
	h.Datasets["owner/data"] = Repo{"long.jsonl": weights + "\n", "README.md": "# d", "sub/more.jsonl": "{}\n", "sub/copy.jsonl": "{}\n"}
	return h
}

// Listing is what lies in a cache: files with their SHA-256, links with their
// targets. What huggingface_hub keeps for itself is left out.
func Listing(dir string) string {
	var lines []string
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, path)
		switch {
		case err != nil:
			lines = append(lines, err.Error())
		case d.IsDir():
			if rel == "home" {
				return fs.SkipDir
			}
		case d.Type()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(path)
			lines = append(lines, rel+" -> "+target)
		default:
			raw, _ := os.ReadFile(path)
			large, _ := Hashes(string(raw))
			lines = append(lines, rel+" "+large[:16])
		}
		return nil
	})
	return strings.Join(lines, "\n") + "\n"
}
