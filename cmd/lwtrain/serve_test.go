package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"lwtrain/chat"
	"lwtrain/internal/llm"
	"lwtrain/model"
)

// TestTheProgramServes has the program serve a model, asks it by our own client and by hand, with a key, and stops it in the
// midst of an answer.
func TestTheProgramServes(t *testing.T) {
	dir := t.TempDir()
	config := tinyModel + "recipe: tiny\ndata: {cache_dir: cache, held_out: 0}\n"
	if err := os.WriteFile(filepath.Join(dir, "run.yaml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	sft := exec.Command("lwtrain", "sft", "-c", "run.yaml",
		"train.max_steps=1", "sample.prompts=0", "output.dir=m")
	sft.Dir = dir
	if said, err := sft.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	t.Setenv("LWTRAIN_API_KEY", secret)
	server := exec.Command("lwtrain", "serve",
		"-c", "run.yaml", "output.dir=m", "--addr", "127.0.0.1:0", "--drain", "100ms", "--context", "100000",
		"--batch", "2")
	server.Dir = dir
	said, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Process.Kill()
	lines := bufio.NewReader(said)
	ready := regexp.MustCompile(`^m at (http://127.0.0.1:\d+/v1), 2 texts of 100,000 tokens at a time`)
	url := ""
	for heard := ""; url == ""; {
		line, err := lines.ReadString('\n')
		heard += line
		if err != nil {
			t.Fatalf("%v: %s", err, heard)
		}
		if found := ready.FindStringSubmatch(line); found != nil {
			url = found[1]
		}
	}
	client := llm.NewClient(llm.Server{URL: url, Model: "m", KeyEnv: "LWTRAIN_API_KEY", Timeout: 60, Concurrency: 1})
	request := llm.Request{Messages: []chat.Message{{Role: "user", Content: "hello"}}, MaxTokens: 9,
		Sampling: model.Sampling{Temperature: 1}}
	reply, err := client.Ask(t.Context(), request)
	if err != nil || reply.Prompt == 0 || reply.Tokens > 9 {
		t.Fatalf("%+v, %v", reply, err)
	}
	ask := func(key string) *http.Response {
		t.Helper()
		req, _ := http.NewRequest(http.MethodPost, url+"/completions",
			strings.NewReader(`{"prompt": "ab", "temperature": 0, "stream": true, "max_tokens": 99000}`))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+key)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	wrong := ask("sk-wrong")
	wrong.Body.Close()
	if wrong.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d without the key", wrong.StatusCode)
	}
	res := ask(secret)
	defer res.Body.Close()
	if _, err := io.ReadFull(res.Body, make([]byte, 300)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(res.Body)
	if err != nil || !strings.Contains(string(rest), `"the server stops"`) {
		t.Errorf("%v, the answer ends with %q", err, string(rest[max(0, len(rest)-300):]))
	}
	heard, _ := io.ReadAll(lines)
	if err := server.Wait(); err != nil || !strings.Contains(string(heard), "stopped after 2 answers, ") {
		t.Errorf("%v: %s", err, heard)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it stopped after %v", took)
	}
	if strings.Contains(string(heard), secret) {
		t.Error("the key is said")
	}
}
