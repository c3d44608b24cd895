package main

import (
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lwtrain/checkpoints"
	"lwtrain/train"
)

var kills = flag.Int("kills", 5, "how often TestKilledRuns kills")

// killConfig is the recipe tiny with 20 steps, its data cut short and a cache of
// its own, so that kills hit tokenising, evaluations, answers and saves as well.
const killConfig = `recipe: tiny
model: {init: {seed: 0, config: {model_type: llama, vocab_size: 259, hidden_size: 64, intermediate_size: 96, num_hidden_layers: 2,
  num_attention_heads: 4, num_key_value_heads: 2, max_position_embeddings: 4096, rms_norm_eps: 1.0e-5, tie_word_embeddings: true}}}
data:
  sources:
  - {name: general_en, path: "builtin:quickstart/general_en.jsonl"}
  - {name: general_zh, path: "builtin:quickstart/general_zh.jsonl"}
  held_out: 3
  max_length: 512
  cache_dir: cache
packing: {capacity: 512}
train: {max_steps: 20, eval_steps: 5, save_steps: 3, save_total_limit: 2}
sample: {prompts: 2, max_new_tokens: 32}
output: {dir: run}
`

// TestKilledRuns kills runs of the program with SIGKILL at random moments,
// gives the same command again until it ends by itself, and compares all that
// is left with a run that was left alone. Every run is killed at least once, at
// any moment from its start to its end, and what resumes it may be killed, too.
func TestKilledRuns(t *testing.T) {
	program, err := exec.LookPath("lwtrain")
	if err != nil {
		t.Fatal(err)
	}
	start := func(dir string) *exec.Cmd {
		cmd := exec.Command(program, "sft", "-c", "kill.yaml")
		cmd.Dir, cmd.Stderr = dir, &strings.Builder{}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	fresh := func() string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "kill.yaml"), []byte(killConfig), 0o644); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	alone := fresh()
	began := time.Now()
	if cmd := start(alone); cmd.Wait() != nil {
		t.Fatalf("%s", cmd.Stderr)
	}
	whole := time.Since(began)
	want := readRun(t, alone)

	const seed = 1
	random := rand.New(rand.NewPCG(seed, 0))
	killed, runs, found := 0, 0, map[string]int{}
	for ; killed < *kills; runs++ {
		dir := fresh()
		for first := true; ; first = false {
			cmd := start(dir)
			if killed < *kills && (first || random.IntN(2) == 0) {
				time.Sleep(time.Duration(random.Int64N(int64(whole))))
				cmd.Process.Kill()
			}
			err := cmd.Wait()
			if cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
				killed++
				found[leftBehind(dir)]++
				continue
			}
			if err != nil {
				t.Fatalf("run %d after %d kills: %v\n%s", runs, killed, err, cmd.Stderr)
			}
			break
		}
		got := readRun(t, dir)
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if !reflect.DeepEqual(got[name], want[name]) {
				t.Errorf("run %d, after %d kills in all: %s differs", runs, killed, name)
			}
		}
		if len(got) != len(want) {
			t.Errorf("run %d: left %v, want %v", runs, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d kills in %d runs of 20 steps, each the same bytes as the run of %v that was left alone; left by the kills: %v",
		killed, runs, whole.Round(time.Millisecond), found)
}

// TestCtrlC interrupts runs whose steps take long: they stop in the middle of a
// step, with the last update saved, and say how to go on.
func TestCtrlC(t *testing.T) {
	dir := t.TempDir()
	config := strings.ReplaceAll(killConfig, "max_steps: 20", "max_steps: 20, gradient_accumulation_steps: 200")
	if err := os.WriteFile(filepath.Join(dir, "slow.yaml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	metrics := filepath.Join(dir, "run", "metrics.jsonl")
	done := 0
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		cmd := exec.Command("lwtrain", "sft", "-c", "slow.yaml", "train.save_total_limit=2")
		said := &strings.Builder{}
		cmd.Dir, cmd.Stderr = dir, said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		step := fmt.Sprintf(`{"step":%d,"epoch"`, done+1)
		for raw := ""; !strings.Contains(raw, step); raw = string(slurp(metrics)) {
			time.Sleep(5 * time.Millisecond)
		}
		cmd.Process.Signal(signal)
		cmd.Wait()
		for done++; strings.Contains(string(slurp(metrics)), fmt.Sprintf(`{"step":%d,"epoch"`, done+1)); done++ {
		}
		checkpoint := fmt.Sprintf("run/checkpoints/step-%06d", done)
		want := fmt.Sprintf("lwtrain: stopped: interrupted after step %d, saved in %s\n"+
			"lwtrain: hint: this goes on from there: lwtrain sft -c slow.yaml train.save_total_limit=2\n",
			done, checkpoint)
		if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(said.String(), want) || done == 20 {
			t.Fatalf("%v: exit status %d, want %d and %q in\n%s", signal, code, exitInterrupted, want, said)
		}
		if _, err := checkpoints.Files(filepath.Join(dir, checkpoint)); err != nil {
			t.Error(err)
		}
	}
}

// slurp reads a file; nothing where there is none.
func slurp(path string) []byte {
	raw, _ := os.ReadFile(path)
	return raw
}

// readRun reads a run's folder and its cache: metrics without times, all other
// files as they are. A file that a crash left would be in it.
func readRun(t *testing.T, dir string) map[string]any {
	t.Helper()
	out := map[string]any{}
	root := filepath.Join(dir, "run")
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		switch {
		case err != nil:
		case name == "report.html": // has plots of speed and memory
		case e.IsDir():
			out[name] = "folder"
		case name == "metrics.jsonl":
			out[name], err = train.ReproducibleMetrics(path)
		default:
			var raw []byte
			raw, err = os.ReadFile(path)
			out[name] = string(raw)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// leftBehind says how far a killed run had come.
func leftBehind(dir string) string {
	root := filepath.Join(dir, "run", "checkpoints")
	entries, err := os.ReadDir(root)
	if err != nil {
		return "nothing"
	}
	last := "no checkpoint"
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".tmp-") {
			return "half a save"
		}
		last = "a checkpoint"
	}
	return last
}
