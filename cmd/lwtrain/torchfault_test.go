package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lwtrain/checkpoints"
)

// sabotage is what Python runs before all else (sitecustomize.py): it lets a worker do what TORCH_TEST_FAULT says, and is
// otherwise the worker that ships.
const sabotage = `
import builtins, gc, os, re, socket, struct

how, told, part = os.environ.get("TORCH_TEST_FAULT", ""), 0, ""
really_send, really_open = socket.socket.sendall, builtins.open


def sendall(self, data, *flags):
    global told
    if self.family == socket.AF_UNIX and bytes(data[:4]) == b"LWT1":
        if how == "an old protocol":
            data = re.sub(rb'"protocol": \d', b'"protocol": 0', data)
        told += b'"nll"' in data
        if told == 1 and how == "a weight is lost":
            model = next(o for o in gc.get_objects() if type(o).__name__ == "Trained")
            next(iter(model.trained.values())).to_local().detach().view(-1)[5] = float("nan")
        if told == 3 and how == "it lies about lengths":
            data = data[:8] + struct.pack("<Q", 1 << 56) + data[16:]
        if told == 3 and how == "the socket is cut":
            self.shutdown(socket.SHUT_RDWR)
    return really_send(self, data, *flags)


def open(path, *args, **more):
    global part
    if how == "the disk is full" and "part-00001" in str(path):
        part = path
        really_open(path, "wb").close()
        path = "/dev/full"
    if how == "the disk is full" and "error-1" in str(path) and os.path.exists(part):
        path = "/dev/full"  # as long as the part is there
    return really_open(path, *args, **more)


socket.socket.sendall, builtins.open = sendall, open
`

// TestFaultsOfTorchRuns lets the processes of a run that goes on from a checkpoint fail in one way each. The run ends in time,
// says what happened, leaves whole checkpoints, of the earlier ones the same bytes, and no process. After the last of them
// the same command goes on to its end.
func TestFaultsOfTorchRuns(t *testing.T) {
	withTorch(t)
	w := longer(sftWork)
	w.files["sitecustomize.py"] = sabotage
	w.begun = `metrics.jsonl: {"step":4,"epoch"`
	before := w.halfway(t)
	if err := checkpoints.Clean(filepath.Join(before, "run", "checkpoints")); err != nil {
		t.Fatal(err)
	}
	torch := []string{"sft", "-c", "run.yaml", "engine.kind=torch", "engine.processes=2", "train.save_total_limit=0"}
	const most = 15 * time.Minute // of a machine that does other things as well
	for _, c := range []struct {
		how  string
		want []string
	}{
		{"an old protocol", []string{"the worker speaks protocol 0, want ", "its files were changed: remove run/engine"}},
		{"it lies about lengths", []string{`the worker's "done" brings 72057594037927936 bytes, want`}},
		{"the socket is cut", []string{"rank 0 failed at", "the connection to lwtrain broke"}},
		{"the disk is full", []string{"saving step ", "rank 1 failed at saving into ", "No space left on device", "make room"}},
		{"a weight is lost", []string{"step 5: the loss is NaN; weights are unchanged since step 4; ",
			"samples of this step: builtin:quickstart/"}},
		{"a model with a NaN", []string{"model: tensor model.norm.weight holds a NaN or infinity"}},
		{"a rank is killed", []string{"rank 1 failed", "it was killed (signal -9)", "goes on from its last checkpoint"}},
	} {
		t.Run(c.how, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(before)); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("lwtrain", torch...)
			if c.how == "a model with a NaN" {
				cmd.Args = append(cmd.Args, "output.dir=other", "model.path="+withNaN(t, dir))
			}
			var said bytes.Buffer
			cmd.Dir, cmd.Stderr = dir, &said
			cmd.Env = append(os.Environ(), "PYTHONPATH="+dir, "TORCH_TEST_FAULT="+c.how)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			late := time.AfterFunc(most, func() { cmd.Process.Kill() })
			var all []int
			if c.how == "a rank is killed" {
				all = killRank(t, dir, cmd.Process.Pid)
			}
			err := cmd.Wait()
			if !late.Stop() {
				t.Fatalf("the run had not ended after %v:\n%s", most, &said)
			}
			gone(t, all)
			for _, want := range c.want {
				if err == nil || !strings.Contains(said.String(), want) {
					t.Errorf("got %v, want %q in\n%s", err, want, &said)
				}
			}
			wholeAsBefore(t, before, dir)
		})
	}
}

// killRank kills the second worker of a run once it has taken steps, and names all its processes.
func killRank(t *testing.T, dir string, pid int) (all []int) {
	t.Helper()
	path := filepath.Join(dir, "run", "metrics.jsonl")
	had := bytes.Count(slurp(path), []byte("\n"))
	for {
		time.Sleep(50 * time.Millisecond)
		if all = descendants(pid); len(all) == 1 && !running(pid) {
			t.Fatal("the run took no step")
		}
		for _, worker := range all[1:] {
			environment := string(slurp(fmt.Sprintf("/proc/%d/environ", worker)))
			if strings.Contains(environment, "\x00RANK=1\x00") && bytes.Count(slurp(path), []byte("\n")) > had {
				syscall.Kill(worker, syscall.SIGKILL)
				return all
			}
		}
	}
}

// wholeAsBefore wants that the checkpoints of a run are whole, and that those which were there before have the same bytes.
func wholeAsBefore(t *testing.T, before, dir string) {
	t.Helper()
	root := filepath.Join(dir, "run", "checkpoints")
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, err := checkpoints.Files(filepath.Join(root, e.Name())); err != nil {
			t.Errorf("left a checkpoint that is not whole: %v", err)
		}
	}
	old, now := readRun(t, before), readRun(t, dir)
	maps.DeleteFunc(old, func(name string, _ any) bool { return !strings.HasPrefix(name, "checkpoints/") })
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if fmt.Sprint(old[name]) != fmt.Sprint(now[name]) {
			t.Errorf("%s is another one", name)
		}
	}
}

// withNaN makes a model's folder of a checkpoint, the last weight of which is no number.
func withNaN(t *testing.T, dir string) string {
	t.Helper()
	found, err := checkpoints.Latest(filepath.Join(dir, "run", "checkpoints"), 0)
	if err != nil {
		t.Fatal(err)
	}
	model := filepath.Join(dir, "model")
	weights := filepath.Join(model, "model.safetensors")
	if err := errors.Join(os.CopyFS(model, os.DirFS(found.Path)), os.Remove(filepath.Join(model, "manifest.json"))); err != nil {
		t.Fatal(err)
	}
	raw := slurp(weights)
	copy(raw[len(raw)-4:], []byte{0, 0, 0xc0, 0x7f})
	if err := os.WriteFile(weights, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return "model"
}
