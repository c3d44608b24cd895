package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"lwtrain/internal/llm/llmtest"
)

const servedConfig = `
data: {sources: [{name: q, path: q.jsonl}]}
pairs: {server: {url: %q, model: m, concurrency: 1}, judge: {url: %[1]q, model: j, concurrency: 1}}
output: {dir: run}
`

// TestKilledPairs kills the program with SIGKILL while it asks a server, and gives
// the same command again until it ends by itself: what is there is not asked for
// again, and the files are those of a run that was left alone.
func TestKilledPairs(t *testing.T) {
	program, err := exec.LookPath("lwtrain")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("OPENAI_API_KEY", "sk-test")
	pairsOf := func(kills ...int) (files string, repeated int) {
		s := llmtest.New()
		defer s.Close()
		s.Key, s.Text = "sk-test", llmtest.Judge
		var victim atomic.Pointer[os.Process]
		s.Script = func(n int, _ http.ResponseWriter) bool {
			if !slices.Contains(kills, n) {
				return false
			}
			victim.Load().Kill()
			return true
		}
		dir := t.TempDir()
		for name, text := range map[string]string{
			"q.jsonl":    `{"prompt": "Write 30 words on rain."}` + "\n" + `{"prompt": "Write 9 words on the sea."}` + "\n",
			"pairs.yaml": fmt.Sprintf(servedConfig, s.URL),
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for range len(kills) + 1 {
			cmd := exec.Command(program, "pairs", "-c", "pairs.yaml")
			var said strings.Builder
			cmd.Dir, cmd.Stderr = dir, &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			victim.Store(cmd.Process)
			if err := cmd.Wait(); err == nil {
				break
			} else if err.Error() != "signal: killed" {
				t.Fatalf("%v: %s", err, said.String())
			}
		}
		for _, name := range []string{"answers.jsonl", "scores.jsonl", "samples.jsonl", "pairs.jsonl", "summary.json"} {
			raw, err := os.ReadFile(filepath.Join(dir, "run", name))
			if err != nil {
				t.Fatal(err)
			}
			files += name + "\n" + string(raw)
		}
		return files, s.Repeated()
	}
	want, _ := pairsOf()
	got, repeated := pairsOf(3, 7, 8, 13)
	if got != want {
		t.Errorf("killed four times it wrote\n%s\nwant\n%s", got, want)
	}
	if repeated > 2*4 { // an answer and a rating were under way
		t.Errorf("%d answers were given twice", repeated)
	}
}
