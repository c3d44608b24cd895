package watch

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lwtrain/internal/rundir"
)

// write writes files below a folder, older than what is told to be fresh.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
}

// metrics are the lines of steps, each of which took a second, and of an evaluation before them.
func metrics(steps int) string {
	var b strings.Builder
	b.WriteString(`{"step":0,"eval_loss":5,"time":"2026-01-02T03:04:05Z","elapsed_seconds":0}` + "\n")
	for i := 1; i <= steps; i++ {
		fmt.Fprintf(&b,
			`{"step":%d,"loss":%d,"tokens":100,"tokens_per_second":200,"time":"2026-01-02T03:04:05Z","elapsed_seconds":%d}`+"\n",
			i, 10-i, i)
	}
	return b.String()
}

const begun = `{"settings":{"train.max_steps":"8"},"model":"m","steps":8}`

func TestStatesOfATrainingRun(t *testing.T) {
	checkpoint := map[string]string{"checkpoints/step-000004/manifest.json": "{}"}
	for _, c := range []struct {
		name  string
		files map[string]string
		held  bool
		state State
		step  int
		note  string
	}{
		{"one at work", map[string]string{"run.json": begun, "metrics.jsonl": metrics(3)}, true, Running, 3, ""},
		{"one that has no line yet", map[string]string{"run.json": begun}, true, Running, 0, ""},
		{"one that is done", map[string]string{"run.json": `{"settings":{"a":"b"},"finished":{"metrics.jsonl":"0"}}`,
			"metrics.jsonl": metrics(4)},
			false, Finished, 4, ""},
		{"one that stopped with its last step saved", map[string]string{"run.json": begun, "metrics.jsonl": metrics(4)},
			false, Stopped, 4, ""},
		{"one that died after it", map[string]string{"run.json": begun, "metrics.jsonl": metrics(6)}, false, Died, 6,
			"2 steps after the last checkpoint to be done again"},
		{"a last line that is torn", map[string]string{"run.json": begun, "metrics.jsonl": metrics(4) + `{"step":5,"lo`},
			false, Stopped, 4, ""},
		{"a step that was refused", map[string]string{"run.json": begun, "metrics.jsonl": metrics(4),
			"bad_step.json": `{"step":5,"reason":"NaN"}`},
			false, Stopped, 4, "step 5 was refused: NaN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, c.files)
			if c.step >= 4 {
				write(t, dir, checkpoint)
			}
			if c.held {
				folder, err := rundir.Enter(dir)
				if err != nil {
					t.Fatal(err)
				}
				defer folder.Close()
			}
			if _, known := rundir.Held(dir); !known {
				t.Skip("the system does not say who holds a lock")
			}
			s, err := New(dir).Look()
			if err != nil {
				t.Fatal(err)
			}
			if s.Kind != "sft" || s.State != c.state || s.Training.Step != c.step || s.Note != c.note {
				t.Errorf("%s, %s, step %d, %q; want sft, %s, step %d, %q", s.Kind, s.State, s.Training.Step, s.Note, c.state,
					c.step, c.note)
			}
			folder, err := rundir.Enter(dir)
			if err == nil {
				folder.Close()
			}
			if (err != nil) != c.held {
				t.Errorf("after looking another process could enter: %v", err)
			}
		})
	}
}

func TestWhatIsNewIsReadAndNoMore(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"run.json": `{"settings":{"dpo.beta":"0.1"},"steps":8}`, "metrics.jsonl": metrics(2)})
	folder, err := rundir.Enter(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	w := New(dir)
	last, _ := time.Parse(time.RFC3339, "2026-01-02T03:04:05Z")
	w.now = func() time.Time { return last.Add(500 * time.Millisecond) }
	for _, steps := range []int{2, 5, 8, 3} { // the last is a run that went on from an earlier checkpoint
		path := filepath.Join(dir, "metrics.jsonl")
		if steps == 3 {
			os.Remove(path)
		}
		if err := os.WriteFile(path, []byte(metrics(steps)+`{"st`), 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := w.Look()
		if err != nil {
			t.Fatal(err)
		}
		run := s.Training
		left := -1.0
		if run.Left != nil {
			left = *run.Left
		}
		if want := max(0, float64(8-steps)-0.5); s.Kind != "dpo" || run.Step != steps || run.Speed != 200 || left != want ||
			*run.Evaluated != 0 {
			t.Errorf("%s: step %d, %v tokens/s, %v s left; want step %d, 200, %v", s.Kind, run.Step, run.Speed, left, steps, want)
		}
		if n := len(s.Run.Series["loss"].Step); n != steps {
			t.Errorf("%d points of the loss, want %d", n, steps)
		}
	}
}

func TestWorkThatAsksAndChains(t *testing.T) {
	dir := t.TempDir()
	pairs := map[string]string{"run.json": `{"settings":{"pairs.samples":"2"}}`, "answers.jsonl": "1\n2\n3", "scores.jsonl": "1\n"}
	write(t, filepath.Join(dir, "pairs"), pairs)
	write(t, filepath.Join(dir, "eval"), map[string]string{"run.json": `{"settings":{"eval.samples":"2"},"total":12}`,
		"calls.jsonl": "1\n"})
	write(t, filepath.Join(dir, "aw"), map[string]string{"run.json": `{"settings":{"command":"agentwrite"},"total":40,"about":true}`,
		"calls.jsonl": "1\n"})
	write(t, filepath.Join(dir, "chain"), map[string]string{
		"data/step.json":    `{"command":["agentwrite","build","-c","x"],"done":true,"seconds":3,"figure":"2 texts"}`,
		"sft/run.json":      begun,
		"sft/metrics.jsonl": metrics(2), "old.before-1/step.json": `{"done":true}`, "note.txt": "",
	})
	time.Sleep(20 * time.Millisecond)
	late := filepath.Join(dir, "chain", "sft", "step.json")
	if err := os.WriteFile(late, []byte(`{"command":["sft"]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "failed"), map[string]string{"only/step.json": `{"command":["eval"],"failed":true}`})
	for name, want := range map[string]string{
		"pairs": "pairs stopped answers 2 ratings 1", "eval": "eval stopped replies 1 of 12",
		"aw":    "agentwrite stopped replies 1 of about 40",
		"chain": "chain stopped data:finished:2 texts sft:died:", "failed": "chain stopped only:stopped:",
	} {
		s, err := New(filepath.Join(dir, name)).Look()
		if err != nil {
			t.Fatal(err)
		}
		if got := inWords(s); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if failed := strings.Contains(s.Note, "step only ended with an error"); failed != (name == "failed") {
			t.Errorf("%s: %s", name, s.Note)
		}
	}
	write(t, filepath.Join(dir, "unrated"), map[string]string{"run.json": `{"settings":{"pairs.samples":"2"},"total":4}`,
		"answers.jsonl": "1\n", "scores.jsonl": ""})
	if s, err := New(filepath.Join(dir, "unrated")).Look(); err != nil || inWords(s) != "pairs stopped answers 1 of 4" {
		t.Errorf("%+v, %v", s, err)
	}
	w := New(filepath.Join(dir, "pairs"))
	for _, c := range []struct{ file, text, want string }{
		{"answers.jsonl", "1\n2\n3\n4\n", "pairs stopped answers 4 ratings 1"},
		{"answers.jsonl", "1\n", "pairs stopped answers 1 ratings 1"}, // shorter: read anew
		{"summary.json", "{}", "pairs finished answers 1 ratings 1"},
	} {
		if err := os.WriteFile(filepath.Join(dir, "pairs", c.file), []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := w.Look()
		if err != nil {
			t.Fatal(err)
		}
		if got := inWords(s); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// inWords is a status in short.
func inWords(s *Status) string {
	text := s.Kind + " " + string(s.State)
	for _, f := range s.Files {
		text += fmt.Sprintf(" %s %d%s", f.What, f.N, f.Total())
	}
	for _, step := range s.Steps {
		text += fmt.Sprintf(" %s:%s:%s", step.Name, step.State, step.Figure)
	}
	return text
}

func TestFoldersThatAreRefused(t *testing.T) {
	pipes := t.TempDir()
	write(t, pipes, map[string]string{"run.json": begun})
	if err := os.Mkdir(filepath.Join(pipes, "metrics.jsonl"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"an empty one", nil, "no run is there that could be watched"},
		{"a run.json that is none", map[string]string{"run.json": "[]"}, "run.json:1: "},
		{"one of many values", map[string]string{"run.json": `{"a":[` + strings.Repeat("0,", mostValues) + "0]}"}, "run.json: "},
		{"one that is large", map[string]string{"run.json": strings.Repeat(" ", most+1)}, "more than 16 MiB"},
		{"a line of metrics that is none", map[string]string{"run.json": begun, "metrics.jsonl": "{}\n"},
			"metrics.jsonl:1: no number as step"},
	} {
		dir := t.TempDir()
		write(t, dir, c.files)
		if _, err := New(dir).Look(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	for dir, want := range map[string]string{pipes: "not a regular file", "/none": "no such folder", os.Args[0]: "no folder"} {
		if _, err := New(dir).Look(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", dir, err, want)
		}
	}
}

func TestThePageNeutralisesWhatAFolderHolds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), `a"<script>`+"\n")
	hostile := `{"step":1,"loss":1,"<script>\"\n\\":2,"time":"2026-01-02T03:04:05Z"}` + "\n"
	write(t, dir, map[string]string{"run.json": `{"settings":{"a":"b"},"model":"<script>alert(1)</script>","steps":8}`,
		"metrics.jsonl": hostile})
	h := Handler(New(dir), true)
	get := func(method, path, host string) (int, string, string) {
		r := httptest.NewRequest(method, path, nil)
		r.Host = host
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		body, err := io.ReadAll(rec.Body)
		if err != nil {
			t.Fatal(err)
		}
		return rec.Code, rec.Header().Get("Content-Type"), string(body)
	}
	for _, c := range []struct {
		method, path, host string
		code               int
		kind, has          string
	}{
		{"GET", "/", "127.0.0.1:80", 200, "text/html; charset=utf-8", `<meta http-equiv="refresh" content="5">`},
		{"GET", "/", "[::1]:80", 200, "text/html; charset=utf-8", "&lt;script&gt;alert(1)&lt;/script&gt;"},
		{"GET", "/metrics", "localhost", 200, "text/plain; version=0.0.4; charset=utf-8", `key="<script>\"\n\\"} 2` + "\n"},
		{"GET", "/status.json", "localhost:1", 200, "application/json", `"state":"died"`},
		{"GET", "/", "evil.example", 403, "text/plain; charset=utf-8", "for this machine alone"},
		{"POST", "/", "localhost", 405, "text/plain; charset=utf-8", ""},
		{"GET", "/run.json", "localhost", 404, "text/plain; charset=utf-8", ""},
	} {
		code, kind, body := get(c.method, c.path, c.host)
		if code != c.code || kind != c.kind || !strings.Contains(body, c.has) {
			t.Errorf("%s %s of %s: %d %s, want %d %s and %q in\n%s", c.method, c.path, c.host, code, kind, c.code, c.kind, c.has, body)
		}
		if c.path != "/metrics" && strings.Contains(body, "<script") {
			t.Errorf("%s: a script in\n%s", c.path, body)
		}
		if c.path == "/status.json" && !json.Valid([]byte(body)) {
			t.Errorf("no JSON: %s", body)
		}
	}
	for text, want := range map[string]string{"7860": "127.0.0.1:7860", ":1": "127.0.0.1:1", "0.0.0.0:1": "0.0.0.0:1",
		"[::1]:2": "[::1]:2"} {
		if got, err := Address(text); got != want || err != nil {
			t.Errorf("address %s is %s (%v), want %s", text, got, err, want)
		}
	}
	if _, err := Address("nowhere"); err == nil {
		t.Error("an address without a port is taken")
	}
}
