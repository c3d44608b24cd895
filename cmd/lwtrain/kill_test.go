package main

import (
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lwtrain/chain"
	"lwtrain/checkpoints"
	"lwtrain/train"
)

// How often the tests here do what they do; make kill asks for more.
var (
	sftKills   = flag.Int("kills", 4, "how often runs of sft are killed")
	dpoKills   = flag.Int("dpo-kills", 2, "how often runs of dpo are killed")
	pairsKills = flag.Int("pairs-kills", 2, "how often runs of pairs are killed")
	signals    = flag.Int("signals", 4, "how often runs are sent SIGINT, SIGTERM or SIGHUP")
	flips      = flag.Int("flips", 12, "how often files of a run's folder are damaged")
)

// workload is a small run of a command: its config, its data cut short and a cache of its
// own, so that kills hit tokenising, evaluations, answers and saves as well.
type workload struct {
	command string
	files   map[string]string // run.yaml and what it names
	begun   string            // in a file of the run's folder as soon as there is something to go on from: "file: text"
}

const tinyModel = `
model: {init: {seed: 0, config: {model_type: llama, vocab_size: 259, hidden_size: 64, intermediate_size: 96, num_hidden_layers: 2,
  num_attention_heads: 4, num_key_value_heads: 2, max_position_embeddings: 4096, rms_norm_eps: 1.0e-5, tie_word_embeddings: true}}}
output: {dir: run}
`

var (
	sftWork = workload{"sft", map[string]string{"run.yaml": tinyModel + `
recipe: tiny
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
`}, `metrics.jsonl: {"step":13,"epoch"`}

	dpoWork = workload{"dpo", map[string]string{"pairs.jsonl": somePairs(24), "run.yaml": tinyModel + `
data: {sources: [{name: pairs, path: pairs.jsonl}], held_out: 4, max_length: 256, cache_dir: cache}
packing: {capacity: 256}
train: {max_steps: 12, per_device_train_batch_size: 4, gradient_accumulation_steps: 1, warmup_ratio: 0, eval_steps: 4, save_steps: 3,
  save_total_limit: 2, precision: float32}
sample: {prompts: 1, max_new_tokens: 16}
`}, `metrics.jsonl: {"step":8,"epoch"`}

	pairsWork = workload{"pairs", map[string]string{"run.yaml": tinyModel + `
data: {sources: [{name: prompts, path: "builtin:pairs/lengths_en.jsonl"}], cache_dir: cache}
pairs: {samples: 2, max_new_tokens: 80, batch: 1, command: [wc, -c], command_weight: 1, length_weight: 0}
`}, `answers.jsonl: "prompt":5`}
)

// somePairs are n preference pairs.
func somePairs(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"prompt": "count to %d", "chosen": "%s", "rejected": "%d"}`+"\n", i, strings.Repeat(fmt.Sprint(i, " "), 3+i%9), i)
	}
	return b.String()
}

// fresh makes a folder for a run.
func (w workload) fresh(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range w.files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// start begins a run, or goes on with it. What it says is its Stderr.
func (w workload) start(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("lwtrain", w.command, "-c", "run.yaml")
	cmd.Dir, cmd.Stderr = dir, &strings.Builder{}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// alone is what a run leaves that nothing happens to, what it says, and how long it takes.
func (w workload) alone(t *testing.T) (dir, said string, took time.Duration) {
	t.Helper()
	dir = w.fresh(t)
	began := time.Now()
	cmd := w.start(t, dir)
	if cmd.Wait() != nil {
		t.Fatalf("%s", cmd.Stderr)
	}
	return dir, fmt.Sprint(cmd.Stderr), time.Since(began)
}

// halfway kills a run once there is something to go on from.
func (w workload) halfway(t *testing.T) (dir string) {
	t.Helper()
	dir = w.fresh(t)
	file, text, _ := strings.Cut(w.begun, ": ")
	cmd := w.start(t, dir)
	for !strings.Contains(string(slurp(filepath.Join(dir, "run", file))), text) {
		time.Sleep(time.Millisecond)
	}
	cmd.Process.Kill()
	cmd.Wait()
	return dir
}

// TestKilledRuns kills runs of the program with SIGKILL at random moments,
// gives the same command again until it ends by itself, and compares all that
// is left with a run that was left alone. Every run is killed at least once, at
// any moment from its start to its end, and what resumes it may be killed, too.
func TestKilledRuns(t *testing.T) {
	for _, c := range []struct {
		workload
		kills int
	}{{sftWork, *sftKills}, {dpoWork, *dpoKills}, {pairsWork, *pairsKills}} {
		t.Run(c.command, func(t *testing.T) { c.kill(t, c.kills) })
	}
}

func (w workload) kill(t *testing.T, kills int) {
	alone, _, whole := w.alone(t)
	want := readRun(t, alone)
	random := rand.New(rand.NewPCG(1, 0))
	killed, runs, found := 0, 0, map[string]int{}
	for ; killed < kills; runs++ {
		dir := w.fresh(t)
		for first := true; ; first = false {
			cmd := w.start(t, dir)
			if killed < kills && (first || random.IntN(2) == 0) {
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
		for _, name := range differences(want, readRun(t, dir)) {
			t.Errorf("run %d, after %d kills in all: %s differs", runs, killed, name)
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d kills in %d runs, each the same bytes as the run of %v that was left alone; left by the kills: %v",
		killed, runs, whole.Round(time.Millisecond), found)
}

// TestSignalledRuns interrupts runs at random moments, lets them go on, and compares what
// they leave at their end: all but the checkpoints before the last, of which an interruption
// saves one more.
func TestSignalledRuns(t *testing.T) {
	works := []workload{sftWork, sftWork, dpoWork, pairsWork}
	random := rand.New(rand.NewPCG(2, 0))
	for i, w := range works[1:] {
		t.Run(w.command, func(t *testing.T) {
			alone, _, whole := w.alone(t)
			want := readRun(t, alone)
			sent, status := 0, map[int]int{}
			for share := (*signals + i) / len(works[1:]); sent < share; {
				dir := w.fresh(t)
				for first := true; ; first = false {
					cmd := w.start(t, dir)
					if sent < share && (first || random.IntN(2) == 0) {
						time.Sleep(time.Duration(random.Int64N(int64(whole))))
						cmd.Process.Signal([]os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}[random.IntN(3)])
						sent++
					}
					err := cmd.Wait()
					code := cmd.ProcessState.ExitCode() // -1: the signal came before the program could take it
					if status[code]++; code == exitInterrupted || code == -1 {
						continue
					}
					if err != nil {
						t.Fatalf("after %d signals: %v\n%s", sent, err, cmd.Stderr)
					}
					break
				}
				for _, name := range differences(want, readRun(t, dir)) {
					if !strings.HasPrefix(name, "checkpoints/") || strings.HasPrefix(name, lastCheckpoint(want)) {
						t.Errorf("after %d signals: %s differs", sent, name)
					}
				}
				if t.Failed() {
					return
				}
			}
			t.Logf("%d signals, times that the program ended by exit status: %v", sent, status)
		})
	}
}

// lastCheckpoint is the folder of the last checkpoint of a run.
func lastCheckpoint(run map[string]any) string {
	last := "none"
	for _, name := range slices.Sorted(maps.Keys(run)) {
		if strings.HasPrefix(name, "checkpoints/step-") && run[name] == "folder" && strings.Count(name, "/") == 1 {
			last = name
		}
	}
	return last
}

// TestCtrlC interrupts runs whose steps take long: they stop in the middle of a
// step, with the last update saved, and say how to go on.
func TestCtrlC(t *testing.T) {
	dir := t.TempDir()
	config := strings.ReplaceAll(sftWork.files["run.yaml"], "max_steps: 20", "max_steps: 20, gradient_accumulation_steps: 200")
	if err := os.WriteFile(filepath.Join(dir, "slow.yaml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	metrics := filepath.Join(dir, "run", "metrics.jsonl")
	done := 0
	for _, sent := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if sent == syscall.SIGHUP {
			needHangup(t)
		}
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
		cmd.Process.Signal(sent)
		cmd.Wait()
		for done++; strings.Contains(string(slurp(metrics)), fmt.Sprintf(`{"step":%d,"epoch"`, done+1)); done++ {
		}
		checkpoint := fmt.Sprintf("run/checkpoints/step-%06d", done)
		want := fmt.Sprintf("lwtrain: stopped: interrupted after step %d, saved in %s\n"+
			"lwtrain: hint: this goes on from there: lwtrain sft -c slow.yaml train.save_total_limit=2\n",
			done, checkpoint)
		if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(said.String(), want) || done == 20 {
			t.Fatalf("%v: exit status %d, want %d and %q in\n%s", sent, code, exitInterrupted, want, said)
		}
		if _, err := checkpoints.Files(filepath.Join(dir, checkpoint)); err != nil {
			t.Error(err)
		}
	}
}

// needHangup skips what needs a hangup that is heard: what nohup starts ignores it, and so does all that this starts.
func needHangup(t *testing.T) {
	t.Helper()
	if signal.Ignored(syscall.SIGHUP) {
		t.Skip("hangups are ignored here, as nohup has it")
	}
}

// TestAClosedTerminal hangs up on runs as a terminal does that is closed. Then nobody reads any
// more what they say.
func TestAClosedTerminal(t *testing.T) {
	for _, c := range []struct {
		name, shell string
		signal      syscall.Signal
		exit        int
	}{
		{"a hangup saves and stops, though nobody reads what is said", "exec lwtrain", syscall.SIGHUP, exitInterrupted},
		{"so does Ctrl-C that ends the reader as well", "exec lwtrain", syscall.SIGINT, exitInterrupted},
		{"a hangup that was ignored, as nohup does, still is", "trap '' HUP; exec lwtrain", syscall.SIGHUP, exitDone},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.signal == syscall.SIGHUP && c.exit == exitInterrupted {
				needHangup(t)
			}
			dir := sftWork.fresh(t)
			cmd := exec.Command("sh", "-c", c.shell+" sft -c run.yaml")
			cmd.Dir = dir
			said, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			metrics := filepath.Join(dir, "run", "metrics.jsonl")
			for !strings.Contains(string(slurp(metrics)), `{"step":5,"epoch"`) {
				time.Sleep(time.Millisecond)
			}
			cmd.Process.Signal(c.signal)
			if c.exit == exitInterrupted {
				said.Close()
			} else if _, err := io.Copy(io.Discard, said); err != nil {
				t.Error(err)
			}
			cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != c.exit {
				t.Errorf("exit status %d (%v), want %d", code, cmd.ProcessState, c.exit)
			}
			lines := strings.Count(string(slurp(metrics)), `"loss"`)
			if _, err := checkpoints.Files(filepath.Join(dir, fmt.Sprintf("run/checkpoints/step-%06d", lines))); err != nil {
				t.Error(err)
			}
		})
	}
}

// slurp reads a file; nothing where there is none.
func slurp(path string) []byte {
	raw, _ := os.ReadFile(path)
	return raw
}

// readRun reads a run's folder: metrics without times, answers and scores of pairs in the order
// of their text and not as they came, all other files as they are. A file that a crash left would
// be in it.
func readRun(t *testing.T, dir string) map[string]any {
	t.Helper()
	out := map[string]any{}
	root := filepath.Join(dir, "run")
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		switch base := filepath.Base(name); {
		case err != nil:
		case base == "report.html": // has plots of speed and memory
		case base == chain.RecordFile: // has times
		case e.IsDir():
			out[name] = "folder"
		case base == "metrics.jsonl":
			lines, broken := train.ReproducibleMetrics(path)
			if out[name] = lines; broken != nil {
				out[name] = broken.Error() // of a checkpoint that was passed over, say: unlike any that is whole
			}
		default:
			var raw []byte
			raw, err = os.ReadFile(path)
			out[name] = string(raw)
			if base == "answers.jsonl" || base == "scores.jsonl" || base == "calls.jsonl" {
				out[name] = slices.Sorted(strings.Lines(string(raw)))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// differences names what is not the same in two runs.
func differences(want, got map[string]any) (names []string) {
	all := maps.Clone(want)
	maps.Copy(all, got)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !reflect.DeepEqual(got[name], want[name]) {
			names = append(names, name)
		}
	}
	return names
}

// leftBehind says how far a killed run had come.
func leftBehind(dir string) string {
	root := filepath.Join(dir, "run", "checkpoints")
	entries, err := os.ReadDir(root)
	if err != nil {
		return "no checkpoints"
	}
	last := "no checkpoint yet"
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".tmp-") {
			return "half a save"
		}
		last = "a checkpoint"
	}
	return last
}
