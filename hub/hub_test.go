package hub

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lwtrain/hub/hubtest"
	"lwtrain/internal/fault"
	"lwtrain/internal/transport"
)

var big = strings.Repeat("0123456789abcdef", 1<<12)

// newHub is a hub with a model and a dataset, and a client of it with an empty
// cache.
func newHub(t *testing.T) (*hubtest.Hub, *Client) {
	t.Helper()
	h := hubtest.Example()
	t.Cleanup(h.Close)
	retry := transport.Retry{Times: 3, Pause: time.Millisecond}
	c := &Client{Endpoint: h.URL, Cache: t.TempDir(), http: http.DefaultTransport, retry: retry}
	return h, c
}

func ref(t *testing.T, kind Kind, text string) Ref {
	t.Helper()
	r, err := Parse(kind, text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func paths(s *Snapshot) (out []string) {
	for _, f := range s.Files {
		out = append(out, f.Path)
	}
	slices.Sort(out)
	return out
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"owner/name", "hf://owner/name"},
		{"hf://owner/name", "hf://owner/name"},
		{"hf://datasets/owner/name/data/*.parquet", "hf://owner/name/data/*.parquet"},
		{"hf://owner/name@v1.0/a/b.jsonl", "hf://owner/name@v1.0/a/b.jsonl"},
		{"hf://owner/name@refs/convert/parquet/default/train", "hf://owner/name@refs/convert/parquet/default/train"},
		{"hf://owner/name@feature%2Fx", "hf://owner/name@feature%2Fx"},
		{"hf://THUDM/LongWriter-6k", "hf://THUDM/LongWriter-6k"},
	} {
		r, err := Parse(Dataset, c.text)
		if err != nil || r.String() != c.want {
			t.Errorf("%s: %s, %v, want %s", c.text, r, err, c.want)
		}
		if again, err := Parse(Dataset, r.String()); err != nil || again != r {
			t.Errorf("%s: read again it is %v, %v", r, again, err)
		}
	}
	for _, text := range []string{
		"hf://owner", "hf://", "hf://../name", "hf://owner/..", "hf://owner/name/../../x", "hf://owner/na me",
		"hf://owner/name@", "hf://owner/name@../../x",
		"hf://owner/name@a%2F..%2Fb", "hf://models/owner/name", "hf:///etc/passwd",
		"hf://owner/name/a\\b", "hf://-o/name", "hf://a--b/name", "hf://owner/name/a\nb",
	} {
		if r, err := Parse(Dataset, text); err == nil || !fault.IsUsage(err) {
			t.Errorf("%q is read as %+v, %v, want an error", text, r, err)
		}
	}
}

func TestAModelIsFetchedOnceWithWhatIsNeededAlone(t *testing.T) {
	h, c := newHub(t)
	const template, other = "additional_chat_templates/tool_use.jinja", "additional_chat_templates/more/x.jinja"
	h.Models["owner/model"] = maps.Clone(h.Models["owner/model"])
	h.Models["owner/model"][template], h.Models["owner/model"][other] = "{{ x }}", "{{ y }}"
	var last, total int64
	var mu sync.Mutex
	s, err := c.Get(t.Context(), ref(t, Model, "owner/model"), WholeModel, func(d, n int64) {
		mu.Lock()
		defer mu.Unlock()
		last, total = max(last, d), n
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{template, "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
	if got := paths(s); !slices.Equal(got, want) {
		t.Errorf("fetched %v, want %v", got, want)
	}
	if last != total || total != s.Size() {
		t.Errorf("progress ends at %d of %d, want %d", last, total, s.Size())
	}
	if raw, err := os.ReadFile(s.Path(File{Path: "model.safetensors"})); err != nil || string(raw) != big {
		t.Errorf("the weights are not those of the hub: %v", err)
	}
	before := len(h.Asked())
	again, err := c.Get(t.Context(), ref(t, Model, "owner/model"), WholeModel, nil)
	if err != nil || again.Commit != hubtest.Commit || len(h.Asked()) != before {
		t.Errorf("the second time: %v, %d requests, want none", err, len(h.Asked())-before)
	}
	c.Offline = true
	if _, err := c.Get(t.Context(), ref(t, Model, "owner/model@"+hubtest.Commit), WholeModel, nil); err != nil {
		t.Errorf("offline, by its commit: %v", err)
	}
	_, err = c.Get(t.Context(), ref(t, Dataset, "owner/data"), wantData, nil)
	if !fault.IsUsage(err) || !strings.Contains(err.Error(), "HF_HUB_OFFLINE") {
		t.Errorf("offline, not in the cache: %v", err)
	}
}

func TestWhatIsChosenOfADataset(t *testing.T) {
	none := func([]string) ([]string, error) { return nil, fault.Hint(errors.New("no data"), "a hint") }
	for _, c := range []struct {
		name, path string
		pick       func([]string) ([]string, error)
		want       string // or the error
	}{
		{"what is picked of all", "", jsonl, "README.md data/a-0.jsonl data/a-1.jsonl data/x/b-0.jsonl z.jsonl"},
		{"a file that is named", "README.md", none, "README.md"},
		{"a glob", "data/*-0.jsonl", none, "data/a-0.jsonl"},
		{"what is picked of a folder", "data", jsonl, "data/a-0.jsonl data/a-1.jsonl data/x/b-0.jsonl"},
		{"a file that is not there", "no.jsonl", jsonl, "hf://o/n/no.jsonl: no such file in it"},
		{"nothing is picked", "", none, "hf://o/n: no data"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var files []File
			for _, f := range []string{"README.md", "data/a-0.jsonl", "data/a-1.jsonl", "data/readme.txt", "data/x/b-0.jsonl", "z.jsonl"} {
				files = append(files, File{Path: f})
			}
			ref := Ref{Kind: Dataset, Repo: "o/n", Revision: "main", Path: c.path}
			got, err := Files(c.pick)(ref, files, func(File) ([]byte, error) { return nil, nil })
			if err != nil {
				if err.Error() != c.want || fault.HintOf(err) == "" || !fault.IsUsage(err) {
					t.Errorf("%v (hint %q), want %s", err, fault.HintOf(err), c.want)
				}
				return
			}
			if text := strings.Join(paths(&Snapshot{Files: got}), " "); text != c.want {
				t.Errorf("%s, want %s", text, c.want)
			}
		})
	}
}

// jsonl picks what ends in .jsonl.
func jsonl(names []string) (out []string, _ error) {
	for _, name := range names {
		if strings.HasSuffix(name, ".jsonl") {
			out = append(out, name)
		}
	}
	return out, nil
}

// wantData is what the tests want of datasets.
var wantData = Files(jsonl)

func TestWhatIsThereOfAFileIsGoneOnFrom(t *testing.T) {
	for _, c := range []struct {
		name, there string
		ranges      bool // the server knows them
		want        string
	}{
		{"a part", big[:40000], true, "bytes=40000-"},
		{"all of it", big, true, ""},
		{"too much of it", big + "and more", true, ""},
		{"a part of something else", strings.Repeat("x", 40000), true, "bytes=40000-"},
		{"a part, of a server without ranges", big[:40000], false, "bytes=40000-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, cl := newHub(t)
			if !c.ranges {
				h.CDNHandler = func(w http.ResponseWriter, r *http.Request) { // answers each Range with all
					for _, content := range h.Models["owner/model"] {
						if strings.HasSuffix(r.URL.Path, sha(content)) {
							w.Write([]byte(content))
						}
					}
				}
			}
			large, _ := hubtest.Hashes(big)
			blobs := filepath.Join(cl.Cache, "models--owner--model", "blobs")
			if err := os.MkdirAll(blobs, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(blobs, large+".incomplete"), []byte(c.there), 0o644); err != nil {
				t.Fatal(err)
			}
			s, err := cl.Get(t.Context(), ref(t, Model, "owner/model"), WholeModel, nil)
			if err != nil {
				t.Fatal(err)
			}
			if raw, _ := os.ReadFile(s.Path(File{Path: "model.safetensors"})); string(raw) != big {
				t.Error("the content is not that of the hub")
			}
			var ranges []string
			for _, line := range h.Asked() {
				if strings.HasPrefix(line, "cdn GET /"+large) {
					ranges = append(ranges, strings.TrimPrefix(strings.TrimPrefix(line, "cdn GET /"+large), " "))
				}
			}
			if c.there == big {
				if len(ranges) != 0 {
					t.Errorf("asked for %q, want nothing", ranges)
				}
			} else if len(ranges) == 0 || ranges[0] != c.want {
				t.Errorf("asked for %q, want %q first", ranges, c.want)
			}
		})
	}
}

func TestABrokenConnectionIsTakenUpWhereItEnded(t *testing.T) {
	h, c := newHub(t)
	c.retry.Times = 0 // progress alone keeps it going
	h.CDNHandler = func(w http.ResponseWriter, r *http.Request) {
		content := big
		if !strings.HasSuffix(r.URL.Path, sha(big)) {
			content = strings.Repeat("t", 2000)
		}
		var from int
		if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); n == 1 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
			w.Header().Set("Content-Length", fmt.Sprint(len(content)-from))
			w.WriteHeader(http.StatusPartialContent)
		} else {
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		}
		w.Write([]byte(content[from:min(from+20000, len(content))]))
		if from+20000 < len(content) {
			panic(http.ErrAbortHandler)
		}
	}
	s, err := c.Get(t.Context(), ref(t, Model, "owner/model"), WholeModel, nil)
	if err != nil {
		t.Fatal(err)
	}
	if raw, _ := os.ReadFile(s.Path(File{Path: "model.safetensors"})); string(raw) != big {
		t.Error("the content is not that of the hub")
	}
}

func sha(content string) string {
	large, _ := hubtest.Hashes(content)
	return large
}

func TestTwoAtOnceFetchOnce(t *testing.T) {
	h, c := newHub(t)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if _, err := c.Get(t.Context(), ref(t, Model, "owner/model"), WholeModel, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	n := 0
	for _, line := range h.Asked() {
		if strings.HasPrefix(line, "cdn GET /"+sha(big)) {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the weights were fetched %d times, want once", n)
	}
}

func TestAFetchThatIsStoppedKeepsWhatItHas(t *testing.T) {
	h, c := newHub(t)
	ctx, cancel := context.WithCancel(t.Context())
	h.CDNHandler = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(big)+1))
		w.Write([]byte(big[:30000]))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	var once sync.Once
	_, err := c.Get(ctx, ref(t, Dataset, "owner/data"), wantData, func(done, _ int64) {
		if done >= 30000 {
			once.Do(cancel)
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("%v, want that it was stopped", err)
	}
	h.CDNHandler = nil
	if _, err := c.Get(t.Context(), ref(t, Dataset, "owner/data"), wantData, nil); err != nil {
		t.Fatal(err)
	}
	// The files of a repository are fetched in no order: one that the first call had not come to may follow.
	rest, whole := "cdn GET /"+sha(big+"\n")+" bytes=30000-", "cdn GET /"+sha(big+"\n")
	asked := h.Asked()
	if n := slices.Index(asked, whole); n < 0 || slices.Contains(asked[n+1:], whole) || !slices.Contains(asked, rest) {
		t.Errorf("asked %q, want the file once, and then the rest alone", asked)
	}
}

func TestTheDiskIsLookedAtFirst(t *testing.T) {
	h, c := newHub(t)
	h.Tree = func(e []hubtest.Entry) {
		for i := range e {
			if e[i].Path == "model.safetensors" {
				e[i].LFS.Size = 1 << 45
			}
		}
	}
	_, err := c.Get(t.Context(), ref(t, Model, "owner/model"), WholeModel, nil)
	if err == nil || !strings.Contains(err.Error(), "35184.4 GB are to be fetched") || !fault.IsUsage(err) {
		t.Fatalf("%v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(c.Cache, "*")); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}

func TestTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("from_file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		env                    map[string]string
		endpoint, cache, token string
		offline                bool
	}{
		{map[string]string{"HOME": "/home/x"}, defaultEndpoint, "/home/x/.cache/huggingface/hub", "", false},
		{map[string]string{"HOME": "/home/x", "XDG_CACHE_HOME": "/c"}, defaultEndpoint, "/c/huggingface/hub", "", false},
		{
			map[string]string{"HF_HOME": dir, "HF_ENDPOINT": "https://mirror/"}, "https://mirror", filepath.Join(dir, "hub"),
			"from_file", false,
		},
		{
			map[string]string{"HF_HOME": dir, "HF_HUB_CACHE": "/c", "HF_TOKEN": " t ", "HF_HUB_OFFLINE": "1"}, defaultEndpoint, "/c",
			"t", true,
		},
		{
			map[string]string{"HOME": "/home/x", "HF_HUB_CACHE": "~/c", "TRANSFORMERS_OFFLINE": "yes"}, defaultEndpoint, "/home/x/c",
			"", true,
		},
	} {
		got, err := FromEnv(func(name string) (string, bool) { v, ok := c.env[name]; return v, ok })
		if err != nil || got.Endpoint != c.endpoint || got.Cache != c.cache || got.Token != c.token || got.Offline != c.offline {
			t.Errorf("%v: %+v, %v", c.env, got, err)
		}
	}
	for name, v := range map[string]string{"HF_ENDPOINT": "mirror", "HF_TOKEN": "a\nb"} {
		if _, err := FromEnv(func(n string) (string, bool) { return map[string]string{name: v}[n], n == name }); !fault.IsUsage(err) {
			t.Errorf("%s=%q: %v, want an error", name, v, err)
		}
	}
}

// TestTheCacheIsThatOfHuggingFace compares with what Python's huggingface_hub 2.4
// makes, see testdata/layout.go.
func TestTheCacheIsThatOfHuggingFace(t *testing.T) {
	want, err := os.ReadFile("testdata/layout.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, c := newHub(t)
	for _, get := range []struct {
		kind Kind
		name string
		want Want
	}{{Model, "owner/model", WholeModel}, {Dataset, "owner/data", wantData}, {Dataset, "owner/data@" + hubtest.Other, wantData}} {
		if _, err := c.Get(t.Context(), ref(t, get.kind, get.name), get.want, nil); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(want), hubtest.Listing(c.Cache)); diff != "" {
		t.Errorf("-huggingface_hub +ours\n%s", diff)
	}
}

// TestACacheWithoutListsIsRead reads what older programs leave: refs, blobs and
// links alone.
func TestACacheWithoutListsIsRead(t *testing.T) {
	h, c := newHub(t)
	data := ref(t, Dataset, "owner/data")
	if _, err := c.Get(t.Context(), data, wantData, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(c.Cache, "datasets--owner--data", "trees")); err != nil {
		t.Fatal(err)
	}
	snapshot := c.snapshot(data, hubtest.Commit)
	if err := os.Remove(filepath.Join(snapshot, "long.jsonl")); err != nil {
		t.Fatal(err)
	}
	get := func(when string, want ...string) {
		t.Helper()
		if s, err := c.Get(t.Context(), data, wantData, nil); err != nil || !slices.Equal(paths(s), want) {
			t.Errorf("%s: %v, %v, want %v", when, s, err, want)
		}
	}
	c.Offline = true
	get("offline, what is there", "README.md", "sub/copy.jsonl", "sub/more.jsonl")
	c.Offline = false
	get("with a hub, what was missing", "README.md", "long.jsonl", "sub/copy.jsonl", "sub/more.jsonl")
	if err := os.RemoveAll(filepath.Join(c.Cache, "datasets--owner--data", "trees")); err != nil {
		t.Fatal(err)
	}
	h.Private["owner/data"] = true
	if s, err := c.Get(t.Context(), data, wantData, nil); err != nil || len(s.Files) != 4 {
		t.Errorf("with a hub that shows it no more: %v, want what is there", err)
	}
	h.Close()
	c.retry.Times = 0
	if s, err := c.Get(t.Context(), data, wantData, nil); err != nil || len(s.Files) != 4 {
		t.Errorf("with a hub that is away: %v, want what is there", err)
	}
}

func TestWhoWaitsSaysSo(t *testing.T) {
	h, c := newHub(t)
	data := ref(t, Dataset, "owner/data")
	dir := filepath.Join(c.Cache, ".locks", data.folder())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	other, err := take(t.Context(), filepath.Join(dir, sha(big+"\n")+".lock"), func() {})
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1)
	c.Waiting = func(name string) {
		said <- name
		other.Close()
	}
	if _, err := c.Get(t.Context(), data, wantData, nil); err != nil {
		t.Fatal(err)
	}
	if name := <-said; name != "hf://owner/data/long.jsonl" {
		t.Errorf("it waits for %s", name)
	}
	if len(h.Asked()) == 0 {
		t.Error("nothing was fetched")
	}
}
