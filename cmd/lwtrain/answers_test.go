package main

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

var generateKills = flag.Int("generate-kills", 4, "how often generate --prompts is killed")

// TestKilledAnswers kills generate --prompts with SIGKILL whenever some more answers are there,
// gives the same command again until it ends by itself, and compares the answers with those
// of a run that was left alone.
func TestKilledAnswers(t *testing.T) {
	const prompts = 60
	dir := t.TempDir()
	var asked strings.Builder
	for i := range prompts {
		fmt.Fprintf(&asked, `{"id": "q%d", "prompt": "Write %d words on %s."}`+"\n", i, 10+i, strings.Repeat("rain and ", i*i%23))
	}
	for name, text := range map[string]string{
		"prompts.jsonl": asked.String(),
		"run.yaml": tinyModel + `
data: {sources: [{name: general_en, path: "builtin:quickstart/general_en.jsonl"}], held_out: 0, max_length: 256, cache_dir: cache}
packing: {capacity: 256}
train: {max_steps: 1, gradient_accumulation_steps: 1, eval_steps: 0}
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	start := func(arg ...string) (*exec.Cmd, *strings.Builder) {
		cmd, said := exec.Command("lwtrain", arg...), &strings.Builder{}
		cmd.Dir, cmd.Stderr = dir, said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, said
	}
	answer := func(file, batch string) (*exec.Cmd, *strings.Builder) {
		return start("generate", "-m", "run", "--prompts", "prompts.jsonl", "--out", file, "--batch", batch,
			"--temperature", "1.1", "--max-new-tokens", "150")
	}
	finish := func(cmd *exec.Cmd, said *strings.Builder) {
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
	}
	finish(start("sft", "-c", "run.yaml"))
	finish(answer("alone.jsonl", "1"))
	linesOf := func(file string) []string {
		return slices.Collect(strings.Lines(string(slurp(filepath.Join(dir, file)))))
	}
	want := slices.Sorted(slices.Values(linesOf("alone.jsonl")))
	if len(want) != prompts {
		t.Fatalf("%d answers to %d prompts", len(want), prompts)
	}
	random := rand.New(rand.NewPCG(4, 0))
	killed, runs := 0, 0
	for ; killed < *generateKills; runs++ {
		file := fmt.Sprintf("killed%d.jsonl", runs)
		for {
			cmd, said := answer(file, fmt.Sprint(1+random.IntN(20)))
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			if killed < *generateKills {
				enough := bytes.Count(slurp(filepath.Join(dir, file)), []byte("\n")) + random.IntN(4)
				for bytes.Count(slurp(filepath.Join(dir, file)), []byte("\n")) < enough && len(ended) == 0 {
					time.Sleep(time.Millisecond)
				}
				time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
				cmd.Process.Kill()
			}
			err := <-ended
			if cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
				killed++
				continue
			}
			if err != nil {
				t.Fatalf("run %d after %d kills: %v\n%s", runs, killed, err, said)
			}
			break
		}
		if got := slices.Sorted(slices.Values(linesOf(file))); !slices.Equal(got, want) {
			t.Fatalf("run %d, after %d kills: %d answers, not the %d of the run left alone", runs, killed, len(got), len(want))
		}
	}
	t.Logf("%d kills in %d runs, each the same %d answers as one at a time without a kill", killed, runs, prompts)
}
