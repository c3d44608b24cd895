package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lwtrain/internal/llm/llmtest"
)

var evalKills = flag.Int("eval-kills", 3, "how often eval is killed in each stage")

// TestKilledEvaluations kills eval with SIGKILL while a server answers, while it rates, and at any
// moment after that, gives the same command again until it ends by itself, and compares what it
// wrote with what a run that was left alone wrote. What the server has said whole is asked once.
func TestKilledEvaluations(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "sk-test")
	const prompts, samples = 5, 2
	evaluate := func(kills []int, later int, random *rand.Rand) (files string, repeated, killed int) {
		s := llmtest.New()
		defer s.Close()
		s.Key, s.Text = "sk-test", llmtest.Judge
		var victim atomic.Pointer[os.Process]
		s.Script = func(n int, _ http.ResponseWriter) bool {
			if slices.Contains(kills, n) {
				victim.Load().Kill()
				return true
			}
			return false
		}
		dir := t.TempDir()
		var asks strings.Builder
		for i := range prompts {
			fmt.Fprintf(&asks, `{"prompt": "Write %d words on rain, %d.", "length": %[1]d}`+"\n", 5+5*i, i)
		}
		config := fmt.Sprintf(`
eval:
  tasks: [asks.jsonl]
  samples: %d
  server: {url: %q, model: m, concurrency: 1}
  judge: {url: %[2]q, model: j, concurrency: 1}
output: {dir: run}
`, samples, s.URL)
		for name, text := range map[string]string{"asks.jsonl": asks.String(), "eval.yaml": config} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for {
			if once(t, dir, func(p *os.Process) {
				victim.Store(p)
				if later > 0 && killed >= len(kills) { // all is asked: what follows takes some milliseconds
					later--
					time.AfterFunc(time.Duration(random.IntN(120))*time.Millisecond, func() { p.Kill() })
				}
			}, "eval", "-c", "eval.yaml") {
				killed++
				continue
			}
			if later == 0 {
				break
			}
		}
		for _, name := range []string{"generations.jsonl", "scores.jsonl", "judgements.jsonl", "summary.json", "report.html"} {
			raw, err := os.ReadFile(filepath.Join(dir, "run", "asks", name))
			if err != nil {
				t.Fatal(err)
			}
			files += name + "\n" + strings.ReplaceAll(string(raw), s.URL, "SERVER")
		}
		return files, s.Repeated(), killed
	}
	want, _, _ := evaluate(nil, 0, nil)
	random := rand.New(rand.NewPCG(5, 0))
	var kills []int
	const answers, ratings = prompts * samples, prompts * samples * 6
	for range *evalKills {
		kills = append(kills, 1+random.IntN(answers), answers+*evalKills+1+random.IntN(ratings))
	}
	slices.Sort(kills)
	kills = slices.Compact(kills)
	got, repeated, killed := evaluate(kills, *evalKills, random)
	if got != want {
		t.Errorf("killed %d times it wrote\n%s\nwant\n%s", killed, got, want)
	}
	if repeated > len(kills) { // that were under way
		t.Errorf("%d replies were given twice, with %d kills while the server was asked", repeated, len(kills))
	}
	t.Logf("%d kills, the same files, %d requests under way were made again", killed, repeated)
}

// once runs lwtrain in a folder, whose process is told to started, and reports whether it was killed. Another end than a
// good one ends the test.
func once(t *testing.T, dir string, started func(*os.Process), args ...string) (killed bool) {
	t.Helper()
	cmd := exec.Command("lwtrain", args...)
	var said strings.Builder
	cmd.Dir, cmd.Stderr = dir, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	started(cmd.Process)
	err := cmd.Wait()
	if cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return true
	}
	if err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	return false
}
