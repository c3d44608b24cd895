package tasks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"lwtrain/internal/fault"
	"lwtrain/internal/transport"
)

// server answers as a test wants, and keeps what it was asked.
type server struct {
	replies []http.Response // one for each request
	asked   []string
}

func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	s.asked = append(s.asked, req.URL.String())
	res := s.replies[min(len(s.asked), len(s.replies))-1]
	res.Request = req
	return &res, nil
}

func reply(status int, body string) http.Response {
	said := io.NopCloser(strings.NewReader(body))
	return http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{}, Body: said}
}

const right = `[{"prompt": "p", "prefix": "#*# Week 1 (x):", "number": 2}]`

// remoteTask is a task whose data is right, and in no cache.
func remoteTask(t *testing.T) (Task, remote) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("HF_HUB_OFFLINE", "")
	sum := sha256.Sum256([]byte(right))
	r := remote{"owner/name", "0123456789abcdef", "data/file.json", hex.EncodeToString(sum[:]), int64(len(right))}
	return Task{Name: "t", remotes: []remote{r}}, r
}

func TestDataThatDoesNotShipIsFetchedOnce(t *testing.T) {
	task, r := remoteTask(t)
	s := &server{replies: []http.Response{reply(503, "later"), reply(200, right)}}
	var told []int64
	ended, pauses := 0, 0
	f := Fetcher{
		wire: s, retry: transport.Retry{Times: 2, Sleep: func(context.Context, time.Duration) error { return nil }},
		Fetching: func(repository string, done, total int64) { told = append(told, done, total) },
		Pausing:  func(error, time.Duration) { pauses++ },
		Ended:    func(err error) { ended++ },
	}
	if task.Fetched() || !strings.HasPrefix(task.Data(), "to be fetched (") {
		t.Errorf("before: %s", task.Data())
	}
	for range 2 {
		if err := task.Fetch(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := r.read()
	if err != nil || string(raw) != right || task.Data() != "in the cache" {
		t.Errorf("%q, %v, %s", raw, err, task.Data())
	}
	const url = "https://raw.githubusercontent.com/owner/name/0123456789abcdef/data/file.json"
	if len(s.asked) != 2 || s.asked[1] != url || len(told) != 4 || told[2] != r.bytes || ended != 1 || pauses != 1 {
		t.Errorf("asked %v, told %v, ended %d, pauses %d", s.asked, told, ended, pauses)
	}
	place, err := r.place()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(place, []byte("cut off"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := r.read(); err == nil || !strings.Contains(err.Error(), "is another file, want sha256 "+r.sha256) {
		t.Errorf("a file that was damaged: %v", err)
	}
}

func TestDataThatCannotBeFetchedIsNamed(t *testing.T) {
	for _, c := range []struct {
		name, offline string
		reply         http.Response
		dry           bool
		asked         int
		want          string
	}{
		{"another file", "", reply(200, strings.Replace(right, "p", "q", 1)), false, 1, "what came is another file"},
		{"a longer file", "", reply(200, right+"\n"), false, 1, "a reply of more than"},
		{"nothing there", "", reply(404, "no"), false, 1, "the server answers Not Found"},
		{"a redirect", "", reply(302, "elsewhere"), false, 1, "the server answers Found"},
		{"trouble that does not pass", "", reply(500, "oh"), false, 3, "the server answers Internal Server Error"},
		{"offline", "1", reply(200, right), false, 0, "HF_HUB_OFFLINE is set"},
		{"a dry run", "", reply(200, right), true, 0, "a dry run fetches nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			task, r := remoteTask(t)
			t.Setenv("HF_HUB_OFFLINE", c.offline)
			s := &server{replies: []http.Response{c.reply}}
			err := task.Fetch(t.Context(), Fetcher{DryRun: c.dry, wire: s,
				retry: transport.Retry{Times: 2, Sleep: func(context.Context, time.Duration) error { return nil }}})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), r.url()) || len(s.asked) != c.asked {
				t.Fatalf("%v after %d requests, want %s, with the address, after %d", err, len(s.asked), c.want, c.asked)
			}
			place, _ := r.place()
			if hint := fault.HintOf(err); !strings.Contains(hint, r.sha256) || !strings.Contains(hint, place) {
				t.Errorf("the hint is %q, want how to put the file there", hint)
			}
			if _, err := os.Stat(place); !os.IsNotExist(err) {
				t.Errorf("something lies at %s: %v", place, err)
			}
		})
	}
}

// TestFetchedTasksRead reads rows as the files that do not ship have them.
func TestFetchedTasksRead(t *testing.T) {
	items, err := longGenBenchRead("16k", []byte(right))
	if err != nil || len(items) != 1 || items[0].ID != "16k-0" || items[0].Prompt != "p" {
		t.Fatalf("%+v, %v", items, err)
	}
	if got := longGenBenchScore(items[0], " so\n#*# Week 2: then"); got["completion"] != 100 || got["completion_16k"] != 100 {
		t.Errorf("both weeks are there: %v", got)
	}
	items, err = writingBenchRead([]byte(`{"index": 16, "domain1": "Education", "query": "Write 500 to 700 words.\nOr 80000 words.", ` +
		`"checklist": [` +
		`{"name": "N", "criteria_description": "D", "1-2": "a", "3-4": "b", "5-6": "c", "7-8": "d", "9-10": "e"}]}` + "\n" +
		`{"index": 17, "query": "Write two pages.", "checklist": []}` + "\n"))
	if err != nil || len(items) != 2 || items[0].ID != "16" || items[0].Asked != (Asked{Min: 500, Max: 700}) || items[1].Asked.Any() {
		t.Fatalf("%+v, %v", items, err)
	}
	if want := (Criterion{"N", "D\n1: a\n2: b\n3: c\n4: d\n5: e"}); items[0].Checklist[0] != want {
		t.Errorf("%q, want %q", items[0].Checklist[0], want)
	}
	if _, err := writingBenchRead([]byte("{}\n[]\n")); err == nil || !strings.Contains(err.Error(), "length_subset.jsonl:2: ") {
		t.Errorf("a line that is no object: %v", err)
	}
	for _, name := range []string{"longgenbench", "writingbench-length"} {
		t.Setenv("XDG_CACHE_HOME", t.TempDir())
		task, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := task.Items(); !fault.IsUsage(err) || !strings.Contains(err.Error(), "is not there yet") {
			t.Errorf("%s without data: %v", name, err)
		}
	}
}
