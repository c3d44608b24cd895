package main

import (
	"context"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lwtrain/internal/fault"
)

var chainKills = flag.Int("chain-kills", 4, "how often recipe run is killed, and how often it is interrupted")

// tinyChain is a chain of all that has a state of its own: answers, training, pairs, training on them.
const tinyChain = `
dir: run
steps:
- {name: sft, command: sft, config: tiny.yaml}
- name: pairs
  command: pairs
  config: tiny.yaml
  set:
    model.path: ${sft}
    data.sources: [{name: prompts, path: "builtin:pairs/lengths_en.jsonl"}]
    data.held_out: 0
- name: dpo
  command: dpo
  config: tiny.yaml
  set: {model.path: "${sft}", data.sources: [{name: pairs, path: "${pairs}/pairs.jsonl"}], data.held_out: 0}
- {name: after, command: eval, config: tiny.yaml, set: {model.path: "${dpo}"}}
`

var chainWork = workload{"recipe run", map[string]string{
	"run.yaml": tinyChain,
	"asks.jsonl": `{"id": "a", "prompt": "Write 30 words on rain.", "length": 30}
{"id": "b", "prompt": "Two words.", "length": 2}
`,
	"tiny.yaml": strings.Replace(tinyModel, "output: {dir: run}", "", 1) + `
data:
  sources: [{name: general_en, path: "builtin:quickstart/general_en.jsonl"}]
  held_out: 3
  max_length: 512
  cache_dir: cache
packing: {capacity: 1024}
train: {max_steps: 6, eval_steps: 3, save_steps: 2, save_total_limit: 2, gradient_accumulation_steps: 1, per_device_train_batch_size: 1}
pairs: {samples: 2, max_new_tokens: 80, command: [wc, -c], command_weight: 1, length_weight: 0}
eval: {tasks: [asks.jsonl], max_new_tokens: 80, temperature: 1}
`}, ""}

// TestKilledChains kills and interrupts chains at random moments, between steps and within them, gives the same
// command again until it ends by itself, and compares what all steps left with a chain that was left alone. Of an
// interruption, which saves a checkpoint more, the last checkpoints count.
func TestKilledChains(t *testing.T) {
	start := func(dir string) (*exec.Cmd, *strings.Builder) {
		said := &strings.Builder{}
		cmd := exec.Command("lwtrain", "recipe", "run", "run.yaml")
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, said, said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, said
	}
	alone := chainWork.fresh(t)
	began := time.Now()
	if cmd, said := start(alone); cmd.Wait() != nil {
		t.Fatal(said)
	}
	whole := time.Since(began)
	want := readRun(t, alone)
	random := rand.New(rand.NewPCG(9, 0))
	for _, c := range []struct {
		name   string
		signal os.Signal
	}{{"killed", syscall.SIGKILL}, {"interrupted", syscall.SIGTERM}} {
		t.Run(c.name, func(t *testing.T) {
			dir, sent := chainWork.fresh(t), 0
			for {
				cmd, said := start(dir)
				if sent < *chainKills {
					time.Sleep(whole/8 + time.Duration(random.Int64N(int64(whole)/3)))
					cmd.Process.Signal(c.signal)
					sent++
				}
				err := cmd.Wait()
				if cmd.ProcessState.ExitCode() == -1 { // a signal that came before anything else ends it at once
					continue
				}
				if cmd.ProcessState.ExitCode() == exitInterrupted {
					if !strings.Contains(said.String(), "this goes on from there: lwtrain recipe run run.yaml\n") {
						t.Fatalf("it does not say how to go on:\n%s", said)
					}
					continue
				}
				if err != nil {
					t.Fatalf("after %d signals: %v\n%s", sent, err, said)
				}
				break
			}
			for _, name := range differences(want, readRun(t, dir)) {
				if c.signal == syscall.SIGKILL || !strings.Contains(name, "checkpoints/") || filepath.Base(name) == "model.safetensors" &&
					strings.Contains(name, "step-000006") {
					t.Errorf("after %d signals: %s differs", sent, name)
				}
			}
		})
	}
	t.Logf("%d kills and as many interruptions of a chain of %v", *chainKills, whole.Round(time.Millisecond))
}

// TestAStoppedChainGoesOnWithWhatItBeganAnew: the command that it names has no --again, which would begin once more.
func TestAStoppedChainGoesOnWithWhatItBeganAnew(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("c.yaml", []byte("steps:\n- {name: a, command: version}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	err := execute(ctx, []string{"recipe", "run", "c.yaml", "--again", "a", "dir=d"}, strings.NewReader(""), io.Discard, io.Discard)
	if hint := fault.HintOf(err); status(err) != exitInterrupted || hint != "this goes on from there: lwtrain recipe run c.yaml dir=d" {
		t.Errorf("%v, hint %q", err, hint)
	}
}
